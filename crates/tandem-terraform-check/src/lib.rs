//! The infrastructure code, checked by the real terraform without any cloud.
//!
//! Intuition: terraform asks its providers what is allowed and what came of it. Here a process of
//! our own answers, from schemas recovered out of published packages and a table of what schemas
//! cannot say; so validate, test, plan, apply, the empty second plan and destroy all run offline.
//! Invariant: whatever a plan shows as known is returned unchanged, and only unknowns are replaced,
//! once; that is what makes an empty second plan mean something.
//! Refused: mocks inside `terraform test`. They need a schema all the same, fail on computed blocks,
//! and know no value rules.

pub mod backend;
pub mod bench;
pub mod cut;
pub mod error;
pub mod faults;
pub mod harness;
pub mod hcl;
pub mod invent;
pub mod lifecycle;
pub mod mutation;
pub mod names;
pub mod overlay;
pub mod provider;
pub mod reading;
pub mod readme;
pub mod rules;
pub mod schema;
pub mod server;
pub mod terraform;
pub mod topology;
pub mod unused;
pub mod value;
pub mod versions;
pub mod wire;

pub use error::Error;
