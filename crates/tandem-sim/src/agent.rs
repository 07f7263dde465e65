//! An agent's shell without input and output: what it saw, what it did, what it keeps on disk.
//!
//! Like the real one (`tandem-agent`: `right`, `state`, `probe`, `act`): one question to the
//! store at a time; a reading is on disk before it is shown; nothing is renewed blind after a
//! lost reply; two hands act on the database, and a busy hand is given nothing; everything but
//! the memory on disk is forgotten at a crash. The decisions are the core's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tandem_core::authority::promise::{Promise, Question, Round};
use tandem_core::authority::{Authority, ExposureWatch, Memory, Record, Refusal};
use tandem_core::config::{AuthorityPolicy, DetectionPolicy, Policy};
use tandem_core::database::DatabaseSeen;
use tandem_core::model::{Epoch, Mono, Name, SiteId};
use tandem_core::planner::{
    Action, AgentStatus, Book, Done, Intent, Look, Member, OtherEnd, Peer, Place, Plan, Purpose,
    Reason, Report, Seen, SiteHealth, plan, remaining,
};
use tandem_core::wire::Remaining;

use crate::clock::{At, Clock};
use crate::store::{AGENTS, Ask, Said, State};

/// Renewals that lost against the sibling's are repeated at once, this often.
pub const RENEWALS_MAX: u8 = 3;

/// Consecutive probes of one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Row {
    good: u32,
    bad: u32,
}

/// One hand: a list of effects at a time, in order.
#[derive(Debug, Clone, Default)]
pub struct Hand {
    /// What it does, in order.
    pub actions: Vec<Action>,
    /// The effect that is next.
    pub next: usize,
    /// The clock before the present effect was sent.
    pub sent: Mono,
    /// It has something to do, or rests after a failure.
    pub busy: bool,
}

/// A change of the record that the planner ordered.
#[derive(Debug, Clone)]
pub struct Order {
    /// The revision that was read.
    pub revision: u64,
    /// The new value.
    pub record: Arc<Record>,
    /// What for.
    pub purpose: Purpose,
    /// How often it was repeated.
    pub tries: u8,
    /// With an automatic claim: the list of promotions with this one.
    pub promotions: Option<Vec<u64>>,
}

/// One agent process.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Its number in the world.
    pub index: usize,
    /// The index of its place.
    pub at: usize,
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub place: Place,
    /// It runs.
    pub alive: bool,
    /// Stops that overlap.
    pub frozen: u8,
    /// Rises with each start; answers to an earlier life are void.
    pub life: u16,
    /// Its clock.
    pub clock: Clock,
    /// What it knows about the right to write.
    pub authority: Authority,
    /// The heartbeats that it sent.
    pub exposure: ExposureWatch,
    /// Why the last reading was not believed.
    pub refusal: Option<Refusal>,
    /// The exact value behind the record that is shown.
    pub text: Option<(Arc<Record>, u64)>,
    /// Its last look at its own database.
    pub look: Option<Look>,
    /// What it did.
    pub done: Done,
    /// The sites' reachability.
    pub observations: BTreeMap<SiteId, SiteHealth>,
    rows: [Row; 3],
    /// What others publish.
    pub peers: Vec<Peer>,
    /// Past promotions, wall-clock seconds; nothing is decided before they were read.
    pub promotions: Option<Vec<u64>>,
    /// What people asked for.
    pub book: Arc<Book>,
    /// What survives a crash.
    pub disk: Option<Memory>,
    /// The disk takes no writes.
    pub disk_full: u8,
    /// Which life of this agent this is, for claims after promises.
    pub incarnation: Name,
    /// The store holds it.
    pub registered: bool,
    /// The incarnations that the store showed last.
    pub incarnations: [Option<Name>; AGENTS],
    /// The question to the store that is under way, and when it was sent.
    pub call: Option<(u16, Mono)>,
    /// When each routine is due next.
    pub due: Due,
    /// Quick and slow effects.
    pub hands: [Hand; 2],
    /// Rises with each publication.
    pub counter: u64,
    /// The present round of promises.
    pub round: Option<Round>,
    /// Numbers of questions.
    pub question: u64,
    /// When the present round began.
    pub round_sent: Option<Mono>,
    /// Why it does what it does.
    pub reason: Option<Reason>,
    /// The end of the other site's log, if it was asked for.
    pub other_end: Option<OtherEnd>,
    /// When it saw a place as lost, in true time.
    pub lost_at: [Option<At>; 3],
    /// When its last status reached the store, in true time.
    pub spoke_at: Option<At>,
    /// When it saw its database last, in true time.
    pub looked_at: Option<At>,
}

