//! Recovery time, recovery point and the error budget they eat.

use std::time::Duration;

use tandem_core::config::Mode;
use tandem_core::slo::{
    MONTH, Monitor, Pair, Recovery, Share, WHOLE, error_budget, in_series, seconds, takeover_worst,
};

use super::detection;
use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rto-budget",
        topic: Topic::Recovery,
        severity: Severity::Error,
        title: "the steps of a failover fit into the recovery time",
        why: "Each step looks short; the promise is about their sum.",
        formula: "max(edge monitor, agents' detection, ttl + 2 x renew + call, or a person) + promote + pools <= targets.rto_s",
        source: "design: right to write; drills measure the same phases",
        remedy: "mode = \"automatic\" in tandem.toml, a shorter monitor interval, or a longer recovery time",
        check: rto,
    },
    Rule {
        id: "slo-error-budget",
        topic: Topic::Recovery,
        severity: Severity::Error,
        title: "one failover leaves error budget for the rest of the month",
        why: "A recovery time at its limit is downtime; one incident must not spend the month's allowance.",
        formula: "targets.rto_s / ((1 - availability) x 30 days) <= 100 %",
        source: "99.99 % of 30 days allows 259.2 s; 52.56 min a year",
        remedy: "promise a recovery time below the monthly budget, or a lower availability",
        check: budget,
    },
    Rule {
        id: "slo-composite",
        topic: Topic::Recovery,
        severity: Severity::Info,
        title: "two clouds with common causes reach the availability",
        why: "Independence is an assumption; a shared edge, region, release or person is not.",
        formula: "A = 1 - (b u + (1-b) u ((1-c) + c (1-b) u)), u = 1 - 0.9999 x 0.9995 x 0.9995 x 0.999, b common cause, c failover coverage",
        source: "published service-level agreements of load balancer, Kubernetes, database and cache",
        remedy: "prove the coverage with drills (--assume failover_coverage=...), add an edge escape, or promise less",
        check: composite,
    },
    Rule {
        id: "rpo-exposure",
        topic: Topic::Recovery,
        severity: Severity::Error,
        title: "acknowledged work that may be lost is bounded by the recovery point",
        why: "Logical replication is asynchronous; without a bound the loss is whatever the lag is at that moment.",
        formula: "policy.exposure.bound_ms <= targets.rpo_s",
        source: "design: exposure bounded(N), counted from the heartbeat that the peer applied",
        remedy: "run agents and gates with policy.exposure.bound_ms below the recovery point",
        check: rpo,
    },
    Rule {
        id: "rpo-heartbeat",
        topic: Topic::Recovery,
        severity: Severity::Warning,
        title: "heartbeats come at least twice within the exposure bound",
        why: "One late heartbeat would stop acknowledgements although nothing is wrong.",
        formula: "2 x policy.exposure.heartbeat_ms <= policy.exposure.bound_ms",
        source: "design: exposure",
        remedy: "lower policy.exposure.heartbeat_ms",
        check: heartbeat,
    },
];

fn recovery(estate: &Estate) -> Result<Recovery, Missing> {
    let monitor = detection::monitor(estate)?;
    let assumed = |key: &str| Duration::from_secs(estate.assumed.number(key));
    let edge = ("edge monitor", monitor.worst_silent());
    let Ok(config) = estate.config() else {
        let person = ("a person promotes by hand", assumed("manual_promotion_s"));
        return Ok(Recovery::default()
            .then(&[edge, person])
            .then(&[("connection pools", assumed("pools_s"))]));
    };
    let agents = (
        "agents",
        Monitor::from(config.policy.detection).worst_silent(),
    );
    let right = ("right to write", takeover_worst(&config.policy.authority));
    let recovery = match config.policy.mode {
        Mode::Automatic => Recovery::default().then(&[edge, agents, right]),
        Mode::Confirm => Recovery::default()
            .then(&[edge, agents, right])
            .then(&[("a person approves", assumed("approval_s"))]),
        Mode::Observe => Recovery::default().then(&[
            edge,
            ("a person promotes by hand", assumed("manual_promotion_s")),
        ]),
    };
    Ok(recovery
        .then(&[("promote", assumed("promote_s"))])
        .then(&[("connection pools", assumed("pools_s"))]))
}

