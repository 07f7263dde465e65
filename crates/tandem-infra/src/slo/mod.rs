//! Availability by simulation: a year many times over, with the user's rates.
//!
//! Intuition: averages hide the tail. Most years are quiet; the promise is
//! broken in the years with an edge outage, a correlated one, or a failover
//! that failed. So the answer is a distribution with intervals.
//! Invariant: the same rates, years and seed give the same answer.
//! Refused: overlapping outages within a year; at these rates they change the
//! mean by less than its interval, and the closed form stays exact.

mod draw;
pub mod render;

use serde::Deserialize;

use crate::error::Error;
use draw::Draw;

/// Years of one simulation at most; a year costs 8 bytes.
pub const YEARS_MAX: u32 = 1_000_000;

/// Events a year at most.
const RATE_MAX: f64 = 1_000.0;

const YEAR_MINUTES: f64 = 365.0 * 24.0 * 60.0;

/// How long something lasts: log-normal, as repair times are.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// The median, in minutes.
    pub median_minutes: f64,
    /// The spread of the logarithm.
    pub sigma: f64,
}

impl Length {
    /// `median x exp(sigma^2 / 2)`.
    fn mean(self) -> f64 {
        self.median_minutes * (self.sigma * self.sigma / 2.0).exp()
    }
}

/// What happens how often; every key has a default that is invented and says so.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Losses of the cloud that holds the primary, a year.
    pub primary_cloud_per_year: f64,
    /// Losses of the other cloud, a year.
    pub other_cloud_per_year: f64,
    /// Seconds until traffic has left the other cloud.
    pub detect_seconds: f64,
    /// Share of the traffic that the other cloud carries.
    pub other_cloud_share: f64,
    /// Share of failovers that succeed: drills passed / drills run.
    pub failover_success: f64,
    /// Shortest recovery of a successful failover, in seconds.
    pub rto_seconds_min: f64,
    /// Longest recovery of a successful failover, in seconds.
    pub rto_seconds_max: f64,
    /// How long people need to repair a failed failover.
    pub repair: Length,
    /// Failovers without reason, a year.
    pub false_failovers_per_year: f64,
    /// Planned switchovers, a year.
    pub planned_per_year: f64,
    /// Seconds that a planned switchover stops writes.
    pub planned_seconds: f64,
    /// Outages of the edge, a year.
    pub edge_per_year: f64,
    /// How long they last.
    pub edge: Length,
    /// Minutes until a second way in is open; absent without one.
    pub edge_escape_minutes: Option<f64>,
    /// Outages of both clouds at once, a year.
    pub correlated_per_year: f64,
    /// How long they last.
    pub correlated: Length,
    /// What the service promises, in percent.
    pub availability_percent: f64,
}

impl Default for Rates {
    /// Plausible and invented: replace them by your own.
    fn default() -> Self {
        Self {
            primary_cloud_per_year: 1.0,
            other_cloud_per_year: 1.0,
            detect_seconds: 30.0,
            other_cloud_share: 0.5,
            failover_success: 0.95,
            rto_seconds_min: 120.0,
            rto_seconds_max: 300.0,
            repair: Length {
                median_minutes: 45.0,
                sigma: 1.0,
            },
            false_failovers_per_year: 0.5,
            planned_per_year: 12.0,
            planned_seconds: 30.0,
            edge_per_year: 0.3,
            edge: Length {
                median_minutes: 60.0,
                sigma: 0.8,
            },
            edge_escape_minutes: None,
            correlated_per_year: 0.05,
            correlated: Length {
                median_minutes: 120.0,
                sigma: 0.8,
            },
            availability_percent: 99.99,
        }
    }
}

