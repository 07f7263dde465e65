//! `tandem schema lint`: a migration file judged offline, for a pipeline.
//!
//! A finding names its line, its rule, why and what instead. What the author allows stays in the
//! report as allowed, with the reason; an allowance that allows nothing is itself a finding.

use serde::Serialize;

use super::reading::{Class, Effect, Hit, Reading, Scene};
use super::rules::{self, Level, Rule};
use super::statements::read;
use super::text::{self, Allowed, Piece};

/// What the linter cannot know from the file.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The schema of names without one.
    pub schema: String,
    /// The role that may own tables.
    pub owner_role: Option<String>,
    /// The migration tool wraps each file in one transaction.
    pub wrapped: bool,
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// As it was given.
    pub file: String,
    /// Where its statement begins, from 1.
    pub line: u64,
    /// The rule's name.
    pub rule: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// The table, column or words it is about.
    pub what: String,
    /// What goes wrong.
    pub why: &'static str,
    /// What to write instead.
    pub fix: &'static str,
    /// The author's reason, if a comment allows it.
    pub allowed: Option<String>,
}

impl Finding {
    pub(super) fn new(file: &str, line: u64, rule: &'static Rule, what: String) -> Self {
        Self {
            file: file.to_owned(),
            line,
            rule: rule.id,
            level: rule.level,
            what,
            why: rule.why,
            fix: rule.fix,
            allowed: None,
        }
    }
}

/// The worst level that nobody allowed.
pub fn worst(findings: &[Finding]) -> Option<Level> {
    let open = findings.iter().filter(|finding| finding.allowed.is_none());
    open.map(|finding| finding.level).max()
}

/// A file, read: every statement with what it means.
pub(crate) struct Script {
    pub(crate) statements: Vec<(Piece, Reading)>,
    pub(crate) findings: Vec<Finding>,
}

/// Judges one file.
pub fn lint(file: &str, text: &str, circumstances: &Circumstances) -> Vec<Finding> {
    understand(file, text, circumstances).findings
}

/// Reads every statement of a file in its scene.
pub(crate) fn understand(file: &str, text: &str, circumstances: &Circumstances) -> Script {
    let cut = match text::cut(text) {
        Ok(cut) => cut,
        Err(broken) => {
            let finding = Finding::new(file, broken.line, rules::UNREADABLE, broken.problem);
            return Script {
                statements: Vec::new(),
                findings: vec![finding],
            };
        }
    };
    let mut scene = Scene::new(&circumstances.schema);
    scene.owner.clone_from(&circumstances.owner_role);
    scene.wrapped = circumstances.wrapped;
    let read = |piece: Piece| {
        let reading = read(&piece, &mut scene);
        (piece, reading)
    };
    let mut statements: Vec<_> = cut.pieces.into_iter().map(read).collect();
    keyed_later(&mut statements);
    let mut findings: Vec<_> = statements
        .iter()
        .flat_map(|(piece, reading)| judge(file, piece, reading))
        .collect();
    findings.extend(mixed(file, &statements));
    findings.extend(cut.stray.iter().map(|allowed| unused(file, allowed)));
    Script {
        statements,
        findings,
    }
}

/// A table without a key that gets one further down is fine.
fn keyed_later(statements: &mut [(Piece, Reading)]) {
    let keyed: Vec<_> = statements
        .iter()
        .flat_map(|(_, reading)| &reading.effects)
        .filter_map(|effect| match effect {
            Effect::Key { table } => Some(table.to_string()),
            _ => None,
        })
        .collect();
    for (_, reading) in statements {
        reading
            .hits
            .retain(|hit| hit.rule != rules::NO_PRIMARY_KEY || !keyed.contains(&hit.detail));
    }
}

fn judge(file: &str, piece: &Piece, reading: &Reading) -> Vec<Finding> {
    let finding = |hit: &Hit| {
        let mut finding = Finding::new(file, piece.line, hit.rule, hit.detail.clone());
        let allowed = piece
            .allowed
            .iter()
            .find(|allowed| allowed.rule == hit.rule.id && !allowed.reason.is_empty());
        finding.allowed = allowed.map(|allowed| allowed.reason.clone());
        finding
    };
    let mut findings: Vec<_> = reading.hits.iter().map(finding).collect();
    for allowed in &piece.allowed {
        if rules::find(&allowed.rule).is_none() || allowed.reason.is_empty() {
            let what = format!("`{}` {}", allowed.rule, allowed.reason);
            findings.push(Finding::new(file, allowed.line, rules::FAULTY_ALLOW, what));
        } else if allowed.rule != rules::MIXED_DATA.id
            && !reading.hits.iter().any(|hit| hit.rule.id == allowed.rule)
        {
            findings.push(unused(file, allowed));
        }
    }
    findings
}

fn unused(file: &str, allowed: &Allowed) -> Finding {
    Finding::new(
        file,
        allowed.line,
        rules::UNUSED_ALLOW,
        allowed.rule.clone(),
    )
}

/// Rows and schema in one file: said once, at the first statement that changes rows.
fn mixed(file: &str, statements: &[(Piece, Reading)]) -> Option<Finding> {
    let shapes = |class| matches!(class, Class::Additive | Class::Removing | Class::Neutral);
    statements
        .iter()
        .find(|(_, reading)| shapes(reading.class))?;
    let (piece, _) = statements
        .iter()
        .find(|(_, reading)| reading.class == Class::Data)?;
    let mut finding = Finding::new(file, piece.line, rules::MIXED_DATA, piece.words.join(" "));
    let allowed = piece
        .allowed
        .iter()
        .find(|allowed| allowed.rule == rules::MIXED_DATA.id && !allowed.reason.is_empty());
    finding.allowed = allowed.map(|allowed| allowed.reason.clone());
    Some(finding)
}

#[cfg(test)]
mod tests;
