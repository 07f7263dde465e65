//! Three applied states as one system: does AWS's half fit GCP's, and does the edge point at both?
//!
//! Intuition: each environment can be right alone and still not meet the others, like two ends of a
//! bridge. So the checks read the applied states together, resource by resource.
//! Invariant: what is absent is a finding, never a pass: each check names how many it must see.

mod everywhere;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::error::Error;
use crate::harness::{self, Scratch};
use crate::server::Providers;
use crate::terraform::Terraform;

/// The applied states, as `terraform show -json` prints them.
pub struct Estate {
    /// `environments/aws/dr`, with the VPN.
    pub aws: Json,
    /// `environments/gcp/dr`.
    pub gcp: Json,
    /// `environments/global/cloudflare-lb`.
    pub edge: Json,
    /// `environments/global/witness`.
    pub witness: Json,
}

/// The environments that are looked at together.
pub const ROOTS: [&str; 4] = [
    "environments/aws/dr",
    "environments/gcp/dr",
    "environments/global/cloudflare-lb",
    "environments/global/witness",
];

/// Applies them, each with what the others put out: GCP first, then AWS with the VPN, then the rest.
pub fn build(terraform: &Terraform, providers: &Providers, tree: &Path) -> Result<Estate, Error> {
    let scratch = Scratch::copy(tree)?;
    let apply = |place: &str, run: &str, given: &[(&str, &Json)]| {
        let folder = scratch.path(place);
        scratch.init(terraform, providers, place)?;
        let settings = harness::settings(&folder)?;
        let found = settings.into_iter().find(|setting| setting.name == run);
        let mut setting = found.ok_or_else(|| Error::Output {
            command: format!("reading the tests of {place}"),
            problem: format!("no run is called {run}"),
        })?;
        setting.replace(given);
        harness::apply(terraform, providers, &folder, &setting)?;
        harness::state(terraform, providers, &folder)
    };
    let ports = json!({
        "etcd_client": everywhere::ETCD_CLIENT,
        "etcd_peer": everywhere::ETCD_PEER,
        "agent": everywhere::AGENT,
    });
    let ports = ("ports", &ports);
    let witness = json!([everywhere::WITNESS]);
    let witness = ("witness_cidrs", &witness);
    let site = "the_site_fits_together";
    let gcp = apply("environments/gcp/dr", site, &[ports, witness])?;
    let network = output(&gcp, "network_id");
    let aws = apply(
        "environments/aws/dr",
        site,
        &[("gcp_network_id", network), ports, witness],
    )?;
    let origins = [
        ("aws_alb_dns_name", output(&aws, "alb_dns_name")),
        ("gcp_lb_ip", output(&gcp, "lb_ip")),
    ];
    let edge = apply("environments/global/cloudflare-lb", "as_it_comes", &origins)?;
    let sites: Vec<String> = [&aws, &gcp].map(everywhere::public_ranges).concat();
    let sites = ("site_cidrs", &json!(sites));
    let witness = apply(
        "environments/global/witness",
        "third_place",
        &[ports, sites],
    )?;
    Ok(Estate {
        aws,
        gcp,
        edge,
        witness,
    })
}

type Findings = Vec<String>;

/// What does not fit.
pub fn check(estate: &Estate) -> Findings {
    let checks = [
        tunnels,
        addresses,
        as_numbers,
        ranges,
        routes,
        slots,
        origins,
        owned_by_the_runtime,
        everywhere::members,
        everywhere::openings,
        everywhere::tags,
        everywhere::labels,
    ];
    checks.iter().flat_map(|check| check(estate)).collect()
}

/// The values of all resources of a type, by address.
pub fn resources<'a>(state: &'a Json, kind: &str) -> BTreeMap<&'a str, &'a Json> {
    let mut found = BTreeMap::new();
    let mut modules = vec![&state["values"]["root_module"]];
    // A module is taken once, and a state is a finite tree.
    while let Some(module) = modules.pop() {
        for resource in module["resources"].as_array().into_iter().flatten() {
            if resource["type"] == kind && resource["mode"] == "managed" {
                let address = resource["address"].as_str().unwrap_or_default();
                found.insert(address, &resource["values"]);
            }
        }
        modules.extend(module["child_modules"].as_array().into_iter().flatten());
    }
    found
}

