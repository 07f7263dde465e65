//! The gate in process, against a real PostgreSQL and a tiny agent that says what the test wants.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic, in its helpers too"
)]

mod admin;
mod cancel;
mod frozen;
mod hold;
mod relay;
mod right;
mod support;
