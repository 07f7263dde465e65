//! Takes over what was made by following the guide by hand.
//!
//! Intuition: a person who followed the guide has resources under addresses of
//! their own. Our plan would create all of them again. Each planned creation is
//! matched with what stands there, by its type and by what makes it itself (its
//! name or its range), and becomes an `import` block (another state) or a
//! `moved` block (the same state).
//! Invariant: a match is unambiguous or it is none; what is not matched is told,
//! because a second database is worse than a message.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::phases::terraform::resources;

mod ids;
mod replaced;
mod routes;

pub use replaced::{Replaced, replaced};

/// What makes a resource of a type itself, beside the type. Each is enough.
///
/// Node groups are not among them: ours differ in what cannot be changed (their launch template), so
/// those that stand stay beside ours until a person has drained them.
const IDENTITY: [(&str, &[&str]); 16] = [
    ("aws_cloudwatch_log_group", &["name"]),
    ("aws_db_instance", &["identifier"]),
    ("aws_db_subnet_group", &["name"]),
    ("aws_eks_cluster", &["name"]),
    ("aws_elasticache_parameter_group", &["name"]),
    (
        "aws_elasticache_replication_group",
        &["replication_group_id"],
    ),
    ("aws_elasticache_subnet_group", &["name"]),
    ("aws_iam_role", &["name"]),
    ("aws_lb", &["name"]),
    ("aws_subnet", &["cidr_block"]),
    ("aws_vpc", &["cidr_block"]),
    ("google_compute_global_address", &["name", "address"]),
    ("google_compute_subnetwork", &["name", "ip_cidr_range"]),
    ("google_sql_database", &["name"]),
    ("google_sql_database_instance", &["name"]),
    ("google_sql_user", &["name"]),
];

/// Types of which a site has one: the only one there and the only one planned belong together.
const SINGLE: [&str; 11] = [
    "aws_db_instance",
    "aws_eks_cluster",
    "aws_elasticache_replication_group",
    "aws_internet_gateway",
    "aws_lb",
    "aws_vpc",
    "google_compute_network",
    "google_container_cluster",
    "google_redis_instance",
    "google_service_networking_connection",
    "google_sql_database_instance",
];

/// One resource that stands and one that is planned, taken for the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Where it stands in the old state.
    pub from: String,
    /// Where the plan would make it.
    pub to: String,
    /// Its id for an import.
    pub id: String,
    /// What must be equal before the apply, or it is replaced.
    pub differs: Option<String>,
}

/// Everything that was matched and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// In the plan's order.
    pub matched: Vec<Match>,
    /// Databases, caches, clusters and networks that stand and have no place in the plan.
    pub left: Vec<String>,
    /// Everything that stands and has no place in the plan, those included.
    pub others: Vec<String>,
}

/// A resource of either side.
struct Thing<'a> {
    address: &'a str,
    kind: &'a str,
    values: &'a Value,
}

/// Matches an old state (`terraform show -json`) with a plan of the new root.
pub fn matches(old_state: &Value, plan: &Value) -> Matches {
    let rows = resources(old_state);
    let old: Vec<Thing<'_>> = rows.iter().filter_map(|row| thing(row, "values")).collect();
    let new = created(plan);
    let mut used = BTreeSet::new();
    let mut found = Matches::default();
    for thing in &new {
        let stands = partner(thing, &old, &new);
        if let Some(one) = stands.and_then(|stands| matched(stands, thing))
            && used.insert(one.from.clone())
        {
            found.matched.push(one);
        }
    }
    let planned: BTreeMap<&str, &Thing<'_>> =
        new.iter().map(|thing| (thing.address, thing)).collect();
    for (stands, to) in routes::of_subnets(&found.matched, &old) {
        if let Some(one) = planned.get(to.as_str()).and_then(|to| matched(stands, to))
            && found.matched.iter().all(|known| known.to != one.to)
            && used.insert(one.from.clone())
        {
            found.matched.push(one);
        }
    }
    for thing in old.iter().filter(|thing| !used.contains(thing.address)) {
        found.others.push(thing.address.to_owned());
        if SINGLE.contains(&thing.kind) {
            found.left.push(thing.address.to_owned());
        }
    }
    found
}

/// What the plan would make.
fn created(plan: &Value) -> Vec<Thing<'_>> {
    let planned = plan.get("resource_changes").and_then(Value::as_array);
    let created = planned
        .into_iter()
        .flatten()
        .filter(|row| row["change"]["actions"] == serde_json::json!(["create"]));
    let thing = |row| {
        Some(Thing {
            values: Value::pointer(row, "/change/after")?,
            ..thing(row, "type")?
        })
    };
    created.filter_map(thing).collect()
}