/// When each routine is due next, by the agent's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Due {
    /// Reading the store.
    pub read: Mono,
    /// Probing.
    pub probe: Mono,
    /// Looking at the database.
    pub look: Mono,
    /// Publishing.
    pub publish: Mono,
}

impl Agent {
    /// A process that starts at `at` with what is on `disk`.
    pub fn new(
        index: usize,
        (at_place, name, place): (usize, Name, Place),
        policy: &AuthorityPolicy,
        clock: Clock,
        at: At,
    ) -> Self {
        let now = clock.now(at);
        Self {
            index,
            at: at_place,
            incarnation: incarnation(index, 1),
            name,
            place,
            alive: true,
            frozen: 0,
            life: 1,
            clock,
            authority: Authority::new(place.site, *policy, None, now),
            exposure: ExposureWatch::new(Epoch(0), now),
            refusal: None,
            text: None,
            look: None,
            done: Done::default(),
            observations: BTreeMap::new(),
            rows: [Row::default(); 3],
            peers: Vec::new(),
            promotions: None,
            book: Arc::new(Book::default()),
            disk: None,
            disk_full: 0,
            registered: false,
            incarnations: [const { None }; AGENTS],
            call: None,
            due: Due::default(),
            hands: [Hand::default(), Hand::default()],
            counter: 0,
            round: None,
            question: 0,
            round_sent: None,
            reason: None,
            other_end: None,
            lost_at: [None; 3],
            spoke_at: None,
            looked_at: None,
        }
    }

    /// Starts again at `at`, remembering only what is on disk.
    pub fn start(&mut self, policy: &AuthorityPolicy, at: At) {
        let life = self.life + 1;
        let mut next = Self::new(
            self.index,
            (self.at, self.name.clone(), self.place),
            policy,
            self.clock,
            at,
        );
        let now = next.clock.now(at);
        next.authority = Authority::new(self.place.site, *policy, self.disk.clone(), now);
        next.disk = self.disk.take();
        next.disk_full = self.disk_full;
        next.frozen = self.frozen;
        next.life = life;
        next.incarnation = incarnation(self.index, life);
        // Starts at the wall clock in the real agent, so that a counter never repeats.
        next.counter = self.counter + 1000;
        next.question = self.question + 1000;
        // The judge's memory, not the agent's.
        next.lost_at = self.lost_at;
        next.looked_at = self.looked_at;
        *self = next;
    }

    /// Whether it does anything at all.
    pub fn runs(&self) -> bool {
        self.alive && self.frozen == 0
    }

    /// Its clock at `at`.
    pub fn now(&self, at: At) -> Mono {
        self.clock.now(at)
    }

    /// Takes what the store holds; `sent` if this agent wrote it itself. Shown only if it is on
    /// disk, or was there already.
    pub fn take(
        &mut self,
        arrived: Mono,
        asked: Mono,
        (record, revision): (&Arc<Record>, u64),
        sent: Option<Mono>,
    ) {
        let arrived_for_count = if off!(CountFromAsking) {
            asked
        } else {
            arrived
        };
        let before = (self.disk_full > 0).then(|| self.authority.clone());
        let taken = match sent {
            Some(sent) => self
                .authority
                .handle_committed(sent, arrived, record, revision),
            None => self
                .authority
                .handle_reading(arrived_for_count, record, revision),
        };
        match taken {
            Err(refusal) => self.refusal = Some(refusal),
            Ok(()) if self.keep() => {
                self.refusal = None;
                self.text = Some((Arc::clone(record), revision));
            }
            Ok(()) => self.authority = before.expect("only a full disk keeps nothing"),
        }
    }

    fn keep(&mut self) -> bool {
        if self.disk_full == 0 {
            if !off!(MemoryNotOnDisk) {
                self.disk = self.authority.memory().cloned();
            }
            return true;
        }
        self.disk.as_ref() == self.authority.memory()
    }

