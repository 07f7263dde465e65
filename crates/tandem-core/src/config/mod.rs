//! `tandem.toml`: what a cluster is and what it promises.
//!
//! One file describes the whole cluster *as seen from one place*: the same
//! policy everywhere, addresses as this place reaches them. Shells read the
//! file; this module turns its text into a [`Config`] or into all of its
//! faults at once, each with line, key path and fix.
//!
//! Here are the types only. `keys` registers every key with its bounds and
//! reasons, `reader` collects faults along it, `relations` compares values,
//! `parse` puts the three in order.

mod faults;
mod keys;
mod kind;
mod parse;
mod reader;
mod relations;
#[cfg(test)]
mod tests;

pub use faults::{Fault, Faults};
pub use keys::{KEYS, Key, Need, find, matching};
pub use kind::Kind;
pub use parse::{Entry, Origin};

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::SiteId;

/// The whole configuration, every relation checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the file's shape; this build reads 1.
    pub version: u32,
    /// The cluster's name, typed to confirm dangerous commands.
    pub cluster: String,
    /// What Tandem may do and what it promises.
    pub policy: Policy,
    /// What the databases of both sites have in common.
    pub database: Database,
    /// The two sites that carry the service, by name.
    pub sites: BTreeMap<SiteId, Site>,
    /// The third place: a vote and a vantage, no data.
    pub witness: Witness,
    /// Mutual TLS between Tandem's programs and etcd; absent = plain, for loopback only.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Who may ask for changes.
    #[serde(default)]
    pub access: Access,
}

impl Config {
    /// The site that is not `site`. `None` if `site` is no data site.
    pub fn other_site(&self, site: SiteId) -> Option<SiteId> {
        self.sites
            .contains_key(&site)
            .then(|| self.sites.keys().copied().find(|other| *other != site))
            .flatten()
    }

    /// The agents of `site`, which may be the witness.
    pub fn agents(&self, site: SiteId) -> &[Agent] {
        match self.sites.get(&site) {
            Some(found) => &found.agents,
            None if site == self.witness.name => &self.witness.agents,
            None => &[],
        }
    }
}

/// How far Tandem may go by itself (design section 4, rule 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Writes nothing, logs what it would have done.
    Observe,
    /// A named person approves each promotion.
    Confirm,
    /// Promotes by itself when every safety rule passes.
    Automatic,
}

/// What Tandem may do and what it promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How far Tandem may go by itself.
    pub mode: Mode,
    /// The site that `tandem init` names as the first writer.
    pub first_primary: SiteId,
    /// The time-limited right to write.
    pub authority: AuthorityPolicy,
    /// How much acknowledged work may be unreplicated.
    pub exposure: ExposurePolicy,
    /// When a site counts as lost.
    pub detection: DetectionPolicy,
    /// What bounds automatic promotions.
    pub promotion: PromotionPolicy,
    /// What the service promises its users.
    pub targets: Targets,
}

/// Timing of the right to write. Relation, checked when the file is read:
/// `renew + 2 * call_timeout <= ttl * (1 - drift) - cut`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityPolicy {
    /// How long a renewal holds, in milliseconds.
    pub ttl_ms: u64,
    /// How often the holder renews, in milliseconds.
    pub renew_ms: u64,
    /// How long one call to the store may take, in milliseconds.
    pub call_timeout_ms: u64,
    /// Time to cut every session at the deadline, in milliseconds.
    pub cut_ms: u64,
    /// The error *between* two clocks, in thousandths (20 = 2 %).
    pub drift_per_mille: u64,
}

impl AuthorityPolicy {
    /// How long a taker counts.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    /// The holder's renewal period.
    pub fn renew(&self) -> Duration {
        Duration::from_millis(self.renew_ms)
    }

    /// The time to cut every session, which is also the most that one reading adds to a count.
    pub fn cut(&self) -> Duration {
        Duration::from_millis(self.cut_ms)
    }

    /// The bound of one call to the store.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    /// How long a holder may write after the moment before a good renewal was
    /// sent: `ttl * (1 - drift) - cut` (design section 4, rule 1).
    pub fn hold(&self) -> Duration {
        let drifted = self.ttl_ms * (1000 - self.drift_per_mille.min(1000)) / 1000;
        Duration::from_millis(drifted.saturating_sub(self.cut_ms))
    }
}

/// Whether acknowledgements wait for the peer (design section 4, rule 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExposurePolicy {
    /// The oldest heartbeat known as applied at the peer with which the primary still
    /// acknowledges, in milliseconds.
    pub bound_ms: u64,
    /// How often the primary writes a heartbeat, in milliseconds.
    pub heartbeat_ms: u64,
}

impl ExposurePolicy {
    /// The bound as a span.
    pub fn bound(&self) -> Duration {
        Duration::from_millis(self.bound_ms)
    }
}

/// When an observer says that a site is lost: `failures` probes in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectionPolicy {
    /// Time between probes, in milliseconds.
    pub probe_ms: u64,
    /// Time-out of one probe, in milliseconds; below `probe_ms`.
    pub timeout_ms: u64,
    /// Failed probes in a row.
    pub failures: u32,
    /// Good probes in a row before a lost site counts as back.
    pub successes: u32,
    /// How long a silent database is left to its provider's own failover before its site hands
    /// the right over, in seconds.
    pub database_wait_s: u64,
}

