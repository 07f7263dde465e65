//! Two clouds on one machine: real servers and our own binaries as processes.
//!
//! Nothing in the lab is a mock: PostgreSQL, Redis and etcd are the ones of the
//! distribution, the rest are the binaries that run in production. What the
//! lab adds is what a data centre adds: wires between the places that can be
//! slowed, throttled and cut, and a hand on every plug.
//!
//! **Invariant:** whatever the lab starts dies with it, even after `kill -9`,
//! and it never touches a process or file that it did not make.

pub mod certificates;
pub mod control;
pub mod drill;
mod error;
mod http;
pub mod lab;
pub mod links;
pub mod namespaces;
pub mod ports;
pub mod process;
pub mod servers;
mod wait;

pub use error::{Error, Result};
pub use lab::{Lab, LabOptions};
