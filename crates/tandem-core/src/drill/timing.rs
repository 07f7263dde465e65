//! The moments of a failover, T0 to T7, and the spans between them.
//!
//! | mark | moment | who says so |
//! |---|---|---|
//! | T0 | the fault is injected | the runner |
//! | T1 | the first request that failed was intended | clients |
//! | T2 | suspicion | agents |
//! | T3 | decision | agents |
//! | T4 | the old side is fenced | agents |
//! | T5 | the new side is writable | agents |
//! | T6 | the first write succeeds again | clients |
//! | T7 | 99 % of requests succeed, and it stays so to the end | clients |
//!
//! Invariant: every recovery time runs between marks of clients and runner;
//! the agents' marks only cut it into phases.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::history::{Kind, Request};
use crate::model::{Epoch, Mono};

/// "99 % succeed" is judged over this many requests in a row, so that one
/// failure in a hundred is allowed and two are not.
pub const WINDOW: usize = 100;

/// How many of [`WINDOW`] requests must succeed.
pub const WINDOW_GOOD: usize = 99;

/// When agents said what, as far as they did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentMarks {
    /// T2: the first observer reported the site as suspect or lost.
    pub suspected: Option<Mono>,
    /// T3: the first agent decided to take over.
    pub decided: Option<Mono>,
    /// T4: the old right to write was over (the next epoch was claimed).
    pub fenced: Option<Mono>,
    /// T5: the new site was open for writing.
    pub writable: Option<Mono>,
}

/// T0 to T7.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The fault was injected.
    pub t0: Option<Mono>,
    /// The first request that failed was intended.
    pub t1: Option<Mono>,
    /// Suspicion.
    pub t2: Option<Mono>,
    /// Decision.
    pub t3: Option<Mono>,
    /// The old side was fenced.
    pub t4: Option<Mono>,
    /// The new side was writable.
    pub t5: Option<Mono>,
    /// The first write succeeded again.
    pub t6: Option<Mono>,
    /// 99 % of requests succeeded from here to the end.
    pub t7: Option<Mono>,
}

/// Spans between marks; absent where a mark is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// T2 - T0.
    pub detect: Option<Duration>,
    /// T3 - T2.
    pub decide: Option<Duration>,
    /// T4 - T3.
    pub fence: Option<Duration>,
    /// T5 - T4.
    pub promote: Option<Duration>,
    /// T7 - T5.
    pub route: Option<Duration>,
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its first moment.
    pub from: Mono,
    /// Its last moment.
    pub to: Mono,
}

impl Window {
    /// How long it is.
    pub fn length(self) -> Duration {
        self.to.since(self.from)
    }
}

/// All moments and spans of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// T0 to T7.
    pub marks: Marks,
    /// The phases between them.
    pub phases: Phases,
    /// T6 - T0, as the peer is measured: kill to first successful write. Zero if
    /// no write failed.
    pub write_rto: Option<Duration>,
    /// T7 - T1. Zero if no request failed.
    pub rto: Option<Duration>,
    /// T7 - T0. Zero if no request failed.
    pub recovery: Option<Duration>,
    /// The longest window without a successful read.
    pub read_gap: Option<Window>,
}

impl Timing {
    /// Reads the moments from what clients saw between `started` and `ended`.
    pub fn measure(
        requests: &[Request],
        fault: Option<Mono>,
        agents: AgentMarks,
        started: Mono,
        ended: Mono,
    ) -> Self {
        let read_gap = read_gap(requests, started, ended);
        let Some(t0) = fault else {
            return Self {
                read_gap,
                ..Self::default()
            };
        };
        let after: Vec<&Request> = ordered_after(requests, t0);
        let t1 = first_failure(&after, t0);
        let t6 = first_write_again(&after, requests, t0);
        let t7 = sustained(&after).map(|at| at.max(t6.unwrap_or(at)));
        // Agents are asked every so often: a mark is heard late, never early, so
        // that none can lie behind the one that follows from it.
        let t5 = earlier(agents.writable, t6);
        let t4 = earlier(agents.fenced, t5);
        let t3 = earlier(agents.decided, t4);
        let t2 = earlier(agents.suspected, t3);
        let marks = Marks {
            t0: Some(t0),
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7: t1.and(t7),
        };
        let quiet =
            |span: Option<Duration>, failed: bool| if failed { span } else { Some(Duration::ZERO) };
        let writes_failed = after
            .iter()
            .any(|r| r.kind == Kind::Write && !r.succeeded());
        Self {
            marks,
            phases: Phases::between(marks),
            write_rto: quiet(span(marks.t0, t6), writes_failed || t6.is_some()),
            rto: quiet(span(t1, marks.t7), t1.is_some()),
            recovery: quiet(span(marks.t0, marks.t7), t1.is_some()),
            read_gap,
        }
    }
}

