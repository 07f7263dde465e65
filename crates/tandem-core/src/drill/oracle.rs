//! The oracle: was every acknowledged write kept, once, by the one writer of its epoch?
//!
//! Each write is an append with a unique number, and the database itself says
//! who took it (`site/epoch`). The oracle compares what the service *said*
//! with what the surviving database *has*.
//!
//! Invariants looked for: no acknowledged number is missing unexplained, none
//! is there twice, none is there that nobody sent; and
//! no write of epoch n is acknowledged whose request was *sent after* the first
//! acknowledgement of epoch n + 1 was received. (Sent after, not answered
//! after: an answer may be slow on its way, but a write that *started* when the
//! next epoch was known to clients needs two open sites.)

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::history::{Kind, Origin, Outcome, Request, Row};
use crate::model::{Epoch, Mono, SiteId};

/// What the oracle found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oracle {
    /// Writes that the schedule wanted.
    pub writes: u64,
    /// Answered 2xx in time.
    pub acknowledged: u64,
    /// Answered, but not 2xx.
    pub refused: u64,
    /// Not answered in time.
    pub unknown: u64,
    /// Acknowledged and in the surviving database.
    pub present: u64,
    /// Not acknowledged, yet in the surviving database: allowed, a client that hears nothing knows nothing.
    pub present_unacknowledged: u64,
    /// Acknowledged and not in the surviving database.
    pub missing: Vec<Missing>,
    /// Numbers that the surviving database has more than once.
    pub duplicated: Vec<u64>,
    /// Numbers in the surviving database that nobody sent.
    pub foreign: Vec<u64>,
    /// Writes whose row names another origin than the acknowledgement did.
    pub relabelled: Vec<u64>,
    /// Acknowledgements of an epoch that clients already knew to be over.
    pub violations: Vec<Violation>,
    /// Acknowledgements of an old epoch that arrived after a newer one was known, though sent before.
    #[serde(default)]
    pub late: Vec<Violation>,
    /// Epochs in which more than one site acknowledged writes.
    pub shared_epochs: Vec<Epoch>,
    /// Counts by who acknowledged.
    pub by_origin: BTreeMap<Origin, OriginCount>,
    /// The newest survivor against the newest acknowledged write, over epochs that lost any.
    pub rpo: Duration,
}

/// An acknowledged write that the surviving database does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The write's number.
    pub number: u64,
    /// Who acknowledged it.
    pub origin: Option<Origin>,
    /// When the client knew of the acknowledgement.
    pub acknowledged_at: Mono,
    /// Whether it was found on the site that acknowledged it.
    pub found: bool,
}

/// A write acknowledged by an epoch that was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The late write.
    pub number: u64,
    /// Who acknowledged it.
    pub origin: Origin,
    /// When its request was sent.
    pub sent: Mono,
    /// When a client first held an acknowledgement of a newer epoch.
    pub newer_known: Mono,
}

/// What one site acknowledged in one epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginCount {
    /// Acknowledged writes.
    pub acknowledged: u64,
    /// Of these, in the surviving database.
    pub present: u64,
    /// Of these, not there.
    pub missing: u64,
}

