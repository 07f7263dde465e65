//! Effects on the databases: two hands an agent, and a server that may be slow or stopped.

use tandem_core::model::{Epoch, Mono};
use tandem_core::planner::{Action, OtherEnd};

use super::rounds::{STATEMENT_MAX, STILL};
use super::{Step, Waiting, World, small};
use crate::clock::MS;
use crate::database::SqlError;
use crate::event::Event;

/// After a failure a hand rests.
const REST: u64 = 200 * MS;

impl World {
    /// Gives a hand something to do, unless it is busy.
    pub(crate) fn give(&mut self, index: usize, hand: usize, actions: Vec<Action>) {
        if actions.is_empty() || self.agents[index].hands[hand].busy {
            return;
        }
        let now = self.agents[index].now(self.at);
        let slot = &mut self.agents[index].hands[hand];
        slot.actions = actions;
        slot.next = 0;
        slot.sent = now;
        slot.busy = true;
        let delay = self.effect_delay(index, hand);
        self.push_hand(index, hand, delay);
    }

    fn push_hand(&mut self, index: usize, hand: usize, delay: u64) {
        let life = self.agents[index].life;
        let event = Event::Hand {
            agent: small(index),
            life,
            hand: small(hand),
        };
        self.push(delay, event);
    }

    fn effect_delay(&mut self, index: usize, hand: usize) -> u64 {
        let site = self.agents[index].at;
        self.database_delay(site) * (1 + 3 * hand as u64)
    }

    pub(crate) fn hand(&mut self, index: usize, life: u16, hand: usize) {
        if !self.is_life(index, life) {
            return;
        }
        if self.agents[index].frozen > 0 {
            return self.push_hand(index, hand, STILL);
        }
        let slot = &self.agents[index].hands[hand];
        let Some(action) = slot.actions.get(slot.next).cloned() else {
            self.agents[index].hands[hand].busy = false;
            return self.drive(index);
        };
        let sent = slot.sent;
        match self.effect(index, &action, sent) {
            Ok(()) => self.next_effect(index, hand),
            Err(_) => {
                self.agents[index].hands[hand].actions.clear();
                self.agents[index].hands[hand].next = 0;
                let site = self.agents[index].at;
                let frozen = self.databases[site].frozen > 0;
                let wait = if frozen { STATEMENT_MAX } else { 0 };
                self.push_hand(index, hand, REST + wait);
            }
        }
    }

    fn next_effect(&mut self, index: usize, hand: usize) {
        let now = self.agents[index].now(self.at);
        let slot = &mut self.agents[index].hands[hand];
        slot.next += 1;
        slot.sent = now;
        if slot.next < slot.actions.len() {
            let delay = self.effect_delay(index, hand);
            return self.push_hand(index, hand, delay);
        }
        slot.busy = false;
        if hand == 1 {
            let life = self.agents[index].life;
            self.push(
                5 * MS,
                Event::Look {
                    agent: small(index),
                    life,
                },
            );
        }
    }

    fn effect(&mut self, index: usize, action: &Action, sent: Mono) -> Result<(), SqlError> {
        let site = self.agents[index].at;
        let now = self.agents[index].now(self.at);
        let ends = match action {
            Action::ArmGuard { deadline, .. } => self.databases[site]
                .clock
                .now(self.at)
                .after(now.until(*deadline)),
            _ => Mono(0),
        };
        if let Action::CloseGuard { .. } = action {
            self.agents[index].done.armed = None;
        }
        if !self.databases[site].answers() {
            if self.databases[site].alive && self.random.chance(500) {
                let action = action.clone();
                self.waiting.push(Waiting { site, action, ends });
            }
            return Err(SqlError::Refused);
        }
        let number = self.statement(site, action, ends)?;
        self.did(index, action, number, sent);
        Ok(())
    }

