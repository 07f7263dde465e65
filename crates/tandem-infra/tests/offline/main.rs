//! The offline answers over whole installations: one binary for all of them.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests stop the test, as the tests do"
)]

mod check;
mod cost;
mod hostile;
mod plan;
mod support;