impl Oracle {
    /// Judges `requests` against the `rows` of the surviving database and the
    /// numbers that were `found` on the site that lost them.
    pub fn judge<'a>(
        requests: impl IntoIterator<Item = &'a Request>,
        rows: &[Row],
        found: &BTreeSet<u64>,
    ) -> Self {
        let requests = requests.into_iter();
        let writes: Vec<&Request> = requests.filter(|r| r.kind == Kind::Write).collect();
        let acks: Vec<&Request> = writes
            .iter()
            .copied()
            .filter(|w| w.acknowledged())
            .collect();
        let survivors: BTreeMap<u64, Row> = rows.iter().map(|row| (row.number, *row)).collect();
        let (violations, late) = outlived(&acks);
        let mut oracle = Self {
            violations,
            late,
            shared_epochs: shared_epochs(&acks),
            rpo: rpo(&acks, &survivors),
            ..Self::default()
        };
        oracle.count_outcomes(&writes);
        oracle.compare(&acks, &survivors, found);
        oracle.inspect_rows(&writes, rows);
        oracle
    }

    /// Missing writes that were found on the site that acknowledged them.
    pub fn missing_found(&self) -> u64 {
        count(self.missing.iter().filter(|missing| missing.found))
    }

    /// Missing writes that nobody can account for.
    pub fn missing_unexplained(&self) -> u64 {
        count(self.missing.iter().filter(|missing| !missing.found))
    }

    fn count_outcomes(&mut self, writes: &[&Request]) {
        for write in writes {
            self.writes += 1;
            match write.outcome() {
                Outcome::Succeeded => self.acknowledged += 1,
                Outcome::Refused(_) => self.refused += 1,
                Outcome::Unknown => self.unknown += 1,
            }
        }
    }

    fn compare(
        &mut self,
        acks: &[&Request],
        survivors: &BTreeMap<u64, Row>,
        found: &BTreeSet<u64>,
    ) {
        for ack in acks {
            let row = survivors.get(&ack.number);
            match row {
                Some(row) if row.origin != ack.origin => self.relabelled.push(ack.number),
                _ => {}
            }
            match row {
                Some(_) => self.present += 1,
                None => self.missing.push(Missing {
                    number: ack.number,
                    origin: ack.origin,
                    acknowledged_at: ack.ended(),
                    found: found.contains(&ack.number),
                }),
            }
            if let Some(origin) = ack.origin {
                let counted = self.by_origin.entry(origin).or_default();
                counted.acknowledged += 1;
                counted.present += u64::from(row.is_some());
                counted.missing += u64::from(row.is_none());
            }
        }
    }

    fn inspect_rows(&mut self, writes: &[&Request], rows: &[Row]) {
        let sent: BTreeMap<u64, bool> = writes
            .iter()
            .map(|write| (write.number, write.acknowledged()))
            .collect();
        let mut seen = BTreeSet::new();
        for row in rows {
            if !seen.insert(row.number) {
                self.duplicated.push(row.number);
                continue;
            }
            match sent.get(&row.number) {
                None => self.foreign.push(row.number),
                Some(false) => self.present_unacknowledged += 1,
                Some(true) => {}
            }
        }
    }
}

/// Acknowledgements of an epoch that a client knew to be over: first those that were *sent*
/// after that (two writers), then those that only arrived after it. Walks the epochs from the
/// newest to the oldest and remembers when a client first knew of any newer one.
fn outlived(acks: &[&Request]) -> (Vec<Violation>, Vec<Violation>) {
    let mut by_epoch: BTreeMap<Epoch, Vec<(&Request, Origin)>> = BTreeMap::new();
    for (ack, origin) in acks.iter().filter_map(|ack| Some((*ack, ack.origin?))) {
        by_epoch
            .entry(origin.epoch)
            .or_default()
            .push((ack, origin));
    }
    let mut newer_known: Option<Mono> = None;
    let mut found = Vec::new();
    for group in by_epoch.values().rev() {
        if let Some(newer_known) = newer_known {
            found.extend(group.iter().filter_map(|(ack, origin)| {
                let violation = Violation {
                    number: ack.number,
                    origin: *origin,
                    sent: ack.sent?,
                    newer_known,
                };
                (ack.ended() > newer_known).then_some(violation)
            }));
        }
        newer_known = group
            .iter()
            .map(|(ack, _)| ack.ended())
            .chain(newer_known)
            .min();
    }
    found.sort_by_key(|violation| violation.number);
    found
        .into_iter()
        .partition(|violation| violation.sent > violation.newer_known)
}

fn shared_epochs(acks: &[&Request]) -> Vec<Epoch> {
    let mut sites: BTreeMap<Epoch, BTreeSet<SiteId>> = BTreeMap::new();
    for origin in acks.iter().filter_map(|ack| ack.origin) {
        sites.entry(origin.epoch).or_default().insert(origin.site);
    }
    sites
        .into_iter()
        .filter(|(_, sites)| sites.len() > 1)
        .map(|(epoch, _)| epoch)
        .collect()
}

/// Per epoch that lost any: from the acknowledgement of its newest survivor to
/// that of its newest write. An epoch without survivor counts from its first
/// sending. Later epochs cannot help: their writes say nothing about the loss.
fn rpo(acks: &[&Request], survivors: &BTreeMap<u64, Row>) -> Duration {
    let mut by_epoch: BTreeMap<Option<Epoch>, Vec<&Request>> = BTreeMap::new();
    for ack in acks {
        by_epoch
            .entry(ack.origin.map(|origin| origin.epoch))
            .or_default()
            .push(ack);
    }
    by_epoch
        .values()
        .map(|group| epoch_rpo(group, survivors))
        .max()
        .unwrap_or_default()
}