impl Phases {
    fn between(marks: Marks) -> Self {
        Self {
            detect: span(marks.t0, marks.t2),
            decide: span(marks.t2, marks.t3),
            fence: span(marks.t3, marks.t4),
            promote: span(marks.t4, marks.t5),
            route: span(marks.t5, marks.t7),
        }
    }
}

fn earlier(mark: Option<Mono>, next: Option<Mono>) -> Option<Mono> {
    mark.map(|mark| next.map_or(mark, |next| mark.min(next)))
}

fn span(from: Option<Mono>, to: Option<Mono>) -> Option<Duration> {
    Some(to?.since(from?))
}

/// Requests that the fault could touch: intended after it, or under way.
fn ordered_after(requests: &[Request], t0: Mono) -> Vec<&Request> {
    let mut after: Vec<&Request> = requests.iter().filter(|r| r.ended() >= t0).collect();
    after.sort_by_key(|r| (r.intended, r.number));
    after
}

fn first_failure(after: &[&Request], t0: Mono) -> Option<Mono> {
    after
        .iter()
        .find(|r| !r.succeeded())
        .map(|r| r.intended.max(t0))
}

/// The answer to the first write of a newer epoch; without a new epoch, to the
/// first write that was sent after a write had failed.
fn first_write_again(after: &[&Request], requests: &[Request], t0: Mono) -> Option<Mono> {
    let epoch = |r: &Request| r.origin.map(|origin| origin.epoch);
    let before: Option<Epoch> = requests
        .iter()
        .filter(|r| r.acknowledged() && r.ended() < t0)
        .filter_map(epoch)
        .max();
    let writes = || after.iter().copied().filter(|r| r.kind == Kind::Write);
    let newer = |r: &&Request| before.is_some() && epoch(r) > before;
    let by_epoch = writes()
        .filter(|r| r.acknowledged())
        .filter(newer)
        .map(Request::ended)
        .min();
    by_epoch.or_else(|| {
        let failed = writes().find(|r| !r.succeeded())?.intended;
        writes()
            .filter(|r| r.acknowledged() && r.intended > failed)
            .map(Request::ended)
            .min()
    })
}

/// The answer to the first request from which on every [`WINDOW`] in a row has
/// [`WINDOW_GOOD`] successes; it must be a success itself.
fn sustained(after: &[&Request]) -> Option<Mono> {
    let good: Vec<bool> = after.iter().map(|r| r.succeeded()).collect();
    let window = WINDOW.min(good.len());
    let allowed = WINDOW - WINDOW_GOOD;
    let mut first = None;
    let mut failures = good.iter().rev().take(window).filter(|ok| !**ok).count();
    for start in (0..=good.len() - window).rev() {
        if start + window < good.len() {
            failures += usize::from(!good[start]);
            failures -= usize::from(!good[start + window]);
        }
        if failures > allowed {
            break;
        }
        first = Some(start);
    }
    let start = first?;
    let from = (start..good.len()).find(|index| good[*index])?;
    Some(after[from].ended())
}

fn read_gap(requests: &[Request], started: Mono, ended: Mono) -> Option<Window> {
    let mut answers: Vec<Mono> = requests
        .iter()
        .filter(|r| r.kind == Kind::Read && r.succeeded())
        .map(Request::ended)
        .filter(|at| (started..=ended).contains(at))
        .collect();
    answers.push(started);
    answers.push(ended);
    answers.sort_unstable();
    let gaps = answers.windows(2).map(|pair| Window {
        from: pair[0],
        to: pair[1],
    });
    gaps.max_by_key(|gap| gap.length())
}

#[cfg(test)]
mod tests {
    use super::super::transcript::Transcript;
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    fn timing(text: &str) -> Timing {
        let history = Transcript::read(text);
        let fault = history.faults.first().copied();
        Timing::measure(
            &history.requests,
            fault,
            AgentMarks::default(),
            Mono(0),
            history.end,
        )
    }

    /// `count` reads of 1 ms, one every 10 ms from `from` on.
    fn reads(from: u64, count: u64) -> String {
        (0..count)
            .map(|i| format!("read {} .. {} 200 gcp\n", from + i * 10, from + i * 10 + 1))
            .collect()
    }

    #[test]
    fn a_failover_has_all_moments_of_clients() {
        let timing = timing(&format!(
            "{}
             write 990  .. 998  201 aws/1
             fault 1000
             write 995  .. 1003 502
             read  1004 .. 1005 502
             write 1010 .. -    lost
             {}
             write 5000 .. -    lost
             write 6500 .. 7100 201 gcp/2
             write 6600 .. 7050 201 gcp/2
             {}
             end 9000",
            reads(0, 100),
            reads(2_000, 100),
            reads(7_000, 200)
        ));
        assert_eq!(timing.marks.t0, Some(Mono(1_000_000)));
        assert_eq!(
            timing.marks.t1,
            Some(Mono(1_000_000)),
            "under way at the fault"
        );
        assert_eq!(timing.marks.t6, Some(Mono(7_050_000)));
        assert_eq!(timing.write_rto, Some(Duration::from_millis(6_050)));
        assert_eq!(
            timing.marks.t7,
            Some(Mono(7_050_000)),
            "never before the first write"
        );
        assert_eq!(timing.rto, Some(Duration::from_millis(6_050)));
    }

