use serde_json::json;

use super::*;
use crate::cut;
use crate::value::unknown;

fn check(kind: &str, config: Json, expected: &[&str]) {
    let rules = committed().expect("the table");
    let found = rules.check(kind, &from_json(&config));
    let details: Vec<&str> = found
        .iter()
        .map(|complaint| complaint.detail.as_str())
        .collect();
    assert_eq!(found.len(), expected.len(), "{kind} {config}: {details:?}");
    for (detail, part) in details.iter().zip(expected) {
        assert!(detail.contains(part), "{detail} does not say {part}");
    }
}

#[test]
fn the_table_names_only_what_exists() {
    let rules = committed().expect("the table");
    let providers = cut::committed().expect("the cut");
    rules.check_names(&providers).expect("every name exists");
    assert!(rules.count() >= 60, "{} rules", rules.count());
}

#[test]
fn wrong_rows_are_refused() {
    let providers = cut::committed().expect("the cut");
    let table = |row: Json| serde_json::from_value::<Rules>(json!([row]));
    let say = "x";
    let bad = table(json!({"on": "aws_vpc", "must": {"path": "no_such", "set": true}, "say": say}))
        .expect("a table");
    assert!(bad.check_names(&providers).is_err());
    let bad =
        table(json!({"on": "aws_vpc", "must": {"path": "id", "function": "no_such"}, "say": say}))
            .expect("a table");
    assert!(bad.check_names(&providers).is_err());
    assert!(
        table(json!({"on": "aws_vpc", "must": {"path": "id", "matches": "("}, "say": say}))
            .is_err()
    );
    assert!(table(json!({"on": "aws_vpc", "must": {"path": "id", "odd": 1}, "say": say})).is_err());
}

#[test]
fn the_guides_values_are_refused() {
    let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
    check(
        "aws_vpn_connection",
        json!({"type": "ipsec.1", "vpn_gateway_id": "v", "tunnel1_preshared_key": key, "tunnel1_inside_cidr": "169.254.0.0/30"}),
        &["tunnel1_preshared_key", "tunnel1_inside_cidr"],
    );
    check(
        "aws_elasticache_replication_group",
        json!({"replication_group_id": "crm", "auth_token": "your_strong_auth_token_min_16"}),
        &["16 to 128", "TLS"],
    );
    check(
        "aws_eks_cluster",
        json!({"name": "c", "version": "1.29"}),
        &["in support"],
    );
    check(
        "google_redis_instance",
        json!({"memory_size_gb": 10, "replica_count": 2, "tier": "STANDARD_HA"}),
        &["READ_REPLICAS_ENABLED"],
    );
    check(
        "google_container_node_pool",
        json!({"autoscaling": [{"max_node_count": 10, "total_max_node_count": 10}]}),
        &["not both"],
    );
    check(
        "aws_db_parameter_group",
        json!({"family": "postgres15", "parameter": [
            {"name": "rds.force_ssl", "value": "1", "apply_method": null},
            {"name": "rds.logical_replication", "value": "1", "apply_method": "immediate"}]}),
        &["parameter[1].apply_method"],
    );
    check(
        "cloudflare_load_balancer_monitor",
        json!({"type": "https", "interval": 15, "timeout": 5, "retries": 2, "header": []}),
        &["(retries + 1)", "Host"],
    );
    check(
        "aws_db_instance",
        json!({"engine_version": "15", "password": "a/b@c12345", "skip_final_snapshot": false}),
        &["final_snapshot", "without /"],
    );
}

#[test]
fn right_values_pass() {
    check(
        "aws_vpn_connection",
        json!({"type": "ipsec.1", "vpn_gateway_id": "v", "tunnel1_preshared_key": "k0123456789", "tunnel1_inside_cidr": "169.254.10.4/30"}),
        &[],
    );
    check(
        "google_compute_external_vpn_gateway",
        json!({"name": "x", "redundancy_type": "FOUR_IPS_REDUNDANCY", "interface": [{"id": 3}, {"id": 1}, {"id": 0}, {"id": 2}]}),
        &[],
    );
    check("aws_vpc", json!({"cidr_block": "10.30.0.0/16"}), &[]);
    check(
        "aws_vpc",
        json!({"cidr_block": "10.30.0.1/16"}),
        &["network address"],
    );
    check(
        "aws_vpc",
        json!({"cidr_block": "10.30.0.0/8"}),
        &["network address", "/16 to /28"],
    );
}

#[test]
fn doubt_passes() {
    let rules = committed().expect("the table");
    let config = Value::Map(vec![
        (Value::from("type"), Value::from("ipsec.1")),
        (Value::from("vpn_gateway_id"), unknown()),
        (Value::from("transit_gateway_id"), Value::Nil),
        (Value::from("tunnel1_preshared_key"), unknown()),
        (Value::from("tunnel1_inside_cidr"), unknown()),
    ]);
    assert_eq!(rules.check("aws_vpn_connection", &config), []);
    let gateway = Value::Map(vec![
        (
            Value::from("redundancy_type"),
            Value::from("FOUR_IPS_REDUNDANCY"),
        ),
        (Value::from("interface"), unknown()),
    ]);
    assert_eq!(
        rules.check("google_compute_external_vpn_gateway", &gateway),
        []
    );
}
