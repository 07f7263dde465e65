//! Benchmarks: drills many times, and the rows that follow from their evidence.
//!
//! The failover table has a peer, which (Patroni + etcd + HAProxy, `bench/peers/patroni`) runs alternately
//! with ours, on the same machine and in the same hour, each alone. A peer that
//! cannot be had fails the benchmark with the line that installs it; a
//! comparison without a peer would be an advertisement.

mod authority;
mod failover;
mod peer;
mod postgres;
mod promotion;
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

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// How long a lost cloud is missed, beside a peer.
    Failover,
    /// Whether there ever are two writers.
    Authority,
    /// How long a planned move stops writes, and what a database's troubles cost.
    Postgres,
}

/// How often a drill runs, of the runs that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    Always,
    Quarter,
    /// Every moment of the drill's crash once, however few runs were asked for.
    EachMoment,
}

impl Often {
    fn runs(self, asked: u32, drill: &Drill) -> u32 {
        match self {
            Self::Always => asked,
            Self::Quarter => asked.div_ceil(4),
            Self::EachMoment => drill.moments(),
        }
    }
}

/// One benchmark: what is run, how often, and what must be shown.
struct Program {
    name: &'static str,
    drills: Vec<(&'static str, Often)>,
    rules: Vec<rows::Rule>,
    with_peer: bool,
    /// Whether the SQL of takeovers is judged: not where drills freeze databases and agents.
    with_promotions: bool,
}

impl Program {
    fn of(subject: Subject) -> Self {
        match subject {
            Subject::Failover => failover::program(),
            Subject::Authority => authority::program(),
            Subject::Postgres => postgres::program(),
        }
    }

    /// What is run, with the number of runs; a drill of another table runs as often as asked.
    fn schedule(&self, wish: &Wish) -> Result<Vec<(Drill, u32)>, Error> {
        let often = |name: &str| {
            let found = self.drills.iter().find(|(drill, _)| *drill == name);
            found.map_or(Often::Always, |(_, often)| *often)
        };
        let all = || self.drills.iter().map(|(drill, _)| (*drill).to_owned());
        let names: Vec<String> = match wish.only.is_empty() {
            true => all().collect(),
            false => wish.only.clone(),
        };
        let taken = |name: &String| {
            let drill = shelf::take(name)?;
            let runs = often(name).runs(wish.runs, &drill);
            Ok((drill, runs))
        };
        names.iter().map(taken).collect()
    }
}

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What is measured.
    pub subject: Subject,
    /// Runs of each drill.
    pub runs: u32,
    /// These drills alone, if any are named.
    pub only: Vec<String>,
    /// The seed of the first run of each drill.
    pub seed: u64,
    /// Where evidence of the runs lies.
    pub folder: PathBuf,
    /// The lab's first port.
    pub base_port: u16,
}

/// The result, as it is written to `target/bench/NAME.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// `failover`, `authority` or `postgres`.
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
    let program = Program::of(wish.subject);
    let schedule = program.schedule(wish)?;
    let peer = match program.with_peer {
        true => Some(Peer::find(&wish.folder)?),
        false => None,
    };
    let (commit, dirty) = circumstances::commit();
    let (started, machine) = (circumstances::wall(), circumstances::machine());
    let mut series = Series {
        wish,
        name: program.name,
        peer: peer.as_ref(),
        theatre: Theatre::new(wish.base_port, None),
        tell,
        stop,
    };
    let result = series.rounds(&schedule).await;
    let closed = series.theatre.close().await;
    let reports = result?;
    closed?;
    let measured = peer.map_or(Ok(Vec::new()), |peer| peer.results())?;
    let mut rows = rows::of(&program.rules, &reports, &measured);
    if program.with_promotions {
        rows.extend(rows::promotions(&reports));
    }
    Ok(Bench {
        bench: program.name.to_owned(),
        commit,
        dirty,
        started,
        machine,
        rows,
    })
}

/// A benchmark that runs.
struct Series<'a> {
    wish: &'a Wish,
    name: &'static str,
    peer: Option<&'a Peer>,
    theatre: Theatre,
    tell: Tell<'a>,
    stop: &'a Stop,
}

