//! What there is to pay for: the resources of a plan, or those that the
//! variables imply.
//!
//! Invariant: every resource gets a [`Part`]; what no price rule knows is
//! `Unknown` and shown, never dropped.

use rust_decimal::prelude::ToPrimitive;

use super::LineId;
use crate::estate::{COUNT_MAX, Estate};
use crate::read::environment::{Environment, Resource};
use crate::read::value::Value;

/// A thing with a price rule, with the numbers that the rule needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// An EKS control plane of this version.
    EksCluster(String),
    /// EKS nodes: type, count, root disk in GB.
    EksNodes(String, u64, u64),
    /// RDS: class, Multi-AZ, storage in GB.
    Rds(String, bool, u64),
    /// ElastiCache: node type, nodes, engine.
    ElastiCache(String, u64, String),
    /// One AWS VPN connection (two tunnels).
    VpnConnection,
    /// One NAT gateway.
    NatGateway,
    /// One public IPv4 address at AWS.
    PublicIpv4,
    /// One application load balancer in so many subnets.
    Alb(u64),
    /// One secret in Secrets Manager.
    Secret,
    /// A GKE control plane.
    GkeCluster,
    /// GKE nodes: type, count, disk in GB, disk type.
    GkeNodes(String, u64, u64, String),
    /// Cloud SQL: tier, regional, disk in GB.
    CloudSql(String, bool, u64),
    /// Memorystore: tier, GB, read replicas.
    Memorystore(String, u64, u64),
    /// One HA VPN tunnel.
    VpnTunnel,
    /// Cloud NAT for so many VMs.
    CloudNat(u64),
    /// One static address at GCP.
    StaticIp,
    /// One forwarding rule.
    ForwardingRule,
    /// A Cloudflare load balancer: endpoints, steering policy, monitor interval.
    LoadBalancer(u64, String, u64),
    /// The zone's plan.
    ZonePlan(String),
    /// Data transfer.
    Transfer,
    /// Costs nothing by itself.
    Free,
    /// Costs by usage that nobody stated.
    UsageBased,
    /// No price rule.
    Unknown,
}

/// One resource with its part and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The address, or the name of what the variables imply.
    pub address: String,
    /// The resource type.
    pub kind: String,
    /// The line it belongs to.
    pub line: LineId,
    /// What to price.
    pub part: Part,
}

impl Item {
    fn new(kind: &str, name: &str, line: LineId, part: Part) -> Self {
        Self {
            address: format!("{kind}.{name}"),
            kind: kind.to_owned(),
            line,
            part,
        }
    }
}

/// Node counts other than the configured ones (a scenario).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// EKS nodes.
    pub aws_nodes: Option<u64>,
    /// GKE nodes, in all zones together.
    pub gcp_nodes: Option<u64>,
}

/// Everything there is to pay for.
pub fn items(estate: &Estate, load: Load) -> Vec<Item> {
    let mut out = Vec::new();
    match &estate.aws.planned {
        Some(planned) => out.extend(
            planned
                .iter()
                .map(|resource| planned_item(estate, resource, load)),
        ),
        None => aws(estate, load, &mut out),
    }
    match &estate.gcp.planned {
        Some(planned) => out.extend(
            planned
                .iter()
                .map(|resource| planned_item(estate, resource, load)),
        ),
        None => gcp(estate, load, &mut out),
    }
    match &estate.edge.planned {
        Some(planned) => out.extend(
            planned
                .iter()
                .map(|resource| planned_item(estate, resource, load)),
        ),
        None => edge(estate, &mut out),
    }
    zone_plan(estate, &mut out);
    if let Some(config) = &estate.config {
        let address = format!("witness.{}", config.witness.name);
        out.push(Item {
            address,
            kind: "witness".to_owned(),
            line: LineId::Other,
            part: Part::Unknown,
        });
    }
    if !out.is_empty() {
        out.push(Item::new(
            "data_transfer",
            "month",
            LineId::Transfer,
            Part::Transfer,
        ));
    }
    out
}

fn on(environment: &Environment, key: &str) -> bool {
    environment.flag(key).unwrap_or(true)
}

