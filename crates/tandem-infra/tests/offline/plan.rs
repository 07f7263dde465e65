//! A plan says the same as variables: rules and prices read both.

use serde_json::{Value, json};
use tandem_infra::check;
use tandem_infra::cost::{self, LineId, Sources, Status};
use tandem_infra::estate::Estate;

use crate::support::today;

fn resource(address: &str, kind: &str, values: &Value) -> Value {
    json!({"address": address, "mode": "managed", "type": kind, "name": "this", "values": values})
}

fn gcp_plan() -> Value {
    let resources = [
        resource(
            "google_container_cluster.this",
            "google_container_cluster",
            &json!({"location": "asia-northeast3"}),
        ),
        resource(
            "google_sql_database_instance.this",
            "google_sql_database_instance",
            &json!({
                "database_version": "POSTGRES_15",
                "settings": [{"tier": "db-custom-4-15360", "availability_type": "REGIONAL", "disk_size": 200}],
            }),
        ),
        resource(
            "google_compute_network.this",
            "google_compute_network",
            &json!({}),
        ),
        resource(
            "google_storage_bucket.dump",
            "google_storage_bucket",
            &json!({}),
        ),
        resource(
            "google_bigtable_instance.odd",
            "google_bigtable_instance",
            &json!({}),
        ),
        json!({"address": "data.google_project.this", "mode": "data", "type": "google_project", "values": {}}),
    ];
    let nested = [
        resource(
            "module.gke.google_container_node_pool.this",
            "google_container_node_pool",
            &json!({
                "initial_node_count": 5,
                "node_locations": ["asia-northeast3-a", "asia-northeast3-b", "asia-northeast3-c"],
                "autoscaling": [{"min_node_count": 3, "max_node_count": 10}],
                "node_config": [{"machine_type": "n2-standard-16", "disk_size_gb": 200}],
            }),
        ),
        resource(
            "module.cache.google_redis_instance.this",
            "google_redis_instance",
            &json!({
                "tier": "STANDARD_HA", "memory_size_gb": 10, "replica_count": 2,
            }),
        ),
    ];
    json!({
        "format_version": "1.2",
        "variables": {"region": {"value": "asia-northeast3"}},
        "planned_values": {"root_module": {
            "resources": resources,
            "child_modules": [{"address": "module.gke", "resources": nested}],
        }},
    })
}

fn estate(plan: &Value) -> Estate {
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("gcp/dr");
    std::fs::create_dir_all(&environment).unwrap();
    std::fs::write(environment.join("plan.json"), plan.to_string()).unwrap();
    Estate::read(
        folder.path(),
        None,
        check::suppress::Settings::default(),
        today(),
    )
    .unwrap()
}

#[test]
fn every_planned_resource_lands_somewhere() {
    let breakdown = cost::breakdown(&estate(&gcp_plan()), &Sources::default());
    let status = |address: &str| {
        let all = breakdown.lines.iter().flat_map(|line| &line.resources);
        all.into_iter()
            .find(|priced| priced.item.address == address)
            .map(|priced| priced.status)
    };
    assert_eq!(
        status("google_sql_database_instance.this"),
        Some(Status::Priced)
    );
    assert_eq!(status("google_compute_network.this"), Some(Status::Free));
    assert_eq!(
        status("google_storage_bucket.dump"),
        Some(Status::UsageBased)
    );
    assert_eq!(
        status("google_bigtable_instance.odd"),
        Some(Status::Unknown)
    );
    assert_eq!(status("data.google_project.this"), None);
    let monthly = |id| {
        breakdown
            .lines
            .iter()
            .find(|line| line.id == id)
            .unwrap()
            .monthly
            .to_string()
    };
    assert_eq!(monthly(LineId::GkeNodes), "9132.42");
    assert_eq!(monthly(LineId::CloudSql), "601.30");
    assert_eq!(monthly(LineId::Memorystore), "768.69");
}

#[test]
fn rules_read_planned_attributes() {
    let report = check::run(&estate(&gcp_plan()));
    let finding = report
        .findings()
        .find(|finding| finding.id == "memorystore-read-replicas")
        .unwrap();
    assert_eq!(finding.place.file, "gcp/dr/plan.json");
    assert_eq!(
        finding.place.key,
        "module.cache.google_redis_instance.this.replica_count"
    );
    assert!(
        finding.computed.contains("mode unset"),
        "{}",
        finding.computed
    );

    let mut plan = gcp_plan();
    plan["planned_values"]["root_module"]["child_modules"][0]["resources"][1]["values"]["read_replicas_mode"] =
        json!("READ_REPLICAS_ENABLED");
    let report = check::run(&estate(&plan));
    assert!(
        !report
            .findings()
            .any(|finding| finding.id == "memorystore-read-replicas")
    );
}

#[test]
fn what_is_no_plan_is_a_finding() {
    for text in ["{}", "[1]", "null", "{\"planned_values\": 5}", "{", ""] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("gcp/dr")).unwrap();
        std::fs::write(folder.path().join("gcp/dr/plan.json"), text).unwrap();
        let estate = Estate::read(
            folder.path(),
            None,
            check::suppress::Settings::default(),
            today(),
        )
        .unwrap();
        let report = check::run(&estate);
        let syntax = report
            .findings()
            .filter(|finding| finding.id == "file-syntax")
            .count();
        assert_eq!(syntax, usize::from(!text.contains('5')), "{text}");
    }
}
