//! A small seeded generator: the same numbers on every machine.
//!
//! SplitMix64 for bits, Box and Muller for normal numbers, Knuth's product for
//! Poisson counts (rates are bounded by the caller).

use super::Length;

pub(super) struct Draw {
    state: u64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Above 0 and at most 1.
    pub(super) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// A log-normal length, in minutes.
    pub(super) fn length(&mut self, length: Length) -> f64 {
        length.median_minutes * (length.sigma * self.normal()).exp()
    }

    /// How many events of a rate; large rates are drawn in parts, since the
    /// product underflows beyond about 700.
    pub(super) fn poisson(&mut self, rate: f64) -> u32 {
        const PART: f64 = 100.0;
        let (mut left, mut count) = (rate, 0);
        while left > 0.0 {
            let part = left.min(PART);
            left -= part;
            let limit = (-part).exp();
            let mut product = self.unit();
            while product > limit {
                count += 1;
                product *= self.unit();
            }
        }
        count
    }
}
