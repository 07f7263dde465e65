//! Tandem's own edge: one address in front of two clouds.
//!
//! The thin shell around `tandem_core::traffic` on Pingora. Probes find out who
//! is alive, the core says where a request goes and whether it may be tried
//! again, Pingora carries the bytes. Nothing here decides.
//!
//! Invariant: a request that may change something is sent at most once. Every
//! answer carries `X-Cloud-Provider`: the origin's own, or that of the pool the
//! request was meant for.
//! Refused: pingora-load-balancing. Its health starts as "up", one hung origin
//! delays the probes of all others, and a pool of zero weights panics.

mod admin;
mod clock;
mod config;
mod metrics;
mod prober;
mod proxy;
mod server;
mod state;

pub use config::{EdgeConfig, Probes, Timeouts};
pub use server::{Edge, StartError};
pub use state::Chance;
