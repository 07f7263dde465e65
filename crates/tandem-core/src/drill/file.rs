//! The drill file: what is broken, when, under which load, and what must hold.
//!
//! One file a drill, TOML, read by the lab and by the simulator alike: a drill
//! that passes in virtual time is the *same* experiment as the one with real
//! kills. All faults of a file are reported at once.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{Action, Aftermath, LARGE_ROWS_MAX};
use super::bound::Bound;
use super::crash::Crash;
use super::measure::Measure;
use crate::model::SiteId;

/// The version of the file's shape that this build reads.
pub const VERSION: u32 = 1;

/// The most requests per second that a file may ask for; more would measure
/// the client and not the service on a small machine.
pub const RATE_MAX: u32 = 5_000;

/// The longest load phase before or after the fault, in seconds.
pub const PHASE_S_MAX: u32 = 86_400;

/// One drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Version of the file's shape.
    pub version: u32,
    /// The drill's name on the command line.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// What we believe will happen.
    pub hypothesis: String,
    /// The real incident, or the guide's test, behind the drill.
    #[serde(default)]
    pub past: Option<String>,
    /// The sites that the drill touches.
    pub scope: Vec<SiteId>,
    /// What users may notice at worst.
    pub blast_radius: String,
    /// The site that must hold the right to write when the drill starts.
    pub primary: SiteId,
    /// Load before the first fault, in seconds.
    pub before_s: u32,
    /// Load after the first fault, in seconds.
    pub after_s: u32,
    /// Shorter phases for benchmarks, which run the drill many times; the file's own if absent.
    #[serde(default)]
    pub in_series: Option<Phases>,
    /// The load of the outside clients.
    pub load: Load,
    /// When the drill stops before it breaks anything.
    pub abort: Abort,
    /// What the service promises for this fault.
    pub expect: Expect,
    /// How long a written row takes to be seen at the other site; not measured if absent.
    #[serde(default)]
    pub visibility: Option<Visibility>,
    /// Clients inside the sites, at every door of each; none if absent.
    #[serde(default)]
    pub inside: Option<InsideLoad>,
    /// What is made in the databases before the load, while nothing is measured, in order.
    #[serde(default)]
    pub setup: Vec<Statement>,
    /// What is injected, in order.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
    /// What is done and looked at when the load has ended, in order.
    #[serde(default, rename = "after")]
    pub aftermath: Vec<Aftermath>,
    /// What decides the verdict.
    #[serde(rename = "must")]
    pub musts: Vec<Condition>,
}

/// SQL of a database's administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The database.
    pub site: SiteId,
    /// One or more statements.
    pub sql: String,
}

/// How long load runs around the first fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Before it, in seconds.
    pub before_s: u32,
    /// After it, in seconds.
    pub after_s: u32,
}

impl Phases {
    fn is_in_range(self) -> bool {
        [self.before_s, self.after_s]
            .iter()
            .all(|phase| (1..=PHASE_S_MAX).contains(phase))
    }
}

/// The load of the outside clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Requests per second, open loop.
    pub rate_per_s: u32,
    /// How many of a hundred are writes.
    pub write_percent: u32,
}

/// When the drill stops before it breaks anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// More failed requests than this before the first fault, in percent: the
    /// service is not well, and a drill would only hurt it.
    pub failed_percent_before: f64,
}

/// What the service promises for this fault.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Recovery time objective, in seconds.
    pub rto_s: f64,
    /// Recovery point objective, in seconds.
    pub rpo_s: f64,
}

/// Rows written at one site and looked for at the other while the load runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visibility {
    /// Where they are written.
    pub from: SiteId,
    /// Where they are looked for.
    pub to: SiteId,
    /// One row every so many milliseconds.
    pub every_ms: u64,
}

/// Writes at every door of every site, by clients that stand inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsideLoad {
    /// One write at each door every so many milliseconds.
    pub every_ms: u64,
}

/// One injection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Milliseconds after the end of the undisturbed load.
    pub at_ms: u64,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// An agent that dies at a moment of what follows; nobody does if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<Crash>,
}

/// One figure and what it must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The figure.
    pub measure: Measure,
    /// What decides one run.
    pub bound: Bound,
    /// What the median of many runs must keep; shown in one run, judged by the benchmark.
    #[serde(default)]
    pub goal: Option<Bound>,
    /// Why it matters, for the reader of the report.
    #[serde(default)]
    pub why: Option<String>,
}

/// Everything that is wrong with a drill file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct FileError(pub Vec<String>);

