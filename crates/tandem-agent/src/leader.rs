//! The store's leader stays at the witness.
//!
//! With the leader at the replica's site a cut link between the sites stops the primary's
//! renewals; with the leader at the witness none is lost (measured).

use std::sync::Arc;
use std::time::Duration;

use tandem_core::model::SiteId;
use tandem_store::Store;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Between two looks: an election takes longer than this.
const PERIOD: Duration = Duration::from_secs(1);

/// Where the planner's order arrives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lead {
    wanted: Arc<Notify>,
}

impl Lead {
    /// Orders one look, and a move if the leader is elsewhere.
    pub(crate) fn keep(&self) {
        self.wanted.notify_one();
    }

    /// Carries the orders out until the task is dropped. A member that does not answer, or is
    /// not up to date, is refused by the store itself.
    pub(crate) async fn run(self, store: Arc<dyn Store>, witness: SiteId) {
        loop {
            self.wanted.notified().await;
            match store.leader().await {
                Ok(Some(leader)) if leader == witness => {}
                Ok(_) => match store.move_leader_to(witness).await {
                    Ok(()) => tracing::info!(%witness, "moved the store's leader to the witness"),
                    Err(error) => tracing::debug!(%error, "the store's leader could not be moved"),
                },
                Err(error) => tracing::debug!(%error, "the store's leader is not known"),
            }
            sleep(PERIOD).await;
        }
    }
}
