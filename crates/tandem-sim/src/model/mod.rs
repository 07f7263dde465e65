//! Every schedule within stated bounds, by `stateright`, over the agents, gates, databases and the
//! store of the simulator and so over the functions of `tandem-core` that run in production.
//!
//! Intuition: the simulator draws one schedule from a seed; this tries them all. Time goes in
//! ticks of five seconds and nobody has to hurry: whoever is not chosen is paused, a message that
//! is not delivered is late, a place whose messages never arrive is cut off. What all observers
//! say is the worst at any moment: the holder's site looks lost to everybody but itself.
//!
//! Invariant: two states are taken for one only if every future of one is a future of the other
//! ([`key`]).
//! Refused: a model language. A second wording of the rules could only agree with itself.

mod act;
mod heal;
mod key;
mod observers;
mod promises;
mod state;
mod step;

use std::fmt::Write as _;

use stateright::{Checker, HasDiscoveries, Model, Property};
use tandem_core::config::Policy;
use tandem_core::mutation::Mutation;
use tandem_core::planner::Member;

pub use state::Small;
pub use step::Step;

use crate::clock::{At, SECOND};
use crate::run;

/// One tick. Longer than every constant of the planner but the wait for a preparation, so that
/// these take one or two ticks.
pub const TICK: At = 5 * SECOND;

/// How far a search goes. What is not named here is unbounded: who is
/// paused or cut off, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Agents of each site.
    pub agents: [usize; 2],
    /// The highest epoch.
    pub epoch_max: u64,
    /// Writes of clients.
    pub writes: u8,
    /// Crashes of agents; each starts again at once.
    pub crashes: u8,
    /// Of these, how many lose the disk.
    pub forgets: u8,
    /// Changes of the record whose answer is lost, or that are carried out after the caller gave
    /// up.
    pub lost: u8,
    /// How often something is under way while a tick passes: questions, answers, changes.
    pub held: u8,
    /// Questions that only read may be under way for long, too.
    pub slow_questions: bool,
    /// Forward jumps of an agent's clock by two ticks.
    pub jumps: u8,
    /// A person asks once for a switchover.
    pub switchover: bool,
    /// Agents ask for promises when the store is silent.
    pub failsafe: bool,
    /// The store is lost and rebuilt under a new identity, once.
    pub rebuild: bool,
    /// The store goes back to its first copy under the same identity, once, after every agent has
    /// seen more (otherwise nothing helps, C10).
    pub restore: bool,
    /// An answer may leave its gate up to the policy's `cut` after the gate looked at the clock.
    pub slow_gates: bool,
}

const PLAIN: Bounds = Bounds {
    name: "",
    about: "",
    agents: [1, 1],
    epoch_max: 3,
    writes: 0,
    crashes: 0,
    forgets: 0,
    lost: 0,
    held: 0,
    slow_questions: false,
    jumps: 0,
    switchover: false,
    failsafe: false,
    rebuild: false,
    restore: false,
    slow_gates: false,
};

/// Every search that is made.
pub const SEARCHES: &[Bounds] = &[
    Bounds {
        name: "takeover",
        about: "renewal, claim, opening, and an answer that takes its time",
        epoch_max: 2,
        held: 2,
        ..PLAIN
    },
    Bounds {
        name: "reclaim",
        about: "a claim that does not open, and is taken back",
        epoch_max: 4,
        ..PLAIN
    },
    Bounds {
        name: "questions",
        about: "questions to the store that take their time",
        epoch_max: 2,
        held: 2,
        slow_questions: true,
        ..PLAIN
    },
    Bounds {
        name: "cut",
        about: "gates that need all of their time to cut",
        writes: 1,
        slow_gates: true,
        ..PLAIN
    },
    Bounds {
        name: "lost",
        about: "changes of the record that are lost, or carried out late",
        lost: 1,
        ..PLAIN
    },
    Bounds {
        name: "crash",
        about: "a crash of any agent",
        crashes: 1,
        ..PLAIN
    },
    Bounds {
        name: "disk",
        about: "a crash that costs the disk, and a change that is lost or late",
        epoch_max: 2,
        crashes: 1,
        forgets: 1,
        lost: 1,
        ..PLAIN
    },
    Bounds {
        name: "clock",
        about: "an agent's clock that jumps forward",
        jumps: 1,
        ..PLAIN
    },
    Bounds {
        name: "sibling",
        about: "two agents at the holder's site, a gate that asks both",
        agents: [2, 1],
        epoch_max: 2,
        ..PLAIN
    },
    Bounds {
        name: "twins",
        about: "two agents at the taker's site",
        agents: [1, 2],
        epoch_max: 2,
        ..PLAIN
    },
    Bounds {
        name: "switchover",
        about: "a person's switchover under writes, done or undone",
        writes: 1,
        switchover: true,
        ..PLAIN
    },
    Bounds {
        name: "handover",
        about: "a switchover with a change that is lost, or carried out late",
        lost: 1,
        epoch_max: 2,
        writes: 1,
        switchover: true,
        ..PLAIN
    },
    Bounds {
        name: "fence",
        about: "a switchover with two agents at the source",
        agents: [2, 1],
        epoch_max: 2,
        writes: 1,
        switchover: true,
        ..PLAIN
    },
    Bounds {
        name: "failsafe",
        about: "promises of both agents of the peer while the store is silent",
        agents: [1, 2],
        epoch_max: 2,
        failsafe: true,
        ..PLAIN
    },
    Bounds {
        name: "promise",
        about: "promises, and a crash of either side",
        crashes: 1,
        epoch_max: 2,
        failsafe: true,
        ..PLAIN
    },
    Bounds {
        name: "promise-late",
        about: "promises, and a change that is lost, or carried out late",
        lost: 1,
        epoch_max: 2,
        failsafe: true,
        ..PLAIN
    },
    Bounds {
        name: "promise-fence",
        about: "promises beside a switchover, two agents at the source",
        agents: [2, 1],
        epoch_max: 2,
        writes: 1,
        switchover: true,
        failsafe: true,
        ..PLAIN
    },
    Bounds {
        name: "rebuild",
        about: "the store is lost and rebuilt",
        epoch_max: 3,
        rebuild: true,
        ..PLAIN
    },
    Bounds {
        name: "meeting",
        about: "a change of the old store meets the rebuilt one",
        lost: 1,
        epoch_max: 2,
        rebuild: true,
        ..PLAIN
    },
    Bounds {
        name: "restore",
        about: "the store goes back to an older copy that everybody has seen beyond; a crash",
        crashes: 1,
        epoch_max: 2,
        restore: true,
        ..PLAIN
    },
];

