//! What a runner saw in one run, and every figure computed from it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{Action, Aftermath};
use super::curves::quantile;
use super::file::Drill;
use super::history::{Kind, Origin, Request, Row};
use super::inside::Inside;
use super::measure::Measure;
use super::oracle::Oracle;
use super::timing::{AgentMarks, Timing, Window};
use crate::model::{Epoch, Mono, SiteId};

/// How long after an injection its errors may still surface: resets that are
/// under way, and pooled connections that notice at their next use.
pub const SETTLE: Duration = Duration::from_millis(500);

/// One injection as it was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// What was done.
    pub action: Action,
    /// Begun and finished.
    pub window: Window,
    /// How it ended, for a step that can end otherwise than the file says.
    #[serde(default)]
    pub told: Option<Told>,
}

/// How a person's step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whether it ended as the file says, in time.
    pub as_expected: bool,
    /// What was said, in one line.
    pub said: String,
}

/// One look after the load, and what it showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Aftermath,
    /// Whether it was as it must be.
    pub held: bool,
    /// What was seen, in one sentence.
    pub detail: String,
}

/// Everything that a runner saw in one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The load began.
    pub started: Mono,
    /// The last request was intended.
    pub ended: Mono,
    /// The faults, in order.
    pub injected: Vec<Injected>,
    /// Every request.
    pub requests: Vec<Request>,
    /// Every write from inside a site.
    pub inside: Vec<Inside>,
    /// The rows of this drill in the surviving database.
    pub rows: Vec<Row>,
    /// Missing writes found on the returned site.
    pub found: BTreeSet<u64>,
    /// Who could write, each time that it changed.
    pub writers: Vec<(Mono, Origin)>,
    /// When agents said what.
    pub agents: AgentMarks,
    /// Whether the edge reported the broken site's pool as unhealthy; absent if it could not be asked.
    pub pool_unhealthy: Option<bool>,
    /// How long rows took to be seen at the other site.
    pub visible_after: Vec<Duration>,
    /// Rows that were never seen there.
    pub not_visible: u64,
    /// The looks after the load.
    pub findings: Vec<Finding>,
}

impl Observed {
    /// T0: the moment before the first injection began that does more than to set the scene; the
    /// first of all if there is none.
    pub fn fault(&self) -> Option<Mono> {
        let real = |injected: &&Injected| !injected.action.is_preparation();
        let first = self.injected.iter().find(real);
        let first = first.or(self.injected.first());
        first.map(|injected| injected.window.from)
    }

    /// The moments of the run.
    pub fn timing(&self) -> Timing {
        Timing::measure(
            &self.requests,
            self.fault(),
            self.agents,
            self.started,
            self.ended,
        )
    }

    /// The judgement over its writes.
    pub fn oracle(&self) -> Oracle {
        let inside = self.inside.iter().map(|inside| &inside.request);
        Oracle::judge(self.requests.iter().chain(inside), &self.rows, &self.found)
    }

    /// Every figure that could be measured.
    pub fn values(&self, drill: &Drill) -> BTreeMap<Measure, f64> {
        let (timing, oracle) = (self.timing(), self.oracle());
        let mut values = Values::default();
        self.client_values(&mut values);
        self.traffic_values(&mut values, drill, &timing);
        time_values(&mut values, &timing);
        oracle_values(&mut values, &oracle);
        self.inside_values(&mut values, drill, &oracle);
        self.authority_values(&mut values);
        self.visibility_values(&mut values, drill);
        self.finding_values(&mut values);
        self.move_values(&mut values);
        values.0
    }

    fn client_values(&self, values: &mut Values) {
        let failed = |kind: fn(Kind) -> bool| self.failed().filter(|r| kind(r.kind)).count();
        values.count(Measure::Requests, self.requests.len());
        values.count(Measure::FailedRequests, failed(|_| true));
        values.count(Measure::FailedReads, failed(|kind| kind != Kind::Write));
        values.count(Measure::FailedWrites, failed(|kind| kind == Kind::Write));
        let stray = || self.failed().filter(|r| !self.explained(r));
        values.count(Measure::FailedOutsideFaults, stray().count());
        values.count(
            Measure::FailedWritesOutsideFaults,
            stray().filter(|r| r.kind == Kind::Write).count(),
        );
        let mut latencies: Vec<Duration> =
            self.requests.iter().filter_map(Request::latency).collect();
        for (measure, per_mille) in [(Measure::P50, 500), (Measure::P95, 950)] {
            let value = quantile(&mut latencies, per_mille);
            values.set(measure, value.map(|span| span.as_secs_f64() * 1_000.0));
        }
    }

