//! A view of the right to write with every moment as a distance to now.
//!
//! Invariant: two views of equal standing decide alike for ever, whatever their clocks show. A
//! search over all schedules tells by it that two states are one.

use core::time::Duration;

use super::{Authority, Memory, Record};
use crate::model::{Epoch, Mono};

/// See [`Authority::standing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// What is, or should be, on disk.
    pub memory: Option<&'a Memory>,
    /// The present record and its revision.
    pub present: Option<(&'a Record, u64)>,
    /// How long ago the present record was read last.
    pub read: Duration,
    /// The count on the present revision, as of the last reading or promise.
    pub counted: Duration,
    /// How long ago that was.
    pub count_from: Duration,
    /// How long the present epoch is known.
    pub epoch_known: Duration,
    /// How long the present exposure is known.
    pub exposure_known: Duration,
    /// The own hold: its epoch, how long ago it was sent for, how long it still lasts.
    pub hold: Option<(Epoch, Duration, Duration)>,
    /// What is left of the wait after the start.
    pub start_wait: Duration,
    /// What is left of a promise.
    pub promise: Duration,
    /// The epoch that was read as open since the start and the last promise.
    pub open_seen: Option<Epoch>,
}

impl Authority {
    /// Everything that this view knows, as seen at `now`.
    pub fn standing(&self, now: Mono) -> Standing<'_> {
        let present = self.present.as_ref();
        let age = |moment: Option<Mono>| moment.map_or(Duration::ZERO, |moment| now.since(moment));
        let hold = self
            .hold
            .map(|hold| (hold.epoch, now.since(hold.sent), now.until(hold.deadline)));
        Standing {
            memory: self.memory(),
            present: self.present(),
            read: age(present.map(|present| present.arrived)),
            counted: self.counted(),
            count_from: age(present.map(|present| present.count_from)),
            epoch_known: self.epoch_known_for(now),
            exposure_known: self.exposure_known_for(now),
            hold,
            start_wait: self.start_wait_left(now),
            promise: self.promise_left(now),
            open_seen: self.open_seen,
        }
    }
}
