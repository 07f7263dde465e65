//! How late a lost site is noticed, by the edge and by the agents.

use std::time::Duration;

use tandem_core::slo::{Monitor, seconds};

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "detect-worst-case",
        topic: Topic::Detection,
        severity: Severity::Error,
        title: "the edge notices a lost cloud within the promise",
        why: "Until the monitor flips, half of the requests go to a cloud that does not answer.",
        formula: "worst(silent) = C x interval + (retries + 1) x timeout, C = max(1, consecutive_down); worst(refused) = C x interval",
        source: "Cloudflare Load Balancing monitors: retries are immediate and only on time-outs; simulated with 10^6 probers",
        remedy: "lower health_check_interval, timeout or retries until the sum fits, or state a longer detection time",
        check: worst_case,
    },
    Rule {
        id: "detect-probe-overlap",
        topic: Topic::Detection,
        severity: Severity::Error,
        title: "a probe with its retries ends before the next one starts",
        why: "The API refuses an interval that the retries do not fit in.",
        formula: "interval > (retries + 1) x timeout",
        source: "Cloudflare v4 API: load balancer monitors",
        remedy: "raise health_check_interval, or lower timeout or retries",
        check: overlap,
    },
    Rule {
        id: "detect-plan-minimum",
        topic: Topic::Detection,
        severity: Severity::Error,
        title: "the Cloudflare plan allows the monitor interval",
        why: "The API refuses shorter intervals (\"interval is not in range\").",
        formula: "interval >= minimum of the plan: Free and Pro 60 s, Business 15 s, Enterprise 10 s",
        source: "Cloudflare Load Balancing limits; its pages disagree, the stricter one is taken",
        remedy: "choose a plan that allows it (--assume cloudflare_plan=business) or a longer interval",
        check: plan_minimum,
    },
    Rule {
        id: "detect-check-regions",
        topic: Topic::Detection,
        severity: Severity::Error,
        title: "pools name the regions that probe them",
        why: "Empty means every data centre, which only Enterprise may do; the API refuses it.",
        formula: "check_regions is not empty, unless the plan is Enterprise",
        source: "Cloudflare Terraform provider 4.52: cloudflare_load_balancer_pool.check_regions",
        remedy: "set check_regions = [\"NEAS\"]",
        check: check_regions,
    },
    Rule {
        id: "detect-host-header",
        topic: Topic::Detection,
        severity: Severity::Error,
        title: "the monitor sends the service's Host header",
        why: "Without it no SNI is sent: the probe of a bare address fails with \"TLS unrecognized name\" and the pool is never healthy.",
        formula: "health_check_type = https needs header Host",
        source: "Cloudflare Load Balancing monitors: header; SNI follows the Host header",
        remedy: "set health_check_header = { Host = [\"crm.example.com\"] } with the service's name",
        check: host_header,
    },
    Rule {
        id: "detect-agents",
        topic: Topic::Detection,
        severity: Severity::Error,
        title: "the agents notice a lost site within the promise",
        why: "The verdict of the agents starts the promotion; later than promised, recovery is late too.",
        formula: "failures x probe + timeout <= targets.detect_s",
        source: "docs/reference/config.md: policy.detection",
        remedy: "lower policy.detection.probe_ms or failures",
        check: agents,
    },
];

/// The edge's monitor, in the read model's words.
pub(super) fn monitor(estate: &Estate) -> Result<Monitor, Missing> {
    let edge = &estate.edge;
    let small = |key: &str| {
        edge.count(key)
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    };
    Ok(Monitor {
        interval_ms: edge.count("health_check_interval")? * 1000,
        timeout_ms: edge.count("health_check_timeout")? * 1000,
        retries: small("health_check_retries")?,
        consecutive_down: small("health_check_consecutive_down").unwrap_or(0),
    })
}

/// `1 x 60 + 3 x 5 = 75 s`.
pub(super) fn silent_sum(monitor: &Monitor) -> String {
    let (interval, timeout) = (monitor.interval_ms / 1000, monitor.timeout_ms / 1000);
    let attempts = u64::from(monitor.retries) + 1;
    let worst = seconds(monitor.worst_silent());
    format!(
        "{} x {interval} + {attempts} x {timeout} = {worst}",
        monitor.needed()
    )
}

