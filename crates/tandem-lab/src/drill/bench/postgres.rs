//! The PostgreSQL table: planned moves as often as asked, agents that die at each of their steps,
//! the database's own troubles a quarter as often.
//!
//! A pause is what outside clients saw between two acknowledged writes, the longer of both moves
//! of a run. What must be exact is a sum over all runs.

use tandem_core::drill::Measure;

use super::rows::Rule;
use super::rows::Statistic::{Max, Min, P50, Sum};
use super::{Often, Program};

/// There and back under load.
const MOVES: &str = "switchover";

/// Writes are really lost, and each must be in the ledger.
const LOSSY: &str = "aws-outage-lagging";

/// The survivor takes over, whatever its database was doing.
const TAKEN_OVER: [(&str, Often); 2] = [
    ("half-received-transaction", Often::Always),
    ("sequences", Often::Quarter),
];

/// The acting agent is killed at a step of its own work.
const CRASHES: [&str; 3] = [
    "crash-at-every-step",
    "crash-in-failover",
    "crash-in-reinstate",
];

/// An old primary with ten thousand rows of its own comes back under load.
const BACK: &str = "reinstate-after-divergence";

/// Nobody takes over, and nothing is gone when the primary is back.
const REFUSED: [&str; 5] = [
    "slot-lost",
    "lag-over-exposure",
    "ddl-wrong-order",
    "rds-multi-az",
    "minor-upgrade",
];

/// A person changes the schema under load: columns alone, and a table with a move of the writes.
const COLUMNS: &str = "ddl-add-column";
const TABLE: &str = "ddl-add-table";

/// The replica's database is away and comes back.
const REPLICA_AWAY: &str = "minor-upgrade-replica";

/// What the planned move alone shows.
const OWN: &[Rule] = &[
    (MOVES, Measure::WritePause, P50, Some("<= 1")),
    (MOVES, Measure::WritePause, Max, Some("<= 3")),
    (MOVES, Measure::WritePauseFirst, P50, None),
    (MOVES, Measure::WritePauseLast, P50, None),
    (MOVES, Measure::FailedWrites, Sum, None),
    (MOVES, Measure::FailedRequests, Sum, None),
    (MOVES, Measure::StepsFailed, Sum, Some("== 0")),
    (MOVES, Measure::Promotions, Min, Some("== 2")),
    (MOVES, Measure::Missing, Sum, Some("== 0")),
    (LOSSY, Measure::Missing, Sum, Some(">= 1")),
    (LOSSY, Measure::Missing, Min, None),
    (BACK, Measure::Missing, Sum, Some(">= 1")),
    (BACK, Measure::StepsFailed, Sum, Some("== 0")),
    (BACK, Measure::LooksFailed, Sum, Some("== 0")),
    (BACK, Measure::Promotions, Max, Some("== 1")),
    (COLUMNS, Measure::StepsFailed, Sum, Some("== 0")),
    (COLUMNS, Measure::LooksFailed, Sum, Some("== 0")),
    (COLUMNS, Measure::FailedRequests, Sum, Some("== 0")),
    (COLUMNS, Measure::Missing, Sum, Some("== 0")),
    (COLUMNS, Measure::Promotions, Sum, Some("== 0")),
    (TABLE, Measure::StepsFailed, Sum, Some("== 0")),
    (TABLE, Measure::LooksFailed, Sum, Some("== 0")),
    (TABLE, Measure::FailedWrites, Sum, None),
    (TABLE, Measure::Missing, Sum, Some("== 0")),
    (TABLE, Measure::WritePause, Max, Some("<= 3")),
    (REPLICA_AWAY, Measure::LooksFailed, Sum, Some("== 0")),
    (REPLICA_AWAY, Measure::Missing, Sum, Some("== 0")),
    (REPLICA_AWAY, Measure::Promotions, Sum, Some("== 0")),
    (REPLICA_AWAY, Measure::FailedRequests, Sum, None),
];

pub(super) fn program() -> Program {
    let always = [(MOVES, Often::Always), (LOSSY, Often::Always)];
    let crashes = CRASHES.iter().map(|drill| (*drill, Often::EachMoment));
    let seldom = REFUSED.iter().chain(&[BACK, COLUMNS, TABLE, REPLICA_AWAY]);
    let seldom = seldom.map(|drill| (*drill, Often::Quarter));
    let drills: Vec<_> = always
        .into_iter()
        .chain(TAKEN_OVER)
        .chain(crashes)
        .chain(seldom)
        .collect();
    let own = OWN.iter().copied();
    let all = drills.iter().flat_map(|(drill, _)| everywhere(drill));
    let taken = TAKEN_OVER.iter().flat_map(|(drill, _)| taken_over(drill));
    let refused = REFUSED.iter().flat_map(|drill| refused(drill));
    let crashed = CRASHES.iter().flat_map(|drill| crashed(drill));
    Program {
        name: "postgres",
        rules: own
            .chain(all)
            .chain(taken)
            .chain(refused)
            .chain(crashed)
            .collect(),
        drills,
        with_peer: false,
        with_promotions: true,
    }
}

/// What every drill must show.
fn everywhere(drill: &'static str) -> [Rule; 3] {
    let none = Some("== 0");
    [
        (drill, Measure::MissingUnexplained, Sum, none),
        (drill, Measure::Duplicated, Sum, none),
        (drill, Measure::EpochViolations, Sum, none),
    ]
}

fn taken_over(drill: &'static str) -> [Rule; 4] {
    [
        (drill, Measure::WriteRto, P50, Some("<= 8")),
        (drill, Measure::WriteRto, Max, Some("<= 12")),
        (drill, Measure::Promotions, Max, Some("== 1")),
        (drill, Measure::LooksFailed, Sum, Some("== 0")),
    ]
}

/// The same end as without the crash.
fn crashed(drill: &'static str) -> [Rule; 3] {
    [
        (drill, Measure::StepsFailed, Sum, Some("== 0")),
        (drill, Measure::LooksFailed, Sum, Some("== 0")),
        (drill, Measure::Promotions, Max, Some("== 1")),
    ]
}

fn refused(drill: &'static str) -> [Rule; 4] {
    let none = Some("== 0");
    [
        (drill, Measure::Promotions, Sum, none),
        (drill, Measure::Missing, Sum, none),
        (drill, Measure::LooksFailed, Sum, none),
        (drill, Measure::WriteRto, P50, None),
    ]
}