    fn traffic_values(&self, values: &mut Values, drill: &Drill, timing: &Timing) {
        let answers = || self.requests.iter().filter(|r| r.succeeded());
        values.count(
            Measure::HeaderWrong,
            answers().filter(|r| r.cloud.is_none()).count(),
        );
        values.set(Measure::ShareOff, share_off(answers()));
        let Some(t0) = self.fault() else { return };
        let settled = t0.after(SETTLE);
        let recovered = timing.marks.t7.unwrap_or(settled).max(settled);
        let later = || answers().filter(|r| r.sent.is_some_and(|sent| sent > recovered));
        let outside = |r: &&Request| r.cloud.is_some_and(|cloud| !drill.scope.contains(&cloud));
        values.set(
            Measure::SurvivorShare,
            percent(later().filter(outside).count(), later().count()),
        );
        let writes = answers()
            .filter(|r| r.kind == Kind::Write && r.sent.is_some_and(|sent| sent > settled));
        values.count(Measure::WritesAfterFault, writes.count());
        values.set(Measure::PoolUnhealthy, self.pool_unhealthy.map(flag));
        let failed = self.failed().filter(|r| r.kind == Kind::Write);
        let last = failed.map(|r| r.intended).max().unwrap_or(t0);
        values.set(Measure::LastFailedWrite, Some(last.since(t0).as_secs_f64()));
    }

    fn authority_values(&self, values: &mut Values) {
        let acked = || {
            self.every_request()
                .filter(|r| r.acknowledged())
                .filter_map(|r| r.origin)
        };
        let seen = || {
            self.writers
                .iter()
                .map(|(_, origin)| *origin)
                .chain(acked())
        };
        let before = self.epoch_before();
        let newest = seen().map(|origin| origin.epoch).max();
        if let (Some(before), Some(newest)) = (before, newest) {
            values.set(
                Measure::EpochRise,
                Some(to_f64(newest.0.saturating_sub(before.0))),
            );
            values.count(
                Measure::NewEpochWrites,
                acked().filter(|origin| origin.epoch > before).count(),
            );
        }
        let mut by_age: Vec<Origin> = seen().collect();
        by_age.sort_unstable();
        let moves = by_age
            .windows(2)
            .filter(|pair| pair[0].site != pair[1].site)
            .count();
        if !by_age.is_empty() {
            values.count(Measure::Promotions, moves);
        }
    }

    /// The epoch in which the drill began.
    fn epoch_before(&self) -> Option<Epoch> {
        let acked = self
            .every_request()
            .filter(|r| r.acknowledged())
            .filter_map(|r| r.origin);
        let first = self.writers.first().map(|(_, origin)| *origin);
        first
            .into_iter()
            .chain(acked)
            .map(|origin| origin.epoch)
            .min()
    }

    fn visibility_values(&self, values: &mut Values, drill: &Drill) {
        if drill.visibility.is_none() {
            return;
        }
        let mut spans = self.visible_after.clone();
        for (measure, per_mille) in [(Measure::VisibilityP50, 500), (Measure::VisibilityP99, 990)] {
            values.set(
                measure,
                quantile(&mut spans, per_mille).map(|span| span.as_secs_f64()),
            );
        }
        values.set(Measure::NotVisible, Some(to_f64(self.not_visible)));
    }

    fn finding_values(&self, values: &mut Values) {
        let not_held = self.findings.iter().filter(|finding| !finding.held);
        values.count(Measure::LooksFailed, not_held.count());
        for finding in &self.findings {
            let measure = match finding.check {
                Aftermath::ExpectFenced { .. } => Measure::ReturnedFenced,
                Aftermath::ExpectRefusedDirect { .. } => Measure::RefusedDirect,
                Aftermath::ExpectRefusedAtGate { .. } => Measure::RefusedAtGate,
                Aftermath::ExpectForwarded { .. } => Measure::Forwarded,
                Aftermath::ExpectStoreRefused {} => Measure::StoreRefused,
                Aftermath::StartSite { .. }
                | Aftermath::HealSite { .. }
                | Aftermath::FindMissing { .. }
                | Aftermath::Sql { .. }
                | Aftermath::ExpectReplicating { .. }
                | Aftermath::ExpectRule { .. }
                | Aftermath::ExpectRow { .. }
                | Aftermath::ExpectSaid { .. }
                | Aftermath::ExpectSequencesPast { .. }
                | Aftermath::ExpectWholeTransaction { .. } => continue,
            };
            let so_far = values.0.get(&measure).copied().unwrap_or(1.0);
            values.set(measure, Some(so_far.min(flag(finding.held))));
        }
    }