fn rto(estate: &Estate) -> Outcome {
    let recovery = recovery(estate)?;
    let promised = Duration::from_secs(estate.promises.rto_s);
    if recovery.worst() <= promised {
        return judge(
            Vec::new(),
            format!("{recovery} <= {} promised", seconds(promised)),
        );
    }
    let place = match estate.config() {
        Ok(_) => estate.config_place("policy.mode"),
        Err(_) => estate.edge.place("health_check_interval"),
    };
    let promise = format!(
        "service restored within {} ({})",
        seconds(promised),
        estate.promises.source
    );
    judge(vec![Found::at(place, promise, recovery.to_string())], "")
}

fn budget(estate: &Estate) -> Outcome {
    let budget = error_budget(estate.promises.availability, MONTH);
    let rto = Duration::from_secs(estate.promises.rto_s);
    if budget.is_zero() {
        return Err(Missing("an availability below 100 %".to_owned()));
    }
    let percent = (rto.as_millis() * 100 + budget.as_millis() / 2) / budget.as_millis().max(1);
    let allowance = format!("{} of 30 days", estate.promises.availability);
    let sum = format!(
        "{} / {} = {percent} % of the monthly budget",
        seconds(rto),
        seconds(budget)
    );
    if rto <= budget {
        return judge(Vec::new(), format!("one failover at its limit takes {sum}"));
    }
    let place = estate.config().map_or_else(
        |_| estate.edge.place("health_check_interval"),
        |_| estate.config_place("policy.targets.rto_s"),
    );
    let promise = format!(
        "availability {allowance}, and recovery within {}",
        seconds(rto)
    );
    judge(
        vec![Found::at(
            place,
            promise,
            format!("one failover at its limit takes {sum}"),
        )],
        "",
    )
}

/// Published availability of load balancer, Kubernetes, database and cache, in ppb.
const SLA_CHAIN: [u64; 4] = [999_900_000, 999_500_000, 999_500_000, 999_000_000];

fn composite(estate: &Estate) -> Outcome {
    let single = in_series(&SLA_CHAIN.map(Share::from_ppb));
    let percent = |key: &str| Share::from_ppb(estate.assumed.number(key) * (WHOLE / 100));
    let pair = Pair {
        single,
        common_cause: percent("common_cause"),
        coverage: percent("failover_coverage"),
    };
    let reached = pair.availability();
    let sum = format!(
        "one cloud {single}; two with {} common cause and {} failover coverage {reached}",
        pair.common_cause, pair.coverage
    );
    let promise = format!(
        "{} ({})",
        estate.promises.availability, estate.promises.source
    );
    let place = estate.config().map_or_else(
        |_| estate.edge.place(""),
        |_| estate.config_place("policy.targets.availability_percent"),
    );
    judge(
        if reached >= estate.promises.availability {
            vec![]
        } else {
            vec![Found::at(place, promise, sum.clone())]
        },
        sum,
    )
}

fn rpo(estate: &Estate) -> Outcome {
    let promised = estate.promises.rpo_s;
    let promise = format!(
        "at most {promised} s of acknowledged writes lost ({})",
        estate.promises.source
    );
    let Ok(config) = estate.config() else {
        if !estate.gcp.present {
            return Err(Missing("tandem.toml, or the gcp environment".to_owned()));
        }
        let computed = "asynchronous replication without a bound: the loss is the lag at that moment, minutes under load; nothing measures or enforces it";
        return judge(
            vec![Found::at(
                estate.gcp.place("enable_cloud_sql"),
                promise,
                computed,
            )],
            "",
        );
    };
    let bound = config.policy.exposure.bound();
    let sum = format!(
        "exposure bound {} against {promised} s promised",
        seconds(bound)
    );
    let found = Found::at(
        estate.config_place("policy.exposure.bound_ms"),
        promise,
        sum.clone(),
    );
    judge(
        if bound <= Duration::from_secs(promised) {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}

fn heartbeat(estate: &Estate) -> Outcome {
    let exposure = estate.config()?.policy.exposure;
    let sum = format!(
        "2 x {} ms against a bound of {} ms",
        exposure.heartbeat_ms, exposure.bound_ms
    );
    let found = Found::at(
        estate.config_place("policy.exposure.heartbeat_ms"),
        "two heartbeats within the bound",
        sum.clone(),
    );
    judge(
        if exposure.heartbeat_ms.saturating_mul(2) <= exposure.bound_ms {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}
