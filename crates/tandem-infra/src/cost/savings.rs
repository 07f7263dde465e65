//! What would lower the bill, ranked, with a veto for what breaks the goal.
//!
//! Intuition: a saving is a changed estate. Price it, run the rules over it,
//! and every rule that was not broken before and is now is a veto. So the cost
//! floor is the rule table itself and cannot drift from it.

use rust_decimal::Decimal;

use super::{Breakdown, Sources, Status, breakdown};
use crate::check::capacity::sides;
use crate::check::{self, Severity};
use crate::estate::Estate;
use crate::read::Place;
use crate::read::environment::{Environment, Setting};
use crate::read::value::Value;

/// One change that may save money.
struct Candidate {
    name: &'static str,
    change: Change,
    /// What the rules cannot see.
    remark: &'static str,
}

/// How the estate is changed.
enum Change {
    /// One setting of AWS.
    Aws(&'static str, New),
    /// One setting of GCP.
    Gcp(&'static str, New),
    /// Something that depends on what is there.
    With(fn(&mut Estate)),
}

/// A new value of a setting.
enum New {
    Text(&'static str),
    Flag(bool),
    Count(u32),
}

impl Change {
    fn apply(&self, estate: &mut Estate) {
        match self {
            Self::Aws(key, new) => set(&mut estate.aws, key, new.value()),
            Self::Gcp(key, new) => set(&mut estate.gcp, key, new.value()),
            Self::With(change) => change(estate),
        }
    }
}

impl New {
    fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::Text((*text).to_owned()),
            Self::Flag(switch) => Value::Bool(*switch),
            Self::Count(count) => Value::Number(Decimal::from(*count)),
        }
    }
}

/// One saving, priced and judged.
#[derive(Debug, Clone)]
pub struct Saving {
    /// What would change.
    pub name: &'static str,
    /// USD a month less.
    pub saves: Decimal,
    /// The total after it.
    pub total: Decimal,
    /// Rules that it would newly break.
    pub vetoes: Vec<&'static str>,
    /// What to know about it; survivor capacity before and after if it changes.
    pub remark: String,
}

fn set(environment: &mut Environment, key: &str, value: Value) {
    let place = environment.place(key);
    environment.settings.insert(
        key.to_owned(),
        Setting {
            value,
            place: Place {
                key: key.to_owned(),
                ..place
            },
        },
    );
}

const CANDIDATES: &[Candidate] = &[
    candidate(
        "GKE nodes n2-standard-4",
        Change::Gcp("node_pool_machine_type", New::Text("n2-standard-4")),
        "the shape of t3.xlarge: 4 vCPU, 16 GiB",
    ),
    candidate(
        "GKE nodes e2-standard-4",
        Change::Gcp("node_pool_machine_type", New::Text("e2-standard-4")),
        "4 vCPU, 16 GiB, no sustained-use discount",
    ),
    candidate(
        "GCE commitment, 1 year",
        Change::Gcp("gce_commitment", New::Text("1y")),
        "paid whether used or not; no sustained use on top",
    ),
    candidate(
        "GCE commitment, 3 years",
        Change::Gcp("gce_commitment", New::Text("3y")),
        "paid whether used or not; no sustained use on top",
    ),
    candidate(
        "EKS nodes t4g.xlarge (Arm)",
        Change::Aws("node_group_instance_types", New::Text("t4g.xlarge")),
        "needs images for Arm; still burstable",
    ),
    candidate(
        "Valkey instead of Redis on ElastiCache",
        Change::Aws("elasticache_engine", New::Text("valkey")),
        "the cache gateway must be proven against it first",
    ),
    candidate(
        "RDS db.t4g.large (Arm)",
        Change::Aws("rds_instance_class", New::Text("db.t4g.large")),
        "still burstable; storage unchanged",
    ),
    candidate(
        "RDS in one zone",
        Change::Aws("rds_multi_az", New::Flag(false)),
        "a lost zone becomes a failover between clouds",
    ),
    candidate(
        "Cloud SQL in one zone",
        Change::Gcp("cloud_sql_availability_type", New::Text("ZONAL")),
        "a lost zone becomes a lost database",
    ),
    candidate(
        "one NAT gateway for all zones",
        Change::Aws("single_nat_gateway", New::Flag(true)),
        "a lost zone cuts the other off",
    ),
    candidate(
        "one ElastiCache node",
        Change::Aws("elasticache_num_cache_clusters", New::Count(1)),
        "no replica: a lost node empties the cache",
    ),
    candidate(
        "Memorystore with one read replica less",
        Change::With(fewer_replicas),
        "read capacity shrinks; availability stays",
    ),
    candidate(
        "halve the GKE nodes",
        Change::With(halve_gke),
        "the survivor when AWS is lost",
    ),
    candidate(
        "no witness",
        Change::With(|estate| estate.config = None),
        "two sites cannot decide alone; the machine's price is not in the catalogue",
    ),
];

const fn candidate(name: &'static str, change: Change, remark: &'static str) -> Candidate {
    Candidate {
        name,
        change,
        remark,
    }
}

fn fewer_replicas(estate: &mut Estate) {
    if let Ok(replicas) = estate.gcp.count("memorystore_replica_count") {
        set(
            &mut estate.gcp,
            "memorystore_replica_count",
            Value::Number(Decimal::from(replicas.saturating_sub(1))),
        );
    }
}

fn halve_gke(estate: &mut Estate) {
    for key in [
        "node_pool_initial_count",
        "node_pool_max_count",
        "node_pool_min_count",
    ] {
        if let Ok(count) = estate.gcp.count(key) {
            set(
                &mut estate.gcp,
                key,
                Value::Number(Decimal::from(count / 2)),
            );
        }
    }
}

/// What an estate breaks: rule and file key, without infos.
fn broken(estate: &Estate) -> Vec<(&'static str, String)> {
    let report = check::run(estate);
    let counts = report
        .findings()
        .filter(|finding| finding.severity > Severity::Info);
    counts
        .map(|finding| (finding.id, finding.place.key.clone()))
        .collect()
}

/// Every saving that saves something or is vetoed, the largest first.
///
/// Plans are left aside: a saving changes variables, and a plan says what the
/// variables were.
pub fn savings(estate: &Estate, sources: &Sources) -> Vec<Saving> {
    let mut estate = estate.clone();
    for environment in [&mut estate.aws, &mut estate.gcp, &mut estate.edge] {
        environment.planned = None;
    }
    let before = breakdown(&estate, sources).total;
    let broken_before = broken(&estate);
    let mut out: Vec<Saving> = CANDIDATES
        .iter()
        .map(|candidate| judge(&estate, sources, candidate, before, &broken_before))
        .collect();
    out.retain(|saving| {
        saving.saves > Decimal::ZERO || (saving.saves.is_zero() && !saving.vetoes.is_empty())
    });
    out.sort_by(|a, b| {
        a.vetoes
            .is_empty()
            .cmp(&b.vetoes.is_empty())
            .reverse()
            .then(b.saves.cmp(&a.saves))
    });
    out
}

fn judge(
    estate: &Estate,
    sources: &Sources,
    candidate: &Candidate,
    before: Decimal,
    broken_before: &[(&'static str, String)],
) -> Saving {
    let mut changed = estate.clone();
    candidate.change.apply(&mut changed);
    let after = breakdown(&changed, sources);
    let newly = broken(&changed)
        .into_iter()
        .filter(|finding| !broken_before.contains(finding));
    let mut vetoes: Vec<&'static str> = newly.map(|(id, _)| id).collect();
    vetoes.dedup();
    // A saving that has no price is none: the line would just lose its figure.
    let saves = if unpriced(&after) > unpriced(&breakdown(estate, sources)) {
        Decimal::ZERO
    } else {
        before - after.total
    };
    Saving {
        name: candidate.name,
        saves,
        total: before - saves,
        vetoes,
        remark: remark(estate, &changed, candidate.remark),
    }
}

fn unpriced(breakdown: &Breakdown) -> usize {
    let all = breakdown.lines.iter().flat_map(|line| &line.resources);
    all.filter(|priced| priced.status == Status::Unknown)
        .count()
}

/// The remark, with the survivor's size before and after if it changes.
fn remark(before: &Estate, after: &Estate, remark: &str) -> String {
    let vcpu = |estate: &Estate| {
        let both = sides(estate).ok()?;
        Some(both.map(|side| side.machine.sustained_milli() * side.nodes / 1000))
    };
    match (vcpu(before), vcpu(after)) {
        (Some(old), Some(new)) if old != new => {
            format!(
                "{remark}; sustained vCPU aws {} -> {}, gcp {} -> {}",
                old[0], new[0], old[1], new[1]
            )
        }
        _ => remark.to_owned(),
    }
}
