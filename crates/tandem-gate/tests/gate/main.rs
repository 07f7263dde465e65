//! The gate in process, against a real PostgreSQL and a tiny agent that says what the test wants.

mod admin;
mod cancel;
mod frozen;
mod hold;
mod relay;
mod right;
mod support;
