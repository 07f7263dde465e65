//! The planner: what one agent does next, and why it does nothing.
//!
//! `plan` is a function of what was seen; it keeps nothing between calls. Agents
//! are level-triggered: each loop looks, plans and acts on its own site only, and
//! may crash at any point, because the next loop starts again from what is seen.
//!
//! Invariant (I4): a claim is planned only when every safety rule passes; doubt denies.
//! Refused: a state machine of our own. The state stands in the store's record and
//! in the database; a second copy in memory could only disagree with them.

mod intent;
mod matrix;
mod primary;
mod reason;
mod replica;
mod rules;
#[cfg(test)]
mod tests;
mod told;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::authority::{Authority, ExposureWatch, Record, Refusal};
use crate::config::{Mode, Policy};
use crate::database::{DatabaseSeen, Extent, SubscriptionSeen};
use crate::model::{Epoch, Lsn, Mono, Name, SiteId};

pub use intent::{
    BOOK_VERSION, Book, Intent, REASON_MAX, REQUEST_LIFE_MAX, REQUESTS_MAX, Request, RequestKind,
    StoredRequest, Unwritten,
};
pub use matrix::Class;
pub use reason::{Language, Reason};
pub use rules::{Rule, SafetyRule};
pub use told::{Told, remaining};

/// Where this agent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The agent's own site; the witness's name for its agent.
    pub site: SiteId,
    /// The other data site; for the witness, the preferred primary.
    pub other: SiteId,
    /// The third place.
    pub witness: SiteId,
}

/// An agent that the policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its site; the witness's name for its agent.
    pub site: SiteId,
    /// Its name.
    pub name: Name,
}

/// Whether an observer reaches a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteHealth {
    /// Not probed often enough to say.
    #[default]
    Unknown,
    /// Answers.
    Up,
    /// Failed `detection.failures` probes in a row.
    Down,
}

/// What an agent publishes about itself and what it sees, every renewal period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The agent.
    pub agent: String,
    /// Its site.
    pub site: SiteId,
    /// Rises with each publication: a reader knows by it that the agent lives.
    pub counter: u64,
    /// What the agent sees of the other places.
    pub observations: BTreeMap<SiteId, SiteHealth>,
    /// Its last good look at its own database; absent if there was none since its start.
    pub database: Option<DatabaseSeen>,
    /// Whether the database answered when this was published.
    pub database_reachable: bool,
    /// The newest version of the record that this build reads. A build that does not say reads 1.
    #[serde(default = "oldest_version")]
    pub reads_version: u32,
    /// The change that is under way here, for the people who watch it.
    #[serde(default)]
    pub plan: Option<Running>,
}

fn oldest_version() -> u32 {
    1
}

/// A change of the right to write that is under way at one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// What is being done.
    pub work: Work,
    /// The code of the step's reason, `TDM-1107`.
    pub step: Name,
    /// How long the agent has been at this step, in milliseconds.
    pub since_ms: u64,
}

/// A change of the right to write that takes more than one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Taking over from a lost site.
    Failover,
    /// Handing the right over, losing nothing.
    Switchover,
    /// Taking back a right that the other site could not use.
    Reclaim,
}

/// Another agent's status, and when this agent last saw it change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it published.
    pub status: AgentStatus,
    /// Arrival of the reading that first showed this `counter`.
    pub changed: Mono,
}

/// A look at the own database and when it arrived; absent when it could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What was seen.
    pub seen: DatabaseSeen,
    /// When the answer arrived.
    pub arrived: Mono,
}

/// What this agent has already done on its own site, as far as it remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// The epoch and deadline that the guard was last armed with by this agent.
    pub armed: Option<(Epoch, Mono)>,
    /// When this agent last sent a heartbeat.
    pub beat: Option<Mono>,
    /// The relay lets replication through.
    pub relay_open: bool,
    /// Since when this agent has seen the subscription disabled; absent while it is enabled.
    pub disabled_since: Option<Mono>,
    /// The epoch for which this agent knows the guard as closed for good.
    pub closed: Option<Epoch>,
    /// The epoch for which this agent saw no application session *after* it had closed the guard.
    pub emptied: Option<Epoch>,
    /// The heartbeat that this agent sent after everything of its epoch had ended.
    pub barrier: Option<(Epoch, u64)>,
}

/// The end of the other database's log, read from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherEnd {
    /// The end of its log.
    pub end: Lsn,
    /// The clock before asking.
    pub asked: Mono,
}

