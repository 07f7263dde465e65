//! Each safety rule that is taken away is noticed, and the shortest story of how is kept.
//!
//! By the simulator (a seed, and the faults of it that are not needed) or by the search (its name).
//! The stories stand in `snapshots/`; `INSTA_UPDATE=always` writes them anew.

use tandem_core::mutation::Mutation;
use tandem_sim::model::Search;
use tandem_sim::run;
use tandem_sim::world::Options;

/// Who notices.
enum By {
    /// The simulator, with this seed without these faults.
    Seed(u64, &'static [u8]),
    /// The search of this name.
    Search(&'static str),
}

/// More steps than any search here needs to notice.
const STEPS_MAX: usize = 20_000_000;

fn story(name: &str, by: &By) -> String {
    let mutation = *Mutation::ALL
        .iter()
        .find(|mutation| mutation.name() == name)
        .expect("a rule of that name");
    match by {
        By::Seed(seed, without) => played(mutation, *seed, without),
        By::Search(search) => searched(mutation, search),
    }
}

fn played(mutation: Mutation, seed: u64, without: &[u8]) -> String {
    let options = |transcript| Options {
        seed,
        without: without.to_vec(),
        transcript,
    };
    run::take_away(None);
    let kept = run::one(&options(false));
    assert_eq!(kept.violation, None, "the rule itself keeps the promise");
    run::take_away(Some(mutation));
    let outcome = run::one(&options(true));
    run::take_away(None);
    let broken = outcome.violation.expect("somebody notices");
    format!(
        "{}\nBROKEN {}: {}",
        outcome.transcript.join("\n"),
        broken.invariant,
        broken.what
    )
}

fn searched(mutation: Mutation, name: &str) -> String {
    let search = Search::named(name, Some(mutation)).expect("a search of that name");
    // One thread goes the same way every time.
    let found = search.run(1, STEPS_MAX);
    let (what, steps) = found.broken.expect("somebody notices");
    let steps: Vec<String> = steps
        .iter()
        .enumerate()
        .map(|(number, step)| format!("{:>4}. {step}", number + 1))
        .collect();
    format!("{}\nBROKEN {what}", steps.join("\n"))
}

macro_rules! noticed {
    ($($test:ident $name:literal $by:expr),* $(,)?) => {
        $(#[test]
        fn $test() {
            insta::assert_snapshot!($name, story($name, &$by));
        })*

        #[test]
        fn at_least_twenty_five_rules_are_watched() {
            assert!([$($name),*].len() >= 25);
        }
    };
}

noticed! {
    reading_renews "reading-renews" By::Seed(129, &[2, 3, 4, 5, 6, 7]),
    claim_before_expiry "claim-before-expiry" By::Seed(116, &[2, 3, 4, 5, 6]),
    anybody_reclaims "anybody-reclaims" By::Seed(4963, &[2, 3]),
    exposure_unchecked "exposure-unchecked" By::Seed(762, &[2, 3, 4, 5]),
    serve_beyond_bound "serve-beyond-bound" By::Seed(690, &[2, 3, 4, 5, 6, 8]),
    tables_unchecked "tables-unchecked" By::Seed(250, &[2, 3, 6, 7, 8, 9, 10]),
    no_anti_flap "no-anti-flap" By::Seed(3887, &[2, 4]),
    open_unprepared "open-unprepared" By::Seed(19, &[2]),
    gate_counts_from_arrival "gate-counts-from-arrival" By::Seed(2236, &[]),
    no_guard "no-guard" By::Seed(40, &[2, 3, 4, 5, 6, 7, 8, 9, 10]),
    guard_reopens "guard-reopens" By::Seed(19, &[2]),
    mode_unchecked "mode-unchecked" By::Seed(652, &[2]),
    gate_ignores_deadline "gate-ignores-deadline" By::Seed(2049, &[1, 2, 3, 5, 6, 7]),
    no_margin "no-margin" By::Search("cut"),
    step_unbounded "step-unbounded" By::Search("clock"),
    barrier_unchecked "barrier-unchecked" By::Search("switchover"),
    believe_older_store "believe-older-store" By::Search("restore"),
    fence_at_once "fence-at-once" By::Search("switchover"),
    hold_from_arrival "hold-from-arrival" By::Search("takeover"),
    store_compares_revision_only "store-compares-revision-only" By::Search("meeting"),
    promise_from_arrival "promise-from-arrival" By::Search("promise"),
    promise_forgotten "promise-forgotten" By::Search("promise"),
    promise_allows_opening "promise-allows-opening" By::Search("promise-late"),
    no_start_wait "no-start-wait" By::Search("promise"),
    one_promise_is_enough "one-promise-is-enough" By::Search("failsafe"),
}
