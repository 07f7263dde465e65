//! The two clocks of an agent: boot time for every decision, the wall for people.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tandem_core::model::Mono;

/// CLOCK_BOOTTIME, which goes on during suspend.
pub(crate) fn now() -> Mono {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).expect("boot time is never negative");
    let micros = u64::try_from(time.tv_nsec / 1_000).expect("below a million");
    Mono(seconds * 1_000_000 + micros)
}

/// Seconds since 1970, for the journal and for the hours between promotions. A wrong
/// wall clock can delay or allow a promotion, never two writers.
pub(crate) fn wall_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |span| span.as_secs())
}

/// Milliseconds since 1970, for the ends of requests.
pub(crate) fn wall_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |span| {
            u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
        })
}
