//! The steps of a file, built statement by statement.
//!
//! Additive and neutral ones at the replica, then at the primary; removing ones the other way round
//! with a barrier between; rows at the primary; publication when everything else stands.

use tandem_core::config::Config;
use tandem_core::model::SiteId;

use super::lint::Script;
use super::plan::{Action, Deed, Mark, Progress, Side, Sides, Step, made};
use super::reading::{Class, Effect, Name, Reading};
use super::script;
use super::text::Piece;

pub(super) struct Steps<'a> {
    pub(super) config: &'a Config,
    pub(super) sides: &'a Sides,
    pub(super) list: Vec<Step>,
}

impl Steps<'_> {
    pub(super) fn statement(&mut self, piece: &Piece, reading: &Reading, mark: &Mark) {
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

    pub(super) fn ready(&mut self) {
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
                let sql = script::drop_not_null(table, column);
                let what = format!(
                    "let {table} take rows without {column}, which the primary drops first"
                );
                self.plain(replica.names.site, what, sql, false);
            }
        }
    }

    /// New tables belong to the owner role, which needs room for them.
    pub(super) fn let_owner_create(&mut self, script: &Script) {
        let creates = |piece: &Piece| piece.words.first().is_some_and(|word| word == "CREATE");
        if !script.statements.iter().any(|(piece, _)| creates(piece)) {
            return;
        }
        for side in [&self.sides.replica, &self.sides.primary] {
            for schema in &side.closed_schemas {
                let owner = &self.config.database.owner_role;
                let sql = script::let_create(self.config, schema);
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
    pub(super) fn publish(&mut self, script: &Script, marks: &[Mark]) {
        let (primary, replica) = (&self.sides.primary, &self.sides.replica);
        let mut partitions = false;
        let mut missing = Vec::new();
        for ((piece, reading), mark) in script.statements.iter().zip(marks) {
            let partition = piece.sql.to_uppercase().contains("PARTITION OF");
            partitions |= partition && made(reading).next().is_some();
            // Made by a former run and dropped by a later file: there is nothing to publish.
            let past = primary.progress(mark) == Some(Progress::Done);
            let stands = |table: &&Name| !past || primary.shape.has_table(table);
            missing.extend(made(reading).filter(|_| !partition).filter(stands));
        }
        missing.retain(|table| !dropped(script, table));
        let unpublished: Vec<_> = missing
            .iter()
            .filter(|table| !primary.carried.contains(table))
            .collect();
        for table in &unpublished {
            let sql = script::publish(&primary.names, table);
            self.plain(primary.names.site, format!("publish {table}"), sql, false);
        }
        let unknown = missing.iter().any(|table| !replica.carried.contains(table));
        if unknown || partitions {
            let sql = script::refresh(&replica.names);
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
