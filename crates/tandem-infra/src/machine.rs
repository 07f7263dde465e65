//! How large a machine is, from its name.
//!
//! Intuition: a T instance has its full vCPUs only while credits last; a
//! survivor runs for hours, so only the baseline counts.
//! Refused: a table of all instance types. Names follow rules, and the few
//! exceptions (cache nodes, T baselines) stand here as rows.

/// The size of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Virtual CPUs.
    pub vcpu: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// What a burstable machine sustains, in percent of its vCPUs; 100 for the others.
    pub baseline_percent: u64,
}

impl Machine {
    /// What it sustains for hours, in thousandths of a vCPU.
    pub fn sustained_milli(&self) -> u64 {
        self.vcpu * 10 * self.baseline_percent
    }

    /// Whether it lives on credits.
    pub fn burstable(&self) -> bool {
        self.baseline_percent < 100
    }
}

/// `(size, vCPU of a normal family, vCPU of a T family, T baseline percent, T memory MiB)`.
const AWS_SIZES: &[(&str, u64, u64, u64, u64)] = &[
    ("micro", 1, 2, 10, 1_024),
    ("small", 1, 2, 20, 2_048),
    ("medium", 1, 2, 20, 4_096),
    ("large", 2, 2, 30, 8_192),
    ("xlarge", 4, 4, 40, 16_384),
    ("2xlarge", 8, 8, 40, 32_768),
    ("4xlarge", 16, 16, 40, 65_536),
    ("8xlarge", 32, 32, 40, 131_072),
    ("12xlarge", 48, 48, 40, 196_608),
    ("16xlarge", 64, 64, 40, 262_144),
    ("24xlarge", 96, 96, 40, 393_216),
];

/// Usable memory of ElastiCache nodes, in MiB (`(type, MiB)`).
const CACHE_MEMORY: &[(&str, u64)] = &[
    ("cache.t3.micro", 512),
    ("cache.t3.small", 1_403),
    ("cache.t3.medium", 3_164),
    ("cache.t4g.small", 1_403),
    ("cache.t4g.medium", 3_164),
    ("cache.m6g.large", 6_533),
    ("cache.m7g.large", 6_533),
    ("cache.m7g.xlarge", 13_261),
    ("cache.r6g.large", 13_384),
    ("cache.r7g.large", 13_384),
    ("cache.r7g.xlarge", 26_972),
];

/// An EC2 or RDS type (`t3.xlarge`, `db.m7g.large`).
pub fn aws(name: &str) -> Option<Machine> {
    let name = name.strip_prefix("db.").unwrap_or(name);
    let (family, size) = name.split_once('.')?;
    let &(_, vcpu, t_vcpu, t_baseline, t_memory) = AWS_SIZES.iter().find(|row| row.0 == size)?;
    let memory_per_vcpu = match family.chars().next()? {
        't' => {
            return Some(Machine {
                vcpu: t_vcpu,
                memory_mib: t_memory,
                baseline_percent: t_baseline,
            });
        }
        'c' => 2_048,
        'm' => 4_096,
        'r' | 'x' => 8_192,
        _ => return None,
    };
    Some(Machine {
        vcpu,
        memory_mib: vcpu * memory_per_vcpu,
        baseline_percent: 100,
    })
}

/// Memory of an ElastiCache node, in MiB.
pub fn cache_memory_mib(name: &str) -> Option<u64> {
    CACHE_MEMORY
        .iter()
        .find(|row| row.0 == name)
        .map(|row| row.1)
}

/// Whether an ElastiCache node type lives on credits.
pub fn cache_burstable(name: &str) -> bool {
    name.starts_with("cache.t")
}

/// A GCE type (`n2-standard-16`, `e2-highmem-4`, `n2-custom-8-32768`).
pub fn gce(name: &str) -> Option<Machine> {
    let mut parts = name.split('-');
    let (family, shape, vcpu) = (parts.next()?, parts.next()?, parts.next());
    let shared_core = matches!((family, shape), ("e2", "micro" | "small" | "medium"));
    if shared_core {
        let (baseline_percent, memory_mib) = match shape {
            "micro" => (12, 1_024),
            "small" => (25, 2_048),
            _ => (50, 4_096),
        };
        return Some(Machine {
            vcpu: 2,
            memory_mib,
            baseline_percent,
        });
    }
    let vcpu: u64 = vcpu?.parse().ok().filter(|count| *count <= 1_024)?;
    let memory_mib = match shape {
        "standard" => vcpu * 4_096,
        "highmem" => vcpu * 8_192,
        "highcpu" => vcpu * 1_024,
        "custom" => parts
            .next()?
            .parse()
            .ok()
            .filter(|mib| *mib <= 64 * 1024 * 1024)?,
        _ => return None,
    };
    Some(Machine {
        vcpu,
        memory_mib,
        baseline_percent: 100,
    })
}

/// A Cloud SQL tier (`db-custom-4-15360`).
pub fn cloud_sql(tier: &str) -> Option<Machine> {
    match tier {
        "db-f1-micro" => {
            return Some(Machine {
                vcpu: 1,
                memory_mib: 614,
                baseline_percent: 20,
            });
        }
        "db-g1-small" => {
            return Some(Machine {
                vcpu: 1,
                memory_mib: 1_740,
                baseline_percent: 50,
            });
        }
        _ => {}
    }
    let (vcpu, memory) = tier.strip_prefix("db-custom-")?.split_once('-')?;
    let vcpu = vcpu.parse().ok().filter(|count| *count <= 1_024)?;
    let memory_mib = memory.parse().ok().filter(|mib| *mib <= 64 * 1024 * 1024)?;
    Some(Machine {
        vcpu,
        memory_mib,
        baseline_percent: 100,
    })
}

/// PostgreSQL's default `max_connections` on RDS: memory in bytes / 9,531,392, at most 5,000.
pub fn rds_connections(machine: Machine) -> u64 {
    (machine.memory_mib * 1024 * 1024 / 9_531_392).min(5_000)
}

/// PostgreSQL's default `max_connections` on Cloud SQL, by memory.
pub fn cloud_sql_connections(machine: Machine) -> u64 {
    const STEPS: [(u64, u64); 7] = [
        (120, 1_000),
        (60, 800),
        (30, 600),
        (15, 500),
        (8, 400),
        (6, 200),
        (4, 100),
    ];
    let gib = machine.memory_mib.div_ceil(1024);
    STEPS
        .iter()
        .find(|(from, _)| gib >= *from)
        .map_or(50, |(_, connections)| *connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_of_the_guide() {
        let node = aws("t3.xlarge").unwrap();
        assert_eq!(
            (node.vcpu, node.memory_mib, node.sustained_milli()),
            (4, 16_384, 1_600)
        );
        assert_eq!(aws("m7g.xlarge").unwrap().sustained_milli(), 4_000);
        assert_eq!(gce("n2-standard-16").unwrap().memory_mib, 65_536);
        let database = cloud_sql("db-custom-4-15360").unwrap();
        assert_eq!((database.vcpu, cloud_sql_connections(database)), (4, 500));
        assert_eq!(rds_connections(aws("db.t3.large").unwrap()), 901);
    }

    #[test]
    fn unknown_names_are_unknown() {
        for name in [
            "",
            "t3",
            "t3.huge",
            "z9.large",
            "n2-standard",
            "n2-standard-x",
            "db-custom-1",
            "n2-standard-99999999",
        ] {
            assert_eq!(aws(name).or(gce(name)).or(cloud_sql(name)), None, "{name}");
        }
    }
}
