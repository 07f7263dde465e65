//! An agent dies in the middle of its own work.
//!
//! Intuition: a surgeon faints at a chosen stitch; another takes over, or the same one goes on
//! when awake again. The stitch is chosen by what the agent itself has just written down, so that
//! nothing in the product knows of drills.
//! Invariant: every moment of the list is reached in a series of as many runs.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::SiteId;

/// The longest time that a killed agent stays away.
pub const AWAY_MS_MAX: u64 = 60_000;

/// While a step of a drill is carried out, the agent that first says the words is killed
/// (kill -9), and started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// How long the agent stays away, in milliseconds.
    pub away_ms: u64,
    /// Run number n takes the n-th, and from the first again after the last.
    pub at: Vec<Moment>,
}

/// What an agent has just written into its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The agents of this site.
    pub site: SiteId,
    /// A part of a line.
    pub says: String,
}

impl Crash {
    /// The moment of run number `run`, counted from 1.
    ///
    /// # Panics
    /// If the list is empty, which [`Drill::checked`](super::Drill::checked) refuses.
    pub fn moment(&self, run: u32) -> &Moment {
        let index = usize::try_from(run.saturating_sub(1)).unwrap_or(0);
        &self.at[index % self.at.len()]
    }

    /// How long the agent stays away.
    pub fn away(&self) -> Duration {
        Duration::from_millis(self.away_ms)
    }

    /// Broken rules, each as one sentence.
    pub(super) fn faults(&self) -> Vec<String> {
        let silent = self.at.iter().any(|moment| moment.says.trim().is_empty());
        let rules = [
            (
                !self.at.is_empty(),
                "crash.at: name at least one moment".into(),
            ),
            (!silent, "crash.at: `says` must not be empty".into()),
            (
                self.away_ms <= AWAY_MS_MAX,
                format!("crash.away_ms: write 0 to {AWAY_MS_MAX}"),
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, fault)| fault).collect()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an agent of {} says `{}`", self.site, self.says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_reaches_every_moment_and_begins_again() {
        let moment = |says: &str| Moment {
            site: "aws".parse().unwrap(),
            says: says.into(),
        };
        let crash = Crash {
            away_ms: 2_000,
            at: ["one", "two", "three"].map(moment).into(),
        };
        let said: Vec<&str> = (1..=4).map(|run| &*crash.moment(run).says).collect();
        assert_eq!(said, ["one", "two", "three", "one"]);
        assert!(crash.faults().is_empty());
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let crash = Crash {
            away_ms: AWAY_MS_MAX + 1,
            at: Vec::new(),
        };
        assert_eq!(crash.faults().len(), 2);
    }
}
