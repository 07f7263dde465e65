//! Waiting for locks without making applications wait.
//!
//! A lock request that waits makes every later writer of the table wait behind it. So each attempt
//! ends after a short `lock_timeout`, the next comes after a longer pause, and other tables have
//! their turn meanwhile. A table that never gets its lock is named with who holds it.
//!
//! Invariant: no attempt queues longer than `lock_timeout`; there are `rounds` attempts at most.
//! Refused: ending the session that holds the lock; it is the application's.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tandem_core::model::SiteId;
use tokio_postgres::error::SqlState;

use super::{Lock, Step};
use crate::error::Error;
use crate::session::Session;

/// The longest pause between two rounds.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Asking who holds a lock.
const LIMIT: Duration = Duration::from_secs(5);

/// How locks are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long one attempt may wait, and application traffic behind it.
    pub lock_timeout: Duration,
    /// How many attempts each table gets.
    pub rounds: u32,
}

impl Default for Patience {
    /// One second is less than what clients wait; six attempts take half a minute.
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(1),
            rounds: 6,
        }
    }
}

impl Patience {
    /// The pause after the `round`-th attempt (from 0): the time-out, doubled each time.
    pub(super) fn pause(&self, round: u32) -> Duration {
        let factor = 1_u32.checked_shl(round).unwrap_or(u32::MAX);
        self.lock_timeout.saturating_mul(factor).min(PAUSE_MAX)
    }
}

/// A step that never got its lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// Where.
    pub site: SiteId,
    /// The step.
    pub what: String,
    /// The lock it needs.
    pub lock: Lock,
    /// How often it was tried.
    pub attempts: u32,
    /// Who held the table after the last attempt; none if it was free again.
    pub held_by: Vec<Holder>,
}

/// A session that holds a lock. Never what it runs: a query may hold data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The server process.
    pub pid: i32,
    /// What the session calls itself.
    pub application_name: String,
    /// Its role.
    pub role: String,
    /// `active`, `idle in transaction` ...
    pub state: String,
    /// How long its transaction has been open, in seconds.
    pub open_for_s: i64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` as {} (pid {}, {}, transaction open for {} s)",
            self.application_name, self.role, self.pid, self.state, self.open_for_s
        )
    }
}

impl Blocked {
    /// Whether it is about `step`.
    pub(crate) fn is(&self, step: &Step) -> bool {
        self.site == step.site && self.what == step.what
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lock { table, mode, .. } = &self.lock;
        write!(
            f,
            "{}: {}: no {mode} lock on {table} in {} attempts; ",
            self.site, self.what, self.attempts
        )?;
        if self.held_by.is_empty() {
            return f.write_str("nobody held it afterwards: short transactions follow each other");
        }
        write!(f, "held by {}", list(&self.held_by))
    }
}

pub(super) fn list(holders: &[Holder]) -> String {
    let named: Vec<_> = holders.iter().map(ToString::to_string).collect();
    named.join(", ")
}

/// Whether the attempt ended since somebody else holds a lock.
pub(super) fn is_contention(error: &Error) -> bool {
    let Error::Query { source, .. } = error else {
        return false;
    };
    let waited = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    source.code().is_some_and(|code| waited.contains(code))
}

const HOLDERS: &str = "
    SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, a.backend_type), coalesce(a.state, a.backend_type, ''),
           coalesce(floor(extract(epoch FROM clock_timestamp() - a.xact_start))::bigint, 0)
      FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.granted AND l.pid <> pg_backend_pid() AND l.relation = to_regclass($1::text) AND l.mode = ANY ($2::text[])
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     GROUP BY 1, 2, 3, 4, 5, a.xact_start ORDER BY a.xact_start LIMIT 5";

/// Who holds what `lock` would wait for.
pub(super) async fn holders(session: &Session, lock: &Lock) -> Result<Vec<Holder>, Error> {
    let modes = lock.mode.conflicts();
    let rows = session
        .rows("holders of a lock", LIMIT, HOLDERS, &[&lock.table, &modes])
        .await?;
    Ok(rows.iter().map(holder).collect())
}

const WRITERS: &str = "
    SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, a.backend_type), coalesce(a.state, a.backend_type, ''),
           coalesce(floor(extract(epoch FROM clock_timestamp() - a.xact_start))::bigint, 0)
      FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid() ORDER BY a.xact_start LIMIT 5";

/// Transactions that have written and are still open, oldest first: a new slot waits for them.
pub(super) async fn writers(session: &Session) -> Result<Vec<Holder>, Error> {
    let rows = session
        .rows("open transactions", LIMIT, WRITERS, &[])
        .await?;
    Ok(rows.iter().map(holder).collect())
}

fn holder(row: &tokio_postgres::Row) -> Holder {
    Holder {
        pid: row.get(0),
        application_name: row.get(1),
        role: row.get(2),
        state: row.get(3),
        open_for_s: row.get(4),
    }
}

pub(super) fn blocked(step: &Step, lock: &Lock, attempts: u32, held_by: Vec<Holder>) -> Blocked {
    Blocked {
        site: step.site,
        what: step.what.clone(),
        lock: lock.clone(),
        attempts,
        held_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let patience = Patience::default();
        let pauses: Vec<_> = (0..6)
            .map(|round| patience.pause(round).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        assert_eq!(patience.pause(40), PAUSE_MAX);
    }
}