impl Rates {
    /// Reads a TOML file of rates; absent keys keep their defaults.
    ///
    /// # Errors
    /// Unknown keys, and values that are negative, infinite or too large.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rates: Self = toml::from_str(text).map_err(|error| Error::Rates(error.to_string()))?;
        rates.check()?;
        Ok(rates)
    }

    fn check(&self) -> Result<(), Error> {
        let rows = [
            (
                "primary_cloud_per_year",
                self.primary_cloud_per_year,
                RATE_MAX,
            ),
            ("other_cloud_per_year", self.other_cloud_per_year, RATE_MAX),
            ("detect_seconds", self.detect_seconds, 86_400.0),
            ("other_cloud_share", self.other_cloud_share, 1.0),
            ("failover_success", self.failover_success, 1.0),
            (
                "rto_seconds_min",
                self.rto_seconds_min,
                self.rto_seconds_max,
            ),
            ("rto_seconds_max", self.rto_seconds_max, 86_400.0),
            (
                "repair.median_minutes",
                self.repair.median_minutes,
                YEAR_MINUTES,
            ),
            ("repair.sigma", self.repair.sigma, 3.0),
            (
                "false_failovers_per_year",
                self.false_failovers_per_year,
                RATE_MAX,
            ),
            ("planned_per_year", self.planned_per_year, RATE_MAX),
            ("planned_seconds", self.planned_seconds, 86_400.0),
            ("edge_per_year", self.edge_per_year, RATE_MAX),
            (
                "edge.median_minutes",
                self.edge.median_minutes,
                YEAR_MINUTES,
            ),
            ("edge.sigma", self.edge.sigma, 3.0),
            (
                "edge_escape_minutes",
                self.edge_escape_minutes.unwrap_or(0.0),
                YEAR_MINUTES,
            ),
            ("correlated_per_year", self.correlated_per_year, RATE_MAX),
            (
                "correlated.median_minutes",
                self.correlated.median_minutes,
                YEAR_MINUTES,
            ),
            ("correlated.sigma", self.correlated.sigma, 3.0),
            ("availability_percent", self.availability_percent, 100.0),
        ];
        for (key, value, high) in rows {
            if !(0.0..=high).contains(&value) {
                return Err(Error::Rates(format!(
                    "{key} = {value} is not between 0 and {high}"
                )));
            }
        }
        Ok(())
    }

    /// Minutes of downtime a year that the promise allows.
    pub fn budget_minutes(&self) -> f64 {
        (100.0 - self.availability_percent) / 100.0 * YEAR_MINUTES
    }

    fn rto_mean(&self) -> f64 {
        f64::midpoint(self.rto_seconds_min, self.rto_seconds_max) / 60.0
    }

    /// Mean minutes of downtime a year by cause; `None` for the edge if an
    /// escape cuts its tail, which has no simple closed form.
    pub fn closed_form(&self) -> [(Cause, Option<f64>); 6] {
        let lost = self.failover_success * self.rto_mean()
            + (1.0 - self.failover_success) * self.repair.mean();
        let edge = self
            .edge_escape_minutes
            .is_none()
            .then(|| self.edge_per_year * self.edge.mean());
        [
            (
                Cause::PrimaryCloud,
                Some(self.primary_cloud_per_year * lost),
            ),
            (
                Cause::OtherCloud,
                Some(
                    self.other_cloud_per_year * self.other_cloud_share * self.detect_seconds / 60.0,
                ),
            ),
            (
                Cause::FalseFailover,
                Some(self.false_failovers_per_year * self.rto_mean()),
            ),
            (
                Cause::Planned,
                Some(self.planned_per_year * self.planned_seconds / 60.0),
            ),
            (Cause::Edge, edge),
            (
                Cause::Correlated,
                Some(self.correlated_per_year * self.correlated.mean()),
            ),
        ]
    }
}

/// Why the service was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The cloud with the primary was lost.
    PrimaryCloud,
    /// The other cloud was lost.
    OtherCloud,
    /// A failover without reason.
    FalseFailover,
    /// A planned switchover.
    Planned,
    /// The edge was down.
    Edge,
    /// Both clouds at once.
    Correlated,
}

impl Cause {
    /// As the table shows it.
    pub fn word(self) -> &'static str {
        match self {
            Cause::PrimaryCloud => "cloud with the primary lost",
            Cause::OtherCloud => "other cloud lost",
            Cause::FalseFailover => "failover without reason",
            Cause::Planned => "planned switchovers",
            Cause::Edge => "edge outage",
            Cause::Correlated => "both clouds at once",
        }
    }
}

/// The answer of one simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// Years simulated.
    pub years: u32,
    /// The seed.
    pub seed: u64,
    /// Mean minutes of downtime a year, with half of its 95 % interval.
    pub mean: (f64, f64),
    /// Median, 95th and 99th percentile of a year, in minutes.
    pub percentiles: [f64; 3],
    /// Share of years within the budget, with its 95 % interval.
    pub within: (f64, f64, f64),
    /// Mean minutes a year by cause.
    pub causes: [(Cause, f64); 6],
}

impl Simulated {
    /// Mean availability in percent.
    pub fn availability_percent(&self) -> f64 {
        100.0 * (1.0 - self.mean.0 / YEAR_MINUTES)
    }
}

/// Simulates `years` years.
pub fn simulate(rates: &Rates, years: u32, seed: u64) -> Simulated {
    let years = years.clamp(1, YEARS_MAX);
    let mut draw = Draw::new(seed);
    let mut causes = rates.closed_form().map(|(cause, _)| (cause, 0.0));
    let mut totals: Vec<f64> = Vec::with_capacity(years as usize);
    for _ in 0..years {
        let year = year(rates, &mut draw);
        causes
            .iter_mut()
            .zip(year)
            .for_each(|((_, sum), minutes)| *sum += minutes);
        totals.push(year.iter().sum::<f64>().min(YEAR_MINUTES));
    }
    causes
        .iter_mut()
        .for_each(|(_, sum)| *sum /= f64::from(years));
    summarize(totals, causes, seed, rates.budget_minutes())
}