impl Drill {
    /// Reads and checks a drill file.
    ///
    /// # Errors
    /// The parser's complaint, or every broken rule at once.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let drill: Self = toml::from_str(text)
            .map_err(|error| FileError(alloc::vec![error.to_string().trim_end().to_string()]))?;
        drill.checked()
    }

    /// The same drill, if it keeps all rules; to be asked again after a change.
    ///
    /// # Errors
    /// Every broken rule at once.
    pub fn checked(self) -> Result<Self, FileError> {
        let faults = self.faults();
        if faults.is_empty() {
            Ok(self)
        } else {
            Err(FileError(faults))
        }
    }

    /// The same drill with the phases of a series.
    #[must_use]
    pub fn in_series(mut self) -> Self {
        if let Some(Phases { before_s, after_s }) = self.in_series {
            (self.before_s, self.after_s) = (before_s, after_s);
        }
        self
    }

    /// The most moments at which one of its steps kills an agent: as many runs reach each.
    pub fn moments(&self) -> u32 {
        let crashes = self.steps.iter().filter_map(|step| step.crash.as_ref());
        let most = crashes.map(|crash| crash.at.len()).max().unwrap_or(1);
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// Load before the first fault.
    pub fn before(&self) -> Duration {
        Duration::from_secs(u64::from(self.before_s))
    }

    /// Load after the first fault.
    pub fn after(&self) -> Duration {
        Duration::from_secs(u64::from(self.after_s))
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.range_faults();
        faults.extend(self.step_faults());
        faults.extend(self.condition_faults());
        faults
    }

    fn range_faults(&self) -> Vec<String> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let id_ok = !self.id.is_empty() && self.id.len() <= 40 && self.id.bytes().all(legal);
        let percent = self.abort.failed_percent_before;
        let rules = [
            (
                self.version == VERSION,
                format!("version: {} is not readable; write {VERSION}", self.version),
            ),
            (
                id_ok,
                format!(
                    "id: `{}` must be 1 to 40 lowercase letters, digits or hyphens",
                    self.id
                ),
            ),
            (
                (1..=RATE_MAX).contains(&self.load.rate_per_s),
                format!("load.rate_per_s: write 1 to {RATE_MAX}"),
            ),
            (
                self.load.write_percent <= 100,
                "load.write_percent: write 0 to 100".to_string(),
            ),
            (
                (1..=PHASE_S_MAX).contains(&self.before_s),
                format!("before_s: write 1 to {PHASE_S_MAX}"),
            ),
            (
                (1..=PHASE_S_MAX).contains(&self.after_s),
                format!("after_s: write 1 to {PHASE_S_MAX}"),
            ),
            (
                self.in_series.is_none_or(Phases::is_in_range),
                format!("in_series: write 1 to {PHASE_S_MAX} for before_s and after_s"),
            ),
            (
                (0.0..=100.0).contains(&percent),
                "abort.failed_percent_before: write 0 to 100".to_string(),
            ),
            (
                self.expect.rto_s >= 0.0 && self.expect.rpo_s >= 0.0,
                "expect: rto_s and rpo_s cannot be negative".to_string(),
            ),
            (
                self.scope.contains(&self.primary) || !self.scope.is_empty(),
                "scope: name at least one site".to_string(),
            ),
            (
                self.visibility
                    .is_none_or(|v| v.every_ms > 0 && v.from != v.to),
                "visibility: every_ms above 0, from and to different".to_string(),
            ),
            (
                self.inside
                    .is_none_or(|inside| (10..=10_000).contains(&inside.every_ms)),
                "inside.every_ms: write 10 to 10000".to_string(),
            ),
        ];
        rules
            .into_iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, fault)| fault)
            .collect()
    }

    fn step_faults(&self) -> Vec<String> {
        let shortest = self
            .in_series
            .map_or(self.after_s, |phases| phases.after_s.min(self.after_s));
        let end_ms = u64::from(shortest) * 1_000;
        let wrong = self.steps.iter().filter_map(|step| match &step.action {
            Action::LargeTransaction { rows, .. } if !(2..=LARGE_ROWS_MAX).contains(rows) => {
                let action = &step.action;
                Some(format!("step `{action}`: write 2 to {LARGE_ROWS_MAX} rows"))
            }
            // It becomes a file of the lab.
            Action::SchemaApply { file, .. } if file.contains('/') || !file.ends_with(".sql") => {
                let action = &step.action;
                Some(format!(
                    "step `{action}`: file is a plain name that ends in .sql"
                ))
            }
            _ => None,
        });
        let late = self
            .steps
            .iter()
            .filter(|step| step.at_ms >= end_ms)
            .map(|step| {
                format!(
                    "step `{}`: at_ms {} lies after the end of the load ({end_ms})",
                    step.action, step.at_ms
                )
            });
        let unordered = self
            .steps
            .windows(2)
            .filter(|pair| pair[0].at_ms > pair[1].at_ms)
            .map(|pair| {
                format!(
                    "step `{}`: at_ms must not be smaller than that of the step before",
                    pair[1].action
                )
            });
        let crashes = self.steps.iter().filter_map(|step| step.crash.as_ref());
        let crashes = crashes.flat_map(Crash::faults);
        late.chain(unordered).chain(wrong).chain(crashes).collect()
    }

    fn condition_faults(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let twice = self.musts.iter().filter(|must| !seen.insert(must.measure));
        let mut faults: Vec<_> = twice
            .map(|must| format!("must: `{}` stands twice", must.measure.name()))
            .collect();
        if self.musts.is_empty() {
            faults.push("must: a drill without a condition proves nothing".to_string());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        version = 1
        id = "small"
        title = "t"
        hypothesis = "h"
        scope = ["aws"]
        blast_radius = "b"
        primary = "aws"
        before_s = 1
        after_s = 10
        load = { rate_per_s = 10, write_percent = 30 }
        abort = { failed_percent_before = 5 }
        expect = { rto_s = 8, rpo_s = 5 }
        [[step]]
        at_ms = 0
        do = "kill-site"
        site = "aws"
        [[step]]
        at_ms = 2000
        do = "cut-link"
        link = "aws-gcp"
        how = "drop"
        towards = "gcp"
        [[after]]
        do = "expect-forwarded"
        site = "aws"
        to = "gcp"
        [[must]]
        measure = "write_rto_s"
        bound = "<= 12"
        goal = "<= 8"
    "#;

    #[test]
    fn a_drill_file_reads_as_people_write_it() {
        let drill = Drill::parse(SMALL).unwrap();
        assert_eq!(drill.steps[0].action.to_string(), "kill everything of aws");
        assert_eq!(
            drill.steps[1].action.to_string(),
            "cut link aws-gcp towards gcp silently"
        );
        assert_eq!(drill.musts[0].goal.unwrap().to_string(), "<= 8");
        assert_eq!(drill.aftermath.len(), 1);
    }

    #[test]
    fn a_series_is_shorter_but_no_step_falls_off_its_end() {
        let with = |phases: &str| format!("in_series = {{ {phases} }}\n{SMALL}");
        let drill = Drill::parse(&with("before_s = 2, after_s = 5")).expect("good");
        assert_eq!((drill.before_s, drill.after_s), (1, 10));
        let short = drill.in_series();
        assert_eq!((short.before_s, short.after_s), (2, 5));
        let faults = Drill::parse(&with("before_s = 0, after_s = 2")).expect_err("bad");
        let text = faults.to_string();
        assert!(text.contains("in_series: write 1"), "{text}");
        assert!(
            text.contains("lies after the end of the load (2000)"),
            "{text}"
        );
    }

    #[test]
    fn unknown_keys_are_refused_in_every_table() {
        for (from, to) in [
            ("version = 1", "version = 1\ncolour = 1"),
            ("do = \"kill-site\"", "do = \"kill-site\"\nforce = true"),
            ("goal = \"<= 8\"", "goal = \"<= 8\"\ngaol = 1"),
            ("rate_per_s = 10", "rate_per_s = 10, burst = 2"),
            ("\"write_rto_s\"", "\"write_rot_s\""),
            ("\"kill-site\"", "\"kill-all\""),
            ("to = \"gcp\"", "to = \"gcp\"\nfast = true"),
        ] {
            assert!(SMALL.contains(from), "{from}");
            assert!(Drill::parse(&SMALL.replacen(from, to, 1)).is_err(), "{to}");
        }
    }

    #[test]
    fn a_migration_is_no_path() {
        let step = "do = \"kill-site\"\n        site = \"aws\"";
        assert!(SMALL.contains(step));
        let with = |file: &str| {
            let migration = format!(
                "do = \"schema-apply\"\nfile = \"{file}\"\nsql = \"SELECT 1\"\nfirst = \"gcp\""
            );
            Drill::parse(&SMALL.replace(step, &migration))
        };
        assert!(with("column.sql").is_ok());
        for wrong in ["../column.sql", "column"] {
            let faults = with(wrong).expect_err("bad").to_string();
            assert!(faults.contains("plain name"), "{faults}");
        }
    }

    #[test]
    fn all_faults_of_a_file_are_reported_at_once() {
        let bad = SMALL
            .replace("version = 1", "version = 9")
            .replace("rate_per_s = 10", "rate_per_s = 0")
            .replace("at_ms = 0", "at_ms = 99000")
            .replace("\"small\"", "\"Sm all\"");
        let faults = Drill::parse(&bad).unwrap_err().0;
        assert_eq!(faults.len(), 5, "{faults:#?}");
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains("lies after the end of the load"))
        );
    }
}
