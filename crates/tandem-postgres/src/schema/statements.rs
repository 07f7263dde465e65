//! Every kind of statement but CREATE and ALTER TABLE: its class, its lock, its rules.
//!
//! Invariant: a kind without a line of its own is refused as unknown.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Action, CreateIndex, CreateView, Expr, Grant, GrantObjects, ObjectName, ObjectType, Privileges,
    SchemaName, Set, Statement, Visit, visit_expressions,
};

use super::reading::{Class, Effect, Hit, Lock, Name, Reading, Scene, part};
use super::rules;
use super::text::Piece;
use super::{tables, words};

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
    if let Some(word) = &piece.touches {
        reading = reading.hit(rules::TANDEM_OBJECTS, word.clone());
        reading.class = Class::Refused;
    }
    scene.after(piece, &reading);
    reading
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
        Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_) => Reading::new(Class::Data, Lock::ROWS),
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
        Statement::DropTrigger(_) => Reading::new(Class::Neutral, Lock::MOMENT),
        Statement::CreateFunction(_) | Statement::DropFunction(_) | Statement::CreateDomain(_) => {
            Reading::new(Class::Neutral, Lock::NONE)
        }
        Statement::CreateType { .. } | Statement::AlterType(_) => types(statement),
        Statement::CreateExtension(_) => {
            Reading::new(Class::Additive, Lock::NONE).by_administrator()
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
    Reading::new(Class::Additive, Lock::NONE)
        .by_administrator()
        .undone_by(format!("DROP SCHEMA {name}"))
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
        "search_path" => Reading::refused(rules::SEARCH_PATH, set.to_string()),
        name if HARMLESS.contains(&name) => Reading::new(Class::Skipped, Lock::NONE),
        _ => Reading::refused(rules::UNKNOWN, set.to_string()),
    }
}
