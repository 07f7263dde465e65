//! What an uninstall will do: a pure function from what is left to steps.
//!
//! The order is the safety: guards first, since a guard whose lease ends stops every write; then
//! receivers before the slots they read; schemas after what is published from them; roles last.
//!
//! Invariant: planned from what is there, so a run that was killed is finished by the next one.

use postgres_protocol::escape::escape_identifier as ident;
use tandem_core::config::Config;
use tandem_core::model::SiteId;

use super::remains::Remains;
use crate::error::Error;
use crate::guards;
use crate::names::Names;
use crate::setup::{Pair, script};
use crate::steps::{Action, Step, Way};

/// One server with its names.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) names: &'a Names,
    pub(super) found: &'a Remains,
}

/// Both servers.
pub(super) struct Case<'a> {
    pub(super) config: &'a Config,
    pub(super) sides: [Side<'a>; 2],
    /// Plain replication stays.
    pub(super) keep: bool,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        config: &'a Config,
        pair: &'a Pair,
        keep: bool,
        primary: &'a Remains,
        replica: &'a Remains,
    ) -> Self {
        let sides = [(&pair.primary, primary), (&pair.replica, replica)];
        let sides = sides.map(|(names, found)| Side { names, found });
        Self {
            config,
            sides,
            keep,
        }
    }

    /// The server that receives, if exactly one does.
    pub(super) fn receiver(&self) -> Option<Side<'a>> {
        let receives = |side: &&Side<'_>| {
            let fed = side.found.subscriptions.get(&side.names.subscription);
            fed.is_some_and(|found| found.enabled)
        };
        let mut receivers = self.sides.iter().filter(receives);
        match (receivers.next(), receivers.next()) {
            (Some(one), None) => Some(*one),
            _ => None,
        }
    }

    /// The receiver whose subscription stays.
    fn kept(&self) -> Option<Side<'a>> {
        self.receiver().filter(|_| self.keep)
    }

    fn other(&self, site: SiteId) -> Side<'a> {
        let [one, two] = self.sides;
        if one.names.site == site { two } else { one }
    }
}

/// Guards off, one table at a time.
pub(super) fn guards(case: &Case<'_>) -> Vec<Step> {
    let sides = case.sides.iter();
    sides
        .flat_map(|side| {
            let tables = side.found.guards.iter();
            tables.map(|table| guards::remove(side.names.site, table))
        })
        .collect()
}

/// Everything after the last guard.
pub(super) fn rest(case: &Case<'_>) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    if let Some(receiver) = case.kept() {
        steps.extend(keep(case, receiver)?);
    }
    let phases = [subscription, slot, publication, schemas, roles];
    for phase in phases {
        for side in &case.sides {
            steps.extend(phase(case, *side));
        }
    }
    Ok(steps)
}

/// Replication without the relays and without the heartbeat. What was sent before the heartbeat
/// left the publication is still decoded with it, so its table stays until that has arrived.
fn keep(case: &Case<'_>, receiver: Side<'_>) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let (names, source) = (receiver.names, case.other(receiver.names.site));
    let config = case.config;
    let [wanted, shown] = [script::Secret::Read, script::Secret::Hidden]
        .map(|secret| script::conninfo_by(config, names, Way::Straight, secret));
    let (wanted, shown) = (wanted?, shown?);
    let known = receiver.found.conninfo.as_ref();
    if known.map_or(!receiver.found.schemas.is_empty(), |found| *found != wanted) {
        let what = format!("connect {} straight to {}", names.subscription, names.other);
        let sql = script::reconnect(names, &shown);
        steps.push(Step::new(
            names.site,
            what,
            sql,
            Action::Connect(Way::Straight),
        ));
    }
    let publication = &source.names.publication;
    if source.found.publications.get(publication) == Some(&true) {
        let what = format!("take the heartbeat out of {publication}");
        let sql = format!(
            "ALTER PUBLICATION {} DROP TABLE tandem.heartbeat",
            ident(publication)
        );
        steps.push(Step::sql(source.names.site, what, sql));
    }
    let fed = receiver.found.subscriptions.get(&names.subscription);
    if fed.is_some_and(|found| found.heartbeat) {
        let what = format!("wait until {} has applied all that was written", names.site);
        let sql = "SELECT confirmed_flush_lsn >= '<now>' FROM pg_replication_slots";
        let step = Step::new(source.names.site, what, sql, Action::CatchUp);
        steps.push(step.lasting("as long as the replica lags; nothing is locked"));
        let what = format!("let {} forget the heartbeat", names.subscription);
        steps.push(Step::sql(names.site, what, script::refresh(names)));
    }
    Ok(steps)
}

