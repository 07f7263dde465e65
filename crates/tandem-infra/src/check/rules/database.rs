//! PostgreSQL on both sides, as far as files tell.

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};
use crate::read::Place;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "replication-decoding",
        topic: Topic::Database,
        severity: Severity::Error,
        title: "both databases can publish their changes",
        why: "Without logical decoding there is nothing to replicate, and turning it on restarts the database.",
        formula: "rds.logical_replication = 1 and cloudsql.logical_decoding = on, from the first day",
        source: "RDS for PostgreSQL: logical replication; Cloud SQL: configure logical replication",
        remedy: "rds_parameters = { \"rds.logical_replication\" = \"1\" } (pending-reboot) and cloud_sql_database_flags = { \"cloudsql.logical_decoding\" = \"on\" }",
        check: decoding,
    },
    Rule {
        id: "database-multi-az",
        topic: Topic::Database,
        severity: Severity::Error,
        title: "each database survives the loss of a zone",
        why: "A lost zone must be the provider's own failover, not a failover between clouds.",
        formula: "rds_multi_az = true and cloud_sql_availability_type = REGIONAL",
        source: "RDS Multi-AZ; Cloud SQL high availability",
        remedy: "rds_multi_az = true, cloud_sql_availability_type = \"REGIONAL\"",
        check: multi_az,
    },
    Rule {
        id: "database-backups",
        topic: Topic::Database,
        severity: Severity::Error,
        title: "each database can go back in time",
        why: "Replication copies a wrong DELETE in milliseconds; only a point in time brings rows back.",
        formula: "rds_backup_retention_period > 0, cloud_sql backups and point-in-time recovery on",
        source: "RDS automated backups; Cloud SQL point-in-time recovery",
        remedy: "keep both on, with at least 7 days",
        check: backups,
    },
    Rule {
        id: "backup-domain",
        topic: Topic::Database,
        severity: Severity::Warning,
        title: "a backup lives outside of the account that holds the data",
        why: "An account deleted by mistake, or a burnt building, takes data and backups together.",
        formula: "a copy in another account, region or provider exists",
        source: "OVHcloud 2021: backups in the same building; UniSuper 2024: subscription deleted in both geographies",
        remedy: "aws_db_instance_automated_backups_replication, an AWS Backup copy to another account, or cloud_sql_backup_location elsewhere; state it as backup_copy_account or backup_copy_region",
        check: backup_domain,
    },
    Rule {
        id: "database-protection",
        topic: Topic::Database,
        severity: Severity::Warning,
        title: "databases cannot be deleted by an apply",
        why: "A replaced or destroyed database is the one change that no plan may make.",
        formula: "rds_deletion_protection and cloud_sql_deletion_protection are true",
        source: "aws_db_instance.deletion_protection; google_sql_database_instance.deletion_protection",
        remedy: "set both to true",
        check: protection,
    },
    Rule {
        id: "database-disk-growth",
        topic: Topic::Database,
        severity: Severity::Warning,
        title: "automatic disk growth does not make Terraform replace the database",
        why: "Cloud SQL grows its disk by itself; the next plan wants the old size, which means delete and recreate.",
        formula: "cloud_sql_disk_size fixed needs ignore_changes on disk_size, or disk_autoresize = false",
        source: "hashicorp/terraform-provider-google #18296, #4579",
        remedy: "lifecycle { ignore_changes = [settings[0].disk_size] } with a growth limit, and deletion protection",
        check: disk_growth,
    },
    Rule {
        id: "nat-per-zone",
        topic: Topic::Database,
        severity: Severity::Error,
        title: "each zone has its own NAT gateway",
        why: "With one gateway the loss of its zone cuts the other zone off.",
        formula: "NAT gateways = availability zones",
        source: "Amazon VPC: NAT gateway basics",
        remedy: "single_nat_gateway = false",
        check: nat,
    },
];

fn decoding(estate: &Estate) -> Outcome {
    let mut found = Vec::new();
    let promise = "changes flow from either database to the other";
    if estate.aws.has("rds_engine_version")
        && !on(estate
            .aws
            .entry("rds_parameters", "rds.logical_replication"))
        && !in_parameter_group(estate)
    {
        let computed = "no parameter group sets rds.logical_replication: wal_level stays replica and CREATE SUBSCRIPTION fails";
        let fix = "rds_parameters = { \"rds.logical_replication\" = \"1\" } with apply_method pending-reboot, before the first start";
        found.push(Found::at(estate.aws.place("rds_engine_version"), promise, computed).fix(fix));
    }
    if estate.gcp.has("cloud_sql_tier")
        && !on(estate
            .gcp
            .entry("cloud_sql_database_flags", "cloudsql.logical_decoding"))
        && !in_flags(estate)
    {
        let computed = "flag cloudsql.logical_decoding is not set: Cloud SQL cannot publish after a failover, and turning it on then restarts it";
        let fix = "cloud_sql_database_flags = { \"cloudsql.logical_decoding\" = \"on\" } from the first day";
        found.push(
            Found::at(
                estate.gcp.place("cloud_sql_database_version"),
                promise,
                computed,
            )
            .fix(fix),
        );
    }
    if !estate.aws.present && !estate.gcp.present {
        return Err(Missing("database settings".to_owned()));
    }
    judge(found, "logical decoding is on at both")
}

fn on(value: Option<String>) -> bool {
    value.is_some_and(|value| matches!(value.as_str(), "1" | "on" | "true"))
}

