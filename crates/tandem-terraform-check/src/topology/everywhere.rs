//! What must hold in every place alike: the same ports for the members of etcd, and the tags by which
//! costs and owners are found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{Estate, Findings, expect, gcp_ranges, output, resources, text};

/// Ports that the estate is applied with; other than the defaults, so that a lost one shows.
pub(super) const ETCD_CLIENT: u16 = 12_379;
pub(super) const ETCD_PEER: u16 = 12_380;
pub(super) const AGENT: u16 = 18_400;

/// Whom the sites let in as the witness. Who comes first, sites or witness, cannot know the others.
pub(super) const WITNESS: &str = "192.0.2.9/32";

/// The machines that carry a member: where each place's lie in its state, and their first boot.
const MACHINES: [(&str, &str, &str); 3] = [
    ("aws", "aws_instance", "/user_data"),
    ("gcp", "google_compute_instance", "/metadata/user-data"),
    ("witness", "aws_instance", "/user_data"),
];

fn state<'a>(estate: &'a Estate, place: &str) -> &'a Json {
    match place {
        "aws" => &estate.aws,
        "gcp" => &estate.gcp,
        _ => &estate.witness,
    }
}

/// etcd's settings on each machine of a place, out of the file that its first boot writes.
fn settings(estate: &Estate, place: &str) -> Vec<BTreeMap<String, String>> {
    let row = MACHINES.iter().find(|(name, _, _)| *name == place);
    let (_, kind, boot) = row.expect("one of the three");
    let read = |machine: &Json| {
        let boot = machine.pointer(boot).and_then(Json::as_str);
        let (_, boot) = boot?.split_once('\n')?;
        let boot: Json = serde_json::from_str(boot).ok()?;
        let mut files = boot["write_files"].as_array()?.iter();
        let file = files.find(|file| text(file, "path") == "/etc/default/etcd")?;
        let pairs = text(file, "content").lines();
        let pairs = pairs.filter_map(|line| line.split_once('='));
        let plain = |(name, value): (&str, &str)| (name.to_owned(), value.replace('"', ""));
        Some(pairs.map(plain).collect())
    };
    let machines = resources(state(estate, place), kind);
    let settings = machines.into_values().map(read);
    settings.map(Option::unwrap_or_default).collect()
}

/// Each place has one member that listens where the others look for it.
pub(super) fn members(estate: &Estate) -> Findings {
    let mut found = vec![];
    for (place, _, _) in MACHINES {
        let members = settings(estate, place);
        expect(&mut found, members.len() == 1, || {
            format!("{place} has {} members of etcd, not 1", members.len())
        });
        for member in members {
            for (name, port) in [
                ("ETCD_LISTEN_CLIENT_URLS", ETCD_CLIENT),
                ("ETCD_LISTEN_PEER_URLS", ETCD_PEER),
            ] {
                let url = member.get(name).map(String::as_str).unwrap_or_default();
                expect(&mut found, url.ends_with(&format!(":{port}")), || {
                    format!("{place}: the member does not listen on {port}: {name} is {url:?}")
                });
            }
        }
    }
    found
}

/// Each place lets the others in on those ports, each from where it comes.
pub(super) fn openings(estate: &Estate) -> Findings {
    let mut found = vec![];
    for (place, far) in [("aws", "gcp"), ("gcp", "aws")] {
        let open = admitted(state(estate, place));
        let ranges = private_ranges(estate, far);
        for port in [ETCD_CLIENT, AGENT] {
            lets_in(&mut found, &open, (place, far), port, &ranges);
        }
        let member = far_member(estate, place, far);
        if !open.contains(&(ETCD_PEER.to_string(), member)) {
            lets_in(&mut found, &open, (place, far), ETCD_PEER, &ranges);
        }
        for port in [ETCD_CLIENT, ETCD_PEER, AGENT] {
            let witness = [WITNESS.to_owned()];
            lets_in(&mut found, &open, (place, "witness"), port, &witness);
        }
    }
    let open = admitted(&estate.witness);
    for site in ["aws", "gcp"] {
        let sources = public_ranges(state(estate, site));
        for port in [ETCD_CLIENT, ETCD_PEER, AGENT] {
            lets_in(&mut found, &open, ("witness", site), port, &sources);
        }
    }
    found
}

/// A port and who may come to it.
type Opening = (String, String);

fn lets_in(
    found: &mut Findings,
    open: &BTreeSet<Opening>,
    (place, far): (&str, &str),
    port: u16,
    sources: &[String],
) {
    expect(found, !sources.is_empty(), || {
        format!("{far} has no range that {place} could let in on {port}")
    });
    for source in sources {
        let admitted = open.contains(&(port.to_string(), source.clone()));
        expect(found, admitted, || {
            format!("{place}: {far} ({source}) is not let in on port {port}")
        });
    }
}

/// Every opening to a range; one to a group of the same site is none for others.
fn admitted(state: &Json) -> BTreeSet<Opening> {
    let rules = resources(state, "aws_vpc_security_group_ingress_rule");
    let mut open: BTreeSet<Opening> = rules
        .values()
        .filter(|rule| rule["cidr_ipv4"].is_string())
        .map(|rule| {
            (
                rule["from_port"].to_string(),
                text(rule, "cidr_ipv4").into(),
            )
        })
        .collect();
    for firewall in resources(state, "google_compute_firewall").values() {
        let list = |value: &Json| -> Vec<String> {
            let texts = value.as_array().into_iter().flatten();
            texts.filter_map(Json::as_str).map(str::to_owned).collect()
        };
        let allowed = firewall["allow"].as_array().into_iter().flatten();
        for port in allowed.flat_map(|one| list(&one["ports"])) {
            let sources = list(&firewall["source_ranges"]).into_iter();
            open.extend(sources.map(|source| (port.clone(), source)));
        }
    }
    open
}

/// Where a site's agents and member come from through the VPN; services have no packets of their own.
fn private_ranges(estate: &Estate, site: &str) -> Vec<String> {
    if site == "aws" {
        let vpcs = resources(&estate.aws, "aws_vpc").into_values();
        return vpcs.map(|vpc| text(vpc, "cidr_block").to_owned()).collect();
    }
    let ranges = gcp_ranges(estate).into_iter();
    let speaking = ranges.filter(|(name, _)| name == "nodes" || name.contains("pods"));
    speaking.map(|(_, cidr)| cidr).collect()
}

/// Where they come from over the internet: agents through NAT, the member from its own address.
pub(super) fn public_ranges(state: &Json) -> Vec<String> {
    let nat = output(state, "nat_public_ips").as_array();
    let nat = nat.into_iter().flatten();
    let all = nat.chain([output(state, "etcd_public_ip")]);
    let all = all.filter_map(Json::as_str);
    all.map(|address| format!("{address}/32")).collect()
}

/// The far member's address, by which the place's own member knows it.
fn far_member(estate: &Estate, place: &str, far: &str) -> String {
    let own = settings(estate, place);
    let cluster = own.first().and_then(|own| own.get("ETCD_INITIAL_CLUSTER"));
    let mut members = cluster.into_iter().flat_map(|all| all.split(','));
    let url = members.find_map(|one| one.strip_prefix(&format!("{far}=https://")));
    let host = url.and_then(|url| url.split(':').next());
    format!("{}/32", host.unwrap_or_default())
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
