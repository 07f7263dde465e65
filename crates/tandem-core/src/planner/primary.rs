//! The site that the record names: keep the right, keep the promise of exposure.
//!
//! Order of effects: the record says `open` before guard and gate open; the guard is
//! armed before gates are told a remaining time; the exposure is changed in the record
//! before anybody acts on the new one.

use core::time::Duration;

use super::replica::HANDOVER_MAX;
use super::rules::{self, Rule, SafetyRule};
use super::{
    Action, Class, Context, Draft, Purpose, Reason, RequestKind, SiteHealth, matrix, millis,
};
use crate::authority::{Exposure, Fence, Phase, RECORD_VERSION};
use crate::database::DatabaseSeen;
use crate::model::Mono;

/// A claim that could not be prepared within this time is no longer renewed, so that
/// the other site may take its right back (I7: every plan ends).
const PREPARE_MAX: Duration = Duration::from_secs(30);

/// A source that is not fenced so long after its last deadline ended takes its right back.
const FENCE_MAX: Duration = Duration::from_secs(10);

pub(super) fn decide(context: &Context<'_>, draft: &mut Draft) -> Reason {
    match context.record.phase {
        Phase::Claimed => open(context, draft),
        Phase::Open => stay_or_leave(context, draft),
        Phase::Switching => close(context, draft),
        Phase::Fenced => hand_over(context, draft),
    }
}

/// The way from `claimed` to `open`.
fn open(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let epoch = record.epoch;
    if context.is_stuck() {
        return Reason::PreparationStuck { epoch };
    }
    renew_if_due(context, draft);
    let Some(database) = seen.database_now(*now) else {
        return Reason::DatabaseUnreachable { epoch };
    };
    if !context.is_prepared(database) {
        if seen.done.relay_open || database.subscription.is_some_and(|found| found.enabled) {
            draft.act(Action::StopReceiving);
        }
        draft.act(Action::Prepare {
            epoch,
            from: record.last_open.site,
        });
        return Reason::Preparing { epoch };
    }
    if let Some(reason) = must_wait(context) {
        return reason;
    }
    draft.plan.actions.clear();
    draft.act(context.write(record.opened(), Purpose::Open));
    Reason::Opening { epoch }
}

/// Whoever may have forgotten what it did, or has promised, opens and takes nothing (C6, C7).
fn must_wait(context: &Context<'_>) -> Option<Reason> {
    let (authority, epoch) = (context.seen.authority, context.record.epoch);
    let start = authority.start_wait_left(context.now);
    let promise = authority.promise_left(context.now);
    if !start.is_zero() {
        let left_ms = millis(start);
        return Some(Reason::StartWait { epoch, left_ms });
    }
    (!promise.is_zero() && !off!(PromiseAllowsOpening)).then_some(Reason::PromiseBinds {
        epoch,
        left_ms: millis(promise),
    })
}

impl Context<'_> {
    /// Nothing has to be prepared by the site that was the last to be open.
    fn is_prepared(&self, database: &DatabaseSeen) -> bool {
        self.record.last_open.site == self.record.site
            || off!(OpenUnprepared)
            || database
                .prepared
                .is_some_and(|prepared| prepared.epoch == self.record.epoch)
    }

    fn is_stuck(&self) -> bool {
        let mine_to_reclaim = self.record.last_open.site == self.record.site;
        !mine_to_reclaim && self.seen.authority.epoch_known_for(self.now) > PREPARE_MAX
    }

    /// The own database has been silent for longer than its provider needs for a failover, and
    /// the other site could take over.
    fn silent_for_too_long(&self) -> Option<Duration> {
        let silent = match self.seen.database {
            Some(look) => self.now.since(look.arrived),
            None => self.seen.authority.running_for(self.now),
        };
        let wait = self.policy.detection.database_wait();
        (silent >= wait && self.replica_ready()).then_some(silent)
    }
}

/// The source of a planned change, or a site that must give up, leaves; any other stays open.
fn stay_or_leave(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context { intent, record, .. } = context;
    let epoch = record.epoch;
    if let Some(silent) = context.silent_for_too_long() {
        return Reason::Yielding {
            epoch,
            silent_ms: millis(silent),
        };
    }
    let request = intent.move_out_of(epoch);
    let leaving = request.filter(|request| request.kind.target() == Some(context.seen.place.other));
    let Some(request) = leaving else {
        return keep(context, draft);
    };
    let rules = rules::for_switch(context, request);
    let failed = rules.iter().find(|rule| !rule.passed).copied();
    draft.ask(rules);
    match failed {
        None => {
            draft.act(context.write(record.switching(), Purpose::Switch));
            Reason::Switching {
                epoch,
                left_ms: context.policy.authority.ttl_ms,
            }
        }
        // The other site's agents and data are the person's risk, not the source's reason to stay.
        Some(_) if is_forced(request.kind) && !is_switchable(context) => {
            Reason::LettingGo { epoch }
        }
        Some(Rule { rule, .. }) => stay(context, rule, draft),
    }
}

