//! What a plan would do, in the words that a person decides by.

use std::fmt::Write as _;

use serde_json::Value;

/// Losing one of these loses data or the service; a plan that does is asked
/// about by name.
const STATEFUL: [&str; 10] = [
    "aws_db_instance",
    "aws_eks_cluster",
    "aws_elasticache_replication_group",
    "aws_kms_key",
    "aws_vpc",
    "google_compute_network",
    "google_container_cluster",
    "google_redis_instance",
    "google_sql_database",
    "google_sql_database_instance",
];

/// Lines of changes that are shown; the log holds the rest.
const SHOWN_MAX: usize = 60;

/// What happens to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `+`
    Create,
    /// `~`
    Update,
    /// `-/+`
    Replace,
    /// `-`
    Delete,
}

impl Action {
    fn sign(self) -> &'static str {
        match self {
            Action::Create => "  +",
            Action::Update => "  ~",
            Action::Replace => "-/+",
            Action::Delete => "  -",
        }
    }
}

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The full address.
    pub address: String,
    /// The resource type.
    pub kind: String,
    /// What happens.
    pub action: Action,
}

/// The changes of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// In the plan's order.
    pub changes: Vec<Change>,
    /// Whether only outputs change.
    pub outputs_change: bool,
}

impl Planned {
    /// Reads `terraform show -json` of a plan.
    pub fn read(json: &Value) -> Self {
        let list = json.get("resource_changes").and_then(Value::as_array);
        let changes = list.into_iter().flatten().filter_map(change).collect();
        let outputs = json.get("output_changes").and_then(Value::as_object);
        let outputs_change = outputs.into_iter().flatten().any(|(_, change)| {
            let actions = change.get("actions").and_then(Value::as_array);
            actions.is_some_and(|actions| actions.iter().any(|action| action != "no-op"))
        });
        Self {
            changes,
            outputs_change,
        }
    }

    /// Whether an apply would do nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.outputs_change
    }

    /// Databases, caches, clusters and networks that would be lost.
    pub fn losses(&self) -> Vec<&str> {
        let lost = |change: &&Change| {
            matches!(change.action, Action::Delete | Action::Replace)
                && STATEFUL.contains(&change.kind.as_str())
        };
        let lost = self.changes.iter().filter(lost);
        lost.map(|change| change.address.as_str()).collect()
    }

    fn count(&self, wanted: &[Action]) -> usize {
        let counted = |change: &&Change| wanted.contains(&change.action);
        self.changes.iter().filter(counted).count()
    }

    /// `12 to add, 1 to change, 0 to destroy`.
    pub fn summary(&self) -> String {
        use Action::{Create, Delete, Replace, Update};
        format!(
            "{} to add, {} to change, {} to destroy",
            self.count(&[Create, Replace]),
            self.count(&[Update]),
            self.count(&[Delete, Replace])
        )
    }

    /// The changes, a line each, and the summary.
    pub fn render(&self, title: &str) -> String {
        let mut out = format!("{title}: {}\n", self.summary());
        for change in self.changes.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "  {} {}", change.action.sign(), change.address);
        }
        if self.changes.len() > SHOWN_MAX {
            let _ = writeln!(out, "      and {} more", self.changes.len() - SHOWN_MAX);
        }
        for address in self.losses() {
            let _ = writeln!(out, "  ! {address} is lost with all that it holds");
        }
        out
    }
}

fn change(json: &Value) -> Option<Change> {
    let actions: Vec<&str> = json
        .pointer("/change/actions")?
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let action = match actions.as_slice() {
        ["create"] => Action::Create,
        ["update"] => Action::Update,
        ["delete"] => Action::Delete,
        [_, _] => Action::Replace,
        _ => return None,
    };
    let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(Change {
        address: text("address").to_owned(),
        kind: text("type").to_owned(),
        action,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_is_told_with_what_it_would_lose() {
        let row = |address: &str, kind: &str, actions: &[&str]| json!({"address": address, "type": kind, "change": {"actions": actions}});
        let plan = json!({"resource_changes": [
            row("aws_vpc.this", "aws_vpc", &["no-op"]),
            row("data.aws_region.this", "aws_region", &["read"]),
            row("aws_eip.nat", "aws_eip", &["create"]),
            row("module.rds.aws_db_instance.this", "aws_db_instance", &["delete", "create"]),
        ]});
        let planned = Planned::read(&plan);
        assert_eq!(
            planned.render("aws"),
            "aws: 2 to add, 0 to change, 1 to destroy\n    \
               + aws_eip.nat\n  -/+ module.rds.aws_db_instance.this\n  \
             ! module.rds.aws_db_instance.this is lost with all that it holds\n"
        );
        assert!(!planned.is_empty() && Planned::default().is_empty());
    }
}
