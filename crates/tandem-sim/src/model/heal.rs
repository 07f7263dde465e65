//! Whether a state goes on: from here, with nothing going wrong any more, a site opens.

use super::state::AGENTS;
use super::{Search, Small};

/// After so many ticks a healed world must have opened a site: the wait for a preparation, and
/// a count after it.
const HEALED: usize = 16;

/// One state in so many is healed, to see whether it goes on.
const SAMPLE: u64 = 32;

impl Small {
    /// Whether, from here on with nothing going wrong, a site opens. One state in [`SAMPLE`] is
    /// asked.
    pub(super) fn goes_on(&self, search: &Search) -> bool {
        // A store that went back is never used again: people must rebuild it.
        if self.broken.is_some() || self.spent.restored || !self.digest().is_multiple_of(SAMPLE) {
            return true;
        }
        let mut healed = self.clone();
        healed.calls = [const { None }; AGENTS];
        healed.late = None;
        healed.asks = [const { [const { None }; 2] }; 2];
        healed.pleas.clear();
        healed.writing = [None; 2];
        (0..HEALED).any(|_| {
            healed.heal(search);
            let open = healed.gates.iter().any(|gate| gate.is_open(healed.at));
            healed.tick(search);
            open
        })
    }

    /// One tick in which everybody does all that it can.
    fn heal(&mut self, search: &Search) {
        let alive: Vec<usize> = self.alive().collect();
        for _ in 0..6 {
            for index in &alive {
                if self.calls[*index].is_none() {
                    self.question(*index);
                }
                self.serve(*index);
                self.reply(search, *index);
            }
            for site in 0..2 {
                self.apply(site);
            }
        }
        for index in alive {
            self.ask(search, index / 2, index % 2);
            self.hear(index / 2, index % 2);
        }
    }
}
