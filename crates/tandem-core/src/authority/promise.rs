//! Going on without the store: promises of the peer site's agents.
//!
//! Intuition: when the notary is ill, the neighbours may still agree for a few seconds. The
//! holder asks *every* agent of the other site, by name, not to take over for a ttl; only if all
//! of them agree does it go on, counted from before it asked (design section 4, rule 9).
//!
//! Invariant: whoever promised neither claims nor opens for a ttl, and whoever may have forgotten
//! a promise (a restart) neither claims nor opens nor promises for a ttl either.
//! Refused: the witness's promise. It never promotes, so its word would bind nobody.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Identity;
use crate::model::{Epoch, Mono, Name, SiteId};

/// `POST /v1/promise`: the holder asks one agent of the other site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Rises with each round of questions of this asker.
    pub question: u64,
    /// The store that both must know.
    pub identity: Identity,
    /// The site that wants to go on.
    pub site: SiteId,
    /// The epoch in which it is open.
    pub epoch: Epoch,
    /// The agent that asks.
    pub asker: Name,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The number of the question.
    pub question: u64,
    /// The agent that answers.
    pub agent: Name,
    /// Which life of that agent answers: the value of its key `incarnations/AGENT`, which its
    /// claims compare.
    pub incarnation: Name,
    /// Whether it promises neither to claim nor to open for a ttl.
    pub granted: bool,
    /// Why not.
    #[serde(default)]
    pub denial: Option<Denial>,
}

/// Why an agent promises nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// It may have forgotten what it did before its start (C7).
    #[error("the agent has not run for a ttl yet")]
    StartedLately,
    /// It does not know the present record (C7).
    #[error("the agent has not read the store since its start")]
    StoreNotRead,
    /// A twin of the same name may act without having promised.
    #[error("the agent has not registered its incarnation")]
    NotRegistered,
    /// The question speaks of another life of the store.
    #[error("the question comes from another cluster or another life of its store")]
    Stranger,
    /// The epoch has passed (C7).
    #[error("the agent knows a newer epoch")]
    OldEpoch,
    /// The record says that the epoch is being handed over (C8).
    #[error("the epoch is not open in the store")]
    NotOpen,
    /// Only the other site's promise means something.
    #[error("the agent's own site holds the right to write, or asks")]
    OwnSite,
    /// A named person asked this site to take over.
    #[error("a named person asked this site to take over")]
    TakeoverRequested,
}

/// One numbered round of questions to every agent of the other site.
///
/// Call order: a new round, `handle_promise` with every answer; when it answers true, the hold
/// counts from [`Round::sent`] (C5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    question: u64,
    epoch: Epoch,
    sent: Mono,
    missing: Vec<(Name, Name)>,
}

impl Round {
    /// A round that began at `sent`, the clock before asking. `asked` are the agents that the
    /// policy names at the other site, each with the incarnation that the store last showed:
    /// all of them, or the round proves nothing (C4).
    pub fn new(question: u64, epoch: Epoch, sent: Mono, asked: Vec<(Name, Name)>) -> Self {
        Self {
            question,
            epoch,
            sent,
            missing: asked,
        }
    }

    /// The clock before asking.
    pub fn sent(&self) -> Mono {
        self.sent
    }

    /// The epoch that was asked for.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number of the question.
    pub fn question(&self) -> u64 {
        self.question
    }

    /// How many promises are missing.
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Takes an answer; true when this one completed the round. An answer to another question,
    /// or of another life of the agent, counts for nothing.
    pub fn handle_promise(&mut self, promise: &Promise) -> bool {
        if !promise.granted || promise.question != self.question {
            return false;
        }
        let before = self.missing.len();
        self.missing.retain(|(agent, incarnation)| {
            *agent != promise.agent || *incarnation != promise.incarnation
        });
        before > 0 && self.missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn promise(question: u64, agent: &str, incarnation: &str, granted: bool) -> Promise {
        Promise {
            question,
            agent: agent.into(),
            incarnation: incarnation.into(),
            granted,
            denial: None,
        }
    }

    fn round() -> Round {
        let asked = vec![("gcp-1".into(), "a".into()), ("gcp-2".into(), "b".into())];
        Round::new(7, Epoch(3), Mono(100), asked)
    }

    /// C4: one agent of two has promised; the other one may claim.
    #[test]
    fn every_named_agent_must_have_promised() {
        let mut round = round();
        assert!(!round.handle_promise(&promise(7, "gcp-1", "a", true)));
        assert!(!round.handle_promise(&promise(7, "gcp-1", "a", true)));
        assert!(!round.handle_promise(&promise(7, "gcp-2", "b", false)));
        assert!(round.handle_promise(&promise(7, "gcp-2", "b", true)));
        assert!(!round.handle_promise(&promise(7, "gcp-2", "b", true)));
    }

    /// C5: a late answer to an earlier question must not count from a later sending.
    #[test]
    fn only_the_numbered_question_counts() {
        let mut round = round();
        round.handle_promise(&promise(7, "gcp-1", "a", true));
        assert!(!round.handle_promise(&promise(6, "gcp-2", "b", true)));
        assert_eq!(round.sent(), Mono(100));
    }

    #[test]
    fn a_forgotten_twin_does_not_count() {
        let mut round = round();
        round.handle_promise(&promise(7, "gcp-1", "a", true));
        assert!(!round.handle_promise(&promise(7, "gcp-2", "an older life", true)));
    }

    #[test]
    fn nobody_to_ask_proves_nothing() {
        let mut round = Round::new(7, Epoch(3), Mono(100), Vec::new());
        assert!(!round.handle_promise(&promise(7, "gcp-1", "a", true)));
    }
}
