//! One site's PostgreSQL in the hands of its agent.
//!
//! Every method is one step: bounded in time, safe to repeat, safe to run while
//! the site's other agent does the same. Short questions (`observe`, `beat`, the
//! guard) and long steps (stopping, preparing) go over connections of their own.

use std::time::Duration;

use tandem_core::config::Config;
use tandem_core::database::DatabaseSeen;
use tandem_core::model::{Epoch, Lsn, SiteId};
use tokio::sync::Mutex;
use tokio_postgres::types::Json;

use crate::connect::Target;
use crate::error::Error;
use crate::names::Names;
use crate::session::{Commit, Lane};

/// The longest single statement of a preparation: making a slot waits for every
/// write transaction that is open on the server.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// One site's database, as the agent role.
pub struct Database {
    pub(crate) names: Names,
    pub(crate) schemas: Vec<String>,
    pub(crate) application_role: String,
    /// Days that a ledger is kept; 0 = until a person erases it.
    ledger_keep_days: i32,
    pub(crate) ttl: Duration,
    /// Short questions, each within the policy's call time-out.
    pub(crate) quick: Lane,
    /// Long steps; the lock keeps this process's steps from interleaving.
    pub(crate) steps: Mutex<Lane>,
}

impl Database {
    /// A handle for the database of `site`; connects at the first call, and again
    /// whenever the connection was lost.
    ///
    /// # Errors
    /// If `site` has no database, or its password file cannot be read.
    pub fn new(config: &Config, site: SiteId) -> Result<Self, Error> {
        let target = Target::agent(config, site)?;
        let quick = Lane::new(
            &target,
            site,
            config.policy.authority.call_timeout(),
            Commit::Flushed,
        );
        Ok(Self {
            names: Names::of(config, site)?,
            schemas: config.database.schemas.clone(),
            ledger_keep_days: i32::try_from(config.database.ledger_keep_days).unwrap_or(i32::MAX),
            application_role: config.database.application_role.clone(),
            ttl: config.policy.authority.ttl(),
            quick,
            steps: Mutex::new(Lane::new(&target, site, STEP_LIMIT, Commit::Ordered)),
        })
    }

    /// The names this database uses.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Looks at everything the planner wants to know, in one round trip.
    ///
    /// # Errors
    /// If the database cannot be reached in time or was not set up.
    pub async fn observe(&self) -> Result<DatabaseSeen, Error> {
        let names = &self.names;
        let row = self
            .quick
            .row(
                "observe",
                include_str!("sql/observe.sql"),
                &[
                    &names.site.as_str(),
                    &names.other.as_str(),
                    &names.subscription,
                    &names.slot,
                    &self.schemas,
                    &self.ledger_keep_days,
                ],
            )
            .await?;
        let Json(seen) = row
            .try_get::<_, Json<DatabaseSeen>>(0)
            .map_err(|source| Error::query("observe", source))?;
        Ok(seen)
    }

    /// Writes this site's heartbeat for `epoch`, with the newest sequence values, and
    /// returns its number. Only the site that may write calls this.
    ///
    /// # Errors
    /// [`Error::StaleEpoch`] if a newer epoch has already written heartbeats here.
    pub async fn beat(&self, epoch: Epoch) -> Result<u64, Error> {
        let site = self.names.site;
        let rows = self
            .quick
            .rows(
                "heartbeat",
                include_str!("sql/beat.sql"),
                &[
                    &site.as_str(),
                    &to_sql(epoch),
                    &self.schemas,
                    &self.ttl.as_secs_f64(),
                ],
            )
            .await?;
        match rows.first() {
            Some(row) => Ok(from_sql(row.get(0))),
            None => Err(self.why_no_beat(epoch).await?),
        }
    }

    /// The end of this database's flushed log: every commit that was acknowledged lies before it.
    ///
    /// # Errors
    /// If the database cannot be reached in time.
    pub async fn end_of_log(&self) -> Result<Lsn, Error> {
        let sql = "SELECT pg_current_wal_flush_lsn()::text";
        let row = self.quick.row("end of log", sql, &[]).await?;
        let text: String = row.get(0);
        text.parse().map_err(|_| Error::Malformed {
            what: "end of log",
            text,
        })
    }

    async fn why_no_beat(&self, asked: Epoch) -> Result<Error, Error> {
        let site = self.names.site;
        let sql = "SELECT epoch FROM tandem.heartbeat WHERE site = $1::text";
        let rows = self.quick.rows("heartbeat", sql, &[&site.as_str()]).await?;
        Ok(match rows.first() {
            Some(row) => Error::StaleEpoch {
                asked,
                found: Epoch(from_sql(row.get(0))),
            },
            None => Error::Missing(format!("the heartbeat row of {site}")),
        })
    }
}

/// PostgreSQL has no unsigned numbers; an epoch never comes near 2^63.
pub(crate) fn to_sql(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

pub(crate) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
