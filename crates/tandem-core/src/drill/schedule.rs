//! The load as a schedule: which request is intended at which moment.
//!
//! Intuition: a bus timetable. The bus of 10:05 is late if the road is blocked,
//! but the one of 10:10 is still due at 10:10 (open loop).
//! The same seed gives the same timetable, in the lab and in the simulator.

use core::time::Duration;

use super::file::Load;
use super::history::Kind;

/// One entry: when, what, and a number drawn for it (which contact to read).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The request's number, from 0 without gaps.
    pub number: u64,
    /// After the start of the load.
    pub offset: Duration,
    /// What to ask for.
    pub kind: Kind,
    /// Drawn for this request alone.
    pub draw: u64,
}

/// Every request of `load` within `span`, in order.
pub fn timetable(load: Load, span: Duration, seed: u64) -> impl Iterator<Item = Due> {
    let total = micros(span).saturating_mul(u64::from(load.rate_per_s)) / 1_000_000;
    (0..total).map(move |number| {
        let offset = Duration::from_micros(number * 1_000_000 / u64::from(load.rate_per_s));
        let draw = scrambled(seed ^ scrambled(number));
        Due {
            number,
            offset,
            kind: kind(load, draw),
            draw: scrambled(draw),
        }
    })
}

/// Every hundredth read asks HEAD, as the guide's first test does.
fn kind(load: Load, draw: u64) -> Kind {
    match draw % 10_000 {
        share if share < u64::from(load.write_percent) * 100 => Kind::Write,
        share if share % 100 == 0 => Kind::Head,
        _ => Kind::Read,
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// SplitMix64's finaliser: neighbouring numbers give unrelated ones.
pub fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const LOAD: Load = Load {
        rate_per_s: 200,
        write_percent: 30,
    };

    #[test]
    fn the_same_seed_gives_the_same_timetable() {
        let draw = |seed| timetable(LOAD, Duration::from_secs(3), seed).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn requests_are_evenly_spaced_and_mixed_as_asked() {
        let all: Vec<_> = timetable(LOAD, Duration::from_secs(100), 1).collect();
        assert_eq!(all.len(), 20_000);
        for (number, due) in all.iter().enumerate() {
            assert_eq!(
                due.offset,
                Duration::from_millis(5) * u32::try_from(number).unwrap()
            );
        }
        let writes = all.iter().filter(|due| due.kind == Kind::Write).count();
        assert!(
            (5_700..=6_300).contains(&writes),
            "{writes} writes of 20,000, 30 % asked"
        );
        assert!(all.iter().any(|due| due.kind == Kind::Head));
    }
}
