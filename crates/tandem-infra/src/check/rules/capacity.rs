//! Whether either cloud can carry everything when the other is lost.

use tandem_core::slo::survivor_need;

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};
use crate::machine::{self, Machine};
use crate::read::Place;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "capacity-cpu",
        topic: Topic::Capacity,
        severity: Severity::Error,
        title: "the survivor's nodes carry both loads, sustained",
        why: "A burstable node falls to its baseline when its credits are spent, hours into the outage.",
        formula: "sustained vCPU(survivor) >= peak_utilisation x (sustained vCPU(aws) + sustained vCPU(gcp))",
        source: "EC2 burstable performance instances: baseline utilisation; run on what is there, launches fail in an outage",
        remedy: "make both sides equal in sustained vCPU, without burstable types",
        check: |estate| {
            nodes(
                estate,
                "sustained vCPU",
                |side| side.machine.sustained_milli() * side.nodes,
                1000,
                sustained,
            )
        },
    },
    Rule {
        id: "capacity-memory",
        topic: Topic::Capacity,
        severity: Severity::Error,
        title: "the survivor's nodes have memory for both loads",
        why: "Pods that do not fit stay pending; memory cannot be overcommitted like CPU.",
        formula: "GiB(survivor) >= peak_utilisation x (GiB(aws) + GiB(gcp))",
        source: "machine types of both providers",
        remedy: "make both sides equal in memory",
        check: |estate| {
            nodes(
                estate,
                "GiB of node memory",
                |side| side.machine.memory_mib * side.nodes,
                1024,
                counted,
            )
        },
    },
    Rule {
        id: "capacity-node-maximum",
        topic: Topic::Capacity,
        severity: Severity::Error,
        title: "the node maximum allows the survivor to grow enough",
        why: "The autoscaler stops at its maximum, whatever the load.",
        formula: "sustained vCPU at the node maximum >= peak_utilisation x (sustained vCPU(aws) + sustained vCPU(gcp))",
        source: "EKS managed node groups; GKE cluster autoscaler",
        remedy: "raise node_group_max_size or node_pool_max_count, or take larger machines",
        check: node_maximum,
    },
    Rule {
        id: "capacity-database",
        topic: Topic::Capacity,
        severity: Severity::Error,
        title: "each database can be the primary for all",
        why: "The database does not scale out: after a failover the smaller one carries every write and every read.",
        formula: "sustained vCPU and GiB of each >= peak_utilisation x (sum of both)",
        source: "RDS instance classes; Cloud SQL tiers",
        remedy: "choose equal, non-burstable classes on both sides",
        check: database,
    },
    Rule {
        id: "capacity-connections",
        topic: Topic::Capacity,
        severity: Severity::Warning,
        title: "each database accepts the connections of both sites",
        why: "max_connections follows memory with different steps at each provider; the survivor refuses the rest.",
        formula: "max_connections of each >= peak_utilisation x (sum of both); RDS memory / 9,531,392 up to 5,000, Cloud SQL by steps",
        source: "RDS PostgreSQL quotas; Cloud SQL connection limits",
        remedy: "set max_connections to the same value in rds_parameters and cloud_sql_database_flags",
        check: connections,
    },
    Rule {
        id: "capacity-cache",
        topic: Topic::Capacity,
        severity: Severity::Error,
        title: "both caches hold the same keys",
        why: "Keys travel both ways, so each side holds all of them; the smaller side evicts first and misses hit the database.",
        formula: "GiB(ElastiCache node) x 0.75 (25 % reserved) within 10 % of memorystore_memory_size_gb",
        source: "ElastiCache node memory and reserved-memory-percent; Memorystore capacity",
        remedy: "choose an ElastiCache node type with the memory of Memorystore",
        check: cache,
    },
    Rule {
        id: "burstable-nodes",
        topic: Topic::Capacity,
        severity: Severity::Warning,
        title: "failover targets do not live on credits",
        why: "A T instance that takes over runs at full load for hours; credits are gone after minutes.",
        formula: "baseline = 100 % of the vCPUs",
        source: "EC2, RDS and ElastiCache T types: CPU credits",
        remedy: "m7g.xlarge, db.m7g.large, cache.m7g.large or larger instead of T types",
        check: burstable,
    },
    Rule {
        id: "nodes-per-zone",
        topic: Topic::Capacity,
        severity: Severity::Error,
        title: "GKE node counts are meant per zone",
        why: "In a regional cluster every count is per zone: the pool is three times as large and as dear as it reads.",
        formula: "nodes = initial_count x zones; maximum = max_count x zones",
        source: "google_container_node_pool: initial_node_count and autoscaling are per zone",
        remedy: "node_pool_total_min_count and node_pool_total_max_count, or divide by the zones and state node_locations",
        check: per_zone,
    },
    Rule {
        id: "node-bounds",
        topic: Topic::Capacity,
        severity: Severity::Error,
        title: "minimum <= desired <= maximum",
        why: "Both providers refuse the node group at apply.",
        formula: "min <= desired <= max",
        source: "EKS scaling_config; GKE autoscaling",
        remedy: "order the three counts",
        check: bounds,
    },
];

