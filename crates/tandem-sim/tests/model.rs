//! Every schedule within the bounds of the searches that take seconds; all of them: `make model`.

use std::thread;

use tandem_sim::model::{SEARCHES, Search};

/// Steps that one search of the tests may need.
const STEPS_MAX: usize = 4_000_000;

/// What the searches of the tests must visit together.
const STATES_MIN: usize = 1_000_000;

/// The searches that the tests make.
const MADE: &[&str] = &["reclaim", "cut", "lost", "crash", "clock", "twins"];

#[test]
fn no_schedule_breaks_a_promise() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut states = 0;
    for name in MADE {
        let search = Search::named(name, None).expect("a search of that name");
        let bounds = search.bounds;
        let found = search.run(cores, STEPS_MAX);
        println!("{}", found.shown(&bounds));
        assert_eq!(found.broken, None, "{}", found.shown(&bounds));
        assert!(found.complete, "{name} did not visit every state");
        assert_eq!(found.unreached, [""; 0], "{name} proves too little");
        states += found.states;
    }
    assert!(states >= STATES_MIN, "{states} states");
}

#[test]
fn searches_have_names_of_their_own() {
    let mut names: Vec<_> = SEARCHES.iter().map(|bounds| bounds.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SEARCHES.len());
}
