//! The rule table and its run.
//!
//! Intuition: each rule is one row: what is promised, the formula, the source,
//! the remedy, and a pure function that puts this installation's numbers in.
//! Invariant: a rule has three ends and no fourth: it holds (and says with
//! which numbers), it is broken (and says where), or it cannot tell (and says
//! what is missing). `explain` and the reference page come from the same rows.

pub mod render;
mod rules;
pub mod suppress;

use serde::Serialize;

use crate::error::Error;
use crate::estate::{Estate, Missing};
use crate::read::Place;

pub use rules::RULES;
pub(crate) use rules::capacity;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Will hurt one day.
    Warning,
    /// A promise is broken, or a tool will refuse.
    Error,
}

/// The groups of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// What Terraform or Tandem would refuse about the files as such.
    Files,
    /// How late a lost site is noticed.
    Detection,
    /// Recovery time, recovery point, error budget.
    Recovery,
    /// The right to write: lease, witness, agents, gates.
    Authority,
    /// How requests are split and moved.
    Traffic,
    /// Where writes go.
    Writes,
    /// Whether one cloud can carry all.
    Capacity,
    /// What is out of support.
    Versions,
    /// Addresses, routes, tunnels.
    Network,
    /// Secrets and what services accept as such.
    Secrets,
    /// Redis on both sides.
    Cache,
    /// PostgreSQL on both sides.
    Database,
    /// Who may change what: Terraform or the runtime.
    Ownership,
    /// What dies with one cloud.
    Dependencies,
}

impl Topic {
    /// The heading of the group.
    pub fn heading(self) -> &'static str {
        match self {
            Topic::Files => "files",
            Topic::Detection => "detection",
            Topic::Recovery => "recovery",
            Topic::Authority => "right to write",
            Topic::Traffic => "traffic",
            Topic::Writes => "write path",
            Topic::Capacity => "survivor capacity",
            Topic::Versions => "versions",
            Topic::Network => "network",
            Topic::Secrets => "secrets",
            Topic::Cache => "cache",
            Topic::Database => "database",
            Topic::Ownership => "ownership",
            Topic::Dependencies => "dependencies",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Rule {
    /// The name by which people suppress and explain it.
    pub id: &'static str,
    /// The group.
    pub topic: Topic,
    /// How bad a finding is, unless the finding says less.
    pub severity: Severity,
    /// What must hold, in a few words.
    pub title: &'static str,
    /// What goes wrong otherwise.
    pub why: &'static str,
    /// How it is computed.
    pub formula: &'static str,
    /// Where that is known from.
    pub source: &'static str,
    /// The setting that keeps the promise.
    pub remedy: &'static str,
    /// Puts this installation's numbers in.
    pub check: fn(&Estate) -> Outcome,
}

/// What a rule says.
pub type Outcome = Result<Verdict, Missing>;

/// What a rule says when it can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds, with these numbers.
    Holds(String),
    /// It does not, at these places.
    Broken(Vec<Found>),
}

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// What is promised.
    pub promised: String,
    /// What will happen: the formula with the numbers put in.
    pub computed: String,
    /// The setting that would keep the promise, if better than the rule's own.
    pub remedy: Option<String>,
    /// Less bad than the rule in general.
    pub severity: Option<Severity>,
}

impl Found {
    /// A broken promise at `place`.
    pub fn at(place: Place, promised: impl Into<String>, computed: impl Into<String>) -> Self {
        Self {
            place,
            promised: promised.into(),
            computed: computed.into(),
            remedy: None,
            severity: None,
        }
    }

    /// With a remedy for this very case.
    #[must_use]
    pub fn fix(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With its own severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }
}

/// Holds if nothing was found.
fn judge(found: Vec<Found>, holds: impl Into<String>) -> Outcome {
    Ok(if found.is_empty() {
        Verdict::Holds(holds.into())
    } else {
        Verdict::Broken(found)
    })
}

/// A finding as it is reported.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The rule.
    pub id: &'static str,
    /// The rule's group.
    pub topic: Topic,
    /// How bad.
    pub severity: Severity,
    /// The rule in a few words.
    pub title: &'static str,
    /// Where.
    #[serde(rename = "where")]
    pub place: WherePlace,
    /// What is promised.
    pub promised: String,
    /// What will happen.
    pub computed: String,
    /// The setting that would keep the promise.
    pub remedy: String,
    /// Why it does not count, if somebody accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<suppress::Accepted>,
}

/// A place, as JSON shows it.
#[derive(Debug, Clone, Serialize)]
pub struct WherePlace {
    /// The file.
    pub file: String,
    /// The key.
    pub key: String,
    /// The line, if the file has one.
    pub line: Option<u32>,
}

impl From<Place> for WherePlace {
    fn from(place: Place) -> Self {
        let line = (place.line > 0).then_some(place.line);
        Self {
            file: place.file,
            key: place.key,
            line,
        }
    }
}

/// What one rule said in this run.
#[derive(Debug, Clone)]
pub enum Said {
    /// It holds, with these numbers.
    Holds(String),
    /// It cannot tell: what is missing.
    Missing(String),
    /// It is broken.
    Findings(Vec<Finding>),
}

/// One run over the whole table.
#[derive(Debug)]
pub struct Report {
    /// Each rule with what it said, in the order of the table.
    pub rules: Vec<(&'static Rule, Said)>,
}

impl Report {
    /// Findings in the order of the table, suppressed ones included.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.rules.iter().flat_map(|(_, said)| match said {
            Said::Findings(findings) => findings.as_slice(),
            _ => &[],
        })
    }

    /// How many findings of a severity count.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings()
            .filter(|finding| finding.severity == severity && finding.suppressed.is_none())
            .count()
    }

    /// 1 with errors, 3 with warnings, else 0.
    pub fn exit_code(&self) -> u8 {
        match (self.count(Severity::Error), self.count(Severity::Warning)) {
            (0, 0) => 0,
            (0, _) => 3,
            _ => 1,
        }
    }
}

/// Runs every rule over the estate.
pub fn run(estate: &Estate) -> Report {
    let said = |rule: &'static Rule| match (rule.check)(estate) {
        Ok(Verdict::Holds(numbers)) => Said::Holds(numbers),
        Err(Missing(what)) => Said::Missing(what),
        Ok(Verdict::Broken(found)) => {
            let report =
                |found| suppress::apply(&estate.suppressions, finding(rule, found), estate.today);
            Said::Findings(found.into_iter().map(report).collect())
        }
    };
    Report {
        rules: RULES.iter().map(|rule| (*rule, said(rule))).collect(),
    }
}

fn finding(rule: &'static Rule, found: Found) -> Finding {
    Finding {
        id: rule.id,
        topic: rule.topic,
        severity: found.severity.unwrap_or(rule.severity),
        title: rule.title,
        place: found.place.into(),
        promised: found.promised,
        computed: found.computed,
        remedy: found.remedy.unwrap_or_else(|| rule.remedy.to_owned()),
        suppressed: None,
    }
}

/// The rule called `id`.
///
/// # Errors
/// If there is none, with the nearest name.
pub fn find(id: &str) -> Result<&'static Rule, Error> {
    RULES
        .iter()
        .copied()
        .find(|rule| rule.id == id)
        .ok_or_else(|| {
            let nearest = RULES
                .iter()
                .map(|rule| rule.id)
                .min_by_key(|known| distance(known, id));
            let hint = format!(
                "did you mean `{}`? `tandem check explain` lists all",
                nearest.unwrap_or_default()
            );
            Error::Unknown {
                asked: id.to_owned(),
                hint,
            }
        })
}

/// Edit distance, for suggestions.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
