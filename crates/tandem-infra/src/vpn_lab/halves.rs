//! Both halves of the link, each read from its own cloud's resources.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::Value;

use crate::phases::terraform::resources;
use crate::secret::Secret;

/// Tunnels of the link.
pub const TUNNELS: u8 = 4;

/// Algorithms that Cloud VPN offers for IKEv2 and that the modules allow; the
/// Terraform resource has no argument for them.
const CLOUD_VPN: Proposal<'static> = Proposal {
    encryption: &["AES128-GCM-16", "AES256-GCM-16", "AES128", "AES256"],
    integrity: &["SHA2-256", "SHA2-384", "SHA2-512"],
    groups: &[14, 15, 16, 18, 19, 20, 21],
};

struct Proposal<'a> {
    encryption: &'a [&'a str],
    integrity: &'a [&'a str],
    groups: &'a [u64],
}

/// What one side would accept in one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// In AWS's words: `AES256-GCM-16`.
    pub encryption: Vec<String>,
    /// `SHA2-512`.
    pub integrity: Vec<String>,
    /// Diffie-Hellman group numbers.
    pub groups: Vec<u64>,
}

impl From<&Proposal<'_>> for Offer {
    fn from(from: &Proposal<'_>) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            encryption: owned(from.encryption),
            integrity: owned(from.integrity),
            groups: from.groups.to_vec(),
        }
    }
}

/// One end of one tunnel, as its own side is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Our address on the internet.
    pub outside: Ipv4Addr,
    /// Where we expect the other.
    pub peer_outside: Ipv4Addr,
    /// Our address in the tunnel.
    pub inside: Ipv4Addr,
    /// The other's address in the tunnel.
    pub peer_inside: Ipv4Addr,
    /// The AS number that we expect of the other.
    pub peer_asn: u64,
    /// The key.
    pub key: Secret,
    /// For the IKE SA.
    pub ike: Offer,
    /// For the data.
    pub esp: Offer,
}

/// One cloud's half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// Our AS number.
    pub asn: u64,
    /// Ranges where machines of ours live.
    pub networks: Vec<String>,
    /// Ranges that we advertise.
    pub advertised: Vec<String>,
    /// Our ends, by tunnel.
    pub ends: BTreeMap<u8, End>,
}

/// Both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halves {
    /// From AWS's resources alone.
    pub aws: Half,
    /// From GCP's resources alone.
    pub gcp: Half,
}

/// What is not there or has another shape.
pub type Lacking = String;

/// The managed resources of one type: their values.
struct State<'a>(Vec<&'a Value>);

impl<'a> State<'a> {
    fn all(&self, kind: &'a str) -> impl Iterator<Item = &'a Value> + '_ {
        let of_kind = self.0.iter().filter(move |row| row["type"] == kind);
        of_kind.map(|row| &row["values"])
    }

    fn one(&self, kind: &'a str) -> Result<&'a Value, Lacking> {
        self.all(kind)
            .next()
            .ok_or_else(|| format!("no {kind} in the state"))
    }
}

impl Halves {
    /// Reads both halves out of the states of `aws/dr` and `gcp/dr`.
    ///
    /// # Errors
    /// With the first thing that is lacking.
    pub fn read(aws: &Value, gcp: &Value) -> Result<Self, Lacking> {
        let mut found = resources(aws);
        found.extend(resources(gcp));
        let state = State(found);
        Ok(Self {
            aws: aws_half(&state)?,
            gcp: gcp_half(&state)?,
        })
    }
}

fn text<'a>(values: &'a Value, key: &str) -> Result<&'a str, Lacking> {
    let found = values
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    found.ok_or_else(|| format!("{key} is not known"))
}

fn number(values: &Value, key: &str) -> Result<u64, Lacking> {
    let found = &values[key];
    let number = found.as_u64().or_else(|| found.as_str()?.parse().ok());
    number.ok_or_else(|| format!("{key} is no number"))
}

fn address(values: &Value, key: &str) -> Result<Ipv4Addr, Lacking> {
    let text = text(values, key)?;
    text.parse()
        .map_err(|_| format!("{key} = {text} is no IPv4 address"))
}

fn words(values: &Value, key: &str) -> Vec<String> {
    let list = values
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    list.filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}

