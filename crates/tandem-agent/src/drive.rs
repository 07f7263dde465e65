//! The planning loop: look at what was seen, plan, hand out, report.
//!
//! It waits for nothing but its timer and "something changed": looking and acting happen in
//! other tasks, each with a time-out, so that a renewal never stands behind a frozen
//! database. It keeps nothing between two rounds except what it logged last.
//! Invariant: the relay obeys the newest plan at once, before any SQL of the same plan.

use std::sync::Arc;
use std::time::Duration;

use tandem_core::planner::{Action, Language, Plan, Report, Rule};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::act::Hand;
use crate::journal::Journal;
use crate::leader::Lead;
use crate::observe::OtherLook;
use crate::promise::Asker;
use crate::right::Order;
use crate::state::Shared;

/// The longest pause between two plans; deadlines are then at most this much late.
const ROUND: Duration = Duration::from_millis(100);

/// The shortest pause, whatever changes.
const BREATH: Duration = Duration::from_millis(10);

/// Where effects go.
pub(crate) struct Hands {
    /// Changes of the record.
    pub(crate) right: mpsc::Sender<Order>,
    /// Short, long and patient effects on the database; absent at the witness.
    pub(crate) database: Option<[Hand; 3]>,
    /// Promises of the other site's agents.
    pub(crate) asker: Asker,
    /// The end of the other database's log.
    pub(crate) other: OtherLook,
    /// The store's leader, kept at the witness.
    pub(crate) lead: Lead,
}

/// The loop's own state.
pub(crate) struct Drive {
    shared: Arc<Shared>,
    hands: Hands,
    journal: Journal,
    said: Option<(&'static str, u64, Vec<Rule>)>,
}

impl Drive {
    pub(crate) fn new(shared: Arc<Shared>, hands: Hands, journal: Journal) -> Self {
        Self {
            shared,
            hands,
            journal,
            said: None,
        }
    }

    /// Plans until the task is dropped.
    pub(crate) async fn run(mut self) {
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = rounds.tick() => {}
                () = self.shared.changed.notified() => {}
            }
            let (plan, report) = self.shared.plan();
            self.say(&report);
            self.shared.note_report(report);
            self.shared.rounds.send_replace(());
            self.hand_out(plan).await;
            sleep(BREATH).await;
        }
    }

    async fn hand_out(&self, plan: Plan) {
        let (mut short, mut long, mut patient) = (Vec::new(), Vec::new(), Vec::new());
        for action in plan.actions {
            match action {
                Action::Write {
                    revision,
                    record,
                    purpose,
                } => self.order(Order {
                    revision,
                    record,
                    purpose,
                }),
                Action::Beat { .. } | Action::ArmGuard { .. } | Action::CloseGuard { .. } => {
                    short.push(action);
                }
                Action::Receive { .. } | Action::StopReceiving | Action::Prepare { .. } => {
                    self.turn_relay(&action).await;
                    long.push(action);
                }
                Action::Reinstate { .. } => {
                    self.turn_relay(&action).await;
                    patient.push(action);
                }
                Action::Collect | Action::EraseLedger { .. } => patient.push(action),
                Action::LeadAtWitness => self.hands.lead.keep(),
                Action::EndSessions { .. } | Action::Barrier { .. } => long.push(action),
                Action::AskPromises { epoch } => self.hands.asker.ask(epoch),
                Action::AskOtherEnd => self.hands.other.ask(),
            }
        }
        if let Some(hands) = &self.hands.database {
            for (hand, actions) in hands.iter().zip([short, long, patient]) {
                hand.give(actions);
            }
        }
    }

    /// An order that finds the task busy is dropped: the next plan makes a fresh one.
    fn order(&self, order: Order) {
        if let Err(error) = self.hands.right.try_send(order) {
            tracing::trace!(%error, "the store's task is busy");
        }
    }

    async fn turn_relay(&self, action: &Action) {
        match action {
            Action::Receive { .. } | Action::Reinstate { .. } => self.shared.relay.open(),
            _ => self.shared.relay.cut().await,
        }
    }

    /// One sentence when the reason, the epoch or a safety rule changed; times move all the time.
    fn say(&mut self, report: &Report) {
        let now = (report.reason.code(), report.epoch.0, report.rules.clone());
        if self.said.as_ref() == Some(&now) {
            return;
        }
        let sentence = report.reason.sentence(Language::English);
        let failed = failed_rules(report);
        tracing::info!(code = now.0, epoch = now.1, failed, "{sentence}");
        let rules = if failed.is_empty() {
            failed
        } else {
            format!(" (failed: {failed})")
        };
        self.journal
            .write(report.epoch, format!("{} {sentence}{rules}", now.0));
        self.said = Some(now);
    }
}

/// The rules that stand in the way, by their stable names.
fn failed_rules(report: &Report) -> String {
    let failed = report.rules.iter().filter(|rule| !rule.passed);
    let names: Vec<_> = failed.map(|rule| format!("{:?}", rule.rule)).collect();
    names.join(" ")
}