fn epoch_rpo(group: &[&Request], survivors: &BTreeMap<u64, Row>) -> Duration {
    let kept = |ack: &&&Request| survivors.contains_key(&ack.number);
    if group.iter().all(|ack| kept(&ack)) {
        return Duration::ZERO;
    }
    let newest = group.iter().map(|ack| ack.ended()).max();
    let newest_kept = group.iter().filter(kept).map(|ack| ack.ended()).max();
    let first_sent = group.iter().filter_map(|ack| ack.sent).min();
    match (newest, newest_kept.or(first_sent)) {
        (Some(newest), Some(safe)) => newest.since(safe),
        _ => Duration::ZERO,
    }
}

fn count(items: impl Iterator) -> u64 {
    u64::try_from(items.count()).expect("fewer than 2^64 writes")
}

#[cfg(test)]
mod tests {
    use super::super::transcript::Transcript;
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn judge(text: &str) -> Oracle {
        let history = Transcript::read(text);
        Oracle::judge(&history.requests, &history.rows, &history.found)
    }

    #[test]
    fn a_quiet_history_has_no_findings() {
        let oracle = judge(
            "write 0  .. 20 201 aws/1
             write 10 .. 40 201 aws/1
             read  15 .. 18 200
             row 1 aws/1
             row 2 aws/1",
        );
        assert_eq!(
            (oracle.writes, oracle.acknowledged, oracle.present),
            (2, 2, 2)
        );
        assert_eq!(oracle.rpo, Duration::ZERO);
        assert!(
            oracle.missing.is_empty() && oracle.violations.is_empty() && oracle.foreign.is_empty()
        );
        assert_eq!(oracle.by_origin[&"aws/1".parse().unwrap()].acknowledged, 2);
    }

    #[test]
    fn a_lost_tail_is_counted_in_writes_and_in_seconds() {
        let oracle = judge(
            "write 0    .. 20   201 aws/1
             write 1000 .. 1020 201 aws/1
             write 1500 .. 1520 201 aws/1
             write 7000 .. 7020 201 gcp/2
             row 1 aws/1
             row 4 gcp/2
             found 2",
        );
        assert_eq!(
            oracle.missing.iter().map(|m| m.number).collect::<Vec<_>>(),
            [2, 3]
        );
        assert_eq!(
            (oracle.missing_found(), oracle.missing_unexplained()),
            (1, 1)
        );
        assert_eq!(oracle.rpo, Duration::from_millis(1_500));
        assert_eq!(oracle.by_origin[&"aws/1".parse().unwrap()].missing, 2);
    }

    #[test]
    fn an_epoch_without_survivor_counts_from_its_first_sending() {
        let oracle = judge(
            "write 0    .. 20   201 aws/1
             write 1000 .. 1020 201 aws/1
             found 1 2",
        );
        assert_eq!(oracle.rpo, Duration::from_millis(1_020));
        assert_eq!(oracle.missing_unexplained(), 0);
    }

    #[test]
    fn an_answer_that_was_under_way_is_no_violation_but_a_later_sending_is() {
        let oracle = judge(
            "write 0   .. 900 201 aws/1
             write 100 .. 300 201 gcp/2
             write 299 .. 950 201 aws/1
             write 301 .. 400 201 aws/1",
        );
        let late: Vec<_> = oracle.violations.iter().map(|v| v.number).collect();
        assert_eq!(late, [4]);
        assert_eq!(oracle.violations[0].origin.to_string(), "aws/1");
        assert_eq!(oracle.violations[0].newer_known, Mono(300_000));
        let slow: Vec<_> = oracle.late.iter().map(|late| late.number).collect();
        assert_eq!(slow, [1, 3], "known, and told apart");
    }

    #[test]
    fn a_skipped_epoch_still_ends_all_older_ones() {
        let oracle = judge(
            "write 0   .. 50  201 gcp/5
             write 100 .. 150 201 aws/3
             write 200 .. 250 201 aws/4",
        );
        assert_eq!(
            oracle
                .violations
                .iter()
                .map(|v| v.number)
                .collect::<Vec<_>>(),
            [2, 3]
        );
    }

