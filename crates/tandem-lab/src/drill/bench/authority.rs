//! The authority table: never two writers, counted with real processes.
//!
//! The drills in which a second writer is most likely run as often as the person says, the rest
//! a quarter of that. Every drill has the same exact row: acknowledgements outside the epoch.

use tandem_core::drill::Measure;

use super::rows::Rule;
use super::rows::Statistic::{Max, Min, P50, Sum};
use super::{Often, Program};

/// A primary that lives and may not write: run most often.
const ISOLATED: [&str; 5] = [
    "aws-isolated",
    "aws-isolated-reset",
    "frozen-gate",
    "stale-etcd-leader",
    "frozen-postgres",
];

/// A short cut that must cost nothing, and a sleep without a cut: as often.
const OFTEN: [&str; 2] = ["frozen-agent", "short-cuts"];

/// The rest.
const SELDOM: [&str; 13] = [
    "vpn-cut",
    "cut-5500-ms",
    "cut-6-s",
    "cut-7-s",
    "cut-43-s",
    "witness-lost",
    "etcd-lost-one",
    "etcd-lost-two",
    "etcd-lost-three",
    "etcd-restored",
    "agent-dead-one",
    "agent-dead-both",
    "clock-jump",
];

/// What only some drills show.
const OWN: &[Rule] = &[
    ("short-cuts", Measure::Promotions, Sum, Some("== 0")),
    ("vpn-cut", Measure::Promotions, Sum, Some("== 0")),
    ("vpn-cut", Measure::LastFailedWrite, Max, Some("<= 3")),
    ("vpn-cut", Measure::LastFailedWrite, P50, None),
    ("cut-5500-ms", Measure::Promotions, Sum, Some("== 0")),
    ("cut-6-s", Measure::Promotions, Sum, None),
    ("cut-7-s", Measure::Promotions, Sum, None),
    ("witness-lost", Measure::FailedRequests, Sum, Some("== 0")),
    ("etcd-lost-one", Measure::FailedRequests, Sum, Some("== 0")),
    ("etcd-lost-two", Measure::Promotions, Sum, Some("== 0")),
    ("etcd-lost-two", Measure::FailedWrites, P50, None),
    ("etcd-lost-three", Measure::Promotions, Sum, Some("== 0")),
    ("etcd-lost-three", Measure::FailedWrites, P50, None),
    ("etcd-restored", Measure::StoreRefused, Min, Some("== 1")),
    ("agent-dead-one", Measure::FailedRequests, Sum, Some("== 0")),
];

pub(super) fn program() -> Program {
    let often = ISOLATED.iter().chain(&OFTEN);
    let often = often.map(|drill| (*drill, Often::Always));
    let seldom = SELDOM.iter().map(|drill| (*drill, Often::Quarter));
    let drills: Vec<_> = often.chain(seldom).collect();
    let all = drills.iter().flat_map(|(drill, _)| everywhere(drill));
    let isolated = ISOLATED.iter().flat_map(|drill| isolated(drill));
    let rules = all.chain(isolated).chain(OWN.iter().copied()).collect();
    Program {
        name: "authority",
        drills,
        rules,
        with_peer: false,
        with_promotions: false,
    }
}

/// What every drill must show.
fn everywhere(drill: &'static str) -> [Rule; 3] {
    let none = Some("== 0");
    [
        (drill, Measure::EpochViolations, Sum, none),
        (drill, Measure::LateAcknowledgements, Sum, none),
        (drill, Measure::MissingUnexplained, Sum, none),
    ]
}

/// The drill proves something, and how long the takeover takes.
fn isolated(drill: &'static str) -> [Rule; 3] {
    [
        (drill, Measure::InsideAcknowledged, Min, Some(">= 1")),
        (drill, Measure::WriteRto, P50, None),
        (drill, Measure::WriteRto, Max, None),
    ]
}
