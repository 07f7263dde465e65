//! The site that the record does not name: receive, watch, and take over when it must.
//!
//! Receiving stops on suspicion, before the count has ended, so that the apply worker's exit
//! overlaps the wait and nothing of a reviving primary arrives late. If the takeover
//! is abandoned, receiving starts again.

use core::time::Duration;

use super::rules::{self, Rule};
use super::{Action, Class, Context, Draft, Purpose, Reason, Request, SafetyRule, millis};
use crate::authority::{Fence, Phase};
use crate::database::{DatabaseSeen, Extent, GuardSeen, SubscriptionSeen};

/// A disabled subscription is enabled again after this time only, so that the site's agents,
/// which learn of each other's suspicion through the store, do not undo each other's stop.
const RESUME_WAIT: Duration = Duration::from_secs(2);

/// If writes are not open so long after the fence, the source takes its right back (rule 10).
pub(super) const HANDOVER_MAX: Duration = Duration::from_secs(5);

pub(super) fn decide(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let own = record.last_open.site == seen.place.site || off!(AnybodyReclaims);
    if record.phase == Phase::Claimed && own {
        return watch_a_claim(context, draft);
    }
    let Some(database) = seen.database_now(*now) else {
        return Reason::DatabaseUnreachable {
            epoch: record.epoch,
        };
    };
    let opened_here = database
        .prepared
        .is_some_and(|prepared| prepared.epoch >= record.epoch);
    match (database.subscription, record.fence) {
        (None, _) => rejoin(context, database, draft),
        _ if (opened_here || database.diverged) && !off!(ForgetFence) => {
            rejoin(context, database, draft)
        }
        (Some(subscription), Some(fence)) if record.phase == Phase::Fenced => {
            act_on_fence(context, subscription, fence, draft)
        }
        (Some(subscription), _) => {
            finish_way_back(context, database, draft);
            follow(context, subscription, draft)
        }
    }
}

/// An agent that died after the site followed again left the old slot and the lent powers behind.
fn finish_way_back(context: &Context<'_>, database: &DatabaseSeen, draft: &mut Draft) {
    let record = context.record;
    if database.unfinished && record.phase == Phase::Open && !context.class.is_suspect() {
        draft.act(Action::Reinstate {
            epoch: record.epoch,
            extent: Extent::Attach,
        });
    }
}

fn fenced(context: &Context<'_>) -> Reason {
    Reason::Fenced {
        primary: context.record.site,
        epoch: context.record.epoch,
    }
}

/// An old primary follows the open site again: by itself if nothing was lost, else when a named
/// person asked. A database that has seen a newer epoch than the record is left alone, since
/// then the record is an old copy.
fn rejoin(context: &Context<'_>, database: &DatabaseSeen, draft: &mut Draft) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let epoch = record.epoch;
    let closed = |guard: GuardSeen| guard.remaining_ms == 0 && guard.epoch <= epoch;
    let older = database.guard.is_none_or(closed)
        && database.prepared.is_none_or(|found| found.epoch < epoch);
    let held = record.phase == Phase::Open
        && seen.authority.is_fresh(*now)
        && !seen.authority.is_expired(*now)
        && !context.class.is_suspect();
    if !older || !held {
        return fenced(context);
    }
    let extent = context.intent.reinstatement(context.own());
    if let Some(lost) = database.lost.filter(|_| extent == Extent::Attach) {
        return Reason::AwaitingReinstate {
            primary: record.site,
            epoch,
            lost,
        };
    }
    draft.act(Action::Reinstate { epoch, extent });
    Reason::Reinstating {
        primary: record.site,
        epoch,
    }
}

/// The other site claims but has not opened: this site was the last to be open, and
/// may take its right back when the claim ends (rule 3).
fn watch_a_claim(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let rules = rules::for_reclaim(context);
    let refused = first_failed(&rules);
    draft.ask(rules);
    if let Some(reason) = refused {
        return if seen.authority.is_expired(*now) {
            reason
        } else {
            claim_runs(context)
        };
    }
    draft.act(context.write(record.claimed_by(seen.place.site), Purpose::Reclaim));
    Reason::TakingBack {
        epoch: record.epoch.next(),
    }
}

fn claim_runs(context: &Context<'_>) -> Reason {
    let left = context.seen.authority.expiry_left().unwrap_or_default();
    Reason::OtherClaims {
        site: context.record.site,
        epoch: context.record.epoch,
        left_ms: millis(left),
    }
}