    #[test]
    fn an_old_epoch_answer_after_the_fault_is_no_recovery() {
        let timing = timing(&format!(
            "{}
             write 900  .. 910  201 aws/1
             fault 1000
             write 999  .. -    lost
             write 1001 .. 1002 201 aws/1
             write 8000 .. 8100 201 gcp/2
             {}",
            reads(0, 100),
            reads(8_000, 200)
        ));
        assert_eq!(timing.marks.t6, Some(Mono(8_100_000)));
    }

    #[test]
    fn without_a_new_epoch_the_first_write_after_a_failed_one_counts() {
        let timing = timing(&format!(
            "{}
             write 900  .. 910  201 aws/1
             fault 1000
             write 1001 .. 1003 502
             write 1010 .. 1020 201 aws/1
             {}",
            reads(0, 100),
            reads(1_100, 200)
        ));
        assert_eq!(timing.write_rto, Some(Duration::from_millis(20)));
        assert_eq!(timing.marks.t7, Some(Mono(1_020_000)));
    }

    #[test]
    fn a_fault_that_nobody_notices_costs_nothing() {
        let timing = timing(&format!(
            "{}\nfault 1000\n{}",
            reads(0, 100),
            reads(1_000, 200)
        ));
        assert_eq!(
            (timing.rto, timing.write_rto),
            (Some(Duration::ZERO), Some(Duration::ZERO))
        );
        assert_eq!(timing.marks.t1, None);
    }

    #[test]
    fn two_failures_in_a_hundred_move_t7_behind_them_and_one_does_not() {
        let late = |failures: &str| {
            timing(&format!(
                "fault 0\nread 0 .. -  lost\n{}{failures}{}",
                reads(10, 150),
                reads(2_000, 150)
            ))
        };
        assert_eq!(late("").marks.t7, Some(Mono(11_000)));
        assert_eq!(late("read 1600 .. - lost\n").marks.t7, Some(Mono(11_000)));
        assert_eq!(
            late("read 1600 .. - lost\nread 1605 .. - lost\n").marks.t7,
            Some(Mono(2_001_000)),
            "the window that starts with the second failure still has one only"
        );
    }

    #[test]
    fn a_service_that_ends_broken_has_no_t7() {
        let timing = timing(&format!(
            "fault 0\n{}read 2000 .. - lost\nread 2001 .. - lost",
            reads(0, 200)
        ));
        assert_eq!((timing.marks.t7, timing.rto), (None, None));
    }

    #[test]
    fn the_read_gap_counts_from_answer_to_answer_and_to_the_edges() {
        let gap = |text: &str| {
            timing(text)
                .read_gap
                .map(|gap| (gap.from.0 / 1_000, gap.to.0 / 1_000))
        };
        assert_eq!(
            gap(
                "read 10 .. 20 200 aws\nread 500 .. 900 200 aws\nread 901 .. 902 200 aws\nend 1000"
            ),
            Some((20, 900))
        );
        assert_eq!(
            gap("read 10 .. 20 200 aws\nread 30 .. 31 503 aws\nend 1000"),
            Some((20, 1000))
        );
        assert_eq!(gap("write 500 .. 501 201 aws/1\nend 1000"), Some((0, 1000)));
    }

    /// T7 word by word: the first success from which on no window is worse than 99 %.
    fn sustained_model(good: &[bool]) -> Option<usize> {
        let window = WINDOW.min(good.len());
        let ok = |start: usize| {
            good[start..start + window]
                .iter()
                .filter(|ok| !**ok)
                .count()
                <= 1
        };
        let last = good.len() - window;
        (0..=last)
            .find(|start| (*start..=last).all(ok))
            .and_then(|start| (start..good.len()).find(|i| good[*i]))
    }

    proptest! {
        #[test]
        fn t7_agrees_with_its_definition(bad in prop::collection::btree_set(0..400usize, 0..12), total in 1..400usize) {
            let good: Vec<bool> = (0..total).map(|index| !bad.contains(&index)).collect();
            let text: String = good.iter().enumerate().map(|(index, ok)| {
                let at = index * 10;
                if *ok { format!("read {at} .. {} 200 gcp\n", at + 1) } else { format!("read {at} .. - lost\n") }
            }).collect();
            let history = Transcript::read(&text);
            let after = ordered_after(&history.requests, Mono(0));
            let expected = sustained_model(&good).map(|index| after[index].ended());
            prop_assert_eq!(sustained(&after), expected);
        }
    }
}
