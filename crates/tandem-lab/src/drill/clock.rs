//! The drill's one clock: CLOCK_BOOTTIME of this machine.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tandem_core::model::Mono;

/// Now.
pub fn now() -> Mono {
    Mono(micros(clock_gettime(ClockId::Boottime)))
}

/// Processor time that the calling thread has used.
pub(crate) fn thread_cpu() -> Duration {
    Duration::from_micros(micros(clock_gettime(ClockId::ThreadCPUTime)))
}

fn micros(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).expect("boot lies in the past");
    let nanos = u64::try_from(time.tv_nsec).expect("a fraction of a second");
    seconds * 1_000_000 + nanos / 1_000
}
