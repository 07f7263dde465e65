//! Service-level arithmetic: how late a monitor notices, how long a failover
//! lasts, how much downtime a promise allows, how much a survivor must carry.
//!
//! Intuition: every promise is a small sum; it is broken long before the bad
//! day, on paper, if the sum is larger than the promise.
//! Invariant: whole numbers only, saturating, so the same settings give the
//! same verdict on every machine.
//! Refused: floats. The core has no `exp` or `ln`; chance lives in the shell.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::config::{AuthorityPolicy, DetectionPolicy};

/// A health monitor of the edge: one probe an `interval`, immediate retries on
/// time-outs, and a number of bad results in a row before the pool is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monitor {
    /// Time between the starts of two probes, in milliseconds.
    pub interval_ms: u64,
    /// Time-out of one attempt, in milliseconds.
    pub timeout_ms: u64,
    /// Attempts after the first one, made at once and only on time-outs.
    pub retries: u32,
    /// Bad results in a row that flip the pool; 0 and 1 behave alike.
    pub consecutive_down: u32,
}

impl Monitor {
    /// The longest time until a silent origin is noticed: `C * I + (R + 1) * T`.
    pub fn worst_silent(&self) -> Duration {
        Duration::from_millis(self.rounds_ms().saturating_add(self.probe_ms()))
    }

    /// The mean over all phases: `C * I - I / 2 + (R + 1) * T`.
    pub fn mean_silent(&self) -> Duration {
        let rounds = self.rounds_ms().saturating_sub(self.interval_ms / 2);
        Duration::from_millis(rounds.saturating_add(self.probe_ms()))
    }

    /// The longest time until a refusing origin is noticed: `C * I` (no retries).
    pub fn worst_refused(&self) -> Duration {
        Duration::from_millis(self.rounds_ms())
    }

    /// How long one probe of a silent origin takes: `(R + 1) * T`.
    pub fn probe_ms(&self) -> u64 {
        (u64::from(self.retries) + 1).saturating_mul(self.timeout_ms)
    }

    /// Bad results in a row that are really needed.
    pub fn needed(&self) -> u64 {
        u64::from(self.consecutive_down.max(1))
    }

    fn rounds_ms(&self) -> u64 {
        self.needed().saturating_mul(self.interval_ms)
    }
}

impl From<DetectionPolicy> for Monitor {
    /// An agent's probing: no retries, `failures` results in a row.
    fn from(policy: DetectionPolicy) -> Self {
        Self {
            interval_ms: policy.probe_ms,
            timeout_ms: policy.timeout_ms,
            retries: 0,
            consecutive_down: policy.failures,
        }
    }
}

/// The longest time from the death of the holder to the claim of the other
/// site: the taker counts a full ttl from the first look at the last renewal,
/// two renewal periods may pass in slow readings, and the claim is one call.
pub fn takeover_worst(authority: &AuthorityPolicy) -> Duration {
    let loops = authority.renew_ms.saturating_mul(2);
    Duration::from_millis(
        authority
            .ttl_ms
            .saturating_add(loops)
            .saturating_add(authority.call_timeout_ms),
    )
}

/// The room between holding and renewing: `ttl * (1 - drift) - cut - (renew + 2 * call)`.
/// `None` if the relation is broken, and a blip would demote a healthy primary.
pub fn renewal_slack(authority: &AuthorityPolicy) -> Option<Duration> {
    let calls = authority.call_timeout_ms.saturating_mul(2);
    let spent = Duration::from_millis(authority.renew_ms.saturating_add(calls));
    authority.hold().checked_sub(spent)
}

/// One step of a recovery, with the reason for its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub name: &'static str,
    /// How long it takes at worst.
    pub worst: Duration,
}

/// A recovery: phases follow each other, the steps of one phase run side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The phases in order.
    pub phases: Vec<Vec<Step>>,
}

