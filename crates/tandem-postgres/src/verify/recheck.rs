//! Looking at suspicious keys again until each is equal, different, or known to be restless.
//!
//! A round is: the primary's rows, a barrier, the replica's rows, the other barrier, the
//! primary's rows again; `settle` judges. What moves in every round is watched at both sites at
//! the same time: if the replica follows, it shows a state that the primary showed, too.
//!
//! Invariant: bounded rounds and watches; what is left over is unsettled.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::time::sleep;

use super::drill::Both;
use super::settle::{self, Kind, Looks, Reading, Verdict, judge};
use super::side::Side;
use super::statement::{KeyText, Statements};
use super::{Pair, Run};
use crate::error::Error;

/// Rounds behind barriers. A row that only the replica has needs two; more are for keys that
/// happened to move, once those that the replica follows have been sorted out by watching.
const ROUNDS_MAX: u32 = 6;
const ROUNDS_BEFORE_WATCH: u32 = 2;
const _: () = assert!(2 <= ROUNDS_BEFORE_WATCH && ROUNDS_BEFORE_WATCH < ROUNDS_MAX);

/// Keys in one statement.
const KEYS_AT_ONCE: usize = 1000;

/// Keys that are watched at once, looks that are under way at once, and how long all watching of
/// one table may take: a restless row shows a few hundred states in that time.
const WATCHED_AT_ONCE: usize = 32;
const LOOKS_AT_ONCE: usize = 8;
const WATCH_MAX: Duration = Duration::from_secs(20);
const WATCH_EACH_MAX: Duration = Duration::from_secs(4);

/// A key that looked different.
pub(super) struct Suspect {
    pub(super) key: KeyText,
    primary: Reading,
    replica: Option<Reading>,
    pub(super) looks: u32,
    pub(super) at_primary: u32,
    pub(super) at_replica: u32,
}

/// A key that is different beyond doubt.
pub(super) struct Found {
    pub(super) key: KeyText,
    pub(super) kind: Kind,
    /// Places of the columns that differ.
    pub(super) columns: Vec<usize>,
}

/// What became of a batch of suspects.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) different: Vec<Found>,
    pub(super) restless: Vec<Suspect>,
    /// The replica did not come as far as the primary was.
    pub(super) late: bool,
}

/// Settles `keys`.
pub(super) async fn settle(
    run: &mut Run<'_>,
    both: &Both<'_>,
    keys: Vec<KeyText>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let mut open = first_look(&run.pairs[0].source, &both.source, keys).await?;
    for round in 0..ROUNDS_MAX {
        // A barrier costs as much as the replica lags; a restless row is quicker to watch.
        if round == ROUNDS_BEFORE_WATCH {
            open = watch_all(&run.pairs[0], both, open).await?;
        }
        if open.is_empty() {
            return Ok(outcome);
        }
        // The first rounds follow at once; a busy key gets a chance to pause.
        sleep(Duration::from_millis(25) * round.saturating_sub(1)).await;
        if !run.barrier.replica_has_all(&run.pairs[0].source).await? {
            outcome.late = true;
            break;
        }
        open = look_again(run, both, open, &mut outcome.different).await?;
    }
    outcome.restless = open;
    Ok(outcome)
}

async fn first_look(
    side: &Side,
    about: &Statements<'_>,
    keys: Vec<KeyText>,
) -> Result<Vec<Suspect>, Error> {
    let readings = look_up(side, about, &keys).await?;
    let suspect = |(key, primary)| Suspect {
        key,
        primary,
        replica: None,
        looks: 0,
        at_primary: 0,
        at_replica: 0,
    };
    Ok(keys.into_iter().zip(readings).map(suspect).collect())
}

/// One round behind the barrier; returns who is still open.
async fn look_again(
    run: &mut Run<'_>,
    both: &Both<'_>,
    suspects: Vec<Suspect>,
    different: &mut Vec<Found>,
) -> Result<Vec<Suspect>, Error> {
    let pair = &run.pairs[0];
    let keys: Vec<KeyText> = suspects.iter().map(|suspect| suspect.key.clone()).collect();
    let replica = look_up(&pair.target, &both.target, &keys).await?;
    run.barrier.primary_shows_all(&pair.source).await?;
    let after = look_up(&pair.source, &both.source, &keys).await?;
    let mut open = Vec::new();
    for ((mut suspect, replica), after) in suspects.into_iter().zip(replica).zip(after) {
        let looks = Looks {
            replica_before: suspect.replica.as_ref(),
            before: &suspect.primary,
            replica: &replica,
            after: &after,
        };
        match judge(&looks) {
            Verdict::Equal => {}
            Verdict::Different(kind) => different.push(Found {
                columns: settle::columns(&suspect.primary, &replica),
                key: suspect.key,
                kind,
            }),
            Verdict::Open => {
                suspect.count(after.is_some(), replica.is_some());
                (suspect.primary, suspect.replica) = (after, Some(replica));
                open.push(suspect);
            }
        }
    }
    Ok(open)
}

impl Suspect {
    fn count(&mut self, at_primary: bool, at_replica: bool) {
        self.looks += 1;
        self.at_primary += u32::from(at_primary);
        self.at_replica += u32::from(at_replica);
    }
}

async fn look_up(
    side: &Side,
    about: &Statements<'_>,
    keys: &[KeyText],
) -> Result<Vec<Reading>, Error> {
    let mut readings = Vec::with_capacity(keys.len());
    for some in keys.chunks(KEYS_AT_ONCE) {
        readings.extend(side.look_up(about, some).await?);
    }
    Ok(readings)
}

/// Watches what never stood still; returns what the two sites never had in common.
async fn watch_all(
    pair: &Pair,
    both: &Both<'_>,
    mut open: Vec<Suspect>,
) -> Result<Vec<Suspect>, Error> {
    let begun = Instant::now();
    let mut restless = Vec::new();
    while !open.is_empty() {
        let some = open.split_off(open.len().saturating_sub(WATCHED_AT_ONCE));
        let rest = WATCH_MAX.saturating_sub(begun.elapsed());
        restless.extend(watch(pair, both, some, rest.min(WATCH_EACH_MAX)).await?);
    }
    Ok(restless)
}

/// States that one key showed, as hashes of its columns.
type States = HashSet<Option<Vec<Option<i64>>>>;

async fn watch(
    pair: &Pair,
    both: &Both<'_>,
    mut open: Vec<Suspect>,
    limit: Duration,
) -> Result<Vec<Suspect>, Error> {
    let begun = Instant::now();
    let keys: Vec<KeyText> = open.iter().map(|suspect| suspect.key.clone()).collect();
    let mut seen: Vec<(States, States)> = keys.iter().map(|_| Default::default()).collect();
    let met = |(ours, theirs): &(States, States)| !ours.is_disjoint(theirs);
    while begun.elapsed() < limit && !seen.iter().all(met) {
        let (ours, theirs) = tokio::try_join!(
            try_join_all((0..LOOKS_AT_ONCE).map(|_| pair.source.look_up(&both.source, &keys))),
            try_join_all((0..LOOKS_AT_ONCE).map(|_| pair.target.look_up(&both.target, &keys)))
        )?;
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            for (place, (primary, replica)) in ours.into_iter().zip(theirs).enumerate() {
                open[place].count(primary.is_some(), replica.is_some());
                seen[place].0.insert(primary.map(|row| row.content));
                seen[place].1.insert(replica.map(|row| row.content));
            }
        }
    }
    let apart = open
        .into_iter()
        .zip(&seen)
        .filter(|(_, states)| !met(states));
    Ok(apart.map(|(suspect, _)| suspect).collect())
}
