//! How requests are split, and how they move when a cloud is lost.

use super::detection::present;
use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::Estate;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "traffic-split",
        topic: Topic::Traffic,
        severity: Severity::Error,
        title: "the steering policy gives the promised split",
        why: "dynamic_latency sends a whole region to the fastest pool: with two pools in one city it is all or nothing.",
        formula: "50:50 needs steering_policy = random with pool weights",
        source: "Cloudflare Load Balancing: traffic steering policies",
        remedy: "steering_policy = \"random\" with pool_weights = { aws = 0.5, gcp = 0.5 }",
        check: split,
    },
    Rule {
        id: "traffic-plan",
        topic: Topic::Traffic,
        severity: Severity::Warning,
        title: "the Cloudflare plan includes the steering policy",
        why: "Below Enterprise, anything but off and random needs the traffic steering add-on, and dynamic_latency all probing regions and about ten minutes to warm up.",
        formula: "steering_policy in {off, random}, or add-on, or Enterprise",
        source: "Cloudflare Load Balancing: plans and add-ons",
        remedy: "steering_policy = \"random\", or book the add-on",
        check: plan,
    },
    Rule {
        id: "traffic-weights",
        topic: Topic::Traffic,
        severity: Severity::Warning,
        title: "pool weights say the split, not origin weights",
        why: "An origin's weight acts inside its own pool; with one origin a pool it does nothing.",
        formula: "pool_weights is set when each pool has one origin",
        source: "Cloudflare v4: random_steering.pool_weights; origins[].weight",
        remedy: "pool_weights = { aws = 0.5, gcp = 0.5 }",
        check: weights,
    },
    Rule {
        id: "traffic-failover",
        topic: Topic::Traffic,
        severity: Severity::Warning,
        title: "a failed request is retried in the other cloud",
        why: "Zero-downtime failover only looks inside the pool; with one origin a pool it never fires and users see the gap until the monitor flips.",
        formula: "one origin a pool needs failover_across_pools = true",
        source: "Cloudflare v4: adaptive_routing.failover_across_pools",
        remedy: "failover_across_pools = true, and the primary's pool as fallback pool",
        check: failover,
    },
    Rule {
        id: "traffic-affinity",
        topic: Topic::Traffic,
        severity: Severity::Info,
        title: "users come back within the affinity's lifetime",
        why: "With cookies a recovered cloud gets its users back only as they expire; plan failback with that in mind.",
        formula: "return time <= session_affinity_ttl",
        source: "Cloudflare Load Balancing: session affinity, 1800 to 604800 s",
        remedy: "shorten session_affinity_ttl before a planned failback",
        check: affinity,
    },
    Rule {
        id: "traffic-notification",
        topic: Topic::Traffic,
        severity: Severity::Warning,
        title: "health changes reach a person",
        why: "notification_email on a pool is deprecated; new values are not accepted.",
        formula: "a notification policy load_balancing_health_alert, no notification_email",
        source: "Cloudflare v4: pools; notification policies",
        remedy: "drop notification_email from the module call and declare cloudflare_notification_policy",
        check: notification,
    },
    Rule {
        id: "traffic-name",
        topic: Topic::Traffic,
        severity: Severity::Warning,
        title: "the load balancer's name is clear",
        why: "`@` means the zone's apex, which is not the service's name if domain_name is a sub-domain.",
        formula: "dns_record_name = @ only when domain_name is the zone itself",
        source: "Cloudflare: a load balancer's name wins over a DNS record of the same name",
        remedy: "name the host: dns_record_name = \"crm\" with domain_name = the zone",
        check: name,
    },
    Rule {
        id: "edge-provider-version",
        topic: Topic::Traffic,
        severity: Severity::Warning,
        title: "the Cloudflare provider is pinned to the last 4.x",
        why: "~> 4.0 admits any 4.x; fields used here exist since late 4.x, and 5.x renames everything.",
        formula: "constraint ~> 4.52",
        source: "Cloudflare Terraform provider: version 5 upgrade guide",
        remedy: "version = \"~> 4.52\"",
        check: provider,
    },
];

fn split(estate: &Estate) -> Outcome {
    let policy = estate.edge.text("steering_policy")?;
    if policy == "random" {
        return judge(Vec::new(), "random steering gives the weights' split");
    }
    let computed = format!(
        "steering_policy = {policy}: the fastest pool takes all of a region, 100:0 between two clouds in one city"
    );
    judge(
        vec![Found::at(
            estate.edge.place("steering_policy"),
            "50 % of the traffic to each cloud",
            computed,
        )],
        "",
    )
}

