//! What is in the way of a file: everything at once, before anything is changed.
//!
//! Pure: the file and what both sites show in, all obstacles out, each with its fix.

use std::fmt;

use serde::Serialize;
use tandem_core::config::Config;

use super::lint::{Finding, Script};
use super::plan::{Mark, Progress, Side, Sides, made};
use super::reading::{Class, Effect, Name};
use super::rules::{self, Level};
use super::shape::{compare, explains};

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// What was found.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.fix)
    }
}

impl Obstacle {
    pub(super) fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// Everything that is in the way of `script`.
pub(super) fn find(
    config: &Config,
    script: &Script,
    marks: &[Mark],
    sides: &Sides,
) -> Vec<Obstacle> {
    let mut found = faults(&script.findings);
    found.extend(strange_schemas(config, script));
    found.extend(unexplained(script, sides));
    for side in [&sides.primary, &sides.replica] {
        found.extend(changed(side, marks));
    }
    found.extend(half_done(script, marks, sides));
    found.extend(lost_keys(script, sides));
    found
}

fn faults(findings: &[Finding]) -> Vec<Obstacle> {
    let open = findings
        .iter()
        .filter(|finding| finding.level == Level::Fault && finding.allowed.is_none());
    let obstacle = |finding: &Finding| {
        let problem = format!(
            "line {}: {} ({}): {}",
            finding.line, finding.what, finding.rule, finding.why
        );
        Obstacle::new(problem, finding.fix)
    };
    let refused = |finding: &Finding| finding.allowed.is_some() && finding.level == Level::Fault;
    let mut found: Vec<_> = open.map(obstacle).collect();
    found.extend(
        findings
            .iter()
            .filter(|finding| refused(finding) && !can_be_allowed(finding.rule))
            .map(|finding| {
                let problem = format!(
                    "line {}: {} ({}): allowed in the file, but no order of two sites is right",
                    finding.line, finding.what, finding.rule
                );
                Obstacle::new(problem, finding.fix)
            }),
    );
    found
}

/// Rules whose statements the plan can still order; the others are refused whatever a comment says.
fn can_be_allowed(rule: &str) -> bool {
    let orderable = [
        rules::INDEX_NOT_CONCURRENT,
        rules::CONSTRAINT_NOT_VALID,
        rules::VOLATILE_DEFAULT,
        rules::NOT_NULL_WITHOUT_DEFAULT,
        rules::TABLE_REWRITE,
        rules::LARGE_OBJECT,
        rules::APPLICATION_RIGHTS,
    ];
    orderable.iter().any(|found| found.id == rule)
}

/// A table outside the replicated schemas would never arrive.
fn strange_schemas(config: &Config, script: &Script) -> Vec<Obstacle> {
    let known = |table: &Name| config.database.schemas.contains(&table.schema);
    let made = script
        .statements
        .iter()
        .flat_map(|(_, reading)| made(reading));
    let strange = made.filter(|table| !known(table));
    strange
        .map(|table| {
            Obstacle::new(
                format!("table {table} is in no replicated schema"),
                "name its schema in database.schemas and run setup",
            )
        })
        .collect()
}

/// The sites must be equal, but for what this file itself is about.
fn unexplained(script: &Script, sides: &Sides) -> Vec<Obstacle> {
    let effects: Vec<_> = script
        .statements
        .iter()
        .flat_map(|(_, reading)| &reading.effects)
        .collect();
    let differences = compare(
        (sides.primary.names.site, &sides.primary.shape),
        (sides.replica.names.site, &sides.replica.shape),
    );
    let strange = differences
        .iter()
        .filter(|found| !explains(&effects, found));
    strange
        .map(|found| {
            Obstacle::new(
                format!("the sites differ before anything is done: {found}"),
                "make them equal first, see `tandem schema diff`",
            )
        })
        .collect()
}

/// What was done under this name must still stand in the file.
fn changed(side: &Side, marks: &[Mark]) -> Option<Obstacle> {
    let lost = side
        .journal
        .iter()
        .filter(|(mark, _)| !marks.contains(mark))
        .count();
    let problem = format!(
        "{}: {lost} statement(s) of a former run under this name are no longer in the file",
        side.names.site
    );
    (lost > 0).then(|| {
        Obstacle::new(
            problem,
            "put back what was done as it was; new statements belong into a new file",
        )
    })
}

/// Rows that were announced here, while this site was the replica, and may or may not have come.
fn half_done(script: &Script, marks: &[Mark], sides: &Sides) -> Vec<Obstacle> {
    let doubtful = script
        .statements
        .iter()
        .zip(marks)
        .filter(|((_, reading), mark)| {
            reading.class == Class::Data && sides.primary.progress(mark) == Some(Progress::Begun)
        });
    doubtful
        .map(|((piece, _), mark)| {
            let site = sides.primary.names.site;
            let problem = format!("line {}: these rows were being changed when the right to write moved to {site}", piece.line);
            let table = super::look::JOURNAL;
            let fix = format!(
                "look whether they arrived at {site}; if so: UPDATE {table} SET state = 'done' WHERE statement = '{}' AND state = 'begun'; if not: DELETE the same row",
                mark.statement
            );
            Obstacle::new(problem, fix)
        })
        .collect()
}

/// Dropping a column of a key is changing the key, which no text tells.
fn lost_keys(script: &Script, sides: &Sides) -> Vec<Obstacle> {
    let effects = script
        .statements
        .iter()
        .flat_map(|(piece, reading)| reading.effects.iter().map(move |effect| (piece, effect)));
    let mut found = Vec::new();
    for (piece, effect) in effects {
        let key = |table: &Name| sides.primary.shape.key(table);
        let lost = match effect {
            Effect::Column {
                table,
                column,
                appears: false,
            }
            | Effect::Nullable { table, column } => key(table)
                .filter(|key| key.columns.contains(column))
                .map(|_| format!("{table}.{column}")),
            Effect::Constraint { table, name } => key(table)
                .filter(|key| key.name == *name)
                .map(|_| format!("{table}: {name}")),
            _ => None,
        };
        if let Some(part) = lost {
            let rule = rules::PRIMARY_KEY_CHANGE;
            let problem = format!(
                "line {}: {part} is part of the key ({}): {}",
                piece.line, rule.id, rule.why
            );
            found.push(Obstacle::new(problem, rule.fix));
        }
    }
    found
}