    /// Remembers an effect on the database that succeeded; `sent` is the clock before it.
    pub fn did(&mut self, action: &Action, number: u64, sent: Mono, now: Mono) {
        match action {
            Action::ArmGuard { epoch, deadline } => self.done.armed = Some((*epoch, *deadline)),
            Action::CloseGuard { epoch } => self.done.closed = Some(*epoch),
            Action::EndSessions { epoch } if self.done.closed == Some(*epoch) => {
                self.done.emptied = Some(*epoch);
            }
            Action::Beat { epoch } => {
                self.done.beat = Some(sent);
                let sent = if off!(AgeFromReport) { now } else { sent };
                self.exposure.handle_sent(*epoch, number, sent);
            }
            Action::Barrier { epoch } => {
                self.done.barrier = Some((*epoch, number));
                self.exposure.handle_sent(*epoch, number, sent);
            }
            _ => {}
        }
    }

    /// What the planner ordered, as it goes to the store.
    pub fn ordered(&self, revision: u64, record: Record, purpose: Purpose, wall_ms: u64) -> Order {
        let promotions = (purpose == Purpose::Claim).then(|| {
            let known = self.promotions.iter().flatten().copied();
            known.chain([wall_ms / 1000]).collect()
        });
        Order {
            revision,
            record: Arc::new(record),
            purpose,
            tries: 0,
            promotions,
        }
    }

    /// Takes the store's answer to a question that was sent at `sent`.
    pub fn hear(&mut self, said: &Said, ask: &Ask, sent: Mono, now: Mono) {
        match (said, ask) {
            (Said::Seen(state), _) => {
                let record = (&state.record, state.record_revision);
                self.take(now, sent, record, None);
                self.learn(state, now);
                if off!(ReadingRenews) && state.record.site == self.place.site {
                    self.take(now, sent, record, Some(sent));
                }
            }
            (Said::Committed(revision), Ask::Write { order, .. }) => {
                self.take(now, sent, (&order.record, *revision), Some(sent));
                if order.promotions.is_some() {
                    self.promotions.clone_from(&order.promotions);
                }
            }
            (Said::Conflict(state), _) => {
                self.take(now, sent, (&state.record, state.record_revision), None);
            }
            (Said::Noted, Ask::Register) => self.registered = true,
            _ => {}
        }
    }

    /// Takes everything else that a reading showed.
    pub fn learn(&mut self, state: &State, now: Mono) {
        self.promotions = Some(state.promotions.clone());
        self.book = Arc::clone(&state.book);
        self.incarnations.clone_from(&state.incarnations);
        self.registered = state.incarnations[self.index].as_ref() == Some(&self.incarnation);
        for status in state.statuses.iter().flatten() {
            if status.agent != *self.name {
                self.note_peer(status, now);
            }
        }
    }

    fn note_peer(&mut self, status: &AgentStatus, now: Mono) {
        let known = self
            .peers
            .iter()
            .position(|peer| peer.status.agent == status.agent);
        if known.is_some_and(|at| self.peers[at].status.counter == status.counter) {
            return;
        }
        if status.site == self.place.other {
            self.note_applied(status.database.as_ref());
        }
        let peer = Peer {
            status: status.clone(),
            changed: now,
        };
        match known {
            Some(at) => self.peers[at] = peer,
            None => self.peers.push(peer),
        }
    }

    /// Takes what the other site applied, from its status or from the answer to a probe.
    pub fn note_applied(&mut self, seen: Option<&DatabaseSeen>) {
        let applied = seen.and_then(|seen| seen.applied);
        if let Some(applied) = applied.filter(|applied| applied.site == self.place.site) {
            self.exposure.handle_applied(applied);
        }
    }

    /// Takes the result of a probe.
    pub fn note_probe(
        &mut self,
        place: usize,
        site: SiteId,
        reached: bool,
        policy: &DetectionPolicy,
    ) {
        let row = &mut self.rows[place];
        (row.good, row.bad) = if reached {
            (row.good.saturating_add(1), 0)
        } else {
            (0, row.bad.saturating_add(1))
        };
        let health = self.observations.entry(site).or_default();
        if row.bad >= policy.failures {
            *health = SiteHealth::Down;
        } else if row.good >= policy.successes {
            *health = SiteHealth::Up;
        }
    }

    /// What people asked for, as far as this agent knows.
    pub fn intent(&self, wall_ms: u64) -> Intent {
        let epoch = self.authority.present().map(|(record, _)| record.epoch);
        let promotions = self.promotions.iter().flatten();
        let ages = promotions.map(|at| Duration::from_secs((wall_ms / 1000).saturating_sub(*at)));
        Intent {
            unread: self.promotions.is_none(),
            requests: self.book.requests(wall_ms, epoch.unwrap_or_default()),
            promotions: ages.collect(),
        }
    }

