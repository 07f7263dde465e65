//! Running seeds: one, many on all cores, and the search for a shorter one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tandem_core::mutation::Mutation;

use crate::fault::Fault;
use crate::oracle::{Reached, Violation};
use crate::world::{Options, World};

/// Seeds that a thread takes at a time.
const CHUNK: u64 = 64;

/// Violations that are kept of a long run; the rest is only counted.
const KEPT_MAX: usize = 20;

/// What became of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// How many events happened.
    pub events: u64,
    /// A number that depends on every event and decision.
    pub digest: u64,
    /// The broken promise, if one was.
    pub violation: Option<Violation>,
    /// The faults of the plan.
    pub faults: Vec<Fault>,
    /// What happened.
    pub reached: Reached,
    /// The readable story, if it was asked for.
    pub transcript: Vec<String>,
}

/// What became of many.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds that ran.
    pub seeds: u64,
    /// Events in all.
    pub events: u64,
    /// Seeds with a broken promise.
    pub violations: u64,
    /// In how many seeds each thing happened.
    pub reached: Reached,
    /// Some of them, the smallest seeds first.
    pub kept: Vec<Outcome>,
}

/// Takes a rule away for this thread, where the build allows that.
pub fn take_away(mutation: Option<Mutation>) {
    #[cfg(feature = "mutations")]
    tandem_core::mutation::activate(mutation);
    #[cfg(not(feature = "mutations"))]
    assert!(mutation.is_none(), "this build has no mutations");
}

/// Runs one seed.
pub fn one(options: &Options) -> Outcome {
    let mut world = World::new(options);
    world.run();
    Outcome {
        seed: options.seed,
        events: world.events,
        digest: world.digest(),
        violation: world.oracle.violation.clone(),
        faults: world.faults.clone(),
        reached: world.reached,
        transcript: world.transcript().to_vec(),
    }
}

/// Runs all seeds from `from` to below `to` on `threads` threads.
pub fn many(from: u64, to: u64, threads: usize, mutation: Option<Mutation>) -> Tally {
    let next = AtomicU64::new(from);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                take_away(mutation);
                work(&next, to, &tally);
            });
        }
    });
    let mut tally = tally.into_inner().expect("no thread panicked");
    tally.kept.sort_by_key(|outcome| outcome.seed);
    tally
}

fn work(next: &AtomicU64, to: u64, tally: &Mutex<Tally>) {
    loop {
        let from = next.fetch_add(CHUNK, Ordering::Relaxed);
        if from >= to {
            return;
        }
        let mut mine = Tally::default();
        for seed in from..to.min(from + CHUNK) {
            let options = Options {
                seed,
                ..Options::default()
            };
            let outcome = one(&options);
            mine.seeds += 1;
            mine.events += outcome.events;
            mine.reached.add(&outcome.reached);
            if outcome.violation.is_some() {
                mine.violations += 1;
                mine.kept.push(outcome);
            }
        }
        let mut all = tally.lock().expect("no thread panicked");
        all.seeds += mine.seeds;
        all.events += mine.events;
        all.reached.sum(&mine.reached);
        all.violations += mine.violations;
        all.kept.append(&mut mine.kept);
        all.kept.sort_by_key(|outcome| outcome.seed);
        all.kept.truncate(KEPT_MAX);
    }
}

/// The first seed of a range that breaks a promise, with every fault left out that it does not
/// need.
pub fn shortest(from: u64, to: u64, mutation: Option<Mutation>, wanted: usize) -> Option<Options> {
    take_away(mutation);
    let mut best: Option<(u64, Options)> = None;
    let mut found = 0;
    for seed in from..to {
        let options = Options {
            seed,
            ..Options::default()
        };
        if one(&options).violation.is_none() {
            continue;
        }
        let (events, options) = shrink(options);
        if best.as_ref().is_none_or(|(least, _)| events < *least) {
            best = Some((events, options));
        }
        found += 1;
        if found == wanted {
            break;
        }
    }
    take_away(None);
    best.map(|(_, options)| options)
}

/// Leaves faults out, one after the other, as long as a promise is still broken.
pub fn shrink(mut options: Options) -> (u64, Options) {
    let mut events = one(&options).events;
    let numbers: Vec<u8> = one(&options)
        .faults
        .iter()
        .map(|fault| fault.number)
        .collect();
    for number in numbers {
        let mut fewer = options.clone();
        fewer.without.push(number);
        let outcome = one(&fewer);
        if outcome.violation.is_some() {
            events = outcome.events;
            options = fewer;
        }
    }
    (events, options)
}