fn thing<'a>(row: &'a Value, values: &str) -> Option<Thing<'a>> {
    Some(Thing {
        address: row.get("address")?.as_str()?,
        kind: row.get("type")?.as_str()?,
        values: row.get(values)?,
    })
}

fn partner<'a>(
    wanted: &Thing<'_>,
    old: &'a [Thing<'a>],
    new: &[Thing<'_>],
) -> Option<&'a Thing<'a>> {
    let of_kind: Vec<&Thing<'_>> = old
        .iter()
        .filter(|thing| thing.kind == wanted.kind)
        .collect();
    let planned = new.iter().filter(|thing| thing.kind == wanted.kind).count();
    let equal: Vec<&&Thing<'_>> = of_kind
        .iter()
        .filter(|thing| is_same(thing, wanted))
        .collect();
    match (equal.as_slice(), of_kind.as_slice()) {
        ([one], _) => Some(one),
        ([], [one]) if planned == 1 && SINGLE.contains(&wanted.kind) => Some(one),
        _ => None,
    }
}

/// The attributes that make a type itself.
fn identity(kind: &str) -> &'static [&'static str] {
    let found = IDENTITY.iter().find(|row| row.0 == kind);
    found.map_or(&[], |row| row.1)
}

fn is_same(old: &Thing<'_>, new: &Thing<'_>) -> bool {
    identity(old.kind)
        .iter()
        .any(|key| old.values[*key].is_string() && old.values[*key] == new.values[*key])
}

/// The pair, unless the state does not hold what an import asks for.
fn matched(old: &Thing<'_>, new: &Thing<'_>) -> Option<Match> {
    let differing = identity(old.kind)
        .iter()
        .find(|key| new.values[**key].is_string() && old.values[**key] != new.values[**key]);
    let differs = differing.map(|key| {
        let variable = replaced::keeps(old.kind, key).unwrap_or("the variable");
        format!(
            "{key} is {} and would be {}: set {variable} to what stands",
            old.values[*key], new.values[*key]
        )
    });
    Some(Match {
        from: old.address.to_owned(),
        to: new.address.to_owned(),
        id: ids::import_id(old.kind, old.values)?,
        differs,
    })
}

/// The blocks as a `.tf` file: `moved` for the same state, `import` for another.
///
/// In the same state everything else is forgotten and stays as it is: without these blocks, the next
/// apply would destroy it.
pub fn blocks(matches: &Matches, same_state: bool) -> String {
    let mut out = String::new();
    for found in &matches.matched {
        if let Some(differs) = &found.differs {
            let _ = writeln!(out, "# {differs}, or it is renamed or replaced");
        }
        if same_state && found.from != found.to {
            let _ = writeln!(
                out,
                "moved {{\n  from = {}\n  to   = {}\n}}\n",
                found.from, found.to
            );
        } else if !same_state {
            let id = serde_json::Value::from(found.id.as_str());
            let _ = writeln!(out, "import {{\n  to = {}\n  id = {id}\n}}\n", found.to);
        }
    }
    if same_state {
        forget(&mut out, &matches.others);
    }
    out
}

/// One `removed` block (Terraform 1.7) for each resource, whatever its instances.
fn forget(out: &mut String, addresses: &[String]) {
    let bases = addresses.iter().map(|address| without_keys(address));
    for base in bases.collect::<BTreeSet<String>>() {
        let _ = writeln!(
            out,
            "removed {{\n  from = {base}\n\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
        );
    }
}

