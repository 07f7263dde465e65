//! The coordination store: three etcd members, a leader, a majority.
//!
//! Like the real one: reads and transactions are linearizable and go through a leader that
//! reaches a majority; a lost reply says nothing about the change; a question that waits for a
//! leader may still commit after its caller gave up; a leader change stops everything for a
//! second; revisions rise with every change of any key. Unlike it: no watches, no leases, no
//! compaction, and one log (members never differ in what is committed).

use std::sync::Arc;

use tandem_core::authority::{Exposure, Identity, LastOpen, Phase, Record};
use tandem_core::model::{Epoch, Name};
use tandem_core::planner::{AgentStatus, Book};

use crate::agent::Order;
use crate::clock::{At, MS};
use crate::network::{Network, WITNESS};

/// Agents in the world.
pub const AGENTS: usize = 5;

/// What a member's majority has agreed on.
#[derive(Debug, Clone)]
pub struct State {
    /// The store's revision; each change raises it.
    pub revision: u64,
    /// The record of the right to write, and its own revision.
    pub record: Arc<Record>,
    /// The revision at which the record was changed last.
    pub record_revision: u64,
    /// What agents publish.
    pub statuses: [Option<Arc<AgentStatus>>; AGENTS],
    /// The incarnation of each agent.
    pub incarnations: [Option<Name>; AGENTS],
    /// Wall-clock seconds of automatic promotions.
    pub promotions: Vec<u64>,
    /// What people asked for.
    pub book: Arc<Book>,
}

/// The record of a rebuilt store: in phase `claimed` for the site that was open last, under a new
/// identity, in the epoch after the highest that was found (design section 4, rule 4).
pub fn rebuilt(life: u32, last_open: LastOpen, highest: Epoch) -> Record {
    let identity = Identity {
        cluster: "crm".into(),
        store: format!("life-{life}").into(),
    };
    let phase = if off!(RebuildOpens) {
        Phase::Open
    } else {
        Phase::Claimed
    };
    Record {
        epoch: highest.next(),
        exposure: Exposure::Unbounded,
        last_open,
        phase,
        ..Record::first(identity, last_open.site)
    }
}

/// What an agent asks of the store.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Everything.
    Read,
    /// A change of the record.
    Write {
        /// The change.
        order: Order,
        /// The exact value that was read.
        expected: Arc<Record>,
    },
    /// The agent's incarnation.
    Register,
}

/// What the store says.
#[derive(Debug, Clone)]
pub enum Said {
    /// What it holds.
    Seen(Box<State>),
    /// The record was changed, at this revision.
    Committed(u64),
    /// It was not, since this is what stands there.
    Conflict(Box<State>),
    /// Something else was written.
    Noted,
}

impl State {
    /// Does what agent number `index` of the life `incarnation` asks.
    pub fn serve(&mut self, index: usize, incarnation: &Name, ask: &Ask) -> Said {
        match ask {
            Ask::Read => return Said::Seen(Box::new(self.clone())),
            Ask::Register => self.incarnations[index] = Some(incarnation.clone()),
            Ask::Write { order, expected } => {
                return self.change(index, incarnation, order, expected);
            }
        }
        self.revision += 1;
        Said::Noted
    }

    fn change(
        &mut self,
        index: usize,
        incarnation: &Name,
        order: &Order,
        expected: &Record,
    ) -> Said {
        let known = self.incarnations[index].as_ref() == Some(incarnation);
        let admitted =
            known || !order.purpose.compares_incarnation() || off!(ForgottenTwinMayClaim);
        if admitted && self.replace((expected, order.revision), Arc::clone(&order.record)) {
            if let Some(list) = &order.promotions {
                self.promotions.clone_from(list);
            }
            return Said::Committed(self.record_revision);
        }
        Said::Conflict(Box::new(self.clone()))
    }

    /// Replaces the record, comparing revision and exact value.
    fn replace(&mut self, expected: (&Record, u64), record: Arc<Record>) -> bool {
        let same_value = off!(StoreComparesRevisionOnly) || *self.record == *expected.0;
        if self.record_revision != expected.1 || !same_value {
            return false;
        }
        self.revision += 1;
        self.record_revision = self.revision;
        self.record = record;
        true
    }
}

/// The members and what they agreed on.
#[derive(Debug, Clone)]
pub struct Store {
    /// What is committed.
    pub state: State,
    /// Stops of each member that overlap.
    pub down: [u8; 3],
    /// Which member leads.
    pub leader: usize,
    /// Until then there is an election.
    pub electing: At,
    /// How long elections take.
    pub election: At,
    /// Of 1,000 answers, how many are lost after the change was made.
    pub lost_replies: u16,
    /// Of 1,000 questions, how many wait for longer than their caller.
    pub late_commits: u16,
    /// A copy of an earlier moment.
    pub snapshot: Option<State>,
}

impl Store {
    /// A healthy store, led from the witness.
    pub fn new(state: State) -> Self {
        Self {
            state,
            down: [0; 3],
            leader: WITNESS,
            electing: 0,
            election: 1000 * MS,
            lost_replies: 0,
            late_commits: 0,
            snapshot: None,
        }
    }

    /// Whether `member` runs.
    pub fn runs(&self, member: usize) -> bool {
        self.down[member] == 0
    }

    fn has_majority(&self, leader: usize, network: &Network) -> bool {
        let follows = |member: &usize| {
            *member == leader || (self.runs(*member) && network.linked(*member, leader))
        };
        self.runs(leader) && (0..3).filter(follows).count() >= 2
    }

    /// Whether `member` answers at `at`. Elects a new leader when the present one lost its
    /// majority and another has one.
    pub fn serves(&mut self, member: usize, network: &Network, at: At) -> bool {
        if !self.has_majority(self.leader, network) {
            let candidate = [WITNESS, 0, 1]
                .into_iter()
                .find(|member| self.has_majority(*member, network));
            let Some(candidate) = candidate else {
                return false;
            };
            self.leader = candidate;
            self.electing = at + self.election;
        }
        at >= self.electing
            && self.runs(member)
            && (member == self.leader || network.linked(member, self.leader))
    }

    /// Another leader is elected, for whatever reason.
    pub fn elect(&mut self, leader: usize, at: At) {
        self.leader = leader;
        self.electing = at + self.election;
    }

    /// Moves the leader to the witness, if it could lead; takes a moment only.
    pub fn lead_at_witness(&mut self, network: &Network, at: At) {
        if self.leader != WITNESS && at >= self.electing && self.has_majority(WITNESS, network) {
            self.leader = WITNESS;
            self.electing = at + 20 * MS;
        }
    }
}