/// One side's node pool.
pub(crate) struct Side {
    /// The site.
    pub(crate) site: &'static str,
    /// The machine type as written.
    pub(crate) kind: String,
    /// Its size.
    pub(crate) machine: Machine,
    /// Nodes at start.
    pub(crate) nodes: u64,
    /// Nodes at most.
    pub(crate) most: u64,
    /// Where the machine type is set.
    pub(crate) place: Place,
}

/// Both node pools: AWS first.
pub(crate) fn sides(estate: &Estate) -> Result<[Side; 2], Missing> {
    let unknown = |kind: &str| Missing(format!("the size of machine type {kind}"));
    let kind = estate
        .aws
        .list("node_group_instance_types")?
        .into_iter()
        .next();
    let kind = kind.ok_or_else(|| Missing("node_group_instance_types".to_owned()))?;
    let aws = Side {
        site: "aws",
        machine: machine::aws(&kind).ok_or_else(|| unknown(&kind))?,
        kind,
        nodes: estate.aws.count("node_group_desired_capacity")?,
        most: estate.aws.count("node_group_max_size")?,
        place: estate.aws.place("node_group_instance_types"),
    };
    let kind = estate.gcp.text("node_pool_machine_type")?;
    let factor = estate.gke_factor();
    let total_most = estate.gcp.count("node_pool_total_max_count");
    let gcp = Side {
        site: "gcp",
        machine: machine::gce(&kind).ok_or_else(|| unknown(&kind))?,
        kind,
        nodes: estate.gcp.count("node_pool_initial_count")? * factor,
        most: total_most.or_else(|_| {
            estate
                .gcp
                .count("node_pool_max_count")
                .map(|count| count * factor)
        })?,
        place: estate.gcp.place("node_pool_machine_type"),
    };
    Ok([aws, gcp])
}

