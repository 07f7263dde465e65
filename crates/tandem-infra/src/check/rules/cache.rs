//! Redis on both sides.

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "memorystore-read-replicas",
        topic: Topic::Cache,
        severity: Severity::Error,
        title: "Memorystore replicas have the mode they need",
        why: "The API refuses it: \"Setting replica count requires read-replicas-mode to be READ_REPLICAS_ENABLED\"; the mode cannot be changed later.",
        formula: "replica_count > 0 needs READ_REPLICAS_ENABLED, STANDARD_HA and 5 GB",
        source: "google_redis_instance.read_replicas_mode",
        remedy: "memorystore_read_replicas_mode = \"READ_REPLICAS_ENABLED\" at creation",
        check: read_replicas,
    },
    Rule {
        id: "cache-cluster-settings",
        topic: Topic::Cache,
        severity: Severity::Warning,
        title: "a single shard is not addressed as a cluster",
        why: "A cluster client asks for CLUSTER SLOTS, which neither service answers for a single shard.",
        formula: "REDIS_NODES is empty when num_cache_clusters counts replicas of one shard",
        source: "Memorystore blocks CLUSTER; ElastiCache cluster mode disabled",
        remedy: "leave REDIS_NODES empty and use REDIS_HOST",
        check: cluster_settings,
    },
    Rule {
        id: "cache-failover",
        topic: Topic::Cache,
        severity: Severity::Error,
        title: "each cache survives the loss of a node",
        why: "Without a replica the loss of one node empties the cache and the database takes every miss.",
        formula: "automatic failover on, Multi-AZ on, nodes >= 2; Memorystore tier STANDARD_HA",
        source: "ElastiCache replication groups; Memorystore tiers",
        remedy: "elasticache_automatic_failover_enabled and multi_az_enabled = true with at least 2 nodes; memorystore_tier = STANDARD_HA",
        check: failover,
    },
];

fn read_replicas(estate: &Estate) -> Outcome {
    let gcp = &estate.gcp;
    let replicas = gcp.count("memorystore_replica_count")?;
    if replicas == 0 {
        return judge(Vec::new(), "no read replicas");
    }
    let mode = gcp
        .text("memorystore_read_replicas_mode")
        .unwrap_or_else(|_| "unset".to_owned());
    let tier = gcp
        .text("memorystore_tier")
        .unwrap_or_else(|_| "unset".to_owned());
    let size = gcp.count("memorystore_memory_size_gb").unwrap_or(0);
    let numbers = format!("{replicas} replicas, mode {mode}, tier {tier}, {size} GB");
    let right = mode == "READ_REPLICAS_ENABLED" && tier == "STANDARD_HA" && size >= 5;
    let found = Found::at(
        gcp.place("memorystore_replica_count"),
        format!("{replicas} replicas"),
        format!("the API refuses it: {numbers}"),
    );
    judge(if right { vec![] } else { vec![found] }, numbers)
}

fn cluster_settings(estate: &Estate) -> Outcome {
    estate.aws.setting("app_env")?;
    let nodes = estate
        .aws
        .entry("app_env", "REDIS_NODES")
        .unwrap_or_default();
    let redirects = estate.aws.entry("app_env", "REDIS_MAX_REDIRECTS");
    let shown = redirects.map_or_else(String::new, |count| {
        format!(" and REDIS_MAX_REDIRECTS = {count}")
    });
    let found = Found::at(
        estate.aws.place("app_env"),
        "the client reaches the cache",
        format!("REDIS_NODES is set{shown}: cluster client settings for single-shard caches"),
    );
    judge(
        if nodes.is_empty() {
            vec![]
        } else {
            vec![found]
        },
        "no cluster client settings",
    )
}

fn failover(estate: &Estate) -> Outcome {
    let (aws, gcp) = (&estate.aws, &estate.gcp);
    if !aws.has("elasticache_node_type") && !gcp.has("memorystore_tier") {
        return Err(Missing("cache settings".to_owned()));
    }
    let mut found = Vec::new();
    for key in [
        "elasticache_automatic_failover_enabled",
        "elasticache_multi_az_enabled",
    ] {
        if aws.flag(key) == Ok(false) {
            found.push(Found::at(
                aws.place(key),
                "the cache survives a node",
                format!("{key} = false"),
            ));
        }
    }
    if let Ok(nodes) = aws.count("elasticache_num_cache_clusters")
        && nodes < 2
    {
        found.push(Found::at(
            aws.place("elasticache_num_cache_clusters"),
            "the cache survives a node",
            format!("{nodes} node(s)"),
        ));
    }
    if let Ok(tier) = gcp.text("memorystore_tier")
        && tier != "STANDARD_HA"
    {
        found.push(Found::at(
            gcp.place("memorystore_tier"),
            "the cache survives a node",
            format!("tier {tier} has no replica"),
        ));
    }
    judge(found, "both caches have replicas in other zones")
}
