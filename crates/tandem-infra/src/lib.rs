//! Offline answers about an installation: what it really promises (`check`),
//! what it really costs (`cost`), what its rates really mean (`slo`).
//!
//! Intuition: a configuration is a set of promises; most are never computed.
//! Everything here is computed from files, without servers, network or root.
//! Invariant: no rule and no price touches a file; readers build the
//! [`estate::Estate`], everything else is a pure function over it.

pub mod assume;
pub mod check;
pub mod cloud;
pub mod cost;
pub mod docs;
pub mod error;
pub mod estate;
pub mod from_terraform;
pub mod import;
pub mod keys;
pub mod machine;
pub mod phases;
pub mod preflight;
pub mod read;
pub mod secret;
pub mod slo;
pub mod versions;
pub mod vpn_lab;

pub use error::Error;
