//! Takes over what was made by following the guide by hand.
//!
//! Intuition: a person who followed the guide has resources under addresses of
//! their own. Our plan would create all of them again. Each planned creation is
//! matched with what stands there, by its type and by what makes it itself (its
//! name or its range), and becomes an `import` block (another state) or a
//! `moved` block (the same state).
//! Invariant: a match is unambiguous or it is none; what is not matched is told,
//! because a second database is worse than a message.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::phases::terraform::resources;

/// What makes a resource of a type itself, beside the type. Each is enough.
const IDENTITY: [(&str, &[&str]); 12] = [
    ("aws_db_instance", &["identifier"]),
    ("aws_db_subnet_group", &["name"]),
    ("aws_eks_cluster", &["name"]),
    ("aws_eks_node_group", &["node_group_name"]),
    (
        "aws_elasticache_replication_group",
        &["replication_group_id"],
    ),
    ("aws_lb", &["name"]),
    ("aws_subnet", &["cidr_block"]),
    ("aws_vpc", &["cidr_block"]),
    ("google_compute_subnetwork", &["name", "ip_cidr_range"]),
    ("google_container_node_pool", &["name"]),
    ("google_sql_database", &["name"]),
    ("google_sql_user", &["name"]),
];

/// Types of which a site has one: the only one there and the only one planned belong together.
const SINGLE: [&str; 9] = [
    "aws_db_instance",
    "aws_eks_cluster",
    "aws_elasticache_replication_group",
    "aws_lb",
    "aws_vpc",
    "google_compute_network",
    "google_container_cluster",
    "google_redis_instance",
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
    let planned = plan.get("resource_changes").and_then(Value::as_array);
    let created = planned
        .into_iter()
        .flatten()
        .filter(|row| row["change"]["actions"] == serde_json::json!(["create"]));
    let new: Vec<Thing<'_>> = created
        .filter_map(|row| {
            Some(Thing {
                values: row.pointer("/change/after")?,
                ..thing(row, "type")?
            })
        })
        .collect();
    let mut used = BTreeSet::new();
    let mut found = Matches::default();
    for thing in &new {
        let stands = partner(thing, &old, &new);
        if let Some(stands) = stands.filter(|stands| used.insert(stands.address)) {
            found.matched.push(matched(stands, thing));
        }
    }
    let left = old
        .iter()
        .filter(|thing| SINGLE.contains(&thing.kind) && !used.contains(thing.address));
    found.left = left.map(|thing| thing.address.to_owned()).collect();
    found
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

fn is_same(old: &Thing<'_>, new: &Thing<'_>) -> bool {
    let keys = IDENTITY
        .iter()
        .find(|row| row.0 == old.kind)
        .map_or(&[][..], |row| row.1);
    keys.iter()
        .any(|key| old.values[*key].is_string() && old.values[*key] == new.values[*key])
}

fn matched(old: &Thing<'_>, new: &Thing<'_>) -> Match {
    let keys = IDENTITY
        .iter()
        .find(|row| row.0 == old.kind)
        .map_or(&[][..], |row| row.1);
    let differing = keys
        .iter()
        .find(|key| new.values[**key].is_string() && old.values[**key] != new.values[**key]);
    let differs = differing.map(|key| {
        format!(
            "{key} is {} and would be {}",
            old.values[*key], new.values[*key]
        )
    });
    Match {
        from: old.address.to_owned(),
        to: new.address.to_owned(),
        id: old.values["id"].as_str().unwrap_or_default().to_owned(),
        differs,
    }
}

/// The blocks as a `.tf` file: `moved` for the same state, `import` for another.
pub fn blocks(matches: &Matches, same_state: bool) -> String {
    let mut out = String::new();
    for found in &matches.matched {
        if let Some(differs) = &found.differs {
            let _ = writeln!(
                out,
                "# {differs}: set the variable to what stands, or it is replaced"
            );
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
            text.contains("# identifier is \"crm\" and would be \"crm-dr\""),
            "{text}"
        );
        let text = blocks(&found, false);
        assert!(
            text.contains("import {\n  to = module.network.aws_vpc.this[0]\n  id = \"vpc-1\"\n}"),
            "{text}"
        );
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