fn output<'a>(state: &'a Json, name: &str) -> &'a Json {
    &state["values"]["outputs"][name]["value"]
}

fn expect(found: &mut Findings, holds: bool, told: impl FnOnce() -> String) {
    if !holds {
        found.push(told());
    }
}

fn text<'a>(value: &'a Json, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// One tunnel as AWS has it.
struct Half {
    outside: String,
    aws_inside: String,
    gcp_inside: String,
    key: String,
    gateway: String,
}

/// AWS's four tunnels, by outside address.
fn halves(estate: &Estate) -> BTreeMap<String, Half> {
    let mut found = BTreeMap::new();
    for connection in resources(&estate.aws, "aws_vpn_connection").values() {
        for tunnel in ["tunnel1", "tunnel2"] {
            let read = |part: &str| text(connection, &format!("{tunnel}_{part}")).to_owned();
            let half = Half {
                outside: read("address"),
                aws_inside: read("vgw_inside_address"),
                gcp_inside: read("cgw_inside_address"),
                key: read("preshared_key"),
                gateway: text(connection, "customer_gateway_id").to_owned(),
            };
            found.insert(half.outside.clone(), half);
        }
    }
    found
}

/// The outside address that GCP's peer interface has.
fn peer_address(estate: &Estate, interface: &Json) -> String {
    let gateways = resources(&estate.aws, "google_compute_external_vpn_gateway");
    let interfaces = gateways
        .values()
        .flat_map(|gateway| gateway["interface"].as_array().into_iter().flatten());
    let mut mine = interfaces.filter(|candidate| candidate["id"] == *interface);
    mine.next()
        .map(|found| text(found, "ip_address").to_owned())
        .unwrap_or_default()
}

/// Four tunnels, each with its own pair of interfaces, its key and its gateway.
fn tunnels(estate: &Estate) -> Findings {
    let mut found = vec![];
    let halves = halves(estate);
    let tunnels = resources(&estate.aws, "google_compute_vpn_tunnel");
    expect(&mut found, halves.len() == 4, || {
        format!("AWS has {} distinct tunnels, not 4", halves.len())
    });
    expect(&mut found, tunnels.len() == 4, || {
        format!("GCP has {} tunnels, not 4", tunnels.len())
    });
    let pair = |tunnel: &Json| {
        let number = |name: &str| tunnel[name].as_u64();
        (
            number("vpn_gateway_interface"),
            number("peer_external_gateway_interface"),
        )
    };
    let pairs: BTreeSet<_> = tunnels.values().map(|tunnel| pair(tunnel)).collect();
    let wanted: BTreeSet<_> = [(0, 0), (0, 1), (1, 2), (1, 3)]
        .map(|(own, peer)| (Some(own), Some(peer)))
        .into();
    expect(&mut found, pairs == wanted, || {
        format!("interfaces are paired as {pairs:?}, not as (0,0) (0,1) (1,2) (1,3)")
    });
    for (address, tunnel) in &tunnels {
        let outside = peer_address(estate, &tunnel["peer_external_gateway_interface"]);
        match halves.get(&outside) {
            None => found.push(format!(
                "{address} leads to {outside:?}, which is no tunnel of AWS"
            )),
            Some(half) => {
                let key = text(tunnel, "shared_secret");
                expect(&mut found, !key.is_empty() && key == half.key, || {
                    format!("{address}: the keys of both sides differ")
                });
                expect(&mut found, gateway_fits(estate, tunnel, half), || {
                    format!("{address}: AWS expects it from another interface of GCP's gateway")
                });
            }
        }
    }
    found
}

