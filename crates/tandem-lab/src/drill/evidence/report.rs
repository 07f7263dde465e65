//! `report.json`: everything one run showed, in one versioned shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tandem_core::drill::curves::Bucket;
use tandem_core::drill::observed::{Finding, Injected};
use tandem_core::drill::{Door, Drill, Measure, Moved, Oracle, Origin, Timing, Verdict};
use tandem_core::model::{Epoch, Mono, SiteId};
use tandem_core::planner::Rule;

use crate::drill::journal::Entry;
use crate::lab::NetworkKind;

/// The shape of [`Report`] that this build writes.
pub const SCHEMA: &str = "tandem.drill-report.v1";

/// One run of one drill. Moments are microseconds of the machine's boot clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The experiment, as its file said.
    pub drill: Drill,
    /// Which run this was.
    pub run: Run,
    /// What it proved.
    pub verdict: Verdict,
    /// Every figure by name.
    pub values: BTreeMap<Measure, f64>,
    /// T0 to T7 and the spans between them.
    pub timing: Timing,
    /// The judgement over its writes.
    pub oracle: Oracle,
    /// The faults with their exact times.
    pub injected: Vec<Injected>,
    /// Moves that a person asked for, and how long writes stood still.
    #[serde(default)]
    pub moves: Vec<Moved>,
    /// The looks after the load.
    pub findings: Vec<Finding>,
    /// What clients inside the sites were told, door by door.
    #[serde(default)]
    pub doors: Vec<DoorTold>,
    /// What agents decided, and why.
    pub decisions: Vec<Decision>,
    /// What agents wrote down themselves, oldest first.
    pub journal: Vec<Entry>,
    /// Who could write, each change, as `site/epoch`.
    pub writers: Vec<(Mono, tandem_core::drill::Origin)>,
    /// The load began.
    pub started: Mono,
    /// The last request was intended.
    pub ended: Mono,
    /// Width of a bucket, in milliseconds.
    pub bucket_ms: u64,
    /// Requests over time.
    pub buckets: Vec<Bucket>,
    /// Failures by their words.
    pub failures: BTreeMap<String, u64>,
    /// About the clients themselves.
    pub client: Client,
    /// Versions of servers and of our own binaries.
    pub versions: BTreeMap<String, String>,
    /// Configuration files by name, secrets masked.
    pub configuration: BTreeMap<String, String>,
    /// Where the run took place.
    pub machine: Machine,
    /// What a run in a lab says nothing about.
    pub unproven: Vec<String>,
}

/// What the clients at one door inside a site were told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoorTold {
    /// The process that was written to.
    pub process: String,
    /// What kind of door it is.
    pub door: Door,
    /// Answered with an error.
    pub refused: u64,
    /// Never answered, or the session broke.
    pub unknown: u64,
    /// Acknowledged, by who acknowledged.
    pub acknowledged: BTreeMap<Origin, Acknowledged>,
}

/// Acknowledgements of one epoch at one door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// How many.
    pub count: u64,
    /// When the first was sent.
    pub first_sent: Mono,
    /// When the last was sent.
    pub last_sent: Mono,
    /// When the last answer arrived.
    pub last_answered: Mono,
}

/// Which run it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number among the repeats, from 1.
    pub number: u32,
    /// The seed of its timetable.
    pub seed: u64,
    /// Wall clock at the start, RFC 3339.
    pub started: String,
    /// Wall clock at the end, RFC 3339.
    pub finished: String,
    /// Bounds on time were multiplied by this.
    pub patience: f64,
    /// What joined the places.
    #[serde(default)]
    pub network: NetworkKind,
    /// How the links between the sites are made, and what they cannot do.
    pub links: String,
    /// The command that repeats the run.
    pub command: String,
}

/// One decision or view of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When it was heard.
    pub at: Mono,
    /// The agent's process.
    pub agent: String,
    /// Its site.
    pub site: SiteId,
    /// The highest epoch it knew.
    pub epoch: Epoch,
    /// What its site was, in its own words.
    pub role: String,
    /// The places that it could not reach.
    pub down: Vec<SiteId>,
    /// The reason's code.
    pub code: String,
    /// The reason in English.
    pub en: String,
    /// The reason in Korean.
    pub ko: String,
    /// The safety rules that were asked, and whether each passed.
    pub rules: Vec<Rule>,
}

/// About the clients themselves: a client that is late measures itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Processor time that they used, in seconds.
    pub cpu_s: f64,
    /// The latest that a request was sent after its intended time, in milliseconds.
    pub late_max_ms: f64,
    /// 99th percentile of that.
    pub late_p99_ms: f64,
}

/// Where the run took place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processors.
    pub cores: u32,
    /// Memory.
    pub memory_bytes: u64,
    /// Model of the processor.
    pub cpu: String,
    /// Load average of the last minute before the run.
    pub load_before: f64,
}