    /// Those of outside clients, then those from inside.
    fn every_request(&self) -> impl Iterator<Item = &Request> {
        let inside = self.inside.iter().map(|inside| &inside.request);
        self.requests.iter().chain(inside)
    }

    fn failed(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|r| !r.succeeded())
    }

    /// Whether the request was under way while an injection that may touch
    /// clients happened.
    fn explained(&self, request: &Request) -> bool {
        let begun = request.sent.unwrap_or(request.intended);
        self.injected
            .iter()
            .filter(|injected| injected.action.touches_clients())
            .any(|injected| {
                begun <= injected.window.to.after(SETTLE) && request.ended() >= injected.window.from
            })
    }
}

#[derive(Default)]
pub(super) struct Values(BTreeMap<Measure, f64>);

impl Values {
    pub(super) fn set(&mut self, measure: Measure, value: Option<f64>) {
        if let Some(value) = value {
            self.0.insert(measure, value);
        }
    }

    #[cfg(test)]
    pub(super) fn taken(&self, measure: Measure) -> Option<f64> {
        self.0.get(&measure).copied()
    }

    pub(super) fn count(&mut self, measure: Measure, count: usize) {
        self.set(
            measure,
            Some(to_f64(u64::try_from(count).expect("a count fits"))),
        );
    }
}

fn time_values(values: &mut Values, timing: &Timing) {
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    values.set(
        Measure::ReadGap,
        seconds(timing.read_gap.map(Window::length)),
    );
    values.set(Measure::WriteRto, seconds(timing.write_rto));
    values.set(Measure::Rto, seconds(timing.rto));
    values.set(Measure::Recovery, seconds(timing.recovery));
}

fn oracle_values(values: &mut Values, oracle: &Oracle) {
    values.set(Measure::Acknowledged, Some(to_f64(oracle.acknowledged)));
    values.set(Measure::Rpo, Some(oracle.rpo.as_secs_f64()));
    values.count(Measure::Missing, oracle.missing.len());
    values.set(Measure::MissingFound, Some(to_f64(oracle.missing_found())));
    values.set(
        Measure::MissingUnexplained,
        Some(to_f64(oracle.missing_unexplained())),
    );
    values.count(Measure::Duplicated, oracle.duplicated.len());
    values.count(Measure::Foreign, oracle.foreign.len());
    values.count(Measure::Relabelled, oracle.relabelled.len());
    values.count(
        Measure::EpochViolations,
        oracle.violations.len() + oracle.shared_epochs.len(),
    );
}

fn share_off<'a>(answers: impl Iterator<Item = &'a Request>) -> Option<f64> {
    let mut by_cloud: BTreeMap<SiteId, usize> = BTreeMap::new();
    for cloud in answers.filter_map(|r| r.cloud) {
        *by_cloud.entry(cloud).or_default() += 1;
    }
    let busiest = by_cloud.values().copied().max()?;
    percent(busiest, by_cloud.values().sum()).map(|share| share - 50.0)
}

