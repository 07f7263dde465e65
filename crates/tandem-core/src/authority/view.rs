//! What one agent knows about the right to write, and for how long.
//!
//! Call order: `handle_reading` with every answered linearizable read,
//! `handle_committed` with every transaction that is known to have committed
//! (after a lost reply: read again, never renew blind), then the getters.
//! Times are boot-time readings of this process only.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::promise::{Denial, Question};
use super::{Exposure, Identity, Phase, Record};
use crate::config::AuthorityPolicy;
use crate::model::{Epoch, Mono, SiteId};

/// What an agent keeps on disk, written before it acts on what it read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The cluster and the life of its store.
    pub identity: Identity,
    /// The highest revision seen.
    pub revision: u64,
    /// The highest epoch seen.
    pub epoch: Epoch,
}

/// Why a reading is not believed. A refused store is never an expired right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another cluster, or another life of the store.
    #[error("the store belongs to another cluster or was rebuilt")]
    Stranger,
    /// The store is behind what this agent saw: it was restored from an old copy.
    #[error("the store is behind this agent's memory: it was restored from an older copy")]
    Behind,
    /// A newer build wrote the record.
    #[error("the record has version {0}, this build reads up to {expected}", expected = super::RECORD_VERSION)]
    Version(u32),
}

/// The right that this agent itself renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The epoch it holds for.
    pub epoch: Epoch,
    /// The clock before the renewal was sent.
    pub sent: Mono,
    /// Past it, no session of this site may be served on the strength of this hold.
    pub deadline: Mono,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    record: Record,
    revision: u64,
    pub(super) arrived: Mono,
    counted: Duration,
    /// The count goes on from here at the next reading.
    pub(super) count_from: Mono,
    exposure_since: Mono,
    epoch_since: Mono,
}

/// One agent's view of the right to write.
#[derive(Debug, Clone)]
pub struct Authority {
    site: SiteId,
    timing: AuthorityPolicy,
    started: Mono,
    memory: Option<Memory>,
    pub(super) present: Option<Present>,
    pub(super) hold: Option<Hold>,
    /// When this agent promised last.
    promised: Option<Mono>,
    /// The newest epoch read as `open` since the start and since the last promise (C8).
    pub(super) open_seen: Option<Epoch>,
}

impl Authority {
    /// A view that knows only what was on disk. `started` is the process's own start.
    pub fn new(
        site: SiteId,
        timing: AuthorityPolicy,
        memory: Option<Memory>,
        started: Mono,
    ) -> Self {
        Self {
            site,
            timing,
            started,
            memory,
            present: None,
            hold: None,
            promised: None,
            open_seen: None,
        }
    }

    /// Takes an answered linearizable read that arrived at `arrived`.
    ///
    /// A taker's count starts at the *arrival* of the answer that first showed the
    /// present revision (C1), and each further answer adds at most `cut`, so that a clock that
    /// jumps once ends the count no earlier than the margin that the holder leaves (C13).
    ///
    /// # Errors
    /// [`Refusal`] if the store is not the one this agent knows, or is behind it.
    pub fn handle_reading(
        &mut self,
        arrived: Mono,
        record: &Record,
        revision: u64,
    ) -> Result<(), Refusal> {
        self.check(record, revision)?;
        let counted = self.counted_with(arrived, revision);
        self.remember(record, revision);
        self.show(arrived, record, revision, counted);
        Ok(())
    }

    /// Takes a transaction of ours that committed; `sent` is the clock before sending it.
    ///
    /// # Errors
    /// As [`Self::handle_reading`].
    pub fn handle_committed(
        &mut self,
        sent: Mono,
        arrived: Mono,
        record: &Record,
        revision: u64,
    ) -> Result<(), Refusal> {
        self.handle_reading(arrived, record, revision)?;
        if record.site == self.site {
            let sent = if off!(HoldFromArrival) { arrived } else { sent };
            let deadline = sent.after(self.hold_for());
            self.hold = Some(Hold {
                epoch: record.epoch,
                sent,
                deadline,
            });
        }
        Ok(())
    }

    /// How long a renewal holds, counted from before its sending.
    fn hold_for(&self) -> Duration {
        if off!(NoMargin) {
            return self.timing.ttl();
        }
        self.timing.hold()
    }