fn is_forced(kind: RequestKind) -> bool {
    matches!(kind, RequestKind::Failover { .. })
}

/// The records of a switchover may be written, and the database can be fenced.
fn is_switchable(context: &Context<'_>) -> bool {
    let fenceable = context.seen.database_now(context.now).is_some();
    fenceable && context.record.version >= crate::authority::SWITCHOVER_VERSION
}

/// A request that cannot be granted changes nothing; the person reads why.
fn stay(context: &Context<'_>, rule: SafetyRule, draft: &mut Draft) -> Reason {
    let epoch = context.record.epoch;
    match keep(context, draft) {
        Reason::Writing { .. } => Reason::RequestRefused { epoch, rule },
        trouble => trouble,
    }
}

/// The source's half, first step: gates are closed by the phase itself, now guard and sessions.
///
/// The record is not renewed, so the count on its revision is the count on every deadline that
/// was given out before it (C2). No session after the guard was closed for good ends the wait
/// sooner, since no agent can arm this epoch again (C3).
fn close(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context {
        seen,
        now,
        record,
        policy,
        ..
    } = context;
    let (authority, epoch) = (seen.authority, record.epoch);
    if authority.counted() >= policy.authority.ttl() + FENCE_MAX {
        return take_back(context, draft);
    }
    let emptied = seen.done.closed == Some(epoch) && seen.done.emptied == Some(epoch);
    let ended = emptied || authority.is_expired(*now) || off!(FenceAtOnce);
    let barrier = seen.done.barrier.filter(|(of, _)| *of == epoch);
    if seen.done.closed != Some(epoch) {
        draft.act(Action::CloseGuard { epoch });
    }
    match barrier {
        Some((_, barrier)) if ended && seen.done.closed == Some(epoch) => {
            draft.act(context.write(record.fenced(Fence { barrier }), Purpose::Fence));
        }
        _ if ended && seen.done.closed == Some(epoch) => draft.act(Action::Barrier { epoch }),
        _ => draft.act(Action::EndSessions { epoch }),
    }
    Reason::Switching {
        epoch,
        left_ms: millis(authority.expiry_left().unwrap_or_default()),
    }
}

/// The source's half is done: wait for the target, but not for ever.
fn hand_over(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let counted = context.seen.authority.counted();
    let left = HANDOVER_MAX.saturating_sub(counted);
    if left.is_zero() {
        return take_back(context, draft);
    }
    Reason::HandedOver {
        epoch: context.record.epoch,
        left_ms: millis(left),
    }
}

/// A switchover that does not come to its end is undone: only `open` opens a gate, so the source
/// may take its right back at once with the next epoch.
fn take_back(context: &Context<'_>, draft: &mut Draft) -> Reason {
    if let Some(reason) = must_wait(context) {
        return reason;
    }
    let record = context.record;
    draft.act(context.write(record.claimed_by(record.site), Purpose::Reclaim));
    Reason::TakingBack {
        epoch: record.epoch.next(),
    }
}

/// Steady state: renew, change the exposure when it must, arm the guard, beat.
fn keep(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let epoch = record.epoch;
    let writing = change_exposure(context, draft);
    if writing.is_none() {
        renew_if_due(context, draft);
    }
    if context.class == Class::StoreSilent {
        draft.act(Action::AskPromises { epoch });
    }
    // The sibling may have received on before it knew of the opening.
    let receives = |found: &DatabaseSeen| found.subscription.is_some_and(|found| found.enabled);
    if seen.done.relay_open || seen.database_now(*now).is_some_and(receives) {
        draft.act(Action::StopReceiving);
    }
    let Some(held) = seen.authority.open_until().filter(|held| now < held) else {
        return Reason::RightNotHeld { epoch };
    };
    collect_if_due(context, draft);
    beat_if_due(context, draft);
    let until = super::told::serve_until(context.policy, seen.authority, seen.exposure);
    arm_if_due(context, until, draft);
    if seen.database_now(*now).is_none() {
        return Reason::DatabaseUnreachable { epoch };
    }
    writing.unwrap_or_else(|| serving(context, until, held))
}

/// What the lost site had acknowledged is kept as soon as that site is reached, and writers here no
/// longer wait for the guard.
fn collect_if_due(context: &Context<'_>, draft: &mut Draft) {
    let seen = context.seen;
    let due = seen
        .database_now(context.now)
        .is_some_and(|found| found.ledger_due.is_some());
    let serves = seen
        .done
        .armed
        .is_some_and(|(epoch, _)| epoch == context.record.epoch);
    if due && serves && seen.observations.get(&seen.place.other) == Some(&SiteHealth::Up) {
        draft.act(Action::Collect);
    }
}

