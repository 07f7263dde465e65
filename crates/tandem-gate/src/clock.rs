//! The one clock of the right to write: CLOCK_BOOTTIME.
//!
//! `Instant` reads CLOCK_MONOTONIC on Linux, which stands still while the
//! machine is suspended; a gate that slept past its deadline must notice.

use rustix::time::{ClockId, clock_gettime};
use tandem_core::model::Mono;

/// Now, on this machine's CLOCK_BOOTTIME.
pub fn now() -> Mono {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).expect("boot time is never negative");
    let nanos = u64::try_from(time.tv_nsec).expect("nanoseconds are never negative");
    Mono(seconds * 1_000_000 + nanos / 1_000)
}
