//! Whole incidents in virtual time: seeds, faults, invariants, and a model of the same code.
//!
//! Intuition: a film set. Stores, databases, links and people are fakes that may fail in every
//! way that the real ones do; the agents on it are the real ones, since every decision is a call
//! of `tandem-core` with the time as an argument. A seed is a whole film, and the same seed is
//! the same film, bit for bit.
//!
//! Invariant: nothing here reads a clock, an address or the order of a hash table.
//! Refused: a second model of the rules. It could only agree with itself.

/// Whether one safety rule was taken away, to see that somebody notices.
macro_rules! off {
    ($rule:ident) => {
        tandem_core::mutation::is(tandem_core::mutation::Mutation::$rule)
    };
}

pub mod agent;
pub mod clock;
pub mod database;
pub mod event;
pub mod fault;
pub mod gate;
pub mod model;
pub mod network;
pub mod oracle;
pub mod random;
pub mod run;
pub mod store;
pub mod world;
