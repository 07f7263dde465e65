//! Gates and clients: who asks whom for the right to write, and the life of a write.
//!
//! ```text
//! client -> gate [-> gate of the primary's site] -> database: begin, commit
//! client <- gate [<- that gate, if its term still lives]  <- answer
//! ```

use tandem_core::model::Epoch;

use super::rounds::STILL;
use super::{GateAsk, Step, World, Write, small};
use crate::clock::{At, MS, SECOND};
use crate::event::Event;
use crate::gate::Route;
use crate::network::OUTSIDE;

/// How often a client or a gate tries again before it gives up.
const TRIES_MAX: u8 = 12;

impl World {
    pub(crate) fn gate_asks(&mut self, index: usize, life: u16) {
        let gate = &self.gates[index];
        if !gate.alive || gate.life != life {
            return;
        }
        let event = Event::Asks {
            gate: small(index),
            life,
        };
        if gate.frozen > 0 {
            return self.push(STILL, event);
        }
        let (site, asked) = (gate.site, gate.clock.now(self.at));
        for agent in 0..2 {
            let slot = self.asks.put(GateAsk {
                gate: index,
                life,
                agent: site * 2 + agent,
                asked,
                answer: None,
            });
            let delay = self.random.between(200, 4 * MS);
            self.push(delay, Event::Ask { slot });
        }
        self.push(self.tempo.ask, event);
    }

    pub(crate) fn gate_ask(&mut self, slot: u16) {
        let ask = self.asks.at(slot).expect("one event an ask");
        let agent = &self.agents[ask.agent];
        if !agent.alive {
            self.asks.take(slot);
            return;
        }
        if agent.frozen > 0 {
            return self.push(STILL, Event::Ask { slot });
        }
        let answer = agent.remaining(&self.policy, &self.roster, self.at);
        self.asks.at(slot).expect("it was there").answer = Some(answer);
        // Nearly always at once; now and then the way back takes its time.
        if self.random.chance(900) {
            return self.gate_answer(slot);
        }
        let delay = self.random.below(800 * MS);
        self.push(delay, Event::Answer { slot });
    }

    pub(crate) fn gate_answer(&mut self, slot: u16) {
        let ask = self.asks.at(slot).expect("one event an ask");
        let (index, life) = (ask.gate, ask.life);
        let gate = &self.gates[index];
        if !gate.alive || gate.life != life {
            self.asks.take(slot);
            return;
        }
        if gate.frozen > 0 {
            return self.push(STILL, Event::Answer { slot });
        }
        let ask = self.asks.take(slot).expect("it was there");
        let answer = ask.answer.expect("it was answered");
        let arrived = gate.clock.now(self.at);
        let asked = if off!(GateCountsFromArrival) {
            arrived
        } else {
            ask.asked
        };
        self.gates[index].hear(ask.agent % 2, asked, &answer, self.at);
    }

    /// The next client.
    pub(crate) fn client(&mut self) {
        let direct = self.random.chance(self.tempo.direct);
        let site = self.random.index(2);
        let gate = site * 2 + self.random.index(2);
        let number = u32::try_from(self.writes.len()).expect("few writes");
        self.writes.push(Write {
            step: if direct {
                Step::Beginning
            } else {
                Step::Arriving
            },
            gate: (!direct).then(|| small(gate)),
            hop: None,
            term: 0,
            away: 0,
            site: small(site),
            tries: 0,
            committed: None,
            epoch: 0,
            acknowledged: None,
            lost: false,
        });
        if let Some(delay) = self.network.send(OUTSIDE, site, &mut self.random) {
            self.push(delay, Event::Write { write: number });
        }
        self.judge_health();
        let pause = self
            .random
            .between(self.tempo.client / 2, self.tempo.client * 3 / 2);
        self.push(pause, Event::Client);
    }

    pub(crate) fn write(&mut self, number: u32) {
        match self.writes[number as usize].step {
            Step::Arriving => self.arrives(number),
            Step::Forwarded => self.forwarded(number),
            Step::Beginning => self.begins(number),
            Step::Committing => self.commits(number),
            Step::Answering => self.answers(number),
            Step::Leaving => self.leaves(number),
            Step::Done => {}
        }
    }

    fn step(&mut self, number: u32, step: Step, delay: At) {
        self.writes[number as usize].step = step;
        self.push(delay, Event::Write { write: number });
    }

    /// Waits and tries the same step again, a bounded number of times.
    fn again(&mut self, number: u32, wait: At) {
        let write = &mut self.writes[number as usize];
        write.tries += 1;
        if write.tries < TRIES_MAX {
            self.push(wait, Event::Write { write: number });
        } else {
            self.give_up(number);
        }
    }

    fn give_up(&mut self, number: u32) {
        let site = usize::from(self.writes[number as usize].site);
        self.writes[number as usize].step = Step::Done;
        self.open[site].retain(|open| *open != number);
    }

