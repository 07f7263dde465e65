//! What a step does.

use std::sync::Arc;
use std::time::Duration;

use tandem_core::authority::{LastOpen, Record};
use tandem_core::model::Mono;
use tandem_core::planner::{Action, Purpose, RequestKind};

use super::state::{AGENTS, Call, GateAsk};
use super::{Search, Small, Step, TICK};
use crate::database::SqlError;
use crate::store::{self, Ask, Said};
use crate::world::setup::{self, WALL_START_MS};

impl Small {
    /// Does `step`; false if it changes nothing.
    pub(super) fn take(&mut self, search: &Search, step: Step) -> bool {
        match step {
            Step::Tick => self.tick(search),
            Step::Round(index) => {
                if !self.drive(search, usize::from(index)) {
                    return false;
                }
            }
            Step::Look(index) => {
                self.question(usize::from(index));
                self.serve(usize::from(index));
                self.reply(search, usize::from(index));
            }
            Step::Question(index) => self.question(usize::from(index)),
            Step::Hold(index) => {
                self.question(usize::from(index));
                self.serve(usize::from(index));
            }
            Step::Change(index) => {
                self.serve(usize::from(index));
                self.reply(search, usize::from(index));
            }
            Step::Carry(index) => self.serve(usize::from(index)),
            Step::Reply(index) => self.reply(search, usize::from(index)),
            Step::GiveUp(index) => self.give_up(usize::from(index)),
            Step::Late => self.carry_out_late(),
            Step::Crash(index) | Step::Forget(index) => {
                self.crash(search, usize::from(index), matches!(step, Step::Forget(_)));
            }
            Step::Jump(index) => {
                let span = i64::try_from(2 * TICK).expect("ten seconds");
                self.agents[usize::from(index)].clock.jump(span, self.at);
                self.spent.jumps += 1;
            }
            Step::Check(gate, agent) => {
                self.ask(search, usize::from(gate), usize::from(agent));
                self.hear(usize::from(gate), usize::from(agent));
            }
            Step::Answer(gate, agent) => self.ask(search, usize::from(gate), usize::from(agent)),
            Step::Hear(gate, agent) => self.hear(usize::from(gate), usize::from(agent)),
            Step::Begin(site) => {
                self.writing[usize::from(site)] = Some(self.spent.writes);
                self.spent.writes += 1;
            }
            Step::Commit(site) => self.commit(search, usize::from(site)),
            Step::Kill(site) => self.writing[usize::from(site)] = None,
            Step::Apply(site) => self.apply(usize::from(site)),
            Step::Person => self.person(),
            Step::Plea(number) => self.plea(usize::from(number)),
            Step::Promise(number) => self.promise(search, usize::from(number)),
            Step::Rebuild => self.rebuild(search),
            Step::Restore => {
                self.spent.restored = true;
                self.store = setup::first_state(self.agents[0].place.site);
            }
        }
        self.judge();
        true
    }

    pub(super) fn tick(&mut self, search: &Search) {
        self.spent.held += self.under_way();
        self.at += TICK;
        let cut = search.policy.authority.cut_ms * 1000;
        for leaving in &mut self.leaving {
            *leaving = leaving.filter(|since| self.at - since <= cut);
        }
    }

    pub(super) fn question(&mut self, index: usize) {
        let agent = &self.agents[index];
        let ask = if agent.registered || agent.text.is_none() {
            Ask::Read
        } else {
            Ask::Register
        };
        self.call(index, ask);
    }

    fn call(&mut self, index: usize, ask: Ask) {
        self.calls[index] = Some(Call {
            ask,
            sent: self.now(index),
            incarnation: self.agents[index].incarnation.clone(),
            said: None,
        });
    }

    pub(super) fn serve(&mut self, index: usize) {
        let mut call = self.calls[index].take().expect("it asked");
        call.said = Some(self.answer(index, &call));
        self.calls[index] = Some(call);
    }

    fn answer(&mut self, index: usize, call: &Call) -> Said {
        let before = Arc::clone(&self.store.record);
        let said = self.store.serve(index, &call.incarnation, &call.ask);
        if let (Said::Committed(_), Ask::Write { order, .. }) = (&said, &call.ask) {
            self.judge_change(index, &before, order);
        }
        said
    }

    pub(super) fn reply(&mut self, search: &Search, index: usize) {
        let call = self.calls[index].take().expect("it asked");
        let said = call.said.expect("the store answered");
        let now = self.now(index);
        self.agents[index].hear(&said, &call.ask, call.sent, now);
        // After a lost race the next round plans anew.
        if !matches!(said, Said::Conflict(_)) {
            self.drive(search, index);
        }
    }

    fn give_up(&mut self, index: usize) {
        let call = self.calls[index].take().expect("it asked");
        self.spent.lost += 1;
        if call.said.is_none() {
            self.late = Some((index, call));
        }
    }

    fn carry_out_late(&mut self) {
        let (index, call) = self.late.take().expect("there is one");
        self.answer(index, &call);
    }

    fn crash(&mut self, search: &Search, index: usize, forgets: bool) {
        self.spent.crashes += 1;
        self.spent.forgets += u8::from(forgets);
        let call = self.calls[index].take();
        self.late = call
            .filter(|call| call.said.is_none() && matches!(call.ask, Ask::Write { .. }))
            .map(|call| (index, call))
            .or(self.late.take());
        for ask in &mut self.asks[index / 2] {
            *ask = None;
        }
        self.pleas
            .retain(|plea| plea.from != index && (plea.to != index || plea.answer.is_some()));
        if forgets {
            self.agents[index].disk = None;
        }
        self.agents[index].start(&search.policy.authority, self.at);
    }