impl Recovery {
    /// Adds a phase whose steps run side by side.
    #[must_use]
    pub fn then(mut self, steps: &[(&'static str, Duration)]) -> Self {
        let phase = steps.iter().map(|&(name, worst)| Step { name, worst });
        self.phases.push(phase.collect());
        self
    }

    /// The longest time of the whole: the sum of each phase's longest step.
    pub fn worst(&self) -> Duration {
        self.phases
            .iter()
            .filter_map(|phase| phase.iter().map(|step| step.worst).max())
            .fold(Duration::ZERO, Duration::saturating_add)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, phase) in self.phases.iter().enumerate() {
            if n > 0 {
                f.write_str(" + ")?;
            }
            let side_by_side = phase.len() > 1;
            f.write_str(if side_by_side { "max(" } else { "" })?;
            for (k, step) in phase.iter().enumerate() {
                let comma = if k > 0 { ", " } else { "" };
                write!(f, "{comma}{} {}", step.name, seconds(step.worst))?;
            }
            f.write_str(if side_by_side { ")" } else { "" })?;
        }
        write!(f, " = {}", seconds(self.worst()))
    }
}

/// A span in seconds without needless zeros (`75 s`, `1.25 s`).
pub fn seconds(span: Duration) -> String {
    let millis = span.as_millis();
    let (whole, rest) = (millis / 1000, millis % 1000);
    if rest == 0 {
        return alloc::format!("{whole} s");
    }
    let fraction = alloc::format!("{rest:03}");
    alloc::format!("{whole}.{} s", fraction.trim_end_matches('0'))
}

/// One whole, in parts per billion.
pub const WHOLE: u64 = 1_000_000_000;

/// A year of 365 days.
pub const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A month of 30 days, the span of most service-level agreements.
pub const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// A probability or share in parts per billion, at most [`WHOLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

/// Text that is no percentage between 0 and 100.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no percentage between 0 and 100 with at most 7 decimals")]
pub struct InvalidShare(String);

impl Share {
    /// A share of `parts` in a billion; more than the whole counts as the whole.
    pub fn from_ppb(parts: u64) -> Self {
        Self(parts.min(WHOLE))
    }

    /// Parts per billion.
    pub fn ppb(self) -> u64 {
        self.0
    }

    /// What is missing to the whole.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(WHOLE - self.0)
    }

    /// The product of two shares, rounded to the nearest part.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let product = u128::from(self.0) * u128::from(other.0) + u128::from(WHOLE / 2);
        Self(u64::try_from(product / u128::from(WHOLE)).expect("at most the whole"))
    }

    /// This share of a span.
    pub fn of(self, span: Duration) -> Duration {
        let nanos = span.as_nanos().saturating_mul(u128::from(self.0)) / u128::from(WHOLE);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    /// Reads a percentage as people write it (`99.99`), exactly.
    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let invalid = || InvalidShare(text.to_string());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 3 || fraction.len() > 7 {
            return Err(invalid());
        }
        let whole: u64 = whole.parse().map_err(|_| invalid())?;
        let padded = alloc::format!("{fraction:0<7}");
        let parts = whole * 10_000_000 + padded.parse::<u64>().map_err(|_| invalid())?;
        if parts > WHOLE {
            Err(invalid())
        } else {
            Ok(Self(parts))
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000_000, self.0 % 10_000_000);
        if rest == 0 {
            return write!(f, "{whole} %");
        }
        let fraction = alloc::format!("{rest:07}");
        write!(f, "{whole}.{} %", fraction.trim_end_matches('0'))
    }
}

/// The downtime that an availability promise allows in `period`.
pub fn error_budget(promise: Share, period: Duration) -> Duration {
    promise.complement().of(period)
}

/// The availability of parts that are all needed: the product.
pub fn in_series(parts: &[Share]) -> Share {
    parts
        .iter()
        .fold(Share(WHOLE), |all, part| all.times(*part))
}

/// Two clouds that back each other up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Availability of one cloud alone.
    pub single: Share,
    /// Share of outages that hit both at once (region, edge, release, person).
    pub common_cause: Share,
    /// Share of failovers that succeed: drills passed / drills run.
    pub coverage: Share,
}