fn aws(estate: &Estate, load: Load, out: &mut Vec<Item>) {
    let aws = &estate.aws;
    if let Ok(version) = aws.text("cluster_version") {
        out.push(Item::new(
            "aws_eks_cluster",
            "this",
            LineId::EksControl,
            Part::EksCluster(version),
        ));
    }
    if let (Ok(kinds), Ok(count)) = (
        aws.list("node_group_instance_types"),
        aws.count("node_group_desired_capacity"),
    ) && let Some(kind) = kinds.into_iter().next()
    {
        let disk = aws.count("node_group_disk_size").unwrap_or(20);
        let part = Part::EksNodes(kind, load.aws_nodes.unwrap_or(count), disk);
        out.push(Item::new(
            "aws_eks_node_group",
            "this",
            LineId::EksNodes,
            part,
        ));
    }
    if let Ok(class) = aws.text("rds_instance_class")
        && on(aws, "enable_rds")
    {
        let storage = aws.count("rds_allocated_storage").unwrap_or(0);
        let part = Part::Rds(class, aws.flag("rds_multi_az").unwrap_or(false), storage);
        out.push(Item::new("aws_db_instance", "this", LineId::Rds, part));
    }
    if let Ok(node) = aws.text("elasticache_node_type")
        && on(aws, "enable_elasticache")
    {
        let nodes = aws.count("elasticache_num_cache_clusters").unwrap_or(1);
        let engine = aws
            .text("elasticache_engine")
            .unwrap_or_else(|_| "redis".to_owned());
        let part = Part::ElastiCache(node, nodes, engine);
        out.push(Item::new(
            "aws_elasticache_replication_group",
            "this",
            LineId::ElastiCache,
            part,
        ));
    }
    if aws.flag("enable_vpn").unwrap_or(false) {
        for name in ["a", "b"] {
            out.push(Item::new(
                "aws_vpn_connection",
                name,
                LineId::AwsVpn,
                Part::VpnConnection,
            ));
        }
    }
    aws_network(aws, out);
}

fn aws_network(aws: &Environment, out: &mut Vec<Item>) {
    if !aws.has("vpc_cidr") {
        return;
    }
    let zones = aws
        .list("availability_zones")
        .map_or(0, |zones| zones.len().min(16));
    let gateways = if aws.flag("single_nat_gateway").unwrap_or(false) {
        zones.min(1)
    } else {
        zones
    };
    for index in 0..gateways {
        out.push(Item::new(
            "aws_nat_gateway",
            &format!("this[{index}]"),
            LineId::AwsNetwork,
            Part::NatGateway,
        ));
        out.push(Item::new(
            "aws_eip",
            &format!("nat[{index}]"),
            LineId::AwsNetwork,
            Part::PublicIpv4,
        ));
    }
    if aws.has("alb_deletion_protection") || aws.has("acm_certificate_arn") {
        out.push(Item::new(
            "aws_lb",
            "this",
            LineId::AwsNetwork,
            Part::Alb(zones as u64),
        ));
    }
    for (kind, part) in [
        ("aws_vpc", Part::Free),
        ("aws_acm_certificate", Part::Free),
        ("aws_cloudwatch_log_group", Part::UsageBased),
    ] {
        out.push(Item::new(kind, "this", LineId::Other, part));
    }
}

fn gcp(estate: &Estate, load: Load, out: &mut Vec<Item>) {
    let gcp = &estate.gcp;
    gke(estate, load, out);
    out.extend(cloud_sql(gcp));
    out.extend(memorystore(gcp));
    if estate.aws.flag("enable_vpn").unwrap_or(false) && gcp.present && estate.aws.planned.is_none()
    {
        for index in 0..4 {
            out.push(Item::new(
                "google_compute_vpn_tunnel",
                &format!("this[\"{index}\"]"),
                LineId::GcpVpn,
                Part::VpnTunnel,
            ));
        }
    }
    if gcp.present {
        out.push(Item::new(
            "google_compute_network",
            "this",
            LineId::Other,
            Part::Free,
        ));
    }
    if gcp.flag("enable_secret_manager").unwrap_or(false) {
        out.push(Item::new(
            "google_secret_manager_secret",
            "this",
            LineId::Other,
            Part::Unknown,
        ));
    }
}

