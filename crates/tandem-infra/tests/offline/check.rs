//! The guide's own files break what they are known to break; a corrected
//! installation is silent; every rule of the guide's list can be cured.

use std::collections::BTreeSet;

use tandem_infra::check::suppress::Settings;
use tandem_infra::check::{self, Finding, Report, Said, Severity, render};

use crate::support::{Copy, fixture, read, today};

const AWS: &str = "environments/aws/dr/terraform.tfvars";
const GCP: &str = "environments/gcp/dr/terraform.tfvars";
const EDGE: &str = "environments/global/cloudflare-lb/main.tf";

/// Every known contradiction of the guide: rule, file, line's key, words of the finding.
const KNOWN: &[(&str, &str, &str, &str)] = &[
    (
        "file-repeated-key",
        AWS,
        "enable_vpn",
        "line 48 and again in line 79",
    ),
    (
        "file-not-literal",
        GCP,
        "secret_manager_secret_data",
        "jsonencode()",
    ),
    (
        "detect-worst-case",
        EDGE,
        "health_check_interval",
        "1 x 60 + 3 x 5 = 75 s at worst (45 s on average), a refusing one after 60 s",
    ),
    (
        "detect-check-regions",
        "",
        "check_regions",
        "every data centre",
    ),
    (
        "detect-host-header",
        "",
        "health_check_header",
        "sends no SNI",
    ),
    (
        "rto-budget",
        EDGE,
        "health_check_interval",
        "a person promotes by hand 1800 s",
    ),
    (
        "slo-error-budget",
        EDGE,
        "health_check_interval",
        "300 s / 259.2 s = 116 %",
    ),
    ("rpo-exposure", GCP, "enable_cloud_sql", "without a bound"),
    ("witness-missing", "tandem.toml", "witness", "two votes"),
    (
        "traffic-split",
        EDGE,
        "steering_policy",
        "dynamic_latency: the fastest pool takes all",
    ),
    ("traffic-plan", EDGE, "steering_policy", "not in plan pro"),
    (
        "traffic-weights",
        EDGE,
        "aws_origins",
        "inside its pool only",
    ),
    (
        "traffic-failover",
        EDGE,
        "enable_failover",
        "no request is ever retried in the other cloud",
    ),
    (
        "traffic-notification",
        "environments/global/cloudflare-lb/terraform.tfvars",
        "notification_email",
        "deprecated",
    ),
    (
        "traffic-name",
        EDGE,
        "dns_record_name",
        "@ beside domain_name = crm.example.com",
    ),
    ("edge-provider-version", EDGE, "cloudflare", "~> 4.0"),
    (
        "write-path",
        GCP,
        "cloud_sql_instance_name",
        "read-only subscriber",
    ),
    ("write-path-url", AWS, "app_env", "localhost"),
    (
        "application-role",
        AWS,
        "app_env",
        "crmadmin, the master user",
    ),
    (
        "capacity-cpu",
        AWS,
        "node_group_instance_types",
        "8 sustained vCPU (5 x t3.xlarge, 4 vCPU x 40 % each) and needs 50 % x (8 + 80) = 44",
    ),
    (
        "capacity-memory",
        AWS,
        "node_group_instance_types",
        "80 GiB of node memory (5 x t3.xlarge) and needs 50 % x (80 + 320) = 200",
    ),
    (
        "capacity-node-maximum",
        AWS,
        "node_group_max_size",
        "maximum of 10 nodes sustains 16 vCPU and needs 44",
    ),
    (
        "capacity-database",
        AWS,
        "rds_instance_class",
        "0.6 sustained database vCPU",
    ),
    (
        "capacity-database",
        AWS,
        "rds_instance_class",
        "8 GiB of database memory",
    ),
    (
        "capacity-connections",
        GCP,
        "cloud_sql_tier",
        "500 connections",
    ),
    (
        "capacity-cache",
        AWS,
        "elasticache_node_type",
        "x 0.75 = 2.3 GiB against 10 GiB",
    ),
    (
        "burstable-nodes",
        AWS,
        "node_group_instance_types",
        "t3.xlarge sustains 40 %",
    ),
    (
        "burstable-nodes",
        AWS,
        "rds_instance_class",
        "db.t3.large sustains 30 %",
    ),
    (
        "burstable-nodes",
        AWS,
        "elasticache_node_type",
        "cache.t3.medium",
    ),
    (
        "version-eks",
        AWS,
        "cluster_version",
        "extended until 2026-03-23; today is 2026-11-22: it can no longer be chosen",
    ),
    (
        "version-rds",
        AWS,
        "rds_engine_version",
        "15.4 is at or below 15.12",
    ),
    (
        "vpn-far-ranges",
        AWS,
        "gcp_vpc_cidr",
        "subnet_secondary_pods_cidr 10.21.0.0/16",
    ),
    (
        "vpn-keys",
        AWS,
        "vpn_tunnel1_preshared_key",
        "2 key(s) for 2 connections x 2 tunnels = 4 tunnels",
    ),
    (
        "vpn-key-form",
        AWS,
        "vpn_tunnel1_preshared_key",
        "AWS refuses vpn_tunnel1_preshared_key: it holds `=`",
    ),
    (
        "vpn-key-form",
        AWS,
        "vpn_tunnel2_preshared_key",
        "AWS refuses vpn_tunnel2_preshared_key: it holds `=`",
    ),
    ("secret-in-file", AWS, "app_env", "rds_master_password"),
    (
        "secret-in-file",
        GCP,
        "cloud_sql_user_password",
        "secret_manager_secret_data",
    ),
    (
        "secret-in-file",
        "environments/global/cloudflare-lb/terraform.tfvars",
        "cloudflare_api_token",
        "1 secret(s)",
    ),
    (
        "secret-cloud-keys",
        AWS,
        "app_env",
        "AWS_ACCESS_KEY and AWS_SECRET_KEY",
    ),
    (
        "elasticache-token-form",
        AWS,
        "elasticache_auth_token",
        "it holds `_`",
    ),
    (
        "memorystore-read-replicas",
        GCP,
        "memorystore_replica_count",
        "mode unset",
    ),
    (
        "cache-cluster-settings",
        AWS,
        "app_env",
        "REDIS_MAX_REDIRECTS = 5",
    ),
    (
        "replication-decoding",
        AWS,
        "rds_engine_version",
        "rds.logical_replication",
    ),
    (
        "replication-decoding",
        GCP,
        "cloud_sql_database_version",
        "cloudsql.logical_decoding",
    ),
    (
        "backup-domain",
        AWS,
        "rds_backup_retention_period",
        "same account and region",
    ),
    (
        "database-disk-growth",
        GCP,
        "cloud_sql_disk_size",
        "deletes and recreates the database",
    ),
    (
        "terraform-owned-fields",
        EDGE,
        "aws_origins",
        "pool enabled, default_pool, fallback_pool, random_steering",
    ),
    (
        "state-place",
        "environments/aws/dr",
        "backend",
        "no backend",
    ),
    (
        "outputs-missing",
        "environments/aws/dr/outputs.tf",
        "rds_endpoint",
        "redis_primary_endpoint",
    ),
    (
        "outputs-missing",
        "environments/gcp/dr/outputs.tf",
        "network_id",
        "lb_ip",
    ),
    ("dependency-mail", AWS, "app_env", "SES in AWS"),
    (
        "dependency-scheduler",
        AWS,
        "app_env",
        "SCHEDULER_PROVIDER = aws",
    ),
    ("dependency-queue", AWS, "app_env", "AWS_SCHEDULE_SQS_ARN"),
    ("dependency-kafka", AWS, "app_env", "every broker is in AWS"),
];

