//! CREATE TABLE and ALTER TABLE: where most of the danger is.
//!
//! A table that the file itself made holds no rows, is used by nobody and is published last, so
//! most rules stay silent about it.

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateTable,
    Owner, ReplicaIdentity, TableConstraint,
};

use super::reading::{Class, Effect, Lock, Name, Reading, Scene, ident};
use super::rules;
use super::statements::functions;

pub(super) fn create(table: &CreateTable, scene: &Scene) -> Reading {
    let name = scene.name(&table.name);
    if table.temporary || table.unlogged {
        return Reading::refused(rules::NOT_REPLICATED_TABLE, name.to_string());
    }
    if table.query.is_some() || table.like.is_some() || table.inherits.is_some() {
        return Reading::refused(
            rules::UNKNOWN,
            format!("the columns of {name} come from elsewhere; write them"),
        );
    }
    let keyed = table.columns.iter().any(is_key) || table.constraints.iter().any(is_primary_key);
    let mut reading = Reading::new(Class::Additive, Lock::MOMENT)
        // A partition has the key of its parent.
        .hit_if(
            !keyed && table.partition_of.is_none(),
            rules::NO_PRIMARY_KEY,
            name.to_string(),
        );
    for column in &table.columns {
        reading = column_rules(column, &name, reading);
    }
    let foreign = table
        .constraints
        .iter()
        .any(|found| matches!(found, TableConstraint::ForeignKey(_)));
    reading = reading.hit_if(foreign, rules::FOREIGN_KEY, name.to_string());
    let undo = format!("DROP TABLE {name}");
    reading
        .with(Effect::Table {
            table: name,
            appears: true,
        })
        .undone_by(undo)
}

/// What holds for a column of a new table and of an old one.
fn column_rules(column: &ColumnDef, table: &Name, reading: Reading) -> Reading {
    let kind = kind(column);
    let shown = format!("{table}.{}", column.name);
    let references = column
        .options
        .iter()
        .any(|option| matches!(option.option, ColumnOption::ForeignKey(_)));
    let small = matches!(
        kind.as_str(),
        "INT" | "INTEGER" | "INT4" | "SMALLINT" | "INT2"
    );
    reading
        .hit_if(
            is_small_serial(&kind) || (small && is_numbered(column)),
            rules::INT4_KEY,
            shown.clone(),
        )
        .hit_if(
            matches!(kind.as_str(), "OID" | "LO"),
            rules::LARGE_OBJECT,
            shown.clone(),
        )
        .hit_if(references, rules::FOREIGN_KEY, shown)
}

fn kind(column: &ColumnDef) -> String {
    column.data_type.to_string().to_uppercase()
}

fn is_small_serial(kind: &str) -> bool {
    matches!(kind, "SERIAL" | "SERIAL4" | "SMALLSERIAL" | "SERIAL2")
}

fn is_key(column: &ColumnDef) -> bool {
    column
        .options
        .iter()
        .any(|option| matches!(option.option, ColumnOption::PrimaryKey(_)))
}

fn is_primary_key(constraint: &TableConstraint) -> bool {
    matches!(
        constraint,
        TableConstraint::PrimaryKey(_) | TableConstraint::PrimaryKeyUsingIndex(_)
    )
}

/// Its values come from a sequence.
fn is_numbered(column: &ColumnDef) -> bool {
    column.options.iter().any(|option| match &option.option {
        ColumnOption::Generated {
            generation_expr, ..
        } => generation_expr.is_none(),
        ColumnOption::Default(value) => functions(value).contains("nextval"),
        _ => false,
    })
}

pub(super) fn alter(table: &AlterTable, scene: &Scene) -> Reading {
    let name = scene.name(&table.name);
    let readings = table
        .operations
        .iter()
        .map(|operation| one(operation, &name, scene));
    readings
        .reduce(|both, next| join(both, next, &name))
        .unwrap_or_else(|| Reading::refused(rules::UNKNOWN, "an ALTER TABLE that does nothing"))
}

