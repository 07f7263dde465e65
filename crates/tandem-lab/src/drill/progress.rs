//! What a person sees while a drill runs.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_core::drill::{Origin, Request};
use tandem_core::model::Mono;

/// One thing to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// What is done or waited for now, and why.
    Phase(String),
    /// A fault was injected.
    Fault(String),
    /// A look after the load.
    Finding(bool, String),
    /// The load, a few times a second.
    Live(Live),
}

/// The load in one line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    /// Seconds from the first fault; negative before it.
    pub at_s: f64,
    /// Seconds until the load ends.
    pub left_s: f64,
    /// Requests that ended in the last second.
    pub per_s: usize,
    /// Of these, failed.
    pub failed_per_s: usize,
    /// All that failed so far.
    pub failed: usize,
    /// Who can write.
    pub writer: Option<Origin>,
}

impl std::fmt::Display for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let writer = self
            .writer
            .map_or("nobody known".to_owned(), |writer| writer.to_string());
        write!(
            f,
            "{:+6.1} s | {:4} requests/s | {:3} errors/s | {:5} failed so far | writer {writer} | {:.0} s left",
            self.at_s, self.per_s, self.failed_per_s, self.failed, self.left_s
        )
    }
}

/// Where progress goes.
pub type Tell<'a> = &'a (dyn Fn(&Progress) + Sync);

/// Counts what ended in the last second.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    recent: VecDeque<(Mono, bool)>,
    failed: usize,
}

impl Meter {
    pub(crate) fn take(&mut self, requests: &[Request], now: Mono) {
        for request in requests {
            let good = request.succeeded();
            self.failed += usize::from(!good);
            self.recent.push_back((request.ended(), good));
        }
        let old = now.before(Duration::from_secs(1));
        self.recent.retain(|(ended, _)| *ended > old);
    }

    pub(crate) fn live(&self) -> Live {
        Live {
            per_s: self.recent.len(),
            failed_per_s: self.recent.iter().filter(|(_, good)| !good).count(),
            failed: self.failed,
            ..Live::default()
        }
    }
}
