//! What Terraform or Tandem would refuse about the files as such.

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{COUNT_MAX, Estate, Missing};
use crate::read::environment::Environment;
use crate::read::{FaultKind, FileFault, Place};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "file-syntax",
        topic: Topic::Files,
        severity: Severity::Error,
        title: "every file can be read",
        why: "Terraform stops at the first fault; what stands after it was never looked at.",
        formula: "each .tf, .tfvars and plan file parses as HCL or JSON",
        source: "HCL native syntax specification; terraform show -json output format",
        remedy: "correct the line named; the rest of the file was still checked",
        check: |estate| {
            of_kind(
                estate,
                FaultKind::Syntax,
                "the file is read",
                "every file parses",
            )
        },
    },
    Rule {
        id: "file-repeated-key",
        topic: Topic::Files,
        severity: Severity::Error,
        title: "no key stands twice",
        why: "Terraform refuses the whole file (\"Attribute redefined\"); appending to terraform.tfvars does this.",
        formula: "count(key) = 1 in each tfvars file",
        source: "HCL: \"Attribute redefined\"",
        remedy: "remove one of the two lines; put later additions into a file of their own, vpn.auto.tfvars, which is read later and wins",
        check: |estate| {
            of_kind(
                estate,
                FaultKind::Repeated,
                "one value",
                "no key stands twice",
            )
        },
    },
    Rule {
        id: "file-not-literal",
        topic: Topic::Files,
        severity: Severity::Error,
        title: "tfvars files hold literals only",
        why: "Terraform refuses function calls and references in tfvars files (\"Function calls not allowed\").",
        formula: "no value of a tfvars file calls a function or refers to anything",
        source: "Terraform: variable definitions files; \"Function calls not allowed\"",
        remedy: "write the value as a map of strings and let the module encode it, or as one JSON string",
        check: |estate| {
            of_kind(
                estate,
                FaultKind::NotLiteral,
                "a literal",
                "all values are literals",
            )
        },
    },
    Rule {
        id: "file-undeclared",
        topic: Topic::Files,
        severity: Severity::Warning,
        title: "every variable that is set is declared",
        why: "Terraform only warns and ignores the value: the setting has no effect.",
        formula: "each key of a tfvars file has a variable block in the same folder",
        source: "Terraform: \"Value for undeclared variable\"",
        remedy: "correct the name, or declare the variable in variables.tf",
        check: |estate| {
            of_kind(
                estate,
                FaultKind::Undeclared,
                "the value has an effect",
                "every key is declared",
            )
        },
    },
    Rule {
        id: "file-kind",
        topic: Topic::Files,
        severity: Severity::Error,
        title: "counts are counts and switches are switches",
        why: "A number out of range or of the wrong kind is refused at apply, after half of the work.",
        formula: "counts are whole numbers from 0 to 1,000,000; switches are true or false",
        source: "system variables of the three environments",
        remedy: "write a whole number, or true or false, without a unit",
        check: kinds,
    },
    Rule {
        id: "config-refused",
        topic: Topic::Files,
        severity: Severity::Error,
        title: "tandem.toml is accepted",
        why: "Every Tandem process refuses to start with a configuration that breaks a relation.",
        formula: "the same parser as the processes use accepts the file",
        source: "docs/reference/config.md",
        remedy: "correct the key named; `tandem config` explains every key",
        check: config_refused,
    },
    Rule {
        id: "suppression-expired",
        topic: Topic::Files,
        severity: Severity::Warning,
        title: "accepted findings are still accepted",
        why: "An acceptance is a loan: after its day the finding counts again and somebody decides anew.",
        formula: "today <= until of each [[suppress]]",
        source: "docs/guides/check-and-cost.md",
        remedy: "remove the entry from tandem-check.toml, or accept again with a new day and a reason",
        check: expired,
    },
];

