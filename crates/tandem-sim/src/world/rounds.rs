//! An agent's routines: round, probe, look, publish; and the promises between agents.

use std::sync::Arc;

use tandem_core::planner::{Action, Language, Look, SiteHealth};

use super::{Plea, World, small};
use crate::clock::{At, MS, SECOND};
use crate::event::Event;
use crate::network::WITNESS;

/// Something that stands still is looked at again after this time.
pub(crate) const STILL: At = 150 * MS;

impl World {
    /// Whether `agent` still lives the life that an event speaks of.
    pub(crate) fn is_life(&self, agent: usize, life: u16) -> bool {
        let agent = &self.agents[agent];
        agent.alive && agent.life == life
    }

    pub(crate) fn round(&mut self, index: usize, life: u16) {
        if !self.is_life(index, life) {
            return;
        }
        let event = Event::Round {
            agent: small(index),
            life,
        };
        if self.agents[index].frozen > 0 {
            return self.push(STILL, event);
        }
        self.routines(index);
        self.drive(index);
        let late = u64::from(self.troubles.slow_agent[index]) * 1500 * MS;
        let late = if late > 0 { self.random.below(late) } else { 0 };
        self.push(self.tempo.round + late, event);
    }

    /// Starts what is due.
    fn routines(&mut self, index: usize) {
        let now = self.agents[index].now(self.at);
        let (at, life) = (self.agents[index].at, self.agents[index].life);
        let timeout = self.policy.authority.call_timeout();
        let call = self.agents[index].call;
        if call.is_some_and(|(_, sent)| now.since(sent) > timeout) {
            self.agents[index].call = None;
            self.agents[index].due.read = now;
        }
        if now >= self.agents[index].due.read && self.agents[index].call.is_none() {
            self.agents[index].due.read = now.after(span(self.tempo.read));
            self.read_or_register(index);
        }
        if now >= self.agents[index].due.publish {
            self.agents[index].due.publish = now.after(self.policy.authority.renew() / 2);
            if let Some((delay, _)) = self.way_to_store(index) {
                self.push(
                    delay,
                    Event::Publish {
                        agent: small(index),
                        life,
                    },
                );
            }
        }
        if now >= self.agents[index].due.probe {
            let period = MS * self.policy.detection.probe_ms;
            self.agents[index].due.probe = now.after(span(period));
            for place in (0..3).filter(|place| *place != at) {
                let delay = self.random.between(2 * MS, 40 * MS);
                let place = small(place);
                self.push(
                    delay,
                    Event::Probe {
                        agent: small(index),
                        life,
                        place,
                    },
                );
            }
        }
        if at != WITNESS && now >= self.agents[index].due.look {
            self.agents[index].due.look = now.after(span(self.tempo.look));
            let delay = self.database_delay(at);
            self.push(
                delay,
                Event::Look {
                    agent: small(index),
                    life,
                },
            );
        }
    }

    /// Plans and hands out the effects.
    pub(crate) fn drive(&mut self, index: usize) {
        if !self.agents[index].runs() {
            return;
        }
        let (plan, report) =
            self.agents[index].plan(&self.policy, &self.roster, self.at, self.wall_ms());
        self.say(index, &report);
        self.agents[index].reason = Some(report.reason);
        let (mut quick, mut slow) = (Vec::new(), Vec::new());
        for action in plan.actions {
            match action {
                Action::Write {
                    revision,
                    record,
                    purpose,
                } => self.order(index, revision, record, purpose),
                Action::LeadAtWitness => self.store.lead_at_witness(&self.network, self.at),
                Action::AskPromises { epoch } => self.ask_promises(index, epoch),
                Action::Beat { .. } | Action::ArmGuard { .. } | Action::CloseGuard { .. } => {
                    quick.push(action);
                }
                Action::Receive { .. } | Action::Reinstate { .. } => {
                    self.agents[index].done.relay_open = true;
                    slow.push(action);
                }
                Action::StopReceiving | Action::Prepare { .. } => {
                    self.agents[index].done.relay_open = false;
                    slow.push(action);
                }
                _ => slow.push(action),
            }
        }
        self.give(index, 0, quick);
        self.give(index, 1, slow);
    }

    /// One line when the reason changes.
    fn say(&mut self, index: usize, report: &tandem_core::planner::Report) {
        if self.transcript.is_none() {
            return;
        }
        let code = report.reason.code();
        let known = self.agents[index]
            .reason
            .as_ref()
            .map(|reason| reason.code());
        if known != Some(code) {
            let sentence = report.reason.sentence(Language::English);
            self.note(
                |world| world.names[index].to_string(),
                |_| format!("{code} {sentence}"),
            );
        }
    }

    pub(crate) fn publish(&mut self, index: usize, life: u16) {
        if !self.is_life(index, life) || self.agents[index].frozen > 0 {
            return;
        }
        let status = Arc::new(self.agents[index].status(self.at));
        self.store.state.revision += 1;
        self.store.state.statuses[index] = Some(status);
        self.agents[index].spoke_at = Some(self.at);
    }

    pub(crate) fn probe(&mut self, index: usize, life: u16, place: usize) {
        if !self.is_life(index, life) || self.agents[index].frozen > 0 {
            return;
        }
        let from = self.agents[index].at;
        let asked = self.network.admits(index, place)
            && self.network.send(from, place, &mut self.random).is_some()
            && self.network.send(place, from, &mut self.random).is_some();
        let answer = (0..self.agents.len())
            .filter(|other| self.agents[*other].at == place && self.agents[*other].runs())
            .find(|_| asked);
        let other_site = self.agents[index].place.other == self.sites[place];
        if let Some(other) = answer.filter(|_| other_site && from != WITNESS) {
            let seen = self.agents[other]
                .look
                .as_ref()
                .map(|look| look.seen.applied);
            if let Some(applied) = seen.flatten() {
                self.note_applied(index, applied);
            }
        }
        let (site, at) = (self.sites[place], self.at);
        let agent = &mut self.agents[index];
        agent.note_probe(place, site, answer.is_some(), &self.policy.detection);
        if agent.observations.get(&site) == Some(&SiteHealth::Down) {
            agent.lost_at[place] = Some(at);
        }
    }

