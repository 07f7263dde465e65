//! The clock of authority: CLOCK_BOOTTIME, which goes on during suspend.

use tandem_core::model::Mono;

/// Now, on this machine's CLOCK_BOOTTIME.
#[must_use]
pub fn boot_time() -> Mono {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).expect("boot time is not negative");
    let nanos = u64::try_from(now.tv_nsec).expect("nanoseconds are not negative");
    Mono(seconds * 1_000_000 + nanos / 1_000)
}
