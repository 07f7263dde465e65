//! The offline answers over whole installations: one binary for all of them.

mod check;
mod cost;
mod hostile;
mod plan;
mod support;
