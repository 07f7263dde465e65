//! The peer: Patroni + etcd + HAProxy, driven by a script that measures as we do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::progress::{Progress, Tell};
use super::super::{Error, Stop};

/// How the peer is installed.
const INSTALL: &str = "bench/peers/patroni/install.sh";

/// The script that measures one failover of it.
const SCRIPT: &str = "bench/peers/patroni/failover.py";

/// Where the installer puts it, unless told otherwise.
const ENVIRONMENT: &str = "target/bench/patroni";

/// One failover of the peer takes under a minute; its own bounds are shorter.
const BOUND: Duration = Duration::from_secs(400);

/// What is measured: the profile, and how often. The default profile is noted
/// once; ratios use the best one.
pub(super) const PROFILES: [(&str, u32); 2] = [("ttl=20", super::PEER_RUNS), ("default", 1)];

/// The peer, installed, and its results.
#[derive(Debug)]
pub struct Peer {
    python: PathBuf,
    folder: PathBuf,
}

/// One measured failover.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::drill) struct Measured {
    /// Which peer and profile.
    pub peer: String,
    /// From kill -9 of the primary to the first write through the proxy.
    pub write_rto_s: f64,
}

impl Peer {
    /// Looks for the installed peer; results are kept below `folder`.
    ///
    /// # Errors
    /// [`Error::Peer`] with the line that installs it.
    pub fn find(folder: &Path) -> Result<Self, Error> {
        let environment = std::env::var_os("TANDEM_PATRONI")
            .map_or_else(|| PathBuf::from(ENVIRONMENT), PathBuf::from);
        let python = environment.join("bin/python");
        let missing = |what: &str| {
            Error::Peer(format!(
                "{what}; the benchmark needs its peer: run {INSTALL} in the repository"
            ))
        };
        if !Path::new(SCRIPT).is_file() {
            return Err(missing(&format!("no {SCRIPT} here")));
        }
        if !environment.join("bin/patroni").is_file() {
            return Err(missing(&format!("no Patroni in {}", environment.display())));
        }
        if !proxy_is_installed() {
            return Err(missing("no haproxy found"));
        }
        let python = std::path::absolute(&python).map_err(Error::file("find", &python))?;
        Ok(Self {
            python,
            folder: folder.join("peer"),
        })
    }

    fn path(&self, profile: &str, number: u32) -> PathBuf {
        self.folder.join(format!("{profile}-{number:03}.json"))
    }

    /// Whether a result of this round is missing.
    pub(super) fn misses(&self, number: u32) -> bool {
        self.due(number).next().is_some()
    }

    fn due(&self, number: u32) -> impl Iterator<Item = &'static str> {
        let due = PROFILES
            .into_iter()
            .filter(move |(_, runs)| number <= *runs);
        due.map(|(profile, _)| profile)
            .filter(move |profile| !self.path(profile, number).exists())
    }

    /// Measures what is due in this round.
    ///
    /// # Errors
    /// If the script fails.
    pub(super) async fn run(&self, number: u32, tell: Tell<'_>, stop: &Stop) -> Result<(), Error> {
        fs::create_dir_all(&self.folder).map_err(Error::file("create", &self.folder))?;
        for profile in self.due(number).collect::<Vec<_>>() {
            tell(&Progress::Phase(format!(
                "peer run {number}: patroni {profile}"
            )));
            let line = self.measure(profile, stop).await?;
            let path = self.path(profile, number);
            fs::write(&path, line).map_err(Error::file("write", &path))?;
        }
        Ok(())
    }

    async fn measure(&self, profile: &str, stop: &Stop) -> Result<String, Error> {
        let mut command = tokio::process::Command::new(&self.python);
        command.args([SCRIPT, "--profile", profile]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        let failed = |said: String| Error::Command {
            command: format!("{SCRIPT} --profile {profile}"),
            said,
        };
        let output = tokio::select! {
            output = tokio::time::timeout(BOUND, command.output()) => output,
            () = stop.cancelled() => return Err(Error::Interrupted),
        };
        let output = output.map_err(|_| failed(format!("no end within {} s", BOUND.as_secs())))?;
        let output = output.map_err(|error| failed(error.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match serde_json::from_str::<Measured>(&said) {
            Ok(_) if output.status.success() => Ok(said),
            _ => Err(failed(format!("{} {said}", output.status))),
        }
    }

    /// Every result so far.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn results(&self) -> Result<Vec<Measured>, Error> {
        let rounds = PROFILES
            .into_iter()
            .flat_map(|(profile, runs)| (1..=runs).map(move |number| (profile, number)));
        let paths = rounds
            .map(|(profile, number)| self.path(profile, number))
            .filter(|path| path.exists());
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
            serde_json::from_str(&text).map_err(|source| Error::Report { path, source })
        };
        paths.map(read).collect()
    }
}

fn proxy_is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .any(|folder| folder.join("haproxy").is_file())
}
