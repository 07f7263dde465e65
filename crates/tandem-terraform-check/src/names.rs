//! Names that people know from the guide: every variable, output and file of the three environments.
//!
//! Intuition: somebody who knows the guide looks for a thing under the name that the guide gives it.
//! Invariant: the tables below are the requirement; the infrastructure code may have more names,
//! never fewer.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::Error;
use crate::hcl;

/// What one place must have.
pub struct Names {
    /// From the tree.
    pub place: &'static str,
    /// Files, beside any others.
    pub files: &'static [&'static str],
    /// Variables, separated by white space.
    pub variables: &'static str,
    /// Outputs, separated by white space.
    pub outputs: &'static str,
}

const WITH_BACKEND: &[&str] = &[
    "backend.tf",
    "providers.tf",
    "main.tf",
    "variables.tf",
    "outputs.tf",
    "terraform.tfvars.example",
];
const MODULE: &[&str] = &["main.tf", "variables.tf", "outputs.tf", "README.md"];

/// The tables.
pub const TABLES: &[Names] = &[
    Names {
        place: "environments/aws/dr",
        files: WITH_BACKEND,
        variables: "aws_region cluster_name project environment vpc_cidr availability_zones public_subnet_cidrs
            private_subnet_cidrs cluster_version node_group_instance_types node_group_desired_capacity
            node_group_min_size node_group_max_size enable_rds rds_engine_version rds_instance_class
            rds_allocated_storage rds_storage_encrypted rds_database_name rds_master_username
            rds_master_password rds_multi_az rds_backup_retention_period rds_deletion_protection
            rds_skip_final_snapshot enable_elasticache elasticache_engine_version elasticache_node_type
            elasticache_num_cache_clusters elasticache_auth_token_enabled elasticache_auth_token
            elasticache_transit_encryption_enabled elasticache_at_rest_encryption_enabled
            elasticache_snapshot_retention_limit elasticache_automatic_failover_enabled
            elasticache_multi_az_enabled enable_vpn gcp_network_id gcp_region gcp_vpc_cidr
            vpn_tunnel1_preshared_key vpn_tunnel2_preshared_key alb_deletion_protection
            acm_certificate_arn app_env",
        outputs: "alb_dns_name rds_endpoint redis_primary_endpoint",
    },
    Names {
        place: "environments/gcp/dr",
        files: WITH_BACKEND,
        variables: "project_id region cluster_name network_name subnet_ip_cidr_range
            subnet_secondary_pods_cidr subnet_secondary_services_cidr ip_range_pods_name
            ip_range_services_name cluster_release_channel cluster_enable_private_nodes
            node_pool_machine_type node_pool_disk_size_gb node_pool_min_count node_pool_max_count
            node_pool_initial_count enable_secret_manager secret_manager_secret_id
            secret_manager_secret_data enable_cloud_sql cloud_sql_instance_name
            cloud_sql_database_version cloud_sql_tier cloud_sql_disk_size cloud_sql_disk_type
            cloud_sql_availability_type cloud_sql_database_name cloud_sql_user_name
            cloud_sql_user_password cloud_sql_backup_enabled cloud_sql_point_in_time_recovery_enabled
            cloud_sql_deletion_protection enable_memorystore memorystore_instance_id
            memorystore_display_name memorystore_tier memorystore_memory_size_gb
            memorystore_redis_version memorystore_replica_count memorystore_auth_enabled
            memorystore_transit_encryption_mode memorystore_persistence_mode
            memorystore_rdb_snapshot_period labels",
        outputs: "network_name cloud_sql_connection_name memorystore_host network_id lb_ip cloud_sql_private_ip",
    },
    Names {
        place: "environments/global/cloudflare-lb",
        files: &["main.tf", "variables.tf", "terraform.tfvars.example"],
        variables: "cloudflare_api_token cloudflare_account_id cloudflare_zone_id domain_name
            aws_alb_dns_name gcp_lb_ip notification_email",
        outputs: "",
    },
    Names {
        place: "modules/cloudflare-lb",
        files: MODULE,
        variables: "name_prefix cloudflare_account_id cloudflare_zone_id domain_name dns_record_name
            health_check_type health_check_port health_check_path health_check_interval
            health_check_timeout health_check_retries health_check_expected_codes aws_origins
            gcp_origins steering_policy session_affinity session_affinity_ttl enable_failover
            primary_cloud proxied notification_email",
        outputs: "",
    },
    Names {
        place: "modules/aws-gcp-vpn",
        files: MODULE,
        variables: "",
        outputs: "",
    },
];

