//! Checks of two servers before anything of Tandem is there, and ever after.
//!
//! Sources of the rules: section 4 of the readiness list in `docs/reference/doctor.md`, and the
//! restrictions of PostgreSQL's logical replication.

use postgres_protocol::escape::escape_identifier as ident;
use tandem_core::model::SiteId;

use super::check::{Check, Finding, Findings, Level, Look, Server};
use super::soundness::{Flow, flow};
use crate::facts::Table;

/// Majors that were read about or tried; 19 replicates sequences itself.
const VERSIONS: std::ops::RangeInclusive<u32> = 15..=18;
/// One for the direction, two for the copies that run beside it.
const SLOTS_FREE_MIN: i64 = 3;
/// A worker notices a silent primary only after this long, in milliseconds.
const RECEIVER_TIMEOUT_MAX_MS: i64 = 10_000;
/// A sequence that has used this share of its range is worth a word, in percent.
const SEQUENCE_USED_MAX_PERCENT: i64 = 80;
/// What decides how a row looks as text; hashes of rows are compared between the sites.
const TEXT_SETTINGS: [&str; 5] = [
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "extra_float_digits",
    "bytea_output",
];

/// The application's role is missing: setup can make it.
pub(crate) const APPLICATION_EXISTS: &str = "application-exists";

/// In the order in which a person would mend them.
pub(crate) const FITNESS: &[Check] = &[
    each("version", "PostgreSQL 15 to 18", version),
    each(
        "wal-level",
        "changes can be decoded (wal_level = logical)",
        wal_level,
    ),
    each(
        "prepared-transactions",
        "no prepared transactions, which pass the guard",
        prepared,
    ),
    each("ssl", "connections can be encrypted", ssl),
    each("slot-cap", "an idle slot cannot fill the disk", slot_cap),
    each("slots-free", "replication slots are free", slots_free),
    each("senders", "enough WAL senders", senders),
    each("workers", "enough replication workers", workers),
    each(
        "receiver-timeout",
        "a worker leaves a silent primary soon",
        receiver_timeout,
    ),
    each(
        "commit-timestamps",
        "who changed a row last is recorded",
        commit_timestamps,
    ),
    each(
        APPLICATION_EXISTS,
        "the application has a role of its own",
        application_exists,
    ),
    each(
        "application-powers",
        "the application's role cannot pass the guard",
        application_powers,
    ),
    each(
        "table-owners",
        "no table belongs to the application",
        table_owners,
    ),
    each(
        "replica-identity",
        "rows of every table can be found by a key",
        identity,
    ),
    each("apply-triggers", "no trigger runs twice", apply_triggers),
    each("unlogged-tables", "no unlogged tables", unlogged),
    each(
        "materialized-views",
        "no materialized views",
        materialized_views,
    ),
    each("large-objects", "no large objects", large_objects),
    each(
        "sequence-headroom",
        "sequences are far from their end",
        headroom,
    ),
    each("visible", "who asks sees everything", visible),
    both("encoding", "both databases have one encoding", encoding),
    both("collation", "both databases sort alike", collation),
    both(
        "major-versions",
        "both servers are of one major version",
        majors,
    ),
    both(
        "text-settings",
        "a row has one text form at both sites",
        text_settings,
    ),
    both(
        "extensions",
        "both databases have the same extensions",
        extensions,
    ),
    both(
        "tables-match",
        "tables and columns are the same at both sites",
        shapes,
    ),
    both("all-tables", "publications name their tables", all_tables),
    both(
        "foreign-slots",
        "no consumer is lost by a failover",
        foreign_slots,
    ),
];

