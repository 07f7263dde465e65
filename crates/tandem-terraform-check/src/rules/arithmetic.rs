//! Rules that need more than a pattern: ranges of addresses, sums of times, sets of keys.

use std::net::Ipv4Addr;

use rmpv::Value;

use crate::value::{is_unknown, member, number};

/// A rule on one scope; the path is what the table's row names.
pub(super) type Function = fn(&Value, &str) -> Option<bool>;

const FUNCTIONS: &[(&str, Function)] = &[
    ("inside_range", inside_range),
    ("network_address", network_address),
    ("monitor_rests", monitor_rests),
    ("weights_are_pools", weights_are_pools),
    ("peer_interfaces", peer_interfaces),
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<Function> {
    let row = FUNCTIONS.iter().find(|row| row.0 == name);
    row.map(|row| row.1)
}

/// The ranges that AWS keeps for itself.
const RESERVED_INSIDE: &[[u8; 4]] = &[
    [169, 254, 0, 0],
    [169, 254, 1, 0],
    [169, 254, 2, 0],
    [169, 254, 3, 0],
    [169, 254, 4, 0],
    [169, 254, 5, 0],
    [169, 254, 169, 252],
];

fn text<'a>(scope: &'a Value, path: &str) -> Option<Option<&'a str>> {
    match member(scope, path) {
        value if is_unknown(value) => None,
        value => Some(value.as_str().filter(|text| !text.is_empty())),
    }
}

fn parse(cidr: &str) -> Option<(Ipv4Addr, u32)> {
    let (address, bits) = cidr.split_once('/')?;
    let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
    Some((address.parse().ok()?, bits))
}

fn is_network(cidr: &str) -> bool {
    let Some((address, bits)) = parse(cidr) else {
        return false;
    };
    let hosts = u32::MAX.checked_shr(bits).unwrap_or(0);
    u32::from(address) & hosts == 0
}

/// A /30 of 169.254.0.0/16 that AWS leaves free.
fn inside_range(scope: &Value, path: &str) -> Option<bool> {
    let Some(cidr) = text(scope, path)? else {
        return Some(true);
    };
    let fits = parse(cidr).is_some_and(|(address, bits)| {
        let octets = address.octets();
        bits == 30 && octets[..2] == [169, 254] && !RESERVED_INSIDE.contains(&octets)
    });
    Some(fits && is_network(cidr))
}

/// A range that begins at its network address.
fn network_address(scope: &Value, path: &str) -> Option<bool> {
    Some(text(scope, path)?.is_none_or(is_network))
}

/// A monitor's interval is longer than all its attempts together.
fn monitor_rests(scope: &Value, _: &str) -> Option<bool> {
    let read = |name, default| match member(scope, name) {
        value if is_unknown(value) => None,
        value => Some(number(value).unwrap_or(default)),
    };
    let (interval, retries) = (read("interval", 60.0)?, read("retries", 2.0)?);
    Some(interval > (retries + 1.0) * read("timeout", 5.0)?)
}

/// Pool weights belong to pools that the load balancer uses.
fn weights_are_pools(scope: &Value, path: &str) -> Option<bool> {
    let pools = member(scope, "default_pool_ids").as_array()?;
    if pools.iter().any(is_unknown) {
        return None;
    }
    let blocks = member(scope, path).as_array()?;
    let weights = blocks
        .iter()
        .filter_map(|block| match member(block, "pool_weights") {
            Value::Map(weights) => Some(weights),
            _ => None,
        });
    Some(weights.flatten().all(|(pool, _)| pools.contains(pool)))
}

/// The ids that each kind of external gateway has.
fn peer_interfaces(scope: &Value, path: &str) -> Option<bool> {
    let expected: &[u64] = match text(scope, "redundancy_type")?? {
        "FOUR_IPS_REDUNDANCY" => &[0, 1, 2, 3],
        "TWO_IPS_REDUNDANCY" => &[0, 1],
        _ => &[0],
    };
    let interfaces = member(scope, path).as_array()?;
    let ids = interfaces
        .iter()
        .map(|interface| member(interface, "id").as_u64());
    let mut ids: Vec<u64> = ids.collect::<Option<_>>()?;
    ids.sort_unstable();
    Some(ids == expected)
}