/// The cluster, its nodes, and the network that nodes need.
fn gke(estate: &Estate, load: Load, out: &mut Vec<Item>) {
    let gcp = &estate.gcp;
    let configured = gcp
        .count("node_pool_initial_count")
        .map(|count| count.saturating_mul(estate.gke_factor()));
    let (Ok(kind), Some(count)) = (
        gcp.text("node_pool_machine_type"),
        load.gcp_nodes.or_else(|| configured.ok()),
    ) else {
        return;
    };
    let disk = gcp.count("node_pool_disk_size_gb").unwrap_or(100);
    let disk_type = gcp
        .text("node_pool_disk_type")
        .unwrap_or_else(|_| "pd-balanced".to_owned());
    let nodes = Part::GkeNodes(kind, count, disk, disk_type);
    for (kind, name, line, part) in [
        (
            "google_container_cluster",
            "this",
            LineId::GkeControl,
            Part::GkeCluster,
        ),
        (
            "google_container_node_pool",
            "this",
            LineId::GkeNodes,
            nodes,
        ),
        (
            "google_compute_router_nat",
            "this",
            LineId::GcpNetwork,
            Part::CloudNat(count),
        ),
        (
            "google_compute_address",
            "nat",
            LineId::GcpNetwork,
            Part::StaticIp,
        ),
        (
            "google_compute_global_forwarding_rule",
            "this",
            LineId::GcpNetwork,
            Part::ForwardingRule,
        ),
    ] {
        out.push(Item::new(kind, name, line, part));
    }
}

fn cloud_sql(gcp: &Environment) -> Option<Item> {
    let tier = gcp
        .text("cloud_sql_tier")
        .ok()
        .filter(|_| on(gcp, "enable_cloud_sql"))?;
    let regional = gcp
        .text("cloud_sql_availability_type")
        .is_ok_and(|kind| kind == "REGIONAL");
    let part = Part::CloudSql(
        tier,
        regional,
        gcp.count("cloud_sql_disk_size").unwrap_or(10),
    );
    Some(Item::new(
        "google_sql_database_instance",
        "this",
        LineId::CloudSql,
        part,
    ))
}

fn memorystore(gcp: &Environment) -> Option<Item> {
    let tier = gcp
        .text("memorystore_tier")
        .ok()
        .filter(|_| on(gcp, "enable_memorystore"))?;
    let size = gcp.count("memorystore_memory_size_gb").ok()?;
    let part = Part::Memorystore(
        tier,
        size,
        gcp.count("memorystore_replica_count").unwrap_or(0),
    );
    Some(Item::new(
        "google_redis_instance",
        "this",
        LineId::Memorystore,
        part,
    ))
}

fn edge(estate: &Estate, out: &mut Vec<Item>) {
    let edge = &estate.edge;
    if !edge.present || !(edge.has("steering_policy") || edge.has("health_check_interval")) {
        return;
    }
    let origins = |key: &str| {
        edge.setting(key)
            .ok()
            .and_then(|found| found.value.as_list().map(<[Value]>::len))
            .unwrap_or(1)
    };
    let endpoints = (origins("aws_origins") + origins("gcp_origins")) as u64;
    let policy = edge
        .text("steering_policy")
        .unwrap_or_else(|_| "off".to_owned());
    let interval = edge.count("health_check_interval").unwrap_or(60);
    let part = Part::LoadBalancer(endpoints, policy, interval);
    out.push(Item::new(
        "cloudflare_load_balancer",
        "this",
        LineId::Cloudflare,
        part,
    ));
    for kind in [
        "cloudflare_load_balancer_pool",
        "cloudflare_load_balancer_monitor",
    ] {
        out.push(Item::new(kind, "this", LineId::Other, Part::Free));
    }
}

fn zone_plan(estate: &Estate, out: &mut Vec<Item>) {
    if out
        .iter()
        .any(|item| matches!(item.part, Part::LoadBalancer(..)))
    {
        let plan = estate.assumed.word("cloudflare_plan").to_owned();
        out.push(Item::new(
            "cloudflare_zone",
            "plan",
            LineId::Cloudflare,
            Part::ZonePlan(plan),
        ));
    }
}

