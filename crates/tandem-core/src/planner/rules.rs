//! The safety rules: what must hold before a site takes the right to write.
//!
//! Every rule is asked every time, so that a person sees all that is in the way, not
//! only the first. Doubt denies: what is not known counts as failed.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Class, Context, Request, RequestKind, matrix};
use crate::authority::{Exposure, SWITCHOVER_VERSION};

/// One condition of a claim. The order is the order in which they are asked and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SafetyRule {
    /// The policy allows automatic promotion.
    ModeAutomatic,
    /// Nobody paused automation.
    NotPaused,
    /// The witness too has lost the primary's site, or the site itself says that it cannot go on.
    WitnessAgrees,
    /// Not both sites are lost at once, and the witness does not err.
    NotCorrelated,
    /// What the primary acknowledged without this site is bounded.
    ExposureBounded,
    /// Every table's initial copy has finished.
    TablesReady,
    /// Both sites' published tables have the same shape.
    SchemasEqual,
    /// The position up to which the primary's commits are applied can be read.
    BoundaryReadable,
    /// Not too many automatic promotions lately.
    AntiFlap,
    /// The own database answers.
    DatabaseAnswers,
    /// A full ttl has been counted on the present revision.
    RightExpired,
    /// This agent has run for a ttl.
    StartedLongEnough,
    /// This agent has promised the other site nothing in the last ttl.
    NoPromise,
    /// Everything that the other site acknowledged is applied here.
    BarrierApplied,
    /// The fenced epoch was read as open since this agent's start and last promise.
    SawOpen,
    /// Every agent reads the records of a switchover.
    AllAgentsCurrent,
    /// The other site's agents and database answer.
    PeerAnswers,
    /// Nobody disarmed a guard by hand.
    GuardsArmed,
}

/// One asked rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which one.
    pub rule: SafetyRule,
    /// Whether it holds.
    pub passed: bool,
}

impl Rule {
    /// Whether waiting alone makes it pass.
    pub(super) fn is_time(self) -> bool {
        matches!(
            self.rule,
            SafetyRule::RightExpired | SafetyRule::StartedLongEnough | SafetyRule::NoPromise
        )
    }
}

/// The rules of a failover (design section 4, rules 2, 7, 8 and 12).
///
/// A named person's request stands in for mode, pause, witness and flap guard; with accepted loss
/// also for exposure and schemas. Nothing stands in for expiry. Not even a barrier stands in for a
/// bounded exposure: the other site may go on upon a promise that was given while the claim was on
/// its way, and what it acknowledges then lies behind the barrier.
pub(super) fn for_claim(context: &Context<'_>) -> Vec<Rule> {
    let request = context.forced();
    let requested = request.is_some();
    let lossy = request.is_some_and(accepts_loss);
    let database = context.seen.database_now(context.now);
    let bounded = context.record.exposure == Exposure::Bounded;
    let approved = requested || context.automatic || context.is_approved();
    let calm = requested || !matches!(context.class, Class::Correlated | Class::WitnessFault);
    let lost = requested || context.class.allows_promotion();
    let behind_barrier = context.class == Class::AgentsDead;
    let complete = behind_barrier && barrier_of_log(context);
    let mut asked = rules([
        (SafetyRule::ModeAutomatic, approved),
        (
            SafetyRule::NotPaused,
            requested || !context.intent.is_paused(),
        ),
        (SafetyRule::WitnessAgrees, lost),
        (SafetyRule::NotCorrelated, calm),
        (SafetyRule::ExposureBounded, lossy || bounded),
        (SafetyRule::TablesReady, tables_ready(context)),
        (SafetyRule::SchemasEqual, lossy || schemas_equal(context)),
        (SafetyRule::BoundaryReadable, boundary_readable(context)),
        (
            SafetyRule::AntiFlap,
            requested || may_promote_again(context),
        ),
        (SafetyRule::DatabaseAnswers, database.is_some()),
    ]);
    asked.extend(time_rules(context));
    if behind_barrier {
        asked.push(Rule {
            rule: SafetyRule::BarrierApplied,
            passed: lossy || complete,
        });
    }
    asked
}

/// The rules of taking back a right that nobody used since: no data can be missing, so only
/// time and the own database count (rule 3). A claim that came from a switchover may be taken
/// back sooner: only `open` opens a gate, and the source wrote down where it stopped.
pub(super) fn for_reclaim(context: &Context<'_>) -> Vec<Rule> {
    let Context { seen, now, .. } = context;
    let expired = seen.authority.is_expired(*now) || context.is_switchover_late();
    rules([
        (
            SafetyRule::DatabaseAnswers,
            seen.database_now(*now).is_some(),
        ),
        (SafetyRule::RightExpired, expired),
        (SafetyRule::StartedLongEnough, started(context)),
        (SafetyRule::NoPromise, no_promise(context)),
    ])
}

