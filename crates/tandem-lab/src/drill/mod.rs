//! Drills with real processes: break something under load and measure.
//!
//! Outside clients keep a timetable ([`load`]), observers listen ([`observe`]),
//! the runner breaks what the drill file says or asks as a named person ([`runner`]), and the core judges
//! what was seen. Evidence is written for people and for programs
//! ([`evidence`]).
//!
//! Invariant: the clients know nothing of the runner, and the verdict nothing
//! of the controller: only what was answered, and what the databases have, counts.

mod aftermath;
pub mod bench;
pub mod circumstances;
pub mod client;
pub mod clock;
mod command;
mod crash;
mod databases;
mod error;
pub mod evidence;
pub mod inside;
pub mod journal;
pub mod load;
mod migration;
pub mod observe;
mod person;
mod prepare;
pub mod progress;
pub mod runner;
pub mod series;
pub mod shelf;
pub mod stage;
pub mod stop;
pub mod visibility;

pub use error::Error;
pub use stop::Stop;
