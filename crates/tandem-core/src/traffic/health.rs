//! Health of one origin: a few probes in a row decide.
//!
//! Intuition: one cough is no illness, and one good day no cure. Nothing is
//! believed before it was seen: an origin that was never probed counts as down.
//! Invariant: only an active probe that *began after* the last refusal brings an
//! origin back; a passive signal can only take it away.
//! Refused: health that starts as "up". A restarted edge would send traffic to
//! a dead cloud until it finds out.

use core::fmt;

use serde::Serialize;

use crate::model::Mono;
use crate::traffic::model::Monitor;

/// What is believed about an origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not probed yet; counts as down.
    #[default]
    Unknown,
    /// Gets traffic.
    Healthy,
    /// Gets none.
    Unhealthy,
}

/// Why an origin is not healthy, in Cloudflare's manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nobody listens, or the connection was reset.
    ConnectionRefused,
    /// No answer in time.
    Timeout,
    /// The answer ended or broke before it was whole.
    BadAnswer,
    /// A status that is not expected.
    ResponseCode(u16),
    /// The expected text is not in the body.
    ResponseBody,
    /// A client's request could not connect.
    RequestRefused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionRefused => f.write_str("the connection was refused"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::BadAnswer => f.write_str("the answer broke off"),
            Self::ResponseCode(code) => write!(f, "answered {code}"),
            Self::ResponseBody => f.write_str("the expected text is not in the answer"),
            Self::RequestRefused => f.write_str("a request could not connect"),
        }
    }
}

/// How many probes in a row flip an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    up: u32,
    down: u32,
}

impl Thresholds {
    /// The thresholds of a monitor; 0 and 1 behave alike.
    pub fn of(monitor: &Monitor) -> Self {
        Self {
            up: monitor.consecutive_up.max(1),
            down: monitor.consecutive_down.max(1),
        }
    }
}

/// A flip, to be told and acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What was believed before.
    pub before: Status,
    /// What is believed now.
    pub after: Status,
}

/// The health of one origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    status: Status,
    /// Results in a row that speak against `status`.
    against: u32,
    failure: Option<Failure>,
    refused_at: Option<Mono>,
}

impl Health {
    /// What is believed now.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The last failure, while the origin is not healthy.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Takes in the result of an active probe that began at `began`.
    pub fn handle_probe(
        &mut self,
        began: Mono,
        result: Result<(), Failure>,
        thresholds: Thresholds,
    ) -> Option<Change> {
        if self.refused_at.is_some_and(|refused| began <= refused) {
            return None;
        }
        let (seen, needed) = match result {
            Ok(()) => (Status::Healthy, thresholds.up),
            Err(_) => (Status::Unhealthy, thresholds.down),
        };
        if seen == self.status {
            self.against = 0;
        } else {
            self.against = self.against.saturating_add(1);
        }
        // The first probe of all decides alone: there is no belief to defend.
        let decided = self.status == Status::Unknown || self.against >= needed;
        if seen == Status::Unhealthy && (decided || self.status == Status::Unhealthy) {
            self.failure = result.err();
        }
        (seen != self.status && decided).then(|| self.become_now(seen))
    }

    /// Takes in that a client's request could not connect at `now`.
    pub fn handle_refused(&mut self, now: Mono) -> Option<Change> {
        self.refused_at = Some(now);
        self.against = 0;
        self.failure = Some(Failure::RequestRefused);
        (self.status != Status::Unhealthy).then(|| self.become_now(Status::Unhealthy))
    }

    fn become_now(&mut self, after: Status) -> Change {
        let before = core::mem::replace(&mut self.status, after);
        self.against = 0;
        if after == Status::Healthy {
            self.failure = None;
        }
        Change { before, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const DOWN: Result<(), Failure> = Err(Failure::Timeout);

    /// Plays `+` (good probe), `-` (bad probe) and `!` (refused request), one
    /// microsecond apart; prints what is believed after each: u, H, or x.
    fn played(script: &str, up: u32, down: u32) -> alloc::string::String {
        let mut health = Health::default();
        let mut letters = alloc::string::String::new();
        for (at, step) in (1..).zip(script.chars()) {
            let now = Mono(at);
            match step {
                '+' => health.handle_probe(now, Ok(()), Thresholds { up, down }),
                '-' => health.handle_probe(now, DOWN, Thresholds { up, down }),
                _ => health.handle_refused(now),
            };
            letters.push(match health.status() {
                Status::Unknown => 'u',
                Status::Healthy => 'H',
                Status::Unhealthy => 'x',
            });
        }
        letters
    }

    #[test]
    fn rows_of_probes_flip_an_origin() {
        for (script, up, down, expected) in [
            ("+", 2, 2, "H"),
            ("-", 2, 2, "x"),
            ("+-+-+--", 2, 2, "HHHHHHx"),
            ("-+-+-++", 2, 2, "xxxxxxH"),
            ("+-+-", 1, 1, "HxHx"),
            ("+---", 1, 3, "HHHx"),
            ("+!+++", 2, 2, "HxxHH"),
            ("!+", 1, 1, "xH"),
        ] {
            assert_eq!(
                played(script, up, down),
                expected,
                "{script} up {up} down {down}"
            );
        }
    }

    #[test]
    fn a_probe_that_began_before_a_refusal_proves_nothing() {
        let thresholds = Thresholds { up: 1, down: 1 };
        let mut health = Health::default();
        health.handle_probe(Mono(1), Ok(()), thresholds);
        health.handle_refused(Mono(5));
        assert_eq!(health.handle_probe(Mono(4), Ok(()), thresholds), None);
        assert_eq!(health.status(), Status::Unhealthy);
        assert_eq!(health.failure(), Some(Failure::RequestRefused));
        assert!(health.handle_probe(Mono(6), Ok(()), thresholds).is_some());
        assert_eq!(health.failure(), None);
    }

    proptest! {
        /// Against a reference that remembers everything.
        #[test]
        fn the_last_results_decide(results in proptest::collection::vec(any::<bool>(), 1..60),
                                   up in 0_u32..4, down in 0_u32..4) {
            let thresholds = Thresholds { up: up.max(1), down: down.max(1) };
            let mut health = Health::default();
            let mut believed: Option<bool> = None;
            let mut seen: Vec<bool> = Vec::new();
            for (at, good) in (1..).zip(results) {
                health.handle_probe(Mono(at), if good { Ok(()) } else { DOWN }, thresholds);
                seen.push(good);
                let row = seen.iter().rev().take_while(|other| **other == good).count();
                let needed = if good { thresholds.up } else { thresholds.down };
                if believed.is_none() || row >= usize::try_from(needed).expect("small") {
                    believed = Some(good);
                }
                prop_assert_eq!(health.status() == Status::Healthy, believed == Some(true));
                prop_assert_eq!(health.failure().is_some(), believed == Some(false));
            }
        }
    }
}
