//! Drills: an experiment with a hypothesis, a history, and a verdict.
//!
//! A drill file says what is broken ([`action`]), when, under which load, and what must
//! hold ([`file`]). Whoever runs it (the lab with real processes, the
//! simulator with virtual time) hands back what outside clients saw
//! ([`history`]); from that alone come the moments T0..T7 ([`timing`]), the
//! judgement over every acknowledged write ([`oracle`]) and the verdict
//! ([`verdict`]).
//!
//! Invariant: no figure is taken from the controller's own word. Agents'
//! reports only *name* phases; recovery is what clients measured.
//! Refused: a passed evaluation of the plan as a passed drill.

pub mod action;
pub mod bound;
pub mod crash;
pub mod curves;
pub mod file;
pub mod history;
pub mod inside;
pub mod measure;
pub mod observed;
pub mod oracle;
pub mod pause;
pub mod schedule;
pub mod timing;
pub mod verdict;

#[cfg(test)]
mod transcript;

pub use action::{Action, Aftermath};
pub use bound::Bound;
pub use crash::Crash;
pub use file::{Condition, Drill, FileError, InsideLoad, Load, Phases, Statement, Step};
pub use history::{Kind, Origin, Outcome, Request, Row};
pub use inside::{Door, Inside};
pub use measure::Measure;
pub use observed::{Finding, Injected, Observed};
pub use oracle::Oracle;
pub use pause::Moved;
pub use timing::Timing;
pub use verdict::Verdict;