fn percent(part: usize, whole: usize) -> Option<f64> {
    let number = |count: usize| to_f64(u64::try_from(count).expect("a count fits"));
    (whole > 0).then(|| number(part) * 100.0 / number(whole))
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Counts of one drill stay far below 2^53, where every integer is exact.
#[allow(clippy::cast_precision_loss)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::transcript::Transcript;
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    const DRILL: &str = r#"
        version = 1
        id = "x"
        title = "t"
        hypothesis = "h"
        scope = ["aws"]
        blast_radius = "b"
        primary = "aws"
        before_s = 1
        after_s = 1
        load = { rate_per_s = 10, write_percent = 30 }
        abort = { failed_percent_before = 5 }
        expect = { rto_s = 8, rpo_s = 5 }
        visibility = { from = "aws", to = "gcp", every_ms = 100 }
        [[must]]
        measure = "missing_unexplained"
        bound = "== 0"
    "#;

    fn observe(text: &str, action: Option<Action>) -> Observed {
        let history = Transcript::read(text);
        let fault = history.faults.first().copied();
        Observed {
            ended: history.end,
            requests: history.requests,
            rows: history.rows,
            found: history.found,
            injected: action
                .zip(fault)
                .map(|(action, at)| Injected {
                    action,
                    window: Window { from: at, to: at },
                    told: None,
                })
                .into_iter()
                .collect(),
            ..Observed::default()
        }
    }

    fn check(observed: &Observed, expected: &[(Measure, f64)]) {
        let values = observed.values(&Drill::parse(DRILL).unwrap());
        for (measure, expected) in expected {
            assert_eq!(values.get(measure), Some(expected), "{}", measure.name());
        }
    }

    #[test]
    fn the_share_is_that_of_the_busier_cloud() {
        let text = "read 0 .. 1 200 aws\nread 1 .. 2 200 aws\nread 2 .. 3 200 aws\nread 3 .. 4 200 gcp\nread 5 .. 6 200";
        check(
            &observe(text, None),
            &[(Measure::ShareOff, 25.0), (Measure::HeaderWrong, 1.0)],
        );
    }

    #[test]
    fn failures_are_explained_only_by_a_fault_at_their_time_that_touches_clients() {
        let text = "fault 1000\nwrite 990 .. 1001 502\nread 1499 .. 1500 502\nwrite 1501 .. 1502 502\nread 10 .. 20 503";
        let kill = Action::KillSite {
            site: "gcp".parse().unwrap(),
        };
        let expected = [
            (Measure::FailedOutsideFaults, 2.0),
            (Measure::FailedWritesOutsideFaults, 1.0),
        ];
        check(&observe(text, Some(kill)), &expected);
        let restart = Action::RestartProcess {
            process: "aws.agent-1".to_string(),
        };
        check(
            &observe(text, Some(restart)),
            &[(Measure::FailedOutsideFaults, 4.0)],
        );
    }

    #[test]
    fn a_promotion_is_a_change_of_site_and_an_epoch_may_rise_without() {
        let text = "write 0 .. 1 201 aws/1\nwrite 9 .. 10 201 aws/2";
        check(
            &observe(text, None),
            &[
                (Measure::Promotions, 0.0),
                (Measure::EpochRise, 1.0),
                (Measure::NewEpochWrites, 1.0),
            ],
        );
        let mut moved = observe(text, None);
        moved.writers = vec![
            (Mono(0), "aws/1".parse().unwrap()),
            (Mono(9), "gcp/4".parse().unwrap()),
        ];
        check(
            &moved,
            &[(Measure::Promotions, 1.0), (Measure::EpochRise, 3.0)],
        );
    }

    #[test]
    fn one_failed_look_spoils_its_figure_and_no_look_leaves_it_out() {
        let site = "aws".parse().unwrap();
        let look = |held| Finding {
            check: Aftermath::ExpectRefusedDirect { site },
            held,
            detail: String::new(),
        };
        let mut observed = observe("read 0 .. 1 200 aws", None);
        observed.findings = vec![look(true), look(false), look(true)];
        check(&observed, &[(Measure::RefusedDirect, 0.0)]);
        let values = observed.values(&Drill::parse(DRILL).unwrap());
        assert_eq!(values.get(&Measure::ReturnedFenced), None);
    }

    #[test]
    fn survivors_are_counted_after_recovery() {
        let text = "fault 0\nread 100 .. 101 200 aws\nread 501 .. 502 200 gcp\nread 600 .. 601 200 gcp\nread 700 .. 701 200 aws";
        let kill = Action::KillProcess {
            process: "aws.crm-1".to_string(),
        };
        let share = observe(text, Some(kill)).values(&Drill::parse(DRILL).unwrap())
            [&Measure::SurvivorShare];
        assert!((share - 200.0 / 3.0).abs() < 1e-9, "{share}");
    }

    #[test]
    fn visibility_is_given_as_quantiles() {
        let mut observed = observe("read 0 .. 1 200 aws", None);
        observed.visible_after = (1..=100).map(Duration::from_millis).collect();
        observed.not_visible = 2;
        check(
            &observed,
            &[
                (Measure::VisibilityP50, 0.05),
                (Measure::VisibilityP99, 0.099),
                (Measure::NotVisible, 2.0),
            ],
        );
    }
}
