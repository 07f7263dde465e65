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

use super::lint::{Finding, Script};
use super::reading::{Class, Effect, Name, Reading};
use super::rules::Level;
use super::shape::{Difference, Shape, compare, explains};
use super::text::Piece;
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

/// Steps, or everything that is in their way.
pub(crate) fn plan(
    config: &Config,
    script: &Script,
    sides: &Sides,
) -> Result<Vec<Step>, Vec<Obstacle>> {
    let marks = marks(script);
    let mut obstacles = faults(&script.findings);
    obstacles.extend(strange_schemas(config, script));
    obstacles.extend(unexplained(script, sides));
    for side in [&sides.primary, &sides.replica] {
        obstacles.extend(changed(side, &marks));
    }
    obstacles.extend(half_done(script, &marks, sides));
    obstacles.extend(lost_keys(script, sides));
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
    steps.publish(script);
    Ok(steps.list)
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
        super::rules::INDEX_NOT_CONCURRENT,
        super::rules::CONSTRAINT_NOT_VALID,
        super::rules::VOLATILE_DEFAULT,
        super::rules::NOT_NULL_WITHOUT_DEFAULT,
        super::rules::TABLE_REWRITE,
        super::rules::LARGE_OBJECT,
        super::rules::APPLICATION_RIGHTS,
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

fn made(reading: &Reading) -> impl Iterator<Item = &Name> {
    reading.effects.iter().filter_map(|effect| match effect {
        Effect::Table {
            table,
            appears: true,
        } => Some(table),
        _ => None,
    })
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
        let (Effect::Column {
            table,
            column,
            appears: false,
        }
        | Effect::Nullable { table, column }) = effect
        else {
            continue;
        };
        if sides
            .primary
            .shape
            .key(table)
            .is_some_and(|key| key.columns.contains(column))
        {
            let rule = super::rules::PRIMARY_KEY_CHANGE;
            let problem = format!(
                "line {}: {table}.{column} is part of the key ({}): {}",
                piece.line, rule.id, rule.why
            );
            found.push(Obstacle::new(problem, rule.fix));
        }
    }
    found
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
    fn progress(&self, mark: &Mark) -> Option<Progress> {
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
            Effect::Key { .. } | Effect::Nullable { .. } => None,
        };
        let all: Option<Vec<bool>> = reading.effects.iter().map(seen).collect();
        all.filter(|all| !all.is_empty())
            .map(|all| all.iter().all(|one| *one))
    }

    /// By the journal; or by the catalog, if it cannot have been so before: the other site has
    /// it not, or has it from this very file.
    fn has_done(&self, other: &Self, reading: &Reading, mark: &Mark) -> bool {
        if self.progress(mark) == Some(Progress::Done) {
            return true;
        }
        let ours = other.progress(mark) == Some(Progress::Done);
        self.shows(reading) == Some(true) && (ours || other.shows(reading) == Some(false))
    }
}

struct Steps<'a> {
    config: &'a Config,
    sides: &'a Sides,
    list: Vec<Step>,
}

