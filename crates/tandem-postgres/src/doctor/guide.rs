//! The way from what a hand-made installation looks like to what Tandem needs, without a new copy.
//!
//! Recognised: a publication `FOR ALL TABLES`, and an application that logs in as the
//! owner of its tables or as the provider's administrator. Where a step would lose or
//! copy data, the path says what must be done first and ends there.

use postgres_protocol::escape::{escape_identifier as ident, escape_literal as text};
use serde::Serialize;
use tandem_core::model::SiteId;

use super::check::{Case, Server};
use crate::connect::place;
use crate::facts::Subscription;

/// One step of a path; a person takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where; absent for what is done outside the databases.
    pub site: Option<SiteId>,
    /// Why, and what to wait for.
    pub what: String,
    /// The statement; absent for what is done outside the databases.
    pub sql: Option<String>,
}

fn sql(server: Server<'_>, what: &str, sql: String) -> Step {
    Step {
        site: Some(server.names.site),
        what: what.to_owned(),
        sql: Some(sql),
    }
}

fn outside(what: String) -> Step {
    Step {
        site: None,
        what,
        sql: None,
    }
}

/// Every step that is needed, in order; empty if nothing was recognised.
pub(super) fn path(case: &Case<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some((primary, replica)) = case.primary.zip(case.replica) {
        steps.extend(list_tables(primary, replica));
    }
    let servers: Vec<_> = [case.primary, case.replica].into_iter().flatten().collect();
    steps.extend(free_application(&servers));
    if !steps.is_empty() {
        steps.push(outside(
            "run `tandem doctor` again, then `tandem replication setup`, which adds the heartbeat and the guard".into(),
        ));
    }
    steps
}

/// A second publication with a list takes the place of the first one; the slot and its position stay.
fn list_tables(primary: Server<'_>, replica: Server<'_>) -> Vec<Step> {
    let old = &primary.names.publication;
    let tables: Vec<_> = primary
        .facts
        .published_tables()
        .map(|table| table.name.as_str())
        .collect();
    if !primary.facts.publishes_all.contains(old) || tables.is_empty() {
        return Vec::new();
    }
    let Some(subscription) = replica.facts.subscriptions.get(&replica.names.subscription) else {
        let what = "nobody follows it yet, and setup makes one with a list";
        return vec![sql(
            primary,
            what,
            format!("DROP PUBLICATION {}", ident(old)),
        )];
    };
    let first = before_listing(primary, replica, subscription);
    if !first.is_empty() {
        return first;
    }
    let new = format!("{old}_tables");
    let slot = subscription.slot.as_ref().unwrap_or(&primary.names.slot);
    let mut steps = vec![sql(
        primary,
        "publish the tables by name, beside the old publication",
        format!(
            "CREATE PUBLICATION {} FOR TABLE {}",
            ident(&new),
            tables.join(", ")
        ),
    )];
    steps.extend(change_over(primary, replica, &new, slot));
    steps.push(sql(
        primary,
        "drop the old one",
        format!("DROP PUBLICATION {}", ident(old)),
    ));
    steps.push(outside(format!(
        "in tandem.toml: [database] publication = {new:?}"
    )));
    if *slot != primary.names.slot {
        steps.push(outside(format!(
            "in tandem.toml: [database] slot = {slot:?}, which the subscription reads"
        )));
    }
    steps
}

/// From the old publication to `new` at one position: whatever was begun or written before `new` was
/// there must be behind the slot first, since it is decoded with the catalog of its time.
fn change_over(primary: Server<'_>, replica: Server<'_>, new: &str, slot: &str) -> [Step; 4] {
    let confirmed = format!(
        "SELECT confirmed_flush_lsn >= '<position>' FROM pg_replication_slots WHERE slot_name = {}",
        text(slot)
    );
    let follow = format!(
        "ALTER SUBSCRIPTION {} SET PUBLICATION {} WITH (copy_data = false)",
        ident(&replica.names.subscription),
        ident(new)
    );
    [
        sql(
            primary,
            "repeat until it says true for the number that pg_snapshot_xmax(pg_current_snapshot()) gives now: no older transaction is left",
            "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= '<transaction>'::xid8".into(),
        ),
        sql(
            primary,
            "repeat until it says true for the position that pg_current_wal_lsn() gives now: all that is older is applied",
            confirmed.clone(),
        ),
        sql(
            replica,
            "follow the new one from the same position; nothing is copied",
            follow,
        ),
        sql(
            primary,
            "again, with a new position: the subscription has gone on with the new one",
            confirmed,
        ),
    ]
}