    fn check(&self, record: &Record, revision: u64) -> Result<(), Refusal> {
        if !(1..=super::RECORD_VERSION).contains(&record.version) {
            return Err(Refusal::Version(record.version));
        }
        match &self.memory {
            Some(memory) if memory.identity != record.identity && !off!(BelieveStranger) => {
                Err(Refusal::Stranger)
            }
            Some(_) if off!(BelieveStranger) || off!(BelieveOlderStore) => Ok(()),
            Some(memory) if revision < memory.revision || record.epoch < memory.epoch => {
                Err(Refusal::Behind)
            }
            _ => Ok(()),
        }
    }

    fn counted_with(&self, arrived: Mono, revision: u64) -> Duration {
        match &self.present {
            Some(present) if present.revision == revision => {
                let step_max = if off!(StepUnbounded) {
                    Duration::MAX
                } else {
                    self.timing.cut()
                };
                present.counted + arrived.since(present.count_from).min(step_max)
            }
            _ => Duration::ZERO,
        }
    }

    fn remember(&mut self, record: &Record, revision: u64) {
        let identity = record.identity.clone();
        self.memory = Some(Memory {
            identity,
            revision,
            epoch: record.epoch,
        });
    }

    fn show(&mut self, arrived: Mono, record: &Record, revision: u64, counted: Duration) {
        let previous = self.present.as_ref();
        let same_epoch = previous.filter(|present| present.record.epoch == record.epoch);
        let epoch_since = same_epoch.map_or(arrived, |present| present.epoch_since);
        let exposure_since = same_epoch
            .filter(|present| present.record.exposure == record.exposure)
            .map_or(arrived, |present| present.exposure_since);
        let moved = self.hold.is_some_and(|hold| hold.epoch != record.epoch);
        if (record.site != self.site || moved) && !off!(HoldOutlivesRecord) {
            self.hold = None;
        }
        if record.phase == Phase::Open {
            self.open_seen = Some(record.epoch);
        }
        let record = record.clone();
        self.present = Some(Present {
            record,
            revision,
            arrived,
            counted,
            count_from: arrived,
            exposure_since,
            epoch_since,
        });
    }

    /// Answers the question of the other site's agent, and is bound by the answer.
    ///
    /// `registered`: the store holds this agent's incarnation, so that no twin of its name can
    /// claim. `taking_over`: a named person asked this site to take over.
    ///
    /// # Errors
    /// [`Denial`]; then nothing was promised.
    pub fn handle_question(
        &mut self,
        now: Mono,
        question: &Question,
        registered: bool,
        taking_over: bool,
    ) -> Result<(), Denial> {
        self.may_promise(now, question, registered, taking_over)?;
        self.promised = Some(now);
        self.open_seen = None;
        // The count begins anew, so that a clock that jumps cannot end the promise early (C13).
        if let Some(present) = &mut self.present {
            present.counted = Duration::ZERO;
            present.count_from = now;
        }
        Ok(())
    }

    fn may_promise(
        &self,
        now: Mono,
        question: &Question,
        registered: bool,
        taking_over: bool,
    ) -> Result<(), Denial> {
        let (Some(memory), Some(present)) = (&self.memory, &self.present) else {
            return Err(Denial::StoreNotRead);
        };
        let checks = [
            (self.start_wait_left(now).is_zero(), Denial::StartedLately),
            (registered, Denial::NotRegistered),
            (question.identity == memory.identity, Denial::Stranger),
            (
                question.epoch >= memory.epoch || off!(PromiseForOldEpoch),
                Denial::OldEpoch,
            ),
            (
                question.epoch > present.record.epoch || present.record.phase == Phase::Open,
                Denial::NotOpen,
            ),
            (
                question.site != self.site && present.record.site != self.site,
                Denial::OwnSite,
            ),
            (!taking_over, Denial::TakeoverRequested),
        ];
        let denied = checks.into_iter().find(|(holds, _)| !holds);
        denied.map_or(Ok(()), |(_, denial)| Err(denial))
    }

    /// Takes a complete round of promises for `epoch`: the right goes on from `sent`, the clock
    /// before asking (C5).
    ///
    /// False if this agent does not know its own site as open in that epoch, since then there is
    /// nothing to go on with.
    pub fn handle_promised(&mut self, sent: Mono, epoch: Epoch) -> bool {
        let open = self.present.as_ref().is_some_and(|present| {
            let record = &present.record;
            (record.site, record.epoch, record.phase) == (self.site, epoch, Phase::Open)
        });
        if open {
            let deadline = sent.after(self.timing.hold());
            let held = self.hold.filter(|hold| hold.deadline >= deadline);
            self.hold = held.or(Some(Hold {
                epoch,
                sent,
                deadline,
            }));
        }
        open
    }

