//! Checks of what `tandem replication setup` made: is it whole, and is it still so?

use postgres_protocol::escape::escape_identifier as ident;

use super::check::{Check, Findings, Look, Server};

/// Bytes of WAL before a slot is lost that are too few to sleep on: 16 segments.
const HEADROOM_MIN_BYTES: i64 = 16 * 16 * 1024 * 1024;

/// The heartbeat of each site.
const HEARTBEAT: &str = "tandem.heartbeat";

/// In the order in which a person would mend them.
pub(crate) const SOUNDNESS: &[Check] = &[
    set_up(
        "objects",
        "Tandem's tables and functions are those of this build",
        objects,
    ),
    set_up(
        "agent-role",
        "the agent's role sees and ends what it must, and no more",
        agent_role,
    ),
    set_up(
        "replication-role",
        "the replication role may replicate",
        replication_role,
    ),
    set_up(
        "grants",
        "rights on present and future tables are in place",
        grants,
    ),
    set_up("boundary", "the applied position can be read", boundary),
    linked("guard", "every published table is guarded", guard),
    linked(
        "heartbeat-rows",
        "the heartbeat has a row for each site",
        heartbeat_rows,
    ),
    linked(
        "publication",
        "every table is published, and the heartbeat",
        publication,
    ),
    linked(
        "subscription",
        "changes are received and applied",
        subscription,
    ),
    linked(
        "subscribed-tables",
        "every published table is copied and followed",
        subscribed_tables,
    ),
    linked("slot", "the slot still holds what the replica needs", slot),
    linked(
        "slot-headroom",
        "the slot is far from being given up",
        slot_headroom,
    ),
];

