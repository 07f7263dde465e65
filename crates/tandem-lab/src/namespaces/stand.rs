//! Where the lab itself stands when its places are namespaces.
//!
//! A lab asks every process how it is, whatever happens to the links between places; but a
//! namespace can be reached only from one that is joined to it. So the lab runs in a
//! namespace of its own, which loses its name at once and ends with the process.
//!
//! Nobody changes the namespace of a running program here: an [`Entrance`] is made and tried
//! from outside, and a program is started behind it (a program may also replace itself).

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::tool::{run, run_in, said_by};
use crate::links::Shape;
use crate::process::namespace_file;
use crate::{Error, Result};

/// What a kernel without delays says.
const NO_NETEM: &str = "this kernel cannot delay packets (it has no `sch_netem`); load it with `modprobe sch_netem`, go without (--delay-ms 0 --jitter-ms 0), or use --network userland";
/// Tells a program behind an entrance where it stands, and what the kernel can do.
const PASS: &str = "TANDEM_LAB_STAND";
/// In the pass: wires can have a delay.
const DELAYS: &str = "delays";
/// The namespace of this process.
const OWN: &str = "/proc/self/ns/net";
/// Programs that are run, and what to install for them.
const PROGRAMS: [(&str, &str); 5] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("timeout", "coreutils"),
];
/// Everything that cuts and doors need, tried before anything is built.
const TRIAL: &str = "table inet tandem_trial {\n  chain input {\n    type filter hook input priority filter;\n    iifname \"trial\" tcp flags & rst == rst accept\n    iifname \"trial\" meta l4proto tcp reject with tcp reset\n    iifname \"trial\" drop\n  }\n}\ndelete table inet tandem_trial\ntable ip tandem_trial {\n  chain prerouting {\n    type nat hook prerouting priority dstnat;\n    iifname \"trial\" tcp dport 1 dnat to 127.0.0.1\n  }\n}\ndelete table ip tandem_trial\n";

/// A namespace for a lab to stand in, with nobody in it yet. Dropping it removes its name.
#[derive(Debug)]
pub struct Entrance {
    name: String,
    delays: bool,
}

impl Entrance {
    /// Makes a namespace and tries in there what a lab will do.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything that is missing on this machine, each with its fix.
    pub fn open(base_port: u16) -> Result<Self> {
        let faults = missing();
        if !faults.is_empty() {
            return Err(Error::Refused(faults));
        }
        let name = format!("{}{}", beginning(base_port), std::process::id());
        run("make a namespace", "ip", &["netns", "add", &name], "")
            .map_err(|error| refused("network namespaces", &error))?;
        let mut entrance = Self {
            name,
            delays: false,
        };
        entrance.delays = entrance.try_out()?;
        Ok(entrance)
    }

    /// Whether links can have a delay.
    pub fn can_delay(&self) -> bool {
        self.delays
    }

    /// `program`, to be started behind the entrance. It replaces `nsenter`, and keeps its number.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let file = namespace_file(&self.name);
        command.arg(format!("--net={}", file.display()));
        command.arg("--").arg(program);
        let delays = if self.delays { DELAYS } else { "" };
        command.env(PASS, format!("{}:{delays}", self.name));
        command
    }

    /// Whether there are delays; an error if anything else is missing.
    fn try_out(&self) -> Result<bool> {
        let name = self.name.as_str();
        let up = ["-n", name, "link", "set", "lo", "up"];
        run("start loopback", "ip", &up, "")?;
        let what = "firewall rules (kernel options NF_TABLES_INET, NFT_REJECT_INET, NFT_NAT)";
        run_in(name, "try a firewall rule", "nft", &["-f", "-"], TRIAL)
            .map_err(|error| refused(what, &error))?;
        let queue = |verb| ["-n", name, "qdisc", verb, "dev", "lo", "root"];
        let netem = ["netem", "delay", "1ms"];
        let delays = said_by("tc", &[&queue("add")[..], &netem].concat()).is_some();
        if delays {
            run("end a trial", "tc", &queue("del"), "")?;
        }
        Ok(delays)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        // A name that stays is removed by the next lab of this base port.
        let _ = said_by("ip", &["netns", "del", &self.name]);
    }
}

/// How the names of entrances to a lab begin; the number of their process follows.
fn beginning(base_port: u16) -> String {
    format!("tandem-{base_port}-lab-")
}

/// Names of entrances whose process died between making and using them.
pub(super) fn left(base_port: u16) -> Vec<String> {
    let all = std::fs::read_dir(namespace_file("")).into_iter().flatten();
    let names = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let beginning = beginning(base_port);
    let is_left = |name: &String| {
        let process = name.strip_prefix(&beginning);
        process.is_some_and(|process| !Path::new("/proc").join(process).exists())
    };
    names.filter(is_left).collect()
}

/// The proof that this process stands in a namespace of its own and may build others.
#[derive(Debug, Clone)]
pub struct Stand {
    delays: bool,
}

impl Stand {
    /// The stand of a process that was started behind an [`Entrance`]; `None` for others, and
    /// for the second who asks.
    pub fn here() -> Option<Self> {
        let pass = std::env::var(PASS).ok()?;
        let (name, delays) = pass.split_once(':')?;
        if !is_same(&namespace_file(name), Path::new(OWN)) {
            return None;
        }
        // From now on the namespace lives as long as those who stand in it.
        let _ = said_by("ip", &["netns", "del", name]);
        Some(Self {
            delays: delays == DELAYS,
        })
    }

    /// Whether links can have a delay.
    pub fn can_delay(&self) -> bool {
        self.delays
    }

    /// `wanted`, without the delay if this kernel has none to give.
    pub fn fitting(&self, wanted: Shape) -> Shape {
        if self.delays {
            return wanted;
        }
        Shape {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            ..wanted
        }
    }

    /// An error if links of this shape cannot be had.
    pub(crate) fn expect(&self, shape: &Shape) -> Result<()> {
        if self.fitting(*shape) == *shape {
            Ok(())
        } else {
            Err(Error::Refused(vec![NO_NETEM.to_owned()]))
        }
    }
}

/// Whether both files stand for the same namespace.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    identity(one).is_some_and(|found| identity(other) == Some(found))
}

fn refused(what: &str, error: &Error) -> Error {
    Error::Refused(vec![format!(
        "--network namespaces: this machine gives no {what}: {error}; use --network userland"
    )])
}

/// What must be there before anything can be tried.
fn missing() -> Vec<String> {
    let absent = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_installed(program));
    let fix = |(program, package): &(&str, &str)| {
        format!(
            "--network namespaces: no `{program}` found; install {package} (Debian: apt-get install {package})"
        )
    };
    let mut faults: Vec<_> = absent.map(fix).collect();
    if !rustix::process::geteuid().is_root() {
        faults.push("--network namespaces: only root may make network namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN); run it with sudo, or use --network userland".into());
    }
    faults
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
