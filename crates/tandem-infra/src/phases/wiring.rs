//! Wires between the phases: which output of one becomes which variable of another.
//!
//! Intuition: the guide says "keep this value and type it there". Here each
//! such note is a row of [`WIRES`].
//! Invariant: only plain values go through here, because they are written to a
//! file; secrets go through the environment.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::step::{Direction, Phase, Root};

/// The outputs of every root, as far as they are known.
pub type Outputs = BTreeMap<Root, Map<String, Value>>;

/// One note of the guide.
struct Wire {
    from: (Root, &'static str),
    to: (Root, &'static str),
    /// From this phase on.
    since: Phase,
    take: Take,
}

/// How the value is taken over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    /// As it is; without it the phase waits.
    Needed,
    /// As it is, if there is one; a person may have given another.
    Offered,
    /// The first of a list, if there is one.
    First,
    /// All but the first of a list, if there is one.
    Others,
}

const WIRES: [Wire; 7] = [
    Wire {
        from: (Root::Certificates, "acm_certificate_arn"),
        to: (Root::Aws, "acm_certificate_arn"),
        since: Phase::Aws,
        take: Take::Offered,
    },
    Wire {
        from: (Root::Certificates, "gcp_certificate_map_id"),
        to: (Root::Gcp, "certificate_map_id"),
        since: Phase::Gcp,
        take: Take::Offered,
    },
    Wire {
        from: (Root::Gcp, "gcp_cidrs"),
        to: (Root::Aws, "gcp_vpc_cidr"),
        since: Phase::Vpn,
        take: Take::First,
    },
    Wire {
        from: (Root::Gcp, "gcp_cidrs"),
        to: (Root::Aws, "gcp_additional_cidrs"),
        since: Phase::Vpn,
        take: Take::Others,
    },
    Wire {
        from: (Root::Gcp, "network_id"),
        to: (Root::Aws, "gcp_network_id"),
        since: Phase::Vpn,
        take: Take::Needed,
    },
    Wire {
        from: (Root::Aws, "alb_dns_name"),
        to: (Root::Global, "aws_alb_dns_name"),
        since: Phase::Lb,
        take: Take::Needed,
    },
    Wire {
        from: (Root::Gcp, "lb_ip"),
        to: (Root::Global, "gcp_lb_ip"),
        since: Phase::Lb,
        take: Take::Needed,
    },
];

/// What later phases and people need of each root: an apply is not complete without.
const NEEDED: [(Root, &str); 11] = [
    (Root::Aws, "alb_dns_name"),
    (Root::Aws, "rds_endpoint"),
    (Root::Aws, "redis_primary_endpoint"),
    (Root::Aws, "vpc_id"),
    (Root::Gcp, "network_name"),
    (Root::Gcp, "network_id"),
    (Root::Gcp, "cloud_sql_connection_name"),
    (Root::Gcp, "cloud_sql_private_ip"),
    (Root::Gcp, "memorystore_host"),
    (Root::Gcp, "lb_ip"),
    (Root::Gcp, "memorystore_port"),
];

/// The roots that give `root` something in a phase.
pub fn givers(root: Root, phase: Phase) -> Vec<Root> {
    let to_root = |wire: &&Wire| wire.to.0 == root && wire.since == phase;
    let mut givers: Vec<Root> = WIRES
        .iter()
        .filter(to_root)
        .map(|wire| wire.from.0)
        .collect();
    givers.dedup();
    givers
}

/// Whether a variable of a root comes from another phase.
pub fn is_wired(root: Root, variable: &str) -> bool {
    let wired = WIRES.iter().any(|wire| wire.to == (root, variable));
    wired || variable == "enable_vpn"
}

/// An input that no phase has given yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Who would give it.
    pub phase: Phase,
    /// The output.
    pub output: &'static str,
}

