//! What setup will do: a pure function from facts to steps.
//!
//! The order is the safety of P1: roles, Tandem's objects with both heartbeat rows,
//! tables on the replica, rights, guards on both sides, publication; the subscription
//! last, so that its slot holds back no WAL before somebody reads it.

use tandem_core::config::Config;
use tandem_core::model::SiteId;

use super::{Options, Pair, script};
use crate::connect::place;
use crate::error::Error;
use crate::facts::{Facts, Role};
use crate::guards;
use crate::names::Names;
use crate::steps::{Action, Mode, SCHEMA_COPY, Step, Way};

/// What a copy moves a second between two clouds, for the estimate only.
const COPY_BYTES_PER_SECOND: i64 = 20_000_000;
/// A new slot waits for every transaction that has written; longer ones are named instead.
const SLOT_LIMIT: std::time::Duration = std::time::Duration::from_secs(50);

/// Steps that bring both servers from `facts` to what the configuration says.
pub(super) fn plan(
    config: &Config,
    pair: &Pair,
    options: &Options,
    primary: &Facts,
    replica: &Facts,
) -> Result<Vec<Step>, Error> {
    let mut steps = Steps::default();
    let sides = [(&pair.primary, primary), (&pair.replica, replica)];
    for (names, facts) in sides {
        steps.roles(config, names, facts, options)?;
    }
    for (names, facts) in sides {
        steps.objects(config, names, facts);
    }
    steps.heartbeats(config, &pair.primary, primary);
    let copy = primary.published_tables().next().is_some()
        && !primary
            .published_tables()
            .any(|table| replica.table(&table.name).is_some());
    if copy {
        let what = format!("copy the schema from {}", pair.primary.site);
        let step = Step::new(pair.replica.site, what, SCHEMA_COPY, Action::CopySchema);
        steps.0.push(
            step.lasting("seconds; ACCESS SHARE at the primary, which blocks schema changes only"),
        );
    }
    for (names, facts) in sides {
        steps.grants(
            config,
            names,
            facts,
            primary,
            copy && names == &pair.replica,
        );
    }
    if guards_primary(options, primary) {
        let wanted = unguarded(primary, primary);
        steps.0.extend(
            wanted.map(|table| guards::install(pair.primary.site, table, !options.offline)),
        );
    }
    // The replica's applications must not write: a guard that refuses is right there.
    let wanted = unguarded(replica, primary);
    steps
        .0
        .extend(wanted.map(|table| guards::install(pair.replica.site, table, false)));
    let published = steps.publication(&pair.primary, primary);
    let copy = Copy {
        bytes: primary.bytes,
        limit: options.copy_limit,
    };
    steps.subscription(config, &pair.replica, replica, published, &copy)?;
    Ok(steps.0)
}

/// At the primary a guard would refuse every write until an agent holds the right.
pub(super) fn guards_primary(options: &Options, primary: &Facts) -> bool {
    options.offline || primary.guard_open
}

/// Tables of `primary` that have no guard which fires at the server of `facts`.
pub(super) fn unguarded<'a>(facts: &'a Facts, primary: &'a Facts) -> impl Iterator<Item = &'a str> {
    let tables = primary.tables.iter().filter(|table| table.logged);
    let open = tables.filter(|table| {
        let found = facts.table(&table.name);
        found.and_then(|found| found.guard.as_deref()) != Some("O")
    });
    open.map(|table| table.name.as_str())
}

/// What the first copy moves.
struct Copy {
    bytes: i64,
    limit: std::time::Duration,
}

impl Copy {
    fn lasts(&self) -> String {
        let seconds = self.bytes / COPY_BYTES_PER_SECOND;
        let megabytes = self.bytes / 1_000_000;
        format!(
            "milliseconds, once transactions that have written have ended; then the copy of {megabytes} MB, about {seconds} s at 20 MB/s, under ACCESS SHARE, which blocks schema changes only"
        )
    }
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn sql(&mut self, site: SiteId, what: impl Into<String>, sql: String) {
        self.0.push(Step::sql(site, what, sql));
    }

    fn roles(
        &mut self,
        config: &Config,
        names: &Names,
        facts: &Facts,
        options: &Options,
    ) -> Result<(), Error> {
        let (database, place) = (&config.database, place(config, names.site)?);
        let site = names.site;
        // RDS knows no REPLICATION attribute; a membership stands for it.
        let replicates = if facts.rds {
            "LOGIN"
        } else {
            "LOGIN REPLICATION"
        };
        self.role(site, facts, &database.owner_role, "NOLOGIN", None);
        let file = options.application_password_file.as_deref();
        self.role(site, facts, &database.application_role, "LOGIN", file);
        let file = Some(place.agent_password_file.as_str());
        self.role(site, facts, &database.agent_role, replicates, file);
        let file = Some(place.replication_password_file.as_str());
        self.role(site, facts, &database.replication_role, replicates, file);
        for group in ["pg_monitor", "pg_signal_backend"] {
            self.member(site, facts, group, &database.agent_role);
        }
        if facts.rds {
            self.member(site, facts, "rds_replication", &database.agent_role);
            self.member(site, facts, "rds_replication", &database.replication_role);
        }
        if !facts.superuser {
            // Making objects for others needs to be one of them.
            self.member(site, facts, &database.agent_role, &place.admin_role);
            self.member(site, facts, &database.owner_role, &place.admin_role);
        }
        Ok(())
    }

