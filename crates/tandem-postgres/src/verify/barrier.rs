//! Waiting until one site has everything that the other has seen.
//!
//! Towards the replica: a position of the primary's log, taken *after* a look there, lies behind
//! every commit which that look saw; the replica must have applied up to it. Towards the
//! primary: a commit reaches the replica once it is logged, which is a moment *before* the
//! primary's own readers see it, so transactions that were in flight there must end first.
//!
//! Trap: the applied position moves a moment before the applied rows become visible; the
//! worker's transaction must have ended, too.
//!
//! Invariant: every wait has a bound; a replica that does not get there is late, not different.
//!
//! Refused: waiting for a heartbeat. Reading must not depend on anybody who writes one.

use std::time::{Duration, Instant};

use tandem_core::config::Config;
use tandem_core::model::Lsn;
use tokio::time::sleep;
use tokio_postgres::Row;

use super::side::Side;
use crate::connect::Target;
use crate::error::Error;
use crate::names::Names;
use crate::session::{Session, Values};

/// One question about positions.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Between logging a commit and showing it lie microseconds, on a starved machine some milliseconds.
/// Whoever holds a transaction open for longer than this is not about to commit what was already shown.
const IN_FLIGHT_MAX: Duration = Duration::from_secs(5);

/// Log that no commit has pushed to disk for this long gets a push: an idle server would flush the
/// tail only with its next periodic record (15 s), and nothing beyond the flushed log is sent.
const UNFLUSHED_MAX: Duration = Duration::from_millis(300);

/// After a wait that ran out, the next ones only look whether the replica has come back.
const IMPATIENT: Duration = Duration::from_secs(1);

const IN_FLIGHT_SQL: &str =
    "SELECT coalesce(array_agg(DISTINCT transactionid::text), '{}') FROM pg_locks
    WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted";

const WORKER_SQL: &str = "SELECT coalesce(array_agg(DISTINCT l.transactionid::text), '{}')
    FROM pg_locks l JOIN pg_stat_subscription w ON w.pid = l.pid
   WHERE w.subname = $1::text AND l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted";

/// Positions of both sites.
pub(super) struct Barrier {
    replica: Session,
    subscription: String,
    wait_max: Duration,
    patience: Duration,
    /// Transactions that stayed open at the primary for longer than [`IN_FLIGHT_MAX`].
    known_open: Vec<String>,
}

impl Barrier {
    /// `applied_to` is lent to the agent's role only, so it logs in for this question.
    pub(super) async fn open(
        config: &Config,
        names: &Names,
        wait_max: Duration,
    ) -> Result<Self, Error> {
        let options = "-c default_transaction_read_only=on -c statement_timeout=10000 -c search_path=pg_catalog";
        let replica = Target::agent(config, names.site)?
            .with_options(options)
            .open()
            .await?;
        Ok(Self {
            replica,
            subscription: names.subscription.clone(),
            wait_max,
            patience: wait_max,
            known_open: Vec::new(),
        })
    }

    /// Waits until the replica shows every commit that any earlier look at the primary saw.
    pub(super) async fn replica_has_all(&mut self, primary: &Side) -> Result<bool, Error> {
        let begun = Instant::now();
        let goal = insert_position(primary).await?;
        let mut pause = Duration::from_millis(2);
        let mut pushed = false;
        while !self.has_applied(goal).await? {
            if begun.elapsed() > self.patience {
                self.patience = IMPATIENT.min(self.wait_max);
                return Ok(false);
            }
            if !pushed && begun.elapsed() > UNFLUSHED_MAX {
                push_log(primary, goal).await?;
                pushed = true;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        self.patience = self.wait_max;
        Ok(true)
    }

    /// Whether the connection is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.replica.is_closed()
    }

    async fn has_applied(&self, goal: Lsn) -> Result<bool, Error> {
        let sql = include_str!("../sql/verify-position.sql");
        let row = self.ask("position", sql).await?;
        let (applied, received) = (position(&row, 0)?, position(&row, 1)?);
        if received >= Some(goal) {
            return Ok(true);
        }
        Ok(applied >= Some(goal) && self.worker_is_done().await?)
    }

    /// Whether the transaction that moved the applied position has ended, too.
    async fn worker_is_done(&self) -> Result<bool, Error> {
        let begun = Instant::now();
        let first: Vec<String> = self.ask("worker", WORKER_SQL).await?.get(0);
        let mut running = first.clone();
        while running.iter().any(|xid| first.contains(xid)) {
            if begun.elapsed() > self.patience {
                return Ok(false);
            }
            sleep(Duration::from_millis(2)).await;
            running = self.ask("worker", WORKER_SQL).await?.get(0);
        }
        Ok(true)
    }

    async fn ask(&self, what: &'static str, sql: &'static str) -> Result<Row, Error> {
        let values: Values<'_> = &[&self.subscription];
        self.replica.row(what, CALL_LIMIT, sql, values).await
    }

    /// Waits until the primary shows every commit that any earlier look at the replica saw.
    pub(super) async fn primary_shows_all(&mut self, primary: &Side) -> Result<(), Error> {
        let begun = Instant::now();
        let mut waiting = in_flight(primary).await?;
        waiting.retain(|xid| !self.known_open.contains(xid));
        while !waiting.is_empty() && begun.elapsed() < IN_FLIGHT_MAX {
            sleep(Duration::from_millis(1)).await;
            let now = in_flight(primary).await?;
            waiting.retain(|xid| now.contains(xid));
        }
        self.known_open.extend(waiting);
        Ok(())
    }
}

/// Behind every commit that is visible now, flushed or not.
async fn insert_position(primary: &Side) -> Result<Lsn, Error> {
    let rows = primary
        .query("position", "SELECT pg_current_wal_insert_lsn()::text", &[])
        .await?;
    let found = rows
        .first()
        .map(|row| position(row, 0))
        .transpose()?
        .flatten();
    found.ok_or(Error::Malformed {
        what: "position",
        text: "no row".into(),
    })
}

/// Taking a transaction number writes nothing, and makes the server flush its log soon.
async fn push_log(primary: &Side, goal: Lsn) -> Result<(), Error> {
    let sql = "SELECT CASE WHEN pg_current_wal_flush_lsn() < ($1::text)::pg_lsn THEN pg_current_xact_id()::text END";
    primary
        .query("push of the log", sql, &[&goal.to_string()])
        .await
        .map(drop)
}

async fn in_flight(primary: &Side) -> Result<Vec<String>, Error> {
    let rows = primary
        .query("transactions in flight", IN_FLIGHT_SQL, &[])
        .await?;
    Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
}

fn position(row: &Row, column: usize) -> Result<Option<Lsn>, Error> {
    let text: Option<String> = row.get(column);
    let parse = |text: String| {
        text.parse().map_err(|_| Error::Malformed {
            what: "position",
            text,
        })
    };
    text.map(parse).transpose()
}
