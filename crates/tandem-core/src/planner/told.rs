//! What gates are told: until when they may serve, and who may write.
//!
//! Invariant: never more time than authority and exposure both allow, and none before the guard
//! was armed for the present epoch.

use core::time::Duration;

use super::{Seen, matrix};
use crate::authority::{Authority, Exposure, ExposureWatch, Phase};
use crate::config::Policy;
use crate::model::{Mono, SiteId};

/// Until when this site's gates may serve write sessions: authority, and the exposure
/// bound unless the record says that the primary goes on without its peer.
pub(super) fn serve_until(
    policy: &Policy,
    authority: &Authority,
    exposure: &ExposureWatch,
) -> Option<Mono> {
    let held = authority.open_until()?;
    match authority.exposure()? {
        Exposure::Unbounded => Some(held),
        Exposure::Bounded | Exposure::Returning => {
            let epoch = authority.present()?.0.epoch;
            if off!(ServeBeyondBound) {
                return Some(held);
            }
            let bound = exposure.deadline(policy.exposure.bound());
            bound
                .filter(|_| exposure.epoch() == epoch)
                .map(|bound| held.min(bound))
        }
    }
}

/// What a gate is told of the right to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How long write sessions may go on at this site; zero = not at all.
    pub left: Duration,
    /// The site that may write, if one is open.
    pub writer: Option<SiteId>,
    /// Whether that right is known as fresh.
    pub fresh: bool,
    /// Whether that site's database answers, as far as its agents say.
    pub works: bool,
}

/// What a gate is told: the remaining time at this site, and who may write. No time until the guard
/// was armed for the present epoch, since a gate that opens earlier would only hand out refusals.
pub fn remaining(policy: &Policy, seen: &Seen<'_>, now: Mono) -> Told {
    let Some((record, _)) = seen.authority.present() else {
        return Told {
            left: Duration::ZERO,
            writer: None,
            fresh: false,
            works: true,
        };
    };
    let writer = (record.phase == Phase::Open).then_some(record.site);
    let renewed =
        seen.authority.is_fresh(now) && seen.authority.expiry_left() != Some(Duration::ZERO);
    // Without the store: the holder's own deadline, or its question that this site answered.
    let promised = seen.authority.open_until().is_some_and(|held| now < held)
        || !seen.authority.promise_left(now).is_zero();
    let armed = seen.done.armed.filter(|(epoch, _)| *epoch == record.epoch);
    let until = serve_until(policy, seen.authority, seen.exposure).filter(|_| armed.is_some());
    Told {
        left: until.map_or(Duration::ZERO, |until| now.until(until)),
        writer,
        fresh: writer.is_some() && (renewed || promised),
        works: !matrix::database_is_away(policy, seen, record.site, now),
    }
}
