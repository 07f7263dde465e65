//! Addresses, routes and tunnels between the clouds.

use std::net::Ipv4Addr;

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};
use crate::read::Place;
use crate::read::environment::Environment;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "cidr-overlap",
        topic: Topic::Network,
        severity: Severity::Error,
        title: "no address range overlaps another",
        why: "Overlapping ranges cannot be routed through the tunnels; the nearer one wins.",
        formula: "VPC, subnet, pods, services and private services ranges are pairwise disjoint",
        source: "HA VPN and VPC routing",
        remedy: "choose disjoint ranges of RFC 1918",
        check: overlap,
    },
    Rule {
        id: "cidr-inside",
        topic: Topic::Network,
        severity: Severity::Error,
        title: "subnets lie inside their VPC and in two zones",
        why: "AWS refuses subnets outside of the VPC; Multi-AZ needs subnets in two zones.",
        formula: "each subnet within vpc_cidr; zones >= 2; one public and one private subnet a zone",
        source: "Amazon VPC: subnet sizing; RDS DB subnet groups",
        remedy: "correct the range, or add a zone with its subnets",
        check: inside,
    },
    Rule {
        id: "vpn-far-ranges",
        topic: Topic::Network,
        severity: Severity::Error,
        title: "AWS lets in every range of GCP that must reach it",
        why: "With the node range alone, pods and Cloud SQL are shut out: replication through the tunnels never connects.",
        formula: "gcp_vpc_cidr and gcp_additional_cidrs cover subnet, pods, services and private services ranges",
        source: "VPC-native clusters: pods use their own range; Cloud SQL connects from the private services range",
        remedy: "gcp_additional_cidrs = [pods range, services range, private services range]",
        check: far_ranges,
    },
    Rule {
        id: "vpn-enabled",
        topic: Topic::Network,
        severity: Severity::Warning,
        title: "the private link between the clouds is on",
        why: "Replication and forwarded writes go through the tunnels; without them the second cloud has no data.",
        formula: "enable_vpn = true",
        source: "phase 4 of the guide",
        remedy: "enable_vpn = true in vpn.auto.tfvars once the GCP network exists",
        check: enabled,
    },
    Rule {
        id: "vpn-network-id",
        topic: Topic::Network,
        severity: Severity::Error,
        title: "the AWS side names the network that GCP creates",
        why: "The id is typed by hand; a typing error is found at apply, after the gateway stands.",
        formula: "projects/<project_id>/global/networks/<network_name>, equal to the gcp environment's",
        source: "google_compute_network.id",
        remedy: "copy output network_id of the gcp environment",
        check: network_id,
    },
    Rule {
        id: "vpn-keys",
        topic: Topic::Network,
        severity: Severity::Warning,
        title: "four tunnels have four keys",
        why: "Two connections have two tunnels each; two keys leave two tunnels without one, or are used twice.",
        formula: "keys = 4, or none (AWS makes valid ones)",
        source: "AWS site-to-site VPN to HA VPN: 99.99 % needs all four tunnels",
        remedy: "vpn_preshared_keys with the keys \"0\" to \"3\", or leave all keys out",
        check: keys,
    },
    Rule {
        id: "vpn-key-form",
        topic: Topic::Network,
        severity: Severity::Error,
        title: "AWS accepts the pre-shared keys",
        why: "base64 keys end in `=` and hold `+` and `/`: AWS refuses every one of them.",
        formula: "8 to 64 characters of 0-9 A-Z a-z . _, the first not 0",
        source: "AWS site-to-site VPN tunnel options",
        remedy: "printf 'k%s' \"$(openssl rand -hex 24)\", or leave the key out and let AWS make it",
        check: key_form,
    },
];

/// An IPv4 range.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.trim().split_once('/')?;
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        let host = u32::MAX.checked_shr(bits).unwrap_or(0);
        let first = u32::from(address.parse::<Ipv4Addr>().ok()?);
        (first & host == 0).then_some(Self {
            first,
            last: first | host,
        })
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn holds(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

const RANGES: [(&str, &str); 5] = [
    ("aws", "vpc_cidr"),
    ("gcp", "subnet_ip_cidr_range"),
    ("gcp", "subnet_secondary_pods_cidr"),
    ("gcp", "subnet_secondary_services_cidr"),
    ("gcp", "private_services_cidr"),
];

fn side<'a>(estate: &'a Estate, name: &str) -> &'a Environment {
    if name == "aws" {
        &estate.aws
    } else {
        &estate.gcp
    }
}

