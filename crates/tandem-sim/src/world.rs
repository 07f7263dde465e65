//! The world: everything that exists, and what the next event does to it.
//!
//! One thread, one heap of events, one stream of chance. Each part of the world has a file of
//! its own with the events that belong to it.

mod claims;
mod effects;
mod faults;
mod people;
mod right;
mod rounds;
mod sessions;
pub(crate) mod setup;

use tandem_core::authority::promise::{Promise, Question};
use tandem_core::config::Policy;
use tandem_core::model::{Mono, Name, SiteId};
use tandem_core::planner::{Action, Member};
use tandem_core::wire::Remaining;

use crate::agent::Agent;
use crate::clock::At;
use crate::database::Database;
use crate::event::{Event, Queue};
use crate::fault::Fault;
use crate::gate::Gate;
use crate::network::Network;
use crate::oracle::{Oracle, Reached};
use crate::random::Random;
use crate::store::{AGENTS, Ask, Said, Store};

pub use setup::Options;

/// How often everything happens; drawn from the seed, so that no period is special.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tempo {
    pub(crate) round: At,
    pub(crate) read: At,
    pub(crate) look: At,
    pub(crate) ask: At,
    pub(crate) replicate: At,
    pub(crate) client: At,
    /// Of 1,000 writes, how many go to a database directly, past every gate.
    pub(crate) direct: u64,
}

/// A question to the store that is under way.
#[derive(Debug)]
pub(crate) struct Call {
    agent: usize,
    life: u16,
    sent: Mono,
    member: usize,
    incarnation: Name,
    ask: Ask,
    said: Option<Said>,
    /// Events that still refer to it.
    pending: u8,
    waited: bool,
}

/// A gate's question to an agent.
#[derive(Debug)]
pub(crate) struct GateAsk {
    gate: usize,
    life: u16,
    agent: usize,
    asked: Mono,
    answer: Option<Remaining>,
}

/// A question for a promise.
#[derive(Debug)]
pub(crate) struct Plea {
    from: usize,
    life: u16,
    to: usize,
    question: Question,
    answer: Option<Promise>,
}

/// How far a client's write has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// On its way to the first gate.
    Arriving,
    /// On its way to the primary's gate.
    Forwarded,
    /// Its transaction begins.
    Beginning,
    /// Its transaction commits.
    Committing,
    /// The answer is at the gate next to the database.
    Answering,
    /// It passed that gate's check and is being written.
    Leaving,
    /// Over.
    Done,
}

/// One write of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    step: Step,
    /// The gate that the client asked; none for a session at the database itself.
    gate: Option<u8>,
    /// The gate next to the database.
    hop: Option<u8>,
    /// The term of the session at `hop`.
    term: u32,
    /// The term of the session at `gate`, if it is another one.
    away: u32,
    site: u8,
    tries: u8,
    committed: Option<At>,
    epoch: u64,
    acknowledged: Option<At>,
    lost: bool,
}

/// A statement that waits in a stopped server.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    site: usize,
    action: Action,
    ends: Mono,
}

/// What faults have set, beside the parts that they stopped.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Troubles {
    pub(crate) slow_gate: u8,
    pub(crate) long_transaction: u8,
    pub(crate) duplicates: u8,
    pub(crate) slow_database: [u8; 2],
    pub(crate) slow_apply: [u8; 2],
    pub(crate) slow_agent: [u8; AGENTS],
    /// The store was restored and a person has not rebuilt it.
    pub(crate) store_void: bool,
    pub(crate) jumped: bool,
    /// When a table was altered last.
    pub(crate) altered_at: At,
    pub(crate) reinstate: bool,
    pub(crate) rebuild: bool,
}

/// Everything that exists.
pub struct World {
    pub(crate) at: At,
    pub(crate) queue: Queue,
    pub(crate) random: Random,
    pub(crate) policy: Policy,
    pub(crate) tempo: Tempo,
    pub(crate) sites: [SiteId; 3],
    pub(crate) names: [Name; AGENTS],
    pub(crate) roster: Vec<Member>,
    pub(crate) network: Network,
    pub(crate) store: Store,
    pub(crate) databases: [Database; 2],
    pub(crate) agents: Vec<Agent>,
    pub(crate) gates: Vec<Gate>,
    calls: Slots<Call>,
    asks: Slots<GateAsk>,
    pleas: Slots<Plea>,
    pub(crate) writes: Vec<Write>,
    /// Open transactions of applications at each database.
    open: [Vec<u32>; 2],
    waiting: Vec<Waiting>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) troubles: Troubles,
    pub(crate) horizon: At,
    pub(crate) heal_at: Option<At>,
    pub(crate) oracle: Oracle,
    pub(crate) reached: Reached,
    pub(crate) events: u64,
    pub(crate) lives_of_store: u32,
    pub(crate) transcript: Option<Vec<String>>,
}

