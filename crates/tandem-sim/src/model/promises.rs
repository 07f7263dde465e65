//! Questions for promises, from agent to agent, each delivered whenever it likes.

use tandem_core::authority::promise::{Promise, Question};
use tandem_core::model::Epoch;

use super::{Search, Small};
use crate::world::setup::WALL_START_MS;

/// A question that is under way, or its answer.
#[derive(Debug, Clone)]
pub(super) struct Plea {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) question: Question,
    pub(super) answer: Option<Promise>,
}

impl Small {
    /// Asks every agent of the other site. A question that was under way is lost.
    pub(super) fn ask_promises(&mut self, search: &Search, index: usize, epoch: Epoch) {
        let other = 1 - index / 2;
        let peers: Vec<usize> = (0..search.bounds.agents[other])
            .map(|n| other * 2 + n)
            .collect();
        let names = std::array::from_fn(|n| match self.agents.get(n) {
            Some(agent) => agent.name.clone(),
            None => "witness-1".into(),
        });
        let (now, timeout) = (self.now(index), search.policy.authority.call_timeout());
        let question = self.agents[index].ask_promises(epoch, &peers, &names, now, timeout);
        let Some(question) = question else {
            return;
        };
        self.pleas.retain(|plea| plea.from != index);
        self.pleas.extend(peers.into_iter().map(|to| Plea {
            from: index,
            to,
            question: question.clone(),
            answer: None,
        }));
    }

    /// A question arrives and is answered.
    pub(super) fn plea(&mut self, number: usize) {
        let (at, to) = (self.at, self.pleas[number].to);
        let question = self.pleas[number].question.clone();
        let answer = self.agents[to].promise(&question, at, WALL_START_MS);
        if answer.granted {
            self.pleas[number].answer = Some(answer);
        } else {
            self.pleas.remove(number);
        }
    }

    /// An answer arrives.
    pub(super) fn promise(&mut self, search: &Search, number: usize) {
        let plea = self.pleas.remove(number);
        let now = self.now(plea.from);
        let answer = plea.answer.expect("it was answered");
        if self.agents[plea.from].take_promise(&answer, now) {
            self.promised = true;
            self.drive(search, plea.from);
        }
    }
}
