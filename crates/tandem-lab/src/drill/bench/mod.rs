//! The failover benchmark: every drill many times, and a peer in between.
//!
//! The peer (Patroni + etcd + HAProxy, `bench/peers/patroni`) runs alternately
//! with ours, on the same machine and in the same hour, each alone. A peer that
//! cannot be had fails the benchmark with the line that installs it; a
//! comparison without a peer would be an advertisement.

mod peer;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tandem_core::drill::Drill;

use super::evidence::{self, Machine, Report};
use super::progress::{Progress, Tell};
use super::series::{Plan, Theatre};
use super::{Error, Stop, circumstances, shelf};

pub use peer::Peer;
pub use rows::{PeerValue, Row};

/// How often the peer is measured with its best profile.
pub const PEER_RUNS: u32 = 5;

/// The drill that the peer is compared with.
const COMPARED: &str = "aws-outage";

/// The drills of the table, each one fault of a whole site or none.
const DRILLS: [&str; 6] = [
    "normal",
    COMPARED,
    "aws-app-outage",
    "gcp-outage",
    "consistency",
    "rolling-restart",
];

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Runs of each drill.
    pub runs: u32,
    /// One drill alone, if named.
    pub only: Option<String>,
    /// The seed of the first run of each drill.
    pub seed: u64,
    /// Where evidence of the runs lies.
    pub folder: PathBuf,
    /// The lab's first port.
    pub base_port: u16,
}

/// The result, as it is written to `target/bench/failover.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// `failover`.
    pub bench: String,
    /// The commit that was measured.
    pub commit: String,
    /// Whether files were changed since.
    pub dirty: bool,
    /// When it began, RFC 3339.
    pub started: String,
    /// Where.
    pub machine: Machine,
    /// Every figure.
    pub rows: Vec<Row>,
}

impl Bench {
    /// Whether every bound holds.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.holds != Some(false))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        let text = serde_json::to_string_pretty(self).expect("plain data");
        fs::write(path, text).map_err(Error::file("write", path))
    }
}

/// Runs what is missing and computes the rows from all evidence.
///
/// # Errors
/// If the peer cannot be had, or the first error of the runner.
pub async fn run(wish: &Wish, tell: Tell<'_>, stop: &Stop) -> Result<Bench, Error> {
    let drills = drills(wish)?;
    let peer = Peer::find(&wish.folder)?;
    let (commit, dirty) = circumstances::commit();
    let (started, machine) = (circumstances::wall(), circumstances::machine());
    let mut theatre = Theatre::new(wish.base_port);
    let result = rounds(wish, &drills, &peer, &mut theatre, tell, stop).await;
    let closed = theatre.close().await;
    let reports = result?;
    closed?;
    let rows = rows::of(&reports, &peer.results()?);
    Ok(Bench {
        bench: "failover".to_owned(),
        commit,
        dirty,
        started,
        machine,
        rows,
    })
}

fn drills(wish: &Wish) -> Result<Vec<Drill>, Error> {
    match &wish.only {
        Some(name) => Ok(vec![shelf::take(name)?]),
        None => DRILLS.iter().map(|name| shelf::take(name)).collect(),
    }
}

async fn rounds(
    wish: &Wish,
    drills: &[Drill],
    peer: &Peer,
    theatre: &mut Theatre,
    tell: Tell<'_>,
    stop: &Stop,
) -> Result<Vec<Report>, Error> {
    let mut reports = Vec::new();
    for number in 1..=wish.runs {
        for drill in drills {
            tell(&Progress::Phase(format!(
                "{} run {number} of {}",
                drill.id, wish.runs
            )));
            reports.push(ours(wish, drill, number, theatre, tell, stop).await?);
            if drill.id == COMPARED && number <= PEER_RUNS && peer.misses(number) {
                // Each alone: the lab's idle processes would cost the peer time.
                theatre.close().await?;
                peer.run(number, tell, stop).await?;
            }
        }
    }
    Ok(reports)
}

async fn ours(
    wish: &Wish,
    drill: &Drill,
    number: u32,
    theatre: &mut Theatre,
    tell: Tell<'_>,
    stop: &Stop,
) -> Result<Report, Error> {
    let plan = Plan {
        drill: drill.clone().in_series(),
        repeat: wish.runs,
        seed: wish.seed,
        patience: 1.0,
        folder: wish.folder.join(&drill.id),
        base_port: wish.base_port,
        keep_lab: false,
        command: format!(
            "tandem drill bench failover --only {} --runs {}",
            drill.id, wish.runs
        ),
    };
    match evidence::read(&plan.run_folder(number))? {
        Some(report) => Ok(report),
        None => theatre.run(&plan.order(number), tell, stop).await,
    }
}
