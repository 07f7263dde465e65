//! Questions to the store: on the way, at the store, and back.
//!
//! An agent asks the member next to it first and then the others, 300 ms each, as the real
//! driver does. A question that found a member without a leader may wait there and be
//! carried out after its caller gave up.

use std::sync::Arc;

use tandem_core::authority::Record;
use tandem_core::model::Mono;
use tandem_core::planner::Purpose;

use super::rounds::STILL;
use super::{Call, World};
use crate::agent::{Order, RENEWALS_MAX};
use crate::clock::{At, MS, SECOND};
use crate::event::Event;
use crate::store::{Ask, Said};

/// One try at one member.
const ATTEMPT: At = 300 * MS;

impl World {
    /// How long until a question arrives at a member that can answer, and which member.
    pub(crate) fn way_to_store(&mut self, index: usize) -> Option<(At, usize)> {
        let from = self.agents[index].at;
        let members = [from, (from + 1) % 3, (from + 2) % 3];
        for (tried, member) in members.into_iter().enumerate() {
            let reached = self.network.admits(index, member)
                && self.network.linked(from, member)
                && self.store.serves(member, &self.network, self.at);
            let delay = self.network.send(from, member, &mut self.random);
            if let Some(delay) = delay.filter(|_| reached) {
                return Some((delay + 2 * MS + ATTEMPT * tried as u64, member));
            }
        }
        None
    }

    pub(crate) fn read_or_register(&mut self, index: usize) {
        let ask = if self.agents[index].registered || self.agents[index].text.is_none() {
            Ask::Read
        } else {
            Ask::Register
        };
        self.ask(index, ask);
    }

    fn ask(&mut self, index: usize, ask: Ask) {
        let agent = &self.agents[index];
        let (life, sent) = (agent.life, agent.now(self.at));
        let incarnation = agent.incarnation.clone();
        let way = self.way_to_store(index);
        let late = self.random.chance(u64::from(self.store.late_commits));
        let (delay, member) = match way {
            Some((delay, member)) if late => (delay + self.random.below(4 * SECOND), member),
            Some(way) => way,
            // It may sit in a member that has no leader yet.
            None if late => (
                self.random.between(200 * MS, 5 * SECOND),
                self.agents[index].at,
            ),
            None => {
                self.agents[index].call = Some((u16::MAX, sent));
                return;
            }
        };
        let twice = self.troubles.duplicates > 0 && matches!(ask, Ask::Write { .. });
        let call = self.calls.put(Call {
            agent: index,
            life,
            sent,
            member,
            incarnation,
            ask,
            said: None,
            pending: 1 + u8::from(twice),
            waited: false,
        });
        self.agents[index].call = Some((call, sent));
        self.push(delay, Event::Arrive { call });
        if twice {
            let again = delay + self.random.below(SECOND);
            self.push(again, Event::Arrive { call });
        }
    }

    /// The planner ordered a change of the record; a busy right drops it.
    pub(crate) fn order(&mut self, index: usize, revision: u64, record: Record, purpose: Purpose) {
        if self.agents[index].call.is_none() {
            let order = self.agents[index].ordered(revision, record, purpose, self.wall_ms());
            self.carry_out(index, order);
        }
    }

    fn carry_out(&mut self, index: usize, order: Order) {
        let text = self.agents[index].text.clone();
        if let Some((expected, _)) = text.filter(|(_, revision)| *revision == order.revision) {
            if order.purpose != Purpose::Renew {
                let (purpose, epoch) = (order.purpose, order.record.epoch);
                self.note(
                    |world| world.names[index].to_string(),
                    |_| format!("asks the store: {purpose:?}, epoch {epoch}"),
                );
            }
            self.ask(index, Ask::Write { order, expected });
        }
    }

    pub(crate) fn arrive(&mut self, slot: u16) {
        let Some(call) = self.calls.at(slot) else {
            return;
        };
        call.pending -= 1;
        let member = call.member;
        if !self.store.serves(member, &self.network, self.at) {
            return self.forget(slot);
        }
        let call = self.calls.at(slot).expect("it was there");
        let (index, ask, incarnation) = (call.agent, call.ask.clone(), call.incarnation.clone());
        let before = Arc::clone(&self.store.state.record);
        let said = self.store.state.serve(index, &incarnation, &ask);
        if let (Said::Committed(_), Ask::Write { order, .. }) = (&said, &ask) {
            self.judge_record(index, &before, order.purpose);
        }
        self.answer(slot, said);
    }

    fn answer(&mut self, slot: u16, said: Said) {
        let lost = self.random.chance(u64::from(self.store.lost_replies));
        let call = self.calls.at(slot).expect("it was there");
        // A second copy of the same change finds the first one's work.
        call.said = Some(said);
        let (member, to) = (call.member, call.agent);
        let to = self.agents[to].at;
        let delay = self.network.send(member, to, &mut self.random);
        match delay.filter(|_| !lost) {
            Some(delay) => {
                self.calls.at(slot).expect("it was there").pending += 1;
                self.push(delay, Event::Reply { call: slot });
            }
            None => self.forget(slot),
        }
    }

    fn forget(&mut self, slot: u16) {
        if self.calls.at(slot).is_some_and(|call| call.pending == 0) {
            self.calls.take(slot);
        }
    }

    pub(crate) fn reply(&mut self, slot: u16) {
        let Some(call) = self.calls.at(slot) else {
            return;
        };
        let (index, life, sent) = (call.agent, call.life, call.sent);
        let waited = call.waited;
        if self.is_life(index, life) && self.agents[index].frozen > 0 {
            // It waits in the socket until the process goes on.
            self.calls.at(slot).expect("it was there").waited = true;
            return self.push(STILL, Event::Reply { call: slot });
        }
        let call = self.calls.at(slot).expect("it was there");
        call.pending -= 1;
        let (said, ask) = (call.said.take(), call.ask.clone());
        self.forget(slot);
        let now = self.agents[index].now(self.at);
        let timely = waited || now.since(sent) <= self.policy.authority.call_timeout();
        let expected = self.agents[index].call == Some((slot, sent));
        if let Some(said) = said.filter(|_| timely && expected && self.is_life(index, life)) {
            self.agents[index].call = None;
            // After a lost race the next round plans anew, so that two agents cannot race for ever.
            let lost = matches!(said, Said::Conflict(_));
            self.take(index, sent, now, said, ask);
            if !lost {
                self.drive(index);
            }
        }
    }

    fn take(&mut self, index: usize, sent: Mono, now: Mono, said: Said, ask: Ask) {
        self.agents[index].hear(&said, &ask, sent, now);
        match (said, ask) {
            (Said::Seen(_), _) => {
                self.reached.refused += u64::from(self.agents[index].refusal.is_some());
            }
            (Said::Conflict(_), Ask::Write { order, .. }) => self.renew_again(index, order),
            _ => {}
        }
    }

    /// A renewal that met the sibling's goes on from what is there, if it is the same right.
    fn renew_again(&mut self, index: usize, order: Order) {
        let Some((record, revision)) = self.agents[index].authority.present() else {
            return;
        };
        let same = record.identity == order.record.identity
            && (record.site, record.epoch, record.phase)
                == (order.record.site, order.record.epoch, order.record.phase);
        if order.purpose == Purpose::Renew && same && order.tries + 1 < RENEWALS_MAX {
            let next = Order {
                revision,
                record: Arc::new(record.renewed()),
                tries: order.tries + 1,
                ..order
            };
            self.carry_out(index, next);
        }
    }
}
