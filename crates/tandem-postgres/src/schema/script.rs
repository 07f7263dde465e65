//! The SQL that a schema change sends beside the author's own; names are quoted here.
//!
//! A statement, what makes a new table safe, and the mark in the journal are one transaction:
//! there is no moment with an unguarded table, and none with a statement done and not marked.

use std::time::Duration;

use postgres_protocol::escape::{escape_identifier as ident, escape_literal as text};
use tandem_core::config::Config;

use super::look::JOURNAL;
use super::plan::{Deed, Mark};
use super::reading::Name;
use crate::guards::trigger;
use crate::names::Names;
use crate::setup::script;

fn quoted(table: &Name) -> String {
    format!("{}.{}", ident(&table.schema), ident(&table.name))
}

pub(super) fn drop_not_null(table: &Name, column: &str) -> String {
    format!(
        "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
        quoted(table),
        ident(column)
    )
}

pub(super) fn let_create(config: &Config, schema: &str) -> String {
    format!(
        "GRANT USAGE, CREATE ON SCHEMA {} TO {}",
        ident(schema),
        ident(&config.database.owner_role)
    )
}

pub(super) fn publish(names: &Names, table: &Name) -> String {
    script::publish(names, true, &quoted(table))
}

pub(super) fn refresh(names: &Names) -> String {
    script::refresh(names)
}

/// An index that an interrupted run left half built.
pub(super) fn drop_index(index: &Name) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS {}", quoted(index))
}

/// The journal, in a schema of the administrator: the agent's role owns `tandem_local`, and
/// could make a trigger there that runs in the administrator's session.
pub(super) fn journal() -> String {
    format!(
        "BEGIN; SET LOCAL client_min_messages = warning;
         CREATE SCHEMA IF NOT EXISTS tandem_schema;
         CREATE TABLE IF NOT EXISTS {JOURNAL} (
             migration text NOT NULL, statement text NOT NULL, nth integer NOT NULL,
             state text NOT NULL CHECK (state IN ('begun', 'done')),
             sql text NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
             PRIMARY KEY (migration, statement, nth));
         COMMIT"
    )
}

/// Where a session of a statement looks for names, and as whom it acts.
pub(super) fn surroundings(config: &Config, as_administrator: bool, local: &str) -> [String; 2] {
    let schemas: Vec<_> = config
        .database
        .schemas
        .iter()
        .map(|schema| ident(schema))
        .collect();
    let role = match as_administrator {
        true => "NONE".to_owned(),
        false => ident(&config.database.owner_role),
    };
    [
        format!("SET {local} search_path = {}", schemas.join(", ")),
        format!("SET {local} ROLE {role}"),
    ]
}

/// One statement with everything that belongs to it, as one transaction.
pub(super) fn transaction(
    config: &Config,
    migration: &str,
    deed: &Deed,
    lock_timeout: Duration,
    grant_application: bool,
) -> String {
    let mut sql = format!(
        "BEGIN; SET LOCAL lock_timeout = {}; {};\n{}\n;\nSET LOCAL ROLE NONE; SET LOCAL search_path = pg_catalog;",
        lock_timeout.as_millis(),
        surroundings(config, deed.as_administrator, "LOCAL").join("; "),
        deed.sql
    );
    for table in &deed.makes {
        sql.push_str(&safe(config, table, grant_application));
    }
    sql.push_str(&mark(migration, &deed.mark, &deed.sql, "done"));
    sql.push_str("COMMIT");
    sql
}

/// The guard and the rights of a new table.
fn safe(config: &Config, table: &Name, grant_application: bool) -> String {
    let database = &config.database;
    let (name, schema) = (quoted(table), ident(&table.schema));
    let mut sql = format!(
        "{}; GRANT SELECT ON {name} TO {}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {};",
        trigger(&name),
        ident(&database.replication_role),
        ident(&database.agent_role)
    );
    if grant_application {
        let application = ident(&database.application_role);
        sql.push_str(&format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {application};
             GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {application};"
        ));
    }
    sql
}

/// A line in the journal.
pub(super) fn mark(migration: &str, mark: &Mark, sql: &str, state: &str) -> String {
    format!(
        "INSERT INTO {JOURNAL} (migration, statement, nth, state, sql) VALUES ({}, {}, {}, {}, {})
             ON CONFLICT (migration, statement, nth) DO UPDATE SET state = excluded.state, at = excluded.at;",
        text(migration),
        text(&mark.statement),
        mark.nth,
        text(state),
        text(sql)
    )
}