/// What must be done before a list may take the place of all tables.
fn before_listing(
    primary: Server<'_>,
    replica: Server<'_>,
    subscription: &Subscription,
) -> Vec<Step> {
    let carried = primary
        .facts
        .publication_tables
        .get(&primary.names.publication);
    let ours = |name: &&String| name.starts_with("tandem.") || name.starts_with("tandem_local.");
    let carried = || carried.into_iter().flatten().filter(|name| !ours(name));
    let known = |name: &String| primary.facts.table(name).is_some();
    let named = |tables: Vec<&String>| {
        tables
            .into_iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut steps = Vec::new();
    let strangers: Vec<_> = carried().filter(|name| !known(name)).collect();
    if !strangers.is_empty() {
        steps.push(outside(format!(
            "replicated today and in no schema of tandem.toml ([database] schemas): {}; add their schemas, or accept that they stop",
            named(strangers)
        )));
    }
    let unfollowed: Vec<_> = carried()
        .filter(|name| !subscription.tables.contains(name))
        .collect();
    if !unfollowed.is_empty() || !subscription.unready.is_empty() {
        let what =
            "these tables were never copied; take them in, and wait until every one is ready";
        let names = named(
            unfollowed
                .into_iter()
                .chain(&subscription.unready)
                .collect(),
        );
        steps.push(sql(
            replica,
            &format!("{what}: {names}"),
            format!(
                "ALTER SUBSCRIPTION {} REFRESH PUBLICATION",
                ident(&replica.names.subscription)
            ),
        ));
    }
    let slots = primary
        .facts
        .slots
        .iter()
        .filter(|(_, slot)| slot.logical && slot.here == Some(true));
    let slots = slots
        .map(|(name, _)| name)
        .filter(|name| subscription.slot.as_ref() != Some(*name));
    let others: Vec<_> = slots.filter(|name| **name != primary.names.slot).collect();
    if !others.is_empty() {
        steps.push(outside(format!(
            "see whether the consumers of slots {} name publication {}; it is dropped on this way",
            named(others),
            primary.names.publication
        )));
    }
    steps
}

/// An application that owns its tables, or is the administrator, gets a role that owns nothing.
fn free_application(servers: &[Server<'_>]) -> Vec<Step> {
    let owned = |server: &Server<'_>| {
        let application = &server.config.database.application_role;
        server
            .facts
            .tables
            .iter()
            .any(|table| table.owner == *application)
    };
    let powerful = |server: &Server<'_>| !server.facts.application_powers.is_empty();
    let Some(found) = servers
        .iter()
        .find(|server| owned(server) || powerful(server))
    else {
        return Vec::new();
    };
    let application = &found.config.database.application_role;
    let mut steps: Vec<_> = servers
        .iter()
        .flat_map(|server| give_away(*server))
        .collect();
    steps.push(outside(format!(
        "in tandem.toml: [database] application_role = \"crm_app\" instead of {application:?}; `tandem replication setup --application-password-file FILE` makes it, with rights on every table and none to change them"
    )));
    steps.push(outside(format!(
        "point the application at it (DATABASE_URL), terminate the old sessions, and revoke what {application:?} was granted on this way"
    )));
    steps
}

/// The tables of one site go to an owner who never logs in; the application works on meanwhile.
fn give_away(server: Server<'_>) -> Vec<Step> {
    let database = &server.config.database;
    let (owner, old) = (
        ident(&database.owner_role),
        ident(&database.application_role),
    );
    let mine = server
        .facts
        .tables
        .iter()
        .filter(|table| table.owner == database.application_role);
    let mine: Vec<_> = mine.map(|table| table.name.as_str()).collect();
    if mine.is_empty() {
        return Vec::new();
    }
    let administrator =
        place(server.config, server.names.site).map(|place| ident(&place.admin_role));
    let administrator = administrator.unwrap_or_else(|_| old.clone());
    let schemas: Vec<_> = database
        .schemas
        .iter()
        .map(|schema| ident(schema))
        .collect();
    let schemas = schemas.join(", ");
    let mut steps = Vec::new();
    if !server.facts.roles.contains_key(&database.owner_role) {
        let what = "a role that owns the tables and never logs in";
        steps.push(sql(server, what, format!("CREATE ROLE {owner} NOLOGIN")));
    }
    let what = "the administrator, and so its subscription, may act for the new owner";
    steps.push(sql(
        server,
        what,
        format!("GRANT {owner} TO {administrator}"),
    ));
    let what = "an owner must be able to have tables in the schema";
    steps.push(sql(
        server,
        what,
        format!("GRANT USAGE, CREATE ON SCHEMA {schemas} TO {owner}"),
    ));
    for table in mine {
        let what = "an owner can drop the guard; the application keeps the right to use it";
        let change = format!("ALTER TABLE {table} OWNER TO {owner}");
        let keep = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {old}");
        steps.push(sql(
            server,
            what,
            format!("BEGIN; {change}; {keep}; COMMIT"),
        ));
    }
    let what = "sequences went with their tables";
    steps.push(sql(
        server,
        what,
        format!("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schemas} TO {old}"),
    ));
    steps
}