const fn set_up(
    id: &'static str,
    title: &'static str,
    look: fn(Server<'_>, &mut Findings),
) -> Check {
    Check {
        id,
        title,
        look: Look::SetUp(look),
    }
}

const fn linked(
    id: &'static str,
    title: &'static str,
    look: fn(Server<'_>, Server<'_>, &mut Findings),
) -> Check {
    Check {
        id,
        title,
        look: Look::Linked(look),
    }
}

fn objects(server: Server<'_>, found: &mut Findings) {
    found.warn(
        server.facts.hidden_objects,
        format!(
            "role {} may not read tandem_local.version",
            server.facts.reader
        ),
        "GRANT pg_monitor TO it, or run `tandem replication setup`, which lets pg_monitor read it",
    );
    found.refuse(
        server.facts.objects_current == Some(false),
        "Tandem's tables and functions are of another build or configuration",
        "run `tandem replication setup`",
    );
}

fn agent_role(server: Server<'_>, found: &mut Findings) {
    let name = &server.config.database.agent_role;
    let Some(role) = server.facts.roles.get(name) else {
        return found.refuse(
            true,
            format!("role {name} does not exist"),
            "run `tandem replication setup`",
        );
    };
    found.refuse(
        role.superuser,
        format!("role {name} is a superuser"),
        &format!(
            "ALTER ROLE {} NOSUPERUSER: a stolen agent password would change rows",
            ident(name)
        ),
    );
    found.refuse(
        !role.login,
        format!("role {name} may not log in"),
        &format!("ALTER ROLE {} LOGIN", ident(name)),
    );
    for (holds, group) in [
        (server.facts.agent_monitors, "pg_monitor"),
        (server.facts.agent_signals, "pg_signal_backend"),
    ] {
        found.refuse(
            !holds,
            format!("role {name} is no member of {group}"),
            &format!("GRANT {group} TO {}", ident(name)),
        );
    }
}

fn replication_role(server: Server<'_>, found: &mut Findings) {
    let name = &server.config.database.replication_role;
    let Some(role) = server.facts.roles.get(name) else {
        return found.refuse(
            true,
            format!("role {name} does not exist"),
            "run `tandem replication setup`",
        );
    };
    found.refuse(
        !role.replication || !role.login,
        format!("role {name} may not replicate"),
        &format!(
            "ALTER ROLE {0} LOGIN REPLICATION (RDS: GRANT rds_replication TO {0})",
            ident(name)
        ),
    );
}

fn grants(server: Server<'_>, found: &mut Findings) {
    for missing in &server.facts.missing_grants {
        found.refuse(
            true,
            format!("{missing} is not granted"),
            "run `tandem replication setup`",
        );
    }
}

fn boundary(server: Server<'_>, found: &mut Findings) {
    found.refuse(
        !server.facts.boundary,
        "tandem_local.applied_to() may not read the applied position",
        "GRANT EXECUTE ON FUNCTION pg_show_replication_origin_status() TO its owner: a promotion must record how far it came",
    );
}

/// `O`: fires for users and not while changes are applied.
fn guard(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let wanted: Vec<_> = primary
        .facts
        .tables
        .iter()
        .filter(|table| table.logged)
        .collect();
    for server in [primary, replica] {
        for table in &wanted {
            let Some(here) = server.facts.table(&table.name) else {
                continue;
            };
            let name = &here.name;
            let (problem, fix) = match here.guard.as_deref() {
                Some("O") => continue,
                None => (
                    format!("table {name} has no guard"),
                    format!("run `tandem guard install --site {}`", server.names.site),
                ),
                Some("D") => (
                    format!("the guard of table {name} is disabled"),
                    format!("ALTER TABLE {name} ENABLE TRIGGER tandem_guard"),
                ),
                Some(_) => (
                    format!("the guard of table {name} fires while changes are applied"),
                    format!("ALTER TABLE {name} ENABLE TRIGGER tandem_guard: it stops replication"),
                ),
            };
            found.at(server).refuse(true, problem, &fix);
        }
    }
}

fn heartbeat_rows(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let known = primary.facts.objects_current.is_some();
    for site in [primary.names.site, replica.names.site] {
        let missing = !primary
            .facts
            .heartbeats
            .iter()
            .any(|row| row == site.as_str());
        found.at(primary).refuse(
            known && missing,
            format!("{HEARTBEAT} has no row for {site}"),
            "run `tandem replication setup`: an UPDATE of a row that the replica lacks is skipped without a word",
        );
    }
}

/// Which way changes flow.
pub(super) enum Flow<'a> {
    /// From the first to the second.
    Runs(Server<'a>, Server<'a>),
    /// Nobody follows since this site was prepared for writes in that epoch.
    Promoted(Server<'a>, i64),
    /// Each follows the other.
    Both,
}

/// The direction that runs or should: the first one, or after a promotion the way back.
pub(super) fn flow<'a>(primary: Server<'a>, replica: Server<'a>) -> Flow<'a> {
    let follows = |server: &Server<'_>| {
        let subscription = server.facts.subscriptions.get(&server.names.subscription);
        subscription.is_some_and(|found| found.enabled)
    };
    let newest = |server: &Server<'_>| server.facts.promotions.iter().max().copied();
    match (follows(&primary), follows(&replica)) {
        (true, true) => Flow::Both,
        (true, false) => Flow::Runs(replica, primary),
        (false, true) => Flow::Runs(primary, replica),
        (false, false) => {
            let last = [primary, replica]
                .into_iter()
                .filter_map(|server| Some((newest(&server)?, server)));
            let last = last.max_by_key(|(epoch, _)| *epoch);
            last.map_or(Flow::Runs(primary, replica), |(epoch, server)| {
                Flow::Promoted(server, epoch)
            })
        }
    }
}

fn running<'a>(primary: Server<'a>, replica: Server<'a>) -> Option<(Server<'a>, Server<'a>)> {
    match flow(primary, replica) {
        Flow::Runs(source, target) => Some((source, target)),
        Flow::Promoted(..) | Flow::Both => None,
    }
}

fn publication(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let Some((source, _)) = running(primary, replica) else {
        return;
    };
    let name = &source.names.publication;
    if source.facts.publishes_all.contains(name) {
        return;
    }
    let Some(listed) = source.facts.publications.get(name) else {
        return found.at(source).refuse(
            true,
            format!("publication {name} does not exist"),
            "run `tandem replication setup`",
        );
    };
    let tables = source
        .facts
        .published_tables()
        .map(|table| table.name.as_str());
    for table in tables.chain([HEARTBEAT]) {
        found.at(source).refuse(
            !listed.iter().any(|name| name == table),
            format!("table {table} is not published"),
            "run `tandem replication setup`: what is written to it is lost with this site",
        );
    }
}