fn worst_case(estate: &Estate) -> Outcome {
    let monitor = monitor(estate)?;
    let promised = Duration::from_secs(estate.promises.detect_s);
    let (sum, mean) = (silent_sum(&monitor), seconds(monitor.mean_silent()));
    let refused = seconds(monitor.worst_refused());
    if monitor.worst_silent() <= promised {
        return judge(
            Vec::new(),
            format!("worst {sum} <= {} promised", seconds(promised)),
        );
    }
    let computed = format!(
        "a silent cloud is noticed after {sum} at worst ({mean} on average), a refusing one after {refused}"
    );
    let promise = format!(
        "detected within {} ({})",
        seconds(promised),
        estate.promises.source
    );
    let found = Found::at(
        estate.edge.place("health_check_interval"),
        promise,
        computed,
    );
    judge(vec![found.fix(cure(&monitor, promised))], "")
}

/// The longest usual interval that keeps the promise: with the same retries if
/// they fit between two probes, else with one short retry.
fn cure(monitor: &Monitor, promised: Duration) -> String {
    let short = Monitor {
        timeout_ms: 2_000,
        retries: 1,
        ..*monitor
    };
    for candidate in [*monitor, short] {
        for interval_ms in [60_000, 15_000, 10_000] {
            let tried = Monitor {
                interval_ms,
                ..candidate
            };
            if tried.worst_silent() <= promised && interval_ms > tried.probe_ms() {
                return format!(
                    "health_check_interval = {}, timeout = {}, retries = {}: worst {} (60 s is the least of plan Pro, 15 s of Business, 10 s of Enterprise)",
                    interval_ms / 1000,
                    tried.timeout_ms / 1000,
                    tried.retries,
                    silent_sum(&tried)
                );
            }
        }
    }
    "no interval that Cloudflare offers keeps this promise: state a longer detection time"
        .to_owned()
}

fn overlap(estate: &Estate) -> Outcome {
    let monitor = monitor(estate)?;
    let (interval, probe) = (monitor.interval_ms / 1000, monitor.probe_ms() / 1000);
    let sum = format!("interval {interval} s, one probe with its retries {probe} s");
    let found = Found::at(
        estate.edge.place("health_check_interval"),
        "probes do not overlap",
        sum.clone(),
    );
    judge(
        if interval > probe {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}

fn plan_minimum(estate: &Estate) -> Outcome {
    let interval = estate.edge.count("health_check_interval")?;
    let plan = estate.assumed.word("cloudflare_plan");
    let minimum = match plan {
        "enterprise" => 10,
        "business" => 15,
        _ => 60,
    };
    let sum = format!("interval {interval} s, plan {plan} allows {minimum} s");
    let found = Found::at(
        estate.edge.place("health_check_interval"),
        "an interval that the API accepts",
        sum.clone(),
    );
    judge(
        if interval >= minimum {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}

fn check_regions(estate: &Estate) -> Outcome {
    present(estate)?;
    let enterprise = estate.assumed.word("cloudflare_plan") == "enterprise";
    if enterprise || estate.edge.has("check_regions") {
        return judge(Vec::new(), "probing regions are named");
    }
    let computed = "check_regions is not set: every data centre, which is refused below Enterprise";
    judge(
        vec![Found::at(
            estate.edge.place("check_regions"),
            "pools that the API accepts",
            computed,
        )],
        "",
    )
}

fn host_header(estate: &Estate) -> Outcome {
    if estate.edge.text("health_check_type")? != "https" || estate.edge.has("health_check_header") {
        return judge(
            Vec::new(),
            "the Host header is sent, or probes are not https",
        );
    }
    let computed = "an https probe without Host sends no SNI and fails on a bare address";
    judge(
        vec![Found::at(
            estate.edge.place("health_check_header"),
            "healthy pools are seen as healthy",
            computed,
        )],
        "",
    )
}

fn agents(estate: &Estate) -> Outcome {
    let monitor = Monitor::from(estate.config()?.policy.detection);
    let promised = Duration::from_secs(estate.promises.detect_s);
    let sum = format!(
        "{} x {} ms + {} ms = {}",
        monitor.needed(),
        monitor.interval_ms,
        monitor.timeout_ms,
        seconds(monitor.worst_silent())
    );
    let found = Found::at(
        estate.config_place("policy.detection"),
        format!("detected within {}", seconds(promised)),
        sum.clone(),
    );
    judge(
        if monitor.worst_silent() <= promised {
            vec![]
        } else {
            vec![found]
        },
        sum,
    )
}

/// The edge's environment must exist for rules about what it leaves out.
pub(super) fn present(estate: &Estate) -> Result<(), Missing> {
    if estate.edge.present {
        Ok(())
    } else {
        Err(Missing("the global environment".to_owned()))
    }
}