/// Two operations of one statement.
fn join(mut left: Reading, right: Reading, table: &Name) -> Reading {
    let class = match (left.class, right.class) {
        (a, b) if a == b => a,
        (Class::Refused, _) | (_, Class::Refused) => Class::Refused,
        (Class::Neutral, other) | (other, Class::Neutral) => other,
        _ => {
            left = left.hit(rules::MIXED_DIRECTIONS, table.to_string());
            Class::Refused
        }
    };
    left.class = class;
    left.hits.extend(right.hits);
    left.effects.extend(right.effects);
    if left.lock != Lock::WHOLE && right.lock != Lock::NONE {
        left.lock = right.lock;
    }
    left.undo = left
        .undo
        .zip(right.undo)
        .map(|(first, second)| format!("{second}; {first}"));
    left
}

fn one(operation: &AlterTableOperation, table: &Name, scene: &Scene) -> Reading {
    let text = operation.to_string();
    let refused = |rule| Reading::refused(rule, format!("{table}: {text}"));
    match operation {
        AlterTableOperation::AddColumn { column_def, .. } => add_column(column_def, table, scene),
        AlterTableOperation::DropColumn { column_names, .. } => {
            let reading = Reading::new(Class::Removing, Lock::MOMENT)
                .hit(rules::DROP, format!("{table}: {text}"));
            column_names.iter().fold(reading, |reading, column| {
                reading.with(Effect::Column {
                    table: table.clone(),
                    column: ident(column),
                    appears: false,
                })
            })
        }
        AlterTableOperation::AddConstraint {
            constraint,
            not_valid,
        } => add_constraint(constraint, *not_valid, table, scene),
        AlterTableOperation::DropConstraint { name, .. } if ident(name).ends_with("_pkey") => {
            refused(rules::PRIMARY_KEY_CHANGE)
        }
        AlterTableOperation::DropPrimaryKey { .. } => refused(rules::PRIMARY_KEY_CHANGE),
        AlterTableOperation::DropConstraint { name, .. } => {
            Reading::new(Class::Additive, Lock::MOMENT).with(Effect::Constraint {
                table: table.clone(),
                name: ident(name),
            })
        }
        AlterTableOperation::ValidateConstraint { .. } => {
            Reading::new(Class::Neutral, Lock::UPDATE)
        }
        AlterTableOperation::RenameConstraint { .. } => Reading::new(Class::Neutral, Lock::MOMENT),
        AlterTableOperation::RenameColumn { .. } | AlterTableOperation::RenameTable { .. } => {
            refused(rules::RENAME)
        }
        AlterTableOperation::AlterColumn { column_name, op } => {
            alter_column(&ident(column_name), op, table, scene)
        }
        AlterTableOperation::ReplicaIdentity { identity } => match identity {
            ReplicaIdentity::Default => Reading::new(Class::Neutral, Lock::MOMENT),
            _ => refused(rules::REPLICA_IDENTITY),
        },
        AlterTableOperation::DisableTrigger { .. } | AlterTableOperation::DisableRule { .. } => {
            refused(rules::TRIGGER_BYPASS)
        }
        AlterTableOperation::EnableAlwaysTrigger { .. }
        | AlterTableOperation::EnableReplicaTrigger { .. }
        | AlterTableOperation::EnableAlwaysRule { .. }
        | AlterTableOperation::EnableReplicaRule { .. } => refused(rules::TRIGGER_ALWAYS),
        AlterTableOperation::EnableTrigger { .. } => Reading::new(Class::Neutral, Lock::SHARE_ROW),
        AlterTableOperation::OwnerTo { new_owner } => owner(new_owner, table, scene),
        AlterTableOperation::SetUnlogged => refused(rules::NOT_REPLICATED_TABLE),
        AlterTableOperation::SetLogged => refused(rules::TABLE_REWRITE),
        AlterTableOperation::SetOptionsParens { .. } => Reading::new(Class::Neutral, Lock::UPDATE),
        _ => refused(rules::UNKNOWN),
    }
}

fn owner(new_owner: &Owner, table: &Name, scene: &Scene) -> Reading {
    let known = match new_owner {
        Owner::Ident(role) => scene.owner.as_deref() == Some(ident(role).as_str()),
        _ => false,
    };
    Reading::new(Class::Neutral, Lock::MOMENT).hit_if(
        !known,
        rules::APPLICATION_RIGHTS,
        format!("{table}: OWNER TO {new_owner}"),
    )
}

