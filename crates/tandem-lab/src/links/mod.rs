//! Wires between places: what a network between data centres does to bytes.
//!
//! A [`Wire`] leads from one place to another, one way, and has a [`Shape`]:
//! delay, jitter, capacity, a cut. Every connection between two places goes
//! through a [`Forward`], a listener on loopback whose bytes ride on the two wires of that
//! pair. The sender never waits for the delay of what it sent before (delays
//! are pipelined), only for the bounded amount that fits on the wire.
//!
//! **What userland cannot do:** the kernel on the near side acknowledges bytes
//! and completes handshakes before we see them. A silent cut therefore accepts
//! new connections and lets nothing flow, and senders see no retransmission.

mod carry;
mod census;
mod forward;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_core::model::SiteId;

pub use census::Census;
pub use forward::{Dialer, Forward};
pub use wire::{Cut, Shape, Wire};

/// Where a process stands: a site, the witness, or outside.
pub type Place = SiteId;

/// All wires between some places.
#[derive(Debug, Clone)]
pub struct Net {
    wires: BTreeMap<(Place, Place), Arc<Wire>>,
    loopback: Arc<Wire>,
    seed: u64,
}

impl Net {
    /// A wire in both directions between every two of `places`, all of the same `shape`;
    /// `seed` drives the jitter.
    pub fn new(places: &[Place], shape: Shape, seed: u64) -> Self {
        let pairs = places
            .iter()
            .flat_map(|from| places.iter().map(move |to| (*from, *to)));
        let wires = pairs
            .filter(|(from, to)| from != to)
            .map(|pair| (pair, Arc::new(Wire::new(shape))))
            .collect();
        Self {
            wires,
            loopback: Arc::new(Wire::new(Shape::default())),
            seed,
        }
    }

    /// The wire from one place to another; within a place a perfect one.
    pub fn wire(&self, from: Place, to: Place) -> &Arc<Wire> {
        self.wires.get(&(from, to)).unwrap_or(&self.loopback)
    }

    /// Whether there is a wire between the two.
    pub fn joins(&self, from: Place, to: Place) -> bool {
        self.wires.contains_key(&(from, to))
    }

    /// Whether no wire from or to `place` is cut.
    fn is_whole_around(&self, place: Place) -> bool {
        let touching = self
            .wires()
            .filter(|(from, to, _)| *from == place || *to == place);
        touching.into_iter().all(|(_, _, wire)| wire.is_open())
    }

    /// Every wire with its ends.
    pub fn wires(&self) -> impl Iterator<Item = (Place, Place, &Wire)> {
        self.wires
            .iter()
            .map(|((from, to), wire)| (*from, *to, &**wire))
    }
}
