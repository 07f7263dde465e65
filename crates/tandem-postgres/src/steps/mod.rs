//! Steps that an administrator's command takes at both servers: shown first, then taken.
//!
//! A step says where it acts, what for, its SQL without secrets, which lock it takes and for how
//! long, so that a dry run is the whole truth about what applications will feel.
//!
//! Invariant: `sql` is what runs, except where a password must be filled in; then it holds a
//! mark in its place. Refused: a script to be piped into psql; it could not wait for locks politely.

mod execute;
mod patience;
mod schema;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tandem_core::model::SiteId;

pub(crate) use execute::{Executor, STEP_LIMIT};
pub use patience::{Blocked, Holder, Patience};
pub(crate) use schema::SHOWN as SCHEMA_COPY;

use crate::doctor::Finding;

/// How a command on both servers ended.
#[derive(Debug)]
pub enum Outcome {
    /// Preconditions are not met; nothing was changed.
    Refused(Vec<Finding>),
    /// A dry run: these steps would be taken.
    Planned(Vec<Step>),
    /// These steps were taken; none if everything was in place.
    Done(Vec<Step>),
    /// As far as locks allowed: the first were taken, the second never got their lock.
    Partial(Vec<Step>, Vec<Blocked>),
}

impl Outcome {
    pub(crate) fn of(taken: Vec<Step>, blocked: Vec<Blocked>) -> Self {
        if blocked.is_empty() {
            Self::Done(taken)
        } else {
            Self::Partial(taken, blocked)
        }
    }
}

/// One step, done at one site.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where.
    pub site: SiteId,
    /// What, for people.
    pub what: String,
    /// The statements; a mark stands where a password would be.
    pub sql: String,
    /// The lock on a table of the application, if it needs one.
    pub lock: Option<Lock>,
    /// How long it lasts once it has begun.
    pub lasts: String,
    #[serde(skip)]
    pub(crate) action: Action,
}

/// A lock on one table, held until the step's transaction ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// The table, as SQL writes it.
    pub table: String,
    /// How strong it is.
    pub mode: Mode,
    /// What waits behind it while it is held or queued.
    pub blocks: &'static str,
}

/// The strength of a lock, in PostgreSQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// Taken by `ALTER PUBLICATION`.
    #[serde(rename = "SHARE UPDATE EXCLUSIVE")]
    ShareUpdateExclusive,
    /// Taken by `CREATE TRIGGER`.
    #[serde(rename = "SHARE ROW EXCLUSIVE")]
    ShareRowExclusive,
    /// Taken by `DROP TRIGGER`.
    #[serde(rename = "ACCESS EXCLUSIVE")]
    AccessExclusive,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        })
    }
}

impl Mode {
    fn blocks(self) -> &'static str {
        match self {
            Self::ShareUpdateExclusive => "VACUUM and schema changes",
            Self::ShareRowExclusive => "writes",
            Self::AccessExclusive => "reads and writes",
        }
    }

    /// The modes of `pg_locks` that it must wait for.
    fn conflicts(self) -> &'static [&'static str] {
        const ALL: [&str; 8] = [
            "AccessShareLock",
            "RowShareLock",
            "RowExclusiveLock",
            "ShareUpdateExclusiveLock",
            "ShareLock",
            "ShareRowExclusiveLock",
            "ExclusiveLock",
            "AccessExclusiveLock",
        ];
        match self {
            Self::ShareUpdateExclusive => &ALL[3..],
            Self::ShareRowExclusive => &ALL[2..],
            Self::AccessExclusive => &ALL,
        }
    }
}

/// How a step is done.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// The statements as they are shown, in one round trip and one transaction.
    Sql,
    /// A role with the password of a file, read when the step is taken.
    Role {
        name: String,
        exists: bool,
        attributes: String,
        password_file: Option<String>,
    },
    /// The other site's tables, without rows.
    CopySchema,
    /// The subscription and, through it, the slot; the bound of waiting for open transactions.
    Subscribe(Duration),
    /// The subscription's way to its publisher.
    Connect(Way),
    /// Waits until the other site has applied all that was committed here.
    CatchUp,
    /// Waits until nobody reads the slot, then drops it.
    DropSlot(String),
    /// Drops a role unless something else still needs it.
    DropRole(String),
}

/// How a subscription reaches its publisher.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the relays of its own site's agents.
    Relays,
    /// To the server itself.
    Straight,
}

impl Step {
    /// Statements that touch the catalog only.
    pub(crate) fn sql(site: SiteId, what: impl Into<String>, sql: impl Into<String>) -> Self {
        Self::new(site, what, sql, Action::Sql)
    }

    pub(crate) fn new(
        site: SiteId,
        what: impl Into<String>,
        sql: impl Into<String>,
        action: Action,
    ) -> Self {
        Self {
            site,
            what: what.into(),
            sql: sql.into(),
            lock: None,
            lasts: "milliseconds: catalog only".into(),
            action,
        }
    }

    /// The same, needing `mode` on `table` of the application.
    pub(crate) fn locking(mut self, table: &str, mode: Mode) -> Self {
        self.lock = Some(Lock {
            table: table.to_owned(),
            mode,
            blocks: mode.blocks(),
        });
        self
    }

    pub(crate) fn lasting(mut self, lasts: impl Into<String>) -> Self {
        self.lasts = lasts.into();
        self
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.site, self.what)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
