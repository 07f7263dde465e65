//! How old is the newest of our writes that the peer is known to have applied?
//!
//! The primary writes numbered heartbeats; the peer reports the newest one that
//! replication applied there. Its age, counted from *its sending* on our own clock,
//! bounds what a failover can lose (design section 4, rule 7).
//!
//! Invariant: the answer is never younger than the truth. A heartbeat whose sending
//! time was forgotten counts as the next older one that is remembered.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::database::Heartbeat;
use crate::model::{Epoch, Mono};

/// Sent heartbeats that are remembered; at one every 250 ms, more than half a minute.
const SENT_MAX: usize = 128;

/// Follows this agent's own heartbeats until the peer has applied them.
#[derive(Debug, Clone)]
pub struct ExposureWatch {
    epoch: Epoch,
    since: Mono,
    sent: VecDeque<(u64, Mono)>,
    applied_at: Option<Mono>,
}

impl ExposureWatch {
    /// A watch that starts at `now`, with nothing applied yet.
    pub fn new(epoch: Epoch, now: Mono) -> Self {
        Self {
            epoch,
            since: now,
            sent: VecDeque::new(),
            applied_at: None,
        }
    }

    /// The epoch whose heartbeats are followed.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Notes that heartbeat `seq` of `epoch` was sent; `sent` is the clock before sending.
    pub fn handle_sent(&mut self, epoch: Epoch, seq: u64, sent: Mono) {
        if epoch != self.epoch {
            *self = Self::new(epoch, sent);
        }
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((seq, sent));
    }

    /// Notes what the peer reports as applied.
    pub fn handle_applied(&mut self, heartbeat: Heartbeat) {
        if heartbeat.epoch != self.epoch && !off!(BeatsOfAnyEpoch) {
            return;
        }
        while let Some(&(seq, sent)) = self.sent.front() {
            if seq > heartbeat.seq {
                break;
            }
            self.applied_at = Some(sent);
            self.sent.pop_front();
        }
    }

    /// Age of the newest heartbeat known as applied; counted from the watch's own start while
    /// there is none.
    pub fn age(&self, now: Mono) -> Duration {
        now.since(self.applied_at.unwrap_or(self.since))
    }

    /// How long the oldest heartbeat that is not known as applied has been under way.
    pub fn waiting(&self, now: Mono) -> Duration {
        self.sent
            .front()
            .map_or(Duration::ZERO, |(_, sent)| now.since(*sent))
    }

    /// Until when writes may be acknowledged under `bound`; `None` while nothing is known as applied.
    pub fn deadline(&self, bound: Duration) -> Option<Mono> {
        self.applied_at.map(|sent| sent.after(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(4);

    fn at(ms: u64) -> Mono {
        Mono(ms * 1000)
    }

    fn applied(epoch: u64, seq: u64) -> Heartbeat {
        Heartbeat {
            site: "aws".parse().unwrap(),
            epoch: Epoch(epoch),
            seq,
        }
    }

    #[test]
    fn the_age_counts_from_the_sending_of_the_newest_applied() {
        let mut watch = ExposureWatch::new(Epoch(1), at(0));
        for seq in 10..20 {
            watch.handle_sent(Epoch(1), seq, at(seq * 100));
        }
        assert_eq!(watch.deadline(BOUND), None);
        watch.handle_applied(applied(1, 15));
        assert_eq!(watch.deadline(BOUND), Some(at(5500)));
        assert_eq!(watch.age(at(2000)), Duration::from_millis(500));
        assert_eq!(watch.waiting(at(2000)), Duration::from_millis(400));
    }

    #[test]
    fn a_sibling_heartbeat_in_between_proves_only_the_older_own_one() {
        let mut watch = ExposureWatch::new(Epoch(1), at(0));
        watch.handle_sent(Epoch(1), 3, at(300));
        watch.handle_sent(Epoch(1), 5, at(500));
        watch.handle_applied(applied(1, 4));
        assert_eq!(watch.deadline(BOUND), Some(at(4300)));
    }

    #[test]
    fn another_epoch_proves_nothing() {
        let mut watch = ExposureWatch::new(Epoch(1), at(0));
        watch.handle_sent(Epoch(1), 3, at(300));
        watch.handle_applied(applied(2, 9));
        assert_eq!(watch.deadline(BOUND), None);
        watch.handle_sent(Epoch(2), 4, at(900));
        watch.handle_applied(applied(1, 9));
        assert_eq!(watch.deadline(BOUND), None);
        assert_eq!(watch.epoch(), Epoch(2));
    }

    #[test]
    fn an_older_report_never_makes_it_younger_or_older() {
        let mut watch = ExposureWatch::new(Epoch(1), at(0));
        watch.handle_sent(Epoch(1), 1, at(100));
        watch.handle_sent(Epoch(1), 2, at(200));
        watch.handle_applied(applied(1, 2));
        watch.handle_applied(applied(1, 1));
        assert_eq!(watch.deadline(BOUND), Some(at(4200)));
    }
}
