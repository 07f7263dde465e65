//! Coordination: a few kilobytes that every site sees the same way.
//!
//! [`Store`] is the seam between the agents and the engine that keeps the
//! authority record. It offers linearizable reads and changes that compare
//! *revision and exact value* in one transaction; it offers no locks and no
//! leases, because a stale etcd leader answers those without a quorum
//! (design section 4, rule 1).
//!
//! Invariant: a caller can always tell "made" ([`Change::Committed`]) from "not
//! made" ([`Change::Conflict`], [`StoreError::Unreachable`],
//! [`StoreError::Refused`]) from "nobody knows" ([`StoreError::Unknown`]).
//! After the last one it reads again; it never renews blind.

mod etcd;
mod memory;

pub use etcd::{Etcd, Member, Timing, Tls};
pub use memory::{Faults, Memory};

use std::time::Duration;

use async_trait::async_trait;
use tandem_core::model::SiteId;

/// The most entries that one [`Store::read_prefix`] returns. The store holds a handful of
/// keys per agent; more than this means that a stranger writes under our prefix.
pub const PREFIX_ENTRIES_MAX: usize = 1_000;

/// A value and the revision of the store at which it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The exact text, compared byte by byte.
    pub value: String,
    /// The store's revision of the last change of this key; rises with every change.
    pub mod_revision: u64,
}

/// One key of a [`Store::read_prefix`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// What it holds.
    pub versioned: Versioned,
}

/// The definite answer to a conditional change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The change was made.
    Committed {
        /// The key's new `mod_revision`.
        revision: u64,
    },
    /// The change was not made and never will be: the key holds something else.
    Conflict {
        /// What it held at that moment; `None` if it was absent.
        current: Option<Versioned>,
    },
}

/// Why there is no definite answer, or no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No member could be reached; nothing was sent, so nothing was changed.
    #[error("no member of the store could be reached")]
    Unreachable,
    /// Something was sent and no answer came: a change may have been made, or may still be.
    #[error("the store did not answer in time, a change may have been made")]
    Unknown,
    /// The store answered that it will not do this; nothing was changed.
    #[error("the store refused: {0}")]
    Refused(String),
}

/// Other keys of a transaction, each with a value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// Must hold exactly this.
    pub holds: &'a [(&'a str, &'a str)],
    /// Are written, whatever they hold.
    pub writes: &'a [(&'a str, &'a str)],
}

/// The coordination store as an agent sees it. Every call ends within the call timeout.
#[async_trait]
pub trait Store: Send + Sync {
    /// Linearizable: sees every change that was committed before the call.
    async fn read(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// Linearizable read of all keys that begin with `prefix`, in key order, at most
    /// [`PREFIX_ENTRIES_MAX`].
    async fn read_prefix(&self, prefix: &str) -> Result<Vec<Entry>, StoreError>;

    /// Writes `key` only if it is absent.
    async fn create(&self, key: &str, value: &str) -> Result<Change, StoreError>;

    /// Writes `key` only if both its `mod_revision` and its exact value are `expected`,
    /// in one transaction. Comparing the value too keeps a renewal meant for one store from
    /// matching a rebuilt one that counts its revisions from low numbers (schedule C12).
    async fn replace(
        &self,
        key: &str,
        expected: &Versioned,
        value: &str,
    ) -> Result<Change, StoreError>;

    /// As [`Store::replace`], with more keys in the same transaction. A conflict whose `current`
    /// equals `expected` means that one of `beside.holds` did not hold.
    async fn replace_with(
        &self,
        key: &str,
        expected: &Versioned,
        beside: Beside<'_>,
        value: &str,
    ) -> Result<Change, StoreError>;

    /// Writes `key` whatever it holds and returns its new revision. For status keys only:
    /// a late repetition may overwrite a newer value.
    async fn put(&self, key: &str, value: &str) -> Result<u64, StoreError>;

    /// Waits at most `bound` until `key` was changed after revision `after`; true if it was. Only
    /// a hint to read: it may be told late, or not at all by a member that is cut off, and it says
    /// nothing of what the key holds. The one call that may last longer than the call timeout.
    async fn wait_for_change(
        &self,
        key: &str,
        after: u64,
        bound: Duration,
    ) -> Result<bool, StoreError>;

    /// The site whose member leads; `None` when no reachable member says that it does.
    async fn leader(&self) -> Result<Option<SiteId>, StoreError>;

    /// Hands leadership to `site`'s member, which must answer. Does nothing if it leads already.
    async fn move_leader_to(&self, site: SiteId) -> Result<(), StoreError>;
}
