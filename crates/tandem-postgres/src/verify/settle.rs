//! Is a row really different, or was it only on its way?
//!
//! Intuition: look at the primary, let the replica apply all of that, look at the replica,
//! look at the primary again. The replica shows some state that the primary had *between*
//! its two looks; whoever did not move in between can be held against the other.
//!
//! Assumed of the caller, for the n-th round: the replica's look came after it had applied every
//! commit that `before` saw, and `after` sees every commit that the replica's look saw.
//!
//! Invariant: `Different` is said only of a row that one site kept *in the same version* from
//! before to after a look of the other site that saw something else. A row that moves all the
//! time stays `Open`, whatever it looks like.
//!
//! Refused: "different n times in a row". A key that is inserted and deleted all day looks so.

/// A row as one look found it; `None` if there was none.
pub(super) type Reading = Option<Row>;

/// A row that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Place and transaction of this version: every update makes another one.
    pub(super) version: String,
    /// A hash for each column, `None` for NULL.
    pub(super) content: Vec<Option<i64>>,
}

/// What the looks of a round say of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both sites held the same at some moment.
    Equal,
    /// They do not, and nothing is on its way.
    Different(Kind),
    /// It moved; look again.
    Open,
}

/// How the replica differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The replica lacks the row.
    Missing,
    /// Only the replica has the row.
    Extra,
    /// Both have it, with other values.
    Different,
}

/// The looks at one key in one round, in the order they were taken.
pub(super) struct Looks<'a> {
    /// The replica in the round before.
    pub(super) replica_before: Option<&'a Reading>,
    /// The primary, before the barrier.
    pub(super) before: &'a Reading,
    /// The replica, behind the barrier.
    pub(super) replica: &'a Reading,
    /// The primary, once everything was visible there that the replica had seen.
    pub(super) after: &'a Reading,
}

/// Decides about one key.
pub(super) fn judge(looks: &Looks<'_>) -> Verdict {
    let replica = looks.replica;
    if same(replica, looks.before) || same(replica, looks.after) {
        return Verdict::Equal;
    }
    if unmoved(looks.before, looks.after) {
        return Verdict::Different(kind(looks.before, replica));
    }
    // The replica stood still around `before`, which was taken between its two looks.
    match looks.replica_before {
        Some(earlier) if unmoved(earlier, replica) => {
            Verdict::Different(kind(looks.before, replica))
        }
        _ => Verdict::Open,
    }
}

/// Whether two looks show the same values.
pub(super) fn same(one: &Reading, other: &Reading) -> bool {
    one.as_ref().map(|row| &row.content) == other.as_ref().map(|row| &row.content)
}

/// The columns in which two looks differ, by their place; none if a row is missing.
pub(super) fn columns(one: &Reading, other: &Reading) -> Vec<usize> {
    let (Some(one), Some(other)) = (one, other) else {
        return Vec::new();
    };
    let pairs = one.content.iter().zip(&other.content).enumerate();
    pairs
        .filter(|(_, (a, b))| a != b)
        .map(|(place, _)| place)
        .collect()
}

/// A row that is there in the same version was not touched in between. Two looks that find
/// nothing prove nothing: it may have come and gone.
fn unmoved(earlier: &Reading, later: &Reading) -> bool {
    match (earlier, later) {
        (Some(earlier), Some(later)) => earlier.version == later.version,
        _ => false,
    }
}

fn kind(primary: &Reading, replica: &Reading) -> Kind {
    match (primary, replica) {
        (Some(_), None) => Kind::Missing,
        (None, _) => Kind::Extra,
        (Some(_), Some(_)) => Kind::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `v3=7` is version 3 with the value 7; `-` is no row.
    fn reading(text: &str) -> Reading {
        let (version, value) = text.split_once('=')?;
        Some(Row {
            version: version.into(),
            content: vec![Some(1), value.parse().ok()],
        })
    }

    #[track_caller]
    fn check(replica_before: &str, before: &str, replica: &str, after: &str, expected: Verdict) {
        let earlier = (!replica_before.is_empty()).then(|| reading(replica_before));
        let looks = Looks {
            replica_before: earlier.as_ref(),
            before: &reading(before),
            replica: &reading(replica),
            after: &reading(after),
        };
        assert_eq!(judge(&looks), expected);
    }

    #[test]
    fn equal_to_either_look_is_equal() {
        check("", "a=1", "x=1", "a=1", Verdict::Equal);
        check("", "a=1", "x=2", "b=2", Verdict::Equal);
        check("", "a=1", "x=1", "b=2", Verdict::Equal);
        check("", "-", "-", "a=1", Verdict::Equal);
        check("", "a=1", "-", "-", Verdict::Equal);
    }

    #[test]
    fn a_row_that_stood_still_at_the_primary_counts_at_once() {
        check("", "a=1", "x=2", "a=1", Verdict::Different(Kind::Different));
        check("", "a=1", "-", "a=1", Verdict::Different(Kind::Missing));
    }

    #[test]
    fn a_row_that_only_the_replica_has_counts_once_it_stood_still_there() {
        check("", "-", "x=2", "-", Verdict::Open);
        check("x=2", "-", "x=2", "-", Verdict::Different(Kind::Extra));
        check("w=2", "-", "x=2", "-", Verdict::Open);
    }

    #[test]
    fn a_hot_row_beside_a_replica_that_stands_still_is_different() {
        check(
            "x=9",
            "b=2",
            "x=9",
            "c=3",
            Verdict::Different(Kind::Different),
        );
        check("x=9", "b=2", "y=9", "c=3", Verdict::Open);
    }

    #[test]
    fn what_comes_and_goes_stays_open() {
        check("-", "a=1", "-", "b=1", Verdict::Open);
        check("-", "a=1", "-", "b=2", Verdict::Open);
    }

    /// A faithful replica is never called different: every history of a few versions, every prefix
    /// that the replica may show, every moment of each look.
    #[test]
    fn a_faithful_replica_is_never_different() {
        let histories = [
            "a=1 b=2 c=1 d=2",
            "- a=1 - b=1 -",
            "a=1 - b=1 - c=1",
            "a=1 b=2 - c=2 d=1",
        ];
        for history in histories {
            let states: Vec<Reading> = history.split(' ').map(reading).collect();
            for_every_round(states.len(), |[a1, l1, a2, l2, a3]| {
                let replica = |at: usize| {
                    states[at].clone().map(|row| Row {
                        version: format!("r{at}"),
                        ..row
                    })
                };
                let looks = Looks {
                    replica_before: Some(&replica(l1)),
                    before: &states[a2],
                    replica: &replica(l2),
                    after: &states[a3],
                };
                assert!(
                    !matches!(judge(&looks), Verdict::Different(_)),
                    "{history} at {a1} {l1} {a2} {l2} {a3}"
                );
            });
        }
    }

    /// Every non-decreasing choice of five moments: a1 <= l1 <= a2 <= l2 <= a3.
    fn for_every_round(moments: usize, mut see: impl FnMut([usize; 5])) {
        for number in 0..moments.pow(5) {
            let at = |place: u32| number / moments.pow(place) % moments;
            let round = [at(0), at(1), at(2), at(3), at(4)];
            if round.is_sorted() {
                see(round);
            }
        }
    }
}
