//! The right to write: lease arithmetic, witness, agents and gates.

use std::collections::BTreeSet;

use tandem_core::slo::{Monitor, renewal_slack, seconds, takeover_worst};

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::Estate;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "lease-relation",
        topic: Topic::Authority,
        severity: Severity::Error,
        title: "two lost calls do not demote a healthy primary",
        why: "If the holder cannot renew in time after a blip, writes stop although nothing is broken.",
        formula: "renew + 2 x call <= ttl x (1 - drift) - cut",
        source: "design: right to write, rule 1; the same inequality as Patroni's loop_wait + 2 x retry_timeout <= ttl",
        remedy: "raise policy.authority.ttl_ms, or lower renew_ms or call_timeout_ms",
        check: lease,
    },
    Rule {
        id: "lease-drift",
        topic: Topic::Authority,
        severity: Severity::Warning,
        title: "the drift allowance covers both clocks",
        why: "Two gates would be open at once if clocks drift more than allowed.",
        formula: "drift >= 20 per mille: the error between two clocks, 1 % each",
        source: "design: starting numbers; a per-clock reading comes out 0.05 s short",
        remedy: "policy.authority.drift_per_mille = 20",
        check: drift,
    },
    Rule {
        id: "lease-detection",
        topic: Topic::Authority,
        severity: Severity::Warning,
        title: "the verdict is ready when the lease has ended",
        why: "Detection runs beside the count; if it is slower, it alone decides the recovery time.",
        formula: "failures x probe + timeout <= ttl + 2 x renew + call",
        source: "design: right to write, rule 2",
        remedy: "probe faster: policy.detection.probe_ms, failures",
        check: detection_order,
    },
    Rule {
        id: "flap-guard",
        topic: Topic::Authority,
        severity: Severity::Warning,
        title: "automatic promotions are rare",
        why: "A flapping link must not move the database back and forth.",
        formula: "block_window_s >= 3600 and per_day <= 2",
        source: "Orchestrator's RecoveryPeriodBlockSeconds; the link that was restored by automated checks and failed again",
        remedy: "policy.promotion.block_window_s = 3600, per_day = 2",
        check: flap,
    },
    Rule {
        id: "witness-missing",
        topic: Topic::Authority,
        severity: Severity::Error,
        title: "a third place votes",
        why: "Two sites cannot decide alone: the survivor cannot tell a dead peer from a cut link, so nothing may be promoted automatically.",
        formula: "three members in three places: site, site, witness",
        source: "Patroni: automatic promotion between two data centres is not possible; CockroachDB: three regions to survive one",
        remedy: "run an etcd member and an agent at a third provider and name them under [witness] in tandem.toml",
        check: witness,
    },
    Rule {
        id: "agents-redundant",
        topic: Topic::Authority,
        severity: Severity::Warning,
        title: "each site has two agents and two gates",
        why: "With one agent an upgrade ends the right to write; with one gate a crash ends every session.",
        formula: "count(agents) >= 2 and count(gates) >= 2 at each site",
        source: "design: a site is not a process",
        remedy: "name a second agent and a second gate for the site",
        check: redundant,
    },
];

fn lease(estate: &Estate) -> Outcome {
    let authority = estate.config()?.policy.authority;
    let calls = authority
        .renew_ms
        .saturating_add(authority.call_timeout_ms.saturating_mul(2));
    let hold = seconds(authority.hold());
    let sum = format!(
        "{} + 2 x {} = {calls} ms against {hold} of holding",
        authority.renew_ms, authority.call_timeout_ms
    );
    let found = Found::at(
        estate.config_place("policy.authority"),
        "a blip costs nothing",
        sum.clone(),
    );
    judge(
        if renewal_slack(&authority).is_some() {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}

fn drift(estate: &Estate) -> Outcome {
    let drift = estate.config()?.policy.authority.drift_per_mille;
    let sum = format!("drift {drift} per mille");
    let found = Found::at(
        estate.config_place("policy.authority.drift_per_mille"),
        "never two writers",
        sum.clone(),
    );
    judge(if drift >= 20 { vec![] } else { vec![found] }, sum)
}

fn detection_order(estate: &Estate) -> Outcome {
    let policy = &estate.config()?.policy;
    let detect = Monitor::from(policy.detection).worst_silent();
    let takeover = takeover_worst(&policy.authority);
    let sum = format!(
        "detection {} against {} until the right is free",
        seconds(detect),
        seconds(takeover)
    );
    let found = Found::at(
        estate.config_place("policy.detection"),
        "detection is not the slowest step",
        sum.clone(),
    );
    judge(
        if detect <= takeover {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}

fn flap(estate: &Estate) -> Outcome {
    let promotion = estate.config()?.policy.promotion;
    let sum = format!(
        "one in {} s, {} a day",
        promotion.block_window_s, promotion.per_day
    );
    let found = Found::at(
        estate.config_place("policy.promotion"),
        "one in 3600 s, 2 a day",
        sum.clone(),
    );
    judge(
        if promotion.block_window_s >= 3600 && promotion.per_day <= 2 {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}

fn witness(estate: &Estate) -> Outcome {
    let promise = "the survivor takes over and never both write";
    let Ok(config) = estate.config() else {
        let computed =
            "no tandem.toml names a witness: with two votes neither site can outvote a cut link";
        return judge(
            vec![Found::at(estate.config_place("witness"), promise, computed)],
            "",
        );
    };
    let mut stores: BTreeSet<&str> = config
        .sites
        .values()
        .map(|site| site.store.as_str())
        .collect();
    stores.insert(&config.witness.store);
    let places = stores.len();
    let mut found = Vec::new();
    if places < config.sites.len() + 1 {
        let computed = format!(
            "{places} different store members for {} places",
            config.sites.len() + 1
        );
        found.push(Found::at(
            estate.config_place("witness.store"),
            promise,
            computed,
        ));
    }
    if config.witness.agents.is_empty() {
        found.push(Found::at(
            estate.config_place("witness.agents"),
            promise,
            "no agent looks from the third place",
        ));
    }
    judge(
        found,
        format!("{places} store members in {places} places, an agent at the witness"),
    )
}

fn redundant(estate: &Estate) -> Outcome {
    let config = estate.config()?;
    let few = config
        .sites
        .iter()
        .filter(|(_, site)| site.agents.len() < 2 || site.gates.len() < 2);
    let found = few.map(|(name, site)| {
        let computed = format!(
            "{} agent(s), {} gate(s)",
            site.agents.len(),
            site.gates.len()
        );
        Found::at(
            estate.config_place(&format!("sites.{name}")),
            "any one process may die",
            computed,
        )
    });
    judge(found.collect(), "two agents and two gates at each site")
}
