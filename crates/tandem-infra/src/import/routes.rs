//! What hangs on a subnet: its route table, the way out, the NAT gateway.
//!
//! Intuition: route tables have no name of their own. Who knows which subnet is which knows their
//! tables too, because AWS gives a subnet one association and an association one table.
//! Invariant: only what our network module plans under the subnet's own name and zone is paired.

use super::{Match, Thing};

/// A resource that stands and the address that takes it over.
type Pair<'a> = (&'a Thing<'a>, String);

/// Everything that hangs on the subnets that were matched.
pub(super) fn of_subnets<'a>(matched: &[Match], old: &'a [Thing<'a>]) -> Vec<Pair<'a>> {
    let subnet = |found: &Match| {
        let (prefix, place) = found.to.rsplit_once("aws_subnet.")?;
        let (name, key) = place.split_at(place.find('[')?);
        Some(of_subnet(old, &found.id, prefix, name, key))
    };
    matched.iter().filter_map(subnet).flatten().collect()
}

fn of_subnet<'a>(
    old: &'a [Thing<'a>],
    id: &str,
    prefix: &str,
    name: &str,
    key: &str,
) -> Vec<Pair<'a>> {
    let find = |kind: &str, member: &str, value: &str| {
        let mut of_kind = old.iter().filter(|thing| thing.kind == kind);
        of_kind.find(|thing| thing.values[member] == value)
    };
    let mut pairs = vec![];
    // A public table is shared by all zones and has no key.
    let mut pair = |thing: &'a Thing<'a>, name: &str| {
        let address = format!("{prefix}{}.{name}", thing.kind);
        pairs.push((thing, format!("{address}{key}")));
        pairs.push((thing, address));
    };
    if let Some(link) = find("aws_route_table_association", "subnet_id", id) {
        pair(link, name);
        let table = link.values["route_table_id"].as_str().unwrap_or_default();
        if let Some(table) = find("aws_route_table", "id", table) {
            pair(table, name);
        }
        if let Some(route) = find("aws_route", "route_table_id", table) {
            pair(route, &format!("{name}_internet"));
        }
    }
    if let Some(nat) = find("aws_nat_gateway", "subnet_id", id) {
        pair(nat, "this");
        let address = nat.values["allocation_id"].as_str().unwrap_or_default();
        if let Some(address) = find("aws_eip", "id", address) {
            pair(address, "nat");
        }
    }
    pairs
}