/// An address without its instance keys: `module.a["x"].aws_vpc.b[0]` is `module.a.aws_vpc.b`.
fn without_keys(address: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut quoted) = (0_usize, false);
    for letter in address.chars() {
        match letter {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            letter if depth == 0 => out.push(letter),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(rows: &[Value]) -> Value {
        json!({"values": {"root_module": {"resources": rows}}})
    }

    fn old(address: &str, kind: &str, values: Value) -> Value {
        json!({"address": address, "type": kind, "mode": "managed", "values": values})
    }

    fn new(address: &str, kind: &str, after: Value) -> Value {
        json!({"address": address, "type": kind, "change": {"actions": ["create"], "after": after}})
    }

    #[test]
    fn what_stands_is_moved_and_what_differs_is_told() {
        let old = state(&[
            old(
                "aws_vpc.main",
                "aws_vpc",
                json!({"id": "vpc-1", "cidr_block": "10.30.0.0/16"}),
            ),
            old(
                "aws_subnet.a",
                "aws_subnet",
                json!({"id": "subnet-a", "cidr_block": "10.30.0.0/24"}),
            ),
            old(
                "aws_subnet.b",
                "aws_subnet",
                json!({"id": "subnet-b", "cidr_block": "10.30.1.0/24"}),
            ),
            old(
                "aws_db_instance.crm",
                "aws_db_instance",
                json!({"id": "db-1", "identifier": "crm"}),
            ),
            old(
                "aws_lb.old",
                "aws_lb",
                json!({"id": "arn:lb", "name": "old"}),
            ),
        ]);
        let plan = json!({"resource_changes": [
            new("module.network.aws_vpc.this[0]", "aws_vpc", json!({"cidr_block": "10.30.0.0/16"})),
            new("module.network.aws_subnet.public[\"b\"]", "aws_subnet", json!({"cidr_block": "10.30.1.0/24"})),
            new("module.rds.aws_db_instance.this", "aws_db_instance", json!({"identifier": "crm-dr"})),
        ]});
        let found = matches(&old, &plan);
        assert_eq!(found.left, ["aws_lb.old"]);
        let text = blocks(&found, true);
        assert!(
            text.contains("from = aws_subnet.b\n  to   = module.network.aws_subnet.public[\"b\"]"),
            "{text}"
        );
        assert!(
            text.contains(
                "# identifier is \"crm\" and would be \"crm-dr\": set rds_identifier to what stands"
            ),
            "{text}"
        );
        assert!(
            text.contains("removed {\n  from = aws_lb.old\n\n  lifecycle {\n    destroy = false"),
            "{text}"
        );
        let text = blocks(&found, false);
        assert!(!text.contains("removed"), "{text}");
        assert!(
            text.contains("import {\n  to = module.network.aws_vpc.this[0]\n  id = \"vpc-1\"\n}"),
            "{text}"
        );
    }

    #[test]
    fn what_hangs_on_a_subnet_comes_along() {
        let old = state(&[
            old(
                "aws_subnet.a[0]",
                "aws_subnet",
                json!({"id": "subnet-a", "cidr_block": "10.30.0.0/24"}),
            ),
            old(
                "aws_route_table.t",
                "aws_route_table",
                json!({"id": "rtb-1"}),
            ),
            old(
                "aws_route.r",
                "aws_route",
                json!({"route_table_id": "rtb-1", "destination_cidr_block": "0.0.0.0/0"}),
            ),
            old(
                "aws_route_table_association.x",
                "aws_route_table_association",
                json!({"id": "rtbassoc-1", "subnet_id": "subnet-a", "route_table_id": "rtb-1"}),
            ),
            old(
                "aws_nat_gateway.n",
                "aws_nat_gateway",
                json!({"id": "nat-1", "subnet_id": "subnet-a", "allocation_id": "eipalloc-1"}),
            ),
            old("aws_eip.e", "aws_eip", json!({"id": "eipalloc-1"})),
        ]);
        let planned = |address: &str, kind: &str| new(address, kind, json!({}));
        let plan = json!({"resource_changes": [
            new("module.n.aws_subnet.public[\"a\"]", "aws_subnet", json!({"cidr_block": "10.30.0.0/24"})),
            planned("module.n.aws_route_table.public", "aws_route_table"),
            planned("module.n.aws_route.public_internet", "aws_route"),
            planned("module.n.aws_route_table_association.public[\"a\"]", "aws_route_table_association"),
            planned("module.n.aws_nat_gateway.this[\"a\"]", "aws_nat_gateway"),
            planned("module.n.aws_eip.nat[\"a\"]", "aws_eip"),
        ]});
        let found = matches(&old, &plan);
        assert_eq!((found.matched.len(), found.others.len()), (6, 0));
        let ids: Vec<&str> = found.matched.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "subnet-a",
                "subnet-a/rtb-1",
                "rtb-1",
                "rtb-1_0.0.0.0/0",
                "nat-1",
                "eipalloc-1"
            ]
        );
    }

    #[test]
    fn keys_are_no_part_of_a_resource() {
        for (address, base) in [
            ("aws_vpc.main", "aws_vpc.main"),
            ("aws_subnet.a[0]", "aws_subnet.a"),
            (
                "module.n[\"x[1].y\"].aws_subnet.a[\"b\"]",
                "module.n.aws_subnet.a",
            ),
        ] {
            assert_eq!(without_keys(address), base);
        }
    }

    #[test]
    fn doubt_is_no_match() {
        let two = state(&[
            old(
                "aws_db_instance.a",
                "aws_db_instance",
                json!({"id": "a", "identifier": "a"}),
            ),
            old(
                "aws_db_instance.b",
                "aws_db_instance",
                json!({"id": "b", "identifier": "b"}),
            ),
        ]);
        let plan = json!({"resource_changes": [new("aws_db_instance.this", "aws_db_instance", json!({"identifier": "c"}))]});
        let found = matches(&two, &plan);
        assert_eq!((found.matched.len(), found.left.len()), (0, 2));
    }
}