/// The ranges that are set: name, text, place.
fn named_ranges(estate: &Estate) -> Vec<(&'static str, String, Place)> {
    let set = |&(name, key): &(&str, &'static str)| {
        let environment = side(estate, name);
        environment
            .text(key)
            .ok()
            .filter(|text| !text.is_empty())
            .map(|text| (key, text, environment.place(key)))
    };
    RANGES.iter().filter_map(set).collect()
}

fn overlap(estate: &Estate) -> Outcome {
    let named = named_ranges(estate);
    if named.is_empty() {
        return Err(Missing("address ranges".to_owned()));
    }
    let mut found = Vec::new();
    for (index, (key, text, place)) in named.iter().enumerate() {
        let Some(range) = Range::parse(text) else {
            found.push(Found::at(
                place.clone(),
                "an address range",
                format!("{key} = {text} is no range, or has host bits set"),
            ));
            continue;
        };
        for (other_key, other_text, _) in &named[index + 1..] {
            if Range::parse(other_text).is_some_and(|other| range.overlaps(other)) {
                let computed = format!("{key} {text} overlaps {other_key} {other_text}");
                found.push(Found::at(
                    place.clone(),
                    "ranges that can be routed",
                    computed,
                ));
            }
        }
    }
    judge(found, format!("{} ranges are disjoint", named.len()))
}

fn inside(estate: &Estate) -> Outcome {
    let aws = &estate.aws;
    let vpc_text = aws.text("vpc_cidr")?;
    let vpc =
        Range::parse(&vpc_text).ok_or_else(|| Missing("a vpc_cidr that is a range".to_owned()))?;
    let zones = aws.list("availability_zones").unwrap_or_default().len();
    let mut found = Vec::new();
    for key in ["public_subnet_cidrs", "private_subnet_cidrs"] {
        let subnets = aws.list(key).unwrap_or_default();
        let outside = subnets
            .iter()
            .filter(|text| !Range::parse(text).is_some_and(|range| vpc.holds(range)));
        found.extend(outside.map(|text| {
            Found::at(
                aws.place(key),
                "subnets of the VPC",
                format!("{text} is not inside {vpc_text}"),
            )
        }));
        if zones > 0 && subnets.len() != zones {
            let computed = format!("{} subnets for {zones} zones", subnets.len());
            found.push(Found::at(aws.place(key), "one subnet a zone", computed));
        }
    }
    if zones == 1 {
        found.push(Found::at(
            aws.place("availability_zones"),
            "Multi-AZ",
            "one zone only",
        ));
    }
    judge(found, format!("subnets in {zones} zones inside {vpc_text}"))
}

fn far_ranges(estate: &Estate) -> Outcome {
    let mut admitted = estate.aws.list("gcp_vpc_cidr")?;
    admitted.extend(estate.aws.list("gcp_additional_cidrs").unwrap_or_default());
    let admitted: Vec<Range> = admitted
        .iter()
        .filter_map(|text| Range::parse(text))
        .collect();
    let far = named_ranges(estate)
        .into_iter()
        .filter(|(key, _, _)| *key != "vpc_cidr");
    let shut_out: Vec<String> = far
        .filter(|(_, text, _)| {
            Range::parse(text).is_some_and(|range| !admitted.iter().any(|wide| wide.holds(range)))
        })
        .map(|(key, text, _)| format!("{key} {text}"))
        .collect();
    let private_services = if estate.gcp.has("private_services_cidr") {
        ""
    } else {
        "; the range of Cloud SQL is not stated at all (private_services_cidr)"
    };
    let computed = format!("not admitted: {}{private_services}", shut_out.join(", "));
    let found = Found::at(
        estate.aws.place("gcp_vpc_cidr"),
        "pods and Cloud SQL reach RDS through the tunnels",
        computed,
    );
    judge(
        if shut_out.is_empty() {
            vec![]
        } else {
            vec![found]
        },
        "every range of GCP is admitted",
    )
}

fn enabled(estate: &Estate) -> Outcome {
    let enabled = estate.aws.flag("enable_vpn")?;
    let found = Found::at(
        estate.aws.place("enable_vpn"),
        "the database is replicated over a private link",
        "enable_vpn = false: there is no link",
    );
    judge(if enabled { vec![] } else { vec![found] }, "the VPN is on")
}

