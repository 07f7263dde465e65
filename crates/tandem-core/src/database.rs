//! What an agent saw of its own site's PostgreSQL, and what the planner may ask of it.
//!
//! The types stand here, between the planner that decides on them and
//! `tandem-postgres` that fills and executes them with SQL.

use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::model::{Epoch, Lsn, SiteId};

/// One look at the site's own database. Absent parts could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSeen {
    /// The in-database guard's lease row of this site.
    pub guard: Option<GuardSeen>,
    /// The subscription that feeds this site, if there is one.
    pub subscription: Option<SubscriptionSeen>,
    /// The logical slot that the other site reads, if there is one.
    pub slot: Option<SlotSeen>,
    /// The newest heartbeat of the other site that was applied here.
    pub applied: Option<Heartbeat>,
    /// Fingerprint of the published tables' shape; equal on both sites when their schemas are.
    pub schema_hash: Option<String>,
    /// The highest epoch for which this database finished its preparation for opening
    /// (boundary recorded, sequences advanced, reverse publication and slot made).
    pub prepared: Option<Prepared>,
    /// This site was open for writes since it last received: it follows again only after it was
    /// reinstated.
    #[serde(default)]
    pub diverged: bool,
    /// Transactions of this site that the other one never got, as an unfinished reinstatement
    /// found them; a named person says what becomes of them.
    #[serde(default)]
    pub lost: Option<u32>,
    /// This site follows again, and something of its way back is still to be tidied up: the old
    /// slot, the lent powers.
    #[serde(default)]
    pub unfinished: bool,
    /// A promotion here whose ledger of lost writes is not written yet.
    #[serde(default)]
    pub ledger_due: Option<Epoch>,
    /// The oldest ledger here whose rows were kept as long as they may be
    /// (`database.ledger_keep_days`).
    #[serde(default)]
    pub ledger_expired: Option<Epoch>,
}

/// How far a reinstatement may change the rows of an old primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// Not at all: it follows again only if nothing was lost.
    Attach,
    /// The lost tail is undone, key by key; a named person asked.
    Repair,
    /// Every table is emptied and copied again; a named person asked.
    Copy,
}

/// The self-expiring lease row that the guard's triggers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardSeen {
    /// The epoch that the row was last armed for.
    pub epoch: Epoch,
    /// How long it still lets application writes pass, by the database's own clock, in
    /// milliseconds; 0 = closed (expired, or the server restarted since).
    pub remaining_ms: u64,
}

/// The subscription that feeds this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionSeen {
    /// Not disabled.
    pub enabled: bool,
    /// An apply worker runs.
    pub worker: bool,
    /// Tables whose initial copy has finished.
    pub tables_ready: u32,
    /// Tables in the subscription.
    pub tables_total: u32,
    /// Position up to which the publisher's commits are applied here (origin's `remote_lsn`).
    pub origin: Option<Lsn>,
    /// End of the publisher's log as the worker last heard it, having applied every commit before.
    #[serde(default)]
    pub received: Option<Lsn>,
    /// Errors while applying, since statistics were reset.
    pub apply_errors: u64,
}

/// The logical slot that the other site reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotSeen {
    /// A receiver is connected.
    pub active: bool,
    /// The server removed WAL that the slot still needs.
    pub lost: bool,
    /// Bytes between the newest WAL and what the receiver confirmed.
    pub behind_bytes: u64,
    /// Bytes that may still be written before the slot is lost; absent without a cap.
    pub headroom_bytes: Option<u64>,
}

/// A heartbeat row as it arrived through replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The site that wrote it.
    pub site: SiteId,
    /// The epoch in which it was written.
    pub epoch: Epoch,
    /// Its number, rising by one.
    pub seq: u64,
}

/// A finished preparation for opening this database to writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The epoch that it was made for.
    pub epoch: Epoch,
    /// The last position of the old primary that was applied here: everything above it is lost.
    pub boundary: Lsn,
}