impl Series<'_> {
    /// Round by round, so that an interrupted table has something of every drill.
    async fn rounds(&mut self, schedule: &[(Drill, u32)]) -> Result<Vec<Report>, Error> {
        let mut reports = Vec::new();
        let rounds = schedule.iter().map(|(_, runs)| *runs).max();
        for number in 1..=rounds.unwrap_or(0) {
            for (drill, runs) in schedule.iter().filter(|(_, runs)| number <= *runs) {
                let id = &drill.id;
                (self.tell)(&Progress::Phase(format!("{id} run {number} of {runs}")));
                reports.push(self.ours(drill, number, *runs).await?);
                if drill.id == COMPARED {
                    self.peers(number).await?;
                }
            }
        }
        Ok(reports)
    }

    async fn ours(&mut self, drill: &Drill, number: u32, runs: u32) -> Result<Report, Error> {
        let Wish { runs: asked, .. } = self.wish;
        let (name, id) = (self.name, &drill.id);
        let plan = Plan {
            drill: drill.clone().in_series(),
            repeat: runs,
            seed: self.wish.seed,
            patience: 1.0,
            folder: self.wish.folder.join(id),
            base_port: self.wish.base_port,
            stand: None,
            keep_lab: false,
            command: format!("tandem drill bench {name} --only {id} --runs {asked}"),
        };
        match evidence::read(&plan.run_folder(number))? {
            Some(report) => Ok(report),
            None => {
                let order = plan.order(number);
                self.theatre.run(&order, self.tell, self.stop).await
            }
        }
    }

    /// Measures the peer, alone: the lab's idle processes would cost it time.
    async fn peers(&mut self, number: u32) -> Result<(), Error> {
        let due = |peer: &&Peer| number <= PEER_RUNS && peer.misses(number);
        let Some(peer) = self.peer.filter(due) else {
            return Ok(());
        };
        self.theatre.close().await?;
        peer.run(number, self.tell, self.stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(subject: Subject, only: &[&str]) -> Wish {
        Wish {
            subject,
            runs: 20,
            only: only.iter().map(|name| (*name).to_owned()).collect(),
            seed: 1,
            folder: PathBuf::from("bench"),
            base_port: 21_000,
        }
    }

    fn runs(subject: Subject, only: &[&str]) -> Vec<(String, u32)> {
        let schedule = Program::of(subject).schedule(&wish(subject, only));
        let schedule = schedule.expect("known drills").into_iter();
        schedule.map(|(drill, runs)| (drill.id, runs)).collect()
    }

    #[test]
    fn likely_faults_run_as_often_as_asked_and_the_rest_a_quarter_of_it() {
        let all = runs(Subject::Authority, &[]);
        let often = all.iter().filter(|(_, runs)| *runs == 20).count();
        let seldom = all.iter().filter(|(_, runs)| *runs == 5).count();
        assert_eq!((often, seldom), (7, all.len() - 7));
        let only = runs(Subject::Authority, &["vpn-cut", "short-cuts"]);
        assert_eq!(only, [("vpn-cut".into(), 5), ("short-cuts".into(), 20)]);
        let others = runs(Subject::Authority, &["aws-outage"]);
        assert_eq!(others, [("aws-outage".into(), 20)]);
        let failover = runs(Subject::Failover, &[]);
        assert!(failover.iter().all(|(_, runs)| *runs == 20) && failover.len() == 6);
        let postgres = runs(Subject::Postgres, &[]);
        let often = ["switchover", "aws-outage-lagging"].map(|drill| (drill.to_owned(), 20));
        assert_eq!(postgres[..2], often);
        let runs_of = |name: &str| {
            postgres
                .iter()
                .find(|(drill, _)| drill == name)
                .map(|found| found.1)
        };
        assert_eq!(runs_of("half-received-transaction"), Some(20));
        assert_eq!(runs_of("crash-at-every-step"), Some(16), "each moment once");
        assert_eq!(runs_of("slot-lost"), Some(5));
    }
}
