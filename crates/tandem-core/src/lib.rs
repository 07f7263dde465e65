//! The brain of Tandem: every decision, no input or output.
//!
//! Nothing here reads a clock, a socket, a file or a random number: time and
//! chance come in as arguments, decisions go out as values. The crate is
//! `no_std + alloc`, so the compiler refuses what the rule forbids.
#![no_std]

extern crate alloc;

/// Whether one safety rule was taken away, to see that somebody notices.
macro_rules! off {
    ($rule:ident) => {
        crate::mutation::is(crate::mutation::Mutation::$rule)
    };
}

pub mod authority;
pub mod config;
pub mod database;
pub mod drill;
pub mod gate;
pub mod model;
pub mod mutation;
pub mod planner;
pub mod slo;
pub mod traffic;
pub mod wire;