    fn arrives(&mut self, number: u32) {
        let index = usize::from(self.writes[number as usize].gate.expect("it asked a gate"));
        if !self.gates[index].alive {
            return self.give_up(number);
        }
        if self.gates[index].frozen > 0 {
            return self.again(number, 500 * MS);
        }
        match self.gates[index].route(self.at) {
            Route::Here(term) => {
                let write = &mut self.writes[number as usize];
                write.hop = Some(small(index));
                write.term = term.number;
                let delay = self.random.between(100, 2 * MS);
                self.step(number, Step::Beginning, delay);
            }
            Route::Peer(term) => self.forwards(number, index, term.number),
            // The gate holds new sessions for a while.
            Route::Nowhere => self.again(number, 700 * MS),
        }
    }

    /// On to the other site: to one of its gates, which has a deadline of its own.
    fn forwards(&mut self, number: u32, index: usize, away: u32) {
        let (from, to) = (self.gates[index].site, Self::other(self.gates[index].site));
        let gate = to * 2 + self.random.index(2);
        let Some(delay) = self.network.send(from, to, &mut self.random) else {
            return self.give_up(number);
        };
        let write = &mut self.writes[number as usize];
        write.away = away;
        write.site = small(to);
        if off!(RemoteSessionsGoDirect) {
            return self.step(number, Step::Beginning, delay);
        }
        write.hop = Some(small(gate));
        self.step(number, Step::Forwarded, delay);
    }

    fn forwarded(&mut self, number: u32) {
        let index = usize::from(self.writes[number as usize].hop.expect("it was chosen"));
        if !self.gates[index].alive {
            return self.give_up(number);
        }
        if self.gates[index].frozen > 0 {
            return self.again(number, 500 * MS);
        }
        // Only a session that ends here: a gate never sends another gate's session on.
        let Route::Here(term) = self.gates[index].route(self.at) else {
            return self.give_up(number);
        };
        self.writes[number as usize].term = term.number;
        let delay = self.random.between(100, 2 * MS);
        self.step(number, Step::Beginning, delay);
    }

    fn begins(&mut self, number: u32) {
        let site = usize::from(self.writes[number as usize].site);
        if !self.databases[site].alive {
            return self.give_up(number);
        }
        if self.databases[site].frozen > 0 {
            return self.again(number, 500 * MS);
        }
        // The guard looks at the first change of a transaction, and again at its commit.
        if !self.databases[site].admits(self.at) {
            return self.give_up(number);
        }
        let long = self.troubles.long_transaction > 0 && self.random.chance(500);
        let length = if long {
            self.random.below(8 * SECOND)
        } else {
            self.random.between(MS, 20 * MS)
        };
        self.open[site].push(number);
        self.step(number, Step::Committing, length);
    }

    fn commits(&mut self, number: u32) {
        let site = usize::from(self.writes[number as usize].site);
        if !self.databases[site].alive {
            return self.give_up(number);
        }
        if self.databases[site].frozen > 0 {
            return self.again(number, 500 * MS);
        }
        self.open[site].retain(|open| *open != number);
        let Some(epoch) = self.databases[site].commit(number, self.at) else {
            return self.give_up(number);
        };
        let write = &mut self.writes[number as usize];
        write.committed = Some(self.at);
        write.epoch = epoch.0;
        let hop = write.hop;
        self.judge_commit(site, epoch);
        if hop.is_none() && self.writes[number as usize].gate.is_none() {
            // A session past every gate has its answer at once.
            return self.leaves(number);
        }
        // Behind a slow server an answer may be under way for longer than a right lasts.
        let slow = self.troubles.slow_database[site] > 0 && self.random.chance(300);
        let delay = if slow {
            self.random.below(8 * SECOND)
        } else {
            self.random.between(100, 2 * MS)
        };
        self.step(number, Step::Answering, delay);
    }

    /// The answer is at the gate next to the database: its last check.
    fn answers(&mut self, number: u32) {
        let write = self.writes[number as usize];
        let (hop, first) = (write.hop.or(write.gate), write.gate);
        let index = usize::from(hop.expect("a session past every gate ended before"));
        if self.gates[index].alive && self.gates[index].frozen > 0 {
            return self.again(number, 500 * MS);
        }
        let remote = write.hop != first && write.hop.is_some();
        let direct = write.hop.is_none();
        let passes = self.gates[index].alive
            && if direct {
                self.gates[index].passes_away(write.away, self.at)
            } else {
                self.gates[index].passes_here(write.term, self.at)
            };
        if !passes {
            return self.give_up(number);
        }
        let cut = self.policy.authority.cut_ms * MS;
        let late = if self.troubles.slow_gate > 0 && !remote {
            self.random.below(cut)
        } else {
            0
        };
        self.step(number, Step::Leaving, late);
    }

    /// The answer leaves.
    fn leaves(&mut self, number: u32) {
        let write = self.writes[number as usize];
        self.writes[number as usize].step = Step::Done;
        self.writes[number as usize].acknowledged = Some(self.at);
        let site = usize::from(write.site);
        let guarded = write.gate.is_none();
        self.judge_acknowledgement(number, site, Epoch(write.epoch), guarded);
    }
}