    fn role(
        &mut self,
        site: SiteId,
        facts: &Facts,
        name: &str,
        attributes: &str,
        file: Option<&str>,
    ) {
        let found = facts.roles.get(name);
        let (login, replication) = (
            attributes.contains("LOGIN") && attributes != "NOLOGIN",
            attributes.contains("REPLICATION"),
        );
        let lacks = |role: &Role| (login && !role.login) || (replication && !role.replication);
        let wrong_password = facts.wrong_passwords.iter().any(|role| role == name);
        let what = match found {
            None => format!("create role {name}"),
            Some(_) if wrong_password => format!("set the password of role {name}"),
            Some(role) if lacks(role) => format!("let role {name} {}", attributes.to_lowercase()),
            Some(_) => return,
        };
        let exists = found.is_some();
        let hidden = if file.is_some() { "PASSWORD '***'" } else { "" };
        let sql = script::role(name, exists, attributes, hidden);
        let action = Action::Role {
            name: name.to_owned(),
            exists,
            attributes: attributes.to_owned(),
            password_file: file.map(str::to_owned),
        };
        self.0.push(Step::new(site, what, sql, action));
    }

    fn member(&mut self, site: SiteId, facts: &Facts, group: &str, role: &str) {
        let known = facts.roles.get(role);
        if !known.is_some_and(|role| role.member_of.iter().any(|found| found == group)) {
            self.sql(
                site,
                format!("make {role} a member of {group}"),
                script::member(group, role),
            );
        }
    }

    fn objects(&mut self, config: &Config, names: &Names, facts: &Facts) {
        if facts.objects_current != Some(true) {
            let what = "create schemas tandem and tandem_local: heartbeat, guard, journal";
            self.sql(names.site, what, script::objects(config, names));
        }
    }

    fn heartbeats(&mut self, config: &Config, names: &Names, facts: &Facts) {
        let known = |site: &SiteId| facts.heartbeats.iter().any(|row| row == site.as_str());
        if ![names.site, names.other].iter().all(known) {
            let sql = script::heartbeats(config, names);
            self.sql(names.site, "write the first heartbeat of both sites", sql);
        }
    }

    fn grants(
        &mut self,
        config: &Config,
        names: &Names,
        facts: &Facts,
        primary: &Facts,
        copied: bool,
    ) {
        let application_too = !primary.application_writes && !primary.tables.is_empty();
        if copied || application_too || !facts.missing_grants.is_empty() {
            let sql = script::grants(config, application_too);
            self.sql(names.site, "grant rights on present and future tables", sql);
        }
    }

    /// Says whether an existing publication grew.
    fn publication(&mut self, names: &Names, facts: &Facts) -> bool {
        let present = facts.publications.get(&names.publication);
        let tables = facts.published_tables().map(|table| table.name.as_str());
        let wanted = ["tandem.heartbeat"].into_iter().chain(tables);
        let wanted = wanted
            .filter(|table| !present.is_some_and(|found| found.iter().any(|name| name == table)));
        let (mut exists, before) = (present.is_some(), self.0.len());
        for table in wanted {
            let what = format!("publish {table} in {}", names.publication);
            let step = Step::sql(names.site, what, script::publish(names, exists, table));
            self.0.push(match table.starts_with("tandem.") {
                true => step,
                false => step.locking(table, Mode::ShareUpdateExclusive),
            });
            exists = true;
        }
        present.is_some() && self.0.len() > before
    }

    fn subscription(
        &mut self,
        config: &Config,
        names: &Names,
        facts: &Facts,
        grew: bool,
        copy: &Copy,
    ) -> Result<(), Error> {
        let (site, name) = (names.site, &names.subscription);
        let shown = script::conninfo_by(config, names, Way::Relays, script::Secret::Hidden)?;
        let Some(present) = facts.subscriptions.get(name) else {
            let what = format!("create subscription {name} with slot {}", names.source_slot);
            let limit = copy.limit.min(SLOT_LIMIT);
            let step = Step::new(
                site,
                what,
                script::subscribe(names, &shown),
                Action::Subscribe(limit),
            );
            self.0.push(step.lasting(copy.lasts()));
            return Ok(());
        };
        if grew || present.tables.is_empty() {
            self.sql(
                site,
                format!("take the new tables into {name}"),
                script::refresh(names),
            );
        }
        let wanted = script::conninfo_by(config, names, Way::Relays, script::Secret::Read)?;
        if facts
            .conninfo
            .as_ref()
            .is_some_and(|found| *found != wanted)
        {
            let what = format!("connect {name} through the relays");
            let sql = script::reconnect(names, &shown);
            self.0
                .push(Step::new(site, what, sql, Action::Connect(Way::Relays)));
        }
        Ok(())
    }
}