/// Reused places for payloads of events.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    used: Vec<Option<T>>,
    free: Vec<u16>,
}

impl<T> Slots<T> {
    fn new() -> Self {
        Self {
            used: Vec::new(),
            free: Vec::new(),
        }
    }

    fn put(&mut self, value: T) -> u16 {
        if let Some(slot) = self.free.pop() {
            self.used[usize::from(slot)] = Some(value);
            return slot;
        }
        self.used.push(Some(value));
        u16::try_from(self.used.len() - 1).expect("few things are under way at once")
    }

    fn at(&mut self, slot: u16) -> Option<&mut T> {
        self.used[usize::from(slot)].as_mut()
    }

    fn take(&mut self, slot: u16) -> Option<T> {
        let value = self.used[usize::from(slot)].take();
        if value.is_some() {
            self.free.push(slot);
        }
        value
    }
}

impl World {
    /// Runs until the horizon, a broken promise, or, after healing, until all is well.
    pub fn run(&mut self) {
        while self.oracle.violation.is_none() {
            let Some((at, event)) = self.queue.pop() else {
                return;
            };
            if at > self.horizon {
                break;
            }
            self.at = at;
            self.events += 1;
            self.happen(event);
            if self.has_converged() {
                return;
            }
        }
        if self.oracle.violation.is_none() {
            self.judge_the_end();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Round { agent, life } => self.round(usize::from(agent), life),
            Event::Arrive { call } => self.arrive(call),
            Event::Reply { call } => self.reply(call),
            Event::Publish { agent, life } => self.publish(usize::from(agent), life),
            Event::Look { agent, life } => self.look(usize::from(agent), life),
            Event::Hand { agent, life, hand } => {
                self.hand(usize::from(agent), life, usize::from(hand));
            }
            Event::Probe { agent, life, place } => {
                self.probe(usize::from(agent), life, usize::from(place));
            }
            Event::Promise { slot } => self.plea(slot),
            Event::Asks { gate, life } => self.gate_asks(usize::from(gate), life),
            Event::Ask { slot } => self.gate_ask(slot),
            Event::Answer { slot } => self.gate_answer(slot),
            Event::Replicate { site } => self.replicate(usize::from(site)),
            Event::Client => self.client(),
            Event::Write { write } => self.write(write),
            Event::Fault { fault } => self.fault(fault, true),
            Event::Heal { fault } => self.fault(fault, false),
            Event::Thaw => self.thaw(),
            Event::Person => self.person(),
        }
    }

    pub(crate) fn push(&mut self, delay: At, event: Event) {
        self.queue.push(self.at + delay, event);
    }

    pub(crate) fn wall_ms(&self) -> u64 {
        setup::WALL_START_MS + self.at / 1000
    }

    /// The site that is not `site`.
    pub(crate) fn other(site: usize) -> usize {
        1 - site
    }

    /// Adds a line to the transcript, if there is one.
    pub(crate) fn note(
        &mut self,
        who: impl FnOnce(&Self) -> String,
        what: impl FnOnce(&Self) -> String,
    ) {
        if self.transcript.is_none() {
            return;
        }
        let ms = (self.at - setup::STARTED) / 1000;
        let (who, what) = (who(self), what(self));
        let line = format!("{:>4}.{:03} s  {who:<12} {what}", ms / 1000, ms % 1000);
        self.transcript.as_mut().expect("it is there").push(line);
    }

    /// A number that depends on everything that happened.
    pub fn digest(&self) -> u64 {
        let mut sum = self.events ^ self.at << 20;
        let mut mix = |value: u64| sum = (sum ^ value).wrapping_mul(0x0100_0000_01B3);
        for write in &self.writes {
            mix(write.committed.unwrap_or_default());
            mix(write.acknowledged.unwrap_or_default());
        }
        mix(self.store.state.revision);
        mix(self.store.state.record.epoch.0);
        for database in &self.databases {
            mix(database.log.len() as u64);
        }
        mix(self.random.clone().below(u64::MAX));
        sum
    }

    /// The transcript so far.
    pub fn transcript(&self) -> &[String] {
        self.transcript.as_deref().unwrap_or_default()
    }
}

/// A small index for an event.
pub(crate) fn small(index: usize) -> u8 {
    u8::try_from(index).expect("few of everything")
}