    /// Plans and acts; false if there was nothing to do.
    pub(super) fn drive(&mut self, search: &Search, index: usize) -> bool {
        let dressed = self.dressed(search, index);
        let (plan, _) = dressed.plan(&search.policy, &search.roster, self.at, WALL_START_MS);
        let mut did = false;
        // A failed effect ends what its hand was given.
        let mut failed = [false; 2];
        for action in plan.actions {
            match action {
                Action::Write {
                    revision,
                    record,
                    purpose,
                } => {
                    did |= self.order(index, revision, record, purpose);
                }
                Action::AskPromises { epoch } if search.bounds.failsafe => {
                    let before = self.pleas.len();
                    self.ask_promises(search, index, epoch);
                    did |= self.pleas.len() > before;
                }
                Action::AskPromises { .. }
                | Action::LeadAtWitness
                | Action::AskOtherEnd
                | Action::Beat { .. } => {}
                effect => {
                    let hand = usize::from(!matches!(
                        effect,
                        Action::ArmGuard { .. } | Action::CloseGuard { .. }
                    ));
                    failed[hand] = failed[hand] || !self.effect(index, &effect);
                    did = true;
                }
            }
        }
        did
    }

    fn order(&mut self, index: usize, revision: u64, record: Record, purpose: Purpose) -> bool {
        let text = self.agents[index].text.clone();
        let text = text.filter(|(_, known)| *known == revision && self.calls[index].is_none());
        let Some((expected, _)) = text else {
            return false;
        };
        let order = self.agents[index].ordered(revision, record, purpose, WALL_START_MS);
        self.call(index, Ask::Write { order, expected });
        true
    }

    fn effect(&mut self, index: usize, action: &Action) -> bool {
        let (site, now) = (index / 2, self.now(index));
        let ends = match action {
            Action::ArmGuard { deadline, .. } => {
                let clock = self.databases[site].clock.now(self.at);
                clock.after(now.until(*deadline))
            }
            _ => Mono(0),
        };
        match action {
            Action::CloseGuard { .. } => self.agents[index].done.armed = None,
            Action::Receive { .. } => self.agents[index].done.relay_open = true,
            Action::StopReceiving | Action::Prepare { .. } => {
                self.agents[index].done.relay_open = false;
            }
            _ => {}
        }
        let own = self.agents[index].place.site;
        let done = match action {
            Action::EndSessions { .. } if self.writing[site].is_some() => Err(SqlError::Refused),
            _ => self.databases[site].carry_out(action, own, ends),
        };
        if let Ok(number) = done {
            self.agents[index].did(action, number, now, now);
        }
        done.is_ok()
    }

    pub(super) fn ask(&mut self, search: &Search, gate: usize, agent: usize) {
        let dressed = self.dressed(search, gate * 2 + agent);
        let answer = dressed.remaining(&search.policy, &search.roster, self.at);
        let asked = self.gates[gate].clock.now(self.at);
        self.asks[gate][agent] = Some(GateAsk { asked, answer });
    }

    pub(super) fn hear(&mut self, gate: usize, agent: usize) {
        let ask = self.asks[gate][agent].take().expect("it was answered");
        let arrived = self.gates[gate].clock.now(self.at);
        let asked = if off!(GateCountsFromArrival) {
            arrived
        } else {
            ask.asked
        };
        self.gates[gate].hear(agent, asked, &ask.answer, self.at);
    }

    fn commit(&mut self, search: &Search, site: usize) {
        let write = self.writing[site].take().expect("one is under way");
        let epoch = self.databases[site].lease.epoch.0;
        self.databases[site].store_write(u32::from(write));
        if !self.gates[site].is_open(self.at) {
            return;
        }
        self.acknowledged |= 1 << write;
        if epoch < self.newest {
            self.fail("I1: an older epoch acknowledges after a newer one");
        }
        self.newest = epoch;
        if search.bounds.slow_gates {
            self.leaving[site] = Some(self.at);
        }
    }

    pub(super) fn apply(&mut self, site: usize) {
        let from = self.agents[(1 - site) * 2].place.site;
        let source = self.databases[1 - site].clone();
        self.databases[site].replicate(&source, true, from, usize::MAX / 2);
    }

    fn person(&mut self) {
        self.spent.asked = true;
        let to = self.agents[2].place.site;
        let epoch = self.store.record.epoch;
        let life = Duration::from_secs(24 * 3600);
        let said = ("kim".into(), "a drill".into());
        let book = Arc::make_mut(&mut self.store.book);
        book.add(
            RequestKind::Switchover { to },
            said,
            epoch,
            WALL_START_MS,
            life,
        )
        .expect("the book is empty");
    }

    /// Under a new identity, for the site that was open last; everybody's memory of the old store
    /// is put aside. Its revisions begin where a question that is under way may meet them (C12).
    fn rebuild(&mut self, search: &Search) {
        self.spent.rebuilt = true;
        let site = usize::from(self.databases[1].lease.epoch > self.databases[0].lease.epoch);
        let last_open = LastOpen {
            site: self.agents[site * 2].place.site,
            epoch: self.databases[site].lease.epoch,
        };
        let record = store::rebuilt(2, last_open, self.store.record.epoch);
        let under_way = self.late.as_ref().map(|(_, call)| call);
        let revision = under_way.and_then(|call| match &call.ask {
            Ask::Write { order, .. } => Some(order.revision),
            _ => None,
        });
        self.store.record_revision = revision.unwrap_or(10);
        self.store.revision = self.store.record_revision;
        self.store.record = Arc::new(record);
        self.store.incarnations = [const { None }; 5];
        for index in 0..AGENTS {
            if self.agents[index].alive {
                self.crash(search, index, true);
            }
        }
        self.spent.crashes = 0;
        self.spent.forgets = 0;
    }
}