    /// What is left of the ttl in which a promise forbids claiming and opening (C6).
    pub fn promise_left(&self, now: Mono) -> Duration {
        let promised = self.promised.filter(|_| !off!(PromiseForgotten));
        promised.map_or(Duration::ZERO, |promised| {
            self.timing.ttl().saturating_sub(now.since(promised))
        })
    }

    /// Whether `epoch` was read as `open` since this agent's start and its last promise: only
    /// then does a fence of that epoch bind everybody who could still write in it (C8).
    pub fn saw_open(&self, epoch: Epoch) -> bool {
        self.open_seen == Some(epoch) || off!(FenceWithoutOpen)
    }

    /// How long this agent has counted on the present revision.
    pub fn counted(&self) -> Duration {
        self.present
            .as_ref()
            .map_or(Duration::ZERO, |present| present.counted)
    }

    /// How long this agent has run.
    pub fn running_for(&self, now: Mono) -> Duration {
        now.since(self.started)
    }

    /// The present record and its revision, if the store was read since the start.
    pub fn present(&self) -> Option<(&Record, u64)> {
        self.present
            .as_ref()
            .map(|present| (&present.record, present.revision))
    }

    /// What must be on disk before anything is done with the present record.
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    /// The right that this agent itself renewed, even if its deadline has passed.
    pub fn hold(&self) -> Option<Hold> {
        self.hold
    }

    /// Until when this site's write sessions may be served, as far as authority goes.
    pub fn open_until(&self) -> Option<Mono> {
        let open = self.present.as_ref()?.record.phase == Phase::Open || off!(ServeWhileClaimed);
        self.hold.filter(|_| open).map(|hold| hold.deadline)
    }

    /// Whether the store was read within two renewal periods.
    pub fn is_fresh(&self, now: Mono) -> bool {
        let fresh_max = self.timing.renew() * 2;
        self.present
            .as_ref()
            .is_some_and(|present| now.since(present.arrived) <= fresh_max)
    }

    /// What is left of the count after which the present right has certainly ended;
    /// `None` while the store has not been read.
    pub fn expiry_left(&self) -> Option<Duration> {
        self.present
            .as_ref()
            .map(|present| self.timing.ttl().saturating_sub(present.counted))
    }

    /// A moment at which the present right had certainly ended; `None` while it may go on.
    ///
    /// The count never runs ahead of the clock, so the moment lies at or after a full ttl from
    /// the arrival that first showed the present revision.
    pub fn expired_since(&self) -> Option<Mono> {
        let present = self.present.as_ref()?;
        let over = present.counted.checked_sub(self.timing.ttl())?;
        Some(present.count_from.before(over))
    }

    /// Whether the present right has certainly ended, by a fresh reading.
    pub fn is_expired(&self, now: Mono) -> bool {
        let ended = self.expiry_left() == Some(Duration::ZERO) || off!(ClaimBeforeExpiry);
        self.is_fresh(now) && ended
    }

    /// What is left of the first ttl after the start, in which an agent neither claims nor opens:
    /// it may have forgotten what it did before (C6, C7).
    pub fn start_wait_left(&self, now: Mono) -> Duration {
        let wait = self.timing.ttl().saturating_sub(now.since(self.started));
        if off!(NoStartWait) {
            return Duration::ZERO;
        }
        wait
    }

    /// How long this agent has known the present exposure in the present epoch.
    pub fn exposure_known_for(&self, now: Mono) -> Duration {
        self.present
            .as_ref()
            .map_or(Duration::ZERO, |present| now.since(present.exposure_since))
    }

    /// How long this agent has known the present epoch.
    pub fn epoch_known_for(&self, now: Mono) -> Duration {
        self.present
            .as_ref()
            .map_or(Duration::ZERO, |present| now.since(present.epoch_since))
    }

    /// Whether every deadline that was given out under an earlier exposure has passed: a full ttl
    /// after *this agent learned* the present one (the argument of C2).
    pub fn earlier_exposure_ended(&self, now: Mono) -> bool {
        self.exposure_known_for(now) >= self.timing.ttl() || off!(BoundAtOnce)
    }

    /// The exposure under which a gate may be told its remaining time now.
    pub fn exposure(&self) -> Option<Exposure> {
        self.present.as_ref().map(|present| present.record.exposure)
    }
}

#[cfg(test)]
mod tests;
