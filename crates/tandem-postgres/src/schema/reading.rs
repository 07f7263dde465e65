//! What one statement means for a pair: at which site it belongs first, and which rules fire.
//!
//! The one distinction that matters: *additive* statements make the replica take more than before,
//! so the replica has them first; *removing* ones make it take less, so it has them last, when
//! everything older has arrived. One traversal answers both questions, so that the plan and the
//! linter cannot contradict each other.
//!
//! Invariant: what is not recognised is refused and named, never passed on as harmless.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sqlparser::ast::{ObjectName, ObjectNamePart, Statement};

use super::rules::Rule;
use super::text::Piece;

/// Where a statement belongs, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The replica first, then the primary.
    Additive,
    /// The primary first; the replica when it has caught up.
    Removing,
    /// Both sites, in either order.
    Neutral,
    /// The primary only: rows are replicated.
    Data,
    /// Nothing to do; each step has a transaction and a session of its own.
    Skipped,
    /// No order is right; the rules that fired say what is.
    Refused,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Additive => "additive",
            Self::Removing => "removing",
            Self::Neutral => "neutral",
            Self::Data => "data",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        })
    }
}

/// A table, index or other object with its schema, as the catalog writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// The schema.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// What a statement changes about what replication maps by, and how to see whether it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Table {
        table: Name,
        appears: bool,
    },
    Column {
        table: Name,
        column: String,
        appears: bool,
    },
    /// NOT NULL comes or goes.
    Nullable {
        table: Name,
        column: String,
    },
    /// A constraint goes; by name, so that the catalog can say whether it is the key.
    Constraint {
        table: Name,
        name: String,
    },
    /// The key of a table that the same file made.
    Key {
        table: Name,
    },
    Index {
        index: Name,
        appears: bool,
    },
}

/// What traffic waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) mode: &'static str,
    pub(crate) time: &'static str,
}

impl Lock {
    pub(crate) const NONE: Self = Self {
        mode: "none",
        time: "a moment",
    };
    pub(crate) const ROWS: Self = Self {
        mode: "ROW EXCLUSIVE",
        time: "as many rows as it changes",
    };
    pub(crate) const MOMENT: Self = Self {
        mode: "ACCESS EXCLUSIVE",
        time: "a moment, once it is granted",
    };
    pub(crate) const WHOLE: Self = Self {
        mode: "ACCESS EXCLUSIVE",
        time: "reads or writes the whole table",
    };
    pub(crate) const SHARE_ROW: Self = Self {
        mode: "SHARE ROW EXCLUSIVE",
        time: "a moment, once it is granted",
    };
    pub(crate) const SHARE: Self = Self {
        mode: "SHARE",
        time: "reads the whole table; writes wait",
    };
    pub(crate) const UPDATE: Self = Self {
        mode: "SHARE UPDATE EXCLUSIVE",
        time: "reads the whole table; nobody waits",
    };
}

/// A rule that fired, and at what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) rule: &'static Rule,
    pub(crate) detail: String,
}

/// One statement, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) class: Class,
    pub(crate) lock: Lock,
    pub(crate) hits: Vec<Hit>,
    pub(crate) effects: Vec<Effect>,
    /// The statement that takes it back, if one does.
    pub(crate) undo: Option<String>,
    /// PostgreSQL refuses it inside a transaction.
    pub(crate) alone: bool,
    /// The owner role may not do it.
    pub(crate) as_administrator: bool,
}

impl Reading {
    pub(crate) fn new(class: Class, lock: Lock) -> Self {
        Self {
            class,
            lock,
            hits: Vec::new(),
            effects: Vec::new(),
            undo: None,
            alone: false,
            as_administrator: false,
        }
    }

    pub(crate) fn refused(rule: &'static Rule, detail: impl Into<String>) -> Self {
        Self::new(Class::Refused, Lock::NONE).hit(rule, detail)
    }

    pub(crate) fn hit(mut self, rule: &'static Rule, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.hits.push(Hit { rule, detail });
        self
    }

    pub(crate) fn hit_if(
        self,
        fires: bool,
        rule: &'static Rule,
        detail: impl Into<String>,
    ) -> Self {
        match fires {
            true => self.hit(rule, detail),
            false => self,
        }
    }

    pub(crate) fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    pub(crate) fn undone_by(mut self, sql: impl Into<String>) -> Self {
        self.undo = Some(sql.into());
        self
    }

    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    pub(super) fn by_administrator(mut self) -> Self {
        self.as_administrator = true;
        self
    }
}

/// What the statements so far and the caller say about the next one.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// Where names without a schema stand.
    pub(crate) schema: String,
    /// Who may own tables, if that is known.
    pub(crate) owner: Option<String>,
    /// The tool that runs the file wraps it in one transaction.
    pub(crate) wrapped: bool,
    /// Tables that the file itself made: nobody waits for their locks, and they hold no rows.
    pub(crate) created: BTreeSet<Name>,
    /// Between BEGIN and COMMIT.
    pub(crate) in_transaction: bool,
}

impl Scene {
    pub(crate) fn new(schema: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            owner: None,
            wrapped: false,
            created: BTreeSet::new(),
            in_transaction: false,
        }
    }

    /// The object's full name; `None` for names of other databases.
    pub(crate) fn name(&self, name: &ObjectName) -> Name {
        let parts: Vec<_> = name.0.iter().map(part).collect();
        let (last, front) = parts
            .split_last()
            .map_or((String::new(), &[][..]), |(last, front)| {
                (last.clone(), front)
            });
        Name {
            schema: front.last().cloned().unwrap_or_else(|| self.schema.clone()),
            name: last,
        }
    }

    pub(crate) fn is_new(&self, table: &Name) -> bool {
        self.created.contains(table)
    }

    pub(super) fn after(&mut self, piece: &Piece, reading: &Reading) {
        for effect in &reading.effects {
            if let Effect::Table {
                table,
                appears: true,
            } = effect
            {
                self.created.insert(table.clone());
            }
        }
        match piece.tree {
            Ok(Statement::StartTransaction { .. }) => self.in_transaction = true,
            Ok(Statement::Commit { .. } | Statement::Rollback { .. }) => {
                self.in_transaction = false;
            }
            _ => {}
        }
    }
}

/// As the catalog writes it: in small letters unless quoted.
pub(crate) fn ident(ident: &sqlparser::ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

pub(super) fn part(part: &ObjectNamePart) -> String {
    part.as_ident().map(ident).unwrap_or_default()
}
