//! The gate: the local endpoint through which applications reach PostgreSQL.
//!
//! Applications connect to it as to PostgreSQL. It leads write sessions to the
//! site that has the right to write, wherever that is, and read sessions to the
//! local database, always. When the right ends, nothing more passes.
//!
//! Invariant: past the deadline nothing from the database reaches a client of a
//! write session. The clock is read after every wake-up, right before each write.
//! Where to start: `tandem_core::gate` decides, [`term`] carries the decision to the
//! sessions, [`keeper`] asks the agents, [`session`] is the life of one connection.

pub mod clock;
pub mod gate;
pub mod keeper;
pub mod protocol;
pub mod roster;
pub mod settings;
pub mod term;

mod admin;
mod session;
mod socket;

pub use gate::{Gate, GateError};
pub use settings::Settings;