impl DetectionPolicy {
    /// How long a silent database is left to its provider.
    pub fn database_wait(&self) -> Duration {
        Duration::from_secs(self.database_wait_s)
    }
}

/// Bounds of automatic promotions (design section 4, rule 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionPolicy {
    /// After an automatic promotion the next waits this long, in seconds.
    pub block_window_s: u64,
    /// Automatic promotions within 24 hours.
    pub per_day: u32,
}

/// What the service promises its users; `tandem check` computes whether it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// Availability in percent, as text so that it stays exact (`99.99`).
    pub availability_percent: String,
    /// Longest time to notice a lost site, in seconds.
    pub detect_s: u64,
    /// Recovery time objective, in seconds.
    pub rto_s: u64,
    /// Recovery point objective, in seconds.
    pub rpo_s: u64,
    /// 95th percentile of response times, in milliseconds.
    pub p95_ms: u64,
}

/// What the databases of both sites have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The database that is replicated.
    pub name: String,
    /// Schemas whose tables are published.
    pub schemas: Vec<String>,
    /// The role that owns the tables; no login.
    pub owner_role: String,
    /// The role applications log in with; owns nothing.
    pub application_role: String,
    /// The role agents log in with.
    pub agent_role: String,
    /// The role the subscription logs in with.
    pub replication_role: String,
    /// Publication on the primary.
    pub publication: String,
    /// Logical slot on the primary.
    pub slot: String,
    /// Subscription on the replica.
    pub subscription: String,
    /// Days after which the rows of a ledger are erased; 0 = when a person says so.
    pub ledger_keep_days: u32,
}

/// One cloud's whole stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// What `X-Cloud-Provider` says for this site.
    pub cloud: String,
    /// The site's PostgreSQL.
    pub postgres: Postgres,
    /// The site's member of the coordination store, as `http://host:port`.
    pub store: String,
    /// The site's agents, two in the normal case.
    pub agents: Vec<Agent>,
    /// The site's gates, two in the normal case.
    pub gates: Vec<Gate>,
}

/// How to reach one PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// The server's name, which TLS verifies; never an IP address, since the
    /// address changes when the provider fails over.
    pub host: String,
    /// Where to connect instead of resolving `host` (libpq's `hostaddr`).
    #[serde(default)]
    pub address: Option<String>,
    /// The server's port.
    pub port: u16,
    /// How replication connections are secured.
    pub replication_sslmode: SslMode,
    /// The authority that signed the server's certificate, for `verify-full`: a file of the
    /// subscribing server.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// The same authority as a file of this machine, for Tandem's own logins (agents, setup,
    /// doctor), which then verify chain and name; without it they are not encrypted.
    #[serde(default)]
    pub login_ca_file: Option<String>,
    /// File with the agent role's password.
    pub agent_password_file: String,
    /// File with the replication role's password.
    pub replication_password_file: String,
    /// The role that `tandem replication setup` logs in with (RDS: the master user).
    pub admin_role: String,
    /// File with the admin role's password.
    pub admin_password_file: String,
}

/// libpq's `sslmode`, without the values that allow silent plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Encrypted, the server is not authenticated.
    Require,
    /// Encrypted, certificate and name are verified.
    VerifyFull,
}

/// One agent: Tandem's daemon at a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Unique in the cluster.
    pub name: String,
    /// Where its HTTP API listens.
    pub listen: String,
    /// Where others reach its HTTP API from here, as `host:port`.
    pub address: String,
    /// Where its replication relay listens; absent at the witness.
    #[serde(default)]
    pub relay_listen: Option<String>,
    /// Folder for what it must remember across restarts.
    pub state_dir: String,
}

/// One gate: the local endpoint through which applications reach PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Unique in the cluster.
    pub name: String,
    /// Where write sessions of this site's applications arrive.
    pub rw_listen: String,
    /// Where read sessions of this site's applications arrive.
    pub ro_listen: String,
    /// Where write sessions forwarded by the other site's gates arrive; never forwarded again.
    pub peer_listen: String,
    /// Where the other site's gates reach `peer_listen` from here, as `host:port`.
    pub peer_address: String,
    /// Where `GET /v1/writer`, `/v1/status` and `/metrics` are served.
    pub admin_listen: String,
    /// Where others reach `admin_listen` from here, as `host:port`.
    pub admin_address: String,
}

/// The third place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// The name of the third place.
    pub name: SiteId,
    /// The witness's member of the coordination store, as `http://host:port`.
    pub store: String,
    /// The witness's agents, usually one.
    pub agents: Vec<Agent>,
}

/// Mutual TLS: `NAME.crt` and `NAME.key` of each program that runs here stand in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate of the cluster's own authority.
    pub ca_file: String,
    /// The folder of certificates and keys.
    pub folder: String,
    /// The certificate that commands typed here show.
    pub client: String,
}

/// Who may ask for changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Named persons; with none, nothing can be asked for.
    #[serde(default)]
    pub tokens: Vec<AccessToken>,
}

/// One named person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// The name under which requests are kept and shown.
    pub name: String,
    /// File with the hash of the person's token, made by `tandem token new`.
    pub hash_file: String,
}
