//! The names of all figures.
//!
//! A drill file names figures in its conditions; the same names stand in
//! `report.json` and in the benchmark's rows. One closed list, so that a typo
//! in a file is an error and not a condition that is never judged.

use serde::{Deserialize, Serialize};

macro_rules! measures {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $unit:literal;)+) => {
        /// One figure of a run. The doc line is its explanation in reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Measure {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Measure {
            /// Every figure.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The unit; empty for plain counts.
            pub fn unit(self) -> &'static str {
                match self { $(Self::$variant => $unit,)+ }
            }

            /// What it is, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

measures! {
    /// Requests that the clients intended.
    Requests = "requests", "";
    /// Requests that were not answered 2xx within 2 s of their intended time.
    FailedRequests = "failed_requests", "";
    /// Reads that failed.
    FailedReads = "failed_reads", "";
    /// Writes that failed.
    FailedWrites = "failed_writes", "";
    /// Failed requests that no injected fault explains by its time.
    FailedOutsideFaults = "failed_outside_faults", "";
    /// Failed writes that no injected fault explains by its time.
    FailedWritesOutsideFaults = "failed_writes_outside_faults", "";
    /// Median answer time of successful requests.
    P50 = "p50_ms", "ms";
    /// 95th percentile of the answer time of successful requests.
    P95 = "p95_ms", "ms";
    /// Distance of the busier cloud's share of answers from one half, in percentage points.
    ShareOff = "share_off_points", "points";
    /// Share of answers from outside the drill's scope once clients had recovered.
    SurvivorShare = "survivor_share_percent", "%";
    /// Successful answers without a right X-Cloud-Provider header.
    HeaderWrong = "header_wrong", "";
    /// Longest window without a successful read.
    ReadGap = "read_gap_s", "s";
    /// T6 - T0: from the fault to the first successful write.
    WriteRto = "write_rto_s", "s";
    /// T7 - T1: from the first failed request until 99 % succeed and it stays so.
    Rto = "rto_s", "s";
    /// T7 - T0: from the fault until 99 % succeed and it stays so.
    Recovery = "recovery_s", "s";
    /// Newest surviving write against the newest acknowledged one.
    Rpo = "rpo_s", "s of writes";
    /// Acknowledged writes.
    Acknowledged = "acknowledged", "";
    /// Acknowledged writes that the surviving database does not have.
    Missing = "missing", "";
    /// Missing writes that were found on the site that acknowledged them.
    MissingFound = "missing_found", "";
    /// Missing writes that nobody can account for.
    MissingUnexplained = "missing_unexplained", "";
    /// Writes that the surviving database has more than once.
    Duplicated = "duplicated", "";
    /// Rows of this drill that nobody sent.
    Foreign = "foreign", "";
    /// Rows whose origin differs from that in the acknowledgement.
    Relabelled = "relabelled", "";
    /// Writes sent after a newer epoch was known, yet acknowledged by an older one; and epochs with two writers.
    EpochViolations = "epoch_violations", "";
    /// Acknowledgements of an old epoch that came through an application or a gate after a newer one was known, though sent before.
    LateAcknowledgements = "late_acknowledgements", "";
    /// Writes from inside the sites that were acknowledged, at whatever door.
    InsideAcknowledged = "inside_acknowledged", "";
    /// Writes acknowledged at a door of an isolated site while it was isolated.
    IsolatedAcknowledged = "isolated_acknowledged", "";
    /// By how much the epoch rose.
    EpochRise = "epoch_rise", "";
    /// How often the right to write moved to another site.
    Promotions = "promotions", "";
    /// Writes acknowledged by the new primary in a higher epoch.
    NewEpochWrites = "new_epoch_writes", "";
    /// From the first fault to the moment of the last write that was meant to be sent and failed.
    LastFailedWrite = "last_failed_write_s", "s";
    /// 1 if every agent refuses the store.
    StoreRefused = "store_refused", "";
    /// Writes acknowledged after the fault had settled.
    WritesAfterFault = "writes_after_fault", "";
    /// 1 if the edge reported the broken site's pool as unhealthy.
    PoolUnhealthy = "pool_unhealthy", "";
    /// Median time from an acknowledged write at one site until the other site shows it.
    VisibilityP50 = "visibility_p50_s", "s";
    /// 99th percentile of that time.
    VisibilityP99 = "visibility_p99_s", "s";
    /// Rows that the other site never showed.
    NotVisible = "not_visible", "";
    /// Longest time between two acknowledged writes from a person's move on, over all moves of the run.
    WritePause = "write_pause_s", "s";
    /// The same for the first move.
    WritePauseFirst = "write_pause_first_s", "s";
    /// The same for the last move.
    WritePauseLast = "write_pause_last_s", "s";
    /// Steps that did not end as the file says, or only after the load.
    StepsFailed = "steps_failed", "";
    /// Looks after the load that did not show what they must.
    LooksFailed = "looks_failed", "";
    /// 1 if the returned site came back without the right to write.
    ReturnedFenced = "returned_fenced", "";
    /// 1 if the returned site's database refused the application's direct write.
    RefusedDirect = "refused_direct", "";
    /// 1 if the returned site's gate refused a forwarded write session.
    RefusedAtGate = "refused_at_gate", "";
    /// 1 if a write through the returned site's gate was taken by the new primary.
    Forwarded = "forwarded", "";
}

impl Measure {
    /// Whether a busy machine may stretch it. RPO is loss, not time.
    pub fn is_time(self) -> bool {
        matches!(
            self,
            Self::ReadGap
                | Self::WriteRto
                | Self::Rto
                | Self::Recovery
                | Self::LastFailedWrite
                | Self::WritePause
                | Self::WritePauseFirst
                | Self::WritePauseLast
                | Self::P50
                | Self::P95
                | Self::VisibilityP50
                | Self::VisibilityP99
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_measure_has_a_name_of_its_own_and_a_sentence() {
        let names: BTreeSet<_> = Measure::ALL.iter().map(|measure| measure.name()).collect();
        assert_eq!(names.len(), Measure::ALL.len());
        assert!(
            Measure::ALL
                .iter()
                .all(|measure| measure.meaning().ends_with('.'))
        );
    }
}