impl Steps<'_> {
    fn statement(&mut self, piece: &Piece, reading: &Reading, mark: &Mark) {
        let (primary, replica) = (&self.sides.primary, &self.sides.replica);
        match reading.class {
            Class::Additive | Class::Neutral => {
                self.deed(replica, primary, piece, reading, mark);
                self.deed(primary, replica, piece, reading, mark);
            }
            Class::Removing => {
                self.loosen(reading);
                self.deed(primary, replica, piece, reading, mark);
                if !replica.has_done(primary, reading, mark) {
                    self.catch_up();
                }
                self.deed(replica, primary, piece, reading, mark);
            }
            Class::Data => self.rows(piece, reading, mark),
            Class::Skipped | Class::Refused => {}
        }
    }

    fn deed(&mut self, side: &Side, other: &Side, piece: &Piece, reading: &Reading, mark: &Mark) {
        let deed = Deed {
            sql: piece.sql.clone(),
            mark: mark.clone(),
            makes: made(reading).cloned().collect(),
            as_administrator: reading.as_administrator,
        };
        let guarded = if deed.makes.is_empty() {
            ""
        } else {
            ", guarded and granted at once"
        };
        let index = reading.effects.iter().find_map(|effect| match effect {
            Effect::Index {
                index,
                appears: true,
            } => Some(index.clone()),
            _ => None,
        });
        let action = match reading.alone {
            true => Action::Alone { deed, index },
            false => Action::Statement(deed),
        };
        let done = side.has_done(other, reading, mark);
        self.add(
            side,
            format!("{}{guarded}", first_line(&piece.sql)),
            piece,
            reading,
            done,
            action,
        );
    }

    fn rows(&mut self, piece: &Piece, reading: &Reading, mark: &Mark) {
        let side = &self.sides.primary;
        let deed = Deed {
            sql: piece.sql.clone(),
            mark: mark.clone(),
            makes: Vec::new(),
            as_administrator: false,
        };
        let done = side.progress(mark) == Some(Progress::Done);
        self.add(
            side,
            first_line(&piece.sql),
            piece,
            reading,
            done,
            Action::Rows(deed),
        );
    }

    fn add(
        &mut self,
        side: &Side,
        what: String,
        piece: &Piece,
        reading: &Reading,
        done: bool,
        action: Action,
    ) {
        self.list.push(Step {
            site: side.names.site,
            what,
            class: Some(reading.class),
            line: Some(piece.line),
            sql: Some(piece.sql.clone()),
            lock: reading.lock.mode,
            time: reading.lock.time,
            undo: reading.undo.clone(),
            done,
            action,
        });
    }

    fn plain(&mut self, site: SiteId, what: String, sql: String, done: bool) {
        self.list.push(Step {
            site,
            what,
            class: None,
            line: None,
            lock: "none",
            time: "a moment",
            undo: None,
            done,
            action: Action::Plain(sql.clone()),
            sql: Some(sql),
        });
    }

    fn wait(&mut self, what: &str, time: &'static str, action: Action) {
        self.list.push(Step {
            site: self.sides.replica.names.site,
            what: what.to_owned(),
            class: None,
            line: None,
            sql: None,
            lock: "none",
            time,
            undo: None,
            done: false,
            action,
        });
    }

    fn catch_up(&mut self) {
        self.wait(
            "wait until everything written before has arrived",
            "as long as the lag",
            Action::CatchUp,
        );
    }

    fn ready(&mut self) {
        self.wait(
            "wait until new tables are copied",
            "as many rows as they hold by then",
            Action::Ready,
        );
    }

    /// A column that must not be NULL and fills itself with nothing would stop apply as soon as
    /// the primary has dropped it.
    fn loosen(&mut self, reading: &Reading) {
        let replica = &self.sides.replica;
        for effect in &reading.effects {
            let Effect::Column {
                table,
                column,
                appears: false,
            } = effect
            else {
                continue;
            };
            let found = replica.shape.column(table, column);
            let strict = found.is_some_and(|found| found.not_null && !found.fills_itself);
            if strict {
                let sql = super::script::drop_not_null(table, column);
                let what = format!(
                    "let {table} take rows without {column}, which the primary drops first"
                );
                self.plain(replica.names.site, what, sql, false);
            }
        }
    }

    /// New tables belong to the owner role, which needs room for them.
    fn let_owner_create(&mut self, script: &Script) {
        let creates = |piece: &Piece| piece.words.first().is_some_and(|word| word == "CREATE");
        if !script.statements.iter().any(|(piece, _)| creates(piece)) {
            return;
        }
        for side in [&self.sides.replica, &self.sides.primary] {
            for schema in &side.closed_schemas {
                let owner = &self.config.database.owner_role;
                let sql = super::script::let_create(self.config, schema);
                self.plain(
                    side.names.site,
                    format!("let {owner} create in schema {schema}"),
                    sql,
                    false,
                );
            }
        }
    }

    /// Tables that replication does not carry yet, once everything else stands.
    fn publish(&mut self, script: &Script) {
        let (primary, replica) = (&self.sides.primary, &self.sides.replica);
        let mut partitions = false;
        let mut missing = Vec::new();
        for (piece, reading) in &script.statements {
            let partition = piece.sql.to_uppercase().contains("PARTITION OF");
            partitions |= partition && made(reading).next().is_some();
            missing.extend(made(reading).filter(|_| !partition));
        }
        missing.retain(|table| !dropped(script, table));
        let unpublished: Vec<_> = missing
            .iter()
            .filter(|table| !primary.carried.contains(table))
            .collect();
        for table in &unpublished {
            let sql = super::script::publish(&primary.names, table);
            self.plain(primary.names.site, format!("publish {table}"), sql, false);
        }
        let unknown = missing.iter().any(|table| !replica.carried.contains(table));
        if unknown || partitions {
            let sql = super::script::refresh(&replica.names);
            self.plain(
                replica.names.site,
                "take the new tables into the subscription".into(),
                sql,
                false,
            );
            self.ready();
        }
    }
}

fn dropped(script: &Script, table: &Name) -> bool {
    let gone = |effect: &Effect| matches!(effect, Effect::Table { table: found, appears: false } if found == table);
    script
        .statements
        .iter()
        .any(|(_, reading)| reading.effects.iter().any(gone))
}

fn first_line(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(90) {
        Some((at, _)) => format!("{}..", &text[..at]),
        None => text,
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column}:", self.table)?,
            None => write!(f, "{}:", self.table)?,
        }
        for (at, (site, found)) in self.sites.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(
                f,
                "{comma} {} at {site}",
                found.as_deref().unwrap_or("nothing")
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.site, self.what)
    }
}
