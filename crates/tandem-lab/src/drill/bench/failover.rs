//! The failover table: each drill one fault of a whole site or none, with a peer beside it.

use tandem_core::drill::Measure;

use super::rows::Rule;
use super::rows::Statistic::{Max, Min, P50, Sum};
use super::{COMPARED, Often, Program};

/// What is run.
const DRILLS: [&str; 6] = [
    "normal",
    COMPARED,
    "aws-app-outage",
    "gcp-outage",
    "consistency",
    "rolling-restart",
];

pub(super) fn program() -> Program {
    Program {
        name: "failover",
        drills: DRILLS.map(|drill| (drill, Often::Always)).to_vec(),
        rules: RULES.to_vec(),
        with_peer: true,
        with_promotions: false,
    }
}

/// What must be shown, drill by drill.
const RULES: &[Rule] = &[
    ("normal", Measure::Requests, Min, Some(">= 10000")),
    ("normal", Measure::ShareOff, Max, Some("<= 3")),
    ("normal", Measure::HeaderWrong, Sum, Some("== 0")),
    ("normal", Measure::FailedRequests, Sum, Some("== 0")),
    ("normal", Measure::P95, Max, Some("<= 200")),
    ("aws-outage", Measure::ReadGap, P50, Some("<= 1.5")),
    ("aws-outage", Measure::ReadGap, Max, None),
    ("aws-outage", Measure::WriteRto, P50, Some("<= 8")),
    ("aws-outage", Measure::WriteRto, Max, Some("<= 12")),
    ("aws-outage", Measure::Rto, P50, None),
    ("aws-outage", Measure::Recovery, P50, None),
    ("aws-outage", Measure::Rpo, Max, Some("<= 5")),
    ("aws-outage", Measure::Missing, Sum, None),
    ("aws-outage", Measure::MissingUnexplained, Sum, Some("== 0")),
    ("aws-outage", Measure::Duplicated, Sum, Some("== 0")),
    ("aws-outage", Measure::EpochViolations, Sum, Some("== 0")),
    ("aws-outage", Measure::EpochRise, Min, Some(">= 1")),
    ("aws-outage", Measure::RefusedDirect, Min, Some("== 1")),
    ("aws-outage", Measure::RefusedAtGate, Min, Some("== 1")),
    ("aws-outage", Measure::Forwarded, Min, Some("== 1")),
    ("aws-outage-lagging", Measure::Missing, Min, Some(">= 1")),
    (
        "aws-outage-lagging",
        Measure::MissingUnexplained,
        Sum,
        Some("== 0"),
    ),
    ("aws-outage-lagging", Measure::Rpo, Max, Some("<= 5")),
    ("aws-app-outage", Measure::PoolUnhealthy, Min, Some("== 1")),
    (
        "aws-app-outage",
        Measure::SurvivorShare,
        Min,
        Some("== 100"),
    ),
    ("aws-app-outage", Measure::ReadGap, P50, Some("<= 1.5")),
    ("aws-app-outage", Measure::Promotions, Sum, Some("== 0")),
    (
        "aws-app-outage",
        Measure::WritesAfterFault,
        Min,
        Some(">= 1"),
    ),
    ("gcp-outage", Measure::Promotions, Sum, Some("== 0")),
    (
        "gcp-outage",
        Measure::FailedWritesOutsideFaults,
        Sum,
        Some("== 0"),
    ),
    ("gcp-outage", Measure::ReadGap, P50, Some("<= 1.5")),
    ("gcp-outage", Measure::MissingUnexplained, Sum, Some("== 0")),
    ("consistency", Measure::VisibilityP50, P50, Some("<= 1")),
    ("consistency", Measure::VisibilityP99, P50, Some("<= 1")),
    ("consistency", Measure::NotVisible, Sum, Some("== 0")),
    ("rolling-restart", Measure::Promotions, Sum, Some("== 0")),
    ("rolling-restart", Measure::Missing, Sum, Some("== 0")),
    (
        "rolling-restart",
        Measure::FailedOutsideFaults,
        Sum,
        Some("== 0"),
    ),
    ("rolling-restart", Measure::FailedRequests, Max, None),
];