/// Labels and the application's variables that the guide names inside a value.
pub const INSIDE: &[(&str, &str, &str)] = &[
    (
        "environments/gcp/dr",
        "labels",
        "project environment managed_by role",
    ),
    (
        "environments/aws/dr",
        "app_env",
        "DATABASE_URL DATABASE_USERNAME DATABASE_PASSWORD REDIS_HOST REDIS_PASSWORD REDIS_MAX_REDIRECTS
            REDIS_NODES MAIL_USERNAME MAIL_PASSWORD AWS_ACCESS_KEY AWS_SECRET_KEY AWS_CONFIGURATION_SET
            AWS_SCHEDULE_ROLE_ARN AWS_SCHEDULE_SQS_ARN AWS_SCHEDULE_GROUP_NAME KAFKA_BOOTSTRAP_SERVERS
            SCHEDULER_PROVIDER",
    ),
];

/// What is missing, each as one sentence.
pub fn check(tree: &Path) -> Result<Vec<String>, Error> {
    let mut missing = vec![];
    for table in TABLES {
        let folder = tree.join(table.place);
        let lost = |name: &&&str| !folder.join(name).is_file();
        let files = table.files.iter().filter(lost);
        missing.extend(files.map(|name| format!("{}: no file {name}", table.place)));
        for (kind, names) in [("variable", table.variables), ("output", table.outputs)] {
            let declared = declared(&folder, kind)?;
            let lost = names
                .split_whitespace()
                .filter(|name| !declared.contains(*name));
            missing.extend(lost.map(|name| format!("{}: no {kind} {name}", table.place)));
        }
    }
    for (place, variable, names) in INSIDE {
        let text = texts_of(&tree.join(place))?;
        let lost = names
            .split_whitespace()
            .filter(|name| !text.contains(*name));
        missing.extend(lost.map(|name| format!("{place}: {variable} says nothing of {name}")));
    }
    Ok(missing)
}

/// How many names there are.
pub fn count() -> usize {
    let words = |text: &str| text.split_whitespace().count();
    let tables = TABLES.iter();
    let own: usize = tables
        .map(|t| t.files.len() + words(t.variables) + words(t.outputs))
        .sum();
    own + INSIDE
        .iter()
        .map(|(_, _, names)| words(names))
        .sum::<usize>()
}

fn declared(folder: &Path, kind: &str) -> Result<BTreeSet<String>, Error> {
    let sources = hcl::module(folder)?;
    let blocks = sources
        .iter()
        .flat_map(|source| hcl::blocks(&source.body, kind));
    Ok(blocks.map(|(name, _)| name).collect())
}

fn texts_of(folder: &Path) -> Result<String, Error> {
    let mut paths = hcl::files(folder, ".tf")?;
    paths.extend(hcl::files(folder, ".tfvars.example")?);
    let read =
        |path: &std::path::PathBuf| std::fs::read_to_string(path).map_err(crate::error::at(path));
    paths.iter().map(read).collect()
}

/// Variables without type or description, outputs without description, in one module.
pub fn undescribed(folder: &Path) -> Result<Vec<String>, Error> {
    const WANTED: [(&str, &[&str]); 2] = [
        ("variable", &["type", "description"]),
        ("output", &["description"]),
    ];
    let mut found = vec![];
    for source in hcl::module(folder)? {
        for (kind, wanted) in WANTED {
            for (name, block) in hcl::blocks(&source.body, kind) {
                let lacks = wanted
                    .iter()
                    .filter(|key| hcl::argument(&block.body, key).is_none());
                found.extend(lacks.map(|key| format!("{kind} {name} has no {key}")));
            }
        }
    }
    Ok(found)
}
