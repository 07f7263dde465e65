//! What one gate must know, taken out of `tandem.toml`.

use std::time::Duration;

use tandem_core::config::{Agent, Config, Postgres};
use tandem_core::model::SiteId;
use tandem_tls::{Credentials, Peer, TlsError};

/// How many sessions one port carries; two sockets each. PostgreSQL's own
/// `max_connections` is usually far below.
pub const SESSIONS_MAX: usize = 1_000;

/// How many write sessions may wait for a primary at once.
pub const HELD_MAX: usize = 500;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A new write session waits this long for a primary: an unplanned failover takes 6-8 s.
    pub hold: Duration,
    /// A new read session waits this long for the local database: a restart of PostgreSQL. Short,
    /// since the other site reads as well.
    pub hold_read: Duration,
    /// Between two tries to connect.
    pub retry: Duration,
    /// One TCP connect; the other site may be a continent away.
    pub connect: Duration,
    /// From the startup packet to the server's first word. A busy PostgreSQL forks in well below 1 s.
    pub answer: Duration,
    /// A client's startup packet and its encryption requests.
    pub opening: Duration,
    /// Between two asks of one agent (design section 4, rule 5).
    pub ask_every: Duration,
    /// One ask of one agent.
    pub ask: Duration,
    /// A stopping gate lets transactions come to their end this long.
    pub drain: Duration,
    /// A cut client gets this long to read why.
    pub farewell: Duration,
}

impl Bounds {
    /// The bounds in service.
    pub const SERVICE: Self = Self {
        hold: Duration::from_secs(10),
        hold_read: Duration::from_secs(2),
        retry: Duration::from_millis(100),
        connect: Duration::from_secs(1),
        answer: Duration::from_secs(3),
        opening: Duration::from_secs(10),
        ask_every: Duration::from_millis(250),
        ask: Duration::from_millis(500),
        drain: Duration::from_millis(400),
        farewell: Duration::from_millis(200),
    };
}

/// One agent of this site.
#[derive(Debug, Clone)]
pub struct AgentAt {
    /// Its HTTP API, as `host:port`.
    pub address: String,
    /// The way to it.
    pub peer: Peer,
}

impl AgentAt {
    /// The agent `name` at `address`.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn new(
        name: &str,
        address: &str,
        credentials: Option<&Credentials>,
        bounds: Bounds,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            address: address.to_owned(),
            peer: Peer::new(name, address, credentials, bounds.ask)?,
        })
    }
}

/// What one gate must know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The gate's name.
    pub name: String,
    /// Its site.
    pub site: SiteId,
    /// Where write sessions of this site's applications arrive.
    pub rw_listen: String,
    /// Where read sessions of this site's applications arrive.
    pub ro_listen: String,
    /// Where the other site's gates bring write sessions.
    pub peer_listen: String,
    /// Where the admin HTTP is served.
    pub admin_listen: String,
    /// The local database, as `host:port`.
    pub database: String,
    /// This site's agents.
    pub agents: Vec<AgentAt>,
    /// The peer ports of the other site's gates, the preferred one first.
    pub peers: Vec<String>,
    /// What one renewal gives at most.
    pub remaining_max: Duration,
    /// How long things may take.
    pub bounds: Bounds,
}

/// Why there are no settings for a gate.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// No such site with data.
    #[error("sites.{0}: there is no such site; use one of: {1}")]
    Site(SiteId, String),
    /// No such gate at the site.
    #[error("sites.{0}.gates: there is no gate named `{1}`; use one of: {2}")]
    Gate(SiteId, String, String),
    /// Its certificate and key are not usable.
    #[error("the gate's certificates are not usable")]
    Tls(#[from] TlsError),
}

impl Settings {
    /// The settings of gate `name` at `site`.
    ///
    /// # Errors
    /// A site or a gate that the configuration does not know, or certificates that are not usable.
    pub fn of(config: &Config, site: SiteId, name: &str) -> Result<Self, Unknown> {
        let own = config.sites.get(&site).ok_or_else(|| {
            Unknown::Site(site, join(config.sites.keys().map(ToString::to_string)))
        })?;
        let index = own
            .gates
            .iter()
            .position(|gate| gate.name == name)
            .ok_or_else(|| {
                let names = join(own.gates.iter().map(|gate| gate.name.clone()));
                Unknown::Gate(site, name.to_owned(), names)
            })?;
        let other = config
            .other_site(site)
            .and_then(|other| config.sites.get(&other));
        let mut peers: Vec<String> = other
            .map(|other| {
                other
                    .gates
                    .iter()
                    .map(|gate| gate.peer_address.clone())
                    .collect()
            })
            .unwrap_or_default();
        if !peers.is_empty() {
            let first = index % peers.len();
            peers.rotate_left(first);
        }
        let gate = &own.gates[index];
        let credentials = Credentials::of(config, name)?;
        let at = |agent: &Agent| {
            let (name, address) = (&agent.name, &agent.address);
            AgentAt::new(name, address, credentials.as_ref(), Bounds::SERVICE)
        };
        let agents = own.agents.iter().map(at).collect::<Result<_, _>>()?;
        Ok(Self {
            name: gate.name.clone(),
            site,
            rw_listen: gate.rw_listen.clone(),
            ro_listen: gate.ro_listen.clone(),
            peer_listen: gate.peer_listen.clone(),
            admin_listen: gate.admin_listen.clone(),
            database: database(&own.postgres),
            agents,
            peers,
            remaining_max: config.policy.authority.hold(),
            bounds: Bounds::SERVICE,
        })
    }
}

fn database(postgres: &Postgres) -> String {
    let host = postgres.address.as_ref().unwrap_or(&postgres.host);
    let bracketed = host.contains(':') && !host.starts_with('[');
    if bracketed {
        format!("[{host}]:{}", postgres.port)
    } else {
        format!("{host}:{}", postgres.port)
    }
}

fn join(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../docs/examples/tandem.toml");

    fn settings(site: &str, name: &str) -> Result<Settings, Unknown> {
        let mut config = Config::parse(EXAMPLE).unwrap_or_else(|faults| panic!("{faults}"));
        config.tls = None;
        Settings::of(&config, site.parse().unwrap(), name)
    }

    #[test]
    fn each_gate_prefers_its_own_counterpart_at_the_other_site() {
        let first = settings("gcp", "gcp-gate-1").unwrap();
        assert_eq!(first.peers, ["10.30.10.31:6434", "10.30.11.32:6434"]);
        let second = settings("gcp", "gcp-gate-2").unwrap();
        assert_eq!(second.peers, ["10.30.11.32:6434", "10.30.10.31:6434"]);
        let agents: Vec<_> = second.agents.iter().map(|agent| &agent.address).collect();
        assert_eq!(agents, ["10.20.0.21:8400", "10.20.0.22:8400"]);
        assert_eq!(second.database, "crm-dr-postgres.internal.example.com:5432");
        assert_eq!(second.remaining_max, Duration::from_millis(5380));
    }

    #[test]
    fn unknown_gates_are_named_with_what_there_is() {
        let error = settings("aws", "aws-gate-9").unwrap_err().to_string();
        assert!(
            error.ends_with("use one of: aws-gate-1, aws-gate-2"),
            "{error}"
        );
        let error = settings("witness", "aws-gate-1").unwrap_err().to_string();
        assert!(error.ends_with("use one of: aws, gcp"), "{error}");
    }
}
