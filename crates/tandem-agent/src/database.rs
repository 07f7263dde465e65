//! The seam to the site's own PostgreSQL.
//!
//! The agent's loop sees this trait; `tandem-postgres` fills it for real and tests put a
//! double behind it. Every call ends by itself in bounded time and every effect is safe
//! to repeat, so the loop never has to remember how far it came.

use std::error::Error;

use async_trait::async_trait;
use tandem_core::config::Config;
use tandem_core::database::{DatabaseSeen, Extent};
use tandem_core::model::{Epoch, Lsn, Mono, SiteId};

/// Why a call to the database gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The site's other agent is doing the same right now, which is as good.
    #[error("the site's other agent is doing this")]
    Busy,
    /// It refused, did not answer, or was not reached.
    #[error("the database gave nothing")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl From<tandem_postgres::Error> for DatabaseError {
    fn from(error: tandem_postgres::Error) -> Self {
        match error {
            tandem_postgres::Error::Busy => Self::Busy,
            error => Self::Failed(Box::new(error)),
        }
    }
}

/// What an agent asks of its own site's database.
#[async_trait]
pub trait Database: Send + Sync {
    /// One look at everything the planner wants to know.
    async fn observe(&self) -> Result<DatabaseSeen, DatabaseError>;

    /// Writes the next heartbeat of `epoch` and returns its number.
    async fn beat(&self, epoch: Epoch) -> Result<u64, DatabaseError>;

    /// Lets application writes of `epoch` pass until `deadline` of this process's boot time.
    async fn arm_guard(&self, epoch: Epoch, deadline: Mono) -> Result<(), DatabaseError>;

    /// Lets no application write pass from now on, unless a newer epoch than `epoch` is armed.
    async fn close_guard(&self, epoch: Epoch) -> Result<(), DatabaseError>;

    /// Ends every session of the application role that is in a transaction; zero when there was none
    /// left.
    async fn end_sessions(&self) -> Result<u64, DatabaseError>;

    /// The end of the *other* site's log, read there: nothing is changed.
    async fn other_end(&self) -> Result<Lsn, DatabaseError>;

    /// Enables the subscription that feeds this site, unless it is prepared for a newer epoch than
    /// `epoch`, the newest that this agent knows.
    async fn receive(&self, epoch: Epoch) -> Result<(), DatabaseError>;

    /// Disables it and waits until its worker is gone. The relay was cut before.
    async fn stop_receiving(&self) -> Result<(), DatabaseError>;

    /// Makes this old primary a replica of the site that is open in `epoch`.
    async fn reinstate(&self, epoch: Epoch, extent: Extent) -> Result<(), DatabaseError>;

    /// Keeps what the other site had acknowledged and this one never got, if that is due.
    async fn collect(&self) -> Result<(), DatabaseError>;

    /// Removes the rows of the ledger `epoch`, which was kept for as long as it may be.
    async fn erase_ledger(&self, epoch: Epoch) -> Result<(), DatabaseError>;

    /// Everything that must stand before this site opens in `epoch` in place of `from`.
    async fn prepare(&self, epoch: Epoch, from: SiteId) -> Result<(), DatabaseError>;
}

/// The real database of a site, in the hands of one agent.
pub(crate) struct Postgres {
    database: tandem_postgres::Database,
    /// The other site's, for one question only; absent if this place may not log in there.
    other: Option<tandem_postgres::Database>,
    holder: String,
    config: Config,
    site: SiteId,
}

impl Postgres {
    pub(crate) fn new(
        config: &Config,
        site: SiteId,
        agent: &str,
    ) -> Result<Self, tandem_postgres::Error> {
        let database = tandem_postgres::Database::new(config, site)?;
        let other = config.other_site(site);
        let other = other.and_then(|other| {
            tandem_postgres::Database::new(config, other)
                .inspect_err(|error| tracing::info!(%error, "the other site's log cannot be asked"))
                .ok()
        });
        Ok(Self {
            database,
            other,
            holder: agent.to_owned(),
            config: config.clone(),
            site,
        })
    }
}

#[async_trait]
impl Database for Postgres {
    async fn observe(&self) -> Result<DatabaseSeen, DatabaseError> {
        Ok(self.database.observe().await?)
    }

    async fn beat(&self, epoch: Epoch) -> Result<u64, DatabaseError> {
        Ok(self.database.beat(epoch).await?)
    }

    async fn arm_guard(&self, epoch: Epoch, deadline: Mono) -> Result<(), DatabaseError> {
        self.database
            .renew_guard(epoch, &self.holder, deadline)
            .await?;
        Ok(())
    }

    async fn close_guard(&self, epoch: Epoch) -> Result<(), DatabaseError> {
        Ok(self.database.close_guard(epoch).await?)
    }

    async fn end_sessions(&self) -> Result<u64, DatabaseError> {
        Ok(self.database.end_application_transactions().await?)
    }

    async fn other_end(&self) -> Result<Lsn, DatabaseError> {
        let denied = || DatabaseError::Failed("no login at the other site".into());
        let other = self.other.as_ref().ok_or_else(denied)?;
        Ok(other.end_of_log().await?)
    }

    async fn receive(&self, epoch: Epoch) -> Result<(), DatabaseError> {
        Ok(self.database.resume_receiving(epoch).await?)
    }

    async fn stop_receiving(&self) -> Result<(), DatabaseError> {
        Ok(self.database.stop_receiving().await?)
    }

    async fn reinstate(&self, epoch: Epoch, extent: Extent) -> Result<(), DatabaseError> {
        Ok(self.database.reinstate(&self.config, epoch, extent).await?)
    }

    async fn collect(&self) -> Result<(), DatabaseError> {
        tandem_postgres::ledger::collect(&self.config, self.site).await?;
        Ok(())
    }

    async fn erase_ledger(&self, epoch: Epoch) -> Result<(), DatabaseError> {
        let by = format!("{}, after database.ledger_keep_days", self.holder);
        tandem_postgres::ledger::erase(&self.config, self.site, epoch, &by).await?;
        Ok(())
    }

    async fn prepare(&self, epoch: Epoch, from: SiteId) -> Result<(), DatabaseError> {
        self.database.prepare_opening(epoch, from).await?;
        Ok(())
    }
}