fn matches(finding: &Finding, row: &(&str, &str, &str, &str)) -> bool {
    let (id, file, key, words) = *row;
    finding.id == id
        && (file.is_empty() || finding.place.file == file)
        && finding.place.key == key
        && finding.computed.contains(words)
}

#[test]
fn the_guide_s_files_break_what_they_are_known_to_break() {
    assert!(KNOWN.len() >= 25);
    let report = check::run(&read(&fixture("guide"), "gke_nodes=total"));
    for row in KNOWN {
        let seen: Vec<_> = report
            .findings()
            .filter(|finding| finding.id == row.0)
            .collect();
        assert!(
            seen.iter().any(|finding| matches(finding, row)),
            "{row:?} is not among {seen:#?}"
        );
    }
    let unexpected: Vec<_> = report
        .findings()
        .filter(|finding| finding.severity > Severity::Info && finding.id != "state-place")
        .filter(|finding| !KNOWN.iter().any(|row| matches(finding, row)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn per_zone_counts_are_reported_unless_settled() {
    let report = check::run(&read(&fixture("guide"), ""));
    let finding = report
        .findings()
        .find(|finding| finding.id == "nodes-per-zone")
        .unwrap();
    assert!(
        finding
            .computed
            .contains("5 x 3 zones = 15 nodes at start, up to 30"),
        "{}",
        finding.computed
    );
}

#[test]
fn findings_lead_to_their_line_and_never_print_a_secret() {
    let estate = read(&fixture("guide"), "");
    let report = check::run(&estate);
    let line = |id: &str| {
        report
            .findings()
            .find(|finding| finding.id == id)
            .unwrap()
            .place
            .line
    };
    assert_eq!(line("version-eks"), Some(14));
    assert_eq!(line("detect-worst-case"), Some(28));
    let printed = render::table(
        &estate,
        &report,
        render::Look {
            all: true,
            colour: true,
        },
    ) + &render::json(&estate, &report);
    for secret in ["CHANGE_ME", "ZXhhbXBsZS1", "EXAMPLEACCESSKEY"] {
        assert!(!printed.contains(secret), "{secret} is printed");
    }
}

#[test]
fn a_corrected_installation_is_silent() {
    let report = check::run(&read(&fixture("corrected"), ""));
    let loud: Vec<_> = report
        .findings()
        .filter(|finding| finding.severity > Severity::Info)
        .collect();
    assert!(loud.is_empty(), "{loud:#?}");
    assert_eq!(report.exit_code(), 0);
    let untold: Vec<_> = report
        .rules
        .iter()
        .filter(|(_, said)| matches!(said, Said::Missing(_)))
        .map(|(rule, _)| rule.id)
        .collect();
    assert_eq!(untold, ["rds-password-form"], "every other rule can tell");
}

/// What each change of the corrected installation must cost: file, old, new, rule.
const HARM: &[(&str, &str, &str, &str)] = &[
    (
        "aws/dr/terraform.tfvars.example",
        "rds_multi_az                = true",
        "rds_multi_az = false",
        "database-multi-az",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "rds_backup_retention_period = 30",
        "rds_backup_retention_period = 0",
        "database-backups",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "rds_deletion_protection     = true",
        "rds_deletion_protection = false",
        "database-protection",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "\"10.30.10.0/24\"",
        "\"10.31.10.0/24\"",
        "cidr-inside",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "10.30.0.0/16",
        "10.20.0.0/16",
        "cidr-overlap",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "enable_vpn           = true",
        "enable_vpn = false",
        "vpn-enabled",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "networks/crm-dr",
        "networks/crm-rd",
        "vpn-network-id",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "node_group_max_size         = 12",
        "node_group_max_size = 4",
        "node-bounds",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "node_group_min_size         = 3",
        "node_group_min_size = \"three\"",
        "file-kind",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "project      = \"crm\"",
        "projcet      = \"crm\"",
        "file-undeclared",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "project      = \"crm\"",
        "project      = \"crm",
        "file-syntax",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "elasticache_num_cache_clusters         = 3",
        "elasticache_num_cache_clusters = 1",
        "cache-failover",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "elasticache_transit_encryption_enabled = true",
        "elasticache_transit_encryption_enabled = false",
        "elasticache-token-form",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "elasticache_engine_version             = \"7.0\"",
        "elasticache_engine_version = \"7.1\"",
        "version-mismatch",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "rds_engine_version          = \"15\"",
        "rds_engine_version = \"14\"",
        "version-postgresql",
    ),
    (
        "aws/dr/terraform.tfvars.example",
        "cluster_version             = \"1.35\"",
        "cluster_version = \"1.33\"",
        "version-eks",
    ),
    (
        "gcp/dr/terraform.tfvars.example",
        "node_pool_initial_count      = 2",
        "node_pool_initial_count = 1",
        "capacity-cpu",
    ),
    (
        "global/cloudflare-lb/main.tf",
        "health_check_interval       = 15",
        "health_check_interval = 14",
        "detect-plan-minimum",
    ),
    (
        "global/cloudflare-lb/main.tf",
        "health_check_interval       = 15",
        "health_check_interval = 4",
        "detect-probe-overlap",
    ),
    (
        "modules/cloudflare-lb/main.tf",
        "ignore_changes = [enabled, origins]",
        "",
        "terraform-owned-fields",
    ),
    (
        "modules/cloud-sql/main.tf",
        "ignore_changes = [settings[0].disk_size]",
        "",
        "database-disk-growth",
    ),
    (
        "tandem.toml",
        "mode = \"automatic\"",
        "mode = \"confirm\"",
        "rto-budget",
    ),
    (
        "tandem.toml",
        "bound_ms = 4000",
        "bound_ms = 9000",
        "rpo-exposure",
    ),
    (
        "tandem.toml",
        "drift_per_mille = 20",
        "drift_per_mille = 10",
        "lease-drift",
    ),
    (
        "tandem.toml",
        "block_window_s = 3600",
        "block_window_s = 60",
        "flap-guard",
    ),
    (
        "tandem.toml",
        "rto_s = 120",
        "rto_s = 600",
        "slo-error-budget",
    ),
    (
        "tandem.toml",
        "detect_s = 30",
        "detect_s = 3",
        "detect-agents",
    ),
    ("tandem.toml", "cluster = ", "clutser = ", "config-refused"),
    (
        "tandem.toml",
        "replication_sslmode = \"verify-full\"",
        "replication_sslmode = \"require\"",
        "replication-tls",
    ),
];

#[test]
fn each_harm_to_the_corrected_installation_is_found() {
    for (file, old, new, rule) in HARM {
        let copy = Copy::of("corrected");
        copy.replace(file, old, new);
        let report = check::run(&read(copy.root(), ""));
        let found: BTreeSet<_> = report
            .findings()
            .filter(|finding| finding.severity > Severity::Info)
            .map(|finding| finding.id)
            .collect();
        assert!(
            found.contains(rule),
            "{file}: {new}: {rule} is not among {found:?}"
        );
    }
}

#[test]
fn the_global_state_may_lie_in_a_store_that_speaks_s3_but_not_in_a_cloud() {
    let http = "backend \"http\" {\n    address = \"https://state.example.net/global\"\n  }";
    for (backend, fine) in [
        ("backend \"s3\" {\n    region = \"auto\"\n  }", true),
        (
            "backend \"s3\" {\n    endpoints = { s3 = \"https://0123.r2.cloudflarestorage.com\" }\n  }",
            true,
        ),
        (
            "backend \"s3\" {\n    endpoint = \"https://s3.ap-northeast-2.amazonaws.com\"\n  }",
            false,
        ),
        (
            "backend \"s3\" {\n    region = \"ap-northeast-2\"\n  }",
            false,
        ),
        (
            "backend \"s3\" {\n    endpoints = { s3 = \"https://storage.googleapis.com\" }\n  }",
            false,
        ),
        ("backend \"gcs\" {\n    bucket = \"state\"\n  }", false),
    ] {
        let copy = Copy::of("corrected");
        copy.replace("global/cloudflare-lb/main.tf", http, backend);
        let report = check::run(&read(copy.root(), ""));
        let found = report.findings().any(|finding| finding.id == "state-place");
        assert_eq!(!found, fine, "{backend}");
    }
}

#[test]
fn the_json_is_versioned_and_complete() {
    let estate = read(&fixture("guide"), "");
    let report = check::run(&estate);
    let json: serde_json::Value = serde_json::from_str(&render::json(&estate, &report)).unwrap();
    assert_eq!(json["schema"], "tandem.check.v1");
    assert_eq!(json["summary"]["exit_code"], 1);
    let findings = json["findings"].as_array().unwrap();
    assert_eq!(findings.len(), report.findings().count());
    for finding in findings {
        for key in [
            "id", "topic", "severity", "title", "where", "promised", "computed", "remedy",
        ] {
            assert!(!finding[key].is_null(), "{key} is missing in {finding}");
        }
    }
}

fn accepted(until: &str) -> Report {
    let copy = Copy::of("corrected");
    copy.replace(
        "aws/dr/terraform.tfvars.example",
        "rds_deletion_protection     = true",
        "rds_deletion_protection = false",
    );
    let entry = format!(
        "[assume]\ncloudflare_plan = \"business\"\n[[suppress]]\nid = \"database-protection\"\nreason = \"rebuilt weekly\"\nuntil = \"{until}\"\n"
    );
    copy.write("tandem-check.toml", &entry);
    check::run(&read(copy.root(), ""))
}

#[test]
fn an_acceptance_counts_until_its_day() {
    let report = accepted(&today().to_string());
    assert_eq!(report.exit_code(), 0);
    let finding = report
        .findings()
        .find(|finding| finding.id == "database-protection")
        .unwrap();
    assert_eq!(
        finding.suppressed.as_ref().unwrap().reason,
        "rebuilt weekly"
    );

    let report = accepted("2026-11-21");
    let ids: Vec<_> = report
        .findings()
        .filter(|finding| finding.severity == Severity::Warning && finding.suppressed.is_none())
        .map(|finding| finding.id)
        .collect();
    assert_eq!(ids, ["suppression-expired", "database-protection"]);
    assert_eq!(report.exit_code(), 3);
}

#[test]
fn acceptances_need_a_rule_a_reason_and_an_end() {
    let path = std::path::Path::new("tandem-check.toml");
    let rows = [
        (
            "id = \"no-such-rule\"\nreason = \"x\"\nuntil = \"2027-01-01\"",
            "did you mean",
        ),
        (
            "id = \"detect-worst-case\"\nreason = \" \"\nuntil = \"2027-01-01\"",
            "without a reason",
        ),
        ("id = \"detect-worst-case\"\nreason = \"x\"", "until"),
    ];
    for (entry, words) in rows {
        let error = Settings::parse(&format!("[[suppress]]\n{entry}\n"), path)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn explain_gives_formula_and_source_and_corrects_typing_errors() {
    let text = render::explain(check::find("detect-worst-case").unwrap());
    assert!(
        text.contains("(retries + 1) x timeout") && text.contains("Cloudflare"),
        "{text}"
    );
    assert!(
        check::find("detect-worstcase")
            .unwrap_err()
            .to_string()
            .contains("`detect-worst-case`")
    );
}

#[test]
fn an_empty_folder_is_refused_and_one_environment_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let read =
        |settings| tandem_infra::estate::Estate::read(folder.path(), None, settings, today());
    assert!(
        read(Settings::default())
            .unwrap_err()
            .to_string()
            .contains("expected aws/, gcp/ or global/")
    );
    std::fs::create_dir_all(folder.path().join("aws")).unwrap();
    std::fs::write(
        folder.path().join("aws/terraform.tfvars"),
        "cluster_version = \"1.29\"\n",
    )
    .unwrap();
    let report = check::run(&read(Settings::default()).unwrap());
    assert!(report.findings().any(|finding| finding.id == "version-eks"));
}
