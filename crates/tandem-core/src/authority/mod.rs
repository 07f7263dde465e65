//! The right to write: one record, renewed by compare-and-set, counted by clocks.
//!
//! Intuition: a torch that burns for `ttl`. The holder re-lights it every
//! `renew` and drops it a little *before* it could have gone out; whoever wants
//! to take over watches the same flame for a full `ttl` on an own clock. Nobody
//! compares clocks, so nobody needs synchronised ones.
//!
//! Invariant (I1): the holder's deadline ends before any taker's count can.
//! Refused: leases of the store. A stale leader answers keep-alives without a
//! quorum (etcd #15247), which made two writers for 2.65 s when measured.

mod exposure;
pub mod promise;
mod standing;
mod view;

use serde::{Deserialize, Serialize};

use crate::model::{Epoch, Name, SiteId};

pub use exposure::ExposureWatch;
pub use standing::Standing;
pub use view::{Authority, Hold, Memory, Refusal};

/// The newest version of [`Record`] that this build reads; it reads every older one too.
///
/// 1: phases `claimed` and `open`. 2: `switching` and `fenced` with their fence.
/// A build writes the version that the record has, until every agent of the policy publishes
/// that it reads a newer one.
pub const RECORD_VERSION: u32 = 2;

/// The first version that knows the phases of a switchover.
pub const SWITCHOVER_VERSION: u32 = 2;

/// The one plain key in the store that says who may write.
///
/// Every transaction compares the key's revision *and* this exact value, so a
/// rebuilt store that counts revisions anew cannot be overwritten by an old renewal (C12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of the record's shape.
    pub version: u32,
    /// Which cluster and which life of its store this is.
    pub identity: Identity,
    /// The site that holds or claims the right to write.
    pub site: SiteId,
    /// The epoch of that right.
    pub epoch: Epoch,
    /// How far the holder has come.
    pub phase: Phase,
    /// How much acknowledged work may be unreplicated.
    pub exposure: Exposure,
    /// The last site that was open for writes: the only one that may reclaim (C9).
    pub last_open: LastOpen,
    /// Rises with each renewal.
    pub beat: u64,
    /// How far the source of a switchover wrote; kept while the target claims, absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
}

/// Where the source of a switchover stopped for good.
///
/// The heartbeat of this number is the last commit of its epoch and carries the values of every
/// sequence, so that a target that applied it has everything that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    /// The number of the last heartbeat of the fenced epoch.
    pub barrier: u64,
}

/// A cluster and one life of its store. A store whose majority was lost or
/// restored gets a new `store` (C10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: Name,
    /// Random, made by `tandem init`.
    pub store: Name,
}

/// How far the holder of an epoch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Taken, but no gate and no guard is open yet.
    Claimed,
    /// Written *before* guard and gate open; from here on the other site needs reinstate.
    Open,
    /// A planned change of site has begun: gates and guard of the source close.
    Switching,
    /// The source can acknowledge nothing any more, and said how far it wrote.
    Fenced,
}

/// How much acknowledged work may be missing on the other site (design section 4, rule 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// Writes are acknowledged only while the peer applied a heartbeat younger than the bound.
    Bounded,
    /// The primary goes on without the peer; nothing promotes automatically.
    Unbounded,
    /// On the way back: gates are already held to the bound, but one that was not may still be
    /// open until its deadline passes.
    Returning,
}

/// The last site that was open for writes, and its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastOpen {
    /// The site.
    pub site: SiteId,
    /// Its epoch; 0 if nobody was ever open.
    pub epoch: Epoch,
}

impl Record {
    /// The first record of a new cluster, written by `tandem init` only: claimed, so
    /// that the first primary opens by the ordinary rules.
    pub fn first(identity: Identity, site: SiteId) -> Self {
        Self {
            version: RECORD_VERSION,
            identity,
            site,
            epoch: Epoch(1),
            phase: Phase::Claimed,
            exposure: Exposure::Bounded,
            last_open: LastOpen {
                site,
                epoch: Epoch(0),
            },
            beat: 0,
            fence: None,
        }
    }

    /// The same right, one beat later.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self {
            beat: self.beat + 1,
            ..self.clone()
        }
    }

    /// The next epoch, claimed by `site`. A failover runs without its peer, so its
    /// exposure is unbounded until the peer is back. A taker keeps the fence it acts on, so that
    /// the source knows that it may take back before the claim expires.
    #[must_use]
    pub fn claimed_by(&self, site: SiteId) -> Self {
        let exposure = if self.site == site {
            self.exposure
        } else {
            Exposure::Unbounded
        };
        Self {
            site,
            epoch: self.epoch.next(),
            phase: Phase::Claimed,
            exposure,
            beat: 0,
            fence: self.fence.filter(|_| self.site != site),
            ..self.clone()
        }
    }

    /// The claimed right, opened.
    #[must_use]
    pub fn opened(&self) -> Self {
        let last_open = LastOpen {
            site: self.site,
            epoch: self.epoch,
        };
        Self {
            phase: Phase::Open,
            last_open,
            fence: None,
            ..self.renewed()
        }
    }

    /// The same right with another exposure.
    #[must_use]
    pub fn exposed(&self, exposure: Exposure) -> Self {
        Self {
            exposure,
            ..self.renewed()
        }
    }

    /// The first half of a switchover: this site's gates and guard close.
    #[must_use]
    pub fn switching(&self) -> Self {
        Self {
            phase: Phase::Switching,
            ..self.renewed()
        }
    }

    /// The source has stopped for good at `fence`.
    #[must_use]
    pub fn fenced(&self, fence: Fence) -> Self {
        Self {
            phase: Phase::Fenced,
            fence: Some(fence),
            ..self.renewed()
        }
    }

    /// The same right in the shape of `version`, never an older one.
    #[must_use]
    pub fn in_version(self, version: u32) -> Self {
        Self {
            version: self.version.max(version),
            ..self
        }
    }
}