/// The plain variables that `root` gets in a phase, on top of `present` (what
/// it got before).
///
/// # Errors
/// With everything that is lacking at once.
pub fn inputs(
    root: Root,
    phase: Phase,
    direction: Direction,
    outputs: &Outputs,
    present: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<Lacking>> {
    let mut inputs = present.clone();
    if matches!(root, Root::Aws | Root::Gcp) {
        let on = present.get("enable_vpn").cloned().unwrap_or(json!(false));
        let on = match (phase, direction) {
            (Phase::Vpn, Direction::Apply) => json!(true),
            (Phase::Vpn, Direction::Destroy) => json!(false),
            _ => on,
        };
        inputs.insert("enable_vpn".to_owned(), on);
    }
    if direction == Direction::Destroy {
        return Ok(inputs);
    }
    let mut lacking = Vec::new();
    for wire in WIRES
        .iter()
        .filter(|wire| wire.to.0 == root && wire.since == phase)
    {
        match found(outputs, wire.from).and_then(|value| taken(value, wire.take)) {
            Some(value) => {
                inputs.insert(wire.to.1.to_owned(), value);
            }
            None if wire.take != Take::Needed => {}
            None => lacking.push(Lacking {
                phase: wire.from.0.phase(),
                output: wire.from.1,
            }),
        }
    }
    if lacking.is_empty() {
        Ok(inputs)
    } else {
        Err(lacking)
    }
}

fn taken(value: &Value, take: Take) -> Option<Value> {
    match take {
        Take::Needed | Take::Offered => Some(value.clone()),
        Take::First => value.as_array()?.first().cloned(),
        Take::Others => Some(Value::Array(value.as_array()?.get(1..)?.to_vec())),
    }
}

/// Outputs that a root must give and does not.
pub fn missing(root: Root, outputs: &Outputs) -> Vec<&'static str> {
    let of_root = NEEDED.iter().filter(|needed| needed.0 == root);
    of_root
        .filter(|needed| found(outputs, **needed).is_none())
        .map(|needed| needed.1)
        .collect()
}

fn found<'a>(outputs: &'a Outputs, (root, name): (Root, &str)) -> Option<&'a Value> {
    let value = outputs.get(&root)?.get(name)?;
    let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
    (!empty).then_some(value)
}

/// An output as text.
pub fn text(outputs: &Outputs, root: Root, name: &str) -> Option<String> {
    found(outputs, (root, name)).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(rows: &[(Root, &str, &str)]) -> Outputs {
        let mut outputs = Outputs::new();
        for (root, name, value) in rows {
            let of_root = outputs.entry(*root).or_default();
            of_root.insert((*name).to_owned(), json!(value));
        }
        outputs
    }

    #[test]
    fn the_vpn_gets_the_network_and_keeps_it() {
        let known = outputs(&[(Root::Gcp, "network_id", "projects/p/global/networks/crm-dr")]);
        let none = Map::new();
        let first = inputs(Root::Aws, Phase::Aws, Direction::Apply, &known, &none).unwrap();
        assert_eq!(Value::Object(first.clone()), json!({"enable_vpn": false}));
        let vpn = inputs(Root::Aws, Phase::Vpn, Direction::Apply, &known, &first).unwrap();
        assert_eq!(vpn["gcp_network_id"], known[&Root::Gcp]["network_id"]);
        // Applying the AWS phase again does not take the VPN away.
        let again = inputs(Root::Aws, Phase::Aws, Direction::Apply, &known, &vpn).unwrap();
        assert_eq!(again, vpn);
        let down = inputs(
            Root::Aws,
            Phase::Vpn,
            Direction::Destroy,
            &Outputs::new(),
            &vpn,
        );
        assert_eq!(down.unwrap()["enable_vpn"], json!(false));
    }

    #[test]
    fn everything_lacking_is_named_at_once() {
        let known = outputs(&[(Root::Gcp, "lb_ip", "")]);
        let lacking = inputs(
            Root::Global,
            Phase::Lb,
            Direction::Apply,
            &known,
            &Map::new(),
        );
        let lacking = lacking.unwrap_err();
        let names: Vec<_> = lacking
            .iter()
            .map(|found| (found.phase, found.output))
            .collect();
        assert_eq!(names, [(Phase::Aws, "alb_dns_name"), (Phase::Gcp, "lb_ip")]);
        assert_eq!(missing(Root::Gcp, &known).len(), 7);
    }
}