fn plan(estate: &Estate) -> Outcome {
    let policy = estate.edge.text("steering_policy")?;
    let plan = estate.assumed.word("cloudflare_plan");
    if matches!(policy.as_str(), "random" | "off" | "") || plan == "enterprise" {
        return judge(Vec::new(), format!("{policy} is in plan {plan}"));
    }
    let computed = format!(
        "{policy} is not in plan {plan}: 10 USD a month for the add-on, ten minutes to warm up"
    );
    judge(
        vec![Found::at(
            estate.edge.place("steering_policy"),
            "a steering policy that the plan includes",
            computed,
        )],
        "",
    )
}

fn single_origins(estate: &Estate) -> bool {
    let origins = |key: &str| {
        estate
            .edge
            .setting(key)
            .ok()
            .and_then(|found| found.value.as_list().map(<[_]>::len))
    };
    origins("aws_origins").unwrap_or(1) <= 1 && origins("gcp_origins").unwrap_or(1) <= 1
}

fn weights(estate: &Estate) -> Outcome {
    present(estate)?;
    if estate.edge.has("pool_weights") || !single_origins(estate) {
        return judge(Vec::new(), "pool weights are set");
    }
    let computed =
        "each pool has one origin: its weight acts inside its pool only, and no pool weight is set";
    judge(
        vec![Found::at(
            estate.edge.place("aws_origins"),
            "50 % of the traffic to each cloud",
            computed,
        )],
        "",
    )
}

fn failover(estate: &Estate) -> Outcome {
    present(estate)?;
    if estate.edge.flag("failover_across_pools").unwrap_or(false) || !single_origins(estate) {
        return judge(Vec::new(), "failed requests are retried across pools");
    }
    let computed = "one origin a pool and failover_across_pools unset: no request is ever retried in the other cloud; enable_failover and primary_cloud name no Cloudflare setting";
    judge(
        vec![Found::at(
            estate.edge.place("enable_failover"),
            "traffic fails over automatically",
            computed,
        )],
        "",
    )
}

fn affinity(estate: &Estate) -> Outcome {
    let affinity = estate.edge.text("session_affinity")?;
    let ttl = estate.edge.count("session_affinity_ttl")?;
    if !matches!(affinity.as_str(), "cookie" | "ip_cookie") {
        return judge(Vec::new(), "no cookies pin users");
    }
    let computed = format!("a recovered cloud gets its users back over {ttl} s");
    judge(
        vec![Found::at(
            estate.edge.place("session_affinity_ttl"),
            "50:50 again after recovery",
            computed,
        )],
        "",
    )
}

fn notification(estate: &Estate) -> Outcome {
    present(estate)?;
    let policy = estate
        .edge
        .resources
        .iter()
        .any(|resource| resource.kind == "cloudflare_notification_policy");
    if !estate.edge.has("notification_email") || policy {
        return judge(Vec::new(), "a notification policy, or no e-mail on pools");
    }
    let computed = "notification_email goes to the pools, where it is deprecated; no notification policy is declared";
    judge(
        vec![Found::at(
            estate.edge.place("notification_email"),
            "an e-mail when a pool's health changes",
            computed,
        )],
        "",
    )
}

fn name(estate: &Estate) -> Outcome {
    let (record, domain) = (
        estate.edge.text("dns_record_name")?,
        estate.edge.text("domain_name")?,
    );
    let clear = record != "@" || domain.matches('.').count() < 2;
    let computed =
        format!("dns_record_name = {record} beside domain_name = {domain}: the apex or {domain}?");
    judge(
        if clear {
            vec![]
        } else {
            vec![Found::at(
                estate.edge.place("dns_record_name"),
                "one name for the service",
                computed,
            )]
        },
        format!("{record} in {domain}"),
    )
}

fn provider(estate: &Estate) -> Outcome {
    present(estate)?;
    let Some(setting) = estate.edge.providers.get("cloudflare") else {
        return Err(crate::estate::Missing(
            "required_providers.cloudflare".to_owned(),
        ));
    };
    let version = setting.value.as_text().unwrap_or_default();
    let loose = version.trim() == "~> 4.0" || version.trim().starts_with(">=");
    let found = Found::at(
        setting.place.clone(),
        "the same provider tomorrow",
        format!("`{version}` admits versions that lack or rename the fields used"),
    );
    judge(if loose { vec![found] } else { vec![] }, version)
}
