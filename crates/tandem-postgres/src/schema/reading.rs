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
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use sqlparser::ast::{
    Action, CreateIndex, CreateView, Expr, Grant, GrantObjects, ObjectName, ObjectNamePart,
    ObjectType, Privileges, SchemaName, Set, Statement, TableObject, Visit, visit_expressions,
};

use super::rules::{self, Rule};
use super::text::Piece;
use super::{tables, words};

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

    fn as_administrator(mut self) -> Self {
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

    fn after(&mut self, piece: &Piece, reading: &Reading) {
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
                self.in_transaction = false
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

fn part(part: &ObjectNamePart) -> String {
    part.as_ident().map(ident).unwrap_or_default()
}

/// Reads one statement and moves the scene on.
pub(crate) fn read(piece: &Piece, scene: &mut Scene) -> Reading {
    let mut reading = match words::read(piece, scene) {
        Some(reading) => reading,
        None => match &piece.tree {
            Ok(statement) => tree(statement, scene),
            Err(problem) => Reading::refused(rules::UNREADABLE, problem.clone()),
        },
    };
    if let Ok(statement) = &piece.tree {
        about_functions(statement, &mut reading);
    }
    if reading.alone && (scene.in_transaction || scene.wrapped) {
        reading = reading.hit(rules::CONCURRENT_IN_TRANSACTION, piece.words.join(" "));
        reading.class = Class::Refused;
    }
    if reading.effects.iter().any(|effect| touches_tandem(effect)) {
        reading = reading.hit(rules::TANDEM_OBJECTS, "schema tandem or tandem_local");
        reading.class = Class::Refused;
    }
    scene.after(piece, &reading);
    reading
}

fn touches_tandem(effect: &Effect) -> bool {
    let name = match effect {
        Effect::Table { table, .. }
        | Effect::Column { table, .. }
        | Effect::Nullable { table, .. }
        | Effect::Key { table } => table,
        Effect::Index { index, .. } => index,
    };
    is_tandem(&name.schema)
}

fn is_tandem(schema: &str) -> bool {
    schema == "tandem" || schema == "tandem_local"
}

fn tree(statement: &Statement, scene: &Scene) -> Reading {
    match statement {
        Statement::CreateTable(table) => tables::create(table, scene),
        Statement::AlterTable(table) => tables::alter(table, scene),
        Statement::CreateIndex(index) => create_index(index, scene),
        Statement::CreateView(view) => create_view(view),
        Statement::Drop {
            object_type, names, ..
        } => drop(*object_type, names, scene),
        Statement::Truncate(truncate) => {
            let tables: Vec<_> = truncate
                .table_names
                .iter()
                .map(|target| target.name.to_string())
                .collect();
            Reading::new(Class::Data, Lock::WHOLE).hit(rules::TRUNCATE, tables.join(", "))
        }
        Statement::Insert(insert) => match &insert.table {
            TableObject::TableName(name) => data(&scene.name(name)),
            _ => Reading::refused(rules::UNKNOWN, "an INSERT into no table"),
        },
        Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_) => rows(statement, scene),
        Statement::Query(_) => query(statement),
        Statement::Grant(grant) => grants(grant),
        Statement::Revoke(_) | Statement::Comment { .. } => {
            Reading::new(Class::Neutral, Lock::NONE)
        }
        Statement::CreateSequence { name, .. } => Reading::new(Class::Neutral, Lock::NONE)
            .hit(rules::SEQUENCE, name.to_string())
            .undone_by(format!("DROP SEQUENCE {name}")),
        Statement::CreateTrigger(trigger) => Reading::new(Class::Neutral, Lock::SHARE_ROW)
            .undone_by(format!(
                "DROP TRIGGER {} ON {}",
                trigger.name, trigger.table_name
            )),
        Statement::DropTrigger(trigger) => {
            match scene.name(&trigger.trigger_name).name == "tandem_guard" {
                true => Reading::refused(rules::TANDEM_OBJECTS, "the guard"),
                false => Reading::new(Class::Neutral, Lock::MOMENT),
            }
        }
        Statement::CreateFunction(_) | Statement::DropFunction(_) | Statement::CreateDomain(_) => {
            Reading::new(Class::Neutral, Lock::NONE)
        }
        Statement::CreateType { .. } | Statement::AlterType(_) => types(statement),
        Statement::CreateExtension(_) => {
            Reading::new(Class::Additive, Lock::NONE).as_administrator()
        }
        Statement::CreateSchema { schema_name, .. } => create_schema(schema_name),
        Statement::AlterIndex { .. } => Reading::new(Class::Neutral, Lock::MOMENT),
        Statement::Analyze(_) => Reading::new(Class::Neutral, Lock::UPDATE),
        Statement::Set(set) => setting(set),
        Statement::StartTransaction { .. } | Statement::Commit { .. } => {
            Reading::new(Class::Skipped, Lock::NONE)
        }
        Statement::Rollback { .. } => Reading::refused(rules::ROLLBACK, "ROLLBACK"),
        _ => Reading::refused(rules::UNKNOWN, "a kind of statement that has no rule"),
    }
}

fn create_index(index: &CreateIndex, scene: &Scene) -> Reading {
    let table = scene.name(&index.table_name);
    // A unique index refuses rows that the other site may still send: it narrows.
    let class = if index.unique && !scene.is_new(&table) {
        Class::Removing
    } else {
        Class::Neutral
    };
    let lock = if index.concurrently {
        Lock::UPDATE
    } else {
        Lock::SHARE
    };
    let mut reading = Reading::new(class, lock).hit_if(
        !index.concurrently && !scene.is_new(&table),
        rules::INDEX_NOT_CONCURRENT,
        format!("on {table}"),
    );
    if index.concurrently {
        reading = reading.alone();
    }
    let Some(name) = &index.name else {
        return reading.hit(rules::INDEX_WITHOUT_NAME, format!("on {table}"));
    };
    // An index stands in the schema of its table.
    let index = Name {
        schema: table.schema,
        name: scene.name(name).name,
    };
    let undo = format!("DROP INDEX CONCURRENTLY {index}");
    reading
        .with(Effect::Index {
            index,
            appears: true,
        })
        .undone_by(undo)
}

fn create_view(view: &CreateView) -> Reading {
    if view.temporary {
        return Reading::refused(
            rules::NOT_REPLICATED_TABLE,
            format!("temporary view {}", view.name),
        );
    }
    let kind = if view.materialized {
        "MATERIALIZED VIEW"
    } else {
        "VIEW"
    };
    Reading::new(Class::Neutral, Lock::NONE)
        .hit_if(
            view.materialized,
            rules::MATERIALIZED_VIEW,
            view.name.to_string(),
        )
        .undone_by(format!("DROP {kind} {}", view.name))
}

fn create_schema(name: &SchemaName) -> Reading {
    let text = name.to_string();
    match is_tandem(text.trim_matches('"')) {
        true => Reading::refused(rules::TANDEM_OBJECTS, text),
        false => Reading::new(Class::Additive, Lock::NONE)
            .as_administrator()
            .undone_by(format!("DROP SCHEMA {text}")),
    }
}

fn types(statement: &Statement) -> Reading {
    let text = statement.to_string();
    // RENAME and RENAME VALUE: the same text must mean the same thing at both sites.
    match text.contains(" RENAME ") {
        true => Reading::refused(rules::RENAME, text),
        false => Reading::new(Class::Additive, Lock::NONE),
    }
}

fn drop(kind: ObjectType, names: &[ObjectName], scene: &Scene) -> Reading {
    let shown: Vec<_> = names.iter().map(ToString::to_string).collect();
    let shown = shown.join(", ");
    let named = |reading: Reading, effect: fn(Name) -> Effect| {
        names.iter().fold(reading, |reading, name| {
            reading.with(effect(scene.name(name)))
        })
    };
    match kind {
        ObjectType::Table => named(
            Reading::new(Class::Removing, Lock::MOMENT).hit(rules::DROP, format!("table {shown}")),
            |table| Effect::Table {
                table,
                appears: false,
            },
        ),
        // Without a unique index the replica takes more than before; for the others no order matters.
        ObjectType::Index => named(
            Reading::new(Class::Additive, Lock::MOMENT).hit(rules::INDEX_NOT_CONCURRENT, shown),
            |index| Effect::Index {
                index,
                appears: false,
            },
        ),
        ObjectType::Sequence => {
            Reading::new(Class::Neutral, Lock::MOMENT).hit(rules::SEQUENCE, shown)
        }
        ObjectType::View | ObjectType::MaterializedView => {
            Reading::new(Class::Neutral, Lock::MOMENT)
        }
        ObjectType::Type => {
            Reading::new(Class::Removing, Lock::NONE).hit(rules::DROP, format!("type {shown}"))
        }
        ObjectType::Schema => Reading::refused(
            rules::DROP,
            format!("schema {shown}: drop its tables one by one first"),
        ),
        _ => Reading::refused(rules::UNKNOWN, format!("DROP {kind}")),
    }
}

fn data(table: &Name) -> Reading {
    match is_tandem(&table.schema) {
        true => Reading::refused(rules::TANDEM_OBJECTS, table.to_string()),
        false => Reading::new(Class::Data, Lock::ROWS),
    }
}

/// UPDATE, DELETE and MERGE: every table they name counts, also those only read.
fn rows(statement: &Statement, scene: &Scene) -> Reading {
    let mut reading = Reading::new(Class::Data, Lock::ROWS);
    let visited = sqlparser::ast::visit_relations(statement, |name: &ObjectName| {
        let name = scene.name(name);
        if is_tandem(&name.schema) {
            return ControlFlow::Break(name);
        }
        ControlFlow::Continue(())
    });
    if let ControlFlow::Break(name) = visited {
        reading = Reading::refused(rules::TANDEM_OBJECTS, name.to_string());
    }
    reading
}

/// A query without functions reads; what functions do is known for sequences only.
fn query(statement: &Statement) -> Reading {
    let called = functions(statement);
    let strange = called
        .iter()
        .find(|name| !is_sequence(name) && !name.starts_with("lo_"));
    match strange {
        Some(name) => Reading::refused(rules::UNKNOWN, format!("{name}() may do anything")),
        None => Reading::new(Class::Data, Lock::ROWS),
    }
}

fn is_sequence(function: &str) -> bool {
    ["setval", "nextval"].contains(&function)
}

/// What can be said about any statement from the functions it calls.
fn about_functions(statement: &Statement, reading: &mut Reading) {
    for name in functions(statement) {
        let rule = match name.as_str() {
            "setval" => rules::SEQUENCE,
            "loread" | "lowrite" => rules::LARGE_OBJECT,
            other if other.starts_with("lo_") => rules::LARGE_OBJECT,
            _ => continue,
        };
        reading.hits.push(Hit {
            rule,
            detail: format!("{name}()"),
        });
    }
}

/// The functions that something calls, in small letters and without their schema.
pub(crate) fn functions<V: Visit>(tree: &V) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let _: ControlFlow<()> = visit_expressions(tree, |expression| {
        if let Expr::Function(function) = expression {
            found.extend(function.name.0.last().map(|last| part(last).to_lowercase()));
        }
        ControlFlow::Continue(())
    });
    found
}

