//! The verdict: every condition of the drill file against its figure.
//!
//! Doubt denies: a condition whose figure could not be measured does not hold.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::file::{Condition, Drill};
use super::measure::Measure;

/// What a run proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Result {
    /// Every condition holds.
    Passed,
    /// A condition does not hold.
    Failed,
    /// The drill stopped before it broke anything, or could not be carried out.
    Aborted,
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        })
    }
}

/// One condition, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The figure.
    pub measure: Measure,
    /// Its value, if it could be measured.
    pub value: Option<f64>,
    /// What decided, with the patience of the run.
    pub bound: Bound,
    /// What the median of many runs must keep.
    pub goal: Option<Bound>,
    /// Whether the bound holds.
    pub holds: bool,
    /// Why the condition is there.
    pub why: Option<String>,
}

/// The verdict over one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The result.
    pub result: Result,
    /// Every condition, in the order of the file.
    pub conditions: Vec<Judged>,
    /// Why the drill was aborted.
    pub aborted: Option<String>,
}

impl Verdict {
    /// Judges `values`. `patience` widens bounds on time alone: a busy machine
    /// is slower, but never allowed to lose a write.
    pub fn judge(drill: &Drill, values: &BTreeMap<Measure, f64>, patience: f64) -> Self {
        let judged = |must: &Condition| judge(must, values.get(&must.measure).copied(), patience);
        let conditions: Vec<Judged> = drill.musts.iter().map(judged).collect();
        let passed = conditions.iter().all(|condition| condition.holds);
        let result = if passed {
            Result::Passed
        } else {
            Result::Failed
        };
        Self {
            result,
            conditions,
            aborted: None,
        }
    }

    /// The verdict over a run that could not be carried out.
    pub fn aborted(reason: String) -> Self {
        Self {
            result: Result::Aborted,
            conditions: Vec::new(),
            aborted: Some(reason),
        }
    }
}

fn judge(must: &Condition, value: Option<f64>, patience: f64) -> Judged {
    let bound = if must.measure.is_time() {
        must.bound.widened(patience)
    } else {
        must.bound
    };
    Judged {
        measure: must.measure,
        value,
        bound,
        goal: must.goal,
        holds: value.is_some_and(|value| bound.holds(value)),
        why: must.why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(values: &[(Measure, f64)], patience: f64) -> Result {
        let text = r#"
            version = 1
            id = "x"
            title = "t"
            hypothesis = "h"
            scope = ["aws"]
            blast_radius = "b"
            primary = "aws"
            before_s = 1
            after_s = 1
            load = { rate_per_s = 10, write_percent = 30 }
            abort = { failed_percent_before = 5 }
            expect = { rto_s = 8, rpo_s = 5 }
            [[must]]
            measure = "write_rto_s"
            bound = "<= 12"
            [[must]]
            measure = "rpo_s"
            bound = "<= 5"
        "#;
        let drill = Drill::parse(text).unwrap();
        Verdict::judge(&drill, &values.iter().copied().collect(), patience).result
    }

    #[test]
    fn every_condition_must_hold_and_absent_figures_hold_nothing() {
        use Measure::{Rpo, WriteRto};
        assert_eq!(
            verdict(&[(WriteRto, 12.0), (Rpo, 0.0)], 1.0),
            Result::Passed
        );
        assert_eq!(
            verdict(&[(WriteRto, 12.1), (Rpo, 0.0)], 1.0),
            Result::Failed
        );
        assert_eq!(verdict(&[(WriteRto, 1.0)], 1.0), Result::Failed);
    }

    #[test]
    fn patience_widens_waiting_and_never_loss() {
        use Measure::{Rpo, WriteRto};
        assert_eq!(
            verdict(&[(WriteRto, 30.0), (Rpo, 0.0)], 3.0),
            Result::Passed
        );
        assert_eq!(verdict(&[(WriteRto, 1.0), (Rpo, 6.0)], 3.0), Result::Failed);
    }
}
