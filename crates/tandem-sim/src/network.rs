//! Who reaches whom: three places and the world outside.
//!
//! A link is one-way. Cuts are counted, so that two overlapping ones end one after the other.
//! Every agent may also be cut off from a place alone, as by a wrong firewall rule.

use crate::clock::{At, MS};
use crate::random::Random;

/// Places: two sites, the witness, and the clients outside.
pub const PLACES: usize = 4;
/// The first site.
pub const AWS: usize = 0;
/// The second site.
pub const GCP: usize = 1;
/// The third place.
pub const WITNESS: usize = 2;
/// Where the clients are.
pub const OUTSIDE: usize = 3;

/// All one-way links.
#[derive(Debug, Clone, Default)]
pub struct Network {
    cuts: [[u8; PLACES]; PLACES],
    slow: [[u16; PLACES]; PLACES],
    loss: [[u16; PLACES]; PLACES],
    agents: [[u8; PLACES]; 5],
}

impl Network {
    /// Whether anything passes from one place to another at all.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        from == to || self.cuts[from][to] == 0
    }

    /// Whether both directions pass.
    pub fn linked(&self, one: usize, other: usize) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    /// Whether `agent` at `from` is not cut off from `to` by a rule of its own.
    pub fn admits(&self, agent: usize, to: usize) -> bool {
        self.agents[agent][to] == 0
    }

    /// How long one message takes, if it arrives.
    pub fn send(&self, from: usize, to: usize, random: &mut Random) -> Option<At> {
        if from == to {
            return Some(random.between(100, MS));
        }
        if self.cuts[from][to] > 0 {
            return None;
        }
        let loss = u64::from(self.loss[from][to]);
        if loss > 0 && random.chance(loss) {
            return None;
        }
        let slow = u64::from(self.slow[from][to]) * MS;
        Some(random.between(MS, 9 * MS) + if slow > 0 { random.below(slow) } else { 0 })
    }

    /// Cuts or heals one direction.
    pub fn cut(&mut self, from: usize, to: usize, cut: bool) {
        count(&mut self.cuts[from][to], cut);
    }

    /// Cuts or heals one agent's way to a place.
    pub fn cut_agent(&mut self, agent: usize, to: usize, cut: bool) {
        count(&mut self.agents[agent][to], cut);
    }

    /// Slows one direction down by up to `ms`, or ends that with 0.
    pub fn slow(&mut self, from: usize, to: usize, ms: u16) {
        self.slow[from][to] = ms;
    }

    /// Loses `per_mille` of what passes, or ends that with 0.
    pub fn lose(&mut self, from: usize, to: usize, per_mille: u16) {
        self.loss[from][to] = per_mille;
    }
}

fn count(cuts: &mut u8, cut: bool) {
    *cuts = if cut {
        cuts.saturating_add(1)
    } else {
        cuts.saturating_sub(1)
    };
}
