//! Four months side by side: normal, AWS lost, GCP lost, a month with a drill day.
//!
//! Beside each figure stands what the survivor can carry: a cheap survivor that
//! cannot carry the load is no saving.

use rust_decimal::Decimal;
use tandem_core::slo::survivor_need;

use super::items::Load;
use super::{Breakdown, LineId, Sources, cents, loaded};
use crate::check::capacity::{Side, sides};
use crate::estate::Estate;

/// One month.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What is different in it.
    pub means: String,
    /// USD a month by line.
    pub lines: Vec<(LineId, Decimal)>,
    /// USD a month.
    pub total: Decimal,
    /// What stands and serves.
    pub capacity: String,
}

/// The four months.
pub fn scenarios(estate: &Estate, sources: &Sources) -> Vec<Scenario> {
    let normal = loaded(estate, sources, Load::default());
    let both = sides(estate).ok();
    let percent = estate.assumed.number("peak_utilisation");
    let billed = estate.assumed.word("lost_cloud_billed") == "yes";
    let lost = |name, cloud: &str, survivor: usize| {
        let load = both
            .as_ref()
            .map_or_else(Load::default, |both| grown(both, survivor));
        let state = if billed {
            "goes on billing"
        } else {
            "bills nothing"
        };
        let who = if survivor == 0 { "EKS" } else { "GKE" };
        let means = format!("{who} nodes at their maximum all month; the lost cloud {state}");
        let priced = without(loaded(estate, sources, load), cloud, billed);
        let capacity = capacity(both.as_ref(), Some(survivor), percent);
        Scenario {
            name,
            means,
            total: priced.iter().map(|(_, usd)| *usd).sum(),
            lines: priced,
            capacity,
        }
    };
    let lines = |breakdown: &Breakdown| {
        breakdown
            .lines
            .iter()
            .map(|line| (line.id, line.monthly))
            .collect::<Vec<_>>()
    };
    let as_configured = Scenario {
        name: "normal 50:50",
        means: "as configured".to_owned(),
        lines: lines(&normal),
        total: normal.total,
        capacity: capacity(both.as_ref(), None, percent),
    };
    vec![
        as_configured,
        lost("AWS lost", "AWS", 1),
        lost("GCP lost", "GCP", 0),
        drill(estate, sources, &normal, both.as_ref()),
    ]
}

/// The survivor's nodes at their maximum.
fn grown(both: &[Side; 2], survivor: usize) -> Load {
    match survivor {
        0 => Load {
            aws_nodes: Some(both[0].most),
            ..Load::default()
        },
        _ => Load {
            gcp_nodes: Some(both[1].most),
            ..Load::default()
        },
    }
}

fn without(breakdown: Breakdown, cloud: &str, billed: bool) -> Vec<(LineId, Decimal)> {
    let keep = |id: LineId| billed || id.info().cloud != cloud;
    let usd = |id: LineId, monthly: Decimal| if keep(id) { monthly } else { Decimal::ZERO };
    breakdown
        .lines
        .into_iter()
        .map(|line| (line.id, usd(line.id, line.monthly)))
        .collect()
}

/// A normal month in which GCP's nodes stand at their maximum for the drill's hours.
fn drill(
    estate: &Estate,
    sources: &Sources,
    normal: &Breakdown,
    both: Option<&[Side; 2]>,
) -> Scenario {
    let hours = estate.assumed.decimal("drill_hours");
    let load = both.map_or_else(Load::default, |both| grown(both, 1));
    let grown = loaded(estate, sources, load);
    let lines: Vec<_> = normal
        .lines
        .iter()
        .map(|line| {
            let more = grown
                .lines
                .iter()
                .find(|other| other.id == line.id)
                .map_or(line.monthly, |other| other.monthly);
            (
                line.id,
                cents(
                    line.monthly
                        + (more - line.monthly) * hours / Decimal::from(super::price::HOURS),
                ),
            )
        })
        .collect();
    Scenario {
        name: "drill day",
        means: format!(
            "a normal month with {hours} h of the AWS-outage drill: GKE nodes at their maximum"
        ),
        total: lines.iter().map(|(_, usd)| *usd).sum(),
        lines,
        capacity: capacity(both, Some(1), estate.assumed.number("peak_utilisation")),
    }
}

fn capacity(both: Option<&[Side; 2]>, survivor: Option<usize>, percent: u64) -> String {
    let Some(both) = both else {
        return "capacity not known".to_owned();
    };
    let of = |side: &Side, nodes: u64| {
        let vcpu = Decimal::from(side.machine.sustained_milli() * nodes) / Decimal::from(1000);
        let gib = side.machine.memory_mib * nodes / 1024;
        format!("{} {} vCPU, {gib} GiB", side.site, vcpu.normalize())
    };
    match survivor {
        None => format!(
            "{}; {}",
            of(&both[0], both[0].nodes),
            of(&both[1], both[1].nodes)
        ),
        Some(side) => {
            let now = |side: &Side| side.machine.sustained_milli() * side.nodes;
            let need = Decimal::from(survivor_need(now(&both[0]), now(&both[1]), percent))
                / Decimal::from(1000);
            format!(
                "{} ({} nodes); {} vCPU needed",
                of(&both[side], both[side].most),
                both[side].most,
                need.normalize()
            )
        }
    }
}
