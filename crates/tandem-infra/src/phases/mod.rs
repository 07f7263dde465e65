//! The six phases of an installation, driven by one command.
//!
//! Intuition: the guide is a list of commands with notes to copy between them.
//! Here the list is data ([`step`]), the notes are wires ([`wiring`]), what was
//! done stands in a journal ([`journal`]), and one loop ([`run`]) asks the pure
//! [`step::next`] what to do.
//! Invariant: a step that the journal calls done is never done again in that
//! run; a run that was killed anywhere goes on where it stopped.
//! Refused: `terraform_remote_state` across the clouds. It ties the plan of one
//! cloud to the life of the other.

pub mod checklist;
pub mod facts;
pub mod journal;
pub mod lock;
pub mod planned;
pub mod replication;
pub mod run;
pub mod step;
pub mod stop;
pub mod terraform;
pub mod tree;
pub mod wiring;

pub use step::{Direction, Phase, Root, Step, Work};
pub use stop::{Kind, Stop};
