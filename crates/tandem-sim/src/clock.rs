//! A machine's clock: its rate is off by a little, and it may be set.
//!
//! True time is the simulator's own; no decision ever sees it.

use tandem_core::model::Mono;

/// True time in microseconds since the world began.
pub type At = u64;

/// One millisecond of true time.
pub const MS: At = 1000;

/// One second of true time.
pub const SECOND: At = 1_000_000;

/// What a clock shows when the world begins: everybody has been up for long.
const BOOTED: u64 = 3_600 * SECOND;

/// A clock that runs at `rate` millionths of true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Clock {
    shown: u64,
    since: At,
    rate: u64,
}

impl Clock {
    /// A clock that is off by `rate - 1_000_000` millionths.
    pub fn new(rate: u64) -> Self {
        Self {
            shown: BOOTED,
            since: 0,
            rate,
        }
    }

    /// What it shows at `at`.
    pub fn now(&self, at: At) -> Mono {
        Mono(self.shown + (at - self.since) * self.rate / 1_000_000)
    }

    /// Goes on at another rate.
    pub fn run_at(&mut self, rate: u64, at: At) {
        *self = Self {
            shown: self.now(at).0,
            since: at,
            rate,
        };
    }

    /// Jumps by `span` microseconds, forwards or backwards.
    pub fn jump(&mut self, span: i64, at: At) {
        let shown = self.now(at).0.saturating_add_signed(span);
        *self = Self {
            shown,
            since: at,
            rate: self.rate,
        };
    }
}
