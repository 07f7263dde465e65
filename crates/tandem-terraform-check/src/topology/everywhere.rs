//! What must hold in every place alike: the same ports for the members of etcd, and the tags by which
//! costs and owners are found.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Estate, Findings, expect, resources, text};

/// Ports that the estate is applied with; other than the defaults, so that a lost one shows.
pub(super) const ETCD_CLIENT: u16 = 12_379;
pub(super) const ETCD_PEER: u16 = 12_380;
pub(super) const AGENT: u16 = 18_400;

/// Each place has one member that listens where the others look for it.
pub(super) fn members(estate: &Estate) -> Findings {
    let mut found = vec![];
    for (place, state, kind, boot) in [
        ("aws", &estate.aws, "aws_instance", "/user_data"),
        (
            "gcp",
            &estate.gcp,
            "google_compute_instance",
            "/metadata/user-data",
        ),
        ("witness", &estate.witness, "aws_instance", "/user_data"),
    ] {
        let machines = resources(state, kind);
        expect(&mut found, machines.len() == 1, || {
            format!("{place} has {} members of etcd, not 1", machines.len())
        });
        for machine in machines.values() {
            let boot = machine
                .pointer(boot)
                .and_then(Json::as_str)
                .unwrap_or_default();
            for (what, port) in [("client", ETCD_CLIENT), ("peer", ETCD_PEER)] {
                let listens = boot.contains(&format!(":{port}"));
                expect(&mut found, listens, || {
                    format!("{place}: the member does not listen on the {what} port {port}")
                });
            }
        }
    }
    found
}

/// Each place lets the others in on those ports.
pub(super) fn openings(estate: &Estate) -> Findings {
    let mut found = vec![];
    for (place, state) in [
        ("aws", &estate.aws),
        ("gcp", &estate.gcp),
        ("witness", &estate.witness),
    ] {
        let open = open_ports(state);
        for port in [ETCD_CLIENT, ETCD_PEER, AGENT] {
            expect(&mut found, open.contains(&port.to_string()), || {
                format!("{place}: nobody is let in on port {port}")
            });
        }
    }
    found
}

fn open_ports(state: &Json) -> BTreeSet<String> {
    let rules = resources(state, "aws_vpc_security_group_ingress_rule");
    let mut open: BTreeSet<String> = rules
        .values()
        .map(|rule| rule["from_port"].to_string())
        .collect();
    for firewall in resources(state, "google_compute_firewall").values() {
        let allowed = firewall["allow"].as_array().into_iter().flatten();
        let ports = allowed.flat_map(|one| one["ports"].as_array().into_iter().flatten());
        open.extend(ports.filter_map(|port| port.as_str().map(str::to_owned)));
    }
    open
}

/// Every resource of AWS's that has tags of its own has the project's too.
pub(super) fn tags(estate: &Estate) -> Findings {
    let mut found = vec![];
    let mut modules = vec![&estate.aws["values"]["root_module"]];
    let mut tagged = 0;
    // A module is taken once, and a state is a finite tree.
    while let Some(module) = modules.pop() {
        for resource in module["resources"].as_array().into_iter().flatten() {
            let tags = resource["values"]["tags"].as_object();
            let owned = text(resource, "type").starts_with("aws_") && resource["mode"] == "managed";
            if let (true, Some(tags)) = (owned, tags) {
                tagged += 1;
                let names: BTreeSet<&str> = tags.keys().map(String::as_str).collect();
                let whole = ["project", "environment"]
                    .iter()
                    .all(|name| names.contains(name));
                expect(&mut found, whole, || {
                    format!("{} has the tags {names:?} alone", text(resource, "address"))
                });
            }
        }
        modules.extend(module["child_modules"].as_array().into_iter().flatten());
    }
    expect(&mut found, tagged > 20, || {
        format!("{tagged} resources of AWS have tags, not more than 20")
    });
    found
}

/// The same of GCP's, whose labels have three names; a provider's default reaches the first alone.
pub(super) fn labels(estate: &Estate) -> Findings {
    let mut found = vec![];
    for (kind, place) in [
        ("google_compute_instance", "/labels"),
        ("google_container_cluster", "/resource_labels"),
        ("google_redis_instance", "/labels"),
        ("google_secret_manager_secret", "/labels"),
        ("google_sql_database_instance", "/settings/0/user_labels"),
    ] {
        let all = resources(&estate.gcp, kind);
        expect(&mut found, !all.is_empty(), || format!("GCP has no {kind}"));
        for (address, resource) in all {
            let labels = resource.pointer(place).and_then(Json::as_object);
            let owned = labels.is_some_and(|labels| labels.contains_key("project"));
            expect(&mut found, owned, || {
                format!("{address} has no label of the project in {place}")
            });
        }
    }
    found
}
