//! The PostgreSQL frontend/backend protocol, as much as a gate must know: pure.
//!
//! Message boundaries in both directions, the packets before the first message,
//! and who waits for whom. Bodies pass untouched; authentication stays between
//! client and server.

pub mod dialogue;
pub mod frame;
pub mod refusal;
pub mod startup;