/// AWS's customer gateway of a tunnel is the interface that GCP sends from.
fn gateway_fits(estate: &Estate, tunnel: &Json, half: &Half) -> bool {
    let gateways = resources(&estate.aws, "aws_customer_gateway");
    let customer = gateways
        .values()
        .find(|gateway| text(gateway, "id") == half.gateway);
    let own = resources(&estate.aws, "google_compute_ha_vpn_gateway");
    let at = tunnel["vpn_gateway_interface"]
        .as_u64()
        .and_then(|at| usize::try_from(at).ok());
    let sends = own
        .values()
        .next()
        .zip(at)
        .map(|(gateway, at)| text(&gateway["vpn_interfaces"][at], "ip_address"));
    customer
        .is_some_and(|customer| sends == Some(text(customer, "ip_address")) && sends != Some(""))
}

fn named<'a>(all: &BTreeMap<&str, &'a Json>, name: &str) -> Option<&'a Json> {
    let mut values = all.values();
    values.find(|value| text(value, "name") == name).copied()
}

/// BGP's addresses are mirrored, distinct and on the right tunnel.
fn addresses(estate: &Estate) -> Findings {
    let mut found = vec![];
    let halves = halves(estate);
    let tunnels = resources(&estate.aws, "google_compute_vpn_tunnel");
    let interfaces = resources(&estate.aws, "google_compute_router_interface");
    let peers = resources(&estate.aws, "google_compute_router_peer");
    expect(&mut found, peers.len() == 4, || {
        format!("GCP has {} BGP sessions, not 4", peers.len())
    });
    let ends: BTreeSet<&str> = halves
        .values()
        .map(|half| half.gcp_inside.as_str())
        .collect();
    expect(&mut found, ends.len() == 4, || {
        "two tunnels share an inside range".into()
    });
    for (address, peer) in &peers {
        let interface = named(&interfaces, text(peer, "interface"));
        let tunnel = interface.and_then(|interface| named(&tunnels, text(interface, "vpn_tunnel")));
        let half = tunnel.and_then(|tunnel| {
            halves.get(&peer_address(
                estate,
                &tunnel["peer_external_gateway_interface"],
            ))
        });
        let (Some(interface), Some(half)) = (interface, half) else {
            found.push(format!("{address} belongs to no tunnel"));
            continue;
        };
        let mirrored = text(peer, "ip_address") == half.gcp_inside
            && text(peer, "peer_ip_address") == half.aws_inside;
        expect(&mut found, mirrored, || {
            format!("{address}: its addresses are not AWS's, mirrored")
        });
        let own = format!("{}/30", half.gcp_inside);
        expect(&mut found, text(interface, "ip_range") == own, || {
            format!("{address}: its interface is not {own}")
        });
    }
    found
}

/// Each side's number is what the other expects, and they differ.
fn as_numbers(estate: &Estate) -> Findings {
    let mut found = vec![];
    let number = |value: &Json| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let all = |kind: &str, read: fn(&Json) -> &Json| -> BTreeSet<Option<u64>> {
        resources(&estate.aws, kind)
            .values()
            .map(|value| number(read(value)))
            .collect()
    };
    let aws = all("aws_vpn_gateway", |value| &value["amazon_side_asn"]);
    let gcp = all("google_compute_router", |value| &value["bgp"][0]["asn"]);
    let aws_seen = all("google_compute_router_peer", |value| &value["peer_asn"]);
    let gcp_seen = all("aws_customer_gateway", |value| &value["bgp_asn"]);
    expect(&mut found, aws.len() == 1 && aws == aws_seen, || {
        format!("AWS's AS number is {aws:?}, GCP expects {aws_seen:?}")
    });
    expect(&mut found, gcp.len() == 1 && gcp == gcp_seen, || {
        format!("GCP's AS number is {gcp:?}, AWS expects {gcp_seen:?}")
    });
    expect(&mut found, aws != gcp, || {
        "both sides have the same AS number".into()
    });
    found
}