    /// What a statement does in the database of `site`.
    pub(crate) fn statement(
        &mut self,
        site: usize,
        action: &Action,
        ends: Mono,
    ) -> Result<u64, SqlError> {
        if let Action::Reinstate { epoch, .. } = action {
            return self.reattach(site, *epoch);
        }
        let before = self.databases[site].lease;
        let number = self.databases[site].carry_out(action, self.sites[site], ends)?;
        match action {
            Action::ArmGuard { .. } => self.judge_arming(site, before),
            Action::EndSessions { .. } => return self.end_sessions(site),
            _ => {}
        }
        Ok(number)
    }

    /// An old primary that lost nothing follows again, if it reaches the survivor.
    fn reattach(&mut self, site: usize, epoch: Epoch) -> Result<u64, SqlError> {
        let other = Self::other(site);
        if !self.network.linked(site, other) || !self.databases[other].answers() {
            return Err(SqlError::Refused);
        }
        let (first, second) = self.databases.split_at_mut(1);
        let (own, survivor) = if site == 0 {
            (&mut first[0], &second[0])
        } else {
            (&mut second[0], &first[0])
        };
        own.follow(survivor, epoch, self.at)?;
        self.reached.reattached += 1;
        Ok(0)
    }

    /// Signals every application session; an error while one is left, so that the next plan
    /// asks again.
    fn end_sessions(&mut self, site: usize) -> Result<u64, SqlError> {
        let open = std::mem::take(&mut self.open[site]);
        if open.is_empty() {
            return Ok(0);
        }
        for write in open {
            // Signalled first, over a moment later: some are just committing.
            if self.random.chance(700) {
                self.writes[write as usize].step = Step::Done;
            } else {
                self.open[site].push(write);
            }
        }
        Err(SqlError::Refused)
    }

    /// What the agent remembers of an effect.
    fn did(&mut self, index: usize, action: &Action, number: u64, sent: Mono) {
        let site = self.agents[index].at;
        let now = self.agents[index].now(self.at);
        self.agents[index].did(action, number, sent, now);
        if *action == Action::AskOtherEnd {
            self.ask_other_end(index, site, sent);
        }
        // What is repeated all the time tells nothing.
        if !matches!(
            action,
            Action::Beat { .. } | Action::ArmGuard { .. } | Action::AskOtherEnd
        ) {
            self.note(
                |world| world.names[index].to_string(),
                |_| format!("did: {}", shown(action)),
            );
        }
    }

    fn ask_other_end(&mut self, index: usize, site: usize, asked: Mono) {
        let other = Self::other(site);
        if self.network.linked(site, other) && self.databases[other].answers() {
            let end = tandem_core::model::Lsn(self.databases[other].log.len() as u64);
            self.agents[index].other_end = Some(OtherEnd { end, asked });
        }
    }

    /// What waited in a stopped server takes effect when it goes on.
    pub(crate) fn thaw(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for statement in waiting {
            if self.databases[statement.site].frozen > 0 {
                self.waiting.push(statement);
            } else if self.databases[statement.site].alive {
                // Nobody waits for the answer any more.
                let _ = self.statement(statement.site, &statement.action, statement.ends);
            }
        }
    }
}

fn shown(action: &Action) -> String {
    let epoch = |epoch: &Epoch| format!("(epoch {epoch})");
    match action {
        Action::CloseGuard { epoch: of } => format!("close the guard {}", epoch(of)),
        Action::EndSessions { epoch: of } => format!("no session is left {}", epoch(of)),
        Action::Barrier { epoch: of } => format!("the last heartbeat {}", epoch(of)),
        Action::Prepare { epoch: of, .. } => format!("prepare for opening {}", epoch(of)),
        Action::Receive { .. } => "receive".into(),
        Action::Reinstate { epoch: of, .. } => format!("follows again {}", epoch(of)),
        Action::StopReceiving => "stop receiving".into(),
        other => format!("{other:?}"),
    }
}
