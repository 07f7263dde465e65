//! `terraform show -json` of a plan: variables and the resources that will stand.

use super::value::{Value, from_json};
use super::{FaultKind, FileFault, Place};

/// Modules nested deeper than this are not followed.
const MODULE_DEPTH_MAX: u32 = 16;

/// What a plan says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The variables of the run.
    pub variables: Vec<(String, Value)>,
    /// Everything that will stand after the apply.
    pub resources: Vec<PlannedResource>,
}

/// One resource of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedResource {
    /// The full address.
    pub address: String,
    /// The resource type.
    pub kind: String,
    /// Its planned attributes.
    pub values: Value,
}

/// Whether a file name is one that people give to plan JSON.
pub fn is_plan_name(name: &str) -> bool {
    name == "plan.json"
        || name == "tfplan.json"
        || name.ends_with(".plan.json")
        || name.ends_with(".tfplan.json")
}

/// Reads the text of a plan.
///
/// # Errors
/// One fault if the text is no JSON or no plan.
pub fn read(text: &str, file: &str) -> Result<Plan, FileFault> {
    let fault = |line: usize, problem: String| FileFault {
        kind: FaultKind::Syntax,
        place: Place::new(file, u32::try_from(line).unwrap_or(u32::MAX), ""),
        problem,
    };
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| fault(error.line(), error.to_string()))?;
    if json.get("planned_values").is_none() && json.get("values").is_none() {
        let problem = "no `planned_values`: not the output of `terraform show -json`";
        return Err(fault(1, problem.to_owned()));
    }
    let mut plan = Plan {
        variables: variables(&json),
        ..Plan::default()
    };
    for root in ["/planned_values/root_module", "/values/root_module"] {
        if let Some(module) = json.pointer(root) {
            collect(module, 0, &mut plan.resources);
        }
    }
    Ok(plan)
}

fn variables(json: &serde_json::Value) -> Vec<(String, Value)> {
    let Some(variables) = json.get("variables").and_then(|found| found.as_object()) else {
        return Vec::new();
    };
    let value = |body: &serde_json::Value| body.get("value").map_or(Value::Null, from_json);
    variables
        .iter()
        .map(|(name, body)| (name.clone(), value(body)))
        .collect()
}

fn collect(module: &serde_json::Value, depth: u32, out: &mut Vec<PlannedResource>) {
    let list = |key: &str| {
        module
            .get(key)
            .and_then(|found| found.as_array())
            .cloned()
            .unwrap_or_default()
    };
    for resource in list("resources") {
        let text = |key: &str| {
            resource
                .get(key)
                .and_then(|found| found.as_str())
                .unwrap_or_default()
        };
        if text("mode") == "data" {
            continue;
        }
        out.push(PlannedResource {
            address: text("address").to_owned(),
            kind: text("type").to_owned(),
            values: resource.get("values").map_or(Value::Null, from_json),
        });
    }
    if depth < MODULE_DEPTH_MAX {
        for child in list("child_modules") {
            collect(&child, depth + 1, out);
        }
    }
}