fn serving(context: &Context<'_>, until: Option<Mono>, held: Mono) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let epoch = record.epoch;
    match until {
        Some(until) if *now < until && context.class == Class::StoreSilent => Reason::OnPromises {
            epoch,
            left_ms: millis(now.until(until)),
        },
        Some(until) if *now < until => Reason::Writing {
            epoch,
            exposure: record.exposure,
            left_ms: millis(now.until(until)),
        },
        _ => Reason::ExposureExceeded {
            epoch,
            age_ms: millis(seen.exposure.age(*now)),
            held_ms: millis(now.until(held)),
        },
    }
}

fn renew_if_due(context: &Context<'_>, draft: &mut Draft) {
    let Context {
        seen,
        now,
        record,
        policy,
        ..
    } = context;
    let hold = seen.authority.hold();
    if hold.is_none_or(|hold| now.since(hold.sent) >= policy.authority.renew()) {
        let version = agreed_version(context);
        draft.act(context.write(record.renewed().in_version(version), Purpose::Renew));
    }
}

/// The newest version that every agent of the policy reads; the record rises to it.
fn agreed_version(context: &Context<'_>) -> u32 {
    let present = context.record.version;
    if present < RECORD_VERSION
        && matrix::all_read(context.seen, context.seen.agent, RECORD_VERSION)
    {
        return RECORD_VERSION;
    }
    present
}

fn beat_if_due(context: &Context<'_>, draft: &mut Draft) {
    let period = Duration::from_millis(context.policy.exposure.heartbeat_ms);
    let due = context
        .seen
        .done
        .beat
        .is_none_or(|beat| context.now.since(beat) >= period);
    if due {
        draft.act(Action::Beat {
            epoch: context.record.epoch,
        });
    }
}

/// The guard is armed anew when that would move its expiry by half a renewal period.
fn arm_if_due(context: &Context<'_>, until: Option<Mono>, draft: &mut Draft) {
    let epoch = context.record.epoch;
    let Some(deadline) = until.filter(|until| context.now < *until) else {
        return;
    };
    let step = context.policy.authority.renew() / 2;
    let armed = context.seen.done.armed.filter(|(armed, _)| *armed == epoch);
    let closed = context
        .seen
        .database_now(context.now)
        .and_then(|database| database.guard)
        .is_none_or(|guard| guard.epoch != epoch || guard.remaining_ms == 0);
    if closed || armed.is_none_or(|(_, last)| deadline >= last.after(step)) {
        draft.act(Action::ArmGuard { epoch, deadline });
    }
}

/// The exposure moves only through the record, and each way in its own order:
/// to go on alone, first the record, then acknowledge; to come back, first hold every
/// gate to the bound, then the record.
fn change_exposure(context: &Context<'_>, draft: &mut Draft) -> Option<Reason> {
    let Context {
        seen,
        now,
        record,
        policy,
        ..
    } = context;
    let epoch = record.epoch;
    let age = seen.exposure.age(*now);
    let bound = policy.exposure.bound();
    let calm = age <= bound / 2 && seen.exposure.deadline(bound).is_some();
    match record.exposure {
        Exposure::Bounded | Exposure::Returning if peer_is_late(context) => {
            draft.act(context.write(record.exposed(Exposure::Unbounded), Purpose::Unbound));
            Some(Reason::GoingUnbounded {
                epoch,
                age_ms: millis(age),
            })
        }
        Exposure::Unbounded if calm && context.replica_ready() => {
            draft.act(context.write(record.exposed(Exposure::Returning), Purpose::Return));
            Some(Reason::ReturningToBound { epoch })
        }
        Exposure::Returning if calm && seen.authority.earlier_exposure_ended(*now) => {
            draft.act(context.write(record.exposed(Exposure::Bounded), Purpose::Bound));
            Some(Reason::ReturningToBound { epoch })
        }
        _ => None,
    }
}

/// A heartbeat is under way for so long that the bound would stop the writes within one
/// renewal period. An own database that is silent sends none, and so never ends the bound.
fn peer_is_late(context: &Context<'_>) -> bool {
    let Context {
        seen,
        now,
        record,
        policy,
        ..
    } = context;
    let heartbeat = Duration::from_millis(policy.exposure.heartbeat_ms);
    let alarm = policy
        .exposure
        .bound()
        .saturating_sub(policy.authority.renew() + heartbeat);
    let same_epoch = seen.exposure.epoch() == record.epoch;
    same_epoch && seen.exposure.waiting(*now) > alarm && seen.database_now(*now).is_some()
}

impl Context<'_> {
    /// The peer replicates every table.
    pub(super) fn replica_ready(&self) -> bool {
        let renew = self.policy.authority.renew();
        let status = self.seen.peer_at(self.seen.place.other, self.now, renew);
        let reached = status.filter(|status| status.database_reachable);
        let subscription = reached.and_then(|status| status.database.as_ref()?.subscription);
        subscription.is_some_and(|found| {
            found.enabled && found.tables_total > 0 && found.tables_ready == found.tables_total
        })
    }
}