fn subscription(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let (source, target) = match flow(primary, replica) {
        Flow::Runs(source, target) => (source, target),
        Flow::Promoted(site, epoch) => {
            return found.at(site).refuse(
                true,
                format!("nobody follows this site, which was prepared for writes in epoch {epoch}"),
                "bring the other site back as its replica; do not enable or drop the old subscription or slot: they are what is left of lost writes",
            );
        }
        Flow::Both => {
            return found.at(primary).refuse(
                true,
                "both sites follow each other",
                "see with `tandem status` which one has the right to write, and DISABLE the subscription there: rows come back as duplicate keys",
            );
        }
    };
    let name = &target.names.subscription;
    let found = found.at(target);
    let Some(subscription) = target.facts.subscriptions.get(name) else {
        return found.refuse(
            true,
            format!("subscription {name} does not exist"),
            "run `tandem replication setup`",
        );
    };
    let slot = &source.names.slot;
    found.refuse(
        subscription.slot.as_ref() != Some(slot),
        format!(
            "subscription {name} reads slot {}, not {slot}",
            subscription.slot.as_deref().unwrap_or("none")
        ),
        "drop the subscription, empty the tables and run `tandem replication setup`",
    );
    found.refuse(
        !subscription
            .publications
            .contains(&source.names.publication),
        format!(
            "subscription {name} does not follow publication {}",
            source.names.publication
        ),
        &format!(
            "ALTER SUBSCRIPTION {} SET PUBLICATION {}, after `tandem doctor` says that every table is followed",
            ident(name),
            ident(&source.names.publication)
        ),
    );
    found.refuse(
        !subscription.enabled,
        format!("subscription {name} is disabled"),
        "find out who stopped it; then enable it",
    );
    let down = subscription.enabled && !subscription.worker;
    found.refuse(
        down,
        format!(
            "no worker runs for subscription {name} ({} errors so far)",
            subscription.errors
        ),
        "read the server's log for what it could not apply, and whether the primary can be reached",
    );
    found.warn(
        !down && subscription.errors > 0,
        format!("subscription {name} failed {} times since statistics were reset", subscription.errors),
        "read the server's log; then SELECT pg_stat_reset_subscription_stats(oid) FROM pg_subscription",
    );
}

fn subscribed_tables(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let Some((source, target)) = running(primary, replica) else {
        return;
    };
    let Some(subscription) = target.facts.subscriptions.get(&target.names.subscription) else {
        return;
    };
    let found = found.at(target);
    for table in &subscription.unready {
        found.refuse(
            true,
            format!("the copy of {table} is not finished"),
            "wait for it; a promotion would lose rows",
        );
    }
    let name = &source.names.publication;
    if source.facts.publishes_all.contains(name) {
        return;
    }
    let listed = source.facts.publication_tables.get(name);
    for table in listed.into_iter().flatten() {
        found.refuse(
            !subscription.tables.contains(table),
            format!("table {table} is published and not followed"),
            &format!(
                "ALTER SUBSCRIPTION {} REFRESH PUBLICATION",
                ident(&target.names.subscription)
            ),
        );
    }
}

fn slot(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let Some((source, target)) = running(primary, replica) else {
        return;
    };
    let name = &source.names.slot;
    let found = found.at(source);
    let Some(slot) = source.facts.slots.get(name) else {
        return found.refuse(
            true,
            format!("slot {name} does not exist"),
            "what was written since is not coming: drop the subscription, empty the replica's tables and run `tandem replication setup`",
        );
    };
    let status = slot.wal_status.as_deref().unwrap_or("unknown");
    found.refuse(
        matches!(status, "lost" | "unreserved"),
        format!("slot {name} is {status}"),
        "the replica must be copied again; raise max_slot_wal_keep_size before that",
    );
    let wanted = target.facts.subscriptions.get(&target.names.subscription);
    found.warn(
        !slot.active && status != "lost" && wanted.is_some_and(|found| found.enabled),
        format!("nobody reads slot {name}"),
        "WAL piles up until its cap: see why the subscription does not connect",
    );
}

fn slot_headroom(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let Some((source, _)) = running(primary, replica) else {
        return;
    };
    let slot = source.facts.slots.get(&source.names.slot);
    let left = slot.and_then(|slot| slot.headroom);
    found.at(source).warn(
        left.is_some_and(|bytes| bytes < HEADROOM_MIN_BYTES),
        format!(
            "{} MiB of WAL until slot {} is lost",
            left.unwrap_or(0) / (1024 * 1024),
            source.names.slot
        ),
        "raise max_slot_wal_keep_size, or bring the replica back soon",
    );
}