/// Types that cost nothing by themselves; a `*` at the end stands for anything.
const FREE: &[&str] = &[
    "aws_acm_certificate*",
    "aws_customer_gateway",
    "aws_db_parameter_group",
    "aws_db_subnet_group",
    "aws_default_*",
    "aws_eks_access_*",
    "aws_eks_addon",
    "aws_eks_pod_identity_association",
    "aws_elasticache_parameter_group",
    "aws_elasticache_subnet_group",
    "aws_iam_*",
    "aws_internet_gateway",
    "aws_launch_template",
    "aws_lb_listener*",
    "aws_lb_target_group*",
    "aws_network_acl*",
    "aws_route*",
    "aws_secretsmanager_secret_version",
    "aws_security_group*",
    "aws_subnet",
    "aws_vpc",
    "aws_vpc_security_group_*",
    "aws_vpn_gateway*",
    "cloudflare_load_balancer_monitor",
    "cloudflare_load_balancer_pool",
    "cloudflare_notification_policy",
    "cloudflare_record",
    "google_certificate_manager_*",
    "google_compute_backend_service",
    "google_compute_external_vpn_gateway",
    "google_compute_firewall",
    "google_compute_ha_vpn_gateway",
    "google_compute_health_check",
    "google_compute_managed_ssl_certificate",
    "google_compute_network*",
    "google_compute_router",
    "google_compute_router_interface",
    "google_compute_router_peer",
    "google_compute_ssl_*",
    "google_compute_subnetwork",
    "google_compute_target_*",
    "google_compute_url_map",
    "google_project_*",
    "google_service_account*",
    "google_service_networking_connection",
    "google_sql_database",
    "google_sql_user",
    "null_resource",
    "random_*",
    "terraform_data",
    "time_*",
    "tls_*",
];

/// Types that cost by usage alone.
const USAGE: &[&str] = &[
    "aws_cloudwatch_log_group",
    "aws_db_instance_automated_backups_replication",
    "aws_flow_log",
    "aws_kms_key",
    "aws_s3_bucket",
    "aws_sqs_queue",
    "google_logging_*",
    "google_storage_bucket",
    "google_pubsub_*",
];

fn listed(list: &[&str], kind: &str) -> bool {
    list.iter().any(|known| {
        known
            .strip_suffix('*')
            .map_or(*known == kind, |prefix| kind.starts_with(prefix))
    })
}

fn planned_item(estate: &Estate, resource: &Resource, load: Load) -> Item {
    let (line, part) = planned_part(estate, resource, load);
    Item {
        address: resource.address.clone(),
        kind: resource.kind.clone(),
        line,
        part,
    }
}

fn text(resource: &Resource, path: &str) -> String {
    resource
        .values
        .at(path)
        .and_then(Value::as_text)
        .unwrap_or_default()
}

fn count(resource: &Resource, path: &str, default: u64) -> u64 {
    let number = resource
        .values
        .at(path)
        .and_then(Value::as_number)
        .and_then(|number| number.to_u64());
    number
        .filter(|number| *number <= COUNT_MAX)
        .unwrap_or(default)
}