/// Everything that was seen. Nothing in it is a decision.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Where this agent stands.
    pub place: Place,
    /// The right to write, as this agent knows it.
    pub authority: &'a Authority,
    /// Why the last reading of the store was not believed, if it was not.
    pub refusal: Option<&'a Refusal>,
    /// The heartbeats that this agent sent.
    pub exposure: &'a ExposureWatch,
    /// The own database.
    pub database: Option<&'a Look>,
    /// This agent's own probes.
    pub observations: &'a BTreeMap<SiteId, SiteHealth>,
    /// All other agents.
    pub peers: &'a [Peer],
    /// This agent's own name.
    pub agent: &'a str,
    /// Every agent that the policy names.
    pub roster: &'a [Member],
    /// What the edge says about the sites, if it could be asked: shown, never counted for a
    /// promotion, since it may be more than a minute late.
    pub edge: Option<&'a BTreeMap<SiteId, SiteHealth>>,
    /// The end of the other site's log, if its database could be asked from here.
    pub other_end: Option<OtherEnd>,
    /// What was done already.
    pub done: Done,
}

impl<'a> Seen<'a> {
    /// The own database, if it was reached within three seconds (observation itself is bounded).
    pub(crate) fn database_now(&self, now: Mono) -> Option<&'a DatabaseSeen> {
        const LOOK_MAX: Duration = Duration::from_secs(3);
        self.database
            .filter(|look| now.since(look.arrived) <= LOOK_MAX)
            .map(|look| &look.seen)
    }

    /// What an agent of `site` that is alive published last; the newest if there are two.
    pub(crate) fn peer_at(
        &self,
        site: SiteId,
        now: Mono,
        renew: Duration,
    ) -> Option<&'a AgentStatus> {
        let alive = |peer: &&Peer| peer.status.site == site && now.since(peer.changed) <= renew * 3;
        self.peers
            .iter()
            .filter(alive)
            .max_by_key(|peer| peer.changed)
            .map(|peer| &peer.status)
    }

    /// What `site`'s agents published last, alive or not.
    pub(crate) fn last_database_of(&self, site: SiteId) -> Option<&'a DatabaseSeen> {
        let of_site = self.peers.iter().filter(|peer| peer.status.site == site);
        let with = of_site.filter(|peer| peer.status.database.is_some());
        with.max_by_key(|peer| peer.changed)
            .and_then(|peer| peer.status.database.as_ref())
    }
}

/// One effect, on the agent's own site only. Each is safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Replace the record, comparing `revision` and the exact value that was read.
    Write {
        /// The revision that was read.
        revision: u64,
        /// The new value.
        record: Record,
        /// What for.
        purpose: Purpose,
    },
    /// Let replication through the relay and enable the subscription.
    Receive {
        /// The epoch that this agent knows; a preparation for a newer one is left alone.
        epoch: Epoch,
    },
    /// Cut the relay, then disable the subscription, so that nothing arrives late.
    StopReceiving,
    /// Record the boundary, advance sequences, make the reverse publication and slot.
    Prepare {
        /// The claimed epoch.
        epoch: Epoch,
        /// The lost primary.
        from: SiteId,
    },
    /// Make this old primary a replica of the site that is open.
    Reinstate {
        /// The epoch in which the other site is open.
        epoch: Epoch,
        /// How far its rows may be changed.
        extent: Extent,
    },
    /// Keep what the other site had acknowledged and this one never got.
    Collect,
    /// Remove the rows of a ledger that was kept for as long as it may be.
    EraseLedger {
        /// The ledger's name.
        epoch: Epoch,
    },
    /// Let application writes pass the in-database guard until `deadline`.
    ArmGuard {
        /// The epoch to arm for.
        epoch: Epoch,
        /// Boot time of this agent, to be translated into the database's clock.
        deadline: Mono,
    },
    /// Close the in-database guard now.
    CloseGuard {
        /// The epoch that this agent knows; a newer one is left alone.
        epoch: Epoch,
    },
    /// Write a heartbeat row.
    Beat {
        /// The epoch it is written in.
        epoch: Epoch,
    },

    /// End every session of the application role that is in a transaction, and note when none is
    /// left; only after the guard was closed.
    EndSessions {
        /// The epoch whose sessions end.
        epoch: Epoch,
    },
    /// Write the last heartbeat of an epoch whose guard is closed and whose sessions have ended,
    /// and note its number.
    Barrier {
        /// The epoch that ends.
        epoch: Epoch,
    },
    /// Ask every agent of the other site to promise not to take over (the store does not answer).
    AskPromises {
        /// The epoch in which this site is open.
        epoch: Epoch,
    },
    /// Ask the other site's database for the end of its log.
    AskOtherEnd,
    /// Ask the store to make the witness's member its leader.
    LeadAtWitness,
}

