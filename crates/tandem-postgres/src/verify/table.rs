//! One table with a key: ranges side by side, then only what differs.
//!
//! Both sites hash the same range at the same time, a few ranges ahead of the answers. Nobody
//! waits for the replica here: two equal hashes prove equal rows even if one was read later.
//!
//! Invariant: ranges are settled behind a barrier, or the table is not called different.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::catalog::{Key, Subject};
use super::drill::{self, Both, Hashed};
use super::recheck::{self, Found, Suspect};
use super::report::{Difference, Method, TableReport, Unsettled, Values, Verdict};
use super::side::Side;
use super::statement::{KeyText, Range, Statements, ranges};
use super::{Pair, Run};
use crate::error::Error;

/// Ranges under way in one session: one is hashed, the next one waits at the server.
const RANGES_AHEAD: usize = 3;

/// Suspects that are settled together.
const SUSPECTS_AT_ONCE: usize = 5000;

/// Differences whose values are read at once.
const VALUES_AT_ONCE: usize = 200;

pub(super) async fn compare(
    run: &mut Run<'_>,
    subject: &Subject,
    tell: &mut dyn FnMut(u32, u64),
) -> Result<TableReport, Error> {
    let both = Both {
        source: Statements::new(subject, &subject.source),
        target: Statements::new(subject, &subject.target),
    };
    let (method, ranges) = cut(run, subject, &both).await?;
    let mut report = TableReport::new(subject, method);
    report.ranges = ranges.len();
    let rows_each = subject.rows_estimate / ranges.len() as u64;
    let buckets = drill::bucket_count(rows_each);
    let unlike = hash_all(run, &both, ranges, buckets, &mut report, tell).await?;
    if !unlike.is_empty() {
        look_into(run, subject, &both, unlike, &mut report).await?;
    }
    if run.options.reveal {
        reveal(&run.pairs[0], subject, &both, &mut report.differences).await?;
    }
    Ok(report)
}

/// Parts the table where both sites agree what comes after what; a small one stays in one piece.
async fn cut(
    run: &Run<'_>,
    subject: &Subject,
    both: &Both<'_>,
) -> Result<(Method, Vec<Range>), Error> {
    let rows = run.options.chunk_rows.max(1);
    if !subject.key.as_ref().is_some_and(|key| key.ordered) {
        return Ok((Method::KeyHash, ranges(Vec::new())));
    }
    if subject.rows_estimate <= u64::from(rows) {
        return Ok((Method::Ranges, ranges(Vec::new())));
    }
    let cuts = run.pairs[0].source.cuts(&both.source, rows).await?;
    Ok((Method::Ranges, ranges(cuts)))
}

/// Hashes every range at both sites; returns those that differ.
async fn hash_all(
    run: &Run<'_>,
    both: &Both<'_>,
    ranges: Vec<Range>,
    buckets: u32,
    report: &mut TableReport,
    tell: &mut dyn FnMut(u32, u64),
) -> Result<Vec<Hashed>, Error> {
    let total = ranges.len();
    let hash = |(number, range): (usize, Range)| {
        let pair = &run.pairs[number % run.pairs.len()];
        drill::hash(pair, both, range, buckets)
    };
    let mut answers = stream::iter(ranges.into_iter().enumerate())
        .map(hash)
        .buffered(RANGES_AHEAD * run.pairs.len());
    let mut unlike = Vec::new();
    let mut done = 0;
    while let Some(hashed) = answers.try_next().await? {
        done += 1;
        report.rows += hashed.rows;
        let percent = u32::try_from(100 * done / total).unwrap_or(100);
        tell(percent, report.rows);
        if !hashed.portions.is_empty() {
            unlike.push(hashed);
        }
    }
    Ok(unlike)
}