fn subscription(case: &Case<'_>, side: Side<'_>) -> Vec<Step> {
    let (site, name) = (side.names.site, &side.names.subscription);
    let kept = case.kept().is_some_and(|kept| kept.names.site == site);
    let Some(found) = side.found.subscriptions.get(name).filter(|_| !kept) else {
        return Vec::new();
    };
    let quoted = ident(name);
    let mut steps = Vec::new();
    if found.enabled {
        let sql = format!("ALTER SUBSCRIPTION {quoted} DISABLE");
        steps.push(Step::sql(site, format!("stop subscription {name}"), sql));
    }
    if found.slot.is_some() {
        let sql = format!("ALTER SUBSCRIPTION {quoted} SET (slot_name = NONE)");
        steps.push(Step::sql(site, format!("part {name} from its slot"), sql));
    }
    let sql = format!("DROP SUBSCRIPTION IF EXISTS {quoted}");
    steps.push(Step::sql(site, format!("drop subscription {name}"), sql));
    steps
}

/// The slot that the other site reads here.
fn slot(case: &Case<'_>, side: Side<'_>) -> Vec<Step> {
    let (site, slot) = (side.names.site, &side.names.slot);
    let kept = case.kept().is_some_and(|kept| kept.names.other == site);
    if kept || !side.found.slots.contains(slot) {
        return Vec::new();
    }
    let what = format!("drop slot {slot}, once nobody reads it");
    let sql = format!("SELECT pg_drop_replication_slot('{slot}')");
    let step = Step::new(site, what, sql, Action::DropSlot(slot.clone()));
    vec![step.lasting("milliseconds, once its reader has gone (20 s at most)")]
}

fn publication(case: &Case<'_>, side: Side<'_>) -> Vec<Step> {
    let (site, name) = (side.names.site, &side.names.publication);
    let kept = case.kept().is_some_and(|kept| kept.names.other == site);
    if kept || !side.found.publications.contains_key(name) {
        return Vec::new();
    }
    let sql = format!("DROP PUBLICATION IF EXISTS {}", ident(name));
    vec![Step::sql(site, format!("drop publication {name}"), sql)]
}

/// CASCADE reaches nothing outside: that nothing outside needs them was a precondition.
fn schemas(_: &Case<'_>, side: Side<'_>) -> Vec<Step> {
    let names = side.found.schemas.iter();
    names
        .map(|name| {
            let sql = format!(
                "SET LOCAL client_min_messages = warning; DROP SCHEMA IF EXISTS {name} CASCADE"
            );
            Step::sql(side.names.site, format!("drop schema {name}"), sql)
        })
        .collect()
}

/// Rights and roles; the replication role stays with its subscription.
fn roles(case: &Case<'_>, side: Side<'_>) -> Vec<Step> {
    let site = side.names.site;
    let mut steps = Vec::new();
    for name in gone(case) {
        let Some(role) = side.found.roles.get(name) else {
            continue;
        };
        if role.rights {
            let what = format!("revoke the rights of {name} and its default privileges");
            steps.push(Step::sql(site, what, script::revokes(case.config, name)));
        }
        if role.made {
            let sql = format!("DROP ROLE IF EXISTS {}", ident(name));
            let action = Action::DropRole(name.to_owned());
            steps.push(Step::new(site, format!("drop role {name}"), sql, action));
        }
    }
    steps
}

/// The roles that go.
fn gone<'a>(case: &Case<'a>) -> Vec<&'a str> {
    let database = &case.config.database;
    let mut gone = vec![database.agent_role.as_str()];
    if !case.keep {
        gone.push(&database.replication_role);
    }
    gone
}