fn range(cidr: &str) -> Option<(u32, u32)> {
    let (address, bits) = cidr.split_once('/')?;
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let hosts = u32::MAX
        .checked_shr(bits.parse().ok().filter(|bits| *bits <= 32)?)
        .unwrap_or(0);
    Some((address & !hosts, address | hosts))
}

/// GCP's ranges by what they are for.
fn gcp_ranges(estate: &Estate) -> Vec<(String, String)> {
    let mut found = vec![];
    for subnet in resources(&estate.gcp, "google_compute_subnetwork").values() {
        found.push(("nodes".to_owned(), text(subnet, "ip_cidr_range").to_owned()));
        for secondary in subnet["secondary_ip_range"]
            .as_array()
            .into_iter()
            .flatten()
        {
            found.push((
                text(secondary, "range_name").to_owned(),
                text(secondary, "ip_cidr_range").to_owned(),
            ));
        }
    }
    for address in resources(&estate.gcp, "google_compute_global_address").values() {
        if text(address, "purpose") == "VPC_PEERING" {
            let cidr = format!("{}/{}", text(address, "address"), address["prefix_length"]);
            found.push(("private services".to_owned(), cidr));
        }
    }
    found
}

/// No two networks of the system overlap.
fn ranges(estate: &Estate) -> Findings {
    let mut found = vec![];
    let mut all = gcp_ranges(estate);
    expect(&mut found, all.len() >= 4, || {
        format!(
            "GCP has {} ranges; nodes, pods, services and private services are 4",
            all.len()
        )
    });
    let vpcs = resources(&estate.aws, "aws_vpc");
    expect(&mut found, vpcs.len() == 1, || {
        format!("AWS has {} VPCs, not 1", vpcs.len())
    });
    all.extend(
        vpcs.values()
            .map(|vpc| ("VPC".to_owned(), text(vpc, "cidr_block").to_owned())),
    );
    for (at, (name, cidr)) in all.iter().enumerate() {
        let Some((first, last)) = range(cidr) else {
            found.push(format!("{name}: {cidr:?} is no range"));
            continue;
        };
        for (other_name, other) in &all[..at] {
            let apart = range(other)
                .is_none_or(|(other_first, other_last)| last < other_first || other_last < first);
            expect(&mut found, apart, || {
                format!("{name} {cidr} overlaps {other_name} {other}")
            });
        }
    }
    found
}

/// Each side hears of every range of the other, and Cloud SQL's network too.
fn routes(estate: &Estate) -> Findings {
    let mut found = vec![];
    let routers = resources(&estate.aws, "google_compute_router");
    let bgp = routers.values().map(|router| &router["bgp"][0]);
    let advertised: BTreeSet<&str> = bgp
        .clone()
        .flat_map(|bgp| bgp["advertised_ip_ranges"].as_array().into_iter().flatten())
        .map(|range| text(range, "range"))
        .collect();
    let subnets = bgp.flat_map(|bgp| bgp["advertised_groups"].as_array().into_iter().flatten());
    let nodes = subnets.filter(|group| *group == "ALL_SUBNETS").count() == 1;
    for (name, cidr) in gcp_ranges(estate) {
        let told = advertised.contains(cidr.as_str()) || (name == "nodes" && nodes);
        expect(&mut found, told, || {
            format!("AWS never hears of {name} {cidr}")
        });
    }
    let learning: BTreeSet<&str> = resources(&estate.aws, "aws_vpn_gateway_route_propagation")
        .values()
        .map(|propagation| text(propagation, "route_table_id"))
        .collect();
    let private = output(&estate.aws, "private_route_table_ids").as_object();
    let private: BTreeSet<&str> = private
        .into_iter()
        .flatten()
        .filter_map(|(_, id)| id.as_str())
        .collect();
    expect(
        &mut found,
        !private.is_empty() && private == learning,
        || "not every private route table learns GCP's routes".into(),
    );
    let peerings = resources(&estate.gcp, "google_compute_network_peering_routes_config");
    let exported = peerings
        .values()
        .any(|peering| peering["export_custom_routes"] == true);
    expect(&mut found, exported, || {
        "Cloud SQL's network never hears of AWS: export_custom_routes is off".into()
    });
    found
}