/// What a write of the record is for; printed in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Keep the right.
    Renew,
    /// Take over the other site's ended right, automatically.
    Claim,
    /// Take over the other site's ended right, because a named person asked or approved.
    ClaimRequested,
    /// Take over from a source that has fenced itself.
    TakeFenced,
    /// Take back the own right that ended.
    Reclaim,
    /// Open for writes.
    Open,
    /// Go on without the peer.
    Unbound,
    /// Start the way back to a bounded exposure.
    Return,
    /// Bounded again.
    Bound,
    /// Begin the source's half of a switchover.
    Switch,
    /// End the source's half of a switchover.
    Fence,
}

impl Purpose {
    /// Whether the transaction must also compare this agent's incarnation key, so that a
    /// forgotten twin of its name can neither claim nor open (design section 4, rule 9).
    pub fn compares_incarnation(self) -> bool {
        matches!(
            self,
            Self::Claim | Self::ClaimRequested | Self::TakeFenced | Self::Reclaim | Self::Open
        )
    }
}

/// What to do next, in order. Immutable; names the epoch it was made in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The epoch that was present when the plan was made.
    pub epoch: Epoch,
    /// The effects, in order; a failed one ends the plan, the next loop plans anew.
    pub actions: Vec<Action>,
}

/// Why something or nothing happens at this site, in one coded sentence, with the safety
/// rules that were asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The site that reports.
    pub site: SiteId,
    /// The epoch that it knows.
    pub epoch: Epoch,
    /// The one reason.
    pub reason: Reason,
    /// Every safety rule that was asked, in order.
    pub rules: Vec<Rule>,
    /// What the observers together say about the site that holds the right.
    #[serde(default)]
    pub class: Class,
    /// In mode `observe`: what would have been done.
    #[serde(default)]
    pub would: Option<Would>,
}

/// What mode `observe` would have done, were it `automatic`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Would {
    /// The reason it would have reported.
    pub reason: Reason,
    /// Whether it would have done anything but report.
    pub acts: bool,
    /// How long writes would have stopped at most, in milliseconds, if the holder were lost now.
    pub rto_ms: u64,
    /// The acknowledged work that could have been lost, in milliseconds; absent while nothing
    /// bounds it, since no gate holds writes to the bound.
    pub rpo_ms: Option<u64>,
}

/// SQL of a promotion, measured at about 0.1 s, with room for a busy server.
const PROMOTION: Duration = Duration::from_millis(300);

/// Decides what this agent does next, and says why.
pub fn plan(policy: &Policy, intent: &Intent, seen: &Seen<'_>, now: Mono) -> (Plan, Report) {
    let mut draft = Draft::new(seen);
    let mut reason = decide(policy, intent, seen, now, &mut draft);
    let mut would = None;
    if policy.mode == Mode::Observe
        && let Some((record, _)) = seen.authority.present()
    {
        would = Some(expectation(policy, seen, reason, &draft.plan));
        draft.plan.actions.clear();
        reason = Reason::ObserveOnly { site: record.site };
    }
    let Draft { plan, rules, class } = draft;
    let report = Report {
        site: seen.place.site,
        epoch: plan.epoch,
        reason,
        rules,
        class,
        would,
    };
    (plan, report)
}

/// What `observe` says instead of acting.
fn expectation(policy: &Policy, seen: &Seen<'_>, reason: Reason, plan: &Plan) -> Would {
    let wait = seen
        .authority
        .expiry_left()
        .unwrap_or(policy.authority.ttl());
    Would {
        reason,
        acts: !plan.actions.is_empty(),
        rto_ms: millis(wait + PROMOTION),
        rpo_ms: None,
    }
}

/// A plan in the making.
pub(crate) struct Draft {
    plan: Plan,
    rules: Vec<Rule>,
    class: Class,
}