fn grants(grant: &Grant) -> Reading {
    let on_tables = matches!(
        &grant.objects,
        Some(
            GrantObjects::Tables(_)
                | GrantObjects::AllTablesInSchema { .. }
                | GrantObjects::FutureTablesInSchema { .. }
        )
    );
    let excessive = match &grant.privileges {
        Privileges::All { .. } => on_tables,
        Privileges::Actions(actions) => actions
            .iter()
            .any(|action| matches!(action, Action::Trigger)),
    };
    // GRANT role TO role has no objects: the application could become an owner.
    let membership = grant.objects.is_none();
    Reading::new(Class::Neutral, Lock::NONE).hit_if(
        excessive || membership,
        rules::APPLICATION_RIGHTS,
        grant.to_string(),
    )
}

/// Settings that change neither what a name means nor what fires.
const HARMLESS: &[&str] = &[
    "check_function_bodies",
    "client_encoding",
    "client_min_messages",
    "default_table_access_method",
    "default_tablespace",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "maintenance_work_mem",
    "row_security",
    "standard_conforming_strings",
    "statement_timeout",
    "transaction_timeout",
    "xmloption",
];

fn setting(set: &Set) -> Reading {
    let Set::SingleAssignment { variable, .. } = set else {
        return Reading::refused(rules::UNKNOWN, set.to_string());
    };
    match variable.to_string().to_lowercase().as_str() {
        "session_replication_role" => Reading::refused(rules::TRIGGER_BYPASS, set.to_string()),
        "search_path" => Reading::refused(rules::NAMELESS_SCHEMA, set.to_string()),
        name if HARMLESS.contains(&name) => Reading::new(Class::Skipped, Lock::NONE),
        _ => Reading::refused(rules::UNKNOWN, set.to_string()),
    }
}
