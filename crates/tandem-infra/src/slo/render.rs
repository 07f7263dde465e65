//! The answer of a simulation as people and programs read it.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Rates, Simulated};

/// The schema of `-o json`.
pub const SCHEMA: &str = "tandem.slo.v1";

/// A short report.
pub fn table(rates: &Rates, simulated: &Simulated) -> String {
    let mut out = String::new();
    let (mean, half) = simulated.mean;
    let [p50, p95, p99] = simulated.percentiles;
    let (within, low, high) = simulated.within;
    let _ = writeln!(out, "{} years, seed {}", simulated.years, simulated.seed);
    let _ = writeln!(
        out,
        "mean downtime      {mean:.1} +- {half:.1} min a year (95 % interval)"
    );
    let _ = writeln!(
        out,
        "mean availability  {:.4} %",
        simulated.availability_percent()
    );
    let _ = writeln!(
        out,
        "a year's downtime  median {p50:.1}, 95 % below {p95:.1}, 99 % below {p99:.1} min"
    );
    let _ = writeln!(
        out,
        "{} % is kept in {:.1} % of years ({:.1} to {:.1}); the budget is {:.2} min a year\n",
        rates.availability_percent,
        within * 100.0,
        low * 100.0,
        high * 100.0,
        rates.budget_minutes()
    );
    let _ = writeln!(
        out,
        "{:<30} {:>10} {:>12}",
        "minutes a year by cause", "simulated", "closed form"
    );
    for ((cause, minutes), (_, exact)) in simulated.causes.iter().zip(rates.closed_form()) {
        let exact = exact.map_or_else(|| "none".to_owned(), |exact| format!("{exact:.2}"));
        let _ = writeln!(out, "{:<30} {minutes:>10.2} {exact:>12}", cause.word());
    }
    if *rates == Rates::default() {
        out.push_str("\nThese rates are invented. Give your own with --rates FILE; the tail decides, not the mean.\n");
    }
    out
}

#[derive(Serialize)]
struct Json {
    schema: &'static str,
    years: u32,
    seed: u64,
    mean_minutes: f64,
    mean_minutes_half_interval: f64,
    availability_percent: f64,
    median_minutes: f64,
    p95_minutes: f64,
    p99_minutes: f64,
    within_budget: f64,
    within_budget_low: f64,
    within_budget_high: f64,
    budget_minutes: f64,
    causes: Vec<CauseJson>,
}

#[derive(Serialize)]
struct CauseJson {
    cause: &'static str,
    minutes: f64,
    closed_form_minutes: Option<f64>,
}

/// The answer as JSON of [`SCHEMA`].
pub fn json(rates: &Rates, simulated: &Simulated) -> String {
    let causes =
        simulated
            .causes
            .iter()
            .zip(rates.closed_form())
            .map(|((cause, minutes), (_, exact))| CauseJson {
                cause: cause.word(),
                minutes: *minutes,
                closed_form_minutes: exact,
            });
    let json = Json {
        schema: SCHEMA,
        years: simulated.years,
        seed: simulated.seed,
        mean_minutes: simulated.mean.0,
        mean_minutes_half_interval: simulated.mean.1,
        availability_percent: simulated.availability_percent(),
        median_minutes: simulated.percentiles[0],
        p95_minutes: simulated.percentiles[1],
        p99_minutes: simulated.percentiles[2],
        within_budget: simulated.within.0,
        within_budget_low: simulated.within.1,
        within_budget_high: simulated.within.2,
        budget_minutes: rates.budget_minutes(),
        causes: causes.collect(),
    };
    serde_json::to_string_pretty(&json).expect("plain structures always serialize")
}