    fn note_applied(&mut self, index: usize, applied: tandem_core::database::Heartbeat) {
        let agent = &mut self.agents[index];
        if applied.site == agent.place.site {
            agent.exposure.handle_applied(applied);
        }
    }

    pub(crate) fn look(&mut self, index: usize, life: u16) {
        if !self.is_life(index, life) || self.agents[index].frozen > 0 {
            return;
        }
        let site = self.agents[index].at;
        if !self.databases[site].answers() {
            return;
        }
        let worker = self.feeds(site);
        let read = self.feeds(Self::other(site));
        let seen = self.databases[site].observe(self.at, worker, read);
        let agent = &mut self.agents[index];
        let now = agent.now(self.at);
        let disabled = seen.subscription.is_some_and(|found| !found.enabled);
        agent.done.disabled_since = if disabled {
            agent.done.disabled_since.or(Some(now))
        } else {
            None
        };
        agent.look = Some(Look { seen, arrived: now });
        agent.looked_at = Some(self.at);
        self.drive(index);
    }

    /// Whether changes of the other site flow into `site`'s database.
    pub(crate) fn feeds(&self, site: usize) -> bool {
        let source = Self::other(site);
        let relay = |agent: &&crate::agent::Agent| {
            agent.at == site && agent.runs() && agent.done.relay_open
        };
        let slot = self.databases[source].slot;
        self.databases[site].answers()
            && self.databases[source].answers()
            && slot.is_some_and(|slot| !slot.lost)
            && self.network.linked(site, source)
            && self.agents.iter().any(|agent| relay(&agent))
    }

    pub(crate) fn replicate(&mut self, site: usize) {
        let linked = self.feeds(site);
        let source = Self::other(site);
        let most = if self.troubles.slow_apply[site] > 0 {
            1
        } else {
            usize::MAX / 2
        };
        let from = self.sites[source];
        let (first, second) = self.databases.split_at_mut(1);
        let (target, source) = if site == 0 {
            (&mut first[0], &second[0])
        } else {
            (&mut second[0], &first[0])
        };
        if target.answers() {
            target.replicate(source, linked, from, most);
        }
        self.push(self.tempo.replicate, Event::Replicate { site: small(site) });
    }

    fn ask_promises(&mut self, index: usize, epoch: tandem_core::model::Epoch) {
        let site = self.agents[index].at;
        let peers = if site == 0 { [2, 3] } else { [0, 1] };
        let timeout = self.policy.authority.call_timeout();
        let now = self.agents[index].now(self.at);
        let names = &self.names;
        let Some(question) = self.agents[index].ask_promises(epoch, &peers, names, now, timeout)
        else {
            return;
        };
        let life = self.agents[index].life;
        for to in peers {
            let place = self.agents[to].at;
            let admitted = self.network.admits(index, place);
            let sent = self.network.send(site, place, &mut self.random);
            if let Some(delay) = sent.filter(|_| admitted) {
                let question = question.clone();
                let plea = Plea {
                    from: index,
                    life,
                    to,
                    question,
                    answer: None,
                };
                let slot = self.pleas.put(plea);
                self.push(delay, Event::Promise { slot });
            }
        }
    }

    pub(crate) fn plea(&mut self, slot: u16) {
        let (at, wall_ms) = (self.at, self.wall_ms());
        let plea = self.pleas.at(slot).expect("one event a plea");
        let (from, to, life) = (plea.from, plea.to, plea.life);
        if let Some(answer) = plea.answer.clone() {
            if self.is_life(from, life) && self.agents[from].frozen > 0 {
                return self.push(STILL, Event::Promise { slot });
            }
            self.pleas.take(slot);
            return self.promised(from, life, &answer);
        }
        let target = &mut self.agents[to];
        if !target.alive {
            self.pleas.take(slot);
            return;
        }
        if target.frozen > 0 {
            return self.push(STILL, Event::Promise { slot });
        }
        let answer = target.promise(&plea.question, at, wall_ms);
        plea.answer = Some(answer);
        let (back, place) = (self.agents[from].at, self.agents[to].at);
        match self.network.send(place, back, &mut self.random) {
            Some(delay) => self.push(delay, Event::Promise { slot }),
            None => drop(self.pleas.take(slot)),
        }
    }

    fn promised(
        &mut self,
        from: usize,
        life: u16,
        answer: &tandem_core::authority::promise::Promise,
    ) {
        if !self.is_life(from, life) {
            return;
        }
        let now = self.agents[from].now(self.at);
        if self.agents[from].take_promise(answer, now) {
            self.reached.promises += 1;
            self.drive(from);
        }
    }

    pub(crate) fn database_delay(&mut self, site: usize) -> At {
        if self.troubles.slow_database[site] > 0 {
            return self.random.below(1500 * MS);
        }
        self.random.between(MS, 15 * MS)
    }
}

pub(crate) fn span(micros: At) -> core::time::Duration {
    core::time::Duration::from_micros(micros)
}

/// Longer than any wait of an agent for its database.
pub(crate) const STATEMENT_MAX: At = SECOND;
