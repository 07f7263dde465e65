//! The preconditions: everything that would break later, told before anything is done.
//!
//! Pure: two sets of facts in, all findings out, each with its remedy. The doctor's checks of
//! fitness, and what only setup must ask: is anything in its way?

use tandem_core::config::Config;

use super::{Options, Pair};
use crate::doctor::{
    APPLICATION_EXISTS, Case, Check, FITNESS, Finding, Findings, Look, Server, judge,
};
use crate::facts::Facts;

/// What setup asks on top of the doctor.
const OWN: &[Check] = &[
    Check {
        id: "setup-administrator",
        title: "the administrator may do every step",
        look: Look::Each(administrator),
    },
    Check {
        id: "setup-primary",
        title: "the first primary is one",
        look: Look::Both(source),
    },
    Check {
        id: "setup-replica",
        title: "nothing stands in the copy's way",
        look: Look::Both(target),
    },
];

/// Refusals stop setup; warnings do not.
pub(super) fn check(
    config: &Config,
    pair: &Pair,
    options: &Options,
    primary: &Facts,
    replica: &Facts,
) -> Vec<Finding> {
    let server = |names, facts| {
        Some(Server {
            config,
            names,
            facts,
        })
    };
    let case = Case {
        config,
        primary: server(&pair.primary, primary),
        replica: server(&pair.replica, replica),
    };
    // Setup makes the application's role itself where it knows a password.
    let makes_role = options.application_password_file.is_some();
    let asked = FITNESS
        .iter()
        .filter(|check| !(makes_role && check.id == APPLICATION_EXISTS));
    let found = asked.chain(OWN).filter_map(|check| judge(check, &case));
    found.flatten().collect()
}

fn administrator(server: Server<'_>, found: &mut Findings) {
    found.warn(
        !server.facts.superuser,
        "the administrator is no superuser",
        "if a step is refused, grant it what the message names; stock PostgreSQL 15 lets only superusers subscribe",
    );
    found.refuse(
        server.facts.hidden_objects,
        format!("role {} may not read schema tandem_local", server.facts.reader),
        "run setup as the administrator who ran it first: whether this site was promoted stands there",
    );
}

fn source(primary: Server<'_>, _replica: Server<'_>, found: &mut Findings) {
    let found = found.at(primary);
    for schema in &primary.config.database.schemas {
        found.refuse(
            !primary.facts.schemas.contains(schema),
            format!("schema {schema} does not exist"),
            "create it, or take it out of database.schemas",
        );
    }
    let subscription = &primary.names.subscription;
    found.refuse(
        primary.facts.subscriptions.contains_key(subscription),
        format!("subscription {subscription} already feeds the first primary"),
        "replication runs the other way since a promotion; setup is for the first direction",
    );
    found.warn(
        primary.facts.published_tables().next().is_none(),
        "there is no table to replicate yet",
        "run setup again when the tables exist",
    );
}

fn target(primary: Server<'_>, replica: Server<'_>, found: &mut Findings) {
    let found = found.at(replica);
    found.refuse(
        !replica.facts.promotions.is_empty(),
        format!(
            "this site was prepared for writes in epoch {:?}",
            replica.facts.promotions
        ),
        "setup would lose what it wrote since; bring the other site back instead",
    );
    let slot = &primary.names.slot;
    let slot_exists = primary.facts.slots.contains_key(slot);
    let Some(subscription) = replica.facts.subscriptions.get(&replica.names.subscription) else {
        found.refuse(
            slot_exists,
            format!(
                "slot {slot} exists at {} without a subscription here",
                primary.names.site
            ),
            "it may be all that is left of lost writes; drop it only if replication never ran",
        );
        for table in &replica.facts.filled {
            found.refuse(
                true,
                format!("table {table} already holds rows"),
                "empty it: the first copy would meet its own rows",
            );
        }
        return;
    };
    found.refuse(
        !slot_exists || subscription.slot.as_ref() != Some(slot),
        format!(
            "the subscription reads slot {:?}, not {slot}",
            subscription.slot
        ),
        "its slot is gone; drop the subscription, empty the tables and run setup again",
    );
    found.refuse(
        !subscription.enabled,
        "the subscription is disabled",
        "find out who stopped it; then enable it and run setup again",
    );
}