/// Both databases keep logical slots, and do so from the first day.
fn slots(estate: &Estate) -> Findings {
    let mut found = vec![];
    let groups = resources(&estate.aws, "aws_db_parameter_group");
    let parameters = groups
        .values()
        .flat_map(|group| group["parameter"].as_array().into_iter().flatten());
    let rds: BTreeMap<&str, &str> = parameters
        .map(|one| (text(one, "name"), text(one, "value")))
        .collect();
    let instances = resources(&estate.gcp, "google_sql_database_instance");
    let flags = instances.values().flat_map(|one| {
        one["settings"][0]["database_flags"]
            .as_array()
            .into_iter()
            .flatten()
    });
    let cloud_sql: BTreeMap<&str, &str> = flags
        .map(|one| (text(one, "name"), text(one, "value")))
        .collect();
    let on =
        |table: &BTreeMap<&str, &str>, name: &str| matches!(table.get(name), Some(&("1" | "on")));
    for (place, table, switch) in [
        ("RDS", &rds, "rds.logical_replication"),
        ("Cloud SQL", &cloud_sql, "cloudsql.logical_decoding"),
    ] {
        for name in [switch, "track_commit_timestamp"] {
            expect(&mut found, on(table, name), || {
                format!("{place}: {name} is off")
            });
        }
        // RDS scales worker processes with the machine, 8 at least, so they are not set there.
        for (name, least) in [("max_replication_slots", 4), ("max_wal_senders", 4)] {
            let value = table.get(name).and_then(|value| value.parse::<u64>().ok());
            expect(
                &mut found,
                value.is_some_and(|value| value >= least),
                || format!("{place}: {name} is {value:?}, at least {least} are needed"),
            );
        }
    }
    let replica = instances
        .values()
        .any(|one| !text(one, "master_instance_name").is_empty());
    expect(&mut found, instances.len() == 1 && !replica, || {
        "Cloud SQL is not one ordinary instance".into()
    });
    found
}

/// The edge points at what the clouds put out.
fn origins(estate: &Estate) -> Findings {
    let mut found = vec![];
    let pools = resources(&estate.edge, "cloudflare_load_balancer_pool");
    let origins = pools
        .values()
        .flat_map(|pool| pool["origins"].as_array().into_iter().flatten());
    let pointed: BTreeSet<&str> = origins.map(|origin| text(origin, "address")).collect();
    let wanted: BTreeSet<&str> = [
        output(&estate.aws, "alb_dns_name"),
        output(&estate.gcp, "lb_ip"),
    ]
    .into_iter()
    .filter_map(Json::as_str)
    .collect();
    expect(&mut found, wanted.len() == 2 && pointed == wanted, || {
        format!("the edge points at {pointed:?}, the clouds put out {wanted:?}")
    });
    found
}

/// What the runtime changes must differ from nothing: both pools exist and are joined in order.
fn owned_by_the_runtime(estate: &Estate) -> Findings {
    let mut found = vec![];
    let pools = resources(&estate.edge, "cloudflare_load_balancer_pool");
    let ids: BTreeSet<&str> = pools.values().map(|pool| text(pool, "id")).collect();
    let balancers = resources(&estate.edge, "cloudflare_load_balancer");
    expect(&mut found, balancers.len() == 1, || {
        format!("the edge has {} load balancers, not 1", balancers.len())
    });
    for balancer in balancers.values() {
        let defaults: BTreeSet<&str> = balancer["default_pool_ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        expect(&mut found, defaults == ids, || {
            "not every pool is a default pool".into()
        });
        let fallback = text(balancer, "fallback_pool_id");
        expect(&mut found, ids.contains(fallback), || {
            "the fallback pool is none of the pools".into()
        });
    }
    found
}
