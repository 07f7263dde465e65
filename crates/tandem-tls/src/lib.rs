//! Certificates and mutual TLS between Tandem's own programs: files, listener, client, authority.
//!
//! Every agent, gate, etcd member and person has one certificate of the cluster's own authority,
//! and both ends of each connection show theirs. A certificate carries the *name of the program*
//! (`aws-1.crm-dr.tandem`), which the other end expects, whatever address leads there: links,
//! tunnels and moved addresses need no new certificate, and an agent cannot pose as another.
//!
//! Invariant: with credentials nothing is spoken in the clear and no stranger is answered.
//! Without them (`[tls]` is absent) everything is plain, which is for loopback only.
//! Refused: reqwest's TLS, which panics in every other client of the workspace until one of
//! them has chosen a provider for the whole process.

mod authority;
mod client;
mod credentials;
mod error;
mod server;

pub use authority::{Authority, Program, programs};
pub use client::{Answer, AskError, Peer};
pub use credentials::Credentials;
pub use error::TlsError;
pub use server::Listener;

/// The name in the certificate of `program` in `cluster`.
pub fn name_of(cluster: &str, program: &str) -> String {
    format!("{program}.{cluster}.tandem")
}

/// The program name of the etcd member at `site`.
pub fn store_program(site: tandem_core::model::SiteId) -> String {
    format!("etcd-{site}")
}
