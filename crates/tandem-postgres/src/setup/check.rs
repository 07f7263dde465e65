//! The preconditions: everything that would break later, told before anything is done.
//!
//! Pure: two sets of facts in, all faults and warnings out, each with its remedy.

use tandem_core::config::Config;

use super::facts::{Facts, Table};
use super::{Fault, Options, Pair};
use crate::names::Names;

/// Majors that were read about or tried; 19 replicates sequences itself.
const VERSIONS: std::ops::RangeInclusive<u32> = 15..=18;
/// One for the direction, two for the copies that run beside it.
const SLOTS_FREE_MIN: i64 = 3;
/// A worker notices a silent primary only after this long, in milliseconds.
const RECEIVER_TIMEOUT_MAX_MS: i64 = 10_000;

/// Faults stop setup; warnings do not.
pub(super) fn check(
    config: &Config,
    pair: &Pair,
    options: &Options,
    primary: &Facts,
    replica: &Facts,
) -> (Vec<Fault>, Vec<Fault>) {
    let mut found = Findings::default();
    for (names, facts) in [(&pair.primary, primary), (&pair.replica, replica)] {
        found.names = Some(names.clone());
        check_server(&mut found, facts);
        check_slots(&mut found, names, facts);
        check_roles(&mut found, config, options, facts);
        check_tables(&mut found, config, facts);
    }
    found.names = Some(pair.primary.clone());
    check_primary(&mut found, config, pair, primary);
    found.names = Some(pair.replica.clone());
    check_replica(&mut found, pair, primary, replica);
    check_shapes(&mut found, primary, replica);
    (found.faults, found.warnings)
}

