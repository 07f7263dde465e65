//! Failsafe: asking the other site's agents for promises, and giving one.
//!
//! Only while the store is silent (design section 4, rule 9). The core decides what a promise
//! means; here a question becomes one `POST /v1/promise` to every agent of the other site, all at
//! once, and the round counts from the clock before the first was sent.
//! Invariant: a promise is given under the same lock under which claims are planned and sent.

use std::sync::Arc;

use axum::extract::State as Extracted;
use axum::routing::post;
use axum::{Json, Router};
use tandem_core::authority::promise::{Promise, Question, Round};
use tandem_core::model::{Epoch, Name};
use tandem_tls::{AskError, Peer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock;
use crate::state::Shared;

/// The route that agents of the other site ask.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/promise", post(answer))
        .with_state(shared)
}

async fn answer(
    Extracted(shared): Extracted<Arc<Shared>>,
    Json(question): Json<Question>,
) -> Json<Promise> {
    Json(shared.answer(&question))
}

/// Where the planning loop asks for promises.
pub(crate) struct Asker {
    rounds: mpsc::Sender<Epoch>,
}

impl Asker {
    /// An asker and the task behind it.
    pub(crate) fn new(shared: Arc<Shared>, agents: Vec<Peer>) -> (Self, Rounds) {
        let (rounds, waiting) = mpsc::channel(1);
        let task = Rounds {
            shared,
            agents,
            waiting,
            number: 0,
            told: false,
        };
        (Self { rounds }, task)
    }

    /// Asks for `epoch`, unless a round is under way.
    pub(crate) fn ask(&self, epoch: Epoch) {
        if let Err(error) = self.rounds.try_send(epoch) {
            tracing::trace!(%error, "a round of questions is under way");
        }
    }
}

/// The task behind an [`Asker`]: one round at a time.
pub(crate) struct Rounds {
    shared: Arc<Shared>,
    agents: Vec<Peer>,
    waiting: mpsc::Receiver<Epoch>,
    number: u64,
    told: bool,
}

impl Rounds {
    /// Asks until the asker is gone.
    pub(crate) async fn run(mut self) {
        let timing = self.shared.config.policy.authority;
        while let Some(epoch) = self.waiting.recv().await {
            let kept = self.round(epoch).await;
            if kept != self.told {
                tracing::info!(%epoch, kept, "the store is silent; promises of the other site");
                self.told = kept;
            }
            tokio::time::sleep(timing.renew() / 2).await;
        }
    }

    /// One numbered round; true if every agent of the other site promised.
    async fn round(&mut self, epoch: Epoch) -> bool {
        self.number += 1;
        let Some((question, asked)) = self.shared.question(self.number, epoch) else {
            return false;
        };
        let sent = clock::now();
        let mut round = Round::new(self.number, epoch, sent, asked);
        let mut answers = self.send(&question);
        while let Some(answer) = answers.join_next().await {
            let Ok(Ok(promise)) = answer else { continue };
            if round.handle_promise(&promise) {
                let goes_on = self.shared.state().authority.handle_promised(sent, epoch);
                self.shared.changed.notify_one();
                return goes_on;
            }
        }
        false
    }

    fn send(&self, question: &Question) -> JoinSet<Result<Promise, AskError>> {
        let mut answers = JoinSet::new();
        for agent in &self.agents {
            let (agent, question) = (agent.clone(), question.clone());
            answers.spawn(async move {
                let answer = agent.post("/v1/promise", None, &question).await?;
                answer.json()
            });
        }
        answers
    }
}

impl Shared {
    /// Answers another agent, bound by the answer from the moment it is given.
    fn answer(&self, question: &Question) -> Promise {
        let now = clock::now();
        let mut state = self.state();
        let own = self.place.site;
        let requests = state.intent();
        let takeover = requests.move_out_of(question.epoch);
        let taking_over = takeover.is_some_and(|request| request.kind.target() == Some(own));
        let registered = state.registered;
        let answer = state
            .authority
            .handle_question(now, question, registered, taking_over);
        tracing::debug!(asker = %question.asker, epoch = %question.epoch, ?answer, "asked for a promise");
        Promise {
            question: question.question,
            agent: self.name.as_str().into(),
            incarnation: state.incarnation.clone(),
            granted: answer.is_ok(),
            denial: answer.err(),
        }
    }

    /// The question, and every agent that must answer it. Nothing while one of them never
    /// registered, or nothing was read since the start.
    fn question(&self, number: u64, epoch: Epoch) -> Option<(Question, Vec<(Name, Name)>)> {
        let state = self.state();
        let question = Question {
            question: number,
            identity: state.authority.present()?.0.identity.clone(),
            site: self.place.site,
            epoch,
            asker: self.name.as_str().into(),
        };
        let members = self.roster.iter();
        let asked = members
            .filter(|member| member.site == self.place.other)
            .map(|member| {
                let life = state.incarnations.get(&*member.name)?;
                Some((member.name.clone(), life.clone()))
            })
            .collect::<Option<Vec<_>>>()?;
        Some((question, asked))
    }
}
