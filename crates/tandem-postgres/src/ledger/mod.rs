//! The ledger: exactly what a failed primary had acknowledged and the survivor never got.
//!
//! The survivor reads it out of the failed primary's log as soon as that server answers
//! again, classifies every change, and keeps it in its own database, written in one
//! transaction: a ledger that exists is whole, and stands outside the server it is about. What
//! somebody writes into the fenced server later is added before the way back repairs anything.
//!
//! Invariant: no row of the failed primary is changed before its ledger is durable here.
//! It may hold commits that were never acknowledged (in flight at the crash): being listed
//! too often harms nobody, being lost silently does.
//! Refused: files of an agent as the only copy; an agent's disk dies with its site.

mod classify;
mod collect;
mod keep;

pub use classify::Class;
pub use collect::collect;
pub use keep::{Entry, Ledger, changes, erase, list};

pub(crate) use classify::{begun, key, keys};
pub(crate) use collect::{BATCH, count, extend, matched, reader, texts, types};