/// The target's half of a switchover: everything of the source is applied, then claim.
fn act_on_fence(
    context: &Context<'_>,
    subscription: SubscriptionSeen,
    fence: Fence,
    draft: &mut Draft,
) -> Reason {
    let Context { seen, record, .. } = context;
    // A source whose agents died after its fence still has what is missing here.
    if context.class.is_suspect() {
        draft.act(Action::AskOtherEnd);
    }
    let rules = rules::for_fence(context, fence.barrier);
    let failed = first_failed_rule(&rules);
    draft.ask(rules);
    match failed {
        None => {
            draft.act(context.write(record.claimed_by(seen.place.site), Purpose::TakeFenced));
            claiming(context)
        }
        Some(SafetyRule::BarrierApplied) => {
            receive_if_stopped(context, subscription, draft);
            Reason::AwaitingBarrier {
                site: record.site,
                applied: count(context.applied().unwrap_or_default()),
                barrier: count(fence.barrier),
            }
        }
        // A source that died after its fence: the ordinary way is open too.
        Some(_) if seen.authority.is_expired(context.now) => follow(context, subscription, draft),
        Some(rule) => Reason::Refused { rule },
    }
}

fn claiming(context: &Context<'_>) -> Reason {
    Reason::Claiming {
        from: context.record.site,
        epoch: context.record.epoch.next(),
    }
}

/// The ordinary replica.
fn follow(context: &Context<'_>, subscription: SubscriptionSeen, draft: &mut Draft) -> Reason {
    let takeover = context.takeover();
    if context.class.is_suspect() {
        draft.act(Action::AskOtherEnd);
    } else if !context.may_take() {
        receive_if_stopped(context, subscription, draft);
        return replicating(context, subscription, takeover);
    }
    let rules = rules::for_claim(context);
    let failed = first_failed_rule(&rules);
    let only_time_is_missing = rules.iter().all(|rule| rule.passed || rule.is_time());
    draft.ask(rules);
    match failed {
        None => {
            let by_itself = context.automatic && context.forced().is_none();
            let purpose = if by_itself {
                Purpose::Claim
            } else {
                Purpose::ClaimRequested
            };
            draft.act(context.write(context.record.claimed_by(context.own()), purpose));
            claiming(context)
        }
        Some(_) if only_time_is_missing => count_down(context, subscription, draft),
        Some(rule) => {
            receive_if_stopped(context, subscription, draft);
            Reason::Refused { rule }
        }
    }
}

/// Everything but time speaks for a takeover. Receiving stops late enough that the other
/// database could be asked whether it lives, and early enough that the worker is gone in time.
fn count_down(context: &Context<'_>, subscription: SubscriptionSeen, draft: &mut Draft) -> Reason {
    let authority = context.seen.authority;
    let left = authority.expiry_left().unwrap_or_default();
    let stop_at = context.policy.authority.ttl() * 2 / 5;
    let receiving = subscription.enabled || context.seen.done.relay_open;
    if context.class == Class::AgentsDead {
        receive_if_stopped(context, subscription, draft);
    } else if left <= stop_at && receiving {
        draft.act(Action::StopReceiving);
    }
    let own_wait = authority
        .start_wait_left(context.now)
        .max(authority.promise_left(context.now));
    Reason::CountingDown {
        site: context.record.site,
        left_ms: millis(left.max(own_wait)),
    }
}

impl Context<'_> {
    /// A person asked this site to take over, or the site itself gave up because of its database.
    fn may_take(&self) -> bool {
        let expired = self.seen.authority.is_expired(self.now);
        expired && (self.forced().is_some() || self.class == Class::DatabaseOnly)
    }

    /// The claim that came from a switchover is not open [`HANDOVER_MAX`] after it was learned.
    pub(super) fn is_switchover_late(&self) -> bool {
        let known = self.seen.authority.epoch_known_for(self.now);
        self.record.fence.is_some() && known >= HANDOVER_MAX
    }
}

fn receive_if_stopped(context: &Context<'_>, subscription: SubscriptionSeen, draft: &mut Draft) {
    let done = context.seen.done;
    let long_disabled = done
        .disabled_since
        .is_none_or(|since| context.now.since(since) >= RESUME_WAIT);
    if (!subscription.enabled && long_disabled) || (subscription.enabled && !done.relay_open) {
        let epoch = context.record.epoch;
        draft.act(Action::Receive { epoch });
    }
}

fn replicating(
    context: &Context<'_>,
    subscription: SubscriptionSeen,
    takeover: Option<&Request>,
) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let (site, epoch) = (record.site, record.epoch);
    let SubscriptionSeen {
        tables_ready,
        tables_total,
        ..
    } = subscription;
    if record.phase == Phase::Switching {
        Reason::OtherSwitching { site, epoch }
    } else if takeover.is_some() {
        Reason::AwaitingHandover { site, epoch }
    } else if tables_ready < tables_total {
        Reason::Copying {
            site,
            tables_ready,
            tables_total,
        }
    } else if seen.authority.is_expired(*now) {
        Reason::RightExpiredSiteReached { site, epoch }
    } else if !subscription.worker {
        Reason::NotReceiving {
            site,
            errors: count(subscription.apply_errors),
        }
    } else {
        Reason::Replicating { site, epoch }
    }
}

fn first_failed_rule(rules: &[Rule]) -> Option<SafetyRule> {
    let failed = rules.iter().find(|rule| !rule.passed);
    failed.map(|rule| rule.rule)
}

fn first_failed(rules: &[Rule]) -> Option<Reason> {
    first_failed_rule(rules).map(|rule| Reason::Refused { rule })
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