fn expired(estate: &Estate) -> Outcome {
    let past = estate
        .suppressions
        .iter()
        .filter(|entry| entry.until < estate.today);
    let found = past.map(|entry| {
        let computed = format!(
            "the acceptance of {} ended on {}; today is {}",
            entry.id, entry.until, estate.today
        );
        Found::at(
            Place::new("tandem-check.toml", 0, &entry.id),
            format!("accepted: {}", entry.reason),
            computed,
        )
    });
    judge(
        found.collect(),
        format!(
            "{} finding(s) accepted, none expired",
            estate.suppressions.len()
        ),
    )
}

fn of_kind(estate: &Estate, kind: FaultKind, promised: &str, holds: &str) -> Outcome {
    let faults = estate
        .environments()
        .into_iter()
        .flat_map(|(_, environment)| &environment.faults);
    judge(found(faults, kind, promised), holds)
}

fn found<'a>(
    faults: impl Iterator<Item = &'a FileFault>,
    kind: FaultKind,
    promised: &str,
) -> Vec<Found> {
    let of_kind = faults.filter(|fault| fault.kind == kind);
    of_kind
        .map(|fault| Found::at(fault.place.clone(), promised, fault.problem.clone()))
        .collect()
}

fn config_refused(estate: &Estate) -> Outcome {
    if estate.config_file.is_none() {
        return Err(Missing("tandem.toml".to_owned()));
    }
    judge(
        found(
            estate.config_faults.iter(),
            FaultKind::Config,
            "a configuration that processes accept",
        ),
        "every key and relation is right",
    )
}

const COUNTS: [&[&str]; 3] = [
    &[
        "node_group_desired_capacity",
        "node_group_min_size",
        "node_group_max_size",
        "rds_allocated_storage",
        "rds_backup_retention_period",
        "elasticache_num_cache_clusters",
        "elasticache_snapshot_retention_limit",
    ],
    &[
        "node_pool_disk_size_gb",
        "node_pool_min_count",
        "node_pool_max_count",
        "node_pool_initial_count",
        "cloud_sql_disk_size",
        "memorystore_memory_size_gb",
        "memorystore_replica_count",
    ],
    &[
        "health_check_port",
        "health_check_interval",
        "health_check_timeout",
        "health_check_retries",
        "session_affinity_ttl",
    ],
];

const SWITCHES: [&[&str]; 3] = [
    &[
        "enable_rds",
        "rds_multi_az",
        "rds_storage_encrypted",
        "rds_deletion_protection",
        "rds_skip_final_snapshot",
        "enable_elasticache",
        "elasticache_auth_token_enabled",
        "elasticache_transit_encryption_enabled",
        "elasticache_automatic_failover_enabled",
        "elasticache_multi_az_enabled",
        "enable_vpn",
        "alb_deletion_protection",
    ],
    &[
        "cluster_enable_private_nodes",
        "enable_secret_manager",
        "enable_cloud_sql",
        "cloud_sql_backup_enabled",
        "cloud_sql_point_in_time_recovery_enabled",
        "cloud_sql_deletion_protection",
        "enable_memorystore",
        "memorystore_auth_enabled",
    ],
    &["enable_failover", "proxied"],
];

fn kinds(estate: &Estate) -> Outcome {
    let mut found = Vec::new();
    for (index, (_, environment)) in estate.environments().into_iter().enumerate() {
        let bad_count = |key: &&&str| environment.has(key) && environment.count(key).is_err();
        let bad_switch = |key: &&&str| environment.has(key) && environment.flag(key).is_err();
        found.extend(
            COUNTS[index]
                .iter()
                .filter(bad_count)
                .map(|key| wrong(environment, key, "a whole number", COUNT_MAX)),
        );
        found.extend(
            SWITCHES[index]
                .iter()
                .filter(bad_switch)
                .map(|key| wrong(environment, key, "true or false", COUNT_MAX)),
        );
    }
    judge(found, "every count and switch is one")
}

fn wrong(environment: &Environment, key: &str, promised: &str, max: u64) -> Found {
    let shown = environment
        .text(key)
        .unwrap_or_else(|_| "a list or map".to_owned());
    let shown: String = shown.chars().take(40).collect();
    let computed = format!("`{key}` is `{shown}`, which is not {promised} (counts go to {max})");
    Found::at(environment.place(key), promised, computed)
}
