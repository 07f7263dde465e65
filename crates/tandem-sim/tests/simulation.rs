//! A fixed list of seeds: no promise is broken, and each seed tells the same story twice.

use std::thread;

use tandem_sim::run;
use tandem_sim::world::Options;

/// What every run of the tests plays. More by hand: `make sim`, `make sim-long`.
const SEEDS: u64 = 10_000;

/// So dull that it proves nothing would be a world in which hardly anything is taken over.
const TAKEOVERS_MIN: u64 = SEEDS / 10;

#[test]
fn no_promise_is_broken() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let tally = run::many(0, SEEDS, cores, None);
    let broken: Vec<String> = tally
        .kept
        .iter()
        .map(|outcome| format!("seed {}: {:?}", outcome.seed, outcome.violation))
        .collect();
    assert_eq!(tally.violations, 0, "{broken:#?}");
    assert!(
        tally.events / tally.seeds >= 1_000,
        "{} events",
        tally.events
    );
    assert!(
        tally.reached.takeovers >= TAKEOVERS_MIN,
        "{:?}",
        tally.reached
    );
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in (0..2_000).step_by(13) {
        let play = |transcript| {
            let outcome = run::one(&Options {
                seed,
                transcript,
                ..Options::default()
            });
            (outcome.digest, outcome.events, outcome.transcript)
        };
        let (told, again, silent) = (play(true), play(true), play(false));
        assert_eq!(told, again, "seed {seed}");
        // Telling the story does not change it.
        assert_eq!((told.0, told.1), (silent.0, silent.1), "seed {seed}");
    }
}