impl Draft {
    fn new(seen: &Seen<'_>) -> Self {
        let epoch = seen
            .authority
            .present()
            .map(|(record, _)| record.epoch)
            .unwrap_or_default();
        Self {
            plan: Plan {
                epoch,
                actions: Vec::new(),
            },
            rules: Vec::new(),
            class: Class::Unknown,
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    pub(crate) fn ask(&mut self, rules: Vec<Rule>) {
        self.rules = rules;
    }
}

fn decide(
    policy: &Policy,
    intent: &Intent,
    seen: &Seen<'_>,
    now: Mono,
    draft: &mut Draft,
) -> Reason {
    // What was armed before expires by itself; a store that is not believed orders nothing.
    if let Some(refusal) = seen.refusal {
        return Reason::StoreRefused {
            refusal: alloc::format!("{refusal}"),
        };
    }
    let Some((record, revision)) = seen.authority.present() else {
        return Reason::StoreNotRead {};
    };
    let place = seen.place;
    let sites = (record.site, replica_of(seen, record.site));
    draft.class = matrix::classify(policy, seen, sites, now);
    if place.site == place.witness {
        draft.act(Action::LeadAtWitness);
        return Reason::WitnessWatches {
            site: record.site,
            epoch: record.epoch,
        };
    }
    let context = Context {
        // `observe` decides as `automatic` would, and does nothing of it.
        automatic: policy.mode != Mode::Confirm,
        class: draft.class,
        policy,
        intent,
        seen,
        now,
        record,
        revision,
    };
    let reason = if record.site == seen.place.site {
        primary::decide(&context, draft)
    } else {
        close_old_guard(seen, now, draft);
        replica::decide(&context, draft)
    };
    erase_expired_ledger(seen, now, draft);
    reason
}

/// The data site that does not hold the right. The witness finds it in the roster.
fn replica_of(seen: &Seen<'_>, holder: SiteId) -> SiteId {
    let place = seen.place;
    let mut data_sites = seen.roster.iter().map(|member| member.site);
    match place.site {
        site if site == holder => place.other,
        site if site != place.witness => site,
        _ => data_sites
            .find(|site| *site != holder && *site != place.witness)
            .unwrap_or(place.other),
    }
}

/// A site without the right closes what an earlier epoch left open.
///
/// Closing is for good in its epoch, so only a guard of an epoch *before* the one that is read
/// is closed. A guard of the same or a later one means that the sibling agent has just opened
/// this site and the present reading is behind it.
fn close_old_guard(seen: &Seen<'_>, now: Mono, draft: &mut Draft) {
    let epoch = draft.plan.epoch;
    let guard = seen.database_now(now).and_then(|database| database.guard);
    if guard.is_some_and(|guard| guard.remaining_ms > 0 && guard.epoch < epoch) {
        draft.act(Action::CloseGuard { epoch });
    }
}

/// A ledger stands where it was written, whichever site may write now. Last, since an action that
/// fails holds back those behind it.
fn erase_expired_ledger(seen: &Seen<'_>, now: Mono, draft: &mut Draft) {
    let database = seen.database_now(now);
    if let Some(epoch) = database.and_then(|found| found.ledger_expired) {
        draft.act(Action::EraseLedger { epoch });
    }
}

/// What the deciding functions look at.
pub(crate) struct Context<'a> {
    automatic: bool,
    class: Class,
    policy: &'a Policy,
    intent: &'a Intent,
    seen: &'a Seen<'a>,
    now: Mono,
    record: &'a Record,
    revision: u64,
}

impl<'a> Context<'a> {
    fn own(&self) -> SiteId {
        self.seen.place.site
    }

    /// What a person asked for that gives the right to this site.
    fn takeover(&self) -> Option<&'a Request> {
        let request = self.intent.move_out_of(self.record.epoch)?;
        (request.kind.target() == Some(self.own()) && self.record.site != self.own())
            .then_some(request)
    }

    /// The takeover that a person asked for whatever the holder does.
    fn forced(&self) -> Option<&'a Request> {
        self.takeover()
            .filter(|request| matches!(request.kind, RequestKind::Failover { .. }))
    }

    fn is_approved(&self) -> bool {
        self.intent.is_approved(self.record.epoch)
    }

    fn subscription(&self) -> Option<SubscriptionSeen> {
        self.seen.database_now(self.now)?.subscription
    }

    /// The newest heartbeat of the present epoch's holder that is applied here.
    fn applied(&self) -> Option<u64> {
        let heartbeat = self.seen.database_now(self.now)?.applied?;
        let of_holder = (heartbeat.site, heartbeat.epoch) == (self.record.site, self.record.epoch);
        of_holder.then_some(heartbeat.seq)
    }

    fn write(&self, record: Record, purpose: Purpose) -> Action {
        Action::Write {
            revision: self.revision,
            record,
            purpose,
        }
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