fn add_column(column: &ColumnDef, table: &Name, scene: &Scene) -> Reading {
    let name = ident(&column.name);
    let shown = format!("{table}.{name}");
    if is_key(column) {
        return Reading::refused(rules::PRIMARY_KEY_CHANGE, shown);
    }
    let options = || column.options.iter().map(|option| &option.option);
    let required = options().any(|option| matches!(option, ColumnOption::NotNull));
    let generated = options().any(|option| {
        matches!(
            option,
            ColumnOption::Generated {
                generation_expr: Some(_),
                ..
            }
        )
    });
    let default = options().find_map(|option| match option {
        ColumnOption::Default(value) => Some(value),
        _ => None,
    });
    let numbered = is_numbered(column) || kind(column).contains("SERIAL");
    let varies = numbered || default.is_some_and(|value| !functions(value).is_empty());
    let old = !scene.is_new(table);
    let whole = generated || (old && varies);
    let mut reading = Reading::new(
        Class::Additive,
        if whole { Lock::WHOLE } else { Lock::MOMENT },
    );
    reading = column_rules(column, table, reading)
        .hit_if(old && varies, rules::VOLATILE_DEFAULT, shown.clone())
        .hit_if(old && generated, rules::TABLE_REWRITE, shown.clone())
        .hit_if(
            required && default.is_none() && !generated && !numbered && old,
            rules::NOT_NULL_WITHOUT_DEFAULT,
            shown,
        );
    let undo = format!("ALTER TABLE {table} DROP COLUMN {}", column.name);
    reading
        .with(Effect::Column {
            table: table.clone(),
            column: name,
            appears: true,
        })
        .undone_by(undo)
}

fn add_constraint(
    constraint: &TableConstraint,
    not_valid: bool,
    table: &Name,
    scene: &Scene,
) -> Reading {
    let shown = format!("{table}: ADD {constraint}");
    let new = scene.is_new(table);
    if is_primary_key(constraint) {
        return match new {
            true => Reading::new(Class::Additive, Lock::WHOLE).with(Effect::Key {
                table: table.clone(),
            }),
            false => Reading::refused(rules::PRIMARY_KEY_CHANGE, shown),
        };
    }
    // An index that exists already is only given a name.
    let quick = not_valid || matches!(constraint, TableConstraint::UniqueUsingIndex(_));
    let foreign = matches!(constraint, TableConstraint::ForeignKey(_));
    let class = if new || foreign {
        Class::Neutral
    } else {
        Class::Removing
    };
    let lock = match (quick, foreign) {
        (true, true) => Lock::SHARE_ROW,
        (true, false) => Lock::MOMENT,
        (false, _) => Lock::WHOLE,
    };
    Reading::new(class, lock)
        .hit_if(!quick && !new, rules::CONSTRAINT_NOT_VALID, shown.clone())
        .hit_if(foreign, rules::FOREIGN_KEY, shown)
}

fn alter_column(
    column: &str,
    operation: &AlterColumnOperation,
    table: &Name,
    scene: &Scene,
) -> Reading {
    let shown = format!("{table}.{column}");
    let nullable = |reading: Reading| {
        reading.with(Effect::Nullable {
            table: table.clone(),
            column: column.to_owned(),
        })
    };
    let quoted = format!("ALTER TABLE {table} ALTER COLUMN {column}");
    match operation {
        AlterColumnOperation::SetNotNull => {
            nullable(Reading::new(Class::Removing, Lock::WHOLE).hit_if(
                !scene.is_new(table),
                rules::SET_NOT_NULL,
                shown,
            ))
            .undone_by(format!("{quoted} DROP NOT NULL"))
        }
        AlterColumnOperation::DropNotNull => nullable(Reading::new(Class::Additive, Lock::MOMENT))
            .undone_by(format!("{quoted} SET NOT NULL")),
        AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault => {
            Reading::new(Class::Neutral, Lock::MOMENT)
        }
        AlterColumnOperation::SetDataType { .. } => Reading::refused(rules::TYPE_CHANGE, shown),
        _ => Reading::refused(rules::UNKNOWN, format!("{shown}: {operation}")),
    }
}