fn flag(resource: &Resource, path: &str) -> bool {
    resource
        .values
        .at(path)
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

fn planned_part(estate: &Estate, resource: &Resource, load: Load) -> (LineId, Part) {
    let known = aws_part(estate, resource, load).or_else(|| gcp_part(estate, resource, load));
    known
        .or_else(|| edge_part(estate, resource))
        .unwrap_or_else(|| {
            let kind = resource.kind.as_str();
            let free = listed(FREE, kind).then_some(Part::Free);
            let usage = || listed(USAGE, kind).then_some(Part::UsageBased);
            (LineId::Other, free.or_else(usage).unwrap_or(Part::Unknown))
        })
}

fn aws_part(estate: &Estate, r: &Resource, load: Load) -> Option<(LineId, Part)> {
    Some(match r.kind.as_str() {
        "aws_eks_cluster" => (LineId::EksControl, Part::EksCluster(text(r, "version"))),
        "aws_eks_node_group" => {
            let nodes = load
                .aws_nodes
                .unwrap_or_else(|| count(r, "scaling_config.0.desired_size", 1));
            (
                LineId::EksNodes,
                Part::EksNodes(
                    text(r, "instance_types.0"),
                    nodes,
                    count(r, "disk_size", 20),
                ),
            )
        }
        "aws_db_instance" => {
            let storage = count(r, "allocated_storage", 0);
            (
                LineId::Rds,
                Part::Rds(text(r, "instance_class"), flag(r, "multi_az"), storage),
            )
        }
        "aws_elasticache_replication_group" => {
            let engine = Some(text(r, "engine")).filter(|engine| !engine.is_empty());
            let engine = engine.unwrap_or_else(|| "redis".to_owned());
            let nodes = count(r, "num_cache_clusters", 1);
            (
                LineId::ElastiCache,
                Part::ElastiCache(text(r, "node_type"), nodes, engine),
            )
        }
        "aws_vpn_connection" => (LineId::AwsVpn, Part::VpnConnection),
        "aws_nat_gateway" => (LineId::AwsNetwork, Part::NatGateway),
        "aws_eip" => (LineId::AwsNetwork, Part::PublicIpv4),
        "aws_lb" => {
            let listed = r
                .values
                .at("subnets")
                .and_then(Value::as_list)
                .map(<[Value]>::len);
            let zones = listed.or_else(|| {
                estate
                    .aws
                    .list("availability_zones")
                    .ok()
                    .map(|zones| zones.len())
            });
            (LineId::AwsNetwork, Part::Alb(zones.unwrap_or(2) as u64))
        }
        "aws_secretsmanager_secret" => (LineId::Other, Part::Secret),
        _ => return None,
    })
}

fn gcp_part(estate: &Estate, r: &Resource, load: Load) -> Option<(LineId, Part)> {
    Some(match r.kind.as_str() {
        "google_container_cluster" => (LineId::GkeControl, Part::GkeCluster),
        "google_container_node_pool" => (LineId::GkeNodes, node_pool(estate, r, load)),
        "google_sql_database_instance" => {
            let regional = text(r, "settings.0.availability_type") == "REGIONAL";
            let disk = count(r, "settings.0.disk_size", 10);
            (
                LineId::CloudSql,
                Part::CloudSql(text(r, "settings.0.tier"), regional, disk),
            )
        }
        "google_redis_instance" => {
            let part = Part::Memorystore(
                text(r, "tier"),
                count(r, "memory_size_gb", 1),
                count(r, "replica_count", 0),
            );
            (LineId::Memorystore, part)
        }
        "google_compute_vpn_tunnel" => (LineId::GcpVpn, Part::VpnTunnel),
        "google_compute_router_nat" => {
            let pools = estate.gcp.resources_of("google_container_node_pool");
            let nodes = pools.map(|pool| pool_nodes(estate, pool)).sum();
            (
                LineId::GcpNetwork,
                Part::CloudNat(load.gcp_nodes.unwrap_or(nodes)),
            )
        }
        "google_compute_address" | "google_compute_global_address" => {
            let internal = !text(r, "purpose").is_empty() || text(r, "address_type") == "INTERNAL";
            if internal {
                (LineId::Other, Part::Free)
            } else {
                (LineId::GcpNetwork, Part::StaticIp)
            }
        }
        "google_compute_forwarding_rule" | "google_compute_global_forwarding_rule" => {
            (LineId::GcpNetwork, Part::ForwardingRule)
        }
        _ => return None,
    })
}

fn edge_part(estate: &Estate, r: &Resource) -> Option<(LineId, Part)> {
    if r.kind != "cloudflare_load_balancer" {
        return None;
    }
    let pools = estate.edge.resources_of("cloudflare_load_balancer_pool");
    let origins = |pool: &Resource| {
        pool.values
            .at("origins")
            .and_then(Value::as_list)
            .map_or(1, <[Value]>::len) as u64
    };
    let interval = estate.edge.count("health_check_interval").unwrap_or(60);
    let part = Part::LoadBalancer(
        pools.map(origins).sum(),
        text(r, "steering_policy"),
        interval,
    );
    Some((LineId::Cloudflare, part))
}

fn pool_nodes(estate: &Estate, pool: &Resource) -> u64 {
    let per_zone = count(pool, "initial_node_count", count(pool, "node_count", 1));
    let zones = pool
        .values
        .at("node_locations")
        .and_then(Value::as_list)
        .map(<[Value]>::len)
        .filter(|zones| *zones > 0);
    per_zone * zones.map_or_else(|| estate.gke_factor(), |zones| zones as u64)
}

fn node_pool(estate: &Estate, pool: &Resource, load: Load) -> Part {
    let disk_type = Some(text(pool, "node_config.0.disk_type")).filter(|kind| !kind.is_empty());
    Part::GkeNodes(
        text(pool, "node_config.0.machine_type"),
        load.gcp_nodes.unwrap_or_else(|| pool_nodes(estate, pool)),
        count(pool, "node_config.0.disk_size_gb", 100),
        disk_type.unwrap_or_else(|| "pd-balanced".to_owned()),
    )
}
