//! What setup will do: a pure function from facts to steps.
//!
//! The order is the safety of P1: roles, Tandem's objects with both heartbeat rows,
//! tables on the replica, rights, guards on both sides, publication; the subscription
//! last, so that its slot holds back no WAL before somebody reads it.

use std::fmt;

use tandem_core::config::Config;
use tandem_core::model::SiteId;

use super::{Pair, script};
use crate::connect::place;
use crate::error::Error;
use crate::facts::{Facts, Role};
use crate::names::Names;

/// One step, done at one site.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub site: SiteId,
    /// What, for people.
    pub what: String,
    pub(super) action: Action,
}

/// How a step is done.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Statements of one round trip.
    Sql(String),
    /// A role with the password of a file, read when the step is taken.
    Role {
        name: String,
        exists: bool,
        attributes: String,
        password_file: Option<String>,
    },
    /// The other site's tables, without rows.
    CopySchema,
    /// The subscription and, through it, the slot.
    Subscribe,
    /// The subscription's way to its publisher, through the relays.
    Reconnect,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.site, self.what)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Steps that bring both servers from `facts` to what the configuration says.
pub(super) fn plan(
    config: &Config,
    pair: &Pair,
    primary: &Facts,
    replica: &Facts,
) -> Result<Vec<Step>, Error> {
    let mut steps = Steps::default();
    let sides = [(&pair.primary, primary), (&pair.replica, replica)];
    for (names, facts) in sides {
        steps.roles(config, names, facts)?;
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
        steps.add(pair.replica.site, what, Action::CopySchema);
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
    for (names, facts) in sides {
        steps.guards(names, facts, primary);
    }
    let published = steps.publication(&pair.primary, primary);
    steps.subscription(config, &pair.replica, replica, published)?;
    Ok(steps.0)
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn add(&mut self, site: SiteId, what: impl Into<String>, action: Action) {
        self.0.push(Step {
            site,
            what: what.into(),
            action,
        });
    }

    fn sql(&mut self, site: SiteId, what: impl Into<String>, sql: String) {
        self.add(site, what, Action::Sql(sql));
    }

    fn roles(&mut self, config: &Config, names: &Names, facts: &Facts) -> Result<(), Error> {
        let (database, place) = (&config.database, place(config, names.site)?);
        let site = names.site;
        // RDS knows no REPLICATION attribute; a membership stands for it.
        let replicates = if facts.rds {
            "LOGIN"
        } else {
            "LOGIN REPLICATION"
        };
        self.role(site, facts, &database.owner_role, "NOLOGIN", None);
        self.role(site, facts, &database.application_role, "LOGIN", None);
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

    /// The application's password file is an option of the command; the executor fills it in.
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
        let action = Action::Role {
            name: name.to_owned(),
            exists: found.is_some(),
            attributes: attributes.to_owned(),
            password_file: file.map(str::to_owned),
        };
        self.add(site, what, action);
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

    fn guards(&mut self, names: &Names, facts: &Facts, primary: &Facts) {
        for table in primary.tables.iter().filter(|table| table.logged) {
            let found = facts
                .table(&table.name)
                .and_then(|found| found.guard.as_deref());
            if found != Some("O") {
                let what = format!("guard table {}", table.name);
                self.sql(names.site, what, script::guard(&table.name));
            }
        }
    }

    /// Says whether an existing publication grew.
    fn publication(&mut self, names: &Names, facts: &Facts) -> bool {
        let mut wanted: Vec<_> = facts
            .published_tables()
            .map(|table| table.name.clone())
            .collect();
        wanted.push("tandem.heartbeat".into());
        let present = facts.publications.get(&names.publication);
        wanted.retain(|table| !present.is_some_and(|found| found.contains(table)));
        if !wanted.is_empty() {
            let what = format!("publish {} in {}", wanted.join(", "), names.publication);
            self.sql(
                names.site,
                what,
                script::publish(names, present.is_some(), &wanted),
            );
        }
        present.is_some() && !wanted.is_empty()
    }

    fn subscription(
        &mut self,
        config: &Config,
        names: &Names,
        facts: &Facts,
        grew: bool,
    ) -> Result<(), Error> {
        let (site, name) = (names.site, &names.subscription);
        let Some(present) = facts.subscriptions.get(name) else {
            let what = format!("create subscription {name} with slot {}", names.source_slot);
            self.add(site, what, Action::Subscribe);
            return Ok(());
        };
        if grew || present.tables.is_empty() {
            self.sql(
                site,
                format!("take the new tables into {name}"),
                script::refresh(names),
            );
        }
        let wanted = script::relay_conninfo(config, names)?;
        if facts
            .conninfo
            .as_ref()
            .is_some_and(|found| *found != wanted)
        {
            self.add(
                site,
                format!("connect {name} through the relays"),
                Action::Reconnect,
            );
        }
        Ok(())
    }
}
