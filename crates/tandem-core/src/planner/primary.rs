//! The site that the record names: keep the right, keep the promise of exposure.
//!
//! Order of effects: the record says `open` before guard and gate open; the guard is
//! armed before gates are told a remaining time; the exposure is changed in the record
//! before anybody acts on the new one.

use core::time::Duration;

use super::{Action, Context, Draft, Purpose, Reason};
use crate::authority::{Exposure, Phase};
use crate::database::DatabaseSeen;
use crate::model::Mono;

/// A claim that could not be prepared within this time is no longer renewed, so that
/// the other site may take its right back (I7: every plan ends).
const PREPARE_MAX: Duration = Duration::from_secs(30);

pub(super) fn decide(context: &Context<'_>, draft: &mut Draft) -> Reason {
    match context.record.phase {
        Phase::Claimed => open(context, draft),
        Phase::Open => keep(context, draft),
        Phase::Switching | Phase::Fenced => take_back(context, draft),
    }
}

/// A switchover that nobody drives is undone: only `open` opens a gate, so the source may take
/// its right back at once with the next epoch.
fn take_back(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let record = context.record;
    draft.act(context.write(record.claimed_by(record.site), Purpose::Reclaim));
    Reason::TakingBack {
        epoch: record.epoch.next(),
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
    let wait = seen.authority.start_wait_left(*now);
    if !wait.is_zero() {
        return Reason::StartWait {
            epoch,
            left_ms: millis(wait),
        };
    }
    draft.plan.actions.clear();
    draft.act(context.write(record.opened(), Purpose::Open));
    Reason::Opening { epoch }
}

impl Context<'_> {
    /// Nothing has to be prepared by the site that was the last to be open.
    fn is_prepared(&self, database: &DatabaseSeen) -> bool {
        self.record.last_open.site == self.record.site
            || database
                .prepared
                .is_some_and(|prepared| prepared.epoch == self.record.epoch)
    }

    fn is_stuck(&self) -> bool {
        let mine_to_reclaim = self.record.last_open.site == self.record.site;
        !mine_to_reclaim && self.seen.authority.epoch_known_for(self.now) > PREPARE_MAX
    }
}

/// Steady state: renew, change the exposure when it must, arm the guard, beat.
fn keep(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context {
        seen,
        now,
        record,
        policy,
        ..
    } = context;
    let epoch = record.epoch;
    let writing = change_exposure(context, draft);
    if writing.is_none() {
        renew_if_due(context, draft);
    }
    if seen.done.relay_open {
        draft.act(Action::StopReceiving);
    }
    let Some(held) = seen.authority.open_until().filter(|held| now < held) else {
        return Reason::RightNotHeld { epoch };
    };
    beat_if_due(context, draft);
    let until = super::serve_until(policy, seen.authority, seen.exposure);
    arm_if_due(context, until, draft);
    if seen.database_now(*now).is_none() {
        return Reason::DatabaseUnreachable { epoch };
    }
    if let Some(reason) = writing {
        return reason;
    }
    match until {
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
        draft.act(context.write(record.renewed(), Purpose::Renew));
    }
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
        Exposure::Unbounded if calm && replica_ready(context) => {
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

/// The peer replicates every table.
fn replica_ready(context: &Context<'_>) -> bool {
    let Context {
        seen, now, policy, ..
    } = context;
    let status = seen.peer_at(seen.place.other, *now, policy.authority.renew());
    let reached = status.filter(|status| status.database_reachable);
    let subscription = reached.and_then(|status| status.database.as_ref()?.subscription);
    subscription.is_some_and(|found| {
        found.enabled && found.tables_total > 0 && found.tables_ready == found.tables_total
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