fn texts<'a>(rows: impl Iterator<Item = &'a Value>, key: &str) -> Vec<String> {
    rows.filter_map(|row| row.get(key)?.as_str().map(str::to_owned))
        .collect()
}

fn aws_half(state: &State<'_>) -> Result<Half, Lacking> {
    let mut connections: Vec<&Value> = state.all("aws_vpn_connection").collect();
    connections.sort_by_key(|values| {
        values["tags"]["Name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    if connections.len() != 2 {
        return Err(format!("{} AWS connections, not 2", connections.len()));
    }
    let mut ends = BTreeMap::new();
    for (index, values) in connections.into_iter().enumerate() {
        let gateway = state
            .all("aws_customer_gateway")
            .find(|gateway| gateway["id"] == values["customer_gateway_id"])
            .ok_or("a connection without its customer gateway")?;
        for tunnel in 1..=2_u8 {
            let key = u8::try_from(index).expect("two connections") * 2 + tunnel - 1;
            ends.insert(key, aws_end(values, gateway, tunnel)?);
        }
    }
    let networks = texts(state.all("aws_vpc"), "cidr_block");
    Ok(Half {
        asn: number(state.one("aws_vpn_gateway")?, "amazon_side_asn")?,
        // A VPN gateway advertises the VPC's ranges, always.
        advertised: networks.clone(),
        networks,
        ends,
    })
}

fn aws_end(values: &Value, gateway: &Value, tunnel: u8) -> Result<End, Lacking> {
    let of = |name: &str| format!("tunnel{tunnel}_{name}");
    let offer = |phase: u8| Offer {
        encryption: words(values, &of(&format!("phase{phase}_encryption_algorithms"))),
        integrity: words(values, &of(&format!("phase{phase}_integrity_algorithms"))),
        groups: values[of(&format!("phase{phase}_dh_group_numbers"))]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .collect(),
    };
    Ok(End {
        outside: address(values, &of("address"))?,
        peer_outside: address(gateway, "ip_address")?,
        inside: address(values, &of("vgw_inside_address"))?,
        peer_inside: address(values, &of("cgw_inside_address"))?,
        peer_asn: number(gateway, "bgp_asn")?,
        key: Secret::new(text(values, &of("preshared_key"))?),
        ike: offer(1),
        esp: offer(2),
    })
}

fn gcp_half(state: &State<'_>) -> Result<Half, Lacking> {
    let bgp = &state.one("google_compute_router")?["bgp"][0];
    let mut ends = BTreeMap::new();
    for tunnel in state.all("google_compute_vpn_tunnel") {
        let key = number(tunnel, "peer_external_gateway_interface")?;
        let key = u8::try_from(key).map_err(|_| "an interface above 255")?;
        ends.insert(key, gcp_end(state, tunnel)?);
    }
    if ends.len() != usize::from(TUNNELS) {
        return Err(format!(
            "{} GCP tunnels to different peer interfaces, not 4",
            ends.len()
        ));
    }
    let subnets: Vec<&Value> = state.all("google_compute_subnetwork").collect();
    let nodes = texts(subnets.iter().copied(), "ip_cidr_range");
    let secondary = subnets
        .iter()
        .filter_map(|subnet| subnet["secondary_ip_range"].as_array())
        .flatten();
    let mut networks = nodes.clone();
    networks.extend(texts(secondary, "ip_cidr_range"));
    networks.extend(
        state
            .all("google_compute_global_address")
            .filter_map(reserved),
    );
    // That the group covers secondary ranges is not known, so it is not counted.
    let group = words(bgp, "advertised_groups")
        .iter()
        .any(|group| group == "ALL_SUBNETS");
    let mut advertised = if group { nodes } else { Vec::new() };
    advertised.extend(texts(
        bgp["advertised_ip_ranges"].as_array().into_iter().flatten(),
        "range",
    ));
    advertised.sort();
    advertised.dedup();
    Ok(Half {
        asn: number(bgp, "asn")?,
        networks,
        advertised,
        ends,
    })
}

/// The range of the private services (Cloud SQL, Memorystore).
fn reserved(values: &Value) -> Option<String> {
    (values["purpose"] == "VPC_PEERING").then_some(())?;
    let (address, bits) = (
        values["address"].as_str()?,
        values["prefix_length"].as_u64()?,
    );
    (!address.is_empty()).then(|| format!("{address}/{bits}"))
}

fn gcp_end(state: &State<'_>, tunnel: &Value) -> Result<End, Lacking> {
    let name = text(tunnel, "name")?;
    let interface = state
        .all("google_compute_router_interface")
        .find(|interface| {
            interface["vpn_tunnel"] == tunnel["name"] || interface["vpn_tunnel"] == tunnel["id"]
        })
        .ok_or_else(|| format!("{name} without a router interface"))?;
    let peer = state
        .all("google_compute_router_peer")
        .find(|peer| peer["interface"] == interface["name"])
        .ok_or_else(|| format!("{name} without a router peer"))?;
    let range = text(interface, "ip_range")?;
    let inside = range.split('/').next().unwrap_or_default();
    let gateways = [
        (
            "google_compute_ha_vpn_gateway",
            "vpn_interfaces",
            "vpn_gateway_interface",
        ),
        (
            "google_compute_external_vpn_gateway",
            "interface",
            "peer_external_gateway_interface",
        ),
    ];
    let [outside, peer_outside] =
        gateways.map(|(kind, list, key)| interface_address(state, kind, list, &tunnel[key]));
    Ok(End {
        outside: outside?,
        peer_outside: peer_outside?,
        inside: inside.parse().map_err(|_| format!("{range} is no range"))?,
        peer_inside: address(peer, "peer_ip_address")?,
        peer_asn: number(peer, "peer_asn")?,
        key: Secret::new(text(tunnel, "shared_secret")?),
        ike: Offer::from(&CLOUD_VPN),
        esp: Offer::from(&CLOUD_VPN),
    })
}

fn interface_address(
    state: &State<'_>,
    kind: &str,
    list: &str,
    id: &Value,
) -> Result<Ipv4Addr, Lacking> {
    let mut gateways = state.0.iter().filter(|row| row["type"] == kind);
    let interfaces = gateways
        .next()
        .and_then(|row| row["values"][list].as_array());
    let found = interfaces
        .into_iter()
        .flatten()
        .find(|interface| interface["id"] == *id);
    let found = found.ok_or_else(|| format!("{kind} has no interface {id}"))?;
    address(found, "ip_address")
}

/// The guide's values, wired right: what the lab shows where nothing is applied yet.
pub fn example() -> Halves {
    let offer = Offer {
        encryption: vec!["AES256-GCM-16".to_owned()],
        integrity: vec!["SHA2-512".to_owned()],
        groups: vec![21],
    };
    let mut aws = BTreeMap::new();
    let mut gcp = BTreeMap::new();
    for tunnel in 0..TUNNELS {
        let outside = Ipv4Addr::new(198, 51, 100, 1 + tunnel);
        let interface = Ipv4Addr::new(203, 0, 113, 10 + tunnel / 2);
        let inside = |host: u8| Ipv4Addr::new(169, 254, 10 + tunnel / 2, 4 * (tunnel % 2) + host);
        let key = Secret::new(format!("k{tunnel}ExampleKeyOfTheLabOnly"));
        let end = End {
            outside,
            peer_outside: interface,
            inside: inside(1),
            peer_inside: inside(2),
            peer_asn: 65_000,
            key,
            ike: offer.clone(),
            esp: offer.clone(),
        };
        let other = End {
            outside: interface,
            peer_outside: outside,
            inside: inside(2),
            peer_inside: inside(1),
            peer_asn: 64_512,
            ike: Offer::from(&CLOUD_VPN),
            esp: Offer::from(&CLOUD_VPN),
            ..end.clone()
        };
        aws.insert(tunnel, end);
        gcp.insert(tunnel, other);
    }
    let half = |asn, ranges: &[&str], ends| Half {
        asn,
        networks: ranges.iter().map(|range| (*range).to_owned()).collect(),
        advertised: ranges.iter().map(|range| (*range).to_owned()).collect(),
        ends,
    };
    let gcp_ranges = [
        "10.20.0.0/20",
        "10.21.0.0/16",
        "10.22.0.0/20",
        "10.23.0.0/20",
    ];
    Halves {
        aws: half(64_512, &["10.30.0.0/16"], aws),
        gcp: half(65_000, &gcp_ranges, gcp),
    }
}
