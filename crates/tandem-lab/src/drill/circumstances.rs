//! Where a run took place: the machine, the commit, the clock on the wall.

use std::fs;
use std::process::Command;

use super::evidence::Machine;
use crate::lab::NetworkKind;

/// The machine as it is now.
pub fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Machine {
        cores: std::thread::available_parallelism()
            .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory(&read("/proc/meminfo")),
        cpu: cpu(&read("/proc/cpuinfo")),
        load_before: read("/proc/loadavg")
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok())
            .unwrap_or(0.0),
    }
}

fn memory(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

fn cpu(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, name)| name.trim());
    name.unwrap_or("unknown").to_owned()
}

/// The commit of the working folder, and whether it was changed since.
pub fn commit() -> (String, bool) {
    let git = |args: &[&str]| {
        Command::new("git")
            .args(args)
            .output()
            .ok()
            .filter(|output| output.status.success())
    };
    let text =
        |output: std::process::Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let sha = git(&["rev-parse", "HEAD"]).map_or("unknown".to_owned(), text);
    let dirty = git(&["status", "--porcelain"]).is_none_or(|output| !output.stdout.is_empty());
    (sha, dirty)
}

/// The wall clock, RFC 3339.
pub fn wall() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// The wall clock, seconds since 1970.
pub(crate) fn wall_seconds() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default()
}

/// What a run in a lab says nothing about.
pub(crate) fn unproven(network: NetworkKind) -> Vec<String> {
    let links = match network {
        NetworkKind::Userland => {
            "round trips, jitter and loss between real clouds; the lab's links are userland wires and cannot drop a SYN"
        }
        NetworkKind::Namespaces => {
            "round trips, jitter and loss between real clouds; the lab's links are pairs of devices in one kernel"
        }
    };
    let said = [
        "how long real cloud APIs (databases, load balancers, DNS) take, and whether they answer at all on a bad day",
        "how fast a real edge network learns that a pool is unhealthy (a real one may be 75 s late)",
        links,
        "quotas, capacity and cold caches when one cloud carries everything",
        "independent clocks: every process of the lab shares one",
        "the people: who is called, who decides, who is absent",
    ];
    said.map(str::to_owned).to_vec()
}

/// Text of a configuration file in which no secret can be read.
pub(crate) fn masked(text: &str) -> String {
    let secret = |line: &str| {
        let (key, _) = line.split_once('=')?;
        let key = key.trim().to_ascii_lowercase();
        let named = ["password", "secret", "token", "private_key"]
            .iter()
            .any(|word| key.contains(word));
        (named && !key.ends_with("_file")).then_some(())
    };
    let hidden = |line: &str| match secret(line) {
        Some(()) => format!(
            "{} = \"***\"",
            line.split('=').next().unwrap_or_default().trim_end()
        ),
        None => line.to_owned(),
    };
    text.lines().map(hidden).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_their_files_are_not() {
        let text = "name = \"crm\"\nagent_password = \"hunter2\"\nagent_password_file = \"/run/a\"\nAPI_TOKEN = \"x\"";
        let masked = masked(text);
        assert_eq!(
            masked,
            "name = \"crm\"\nagent_password = \"***\"\nagent_password_file = \"/run/a\"\nAPI_TOKEN = \"***\""
        );
    }

    #[test]
    fn the_machine_is_read_from_the_kernel() {
        let machine = machine();
        assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 20);
        assert_eq!(memory("MemTotal:       2048 kB\n"), 2 * 1_024 * 1_024);
    }
}
