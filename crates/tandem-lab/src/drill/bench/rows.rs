//! From many reports to the rows of the benchmark, each with its bound.

use serde::{Deserialize, Serialize};
use tandem_core::drill::verdict::Result as Outcome;
use tandem_core::drill::{Bound, Measure};

use super::peer::Measured;
use super::promotion;
use crate::drill::evidence::Report;

/// One figure over many runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `drill.figure.statistic`.
    pub id: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Runs behind it.
    pub runs: usize,
    /// The smallest of them.
    pub min: f64,
    /// The largest of them.
    pub max: f64,
    /// What it must be.
    pub must: Option<String>,
    /// Whether it is; computed, never typed.
    pub holds: Option<bool>,
    /// The same figure of the peer, from the same run.
    pub peer: Option<PeerValue>,
}

/// A figure of the peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerValue {
    /// Which peer and profile.
    pub name: String,
    /// Its median.
    pub value: f64,
}

/// How many values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistic {
    P50,
    Min,
    Max,
    Sum,
}

use Statistic::{Max, Min, P50, Sum};

/// A figure that every run has, how it becomes one, and what that must be.
pub(super) type Rule = (&'static str, Measure, Statistic, Option<&'static str>);

/// The row that the peer is compared in.
const COMPARED: (&str, Measure, Statistic) = ("aws-outage", Measure::WriteRto, P50);

/// All rows of the drills that ran, then the peer's own.
pub(super) fn of(rules: &[Rule], reports: &[Report], peer: &[Measured]) -> Vec<Row> {
    let mut rows: Vec<Row> = rules
        .iter()
        .filter_map(|rule| row(rule, reports, peer))
        .collect();
    rows.extend(passed(reports));
    rows.extend(peer_rows(peer));
    rows
}

fn row(rule: &Rule, reports: &[Report], peer: &[Measured]) -> Option<Row> {
    let (drill, measure, statistic, must) = rule;
    let of_drill: Vec<&Report> = reports
        .iter()
        .filter(|report| report.drill.id == *drill)
        .collect();
    let values: Vec<f64> = of_drill
        .iter()
        .filter_map(|report| report.values.get(measure).copied())
        .collect();
    if of_drill.is_empty() {
        return None;
    }
    let id = format!(
        "{drill}.{}.{}",
        measure.name().trim_end_matches("_s"),
        statistic.name()
    );
    let mut row = summary(id, measure.unit(), *statistic, &values, *must);
    // A figure that a run could not measure holds nothing.
    row.holds = row
        .holds
        .map(|holds| holds && values.len() == of_drill.len());
    if (*drill, *measure, *statistic) == COMPARED {
        row.peer = peer_value(peer);
    }
    Some(row)
}

fn summary(
    id: String,
    unit: &str,
    statistic: Statistic,
    values: &[f64],
    must: Option<&str>,
) -> Row {
    let value = statistic.of(values);
    let bound: Option<Bound> = must.map(|must| must.parse().expect("the table's bounds are legal"));
    Row {
        id,
        value: rounded(value),
        unit: unit.to_owned(),
        runs: values.len(),
        min: rounded(Min.of(values)),
        max: rounded(Max.of(values)),
        must: must.map(str::to_owned),
        holds: bound.map(|bound| !values.is_empty() && bound.holds(value)),
        peer: None,
    }
}

/// The SQL of every takeover of all runs, if the agents' journals tell of any.
pub(super) fn promotions(reports: &[Report]) -> Option<Row> {
    let journals = reports.iter().map(|report| &report.journal);
    let all: Vec<f64> = journals
        .flat_map(|journal| promotion::seconds(journal))
        .collect();
    let row = || summary("promotion.sql.p50".into(), "s", P50, &all, Some("<= 0.15"));
    (!all.is_empty()).then(row)
}