/// A search: the world of the bounds, and what must always hold.
#[derive(Debug, Clone)]
pub struct Search {
    /// How far it goes.
    pub bounds: Bounds,
    pub(crate) policy: Policy,
    pub(crate) roster: Vec<Member>,
    /// The rule that was taken away, for the threads that search.
    mutation: Option<Mutation>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// The broken promise and the shortest way to it.
    pub broken: Option<(String, Vec<String>)>,
    /// What was never reached although it should have been.
    pub unreached: Vec<&'static str>,
    /// Whether every state was visited.
    pub complete: bool,
}

impl Model for Search {
    type State = Small;
    type Action = Step;

    fn init_states(&self) -> Vec<Small> {
        vec![Small::new(self)]
    }

    fn actions(&self, state: &Small, steps: &mut Vec<Step>) {
        run::take_away(self.mutation);
        if state.broken.is_none() {
            state.steps(self, steps);
        }
    }

    fn next_state(&self, state: &Small, step: Step) -> Option<Small> {
        let mut next = state.clone();
        next.take(self, step).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(KEPT, |_, state: &Small| state.broken.is_none()),
            Property::always(GOES_ON, |search: &Self, state: &Small| {
                state.goes_on(search)
            }),
            Property::sometimes("a takeover", |_, state: &Small| state.took_over),
        ];
        if self.bounds.switchover {
            properties.push(Property::sometimes("a switchover", |_, state: &Small| {
                state.switched
            }));
        }
        if self.bounds.failsafe {
            properties.push(Property::sometimes("a promise", |_, state: &Small| {
                state.promised
            }));
        }
        properties
    }

    fn within_boundary(&self, state: &Small) -> bool {
        state.store.record.epoch.0 <= self.bounds.epoch_max
    }
}

const KEPT: &str = "no promise is broken";
const GOES_ON: &str = "healed, a site opens";

impl Search {
    /// The search within `bounds`, with a rule taken away if a build allows that.
    pub fn new(bounds: Bounds, mutation: Option<Mutation>) -> Self {
        let (policy, roster) = state::policy_and_roster(&bounds);
        Self {
            bounds,
            policy,
            roster,
            mutation,
        }
    }

    /// The search of that name.
    pub fn named(name: &str, mutation: Option<Mutation>) -> Option<Self> {
        let bounds = SEARCHES.iter().find(|bounds| bounds.name == name)?;
        Some(Self::new(*bounds, mutation))
    }

    /// Visits every state, nearest first, on `threads` threads; ends at the first broken promise,
    /// or unfinished after `steps_max` steps.
    pub fn run(self, threads: usize, steps_max: usize) -> Found {
        let mutation = self.mutation;
        let checker = self
            .checker()
            .threads(threads)
            .target_state_count(steps_max)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        run::take_away(mutation);
        let broken = [KEPT, GOES_ON].into_iter().find_map(|name| {
            let path = checker.discovery(name)?;
            let what = path.last_state().broken.clone();
            let steps = path.into_actions();
            let steps = steps.iter().map(ToString::to_string).collect();
            Some((what.unwrap_or_else(|| name.into()), steps))
        });
        run::take_away(None);
        let expected = checker.model().properties();
        let unreached = expected
            .iter()
            .map(|property| property.name)
            .filter(|name| ![KEPT, GOES_ON].contains(name) && checker.discovery(name).is_none());
        Found {
            states: checker.unique_state_count(),
            steps: checker.state_count(),
            depth: checker.max_depth(),
            unreached: unreached.collect(),
            complete: checker.state_count() < steps_max && broken.is_none(),
            broken,
        }
    }
}

impl Found {
    /// A few lines for people.
    pub fn shown(&self, bounds: &Bounds) -> String {
        let mut text = format!(
            "{:<14} {} states, {} steps, at most {} from the start",
            bounds.name, self.states, self.steps, self.depth
        );
        if let Some((what, steps)) = &self.broken {
            let _ = write!(text, "\nBROKEN {what}");
            for (number, step) in steps.iter().enumerate() {
                let _ = write!(text, "\n{:>4}. {step}", number + 1);
            }
        }
        for what in &self.unreached {
            let _ = write!(text, "\nnever reached: {what}");
        }
        text
    }
}