    /// Everything that was seen, for the planner.
    pub fn seen<'a>(&'a self, roster: &'a [Member]) -> Seen<'a> {
        Seen {
            place: self.place,
            authority: &self.authority,
            refusal: self.refusal.as_ref(),
            exposure: &self.exposure,
            database: self.look.as_ref(),
            observations: &self.observations,
            peers: &self.peers,
            agent: &self.name,
            roster,
            edge: None,
            other_end: self.other_end,
            done: self.done,
        }
    }

    /// Asks the planner.
    pub fn plan(&self, policy: &Policy, roster: &[Member], at: At, wall_ms: u64) -> (Plan, Report) {
        let intent = self.intent(wall_ms);
        plan(policy, &intent, &self.seen(roster), self.now(at))
    }

    /// What a gate is told.
    pub fn remaining(&self, policy: &Policy, roster: &[Member], at: At) -> Remaining {
        let told = remaining(policy, &self.seen(roster), self.now(at));
        let memory = self.authority.memory();
        Remaining {
            agent: String::new(),
            site: self.place.site,
            epoch: memory.map(|memory| memory.epoch).unwrap_or_default(),
            remaining_ms: u64::try_from(told.left.as_millis()).unwrap_or(u64::MAX),
            writer: told.writer,
            writer_fresh: told.fresh,
            writer_works: told.works,
        }
    }

    /// What it publishes.
    pub fn status(&mut self, at: At) -> AgentStatus {
        const LOOK_MAX: Duration = Duration::from_secs(3);
        self.counter += 1;
        let now = self.now(at);
        let fresh = |look: &&Look| now.since(look.arrived) <= LOOK_MAX;
        AgentStatus {
            agent: self.name.to_string(),
            site: self.place.site,
            counter: self.counter,
            observations: self.observations.clone(),
            database: self.look.as_ref().map(|look| look.seen.clone()),
            database_reachable: self.look.as_ref().filter(fresh).is_some(),
            reads_version: tandem_core::authority::RECORD_VERSION,
            plan: None,
        }
    }

    /// Begins a round of promises, unless one is under way.
    pub fn ask_promises(
        &mut self,
        epoch: Epoch,
        peers: &[usize],
        names: &[Name; AGENTS],
        now: Mono,
        timeout: Duration,
    ) -> Option<Question> {
        if self
            .round_sent
            .is_some_and(|sent| now.since(sent) < timeout)
        {
            return None;
        }
        let (record, _) = self.authority.present()?;
        let mut asked = Vec::with_capacity(2);
        for peer in peers {
            asked.push((names[*peer].clone(), self.incarnations[*peer].clone()?));
        }
        if off!(OnePromiseIsEnough) {
            asked.truncate(1);
        }
        self.question += 1;
        self.round_sent = Some(now);
        let question = Question {
            question: self.question,
            identity: record.identity.clone(),
            site: self.place.site,
            epoch,
            asker: self.name.clone(),
        };
        self.round = Some(Round::new(self.question, epoch, now, asked));
        Some(question)
    }

    /// Answers another site's question.
    pub fn promise(&mut self, question: &Question, at: At, wall_ms: u64) -> Promise {
        let now = self.now(at);
        let intent = self.intent(wall_ms);
        let taking = intent
            .move_out_of(question.epoch)
            .and_then(|request| request.kind.target());
        let registered = self.registered;
        let answer = self.authority.handle_question(
            now,
            question,
            registered,
            taking == Some(self.place.site),
        );
        Promise {
            question: question.question,
            agent: self.name.clone(),
            incarnation: self.incarnation.clone(),
            granted: answer.is_ok(),
            denial: answer.err(),
        }
    }

    /// Takes an answer; true when the right goes on.
    pub fn take_promise(&mut self, promise: &Promise, now: Mono) -> bool {
        let Some(round) = &mut self.round else {
            return false;
        };
        if !round.handle_promise(promise) {
            return false;
        }
        let (sent, epoch) = (round.sent(), round.epoch());
        let sent = if off!(PromiseFromArrival) { now } else { sent };
        self.authority.handle_promised(sent, epoch)
    }
}

fn incarnation(agent: usize, life: u16) -> Name {
    format!("{agent}-{life}").into()
}