fn passed(reports: &[Report]) -> Vec<Row> {
    let mut drills: Vec<&str> = reports
        .iter()
        .map(|report| report.drill.id.as_str())
        .collect();
    drills.dedup();
    drills.sort_unstable();
    drills.dedup();
    let flag = |report: &Report| f64::from(u8::from(report.verdict.result == Outcome::Passed));
    drills
        .into_iter()
        .map(|drill| {
            let of_drill = reports.iter().filter(|report| report.drill.id == drill);
            let flags: Vec<f64> = of_drill.map(flag).collect();
            summary(format!("{drill}.passed.min"), "", Min, &flags, Some("== 1"))
        })
        .collect()
}

fn peer_value(peer: &[Measured]) -> Option<PeerValue> {
    let name = &peer.first()?.peer;
    let values: Vec<f64> = peer
        .iter()
        .filter(|run| run.peer == *name)
        .map(|run| run.write_rto_s)
        .collect();
    Some(PeerValue {
        name: name.clone(),
        value: rounded(P50.of(&values)),
    })
}

fn peer_rows(peer: &[Measured]) -> Vec<Row> {
    let mut names: Vec<&str> = peer.iter().map(|run| run.peer.as_str()).collect();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let values: Vec<f64> = peer
                .iter()
                .filter(|run| run.peer == name)
                .map(|run| run.write_rto_s)
                .collect();
            summary(
                format!("peer.{}.write_rto.p50", name.replace(' ', "-")),
                "s",
                P50,
                &values,
                None,
            )
        })
        .collect()
}

impl Statistic {
    fn name(self) -> &'static str {
        match self {
            P50 => "p50",
            Min => "min",
            Max => "max",
            Sum => "sum",
        }
    }

    /// NaN of nothing, which keeps no bound.
    fn of(self, values: &[f64]) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        match self {
            _ if sorted.is_empty() => f64::NAN,
            Min => sorted[0],
            Max => sorted[sorted.len() - 1],
            P50 => sorted[(sorted.len() - 1) / 2],
            Sum => sorted.iter().sum(),
        }
    }
}

/// Three digits after the point are more than the machine can repeat.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::super::{Program, Subject};
    use super::*;

    #[test]
    fn every_rule_has_a_legal_bound_and_a_known_drill() {
        let programs = [Subject::Failover, Subject::Authority, Subject::Postgres].map(Program::of);
        let rules = programs.into_iter().flat_map(|program| program.rules);
        for (drill, measure, statistic, must) in rules {
            assert!(crate::drill::shelf::take(drill).is_ok(), "{drill}");
            let row = summary(measure.name().to_owned(), "", statistic, &[1.0], must);
            assert_eq!(row.holds.is_some(), must.is_some());
        }
    }

    #[test]
    fn statistics_are_values_that_were_measured() {
        let values = [3.0, 1.0, 2.0, 10.0];
        assert_eq!(
            (
                P50.of(&values),
                Min.of(&values),
                Max.of(&values),
                Sum.of(&values)
            ),
            (2.0, 1.0, 10.0, 16.0)
        );
        assert!(P50.of(&[]).is_nan());
        let row = summary("x".into(), "s", P50, &[], Some("<= 8"));
        assert_eq!(row.holds, Some(false), "nothing measured holds nothing");
    }

    #[test]
    fn the_peer_is_its_best_profile_and_both_are_listed() {
        let run = |peer: &str, write_rto_s| Measured {
            peer: peer.into(),
            write_rto_s,
        };
        let peer = [
            run("patroni ttl=20", 17.7),
            run("patroni ttl=20", 19.0),
            run("patroni ttl=20", 17.5),
            run("patroni default", 29.0),
        ];
        assert_eq!(
            peer_value(&peer),
            Some(PeerValue {
                name: "patroni ttl=20".into(),
                value: 17.7
            })
        );
        let ids: Vec<String> = peer_rows(&peer).into_iter().map(|row| row.id).collect();
        assert_eq!(
            ids,
            [
                "peer.patroni-ttl=20.write_rto.p50",
                "peer.patroni-default.write_rto.p50"
            ]
        );
    }
}
