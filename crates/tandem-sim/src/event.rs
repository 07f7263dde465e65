//! What happens next: a heap of small events, by time and then by order of arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::At;

/// Something that happens at one moment. Small and `Copy`: payloads stand in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// An agent's planning round.
    Round {
        /// The agent.
        agent: u8,
        /// Its life: rounds of an earlier one are void.
        life: u16,
    },
    /// A question arrives at the store.
    Arrive {
        /// The call.
        call: u16,
    },
    /// The store's answer arrives.
    Reply {
        /// The call.
        call: u16,
    },
    /// A status arrives at the store.
    Publish {
        /// Who publishes.
        agent: u8,
        /// Its life.
        life: u16,
    },
    /// A look at the own database comes back.
    Look {
        /// Who looks.
        agent: u8,
        /// Its life.
        life: u16,
    },
    /// A hand carries out its next effect.
    Hand {
        /// Whose hand.
        agent: u8,
        /// Its life.
        life: u16,
        /// 0 = quick, 1 = slow.
        hand: u8,
    },
    /// A probe of a place ends.
    Probe {
        /// Who probes.
        agent: u8,
        /// Its life.
        life: u16,
        /// The place.
        place: u8,
    },
    /// An agent's question for a promise arrives at another agent, or its answer comes back.
    Promise {
        /// The question's slot.
        slot: u16,
    },
    /// A gate asks all agents of its site.
    Asks {
        /// The gate.
        gate: u8,
        /// Its life.
        life: u16,
    },
    /// A gate's question arrives at an agent.
    Ask {
        /// The question's slot.
        slot: u16,
    },
    /// The agent's answer arrives at the gate.
    Answer {
        /// The question's slot.
        slot: u16,
    },
    /// Replication towards a site moves on.
    Replicate {
        /// The receiving site.
        site: u8,
    },
    /// A client sends a write.
    Client,
    /// A write takes its next step.
    Write {
        /// The write.
        write: u32,
    },
    /// A fault begins.
    Fault {
        /// Its number in the plan.
        fault: u8,
    },
    /// A fault ends.
    Heal {
        /// Its number in the plan.
        fault: u8,
    },
    /// Something that stood still goes on.
    Thaw,
    /// A person looks whether something is to be done.
    Person,
}

/// Future events. Equal times come out in the order in which they were put in.
#[derive(Debug, Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<(At, u32, Event)>>,
    count: u32,
}

impl Queue {
    /// Adds `event` at `at`.
    pub fn push(&mut self, at: At, event: Event) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, event)));
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(At, Event)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
