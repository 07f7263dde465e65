//! What only a `lifecycle` block can say, and no plan of a first apply shows.
//!
//! Intuition: a cluster grows its own disks and nodes, and some resources are held by others; both
//! are seen at the second apply of a real cloud, too late.
//! Invariant: the tables are the requirement; a resource of the type may leave alone more, not less.

use std::path::Path;

use hcl_edit::structure::Block;

use crate::error::Error;
use crate::hcl;

/// Types that others hold on to, so that the cloud refuses to delete them first.
const HELD: [(&str, &str); 4] = [
    ("aws_acm_certificate", "a listener uses it"),
    ("aws_customer_gateway", "a VPN connection uses it"),
    ("aws_db_parameter_group", "an instance uses it"),
    ("aws_lb_target_group", "a listener uses it"),
];

/// What changes at run time, by type: an apply that writes it back does harm.
const MOVING: [(&str, &[&str], &str); 9] = [
    ("aws_db_instance", &["allocated_storage"], "the disk grows"),
    (
        "aws_eks_node_group",
        &["scaling_config[0].desired_size"],
        "the autoscaler sets it",
    ),
    (
        "aws_instance",
        &["ami", "user_data"],
        "a new image would replace a member of etcd",
    ),
    (
        "cloudflare_load_balancer",
        &["default_pool_ids", "fallback_pool_id", "random_steering"],
        "a failover sets it",
    ),
    (
        "cloudflare_load_balancer_pool",
        &["enabled"],
        "a failover sets it",
    ),
    (
        "google_compute_instance",
        &[
            "boot_disk[0].initialize_params[0].image",
            "metadata[\"user-data\"]",
        ],
        "a new image would replace a member of etcd",
    ),
    (
        "google_container_cluster",
        &["node_config", "initial_node_count"],
        "its own pool is removed at once; reading it back replaces the cluster",
    ),
    (
        "google_container_node_pool",
        &["initial_node_count"],
        "another number replaces the pool",
    ),
    (
        "google_sql_database_instance",
        &["settings[0].disk_size"],
        "the disk grows, and a smaller one replaces the database",
    ),
];

/// What is chosen at creation, by type: an apply that changes it replaces what holds data, or is
/// refused. What was taken over from other hands keeps its own.
const CHOSEN: [(&str, &[&str], &str); 5] = [
    (
        "aws_db_instance",
        &[
            "kms_key_id",
            "performance_insights_kms_key_id",
            "db_subnet_group_name",
        ],
        "another key replaces the database, another subnet group is refused",
    ),
    (
        "aws_eks_cluster",
        &[
            "role_arn",
            "encryption_config",
            "bootstrap_self_managed_addons",
            "access_config",
        ],
        "another one replaces the cluster, and an import reads not all of them",
    ),
    (
        "aws_elasticache_replication_group",
        &["kms_key_id", "subnet_group_name", "security_group_names"],
        "another one replaces the cache, and an import does not read the last",
    ),
    (
        "google_container_cluster",
        &["remove_default_node_pool", "datapath_provider"],
        "another data path replaces the cluster; the default pool may carry pods",
    ),
    (
        "google_redis_instance",
        &["connect_mode", "reserved_ip_range"],
        "another one replaces the cache",
    ),
];

/// What a module's resources leave unsaid, each as one sentence.
pub fn check(folder: &Path) -> Result<Vec<String>, Error> {
    let mut found = vec![];
    let (mut made, mut moved) = (vec![], vec![]);
    for source in hcl::module(folder)? {
        for (kind, resource) in hcl::blocks(&source.body, "resource") {
            found.extend(judge(&kind, resource));
            let name = resource.labels.get(1).map_or("", |label| label.as_str());
            made.push(format!("{kind}.{name}"));
        }
        for block in source.body.blocks().filter(|one| one.has_ident("moved")) {
            let ends = ["from", "to"].map(|end| hcl::argument(&block.body, end).map(hcl::written));
            moved.extend(ends.into_iter().flatten());
        }
    }
    // Terraform takes a move from or to nothing without a word.
    moved.retain(|end| {
        !made
            .iter()
            .any(|one| one == end.split('[').next().unwrap_or(end))
    });
    found.extend(
        moved
            .iter()
            .map(|end| format!("a moved block names {end}, which is no resource here")),
    );
    Ok(found)
}

fn judge(kind: &str, resource: &Block) -> Vec<String> {
    let said = |name: &str| {
        let mut blocks = hcl::blocks(&resource.body, "lifecycle");
        blocks.find_map(|(_, block)| hcl::argument(&block.body, name).map(hcl::written))
    };
    let mut found = vec![];
    for (_, why) in HELD.iter().filter(|row| row.0 == kind) {
        if said("create_before_destroy").as_deref() != Some("true") {
            found.push(format!(
                "{kind} is not created before it is destroyed: {why}"
            ));
        }
    }
    let ignored = said("ignore_changes").unwrap_or_default();
    let list = ignored
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let ignored: Vec<&str> = list.unwrap_or_default().split(',').map(str::trim).collect();
    let rows = MOVING.iter().chain(&CHOSEN);
    for (_, fields, why) in rows.filter(|row| row.0 == kind) {
        let open = fields.iter().filter(|field| !ignored.contains(field));
        found.extend(open.map(|field| format!("{kind} does not ignore changes of {field}: {why}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_or_moves_must_say_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = r#"
resource "google_compute_instance" "whole" {
  lifecycle {
    ignore_changes = [boot_disk[0].initialize_params[0].image, metadata["user-data"]]
  }
}
resource "aws_instance" "half" {
  lifecycle {
    ignore_changes = [ami]
  }
}
resource "aws_acm_certificate" "held" {
}
moved {
  from = aws_instance.half
  to   = aws_instance.whole[0]
}
"#;
        std::fs::write(folder.path().join("main.tf"), text).expect("written");
        let found = check(folder.path()).expect("readable");
        assert_eq!(
            found,
            [
                "aws_instance does not ignore changes of user_data: a new image would replace a member of etcd",
                "aws_acm_certificate is not created before it is destroyed: a listener uses it",
                "a moved block names aws_instance.whole[0], which is no resource here",
            ]
        );
    }
}
