//! Effects on the own database, away from the planning loop.
//!
//! Three hands, each with at most one list of effects in it: one for what takes milliseconds
//! (heartbeat, guard), one for what may take seconds (stop, prepare, receive), one for what may
//! take minutes (ledger, reinstate). A hand that is busy is given nothing: the next plan is made
//! from what is seen then, so that no stale order waits in a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tandem_core::model::{Epoch, Mono};
use tandem_core::planner::Action;
use tokio::sync::mpsc;

use crate::clock;
use crate::database::{Database, DatabaseError};
use crate::journal::Journal;
use crate::right::chain;
use crate::state::{Counters, Shared, millis};

/// After a failure a hand rests, so that a database that refuses at once is not flooded.
const REST: Duration = Duration::from_millis(200);

/// One hand: a list of effects at a time, in order; a failed one drops the rest.
pub(crate) struct Hand {
    orders: mpsc::Sender<Vec<Action>>,
    busy: Arc<AtomicBool>,
}

impl Hand {
    /// A hand and the task that moves it.
    pub(crate) fn new(
        shared: Arc<Shared>,
        database: Arc<dyn Database>,
        journal: Journal,
    ) -> (Self, Worker) {
        let (orders, waiting) = mpsc::channel(1);
        let busy = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            shared,
            database,
            journal,
            waiting,
            busy: Arc::clone(&busy),
            trouble: None,
            told: None,
        };
        (Self { orders, busy }, worker)
    }

    /// Gives the hand something to do, unless it is busy.
    pub(crate) fn give(&self, actions: Vec<Action>) {
        if actions.is_empty() || self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.orders.try_send(actions).is_err() {
            self.busy.store(false, Ordering::Release);
        }
    }
}

/// The task behind a [`Hand`].
pub(crate) struct Worker {
    shared: Arc<Shared>,
    database: Arc<dyn Database>,
    journal: Journal,
    waiting: mpsc::Receiver<Vec<Action>>,
    busy: Arc<AtomicBool>,
    trouble: Option<String>,
    /// What was told last: effects are repeated until a look shows them, and told once.
    told: Option<(Epoch, &'static str)>,
}

impl Worker {
    /// Works until the hand is gone.
    pub(crate) async fn run(mut self) {
        while let Some(actions) = self.waiting.recv().await {
            let done = self.carry_out(&actions).await;
            if !done {
                tokio::time::sleep(REST).await;
            }
            self.busy.store(false, Ordering::Release);
            self.shared.changed.notify_one();
        }
    }

    async fn carry_out(&mut self, actions: &[Action]) -> bool {
        for action in actions {
            match self.act(action).await {
                Ok(()) => self.trouble = None,
                Err(error) => {
                    self.note_failure(action, &error);
                    return false;
                }
            }
        }
        true
    }

    async fn act(&mut self, action: &Action) -> Result<(), DatabaseError> {
        let started = clock::now();
        let known = self.shared.remaining().epoch;
        let epoch = match action {
            Action::Beat { epoch } => return self.beat(*epoch).await,
            Action::ArmGuard { epoch, deadline } => {
                self.database.arm_guard(*epoch, *deadline).await?;
                self.shared.state().armed = Some((*epoch, *deadline));
                *epoch
            }
            Action::CloseGuard { epoch } => {
                self.shared.state().armed = None;
                self.database.close_guard(*epoch).await?;
                self.shared.state().closed = Some(*epoch);
                *epoch
            }
            Action::EndSessions { epoch } => {
                let closed = self.shared.state().closed == Some(*epoch);
                let ended = self.database.end_sessions().await?;
                if closed && ended == 0 {
                    self.shared.state().emptied = Some(*epoch);
                }
                *epoch
            }
            Action::Barrier { epoch } => {
                let number = self.database.beat(*epoch).await?;
                self.shared.state().barrier = Some((*epoch, number));
                *epoch
            }
            Action::Prepare { epoch, from } => {
                self.database.prepare(*epoch, *from).await?;
                *epoch
            }
            Action::Receive { epoch } => {
                self.database.receive(*epoch).await?;
                *epoch
            }
            Action::Reinstate { epoch, extent } => {
                self.database.reinstate(*epoch, *extent).await?;
                *epoch
            }
            Action::Collect => self.database.collect().await.map(|()| known)?,
            Action::EraseLedger { epoch } => {
                self.database.erase_ledger(*epoch).await?;
                *epoch
            }
            Action::StopReceiving => self.database.stop_receiving().await.map(|()| known)?,
            Action::Write { .. }
            | Action::LeadAtWitness
            | Action::AskPromises { .. }
            | Action::AskOtherEnd => {
                unreachable!("the planning loop hands these to other tasks")
            }
        };
        self.tell(epoch, name(action), started);
        Ok(())
    }

    /// The clock is read before sending: the age of a heartbeat is never understated.
    async fn beat(&self, epoch: Epoch) -> Result<(), DatabaseError> {
        let sent = clock::now();
        self.shared.state().beat = Some(sent);
        let number = self.database.beat(epoch).await?;
        self.shared
            .state()
            .exposure
            .handle_sent(epoch, number, sent);
        Ok(())
    }

    /// Something was done that a look will show.
    fn tell(&mut self, epoch: Epoch, done: &'static str, started: Mono) {
        let news = self.told.replace((epoch, done)) != Some((epoch, done));
        if news {
            let took_ms = millis(clock::now().since(started));
            tracing::info!(%epoch, took_ms, "done: {done}");
            self.journal
                .write(epoch, format!("done in {took_ms} ms: {done}"));
            self.shared.look_again.notify_one();
        }
    }

    fn note_failure(&mut self, action: &Action, error: &DatabaseError) {
        if matches!(error, DatabaseError::Busy) {
            tracing::debug!(action = name(action), "left to the site's other agent");
            return;
        }
        Counters::count(&self.shared.counters.database_failures);
        let text = format!("{}: {}", name(action), chain(error));
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(trouble = text, "an effect on the database failed");
            self.trouble = Some(text);
        }
    }
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Write { .. } => "change the record",
        Action::Receive { .. } => "enable the subscription",
        Action::StopReceiving => "stop receiving",
        Action::Reinstate { .. } => "make this site a replica again",
        Action::Collect => "write the ledger of lost writes",
        Action::EraseLedger { .. } => "erase the rows of an old ledger",
        Action::Prepare { .. } => "prepare the database for opening",
        Action::ArmGuard { .. } => "arm the guard",
        Action::CloseGuard { .. } => "close the guard",
        Action::Beat { .. } => "send a heartbeat",
        Action::EndSessions { .. } => "end the applications' transactions",
        Action::Barrier { .. } => "send the last heartbeat",
        Action::AskPromises { .. } => "ask for promises",
        Action::AskOtherEnd => "ask for the end of the other log",
        Action::LeadAtWitness => "lead at the witness",
    }
}