fn network_id(estate: &Estate) -> Outcome {
    let id = estate.aws.text("gcp_network_id")?;
    let parts: Vec<&str> = id.split('/').collect();
    let place = estate.aws.place("gcp_network_id");
    let promise = "tunnels into the network that GCP creates";
    let ["projects", project, "global", "networks", network] = parts.as_slice() else {
        let computed = format!("`{id}` is not projects/<project>/global/networks/<network>");
        return judge(vec![Found::at(place, promise, computed)], "");
    };
    let mut found = Vec::new();
    for (key, ours) in [("project_id", project), ("network_name", network)] {
        if let Ok(theirs) = estate.gcp.text(key)
            && theirs != **ours
        {
            let computed = format!("{id} names {ours}, the gcp environment's {key} is {theirs}");
            found.push(Found::at(place.clone(), promise, computed));
        }
    }
    judge(found, format!("{id} is the gcp environment's network"))
}

/// The pre-shared keys that are set: key of the setting and the secret.
fn preshared(estate: &Estate) -> Vec<(String, String)> {
    let aws = &estate.aws;
    let single = ["vpn_tunnel1_preshared_key", "vpn_tunnel2_preshared_key"];
    let mut keys: Vec<(String, String)> = single
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), aws.text(key).ok()?)))
        .collect();
    if let Ok(setting) = aws.setting("vpn_preshared_keys") {
        let pairs = setting.value.as_map().unwrap_or_default();
        keys.extend(pairs.iter().filter_map(|(index, key)| {
            Some((format!("vpn_preshared_keys.{index}"), key.as_text()?))
        }));
    }
    keys.retain(|(_, secret)| !secret.is_empty());
    keys
}

fn keys(estate: &Estate) -> Outcome {
    if !estate.aws.present {
        return Err(Missing("the aws environment".to_owned()));
    }
    let keys = preshared(estate);
    let count = keys.len();
    let place = keys.first().map_or_else(Place::default, |(key, _)| {
        estate.aws.place(key.split('.').next().unwrap_or(key))
    });
    let computed = format!("{count} key(s) for 2 connections x 2 tunnels = 4 tunnels");
    let found = Found::at(place, "four tunnels, each with its own key", computed);
    judge(
        if count == 0 || count == 4 {
            vec![]
        } else {
            vec![found]
        },
        format!("{count} keys for 4 tunnels"),
    )
}

/// What AWS accepts as pre-shared key.
fn accepted(key: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_';
    (8..=64).contains(&key.len()) && !key.starts_with('0') && key.bytes().all(legal)
}

fn key_form(estate: &Estate) -> Outcome {
    let keys = preshared(estate);
    if keys.is_empty() {
        return judge(Vec::new(), "no key is set: AWS makes valid ones");
    }
    let refused = keys.iter().filter(|(_, secret)| !accepted(secret));
    // The secret itself never appears in a report: its length and the kind of fault are enough.
    let found = refused.map(|(key, secret)| {
        let bad: Vec<String> = secret
            .chars()
            .filter(|c| !(c.is_ascii_alphanumeric() || *c == '.' || *c == '_'))
            .map(|c| format!("`{c}`"))
            .take(1)
            .collect();
        let why = match bad.first() {
            Some(c) if c.is_ascii() => format!("it holds {c}"),
            Some(_) => "it holds a character outside of ASCII".to_owned(),
            None => format!(
                "it has {} characters or starts with 0",
                secret.chars().count()
            ),
        };
        let place = estate.aws.place(key.split('.').next().unwrap_or(key));
        Found::at(
            place,
            "tunnels come up",
            format!("AWS refuses {key}: {why}"),
        )
    });
    judge(
        found.collect(),
        format!("{} keys have the right form", keys.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range = |text| Range::parse(text).unwrap();
        assert!(range("10.0.0.0/8").holds(range("10.20.0.0/20")));
        assert!(!range("10.20.0.0/20").overlaps(range("10.21.0.0/16")));
        assert!(range("0.0.0.0/0").overlaps(range("10.0.0.1/32")));
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "x/8", ""] {
            assert!(Range::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn keys_as_aws_sees_them() {
        assert!(accepted("k0123456789abcdef._"));
        for bad in [
            "short",
            "0startswithzero",
            "ends/in+base64==",
            &"a".repeat(65),
        ] {
            assert!(!accepted(bad), "{bad}");
        }
    }
}
