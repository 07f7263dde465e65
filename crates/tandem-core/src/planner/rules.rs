//! The safety rules: what must hold before a site takes the right to write.
//!
//! Every rule is asked every time, so that a person sees all that is in the way, not
//! only the first. Doubt denies: what is not known counts as failed.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Context, SiteHealth};
use crate::authority::Exposure;
use crate::config::Mode;

/// One condition of a claim. The order is the order in which they are asked and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SafetyRule {
    /// The policy allows automatic promotion.
    ModeAutomatic,
    /// Nobody paused automation.
    NotPaused,
    /// The witness too cannot reach the primary's site.
    WitnessAgrees,
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
            SafetyRule::RightExpired | SafetyRule::StartedLongEnough
        )
    }
}

/// The rules of an automatic failover (design section 4, rules 2, 7, 8 and 12).
pub(super) fn for_claim(context: &Context<'_>) -> Vec<Rule> {
    let Context {
        policy,
        intent,
        seen,
        now,
        record,
        ..
    } = context;
    let database = seen.database_now(*now);
    let subscription = database.and_then(|database| database.subscription);
    let ready = subscription
        .is_some_and(|found| found.tables_total > 0 && found.tables_ready == found.tables_total);
    let ours = database.and_then(|database| database.schema_hash.as_ref());
    let theirs = seen
        .last_database_of(record.site)
        .and_then(|seen| seen.schema_hash.as_ref());
    rules([
        (SafetyRule::ModeAutomatic, policy.mode == Mode::Automatic),
        (SafetyRule::NotPaused, !intent.is_paused()),
        (SafetyRule::WitnessAgrees, witness_agrees(context)),
        (
            SafetyRule::ExposureBounded,
            record.exposure == Exposure::Bounded,
        ),
        (SafetyRule::TablesReady, ready),
        (SafetyRule::SchemasEqual, ours.is_some() && ours == theirs),
        (
            SafetyRule::BoundaryReadable,
            subscription.is_some_and(|found| found.origin.is_some()),
        ),
        (SafetyRule::AntiFlap, may_promote_again(context)),
        (SafetyRule::DatabaseAnswers, database.is_some()),
        (SafetyRule::RightExpired, seen.authority.is_expired(*now)),
        (
            SafetyRule::StartedLongEnough,
            seen.authority.start_wait_left(*now).is_zero(),
        ),
    ])
}

/// The rules of taking back a right that nobody used since: no data can be missing, so only
/// time and the own database count (rule 3).
pub(super) fn for_reclaim(context: &Context<'_>) -> Vec<Rule> {
    let Context { seen, now, .. } = context;
    rules([
        (
            SafetyRule::DatabaseAnswers,
            seen.database_now(*now).is_some(),
        ),
        (SafetyRule::RightExpired, seen.authority.is_expired(*now)),
        (
            SafetyRule::StartedLongEnough,
            seen.authority.start_wait_left(*now).is_zero(),
        ),
    ])
}

fn rules<const N: usize>(asked: [(SafetyRule, bool); N]) -> Vec<Rule> {
    asked
        .into_iter()
        .map(|(rule, passed)| Rule { rule, passed })
        .collect()
}

/// One blind observer proves nothing: the witness must have lost the site as well, and must be
/// alive to say so.
fn witness_agrees(context: &Context<'_>) -> bool {
    let Context {
        policy,
        seen,
        now,
        record,
        ..
    } = context;
    let witness = seen.peer_at(seen.place.witness, *now, policy.authority.renew());
    let view = witness.and_then(|status| status.observations.get(&record.site));
    view == Some(&SiteHealth::Down)
}

fn may_promote_again(context: &Context<'_>) -> bool {
    let promotion = &context.policy.promotion;
    let window = Duration::from_secs(promotion.block_window_s);
    let day = Duration::from_secs(24 * 3600);
    let today = context.intent.promotions.iter().filter(|age| **age < day);
    let calm = context.intent.unacknowledged().all(|age| age >= window);
    calm && today.count() < promotion.per_day as usize
}
