//! What would lower the bill, ranked, with a veto for what breaks the goal.
//!
//! Intuition: a saving is a changed estate. Price it, run the rules over it,
//! and every rule that was not broken before and is now is a veto. So the cost
//! floor is the rule table itself and cannot drift from it.

use rust_decimal::Decimal;

use super::{Sources, breakdown};
use crate::check::capacity::sides;
use crate::check::{self, Severity};
use crate::estate::Estate;
use crate::read::Place;
use crate::read::environment::{Environment, Setting};
use crate::read::value::Value;

/// One change that may save money.
struct Candidate {
    name: &'static str,
    change: fn(&mut Estate),
    /// What the rules cannot see.
    remark: &'static str,
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

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "GKE nodes n2-standard-4",
        change: |estate| {
            set(
                &mut estate.gcp,
                "node_pool_machine_type",
                text("n2-standard-4"),
            )
        },
        remark: "the shape of t3.xlarge: 4 vCPU, 16 GiB",
    },
    Candidate {
        name: "GKE nodes e2-standard-4",
        change: |estate| {
            set(
                &mut estate.gcp,
                "node_pool_machine_type",
                text("e2-standard-4"),
            )
        },
        remark: "4 vCPU, 16 GiB, no sustained-use discount",
    },
    Candidate {
        name: "GCE commitment, 1 year",
        change: |estate| set(&mut estate.gcp, "gce_commitment", text("1y")),
        remark: "paid whether used or not; no sustained use on top",
    },
    Candidate {
        name: "GCE commitment, 3 years",
        change: |estate| set(&mut estate.gcp, "gce_commitment", text("3y")),
        remark: "paid whether used or not; no sustained use on top",
    },
    Candidate {
        name: "EKS nodes t4g.xlarge (Arm)",
        change: |estate| {
            set(
                &mut estate.aws,
                "node_group_instance_types",
                Value::List(vec![text("t4g.xlarge")]),
            )
        },
        remark: "needs images for Arm; still burstable",
    },
    Candidate {
        name: "Valkey instead of Redis on ElastiCache",
        change: |estate| set(&mut estate.aws, "elasticache_engine", text("valkey")),
        remark: "the cache gateway must be proven against it first",
    },
    Candidate {
        name: "RDS db.t4g.large (Arm)",
        change: |estate| set(&mut estate.aws, "rds_instance_class", text("db.t4g.large")),
        remark: "still burstable; storage unchanged",
    },
    Candidate {
        name: "RDS in one zone",
        change: |estate| set(&mut estate.aws, "rds_multi_az", Value::Bool(false)),
        remark: "a lost zone becomes a failover between clouds",
    },
    Candidate {
        name: "Cloud SQL in one zone",
        change: |estate| {
            set(
                &mut estate.gcp,
                "cloud_sql_availability_type",
                text("ZONAL"),
            )
        },
        remark: "a lost zone becomes a lost database",
    },
    Candidate {
        name: "one NAT gateway for all zones",
        change: |estate| set(&mut estate.aws, "single_nat_gateway", Value::Bool(true)),
        remark: "a lost zone cuts the other off",
    },
    Candidate {
        name: "one ElastiCache node",
        change: |estate| {
            set(
                &mut estate.aws,
                "elasticache_num_cache_clusters",
                Value::Number(Decimal::ONE),
            )
        },
        remark: "no replica: a lost node empties the cache",
    },
    Candidate {
        name: "Memorystore with one read replica less",
        change: fewer_replicas,
        remark: "read capacity shrinks; availability stays",
    },
    Candidate {
        name: "halve the GKE nodes",
        change: halve_gke,
        remark: "the survivor when AWS is lost",
    },
    Candidate {
        name: "no witness",
        change: |estate| estate.config = None,
        remark: "two sites cannot decide alone; the machine's price is not in the catalogue",
    },
];

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
    (candidate.change)(&mut changed);
    let after = breakdown(&changed, sources);
    let newly = broken(&changed)
        .into_iter()
        .filter(|finding| !broken_before.contains(finding));
    let mut vetoes: Vec<&'static str> = newly.map(|(id, _)| id).collect();
    vetoes.dedup();
    // A saving that has no price is none: the line would just lose its figure.
    let unpriced = after
        .lines
        .iter()
        .flat_map(|line| &line.resources)
        .filter(|priced| priced.status == super::Status::Unknown)
        .count();
    let unpriced_before = breakdown(estate, sources)
        .lines
        .iter()
        .flat_map(|line| &line.resources)
        .filter(|priced| priced.status == super::Status::Unknown)
        .count();
    let saves = if unpriced > unpriced_before {
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
