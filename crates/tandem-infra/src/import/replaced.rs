//! What a plan would take away, why, and which variable keeps it.

use std::fmt;

use serde_json::Value;

/// The variable that says what stands, by type and attribute.
const KEEPS: [(&str, &str, &str); 29] = [
    ("aws_db_instance", "identifier", "rds_identifier"),
    ("aws_db_instance", "db_name", "rds_database_name"),
    ("aws_db_instance", "username", "rds_master_username"),
    (
        "aws_db_instance",
        "storage_encrypted",
        "rds_storage_encrypted",
    ),
    ("aws_eks_cluster", "name", "cluster_name"),
    (
        "aws_elasticache_replication_group",
        "replication_group_id",
        "elasticache_replication_group_id",
    ),
    (
        "aws_elasticache_replication_group",
        "at_rest_encryption_enabled",
        "elasticache_at_rest_encryption_enabled",
    ),
    ("aws_elasticache_replication_group", "port", "ports"),
    ("aws_lb", "name", "alb_name"),
    (
        "aws_subnet",
        "cidr_block",
        "public_subnet_cidrs or private_subnet_cidrs",
    ),
    ("aws_subnet", "availability_zone", "availability_zones"),
    ("aws_vpc", "cidr_block", "vpc_cidr"),
    (
        "google_compute_global_address",
        "name",
        "private_services_range_name",
    ),
    (
        "google_compute_global_address",
        "address",
        "private_services_cidr",
    ),
    (
        "google_compute_global_address",
        "prefix_length",
        "private_services_cidr",
    ),
    ("google_compute_network", "name", "network_name"),
    ("google_compute_subnetwork", "name", "subnet_name"),
    (
        "google_compute_subnetwork",
        "ip_cidr_range",
        "subnet_ip_cidr_range",
    ),
    ("google_container_cluster", "name", "cluster_name"),
    ("google_container_cluster", "location", "region"),
    (
        "google_container_cluster",
        "private_cluster_config.enable_private_nodes",
        "cluster_enable_private_nodes",
    ),
    (
        "google_container_cluster",
        "private_cluster_config.master_ipv4_cidr_block",
        "control_plane_cidr",
    ),
    ("google_redis_instance", "name", "memorystore_instance_id"),
    ("google_redis_instance", "tier", "memorystore_tier"),
    (
        "google_redis_instance",
        "read_replicas_mode",
        "memorystore_read_replicas_mode",
    ),
    (
        "google_redis_instance",
        "transit_encryption_mode",
        "memorystore_transit_encryption_mode",
    ),
    ("google_sql_database", "name", "cloud_sql_database_name"),
    (
        "google_sql_database_instance",
        "name",
        "cloud_sql_instance_name",
    ),
    ("google_sql_user", "name", "cloud_sql_user_name"),
];

/// A resource that stands and that the plan would destroy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Where it stands in the plan.
    pub address: String,
    /// The attributes whose change replaces it; none if it is destroyed for good.
    pub attributes: Vec<String>,
    /// Variables that keep it, as far as there is one.
    pub variables: Vec<&'static str>,
}

impl fmt::Display for Replaced {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attributes.is_empty() {
            return write!(to, "{} would be destroyed", self.address);
        }
        let why = self.attributes.join(", ");
        write!(to, "{} would be replaced because of {why}", self.address)?;
        match self.variables.as_slice() {
            [] => Ok(()),
            kept => write!(to, "; {} set to what stands keeps it", kept.join(", ")),
        }
    }
}

/// Every resource that a plan (`terraform show -json`) would destroy.
pub fn replaced(plan: &Value) -> Vec<Replaced> {
    let rows = plan["resource_changes"].as_array();
    rows.into_iter().flatten().filter_map(one).collect()
}

fn one(row: &Value) -> Option<Replaced> {
    let change = &row["change"];
    let actions = change["actions"].as_array()?;
    if !actions.iter().any(|action| action == "delete") {
        return None;
    }
    let paths = change["replace_paths"].as_array();
    let attributes: Vec<String> = paths.into_iter().flatten().map(dotted).collect();
    let kind = row["type"].as_str()?;
    let mut variables: Vec<&str> = attributes
        .iter()
        .filter_map(|name| keeps(kind, name))
        .collect();
    variables.dedup();
    Some(Replaced {
        address: row["address"].as_str()?.to_owned(),
        attributes,
        variables,
    })
}

/// The variable that keeps an attribute as it stands.
pub(super) fn keeps(kind: &str, attribute: &str) -> Option<&'static str> {
    let found = KEEPS
        .iter()
        .find(|row| row.0 == kind && row.1 == attribute)?;
    Some(found.2)
}

/// A path without the indexes of blocks that exist once.
fn dotted(path: &Value) -> String {
    let steps = path.as_array().into_iter().flatten();
    let names: Vec<&str> = steps.filter_map(Value::as_str).collect();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_lost_is_told_with_what_keeps_it() {
        let plan = json!({"resource_changes": [
            {"address": "module.rds[0].aws_db_instance.this", "type": "aws_db_instance", "change": {
                "actions": ["delete", "create"], "replace_paths": [["db_name"], ["timezone"]]}},
            {"address": "google_container_cluster.this", "type": "google_container_cluster", "change": {
                "actions": ["delete", "create"],
                "replace_paths": [["private_cluster_config", 0, "master_ipv4_cidr_block"]]}},
            {"address": "aws_vpc.main", "type": "aws_vpc", "change": {"actions": ["delete"]}},
            {"address": "aws_lb.this", "type": "aws_lb", "change": {"actions": ["update"]}},
        ]});
        let told: Vec<String> = replaced(&plan).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "module.rds[0].aws_db_instance.this would be replaced because of db_name, timezone; rds_database_name set to what stands keeps it",
                "google_container_cluster.this would be replaced because of private_cluster_config.master_ipv4_cidr_block; control_plane_cidr set to what stands keeps it",
                "aws_vpc.main would be destroyed",
            ]
        );
    }
}