/// The rules of the target's half of a switchover (rule 10). The fence replaces the expiry.
pub(super) fn for_fence(context: &Context<'_>, barrier: u64) -> Vec<Rule> {
    let Context {
        seen, now, record, ..
    } = context;
    let lossy = context.forced().is_some_and(accepts_loss);
    let waited = seen.authority.counted() >= BARRIER_WAIT;
    let applied = context.applied() >= Some(barrier);
    rules([
        (
            SafetyRule::DatabaseAnswers,
            seen.database_now(*now).is_some(),
        ),
        (SafetyRule::TablesReady, tables_ready(context)),
        (SafetyRule::BoundaryReadable, boundary_readable(context)),
        (SafetyRule::SawOpen, seen.authority.saw_open(record.epoch)),
        (SafetyRule::StartedLongEnough, started(context)),
        (SafetyRule::NoPromise, no_promise(context)),
        (SafetyRule::BarrierApplied, applied || (lossy && waited)),
    ])
}

/// The rules of the source's half: what would make the other half fail is asked before anything
/// is closed.
pub(super) fn for_switch(context: &Context<'_>, request: &Request) -> Vec<Rule> {
    let planned = matches!(request.kind, RequestKind::Switchover { .. });
    let record = context.record;
    let current = record.version >= SWITCHOVER_VERSION;
    let bounded = record.exposure == Exposure::Bounded;
    let armed = !context.intent.is_disarmed(record.site);
    let database = context.seen.database_now(context.now);
    let mut asked = rules([
        (SafetyRule::AllAgentsCurrent, current),
        (SafetyRule::GuardsArmed, armed),
        (SafetyRule::DatabaseAnswers, database.is_some()),
        (SafetyRule::PeerAnswers, context.replica_ready()),
    ]);
    if planned {
        asked.extend(rules([
            (SafetyRule::ExposureBounded, bounded),
            (SafetyRule::SchemasEqual, schemas_equal(context)),
        ]));
    }
    asked
}

/// With accepted loss, how long a target still waits for a barrier that may never come.
const BARRIER_WAIT: Duration = Duration::from_secs(2);

fn accepts_loss(request: &Request) -> bool {
    matches!(
        request.kind,
        RequestKind::Failover {
            accept_loss: true,
            ..
        }
    )
}

fn time_rules(context: &Context<'_>) -> [Rule; 3] {
    let expired = context.seen.authority.is_expired(context.now);
    [
        (SafetyRule::RightExpired, expired),
        (SafetyRule::StartedLongEnough, started(context)),
        (SafetyRule::NoPromise, no_promise(context)),
    ]
    .map(|(rule, passed)| Rule { rule, passed })
}

fn started(context: &Context<'_>) -> bool {
    let authority = context.seen.authority;
    authority.start_wait_left(context.now).is_zero()
}

fn no_promise(context: &Context<'_>) -> bool {
    context.seen.authority.promise_left(context.now).is_zero()
}

fn tables_ready(context: &Context<'_>) -> bool {
    let subscription = context.subscription();
    subscription
        .is_some_and(|found| found.tables_total > 0 && found.tables_ready == found.tables_total)
}

fn boundary_readable(context: &Context<'_>) -> bool {
    context
        .subscription()
        .is_some_and(|found| found.origin.is_some())
}

fn schemas_equal(context: &Context<'_>) -> bool {
    let Context { seen, now, .. } = context;
    let ours = seen.database_now(*now);
    let ours = ours.and_then(|database| database.schema_hash.as_ref());
    let theirs = seen.last_database_of(seen.place.other);
    let theirs = theirs.and_then(|seen| seen.schema_hash.as_ref());
    ours.is_some() && ours == theirs
}

/// The other database's log, read after its right had ended, is applied here to its end.
fn barrier_of_log(context: &Context<'_>) -> bool {
    let Some(found) = context.seen.other_end else {
        return false;
    };
    let asked_late = matrix::asked_after_expiry(context.seen.authority, found.asked);
    let received = context.subscription().and_then(|found| found.received);
    asked_late && received >= Some(found.end)
}

fn rules<const N: usize>(asked: [(SafetyRule, bool); N]) -> Vec<Rule> {
    asked
        .into_iter()
        .map(|(rule, passed)| Rule {
            rule,
            passed: passed || is_taken_away(rule),
        })
        .collect()
}

/// Whether a test took this rule away.
fn is_taken_away(rule: SafetyRule) -> bool {
    match rule {
        SafetyRule::ModeAutomatic => off!(ModeUnchecked),
        SafetyRule::WitnessAgrees => off!(WitnessUnasked),
        SafetyRule::ExposureBounded => off!(ExposureUnchecked),
        SafetyRule::TablesReady => off!(TablesUnchecked),
        SafetyRule::SchemasEqual => off!(SchemasUnchecked),
        SafetyRule::AntiFlap => off!(NoAntiFlap),
        SafetyRule::BarrierApplied => off!(BarrierUnchecked),
        _ => false,
    }
}

fn may_promote_again(context: &Context<'_>) -> bool {
    let promotion = &context.policy.promotion;
    let window = Duration::from_secs(promotion.block_window_s);
    let day = Duration::from_secs(24 * 3600);
    let today = context.intent.promotions.iter().filter(|age| **age < day);
    let calm = context.intent.unacknowledged().all(|age| age >= window);
    calm && today.count() < promotion.per_day as usize
}
