//! Looks at the own database and at what other agents publish; publishes what was seen.
//!
//! Each of the three has a loop of its own; none waits for another.

use std::sync::Arc;
use std::time::Duration;

use tandem_core::planner::AgentStatus;
use tandem_store::{Entry, Store};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::database::Database;
use crate::right::chain;
use crate::state::{Counters, Shared};
use crate::store::Keys;

/// Between two looks at the database. The peer's bound on exposure counts heartbeats seen here.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Between two readings of what others publish.
const PEERS_PERIOD: Duration = Duration::from_millis(250);

/// The shortest pause between two looks that were asked for.
const BREATH: Duration = Duration::from_millis(20);

/// Looks at the database on a timer and right after something was done to it.
pub(crate) async fn database(shared: Arc<Shared>, database: Arc<dyn Database>) {
    let mut trouble = None;
    loop {
        match database.observe().await {
            Ok(seen) => {
                if trouble.take().is_some() {
                    tracing::info!("the database answers");
                }
                shared.note_look(seen);
            }
            Err(error) => {
                Counters::count(&shared.counters.database_failures);
                note_trouble(&shared, &mut trouble, chain(&error));
            }
        }
        sleep(BREATH).await;
        // A time-out is the ordinary rhythm.
        let _ = timeout(LOOK_PERIOD - BREATH, shared.look_again.notified()).await;
    }
}

/// Each trouble is told once. Before the first good look it is no surprise: the database may not
/// be set up yet.
fn note_trouble(shared: &Shared, last: &mut Option<String>, text: String) {
    if last.as_ref() == Some(&text) {
        return;
    }
    if shared.state().database.is_some() {
        tracing::warn!(trouble = text, "the database cannot be observed");
    } else {
        tracing::info!(trouble = text, "the database cannot be observed yet");
    }
    *last = Some(text);
}

/// Reads what all agents publish.
pub(crate) async fn peers(shared: Arc<Shared>, store: Arc<dyn Store>) {
    let prefix = Keys::of(&shared.config.cluster).statuses();
    let mut ticks = interval(PEERS_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match store.read_prefix(&prefix).await {
            Ok(entries) => shared.note_peers(entries.iter().filter_map(status).collect()),
            Err(error) => tracing::debug!(%error, "the other agents' statuses cannot be read"),
        }
    }
}

/// A status that this build cannot read is no status: a newer agent may write one.
fn status(entry: &Entry) -> Option<AgentStatus> {
    let parsed = serde_json::from_str(&entry.versioned.value);
    parsed
        .inspect_err(|error| tracing::debug!(key = entry.key, %error, "not a status"))
        .ok()
}

/// Publishes this agent's status, twice a renewal period.
pub(crate) async fn publish(shared: Arc<Shared>, store: Arc<dyn Store>) {
    let key = Keys::of(&shared.config.cluster).status(&shared.name);
    let mut ticks = interval(shared.config.policy.authority.renew() / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Starts at the wall clock, so that a restarted agent never repeats an old counter.
    let mut counter = crate::clock::wall_seconds() * 1_000;
    loop {
        ticks.tick().await;
        counter += 1;
        let status = shared.published(counter);
        let value = serde_json::to_string(&status).expect("a status is plain data");
        match store.put(&key, &value).await {
            Ok(_) => Counters::count(&shared.counters.published),
            Err(error) => tracing::debug!(%error, "this agent's status cannot be published"),
        }
    }
}
