//! The steps that take a file to a pair: a pure function of the file and of what both sites show.
//!
//! Statement by statement, in the order of the file: additive ones at the replica and then at the
//! primary, removing ones the other way round with a barrier between, rows at the primary. New
//! tables are published when everything else is in place. What a site has done already, by its
//! journal or by its catalog, is marked so and not done again.

use std::fmt;

use serde::Serialize;
use tandem_core::config::Config;
use tandem_core::model::SiteId;

use super::lint::Script;
use super::obstacles::{self, Obstacle};
use super::reading::{Class, Effect, Name, Reading};
use super::shape::Shape;
use super::steps::Steps;
use crate::names::Names;

/// One step, at one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where.
    pub site: SiteId,
    /// What, for people.
    pub what: String,
    /// Why here and now; absent for the steps around statements.
    pub class: Option<Class>,
    /// The statement's line in the file.
    pub line: Option<u64>,
    /// What is sent, as the author wrote it, or as Tandem does.
    pub sql: Option<String>,
    /// What others wait for.
    pub lock: &'static str,
    /// How long the lock is held.
    pub time: &'static str,
    /// What takes the step back.
    pub undo: Option<String>,
    /// A former run took it, or the catalog shows it.
    pub done: bool,
    #[serde(skip)]
    pub(super) action: Action,
}

/// How a step is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// One statement with its mark, in one transaction.
    Statement(Deed),
    /// One statement that no transaction may hold.
    Alone { deed: Deed, index: Option<Name> },
    /// Rows, at the primary; announced at the replica before.
    Rows(Deed),
    /// Tandem's own statement; safe to repeat.
    Plain(String),
    /// The replica has everything that the primary has written.
    CatchUp,
    /// Every table of the subscription is copied.
    Ready,
}

/// A statement, and how it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) sql: String,
    pub(super) mark: Mark,
    /// Tables that it makes: guarded and granted in the same transaction.
    pub(super) makes: Vec<Name>,
    pub(super) as_administrator: bool,
}

/// How a statement is found again in the journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// A hash of its text.
    pub(crate) statement: String,
    /// Which of several with the same text, from 1.
    pub(crate) nth: i32,
}

/// What the journal says of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It was about to change rows at the other site.
    Begun,
    Done,
}

/// One site, as far as the plan needs it.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) names: Names,
    pub(crate) shape: Shape,
    pub(crate) journal: Vec<(Mark, Progress)>,
    /// Tables in this site's publication (the primary) or subscription (the replica).
    pub(crate) carried: Vec<Name>,
    /// Some table is not copied yet, as after an interrupted run.
    pub(crate) copying: bool,
    /// Schemas in which the owner role may not create anything yet.
    pub(crate) closed_schemas: Vec<String>,
}

/// Both sites in the direction in which replication runs now.
#[derive(Debug, Clone)]
pub(crate) struct Sides {
    pub(crate) primary: Side,
    pub(crate) replica: Side,
}

/// Steps, or everything that is in their way.
pub(crate) fn plan(
    config: &Config,
    script: &Script,
    sides: &Sides,
) -> Result<Vec<Step>, Vec<Obstacle>> {
    let marks = marks(script);
    let obstacles = obstacles::find(config, script, &marks, sides);
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let mut steps = Steps {
        config,
        sides,
        list: Vec::new(),
    };
    if sides.replica.copying {
        steps.ready();
    }
    steps.let_owner_create(script);
    for (at, (piece, reading)) in script.statements.iter().enumerate() {
        steps.statement(piece, reading, &marks[at]);
    }
    steps.publish(script, &marks);
    Ok(steps.list)
}

pub(super) fn made(reading: &Reading) -> impl Iterator<Item = &Name> {
    reading.effects.iter().filter_map(|effect| match effect {
        Effect::Table {
            table,
            appears: true,
        } => Some(table),
        _ => None,
    })
}

/// One mark a statement.
fn marks(script: &Script) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for (piece, _) in &script.statements {
        let statement = hash(&piece.sql);
        let before = marks
            .iter()
            .filter(|mark| mark.statement == statement)
            .count();
        let nth = i32::try_from(before + 1).unwrap_or(i32::MAX);
        marks.push(Mark { statement, nth });
    }
    marks
}

/// FNV-1a over the words, so that a re-indented statement is the same one.
fn hash(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!(
        "{:016x}",
        words.join(" ").bytes().fold(0xcbf2_9ce4_8422_2325, step)
    )
}

impl Side {
    pub(super) fn progress(&self, mark: &Mark) -> Option<Progress> {
        self.journal
            .iter()
            .find(|(found, _)| found == mark)
            .map(|(_, progress)| *progress)
    }

    /// Whether the catalog shows what the statement makes; `None` if nothing can be seen.
    fn shows(&self, reading: &Reading) -> Option<bool> {
        let seen = |effect: &Effect| match effect {
            Effect::Table { table, appears } => Some(self.shape.has_table(table) == *appears),
            Effect::Column {
                table,
                column,
                appears,
            } => Some(self.shape.column(table, column).is_some() == *appears),
            Effect::Index {
                index,
                appears: true,
            } => Some(self.shape.index(index).is_some_and(|found| found.valid)),
            Effect::Index {
                index,
                appears: false,
            } => Some(self.shape.index(index).is_none()),
            Effect::Key { .. } | Effect::Nullable { .. } | Effect::Constraint { .. } => None,
        };
        let all: Option<Vec<bool>> = reading.effects.iter().map(seen).collect();
        all.filter(|all| !all.is_empty())
            .map(|all| all.iter().all(|one| *one))
    }

    /// By the journal; or by the catalog, if it cannot have been so before: the other site has
    /// it not, or has it from this very file.
    pub(super) fn has_done(&self, other: &Self, reading: &Reading, mark: &Mark) -> bool {
        if self.progress(mark) == Some(Progress::Done) {
            return true;
        }
        let ours = other.progress(mark) == Some(Progress::Done);
        self.shows(reading) == Some(true) && (ours || other.shows(reading) == Some(false))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.site, self.what)
    }
}

#[cfg(test)]
mod tests;