    #[test]
    fn two_sites_in_one_epoch_are_found_even_without_overlap() {
        let oracle = judge(
            "write 0   .. 50  201 aws/1
             write 100 .. 150 201 gcp/1
             row 1 aws/1
             row 2 gcp/1",
        );
        assert_eq!(oracle.shared_epochs, [Epoch(1)]);
    }

    #[test]
    fn duplicates_strangers_and_changed_labels_are_named() {
        let oracle = judge(
            "write 0  .. 50 201 aws/1
             write 10 .. 60 201 aws/1
             write 20 .. -  lost
             row 1 aws/1
             row 1 aws/1
             row 2 gcp/2
             row 3 aws/1
             row 9 aws/1",
        );
        assert_eq!(oracle.duplicated, [1]);
        assert_eq!(oracle.foreign, [9]);
        assert_eq!(oracle.relabelled, [2]);
        assert_eq!((oracle.unknown, oracle.present_unacknowledged), (1, 1));
    }

    #[test]
    fn an_answer_after_the_deadline_acknowledges_nothing() {
        let oracle = judge("write 0 .. 2001 201 aws/1");
        assert_eq!((oracle.acknowledged, oracle.unknown), (0, 1));
        assert!(oracle.missing.is_empty());
    }

    /// The definitions, word by word, without any cleverness.
    fn model(requests: &[Request], rows: &[Row]) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let acks = || requests.iter().filter(|r| r.acknowledged());
        let missing = acks()
            .filter(|ack| !rows.iter().any(|row| row.number == ack.number))
            .map(|ack| ack.number)
            .collect();
        let late = acks()
            .filter(|old| {
                acks().any(|new| {
                    let (Some(old_origin), Some(new_origin)) = (old.origin, new.origin) else {
                        return false;
                    };
                    new_origin.epoch > old_origin.epoch && old.sent.unwrap() > new.ended()
                })
            })
            .map(|ack| ack.number)
            .collect();
        let mut twice: Vec<u64> = rows.iter().map(|row| row.number).collect();
        twice.sort_unstable();
        let mut twice: Vec<u64> = twice
            .windows(2)
            .filter(|w| w[0] == w[1])
            .map(|w| w[0])
            .collect();
        twice.dedup();
        (missing, late, twice)
    }

    fn any_write() -> impl Strategy<Value = (u64, u64, u64, bool)> {
        (0..4_000u64, 0..2_400u64, 1..4u64, any::<bool>())
    }

    proptest! {
        #[test]
        fn the_oracle_agrees_with_the_definitions(
            writes in prop::collection::vec(any_write(), 0..40),
            kept in prop::collection::vec(0..3u8, 40),
        ) {
            let mut requests = vec![];
            let mut rows = vec![];
            for (index, (sent, took, epoch, acked)) in writes.iter().enumerate() {
                let number = u64::try_from(index).unwrap();
                let origin = Origin { epoch: Epoch(*epoch), site: "aws".parse().unwrap() };
                let sent = Mono(sent * 1_000);
                requests.push(Request {
                    number,
                    kind: Kind::Write,
                    intended: sent,
                    sent: Some(sent),
                    answered: acked.then(|| sent.after(Duration::from_millis(*took))),
                    status: acked.then_some(201),
                    cloud: None,
                    origin: acked.then_some(origin),
                    failure: None,
                    patience_ms: None,
                });
                for _ in 0..kept[index] {
                    rows.push(Row { number, origin: Some(origin) });
                }
            }
            let oracle = Oracle::judge(&requests, &rows, &BTreeSet::new());
            let (missing, late, mut twice) = model(&requests, &rows);
            prop_assert_eq!(oracle.missing.iter().map(|m| m.number).collect::<Vec<_>>(), missing);
            prop_assert_eq!(oracle.violations.iter().map(|v| v.number).collect::<Vec<_>>(), late);
            let mut found = oracle.duplicated.clone();
            found.dedup();
            twice.dedup();
            prop_assert_eq!(found, twice);
            prop_assert_eq!(oracle.acknowledged, oracle.present + oracle.missing_unexplained());
            prop_assert_eq!(oracle.writes, oracle.acknowledged + oracle.refused + oracle.unknown);
            prop_assert!(oracle.missing.is_empty() == (oracle.rpo == Duration::ZERO) || oracle.rpo == Duration::ZERO);
        }
    }
}