/// What the plan leaves on purpose, and what it could not drop if it was carried out; a sentence each.
pub(super) fn left(case: &Case<'_>, carried_out: bool) -> Vec<String> {
    let mut said = Vec::new();
    for side in &case.sides {
        for name in gone(case) {
            let why = match side.found.roles.get(name) {
                None => continue,
                Some(role) if role.made && !carried_out => continue,
                Some(role) if role.made => "something else still needs it; `DROP ROLE` names what",
                Some(_) => "it was there before `tandem replication setup`",
            };
            said.push(format!("{}: role {name} stays: {why}", side.names.site));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uninstall::remains::{Role, Subscription};

    fn config() -> Config {
        Config::parse(include_str!("../../../../docs/examples/tandem.toml")).expect("the example")
    }

    fn whole(names: &Names, receives: bool) -> Remains {
        let subscription = Subscription {
            enabled: true,
            slot: Some(names.source_slot.clone()),
            heartbeat: true,
        };
        let role = Role {
            made: true,
            rights: true,
        };
        Remains {
            schemas: vec!["tandem_local".into(), "tandem".into()],
            guards: vec!["public.contact".into()],
            subscriptions: receives
                .then(|| (names.subscription.clone(), subscription))
                .into_iter()
                .collect(),
            slots: (!receives)
                .then(|| names.slot.clone())
                .into_iter()
                .collect(),
            publications: (!receives)
                .then(|| (names.publication.clone(), true))
                .into_iter()
                .collect(),
            roles: [("tandem_agent".into(), role), ("tandem_repl".into(), role)].into(),
            ..Remains::default()
        }
    }

    fn said(steps: &[Step]) -> Vec<String> {
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn guards_go_first_and_roles_last() {
        let config = config();
        let pair = Pair::of(&config).expect("two sites");
        let (aws, gcp) = (whole(&pair.primary, false), whole(&pair.replica, true));
        let case = Case::new(&config, &pair, false, &aws, &gcp);
        assert_eq!(
            said(&guards(&case)),
            [
                "aws: take the guard off table public.contact",
                "gcp: take the guard off table public.contact"
            ]
        );
        assert_eq!(
            said(&rest(&case).expect("a plan")),
            [
                "gcp: stop subscription crm_subscription",
                "gcp: part crm_subscription from its slot",
                "gcp: drop subscription crm_subscription",
                "aws: drop slot crm_slot, once nobody reads it",
                "aws: drop publication crm_replication",
                "aws: drop schema tandem_local",
                "aws: drop schema tandem",
                "gcp: drop schema tandem_local",
                "gcp: drop schema tandem",
                "aws: revoke the rights of tandem_agent and its default privileges",
                "aws: drop role tandem_agent",
                "aws: revoke the rights of tandem_repl and its default privileges",
                "aws: drop role tandem_repl",
                "gcp: revoke the rights of tandem_agent and its default privileges",
                "gcp: drop role tandem_agent",
                "gcp: revoke the rights of tandem_repl and its default privileges",
                "gcp: drop role tandem_repl",
            ]
        );
    }

    #[test]
    fn nothing_left_means_nothing_to_do_and_a_role_that_was_there_stays() {
        let config = config();
        let pair = Pair::of(&config).expect("two sites");
        let (mut aws, gcp) = (Remains::default(), Remains::default());
        aws.roles.insert("tandem_agent".into(), Role::default());
        let case = Case::new(&config, &pair, false, &aws, &gcp);
        assert!(guards(&case).is_empty() && rest(&case).expect("a plan").is_empty());
        assert_eq!(
            left(&case, false),
            ["aws: role tandem_agent stays: it was there before `tandem replication setup`"]
        );
    }

    #[test]
    fn only_one_receiver_can_be_kept() {
        let config = config();
        let pair = Pair::of(&config).expect("two sites");
        let (feeds, fed) = (whole(&pair.primary, false), whole(&pair.replica, true));
        let back = whole(&pair.primary, true);
        let site = |aws: &Remains, gcp: &Remains| {
            let case = Case::new(&config, &pair, true, aws, gcp);
            case.receiver().map(|side| side.names.site.to_string())
        };
        assert_eq!(site(&feeds, &fed).as_deref(), Some("gcp"));
        assert_eq!(site(&back, &Remains::default()).as_deref(), Some("aws"));
        assert_eq!(site(&back, &fed), None);
        assert_eq!(site(&feeds, &Remains::default()), None);
    }
}