/// Names the rows to blame, as many as were asked for.
async fn look_into(
    run: &mut Run<'_>,
    subject: &Subject,
    both: &Both<'_>,
    unlike: Vec<Hashed>,
    report: &mut TableReport,
) -> Result<(), Error> {
    if !run.barrier.replica_has_all(&run.pairs[0].source).await? {
        report.give_up(format!(
            "{} range(s) differ, and {}",
            unlike.len(),
            run.late()
        ));
        return Ok(());
    }
    let total = unlike.len();
    let limit = run.options.limit_differences;
    let mut suspects = Vec::new();
    for (number, hashed) in (1..).zip(&unlike) {
        for portion in &hashed.portions {
            suspects.extend(drill::suspects(&run.pairs[0], both, hashed, portion).await?);
            if suspects.len() >= SUSPECTS_AT_ONCE {
                settle(run, subject, both, &mut suspects, report).await?;
            }
            if report.differences.len() > limit {
                stop_at(limit, total - number, report);
                return Ok(());
            }
        }
    }
    settle(run, subject, both, &mut suspects, report).await?;
    if report.differences.len() > limit {
        stop_at(limit, 0, report);
    }
    Ok(())
}

/// Says that there is more than was asked for.
fn stop_at(limit: usize, ranges: usize, report: &mut TableReport) {
    let more = report.differences.len() - limit;
    report.differences.truncate(limit);
    report.note = Some(format!(
        "stopped at {limit} differences; {more} more were seen, and {ranges} more range(s) that differed were not looked into"
    ));
}

async fn settle(
    run: &mut Run<'_>,
    subject: &Subject,
    both: &Both<'_>,
    suspects: &mut Vec<KeyText>,
    report: &mut TableReport,
) -> Result<(), Error> {
    report.rechecked += suspects.len() as u64;
    let outcome = recheck::settle(run, both, std::mem::take(suspects)).await?;
    let key = subject.key.as_ref();
    report.differences.extend(
        outcome
            .different
            .into_iter()
            .map(|found| difference(subject, key, found)),
    );
    if !report.differences.is_empty() {
        report.verdict = Verdict::Different;
    }
    if outcome.late {
        report.give_up(format!(
            "{} key(s) differ, and {}",
            outcome.restless.len(),
            run.late()
        ));
    } else if !outcome.restless.is_empty() {
        report.verdict = report.verdict.max(Verdict::Unsettled);
        report.unsettled.extend(
            outcome
                .restless
                .into_iter()
                .map(|suspect| unsettled(key, suspect)),
        );
    }
    Ok(())
}

fn difference(subject: &Subject, key: Option<&Key>, found: Found) -> Difference {
    let name = |place: usize| subject.columns[place].name.clone();
    Difference {
        key: named(key, &found.key),
        kind: found.kind,
        columns: found.columns.into_iter().map(name).collect(),
        values: None,
    }
}

fn unsettled(key: Option<&Key>, suspect: Suspect) -> Unsettled {
    Unsettled {
        key: named(key, &suspect.key),
        looks: suspect.looks,
        at_primary: suspect.at_primary,
        at_replica: suspect.at_replica,
    }
}

fn named(key: Option<&Key>, values: &KeyText) -> BTreeMap<String, String> {
    let names = key.into_iter().flat_map(|key| key.columns.iter().cloned());
    names.zip(values.iter().cloned()).collect()
}

/// Reads the values of what differs; they may have moved since.
async fn reveal(
    pair: &Pair,
    subject: &Subject,
    both: &Both<'_>,
    differences: &mut [Difference],
) -> Result<(), Error> {
    let columns = subject
        .key
        .iter()
        .flat_map(|key| &key.columns)
        .collect::<Vec<_>>();
    for some in differences.chunks_mut(VALUES_AT_ONCE) {
        let key = |found: &Difference| {
            columns
                .iter()
                .map(|name| found.key[*name].clone())
                .collect()
        };
        let keys: Vec<KeyText> = some.iter().map(key).collect();
        let (ours, theirs) = tokio::try_join!(
            values(&pair.source, &both.source, subject, &keys),
            values(&pair.target, &both.target, subject, &keys)
        )?;
        for ((difference, primary), replica) in some.iter_mut().zip(ours).zip(theirs) {
            difference.values = Some(Values { primary, replica });
        }
    }
    Ok(())
}

type Named = Option<BTreeMap<String, Option<String>>>;

async fn values(
    side: &Side,
    about: &Statements<'_>,
    subject: &Subject,
    keys: &[KeyText],
) -> Result<Vec<Named>, Error> {
    let found = side.values(about, keys).await?;
    let names = || subject.columns.iter().map(|column| column.name.clone());
    Ok(found
        .into_iter()
        .map(|row| row.map(|texts| names().zip(texts).collect()))
        .collect())
}