/// Minutes of one year, in the order of [`Rates::closed_form`].
fn year(rates: &Rates, draw: &mut Draw) -> [f64; 6] {
    let rto = |draw: &mut Draw| draw.between(rates.rto_seconds_min, rates.rto_seconds_max) / 60.0;
    let mut minutes = [0.0; 6];
    for _ in 0..draw.poisson(rates.primary_cloud_per_year) {
        let succeeds = draw.unit() < rates.failover_success;
        minutes[0] += if succeeds {
            rto(draw)
        } else {
            draw.length(rates.repair)
        };
    }
    let others = f64::from(draw.poisson(rates.other_cloud_per_year));
    minutes[1] = others * rates.other_cloud_share * rates.detect_seconds / 60.0;
    for _ in 0..draw.poisson(rates.false_failovers_per_year) {
        minutes[2] += rto(draw);
    }
    minutes[3] = rates.planned_per_year * rates.planned_seconds / 60.0;
    for _ in 0..draw.poisson(rates.edge_per_year) {
        minutes[4] += draw
            .length(rates.edge)
            .min(rates.edge_escape_minutes.unwrap_or(f64::INFINITY));
    }
    for _ in 0..draw.poisson(rates.correlated_per_year) {
        minutes[5] += draw.length(rates.correlated);
    }
    minutes
}

fn summarize(mut totals: Vec<f64>, causes: [(Cause, f64); 6], seed: u64, budget: f64) -> Simulated {
    totals.sort_by(f64::total_cmp);
    let years = u32::try_from(totals.len()).expect("bounded by YEARS_MAX");
    let n = f64::from(years);
    let mean = totals.iter().sum::<f64>() / n;
    let variance = totals
        .iter()
        .map(|total| (total - mean).powi(2))
        .sum::<f64>()
        / (n - 1.0).max(1.0);
    let within = totals.partition_point(|total| *total <= budget) as f64 / n;
    let at = |percent: usize| totals[(totals.len() * percent / 100).min(totals.len() - 1)];
    let (low, high) = wilson(within, n);
    Simulated {
        years,
        seed,
        mean: (mean, Z95 * (variance / n).sqrt()),
        percentiles: [at(50), at(95), at(99)],
        within: (within, low, high),
        causes,
    }
}

/// The normal quantile of a 95 % interval.
const Z95: f64 = 1.959_964;

/// Wilson's interval of a share, which stays between 0 and 1.
fn wilson(share: f64, n: f64) -> (f64, f64) {
    let z2 = Z95 * Z95;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulation_agrees_with_the_closed_form() {
        let base = Rates::default();
        let cases = [
            base,
            Rates {
                failover_success: 0.8,
                ..base
            },
            Rates {
                edge_per_year: 0.0,
                correlated_per_year: 0.0,
                ..base
            },
            Rates {
                primary_cloud_per_year: 12.0,
                repair: Length {
                    median_minutes: 10.0,
                    sigma: 0.5,
                },
                ..base
            },
        ];
        for (index, rates) in cases.into_iter().enumerate() {
            let simulated = simulate(&rates, 40_000, index as u64 + 7);
            let exact: f64 = rates
                .closed_form()
                .iter()
                .filter_map(|(_, minutes)| *minutes)
                .sum();
            let allowed = simulated.mean.1 / Z95 * 5.0;
            assert!(
                (simulated.mean.0 - exact).abs() <= allowed,
                "case {index}: {} against {exact} +- {allowed}",
                simulated.mean.0
            );
        }
    }

    #[test]
    fn an_escape_shortens_the_tail() {
        let base = Rates::default();
        let with = simulate(
            &Rates {
                edge_escape_minutes: Some(10.0),
                ..base
            },
            40_000,
            1,
        );
        let without = simulate(&base, 40_000, 1);
        assert!(with.percentiles[1] < without.percentiles[1] / 2.0);
        assert!(
            with.within.1 > without.within.2,
            "the intervals do not overlap"
        );
    }

    #[test]
    fn the_same_seed_repeats_and_bounds_hold() {
        let rates = Rates::default();
        assert_eq!(simulate(&rates, 1_000, 5), simulate(&rates, 1_000, 5));
        assert_ne!(
            simulate(&rates, 1_000, 5).mean,
            simulate(&rates, 1_000, 6).mean
        );
        assert_eq!(simulate(&rates, 0, 5).years, 1);
        assert!((rates.budget_minutes() - 52.56).abs() < 1e-9);
    }

    #[test]
    fn wrong_rates_are_refused() {
        for bad in [
            "edge_per_year = -1",
            "edge_per_year = nan",
            "edge_per_year = 1e9",
            "typo = 1",
            "failover_success = 2",
            "rto_seconds_min = 400",
            "repair = 5",
        ] {
            assert!(Rates::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Rates::parse("").unwrap(), Rates::default());
    }
}
