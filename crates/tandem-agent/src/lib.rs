//! The site daemon: look, plan, act, report.
//!
//! The planner in `tandem-core` decides; this crate only looks (store, probes,
//! database), does what the plan says on its *own* site, and tells others what
//! it knows. Each kind of input has a task and a time-out of its own, so that a
//! frozen database or a silent peer never delays the renewal of the right to write.
//!
//! Where to start: `drive` (the loop), then `act` (effects), then `state` (what was seen).
//! Invariant: what was learned about the right to write is on disk before it is acted on.

mod act;
mod api;
mod clock;
mod database;
mod desk;
mod drive;
mod initialise;
mod journal;
mod leader;
mod lookup;
mod memory;
mod metrics;
mod observe;
mod overview;
pub mod people;
mod probe;
mod promise;
mod relay;
mod requests;
mod right;
mod run;
mod state;
mod status;
mod store;
pub mod tokens;

pub use database::{Database, DatabaseError};
pub use initialise::{InitError, initialise};
pub use journal::Entry as JournalEntry;
pub use lookup::authority_phase;
pub use memory::{MemoryError, MemoryFile};
pub use overview::{Answer, OVERVIEW_SCHEMA, Overview, Row};
pub use relay::Relay;
pub use run::{Agent, AgentError, run};
pub use status::{
    AuthorityShown, ExposureShown, ModeShown, Ping, ReportShown, Role, STATUS_SCHEMA, Status,
};
pub use store::connect as connect_store;
