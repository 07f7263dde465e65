//! When two states are one: the same things in the same relation, at whatever time.
//!
//! Moments become distances to now, cut off where no rule looks further; revisions become their
//! order among all that are known anywhere. What only tells a story (beats, names of questions)
//! is left out.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use tandem_core::authority::{Exposure, Memory, Phase, Record};
use tandem_core::model::{Mono, Name, SiteId};

use super::TICK;
use super::state::{AGENTS, Call, Small};
use crate::agent::Agent;
use crate::database::{Database, Entry};
use crate::gate::Gate;
use crate::store::{Ask, Said, State};

/// Longer than any wait that counts: the wait for a preparation, in ticks.
const FAR: u64 = 7;

impl PartialEq for Small {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Hash for Small {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// A state as a row of small numbers.
struct Key<'a> {
    row: Vec<u8>,
    revisions: Vec<u64>,
    state: &'a Small,
    failsafe: bool,
}

impl Small {
    fn key(&self) -> Vec<u8> {
        let mut key = Key {
            row: Vec::with_capacity(256),
            revisions: self.revisions(),
            state: self,
            failsafe: self.failsafe,
        };
        key.store(&self.store);
        for index in self.alive() {
            key.agent(&self.agents[index]);
            key.call(self.calls[index].as_ref(), index);
        }
        key.late();
        for gate in &self.gates {
            key.gate(gate);
        }
        for database in &self.databases {
            key.database(database);
        }
        key.on_the_way();
        key.flags();
        key.row
    }

    /// A number that depends on the whole state and on nothing else.
    pub(super) fn digest(&self) -> u64 {
        let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        self.key().iter().fold(0xCBF2_9CE4_8422_2325, mix) >> 7
    }