fn shown(amount: u64, unit: u64) -> String {
    let tenths = amount * 10 / unit;
    if tenths.is_multiple_of(10) {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// One measure of both sides, AWS first.
struct Measure<'a> {
    what: &'a str,
    /// What each side has, in `unit`s of what is shown.
    have: [u64; 2],
    unit: u64,
    places: &'a [Place; 2],
    /// How each side comes to what it has.
    labels: &'a [String; 2],
}

/// Compares what each side has with what it needs alone.
fn survivors(estate: &Estate, measure: &Measure<'_>) -> Outcome {
    let Measure {
        what,
        have,
        unit,
        places,
        labels,
    } = *measure;
    let percent = estate.assumed.number("peak_utilisation");
    let need = survivor_need(have[0], have[1], percent);
    let names = ["aws", "gcp"];
    let short = (0..2).filter(|side| have[*side] < need);
    let found = short.map(|side| {
        let (own, other) = (shown(have[side], unit), shown(have[1 - side], unit));
        let computed = format!(
            "with {lost} lost, {site} has {own} {what} ({}) and needs {percent} % x ({own} + {other}) = {}",
            labels[side],
            shown(need, unit),
            lost = names[1 - side],
            site = names[side],
        );
        Found::at(places[side].clone(), "either cloud carries 100 % of the traffic", computed)
    });
    let numbers = format!(
        "{what}: {} at aws, {} at gcp, {} needed alone",
        shown(have[0], unit),
        shown(have[1], unit),
        shown(need, unit)
    );
    judge(found.collect(), numbers)
}

fn counted(side: &Side) -> String {
    format!("{} x {}", side.nodes, side.kind)
}

fn sustained(side: &Side) -> String {
    let baseline = if side.machine.burstable() {
        format!(" x {} %", side.machine.baseline_percent)
    } else {
        String::new()
    };
    format!(
        "{}, {} vCPU{baseline} each",
        counted(side),
        side.machine.vcpu
    )
}

fn nodes(
    estate: &Estate,
    what: &str,
    have: fn(&Side) -> u64,
    unit: u64,
    label: fn(&Side) -> String,
) -> Outcome {
    let [aws, gcp] = sides(estate)?;
    let labels = [label(&aws), label(&gcp)];
    let have = [have(&aws), have(&gcp)];
    survivors(
        estate,
        &Measure {
            what,
            have,
            unit,
            places: &[aws.place, gcp.place],
            labels: &labels,
        },
    )
}

fn node_maximum(estate: &Estate) -> Outcome {
    let both = sides(estate)?;
    let now = |side: &Side| side.machine.sustained_milli() * side.nodes;
    let need = survivor_need(
        now(&both[0]),
        now(&both[1]),
        estate.assumed.number("peak_utilisation"),
    );
    let found = both
        .iter()
        .filter(|side| side.machine.sustained_milli() * side.most < need)
        .map(|side| {
            let most = shown(side.machine.sustained_milli() * side.most, 1000);
            let computed = format!(
                "{} at its maximum of {} nodes sustains {most} vCPU and needs {}",
                side.site,
                side.most,
                shown(need, 1000)
            );
            let key = if side.site == "aws" {
                "node_group_max_size"
            } else {
                "node_pool_max_count"
            };
            let environment = if side.site == "aws" {
                &estate.aws
            } else {
                &estate.gcp
            };
            Found::at(
                environment.place(key),
                "either cloud can grow to carry 100 %",
                computed,
            )
        });
    judge(
        found.collect(),
        format!("{} vCPU needed, the maxima allow it", shown(need, 1000)),
    )
}

fn databases(estate: &Estate) -> Result<[(String, Machine); 2], Missing> {
    let class = estate.aws.text("rds_instance_class")?;
    let tier = estate.gcp.text("cloud_sql_tier")?;
    let unknown = |kind: &str| Missing(format!("the size of {kind}"));
    let rds = machine::aws(&class).ok_or_else(|| unknown(&class))?;
    let sql = machine::cloud_sql(&tier).ok_or_else(|| unknown(&tier))?;
    Ok([(class, rds), (tier, sql)])
}

fn database_places(estate: &Estate) -> [Place; 2] {
    [
        estate.aws.place("rds_instance_class"),
        estate.gcp.place("cloud_sql_tier"),
    ]
}

fn database(estate: &Estate) -> Outcome {
    let [(class, rds), (tier, sql)] = databases(estate)?;
    let (places, labels) = (&database_places(estate), &[class, tier]);
    let have = [rds.sustained_milli(), sql.sustained_milli()];
    let cpu = survivors(
        estate,
        &Measure {
            what: "sustained database vCPU",
            have,
            unit: 1000,
            places,
            labels,
        },
    )?;
    let have = [rds.memory_mib, sql.memory_mib];
    let memory = survivors(
        estate,
        &Measure {
            what: "GiB of database memory",
            have,
            unit: 1024,
            places,
            labels,
        },
    )?;
    Ok(both(cpu, memory))
}

fn both(first: crate::check::Verdict, second: crate::check::Verdict) -> crate::check::Verdict {
    use crate::check::Verdict::{Broken, Holds};
    match (first, second) {
        (Holds(a), Holds(b)) => Holds(format!("{a}; {b}")),
        (Broken(mut a), Broken(b)) => {
            a.extend(b);
            Broken(a)
        }
        (Broken(found), Holds(_)) | (Holds(_), Broken(found)) => Broken(found),
    }
}

fn connections(estate: &Estate) -> Outcome {
    let [(class, rds), (tier, sql)] = databases(estate)?;
    let stated = |environment: &crate::read::environment::Environment, map: &str| {
        environment
            .entry(map, "max_connections")
            .and_then(|text| text.parse::<u64>().ok())
            .filter(|count| *count <= 262_143)
    };
    let aws =
        stated(&estate.aws, "rds_parameters").unwrap_or_else(|| machine::rds_connections(rds));
    let gcp = stated(&estate.gcp, "cloud_sql_database_flags")
        .unwrap_or_else(|| machine::cloud_sql_connections(sql));
    let (places, labels) = (&database_places(estate), &[class, tier]);
    survivors(
        estate,
        &Measure {
            what: "connections",
            have: [aws, gcp],
            unit: 1,
            places,
            labels,
        },
    )
}

fn cache(estate: &Estate) -> Outcome {
    let node = estate.aws.text("elasticache_node_type")?;
    let memory =
        machine::cache_memory_mib(&node).ok_or_else(|| Missing(format!("the memory of {node}")))?;
    let usable = memory * 3 / 4;
    let other = estate.gcp.count("memorystore_memory_size_gb")? * 1024;
    let (small, large) = (usable.min(other), usable.max(other));
    let numbers = format!(
        "{node} {} GiB x 0.75 = {} GiB against {} GiB of Memorystore",
        shown(memory, 1024),
        shown(usable, 1024),
        shown(other, 1024)
    );
    let found = Found::at(
        estate.aws.place("elasticache_node_type"),
        "both caches hold the same keys",
        numbers.clone(),
    );
    judge(
        if small * 10 >= large * 9 {
            vec![]
        } else {
            vec![found]
        },
        numbers,
    )
}

fn burstable(estate: &Estate) -> Outcome {
    let aws = &estate.aws;
    let mut found = Vec::new();
    for key in [
        "node_group_instance_types",
        "rds_instance_class",
        "elasticache_node_type",
    ] {
        let kinds = aws.list(key).unwrap_or_default();
        let Some(kind) = kinds.into_iter().find(|kind| {
            machine::cache_burstable(kind)
                || machine::aws(kind).is_some_and(|machine| machine.burstable())
        }) else {
            continue;
        };
        let sustained = machine::aws(&kind).map_or(20, |machine| machine.baseline_percent);
        let computed =
            format!("{kind} sustains {sustained} % of its vCPUs once its credits are spent");
        found.push(Found::at(
            aws.place(key),
            "full speed for as long as the outage lasts",
            computed,
        ));
    }
    if !aws.present {
        return Err(Missing("the aws environment".to_owned()));
    }
    judge(found, "no machine lives on credits")
}

fn per_zone(estate: &Estate) -> Outcome {
    let gcp = &estate.gcp;
    let initial = gcp.count("node_pool_initial_count")?;
    let stated = gcp.has("node_locations")
        || gcp.has("node_pool_total_max_count")
        || gcp.has("gke_location");
    if stated || estate.assumed.word("gke_nodes") == "total" {
        return judge(
            Vec::new(),
            format!("{} nodes at start", initial * estate.gke_factor()),
        );
    }
    let zones = estate.gke_zones();
    let most = gcp.count("node_pool_max_count").unwrap_or(initial);
    let computed = format!(
        "a regional cluster takes counts per zone: {initial} x {zones} zones = {} nodes at start, up to {}",
        initial * zones,
        most * zones
    );
    judge(
        vec![Found::at(
            gcp.place("node_pool_initial_count"),
            format!("{initial} nodes"),
            computed,
        )],
        "",
    )
}

fn bounds(estate: &Estate) -> Outcome {
    let aws = [
        "node_group_min_size",
        "node_group_desired_capacity",
        "node_group_max_size",
    ];
    let gcp = [
        "node_pool_min_count",
        "node_pool_initial_count",
        "node_pool_max_count",
    ];
    let mut found = Vec::new();
    let mut known = false;
    for (environment, keys) in [(&estate.aws, aws), (&estate.gcp, gcp)] {
        let counts = keys.map(|key| environment.count(key));
        let [Ok(min), Ok(start), Ok(max)] = counts else {
            continue;
        };
        known = true;
        if min > start || start > max {
            let computed = format!("minimum {min}, start {start}, maximum {max}");
            found.push(Found::at(
                environment.place(keys[1]),
                "counts that the API accepts",
                computed,
            ));
        }
    }
    if known {
        judge(found, "the counts are in order")
    } else {
        Err(Missing("node counts".to_owned()))
    }
}