impl Pair {
    /// `1 - (b*u + (1-b)*u * ((1-c) + c*(1-b)*u))` with unavailability `u`,
    /// common cause `b` and coverage `c`.
    pub fn availability(&self) -> Share {
        let down = self.single.complement();
        let shared = self.common_cause.times(down);
        let alone = self.common_cause.complement().times(down);
        let uncovered = alone.times(self.coverage.complement());
        let both = alone.times(self.coverage).times(alone);
        Share::from_ppb(shared.ppb() + uncovered.ppb() + both.ppb()).complement()
    }
}

/// What a survivor needs when a site is lost: the load of both, if each was
/// planned to run at `utilisation_percent` of its capacity.
pub fn survivor_need(own: u64, lost: u64, utilisation_percent: u64) -> u64 {
    own.saturating_add(lost)
        .saturating_mul(utilisation_percent)
        .div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn monitor(interval: u64, timeout: u64, retries: u32, down: u32) -> Monitor {
        Monitor {
            interval_ms: interval,
            timeout_ms: timeout,
            retries,
            consecutive_down: down,
        }
    }

    #[test]
    fn detection_matches_the_published_table() {
        let rows = [
            (monitor(60_000, 5_000, 2, 1), 45_000, 75_000, 60_000),
            (monitor(60_000, 5_000, 2, 2), 105_000, 135_000, 120_000),
            (monitor(15_000, 5_000, 2, 0), 22_500, 30_000, 15_000),
            (monitor(10_000, 3_000, 1, 1), 11_000, 16_000, 10_000),
            (monitor(500, 250, 0, 2), 1_000, 1_250, 1_000),
        ];
        for (monitor, mean, worst, refused) in rows {
            assert_eq!(monitor.mean_silent().as_millis(), mean, "{monitor:?}");
            assert_eq!(monitor.worst_silent().as_millis(), worst, "{monitor:?}");
            assert_eq!(monitor.worst_refused().as_millis(), refused, "{monitor:?}");
        }
    }

    /// A small generator, so that the trials repeat exactly.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z ^ (z >> 31)) % bound
        }
    }

    /// Walks a prober through an origin that falls silent at time 0 and answers
    /// the moment at which the pool is off. `phase` is the start of the next probe.
    fn probe_until_down(monitor: &Monitor, phase: u64) -> u64 {
        let (mut start, mut bad_in_a_row) = (phase, 0);
        loop {
            let mut clock = start;
            for _attempt in 0..=monitor.retries {
                clock += monitor.timeout_ms;
            }
            bad_in_a_row += 1;
            if bad_in_a_row >= monitor.consecutive_down.max(1) {
                return clock;
            }
            start += monitor.interval_ms;
        }
    }

    #[test]
    fn a_simulated_prober_never_beats_or_misses_the_formula() {
        const SETTINGS: u64 = 100;
        const TRIALS: u64 = 10_000;
        let mut draw = Draw(42);
        for _ in 0..SETTINGS {
            let timeout = 1 + draw.below(5_000);
            let retries = u32::try_from(draw.below(4)).unwrap();
            let interval = timeout * (u64::from(retries) + 1) + 1 + draw.below(60_000);
            let monitor = monitor(
                interval,
                timeout,
                retries,
                u32::try_from(draw.below(4)).unwrap(),
            );
            let worst = u64::try_from(monitor.worst_silent().as_millis()).unwrap();
            let (mut sum, mut longest) = (0, 0);
            for _ in 0..TRIALS {
                let seen = probe_until_down(&monitor, draw.below(interval));
                assert!(seen <= worst, "{monitor:?}: {seen} > {worst}");
                sum += seen;
                longest = longest.max(seen);
            }
            assert!(
                worst - longest <= interval / 100 + 1,
                "{monitor:?}: the bound is loose"
            );
            let mean = u64::try_from(monitor.mean_silent().as_millis()).unwrap();
            assert!(
                (sum / TRIALS).abs_diff(mean) <= interval / 50 + 1,
                "{monitor:?}"
            );
        }
    }

    #[test]
    fn budgets_of_four_nines() {
        let promise: Share = "99.99".parse().unwrap();
        assert_eq!(
            error_budget(promise, YEAR),
            Duration::from_millis(3_153_600)
        );
        assert_eq!(error_budget(promise, MONTH), Duration::from_millis(259_200));
        assert_eq!(promise.to_string(), "99.99 %");
        for bad in [
            "",
            "100.1",
            "-1",
            "99,9",
            "1e2",
            "99.",
            "0.00000001",
            "1000",
        ] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn coverage_and_common_cause_decide() {
        let share = |text: &str| text.parse::<Share>().unwrap();
        let single = in_series(&[
            share("99.99"),
            share("99.95"),
            share("99.95"),
            share("99.9"),
        ]);
        let pair = |common: &str, coverage: &str| {
            let (common_cause, coverage) = (share(common), share(coverage));
            Pair {
                single,
                common_cause,
                coverage,
            }
            .availability()
            .ppb()
                / 1_000
        };
        assert_eq!(single.ppb() / 100_000, 9_979);
        assert_eq!(pair("0", "100"), 999_995);
        assert_eq!(
            [pair("1", "100"), pair("5", "100"), pair("10", "100")],
            [999_974, 999_891, 999_786]
        );
        assert_eq!(
            [pair("0", "99"), pair("0", "95"), pair("0", "90")],
            [999_974, 999_890, 999_786]
        );
    }

    #[test]
    fn a_recovery_prints_its_sum() {
        let s = Duration::from_secs;
        let recovery = Recovery::default()
            .then(&[("edge", s(30)), ("right to write", s(9))])
            .then(&[("promote", Duration::from_millis(1_500))]);
        assert_eq!(recovery.worst(), Duration::from_millis(31_500));
        assert_eq!(
            recovery.to_string(),
            "max(edge 30 s, right to write 9 s) + promote 1.5 s = 31.5 s"
        );
    }

    #[test]
    fn the_starting_numbers_leave_room() {
        let authority = AuthorityPolicy {
            ttl_ms: 6_000,
            renew_ms: 1_000,
            call_timeout_ms: 1_000,
            cut_ms: 500,
            drift_per_mille: 20,
        };
        assert_eq!(
            renewal_slack(&authority),
            Some(Duration::from_millis(2_380))
        );
        assert_eq!(takeover_worst(&authority), Duration::from_secs(9));
        assert_eq!(
            renewal_slack(&AuthorityPolicy {
                renew_ms: 4_000,
                ..authority
            }),
            None
        );
    }

    #[test]
    fn equal_sites_at_half_load_can_carry_each_other() {
        assert_eq!(survivor_need(20, 20, 50), 20);
        assert_eq!(survivor_need(8, 80, 50), 44);
        assert_eq!(survivor_need(u64::MAX, 1, 50), u64::MAX / 100 + 1);
    }

    proptest! {
        #[test]
        fn shares_stay_shares(a in 0..=WHOLE, b in 0..=WHOLE, c in 0..=WHOLE) {
            let pair = Pair { single: Share(a), common_cause: Share(b), coverage: Share(c) };
            prop_assert!(pair.availability().ppb() <= WHOLE);
            prop_assert!(pair.availability().ppb() + 3 >= a, "a second cloud never harms");
            let text = Share(a).to_string();
            prop_assert_eq!(text.trim_end_matches(" %").parse::<Share>(), Ok(Share(a)));
        }

        #[test]
        fn more_of_anything_is_never_faster(i in 0u64..1_000_000, t in 0u64..100_000, r in 0u32..9, c in 0u32..9) {
            let base = monitor(i, t, r, c);
            for slower in [monitor(i + 1, t, r, c), monitor(i, t + 1, r, c), monitor(i, t, r + 1, c), monitor(i, t, r, c + 1)] {
                prop_assert!(slower.worst_silent() >= base.worst_silent());
            }
        }
    }
}