/// What was found so far, and the site that is being looked at.
#[derive(Default)]
struct Findings {
    names: Option<Names>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Findings {
    fn finding(&self, problem: String, fix: &str) -> Fault {
        let site = self
            .names
            .as_ref()
            .expect("set before the first check")
            .site;
        Fault {
            site,
            problem,
            fix: fix.to_owned(),
        }
    }

    fn fault(&mut self, wrong: bool, problem: impl Into<String>, fix: &str) {
        if wrong {
            self.faults.push(self.finding(problem.into(), fix));
        }
    }

    fn warn(&mut self, wrong: bool, problem: impl Into<String>, fix: &str) {
        if wrong {
            self.warnings.push(self.finding(problem.into(), fix));
        }
    }
}

fn check_server(found: &mut Findings, facts: &Facts) {
    let major = facts.version / 10_000;
    found.fault(
        !VERSIONS.contains(&major),
        format!("PostgreSQL {major} is not supported"),
        "use 15, 16, 17 or 18",
    );
    let level = facts.settings.get("wal_level").map_or("", String::as_str);
    found.fault(
        level != "logical",
        format!("wal_level is {level}"),
        "set wal_level = logical and restart (RDS: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on)",
    );
    let prepared = facts.number("max_prepared_transactions");
    found.fault(
        prepared != 0,
        format!("max_prepared_transactions is {prepared}"),
        "set it to 0 and restart: COMMIT PREPARED passes the guard",
    );
    found.fault(
        facts.settings.get("ssl").map(String::as_str) != Some("on"),
        "ssl is off, replication connections are encrypted",
        "set ssl = on with a certificate for the configured host name",
    );
    found.fault(
        facts.number("max_slot_wal_keep_size") < 0,
        "max_slot_wal_keep_size is not set",
        "set it to the hours of WAL that the disk can hold: without a cap an idle slot fills it",
    );
    let timeout = facts.number("wal_receiver_timeout");
    found.warn(
        timeout == 0 || timeout > RECEIVER_TIMEOUT_MAX_MS,
        format!("wal_receiver_timeout is {timeout} ms"),
        "set it to 5s, so that a worker leaves a silent primary soon",
    );
    found.warn(
        facts
            .settings
            .get("track_commit_timestamp")
            .map(String::as_str)
            != Some("on"),
        "track_commit_timestamp is off",
        "set it on and restart: bringing a lost site back needs to know who changed a row last",
    );
}

fn check_slots(found: &mut Findings, names: &Names, facts: &Facts) {
    let max = facts.number("max_replication_slots");
    let used = i64::try_from(facts.slots.len()).unwrap_or(i64::MAX);
    let have_ours = facts.slots.contains(&names.slot);
    found.fault(
        !have_ours && max - used < SLOTS_FREE_MIN,
        format!("{used} of {max} replication slots are used"),
        "raise max_replication_slots so that 3 are free, and restart",
    );
    for setting in ["max_wal_senders", "max_logical_replication_workers"] {
        let value = facts.number(setting);
        found.fault(
            value < SLOTS_FREE_MIN,
            format!("{setting} is {value}"),
            "raise it to 8 or more and restart",
        );
    }
}

fn check_roles(found: &mut Findings, config: &Config, options: &Options, facts: &Facts) {
    let database = &config.database;
    let application = &database.application_role;
    match facts.roles.get(application) {
        None => found.fault(
            options.application_password_file.is_none(),
            format!("role {application} does not exist"),
            "create it, or pass --application-password-file",
        ),
        Some(role) => {
            found.fault(
                role.superuser,
                format!("role {application} is a superuser"),
                "let applications log in with a role that owns nothing: a superuser passes the guard",
            );
            let strong = [&database.owner_role, &database.agent_role];
            for group in strong
                .into_iter()
                .filter(|group| role.member_of.contains(group))
            {
                found.fault(
                    true,
                    format!("role {application} is a member of {group}"),
                    "revoke the membership: it can switch the guard off",
                );
            }
        }
    }
    found.warn(
        !facts.superuser,
        "the administrator is no superuser",
        "if a step is refused, grant it what the message names; stock PostgreSQL 15 lets only superusers subscribe",
    );
}

fn check_tables(found: &mut Findings, config: &Config, facts: &Facts) {
    let application = &config.database.application_role;
    for table in &facts.tables {
        let name = &table.name;
        found.fault(
            table.owner == *application,
            format!("table {name} belongs to {application}"),
            "give it to the owner role: an owner can drop the guard",
        );
        found.fault(
            table.logged && !table.identity,
            format!("table {name} has no primary key"),
            "add one, or REPLICA IDENTITY USING INDEX: UPDATE and DELETE would fail once it is published",
        );
        found.warn(
            !table.logged,
            format!("table {name} is unlogged"),
            "it is never replicated; make it logged if it matters",
        );
        found.warn(
            table.always,
            format!("table {name} has triggers that fire while changes are applied"),
            "use ENABLE TRIGGER unless they must run twice",
        );
    }
}

fn check_primary(found: &mut Findings, config: &Config, pair: &Pair, primary: &Facts) {
    for schema in &config.database.schemas {
        found.fault(
            !primary.schemas.contains(schema),
            format!("schema {schema} does not exist"),
            "create it, or take it out of database.schemas",
        );
    }
    found.fault(
        primary
            .subscriptions
            .contains_key(&pair.primary.subscription),
        format!(
            "subscription {} already feeds the first primary",
            pair.primary.subscription
        ),
        "replication runs the other way since a promotion; setup is for the first direction",
    );
    found.warn(
        primary.published_tables().next().is_none(),
        "there is no table to replicate yet",
        "run setup again when the tables exist",
    );
}

fn check_replica(found: &mut Findings, pair: &Pair, primary: &Facts, replica: &Facts) {
    found.fault(
        !replica.promotions.is_empty(),
        format!(
            "this site was prepared for writes in epoch {:?}",
            replica.promotions
        ),
        "setup would lose what it wrote since; bring the other site back instead",
    );
    let slot = &pair.primary.slot;
    let slot_exists = primary.slots.contains(slot);
    match replica.subscriptions.get(&pair.replica.subscription) {
        None => {
            found.fault(
                slot_exists,
                format!(
                    "slot {slot} exists at {} without a subscription here",
                    pair.primary.site
                ),
                "it may be all that is left of lost writes; drop it only if replication never ran",
            );
            for table in &replica.filled {
                found.fault(
                    true,
                    format!("table {table} already holds rows"),
                    "empty it: the first copy would meet its own rows",
                );
            }
        }
        Some(subscription) => {
            found.fault(
                !slot_exists || subscription.slot.as_ref() != Some(slot),
                format!(
                    "the subscription reads slot {:?}, not {slot}",
                    subscription.slot
                ),
                "its slot is gone; drop the subscription, empty the tables and run setup again",
            );
            found.fault(
                !subscription.enabled,
                "the subscription is disabled",
                "find out who stopped it; then enable it and run setup again",
            );
        }
    }
}

fn check_shapes(found: &mut Findings, primary: &Facts, replica: &Facts) {
    found.fault(
        primary.encoding != replica.encoding,
        format!(
            "the database's encoding is {}, not {}",
            replica.encoding, primary.encoding
        ),
        "create the database again with the primary's encoding",
    );
    found.warn(
        primary.collation != replica.collation,
        format!(
            "the collation is {}, not {}",
            replica.collation, primary.collation
        ),
        "sort orders will differ between the sites",
    );
    let wanted: Vec<_> = primary.published_tables().collect();
    let present = wanted
        .iter()
        .filter(|table| replica.table(&table.name).is_some())
        .count();
    for table in wanted {
        match replica.table(&table.name) {
            Some(copy) => check_columns(found, table, copy),
            None => found.fault(
                present > 0,
                format!("table {} is missing", table.name),
                "create it as on the primary (setup copies a schema only where no table exists)",
            ),
        }
    }
}

fn check_columns(found: &mut Findings, table: &Table, copy: &Table) {
    for (column, kind) in &table.columns {
        let problem = match copy.columns.get(column) {
            Some(same) if same == kind => continue,
            Some(other) => format!("column {}.{column} is {other}, not {kind}", table.name),
            None => format!("column {}.{column} is missing", table.name),
        };
        found.fault(true, problem, "alter it to match the primary's");
    }
}