const fn each(id: &'static str, title: &'static str, look: fn(Server<'_>, &mut Findings)) -> Check {
    Check {
        id,
        title,
        look: Look::Each(look),
    }
}

const fn both(
    id: &'static str,
    title: &'static str,
    look: fn(Server<'_>, Server<'_>, &mut Findings),
) -> Check {
    Check {
        id,
        title,
        look: Look::Both(look),
    }
}

/// A server that is too old to be asked anything else.
pub(super) fn unsupported(site: SiteId, version: Option<u32>) -> Finding {
    let major = version.unwrap_or(0) / 10_000;
    Finding {
        site,
        check: "version",
        level: Level::Refusal,
        problem: format!("PostgreSQL {major} is not supported"),
        fix: "use 15, 16, 17 or 18".into(),
    }
}

fn version(server: Server<'_>, found: &mut Findings) {
    let major = server.facts.version / 10_000;
    found.refuse(
        !VERSIONS.contains(&major),
        format!("PostgreSQL {major} is not supported"),
        "use 15, 16, 17 or 18",
    );
}

fn wal_level(server: Server<'_>, found: &mut Findings) {
    let level = server.facts.setting("wal_level");
    found.refuse(
        level != "logical",
        format!("wal_level is {level}"),
        "set wal_level = logical and restart (RDS: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on)",
    );
}

fn prepared(server: Server<'_>, found: &mut Findings) {
    let prepared = server.facts.number("max_prepared_transactions");
    found.refuse(
        prepared != 0,
        format!("max_prepared_transactions is {prepared}"),
        "set it to 0 and restart: COMMIT PREPARED passes the guard",
    );
}

fn ssl(server: Server<'_>, found: &mut Findings) {
    found.refuse(
        server.facts.setting("ssl") != "on",
        "ssl is off, replication connections are encrypted",
        "set ssl = on with a certificate for the configured host name",
    );
}

fn slot_cap(server: Server<'_>, found: &mut Findings) {
    found.refuse(
        server.facts.number("max_slot_wal_keep_size") < 0,
        "max_slot_wal_keep_size is not set",
        "set it to the hours of WAL that the disk can hold: without a cap an idle slot fills it",
    );
}

fn slots_free(server: Server<'_>, found: &mut Findings) {
    let max = server.facts.number("max_replication_slots");
    let used = i64::try_from(server.facts.slots.len()).unwrap_or(i64::MAX);
    let have_ours = server.facts.slots.contains_key(&server.names.slot);
    found.refuse(
        !have_ours && max.saturating_sub(used) < SLOTS_FREE_MIN,
        format!("{used} of {max} replication slots are used"),
        "raise max_replication_slots so that 3 are free, and restart",
    );
}

fn senders(server: Server<'_>, found: &mut Findings) {
    enough(server, found, "max_wal_senders");
}

fn workers(server: Server<'_>, found: &mut Findings) {
    enough(server, found, "max_logical_replication_workers");
}

fn enough(server: Server<'_>, found: &mut Findings, setting: &str) {
    let value = server.facts.number(setting);
    found.refuse(
        value < SLOTS_FREE_MIN,
        format!("{setting} is {value}"),
        "raise it to 8 or more and restart",
    );
}

fn receiver_timeout(server: Server<'_>, found: &mut Findings) {
    let timeout = server.facts.number("wal_receiver_timeout");
    found.warn(
        timeout == 0 || timeout > RECEIVER_TIMEOUT_MAX_MS,
        format!("wal_receiver_timeout is {timeout} ms"),
        "set it to 5s, so that a worker leaves a silent primary soon",
    );
}

fn commit_timestamps(server: Server<'_>, found: &mut Findings) {
    found.warn(
        server.facts.setting("track_commit_timestamp") != "on",
        "track_commit_timestamp is off",
        "set it on and restart: bringing a lost site back needs to know who changed a row last",
    );
}

fn application_exists(server: Server<'_>, found: &mut Findings) {
    let role = &server.config.database.application_role;
    found.refuse(
        !server.facts.roles.contains_key(role),
        format!("role {role} does not exist"),
        "create it, or let `tandem replication setup` do it with --application-password-file",
    );
}

fn application_powers(server: Server<'_>, found: &mut Findings) {
    let database = &server.config.database;
    let application = &database.application_role;
    let Some(role) = server.facts.roles.get(application) else {
        return;
    };
    found.refuse(
        role.superuser,
        format!("role {application} is a superuser"),
        "let applications log in with a role that owns nothing: a superuser passes the guard",
    );
    let groups = [&database.owner_role, &database.agent_role].into_iter();
    let groups = groups.filter(|group| role.member_of.contains(group));
    for group in groups.chain(&server.facts.application_powers) {
        found.refuse(
            true,
            format!("role {application} is a member of {group}"),
            "revoke the membership: it can switch the guard off",
        );
    }
    found.refuse(
        !role.superuser && server.facts.application_skips_triggers,
        format!("role {application} may set session_replication_role"),
        &format!(
            "REVOKE SET ON PARAMETER session_replication_role FROM {}: it switches the guard off",
            ident(application)
        ),
    );
}

fn table_owners(server: Server<'_>, found: &mut Findings) {
    let database = &server.config.database;
    let application = &database.application_role;
    for table in server
        .facts
        .tables
        .iter()
        .filter(|table| table.owner == *application)
    {
        found.refuse(
            true,
            format!("table {} belongs to {application}", table.name),
            &format!(
                "ALTER TABLE {} OWNER TO {}: an owner can drop the guard (the path below keeps the application's rights)",
                table.name,
                ident(&database.owner_role)
            ),
        );
    }
}

fn identity(server: Server<'_>, found: &mut Findings) {
    for table in server
        .facts
        .tables
        .iter()
        .filter(|table| table.logged && !table.identity)
    {
        found.refuse(
            true,
            format!("table {} has no primary key", table.name),
            "add one, or REPLICA IDENTITY USING INDEX: UPDATE and DELETE would fail once it is published",
        );
    }
}

fn apply_triggers(server: Server<'_>, found: &mut Findings) {
    for table in server.facts.tables.iter().filter(|table| table.always) {
        found.warn(
            true,
            format!(
                "table {} has triggers that fire while changes are applied",
                table.name
            ),
            "use ENABLE TRIGGER unless they must run twice",
        );
    }
}

fn unlogged(server: Server<'_>, found: &mut Findings) {
    for table in server.facts.tables.iter().filter(|table| !table.logged) {
        found.warn(
            true,
            format!("table {} is unlogged", table.name),
            "it is never replicated; make it logged if it matters",
        );
    }
}

fn materialized_views(server: Server<'_>, found: &mut Findings) {
    for view in &server.facts.materialized_views {
        found.warn(
            true,
            format!("{view} is a materialized view"),
            "it is not replicated; refresh it at both sites, and after a promotion",
        );
    }
}

fn large_objects(server: Server<'_>, found: &mut Findings) {
    found.warn(
        server.facts.large_objects,
        "there are large objects",
        "they are not replicated; keep them in bytea columns or outside the database",
    );
}

fn headroom(server: Server<'_>, found: &mut Findings) {
    let hidden = server
        .facts
        .sequences
        .iter()
        .filter(|sequence| !sequence.readable)
        .count();
    found.warn(
        hidden > 0,
        format!(
            "role {} may not read {hidden} sequences: how far they are is unknown",
            server.facts.reader
        ),
        &format!(
            "ask as {} or the administrator",
            server.config.database.agent_role
        ),
    );
    let bounded = server
        .facts
        .sequences
        .iter()
        .filter(|sequence| sequence.ascends && !sequence.cycles);
    for sequence in bounded {
        let last = sequence.last.unwrap_or(0);
        let limit = sequence.ends_at / 100 * SEQUENCE_USED_MAX_PERCENT;
        found.warn(
            last > limit,
            format!("sequence {} is at {last} of {}", sequence.name, sequence.ends_at),
            "widen its column (and the sequence) to bigint while there is time; a promotion skips 1,000 values or more",
        );
    }
}

fn visible(server: Server<'_>, found: &mut Findings) {
    let reader = &server.facts.reader;
    found.warn(
        !server.facts.monitors && !server.facts.superuser,
        format!("role {reader} does not see everything"),
        &format!("GRANT pg_monitor TO {}", ident(reader)),
    );
}

fn encoding(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let (wanted, other) = (&primary.facts.encoding, &replica.facts.encoding);
    found.at(replica).refuse(
        wanted != other,
        format!("the database's encoding is {other}, not {wanted}"),
        "create the database again with the primary's encoding",
    );
}

fn collation(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let (wanted, other) = (&primary.facts.collation, &replica.facts.collation);
    found.at(replica).warn(
        wanted != other,
        format!("the collation is {other}, not {wanted}"),
        "sort orders will differ between the sites",
    );
}

fn majors(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let [wanted, other] = [primary, replica].map(|server| server.facts.version / 10_000);
    found.at(replica).warn(
        wanted != other,
        format!("PostgreSQL {other} replicates with {wanted}"),
        "fine while one side is upgraded; the way back to an older major is not tried",
    );
}

fn text_settings(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    for name in TEXT_SETTINGS {
        let [wanted, other] = [primary, replica].map(|server| server.facts.setting(name));
        found.at(replica).warn(
            wanted != other,
            format!("{name} is {other}, not {wanted}"),
            "give both servers one value, so that the same row has the same text",
        );
    }
}

fn extensions(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let have = &replica.facts.extensions;
    for (name, version) in &primary.facts.extensions {
        let problem = match have.get(name) {
            Some(other) if other == version => continue,
            Some(other) => format!("extension {name} is {other}, not {version}"),
            None => format!("extension {name} is missing"),
        };
        found.at(replica).warn(
            true,
            problem,
            "create or update it: tables and queries may need it after a promotion",
        );
    }
}

/// Where the replica has no table at all, setup copies the schema.
fn shapes(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    // Once changes flow, the one that follows must have what the other has.
    let set_up = primary.facts.is_set_up() && replica.facts.is_set_up();
    let (primary, replica) = match flow(primary, replica) {
        Flow::Runs(source, target) if set_up => (source, target),
        Flow::Promoted(site, _) if site.names == replica.names => (replica, primary),
        _ => (primary, replica),
    };
    let wanted: Vec<_> = primary.facts.published_tables().collect();
    let empty = !wanted
        .iter()
        .any(|table| replica.facts.table(&table.name).is_some());
    for table in wanted {
        match replica.facts.table(&table.name) {
            Some(copy) => columns(replica, found, table, copy),
            None => found.at(replica).refuse(
                !empty,
                format!("table {} is missing", table.name),
                "create it as on the primary (setup copies a schema only where no table exists)",
            ),
        }
    }
}

fn columns(replica: Server<'_>, found: &mut Findings, table: &Table, copy: &Table) {
    for (column, kind) in &table.columns {
        let problem = match copy.columns.get(column) {
            Some(same) if same == kind => continue,
            Some(other) => format!("column {}.{column} is {other}, not {kind}", table.name),
            None => format!("column {}.{column} is missing", table.name),
        };
        found
            .at(replica)
            .refuse(true, problem, "alter it to match the primary's");
    }
}

fn all_tables(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    for server in [primary, replica] {
        let ours = server
            .facts
            .publishes_all
            .contains(&server.names.publication);
        found.at(server).refuse(
            ours,
            format!("publication {} is FOR ALL TABLES", server.names.publication),
            "replace it by a list of tables (at the primary: see the path below): any table that is created here, even for a minute, stops the replica for good",
        );
    }
}

/// Slots of others: what a failover does not move.
fn foreign_slots(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    for server in [primary, replica] {
        let foreign = server.facts.slots.iter().filter(|(name, slot)| {
            let ours = **name == server.names.slot || copies_a_table(name);
            slot.logical && slot.here == Some(true) && !ours
        });
        for (name, _) in foreign {
            found.at(server).warn(
                true,
                format!("slot {name} is not Tandem's"),
                "its consumer stays behind when the other site is promoted: plan how it starts again there, or drop the slot",
            );
        }
    }
}

/// `pg_SUBSCRIPTION_sync_TABLE_SYSTEM`: PostgreSQL's own while a table is being copied.
fn copies_a_table(slot: &str) -> bool {
    let rest = slot
        .strip_prefix("pg_")
        .and_then(|rest| rest.split_once("_sync_"));
    rest.is_some_and(|(subscription, _)| subscription.bytes().all(|byte| byte.is_ascii_digit()))
}
