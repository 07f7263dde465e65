//! This process's monotonic clock, in the core's unit.

use rustix::time::{ClockId, clock_gettime};
use tandem_core::model::Mono;

/// Now, on CLOCK_BOOTTIME.
pub(crate) fn now() -> Mono {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).expect("boot time is not negative");
    let nanos = u64::try_from(time.tv_nsec).expect("a fraction is not negative");
    Mono(seconds * 1_000_000 + nanos / 1_000)
}
