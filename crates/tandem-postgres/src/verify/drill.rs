//! From ranges whose hashes differ to the keys that are to blame.
//!
//! Every range is hashed in parts by a hash of its key: that needs no further boundaries, works for
//! keys that the sites sort differently, and a part that differs names few enough rows to send.
//!
//! Invariant: every key that stays different is named. Most of what is named under traffic is
//! merely on its way; that is for `recheck` to tell.
//!
//! Refused: one hash a range, parted when it differs. Under traffic most ranges would be read twice.

use std::collections::HashMap;

use super::Pair;
use super::side::Sums;
use super::statement::{KeyText, Range, Statements};
use crate::error::Error;

/// Rows that one part holds, about: few enough to send, many enough to keep the parts few.
const ROWS_PER_BUCKET: u64 = 1024;

/// Rows that are fetched from one site at once.
const ROWS_AT_ONCE: u64 = 50_000;

/// The statements over one table at both sites.
pub(super) struct Both<'a> {
    pub(super) source: Statements<'a>,
    pub(super) target: Statements<'a>,
}

/// One range as both sites hashed it.
pub(super) struct Hashed {
    pub(super) range: Range,
    buckets: u32,
    /// Rows of the primary.
    pub(super) rows: u64,
    /// Parts that differ, in portions that may be fetched at once.
    pub(super) portions: Vec<Vec<i32>>,
}

/// Hashes a range at both sites at the same time.
pub(super) async fn hash(
    pair: &Pair,
    both: &Both<'_>,
    range: Range,
    buckets: u32,
) -> Result<Hashed, Error> {
    let (ours, theirs) = tokio::try_join!(
        pair.source.sums(&both.source, &range, buckets),
        pair.target.sums(&both.target, &range, buckets)
    )?;
    Ok(Hashed {
        range,
        buckets,
        rows: ours.values().map(|sum| sum.rows).sum(),
        portions: portions(&ours, &theirs),
    })
}

/// The keys of a portion whose rows are not the same at both sites.
pub(super) async fn suspects(
    pair: &Pair,
    both: &Both<'_>,
    hashed: &Hashed,
    portion: &[i32],
) -> Result<Vec<KeyText>, Error> {
    let (ours, theirs) = tokio::try_join!(
        pair.source
            .rows(&both.source, &hashed.range, hashed.buckets, portion),
        pair.target
            .rows(&both.target, &hashed.range, hashed.buckets, portion)
    )?;
    Ok(unlike(ours, theirs))
}

/// Parts of a range of about `rows` rows.
pub(super) fn bucket_count(rows: u64) -> u32 {
    let wanted = (rows / ROWS_PER_BUCKET).clamp(16, 4096);
    u32::try_from(wanted).unwrap_or(4096).next_power_of_two()
}

/// The buckets that differ, grouped so that no group has many more than [`ROWS_AT_ONCE`] rows.
fn portions(ours: &Sums, theirs: &Sums) -> Vec<Vec<i32>> {
    let mut found: Vec<Vec<i32>> = Vec::new();
    let mut rows = ROWS_AT_ONCE;
    let mut all: Vec<i32> = ours.keys().chain(theirs.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    for bucket in all
        .into_iter()
        .filter(|bucket| ours.get(bucket) != theirs.get(bucket))
    {
        let count = |side: &Sums| side.get(&bucket).map_or(0, |sum| sum.rows);
        let more = count(ours).max(count(theirs));
        match found.last_mut() {
            Some(last) if rows + more <= ROWS_AT_ONCE => {
                last.push(bucket);
                rows += more;
            }
            _ => {
                found.push(vec![bucket]);
                rows = more;
            }
        }
    }
    found
}

/// Keys that only one side has, or that have another hash; sorted.
fn unlike(ours: Vec<(KeyText, i64)>, theirs: Vec<(KeyText, i64)>) -> Vec<KeyText> {
    let mut left: HashMap<KeyText, i64> = ours.into_iter().collect();
    let mut keys = Vec::new();
    for (key, hash) in theirs {
        match left.remove(&key) {
            Some(own) if own == hash => {}
            _ => keys.push(key),
        }
    }
    keys.extend(left.into_keys());
    keys.sort_unstable();
    keys
}

#[cfg(test)]
mod tests {
    use super::super::side::Sum;
    use super::*;

    fn sums(rows: &[(i32, u64, &str)]) -> Sums {
        rows.iter()
            .map(|(bucket, rows, hash)| {
                (
                    *bucket,
                    Sum {
                        rows: *rows,
                        hash: (*hash).into(),
                    },
                )
            })
            .collect()
    }

    #[test]
    fn only_parts_that_differ_are_fetched_and_never_too_many_at_once() {
        let ours = sums(&[
            (0, 10, "1"),
            (1, 30_000, "2"),
            (2, 30_000, "3"),
            (4, 1, "9"),
        ]);
        let theirs = sums(&[(0, 10, "1"), (1, 30_000, "8"), (3, 5, "4"), (4, 1, "7")]);
        assert_eq!(portions(&ours, &theirs), [vec![1], vec![2, 3, 4]]);
        assert!(portions(&ours, &ours).is_empty());
    }

    #[test]
    fn missing_extra_and_different_keys_are_suspects() {
        let key = |text: &str| vec![text.to_owned()];
        let ours = vec![(key("same"), 1), (key("other"), 2), (key("missing"), 3)];
        let theirs = vec![(key("extra"), 4), (key("other"), 5), (key("same"), 1)];
        assert_eq!(
            unlike(ours, theirs),
            [key("extra"), key("missing"), key("other")]
        );
    }

    #[test]
    fn parts_are_small_whatever_the_range() {
        assert_eq!(bucket_count(0), 16);
        assert_eq!(bucket_count(75_000), 128);
        assert_eq!(bucket_count(100_000_000), 4096);
    }
}
