//! The site that the record does not name: receive, watch, and take over when it must.
//!
//! Receiving stops on suspicion, before the count has ended, so that the apply worker's exit
//! overlaps the wait and nothing of a reviving primary arrives late. If the takeover
//! is abandoned, receiving starts again.

use core::time::Duration;

use super::rules::{self, Rule};
use super::{Action, Context, Draft, Purpose, Reason, SiteHealth};
use crate::authority::Phase;
use crate::database::SubscriptionSeen;

pub(super) fn decide(context: &Context<'_>, draft: &mut Draft) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    if record.phase == Phase::Claimed && record.last_open.site == seen.place.site {
        return watch_a_claim(context, draft);
    }
    let Some(database) = seen.database_now(*now) else {
        return Reason::DatabaseUnreachable {
            epoch: record.epoch,
        };
    };
    match database.subscription {
        None => Reason::Fenced {
            primary: record.site,
            epoch: record.epoch,
        },
        Some(_)
            if database
                .prepared
                .is_some_and(|prepared| prepared.epoch >= record.epoch) =>
        {
            Reason::Fenced {
                primary: record.site,
                epoch: record.epoch,
            }
        }
        Some(subscription) => follow(context, subscription, draft),
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
    Reason::Claiming {
        from: record.site,
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

/// The ordinary replica.
fn follow(context: &Context<'_>, subscription: SubscriptionSeen, draft: &mut Draft) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let other = record.site;
    if !is_suspect(context) {
        receive_if_stopped(context, subscription, draft);
        return replicating(context, subscription);
    }
    let rules = rules::for_claim(context);
    let refused = first_failed(&rules);
    let only_time_is_missing = rules.iter().all(|rule| rule.passed || rule.is_time());
    draft.ask(rules);
    if only_time_is_missing && (subscription.enabled || seen.done.relay_open) {
        draft.act(Action::StopReceiving);
    }
    match refused {
        None => {
            draft.act(context.write(record.claimed_by(seen.place.site), Purpose::Claim));
            Reason::Claiming {
                from: other,
                epoch: record.epoch.next(),
            }
        }
        Some(reason) if only_time_is_missing => {
            let left = seen.authority.expiry_left().unwrap_or_default();
            let left = left.max(seen.authority.start_wait_left(*now));
            if left.is_zero() {
                reason
            } else {
                Reason::CountingDown {
                    site: other,
                    left_ms: millis(left),
                }
            }
        }
        Some(reason) => {
            if !only_time_is_missing {
                receive_if_stopped(context, subscription, draft);
            }
            reason
        }
    }
}

/// This agent cannot reach the primary's site. A site that is reached is never suspect, however
/// long its record stands still: then its agents are dead, or the store is.
fn is_suspect(context: &Context<'_>) -> bool {
    let other = context.record.site;
    context.seen.observations.get(&other) == Some(&SiteHealth::Down)
}

fn receive_if_stopped(context: &Context<'_>, subscription: SubscriptionSeen, draft: &mut Draft) {
    if !subscription.enabled || !context.seen.done.relay_open {
        draft.act(Action::Receive);
    }
}

fn replicating(context: &Context<'_>, subscription: SubscriptionSeen) -> Reason {
    let Context {
        seen, now, record, ..
    } = context;
    let site = record.site;
    if subscription.tables_ready < subscription.tables_total {
        let SubscriptionSeen {
            tables_ready,
            tables_total,
            ..
        } = subscription;
        return Reason::Copying {
            site,
            tables_ready,
            tables_total,
        };
    }
    if seen.authority.is_expired(*now) {
        return Reason::RightExpiredSiteReached {
            site,
            epoch: record.epoch,
        };
    }
    if !subscription.worker {
        return Reason::NotReceiving {
            site,
            errors: u32::try_from(subscription.apply_errors).unwrap_or(u32::MAX),
        };
    }
    Reason::Replicating {
        site,
        epoch: record.epoch,
    }
}

fn first_failed(rules: &[Rule]) -> Option<Reason> {
    rules
        .iter()
        .find(|rule| !rule.passed)
        .map(|rule| Reason::Refused { rule: rule.rule })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