    /// Every revision of the record that anybody knows, oldest first.
    fn revisions(&self) -> Vec<u64> {
        let mut all = vec![self.store.record_revision];
        for index in self.alive() {
            let agent = &self.agents[index];
            all.extend(agent.authority.present().map(|(_, revision)| revision));
            all.extend(agent.authority.memory().map(|memory| memory.revision));
            all.extend(agent.disk.as_ref().map(|memory| memory.revision));
            all.extend(agent.text.as_ref().map(|(_, revision)| *revision));
        }
        let late = self.late.iter().map(|(_, call)| call);
        for call in self.calls.iter().flatten().chain(late) {
            if let Ask::Write { order, .. } = &call.ask {
                all.push(order.revision);
            }
            match &call.said {
                Some(Said::Seen(state) | Said::Conflict(state)) => all.push(state.record_revision),
                Some(Said::Committed(revision)) => all.push(*revision),
                _ => {}
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Key<'_> {
    fn put(&mut self, number: impl TryInto<u8>) {
        self.row.push(number.try_into().unwrap_or(u8::MAX));
    }

    fn flag(&mut self, flag: bool) {
        self.row.push(u8::from(flag));
    }

    fn revision(&mut self, revision: u64) {
        let rank = self.revisions.binary_search(&revision);
        self.put(rank.expect("every known revision is in the list"));
    }

    fn site(&mut self, site: SiteId) {
        self.row.push(site.as_str().as_bytes()[0]);
    }

    /// A distance in ticks, rounded up, and cut off.
    fn span(&mut self, span: Duration, most: u64) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.put(micros.div_ceil(TICK).min(most));
    }

    fn life(&mut self, incarnation: &Name) {
        let life = incarnation
            .rsplit('-')
            .next()
            .and_then(|life| life.parse::<u8>().ok());
        self.put(life.unwrap_or(u8::MAX));
    }

    fn lives(&mut self, incarnations: &[Option<Name>]) {
        for incarnation in &incarnations[..AGENTS] {
            match incarnation {
                Some(incarnation) => self.life(incarnation),
                None => self.put(0_u8),
            }
        }
    }

    fn record(&mut self, record: &Record) {
        self.site(record.site);
        self.put(record.epoch.0);
        self.put(record.phase as u8);
        self.put(record.exposure as u8);
        self.site(record.last_open.site);
        self.put(record.last_open.epoch.0);
        self.put(record.fence.map_or(0, |fence| fence.barrier + 1));
        self.flag(&*record.identity.store == "life-1");
    }

    fn memory(&mut self, memory: Option<&Memory>) {
        self.flag(memory.is_some());
        if let Some(memory) = memory {
            self.revision(memory.revision);
            self.put(memory.epoch.0);
            self.flag(&*memory.identity.store == "life-1");
        }
    }

    fn store(&mut self, state: &State) {
        self.record(&state.record);
        self.revision(state.record_revision);
        self.lives(&state.incarnations);
        self.put(state.book.requests.len());
    }

    fn agent(&mut self, agent: &Agent) {
        let now = agent.now(self.state.at);
        let standing = agent.authority.standing(now);
        self.memory(standing.memory);
        self.memory(agent.disk.as_ref());
        self.flag(standing.present.is_some());
        if let Some((record, revision)) = standing.present {
            self.record(record);
            self.revision(revision);
            // Only a claim looks at how long its epoch is known, only a return at its exposure.
            let claimed = record.phase == Phase::Claimed;
            self.span(standing.epoch_known, if claimed { FAR } else { 0 });
            let returning = record.exposure == Exposure::Returning;
            self.span(standing.exposure_known, if returning { FAR } else { 0 });
        }
        // A holder counts only what it has handed over; and without promises everybody plans right
        // after a reading.
        let holds = standing.present.is_some_and(|(record, _)| {
            record.site == agent.place.site && matches!(record.phase, Phase::Open | Phase::Claimed)
        });
        if !holds {
            self.span(standing.counted, FAR);
            self.span(standing.count_from, 2);
        }
        if self.failsafe {
            self.span(standing.read, 3);
        }
        let hold = standing.hold.filter(|(_, _, left)| !left.is_zero());
        self.flag(hold.is_some());
        if let Some((epoch, sent, left)) = hold {
            self.put(epoch.0);
            self.span(sent, 3);
            self.span(left, FAR);
        }
        self.span(standing.start_wait, FAR);
        self.span(standing.promise, FAR);
        self.put(standing.open_seen.map_or(0, |epoch| epoch.0));
        self.beside(agent, now);
    }

    /// What an agent knows beside its view of the right.
    fn beside(&mut self, agent: &Agent, now: Mono) {
        let done = &agent.done;
        self.flag(agent.refusal.is_some());
        self.flag(done.relay_open);
        self.put(done.closed.map_or(0, |epoch| epoch.0));
        self.put(done.emptied.map_or(0, |epoch| epoch.0));
        self.put(
            done.barrier
                .map_or(0, |(epoch, number)| epoch.0 * 16 + number),
        );
        self.put(done.armed.map_or(0, |(epoch, _)| epoch.0));
        self.span(
            done.armed
                .map_or(Duration::ZERO, |(_, until)| now.until(until)),
            FAR,
        );
        self.flag(agent.registered);
        self.life(&agent.incarnation);
        if self.failsafe {
            self.lives(&agent.incarnations);
        }
        self.put(agent.book.requests.len());
        self.span(
            agent
                .round_sent
                .map_or(Duration::MAX, |sent| now.since(sent)),
            3,
        );
        self.put(agent.round.as_ref().map_or(0, |round| round.missing() + 1));
    }

    fn call(&mut self, call: Option<&Call>, index: usize) {
        let Some(call) = call else {
            return self.put(0_u8);
        };
        let now = self.state.now(index);
        self.span(now.since(call.sent), 4);
        self.life(&call.incarnation);
        self.ask(&call.ask);
        match &call.said {
            None => self.put(1_u8),
            Some(Said::Noted) => self.put(2_u8),
            Some(Said::Committed(revision)) => {
                self.put(3_u8);
                self.revision(*revision);
            }
            Some(Said::Seen(state)) => {
                self.put(4_u8);
                self.store(state);
            }
            Some(Said::Conflict(state)) => {
                self.put(5_u8);
                self.store(state);
            }
        }
    }

    fn ask(&mut self, ask: &Ask) {
        match ask {
            Ask::Read => self.put(1_u8),
            Ask::Register => self.put(2_u8),
            Ask::Write { order, .. } => {
                self.put(4_u8 + order.purpose as u8);
                self.revision(order.revision);
                self.record(&order.record);
            }
        }
    }

    /// A change that can no longer succeed is as good as none.
    fn late(&mut self) {
        let state = self.state;
        let alive = state.late.as_ref().filter(|(_, call)| {
            matches!(&call.ask, Ask::Write { order, .. } if order.revision == state.store.record_revision)
        });
        match alive {
            Some((index, call)) => {
                self.put(*index + 1);
                self.life(&call.incarnation);
                self.ask(&call.ask);
            }
            None => self.put(0_u8),
        }
    }

    fn gate(&mut self, gate: &Gate) {
        let now = gate.clock.now(self.state.at);
        self.put(gate.rights().epoch().0);
        for answer in gate.rights().answers() {
            let open = answer.filter(|answer| now < answer.deadline);
            self.put(open.map_or(0, |answer| answer.epoch.0));
            self.span(
                open.map_or(Duration::ZERO, |answer| now.until(answer.deadline)),
                FAR,
            );
        }
    }

    fn database(&mut self, database: &Database) {
        let now = database.clock.now(self.state.at);
        self.put(database.lease.epoch.0);
        self.span(now.until(database.lease.ends), FAR);
        self.flag(database.lease.closed);
        self.put(database.beat.1);
        for entry in &database.log {
            self.put(match entry {
                Entry::Write(write) => write + 1,
                Entry::Beat(_, number) => 100 + u32::try_from(*number).unwrap_or(99),
            });
        }
        self.put(200_u8);
        self.put(database.rows.first().copied().unwrap_or_default());
        self.put(
            database
                .applied
                .map_or(0, |beat| beat.epoch.0 * 16 + beat.seq),
        );
        if let Some(found) = database.subscription {
            self.flag(found.enabled);
            self.put(found.received);
            self.put(found.applied);
        }
        for step in &database.journal {
            self.put(step.epoch.0);
            self.put(step.boundary);
            self.flag(step.done);
        }
        self.put(201_u8);
    }

    fn on_the_way(&mut self) {
        let state = self.state;
        for (site, asks) in state.asks.iter().enumerate() {
            let now = state.gates[site].clock.now(state.at);
            for ask in asks {
                let Some(ask) = ask else {
                    self.put(0_u8);
                    continue;
                };
                self.put(1_u8);
                self.span(now.since(ask.asked), 4);
                self.span(Duration::from_millis(ask.answer.remaining_ms), FAR);
                self.put(ask.answer.epoch.0);
            }
        }
        for plea in &state.pleas {
            self.put(plea.from * 4 + plea.to);
            self.put(plea.question.epoch.0);
            self.flag(plea.answer.is_some());
            if let Some(answer) = &plea.answer {
                self.life(&answer.incarnation);
            }
        }
        self.put(202_u8);
    }

    fn flags(&mut self) {
        let state = self.state;
        let spent = state.spent;
        self.row.extend([
            spent.writes,
            spent.crashes,
            spent.forgets,
            spent.lost,
            spent.jumps,
            spent.held,
        ]);
        let flags = [
            spent.asked,
            spent.rebuilt,
            spent.restored,
            state.took_over,
            state.switched,
            state.promised,
            state.leaving[0].is_some(),
            state.leaving[1].is_some(),
            state.broken.is_some(),
        ];
        for flag in flags {
            self.flag(flag);
        }
        for since in state.leaving.into_iter().flatten() {
            self.span(Duration::from_micros(state.at - since), 2);
        }
        for writing in state.writing {
            self.put(writing.map_or(0, |write| write + 1));
        }
        self.put(state.acknowledged);
        self.put(state.newest);
    }
}