fn in_parameter_group(estate: &Estate) -> bool {
    estate
        .aws
        .resources_of("aws_db_parameter_group")
        .any(|group| {
            let parameters = group
                .values
                .at("parameter")
                .and_then(|found| found.as_list())
                .unwrap_or_default();
            parameters.iter().any(|parameter| {
                parameter
                    .at("name")
                    .and_then(|name| name.as_text())
                    .as_deref()
                    == Some("rds.logical_replication")
                    && on(parameter.at("value").and_then(|value| value.as_text()))
            })
        })
}

fn in_flags(estate: &Estate) -> bool {
    estate
        .gcp
        .resources_of("google_sql_database_instance")
        .any(|instance| {
            let flags = instance
                .values
                .at("settings.0.database_flags")
                .and_then(|found| found.as_list())
                .unwrap_or_default();
            flags.iter().any(|flag| {
                flag.at("name").and_then(|name| name.as_text()).as_deref()
                    == Some("cloudsql.logical_decoding")
            })
        })
}

fn multi_az(estate: &Estate) -> Outcome {
    let (rds, sql) = (
        estate.aws.flag("rds_multi_az"),
        estate.gcp.text("cloud_sql_availability_type"),
    );
    if let (Err(missing), Err(_)) = (&rds, &sql) {
        return Err(missing.clone());
    }
    let mut found = Vec::new();
    let promise = "99.99 %: a lost zone costs a minute";
    if rds == Ok(false) {
        found.push(Found::at(
            estate.aws.place("rds_multi_az"),
            promise,
            "rds_multi_az = false: a lost zone is a lost database",
        ));
    }
    if let Ok(kind) = sql
        && kind != "REGIONAL"
    {
        let computed = format!("{kind}: a lost zone is a lost database");
        found.push(Found::at(
            estate.gcp.place("cloud_sql_availability_type"),
            promise,
            computed,
        ));
    }
    judge(found, "Multi-AZ and REGIONAL")
}

fn backups(estate: &Estate) -> Outcome {
    let retention = estate.aws.count("rds_backup_retention_period");
    let mut found = Vec::new();
    let promise = "any moment of the last days can be restored";
    if retention == Ok(0) {
        found.push(Found::at(
            estate.aws.place("rds_backup_retention_period"),
            promise,
            "retention 0 switches backups off",
        ));
    }
    for key in [
        "cloud_sql_backup_enabled",
        "cloud_sql_point_in_time_recovery_enabled",
    ] {
        if estate.gcp.flag(key) == Ok(false) {
            found.push(Found::at(
                estate.gcp.place(key),
                promise,
                format!("{key} = false"),
            ));
        }
    }
    let days = retention?;
    judge(
        found,
        format!("{days} days at RDS, point-in-time recovery at Cloud SQL"),
    )
}

fn backup_domain(estate: &Estate) -> Outcome {
    if !estate.aws.has("rds_instance_class") {
        return Err(Missing("database settings".to_owned()));
    }
    let stated = ["backup_copy_account", "backup_copy_region"]
        .iter()
        .any(|key| estate.aws.has(key) || estate.gcp.has(key));
    let copied = [
        "aws_db_instance_automated_backups_replication",
        "aws_backup_plan",
    ]
    .iter()
    .any(|kind| estate.aws.resources_of(kind).next().is_some());
    if stated || copied || estate.gcp.has("cloud_sql_backup_location") {
        return judge(Vec::new(), "a copy lives elsewhere");
    }
    let days = estate.aws.count("rds_backup_retention_period").unwrap_or(0);
    let computed = format!(
        "{days} days of backups in the same account and region as the data; nothing copies them elsewhere"
    );
    judge(
        vec![Found::at(
            estate.aws.place("rds_backup_retention_period"),
            "data survives the loss of an account",
            computed,
        )],
        "",
    )
}

fn protection(estate: &Estate) -> Outcome {
    let flags = [
        (&estate.aws, "rds_deletion_protection"),
        (&estate.gcp, "cloud_sql_deletion_protection"),
    ];
    let set: Vec<_> = flags
        .into_iter()
        .filter_map(|(environment, key)| Some((environment, key, environment.flag(key).ok()?)))
        .collect();
    if set.is_empty() {
        return Err(Missing("deletion protection settings".to_owned()));
    }
    let off = set.iter().filter(|(_, _, on)| !on);
    let found = off.map(|(environment, key, _)| {
        Found::at(
            environment.place(key),
            "no apply deletes a database",
            format!("{key} = false"),
        )
    });
    judge(found.collect(), "deletion protection is on")
}

fn disk_growth(estate: &Estate) -> Outcome {
    let size = estate.gcp.count("cloud_sql_disk_size")?;
    let fixed = estate.gcp.flag("cloud_sql_disk_autoresize") == Ok(false);
    if fixed
        || estate
            .gcp
            .ignores("google_sql_database_instance", "disk_size")
        || estate
            .gcp
            .ignores("google_sql_database_instance", "settings")
    {
        return judge(Vec::new(), "growth does not reach the plan");
    }
    let computed = format!(
        "the disk grows beyond {size} GB by itself; nothing makes Terraform ignore it, and its next plan deletes and recreates the database"
    );
    judge(
        vec![Found::at(
            estate.gcp.place("cloud_sql_disk_size"),
            "a database that applies never replace",
            computed,
        )],
        "",
    )
}

fn nat(estate: &Estate) -> Outcome {
    let zones = estate.aws.list("availability_zones")?.len();
    let single = estate.aws.flag("single_nat_gateway").unwrap_or(false);
    let place: Place = estate.aws.place("single_nat_gateway");
    let found = Found::at(
        place,
        "a lost zone takes only itself",
        format!("1 NAT gateway for {zones} zones"),
    );
    judge(
        if single && zones > 1 {
            vec![found]
        } else {
            vec![]
        },
        format!("{zones} zones, one gateway each"),
    )
}
