//! Who may change what: Terraform or the runtime, and what one phase gives to the next.

use super::detection::present;
use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "terraform-owned-fields",
        topic: Topic::Ownership,
        severity: Severity::Error,
        title: "an apply cannot undo a failover",
        why: "Pool switches, weights and default pools are changed at run time; the next apply writes the files' values back, in the middle of an outage.",
        formula: "ignore_changes on pool.enabled, load_balancer.random_steering, default_pool_ids, fallback_pool_id",
        source: "cloudflare/terraform-provider-cloudflare #7339",
        remedy: "lifecycle { ignore_changes = [enabled] } on pools and [default_pool_ids, fallback_pool_id, random_steering] on the load balancer, and an apply lock",
        check: owned_fields,
    },
    Rule {
        id: "state-place",
        topic: Topic::Ownership,
        severity: Severity::Warning,
        title: "state is shared, locked and outlives either cloud",
        why: "Without a backend the state lies on one laptop; the global part's state in one of the clouds cannot be planned when that cloud is gone.",
        formula: "each environment has a backend; global's is outside of both clouds or copied",
        source: "Terraform backends: s3, gcs",
        remedy: "S3 for aws, GCS for gcp; for global an HTTP or S3-compatible backend outside of both, or a replicated bucket (state_copy = true)",
        check: state,
    },
    Rule {
        id: "outputs-missing",
        topic: Topic::Ownership,
        severity: Severity::Error,
        title: "each phase gives the next one what it needs",
        why: "A value that comes from nowhere is typed by hand or invented.",
        formula: "aws: alb_dns_name, rds_endpoint, redis_primary_endpoint; gcp: network_id, lb_ip, cloud_sql_private_ip, memorystore_host",
        source: "system variables: gcp_lb_ip, gcp_network_id, replication and cache addresses",
        remedy: "declare the outputs named",
        check: outputs,
    },
];

fn owned_fields(estate: &Estate) -> Outcome {
    present(estate)?;
    let edge = &estate.edge;
    let pool = edge.ignores("cloudflare_load_balancer_pool", "enabled");
    let balancer = ["default_pool", "fallback_pool", "random_steering"];
    let ignored = |field: &&str| edge.ignores("cloudflare_load_balancer", field);
    let mut open: Vec<&str> = balancer
        .into_iter()
        .filter(|field| !ignored(field))
        .collect();
    if !pool {
        open.insert(0, "pool enabled");
    }
    if open.is_empty() {
        return judge(Vec::new(), "the runtime's fields are left alone");
    }
    let unseen = if edge.modules_read {
        ""
    } else {
        " (the module's source could not be read)"
    };
    let computed = format!(
        "Terraform writes back {} at every apply{unseen}: an apply during a failover sends traffic to the lost cloud",
        open.join(", ")
    );
    judge(
        vec![Found::at(
            edge.place("aws_origins"),
            "a failover stays until the runtime ends it",
            computed,
        )],
        "",
    )
}

fn state(estate: &Estate) -> Outcome {
    let mut found = Vec::new();
    for (name, environment) in estate
        .environments()
        .into_iter()
        .filter(|(_, environment)| environment.present)
    {
        let place = crate::read::Place::new(&environment.folder, 0, "backend");
        let lost_with = match environment.backend.as_deref() {
            None | Some("local") => {
                let fix = match name {
                    "aws" => "backend \"s3\" with encrypt and use_lockfile",
                    "gcp" => "backend \"gcs\"",
                    _ => "a backend outside of both clouds (http, or S3-compatible)",
                };
                let computed = format!("{name} has no backend: the state lies in this folder");
                found.push(
                    Found::at(place, "state that everybody shares and locks", computed).fix(fix),
                );
                continue;
            }
            Some(_) => match environment.backend_cloud.filter(|_| name == "global") {
                Some(cloud) => cloud,
                None => continue,
            },
        };
        if environment.flag("state_copy") != Ok(true) {
            let computed = format!(
                "the global state lies in {lost_with} and cannot be planned when {lost_with} is gone"
            );
            found.push(Found::at(
                place,
                "the edge can be changed with either cloud gone",
                computed,
            ));
        }
    }
    judge(found, "state is shared and outlives either cloud")
}

const NEEDED: [&[&str]; 2] = [
    &["alb_dns_name", "rds_endpoint", "redis_primary_endpoint"],
    &[
        "network_id",
        "lb_ip",
        "cloud_sql_private_ip",
        "memorystore_host",
    ],
];

fn outputs(estate: &Estate) -> Outcome {
    let mut found = Vec::new();
    let mut known = false;
    for (environment, needed) in [&estate.aws, &estate.gcp].into_iter().zip(NEEDED) {
        if !environment.outputs_file {
            continue;
        }
        known = true;
        let missing: Vec<&str> = needed
            .iter()
            .filter(|name| !environment.outputs.contains(**name))
            .copied()
            .collect();
        if !missing.is_empty() {
            let place = crate::read::Place::new(
                format!("{}/outputs.tf", environment.folder),
                0,
                missing[0],
            );
            let computed = format!(
                "no output {}: the next phase gets it from nowhere",
                missing.join(", ")
            );
            found.push(Found::at(place, "each phase reads what it needs", computed));
        }
    }
    if known {
        judge(found, "every output that a phase needs is declared")
    } else {
        Err(Missing("output declarations".to_owned()))
    }
}
