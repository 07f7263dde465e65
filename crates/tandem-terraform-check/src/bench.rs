//! Figures as they are written down: a table for people, JSON for machines.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::error::{Error, at};

/// One figure.
pub struct Row {
    /// `mutation.killed`.
    pub id: String,
    /// Measured.
    pub value: f64,
    /// Of the value.
    pub unit: &'static str,
    /// How many were measured.
    pub runs: usize,
    /// The bound, `>= 95`; none without one.
    pub must: Option<String>,
}

impl Row {
    /// Whether the bound holds, computed from the value.
    pub fn holds(&self) -> Option<bool> {
        let (operator, bound) = self.must.as_deref()?.split_once(' ')?;
        let bound: f64 = bound.parse().ok()?;
        Some(match operator {
            "<=" => self.value <= bound,
            ">=" => self.value >= bound,
            _ => (self.value - bound).abs() < f64::EPSILON,
        })
    }

    fn to_json(&self) -> Json {
        json!({
            "id": self.id, "value": self.value, "unit": self.unit, "runs": self.runs,
            "min": self.value, "max": self.value, "must": self.must, "holds": self.holds(), "peer": null,
        })
    }
}

/// Writes `target/bench/NAME.json`.
pub fn write(
    repository: &Path,
    name: &str,
    started: &str,
    load_before: f64,
    rows: &[Row],
) -> Result<PathBuf, Error> {
    let folder = repository.join("target/bench");
    std::fs::create_dir_all(&folder).map_err(at(&folder))?;
    let path = folder.join(format!("{name}.json"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(repository)
            .output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default()
    };
    let document = json!({
        "bench": name, "commit": git(&["rev-parse", "HEAD"]),
        "dirty": !git(&["status", "--porcelain"]).is_empty(), "started": started,
        "machine": machine(load_before),
        "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
    });
    std::fs::write(&path, format!("{document:#}\n")).map_err(at(&path))?;
    Ok(path)
}

/// The one-minute load average; 0 where the system does not tell.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0)
}

fn machine(load_before: f64) -> Json {
    let line = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let found = text
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default();
        found
            .split_once(':')
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let kilobytes = line("/proc/meminfo", "MemTotal");
    let kilobytes: u64 = kilobytes.trim_end_matches(" kB").parse().unwrap_or(0);
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_bytes": kilobytes * 1024, "cpu": line("/proc/cpuinfo", "model name"),
        "load_before": load_before,
    })
}
