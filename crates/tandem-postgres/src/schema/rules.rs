//! The rules of `tandem schema lint`: what would stop logical replication, break it without a word,
//! or hold a lock that traffic waits for.
//!
//! A rule says why and what to do instead; where in a statement it fires is decided beside the
//! statement (`reading.rs`, `tables.rs`). `docs/guides/schema-changes.md` lists every rule, and a
//! test compares the two. A rule that fires can be allowed for one statement by the comment
//! `-- tandem: allow RULE reason` above it.

use std::fmt;

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; changes no exit code.
    Note,
    /// Harmless in the right order or at the right hour.
    Warning,
    /// Stops replication, breaks it silently or holds up traffic.
    Fault,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        })
    }
}

/// One rule.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, as comments and programs write it.
    pub id: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// What goes wrong.
    pub why: &'static str,
    /// What to write or do instead.
    pub fix: &'static str,
}

macro_rules! rules {
    ($($name:ident = $id:literal, $level:ident, $why:literal, $fix:literal;)*) => {
        $(pub(super) const $name: &Rule = &Rule { id: $id, level: Level::$level, why: $why, fix: $fix };)*
        /// Every rule.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
    UNREADABLE = "unreadable", Fault,
        "the statement is not understood, so nothing is known about it",
        "write it more plainly or in a file of its own, and take it to both sites by hand";
    UNKNOWN = "unknown", Fault,
        "what the statement does cannot be told from its text (a function, a block, a setting)",
        "write the statements that it runs; or look what it does and take it to the right site by hand";
    NO_PRIMARY_KEY = "no-primary-key", Fault,
        "without a key UPDATE and DELETE fail on the primary as soon as the table is published",
        "give the table a PRIMARY KEY";
    PRIMARY_KEY_CHANGE = "primary-key-change", Fault,
        "rows are found by the primary key: while the two sites disagree about it, changes meet the wrong row or none",
        "make a new table with the new key, copy the rows, move the application, drop the old one";
    REPLICA_IDENTITY = "replica-identity", Fault,
        "the replica identity says by what rows are found; FULL reads the whole table for each row before version 16, NOTHING stops UPDATE and DELETE",
        "keep REPLICA IDENTITY DEFAULT and a primary key";
    RENAME = "rename", Fault,
        "replication maps tables and columns by name: during a rename one of the sites has the wrong one, and apply stops in either order",
        "expand and contract: add the new column or table, write both, copy, move the readers, drop the old one later";
    TYPE_CHANGE = "type-change", Fault,
        "the table is locked and rewritten at each site, and values that fit one type may not fit the other meanwhile",
        "add a column of the new type, write both, copy in batches, drop the old one later";
    NOT_NULL_WITHOUT_DEFAULT = "not-null-without-default", Fault,
        "rows of the primary that lack the column cannot be stored at the replica, which has it first",
        "give it a constant DEFAULT, or add it nullable, fill it and SET NOT NULL later";
    VOLATILE_DEFAULT = "volatile-default", Fault,
        "existing rows get their value at each site by itself: now(), random() and numbers of a sequence differ, and nobody notices",
        "add the column without default, SET DEFAULT in a second statement, fill old rows with an UPDATE (it runs on the primary only)";
    SET_NOT_NULL = "set-not-null", Warning,
        "the whole table is read while nobody may use it",
        "ADD CONSTRAINT .. CHECK (.. IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL, which then reads nothing";
    DROP = "drop", Warning,
        "dropped at the replica first, changes still on their way find no place and apply stops; and what is dropped does not come back",
        "primary first, replica when it has caught up: `tandem schema apply` does; no application may use it any more";
    MIXED_DIRECTIONS = "mixed-directions", Fault,
        "one statement both widens (replica first) and narrows (primary first), so no order is right",
        "write two ALTER TABLE statements";
    INDEX_NOT_CONCURRENT = "index-not-concurrent", Fault,
        "all writes to the table wait until the index is built (or, for DROP INDEX, everybody waits behind its lock)",
        "CREATE INDEX CONCURRENTLY or DROP INDEX CONCURRENTLY, outside a transaction";
    INDEX_WITHOUT_NAME = "index-without-name", Warning,
        "a run that was interrupted cannot tell whether an index without a name is there already",
        "name it";
    CONCURRENT_IN_TRANSACTION = "concurrent-in-transaction", Fault,
        "PostgreSQL refuses CONCURRENTLY and VACUUM inside a transaction",
        "take it out of BEGIN .. COMMIT, into a file that the migration tool does not wrap";
    CONSTRAINT_NOT_VALID = "constraint-not-valid", Fault,
        "the whole table is checked (or an index is built) while writes wait",
        "ADD CONSTRAINT .. NOT VALID, then VALIDATE CONSTRAINT; for UNIQUE: CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT .. USING INDEX";
    TABLE_REWRITE = "table-rewrite", Fault,
        "the table is rewritten while nobody may use it",
        "a nullable column that is filled in batches; for bloat pg_repack or a quiet hour at each site";
    NOT_REPLICATED_TABLE = "not-replicated-table", Fault,
        "unlogged and temporary tables are never replicated: a failover finds them empty",
        "an ordinary table; a temporary one belongs into the application's session";
    LARGE_OBJECT = "large-object", Fault,
        "large objects are never replicated",
        "bytea, or an object store that both clouds reach";
    MATERIALIZED_VIEW = "materialized-view", Warning,
        "its rows are never replicated: each site has what its own last REFRESH found",
        "refresh it at both sites, and after a promotion; the list of tasks after a promotion should name it";
    INT4_KEY = "int4-key", Warning,
        "each promotion skips 1,000 numbers or more, and two thousand million are soon gone",
        "bigint GENERATED BY DEFAULT AS IDENTITY";
    SEQUENCE = "sequence", Warning,
        "sequences are not replicated; only their last values travel with the heartbeat, and a promotion skips ahead of them",
        "keep it in a replicated schema and readable by the agent's role; do not set it back";
    MIXED_DATA = "mixed-data", Warning,
        "schema changes must run at both sites, row changes at the primary only (they are replicated): run at both by hand, the rows come twice",
        "`tandem schema apply` sends each to the right place; by hand, use two files";
    TRIGGER_BYPASS = "trigger-bypass", Fault,
        "it switches triggers off, and the guard is a trigger: writes pass at the site that must not write",
        "leave triggers alone; what must not fire belongs into the trigger's own WHEN";
    TRIGGER_ALWAYS = "trigger-always", Fault,
        "such a trigger also fires while replication applies: what it does happens twice",
        "leave the trigger ENABLEd as usual; its effects are replicated as rows";
    TRUNCATE = "truncate", Warning,
        "it is replicated, takes the strongest lock at both sites, and empties a table that nobody can read meanwhile",
        "DELETE in batches; if TRUNCATE it must be, at the primary only and in a quiet hour";
    FOREIGN_KEY = "foreign-key", Note,
        "apply does not check foreign keys: the replica takes orphans if the other table is not replicated",
        "replicate both tables, in the same publication";
    APPLICATION_RIGHTS = "application-rights", Fault,
        "who owns a table, or may make triggers on it, can take the guard away",
        "grant SELECT, INSERT, UPDATE, DELETE only; `tandem schema apply` gives new tables to the owner role by itself";
    TANDEM_OBJECTS = "tandem-objects", Fault,
        "it touches the guard, the heartbeat or replication itself",
        "leave them to `tandem replication setup` and `tandem schema apply`";
    SEARCH_PATH = "search-path", Fault,
        "names below it mean other tables than they seem to; each step runs in a session of its own",
        "write schema.table";
    ROLLBACK = "rollback", Fault,
        "a file that takes itself back has no order for two sites",
        "write only what shall stay";
    FAULTY_ALLOW = "faulty-allow", Fault,
        "a comment allows a rule that does not exist, or gives no reason",
        "-- tandem: allow RULE reason";
    UNUSED_ALLOW = "unused-allow", Warning,
        "a comment allows what nothing below it does",
        "delete the comment; the next author would believe it";
}

/// The rule of that name.
pub(crate) fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_stands_on_the_page() {
        let page = include_str!("../../../../docs/guides/schema-changes.md");
        for (at, rule) in RULES.iter().enumerate() {
            assert!(
                RULES[..at].iter().all(|other| other.id != rule.id),
                "{}",
                rule.id
            );
            let row = format!(
                "| `{}` | {} |",
                rule.id,
                rule.level.to_string().to_lowercase()
            );
            assert!(page.contains(&row), "the page lacks the row {row}");
        }
    }
}
