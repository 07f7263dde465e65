//! The files that processes read: `tandem.toml` per place, `edge.json`, passwords, certificates.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tandem_core::config::{
    Access, AccessToken, Agent, AuthorityPolicy, Config, Database, DetectionPolicy, ExposurePolicy,
    Gate, Mode, Policy, Postgres, PromotionPolicy, Site, SslMode, Targets, Witness,
};

use super::layout::{AgentPorts, GatePorts, Layout, SitePorts, outside, place, witness};
use crate::links::Place;
use crate::process::{Host, password, write_secret};
use crate::servers::SUPERUSER;
use crate::{Error, Result};

/// The replicated database.
pub(crate) const DATABASE: &str = "crm";
/// The role that applications log in with.
pub(crate) const APPLICATION_ROLE: &str = "crm_app";
/// The role that owns the tables.
pub(crate) const OWNER_ROLE: &str = "crm_owner";
/// The person whose access token the lab makes, by the name that history shows.
pub(crate) const PERSON: &str = "operator";
/// Roles with a password of the lab's making.
const SECRETS: [&str; 3] = ["agent", "replication", "application"];

/// What `X-Cloud-Provider` says.
pub(crate) fn cloud(site: Place) -> String {
    site.as_str().to_uppercase()
}

/// The name in a site's server certificate.
pub(crate) fn postgres_host(site: Place) -> String {
    format!("postgres.{site}.lab")
}

impl Layout {
    /// Makes the folders of every place; others may pass through, only we may list.
    pub(crate) fn make_folders(&self) -> Result<()> {
        let places = self.members().map(|place| place.to_string());
        let names = places.chain(["outside", "logs", "secrets"].map(str::to_owned));
        for folder in names
            .map(|name| self.file(name))
            .chain([self.memory.clone()])
        {
            make_folder(&folder)?;
        }
        Ok(())
    }

    /// Writes the passwords that are not there yet.
    pub(crate) fn write_secrets(&self) -> Result<()> {
        for name in SECRETS {
            let path = self.secret_file(name);
            if !path.exists() {
                write_secret(&path, &password())?;
            }
        }
        Ok(())
    }

    pub(crate) fn secret_file(&self, name: &str) -> PathBuf {
        self.file(format!("secrets/{name}.password"))
    }

    pub(crate) fn secret(&self, name: &str) -> Result<String> {
        let path = self.secret_file(name);
        fs::read_to_string(&path).map_err(Error::file("read", &path))
    }

    /// The person's access token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.file(format!("secrets/{PERSON}.token"))
    }

    /// The folder that holds the token's hash, in a file named after the person.
    pub(crate) fn token_hashes(&self) -> PathBuf {
        self.file("secrets")
    }

    /// The cluster's name, which a person types before a dangerous change.
    pub(crate) fn cluster(&self) -> String {
        format!("lab-{}", self.base_port)
    }

    pub(crate) fn superuser_password_file(&self, site: Place) -> PathBuf {
        self.file(format!("{site}/postgres/superuser.password"))
    }

    /// Writes `tandem.toml` for every place and `edge.json` for the edge.
    pub(crate) fn write_configs(&self) -> Result<()> {
        for seer in self.members().chain([outside()]) {
            let text = toml::to_string(&self.config(seer)).expect("the types are plain TOML");
            write(&self.config_file(seer), &text)?;
        }
        let edge = serde_json::to_string_pretty(&self.edge()).expect("plain JSON");
        write(&self.file("outside/edge.json"), &edge)
    }

    /// The cluster as seen from `seer`.
    pub(crate) fn config(&self, seer: Place) -> Config {
        let site = |(name, ports): (&Place, &SitePorts)| (*name, self.site(*name, ports, seer));
        Config {
            version: 1,
            cluster: self.cluster(),
            policy: policy(),
            database: database(),
            sites: self.sites.iter().map(site).collect::<BTreeMap<_, _>>(),
            witness: Witness {
                name: witness(),
                store: format!("http://{}", self.witness_store.client.address(seer)),
                agents: vec![self.agent(&self.witness_agent, seer)],
            },
            tls: None,
            access: self.access(),
        }
    }

    /// The one person of the lab. In namespaces agents listen on addresses, where a token without
    /// TLS would travel in the clear: nobody is known there.
    fn access(&self) -> Access {
        if !self.network.has_forwards() {
            return Access::default();
        }
        let hash_file = self.token_hashes().join(PERSON).display().to_string();
        let name = PERSON.to_owned();
        Access {
            tokens: vec![AccessToken { name, hash_file }],
        }
    }

    fn site(&self, name: Place, ports: &SitePorts, seer: Place) -> Site {
        let text = |path: PathBuf| path.display().to_string();
        Site {
            cloud: cloud(name),
            postgres: Postgres {
                host: postgres_host(name),
                address: Some(self.host(name).address.to_string()),
                port: ports.postgres.seen_from(seer),
                replication_sslmode: SslMode::VerifyFull,
                ca_file: Some(text(self.file("ca.crt"))),
                login_ca_file: None,
                agent_password_file: text(self.secret_file("agent")),
                replication_password_file: text(self.secret_file("replication")),
                admin_role: SUPERUSER.into(),
                admin_password_file: text(self.superuser_password_file(name)),
            },
            store: format!("http://{}", ports.store.client.address(seer)),
            agents: ports
                .agents
                .iter()
                .map(|agent| self.agent(agent, seer))
                .collect(),
            gates: ports.gates.iter().map(|ports| gate(ports, seer)).collect(),
        }
    }

    fn agent(&self, ports: &AgentPorts, seer: Place) -> Agent {
        let folder = self
            .file(ports.api.at.as_str())
            .join(format!("agent-{}", ports.name));
        Agent {
            name: ports.name.clone(),
            listen: ports.api.socket().to_string(),
            address: ports.api.address(seer),
            relay_listen: ports.relay.map(|port| self.at(ports.api.at, port)),
            state_dir: folder.display().to_string(),
        }
    }

    /// Two pools, half of the traffic each, probed below a second.
    fn edge(&self) -> serde_json::Value {
        let pools: Vec<_> = self
            .sites
            .iter()
            .map(|(site, ports)| pool(*site, ports))
            .collect();
        let names: Vec<_> = self.sites.keys().map(ToString::to_string).collect();
        let weights: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), 0.5)).collect();
        json!({
            "listen": self.at(outside(), self.edge),
            // The edge takes orders from its own machine alone.
            "admin_listen": Host::default().at(self.edge_admin).to_string(),
            "writes_header": "x-writes",
            "probes": { "interval_ms": 500, "timeout_ms": 450 },
            "monitors": [{
                "id": "health", "type": "http", "method": "GET", "path": "/health",
                "expected_codes": "200", "interval": 1, "timeout": 1, "retries": 0,
                "consecutive_up": 2, "consecutive_down": 1,
            }],
            "pools": pools,
            "load_balancer": {
                "name": "crm.lab",
                "default_pools": names,
                "fallback_pool": names[0],
                "steering_policy": "random",
                "random_steering": { "default_weight": 0.5, "pool_weights": weights },
                "adaptive_routing": { "failover_across_pools": true },
            },
        })
    }

    /// The environment of one instance of the application.
    pub(crate) fn crm_environment(
        &self,
        site: Place,
        index: usize,
    ) -> Result<Vec<(String, String)>> {
        let ports = &self.sites[&site];
        let local = |port: u16| self.at(site, port);
        let list = |ports: Vec<u16>| ports.into_iter().map(local).collect::<Vec<_>>().join(",");
        let writable = list(ports.gates.iter().map(|gate| gate.rw).collect());
        let readable = list(ports.gates.iter().map(|gate| gate.ro).collect());
        let writers = ports
            .gates
            .iter()
            .map(|gate| format!("http://{}", local(gate.admin.port)));
        let redis = self.file(format!("{site}/redis/redis.password"));
        let redis_password = fs::read_to_string(&redis).map_err(Error::file("read", &redis))?;
        let pairs = [
            ("LISTEN", local(ports.crms[index].port)),
            ("CLOUD_PROVIDER", cloud(site)),
            ("DATABASE_URL", format!("postgres://{writable}/{DATABASE}")),
            (
                "DATABASE_READ_URL",
                format!("postgres://{readable}/{DATABASE}"),
            ),
            ("DATABASE_USERNAME", APPLICATION_ROLE.into()),
            ("DATABASE_PASSWORD", self.secret("application")?),
            ("REDIS_HOST", local(ports.redis)),
            ("REDIS_PASSWORD", redis_password),
            ("WRITER_URLS", writers.collect::<Vec<_>>().join(",")),
        ];
        Ok(pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect())
    }
}

fn gate(ports: &GatePorts, seer: Place) -> Gate {
    let local = |port: u16| ports.peer.host.at(port).to_string();
    Gate {
        name: ports.name.clone(),
        rw_listen: local(ports.rw),
        ro_listen: local(ports.ro),
        peer_listen: local(ports.peer.port),
        peer_address: ports.peer.address(seer),
        admin_listen: local(ports.admin.port),
        admin_address: ports.admin.address(seer),
    }
}

fn pool(site: Place, ports: &SitePorts) -> serde_json::Value {
    let origin = |(index, crm): (usize, &super::layout::Endpoint)| {
        let name = format!("{site}-crm-{}", index + 1);
        json!({ "name": name, "address": crm.host.address.to_string(), "port": crm.seen_from(outside()) })
    };
    let origins: Vec<_> = ports.crms.iter().enumerate().map(origin).collect();
    let id = site.to_string();
    json!({ "id": id, "name": id, "cloud": cloud(site), "monitor": "health", "origins": origins })
}

/// The starting numbers of the design; probes as fast as a lab's wires allow.
fn policy() -> Policy {
    Policy {
        mode: Mode::Automatic,
        first_primary: place("aws"),
        authority: AuthorityPolicy {
            ttl_ms: 6_000,
            renew_ms: 1_000,
            call_timeout_ms: 1_000,
            cut_ms: 500,
            drift_per_mille: 20,
        },
        exposure: ExposurePolicy {
            bound_ms: 4_000,
            heartbeat_ms: 500,
        },
        detection: DetectionPolicy {
            probe_ms: 500,
            timeout_ms: 400,
            failures: 3,
            successes: 3,
            database_wait_s: 150,
        },
        promotion: PromotionPolicy {
            block_window_s: 3_600,
            per_day: 2,
        },
        targets: Targets {
            availability_percent: "99.99".into(),
            detect_s: 30,
            rto_s: 120,
            rpo_s: 5,
            p95_ms: 200,
        },
    }
}

fn database() -> Database {
    Database {
        name: DATABASE.into(),
        schemas: vec!["public".into()],
        owner_role: OWNER_ROLE.into(),
        application_role: APPLICATION_ROLE.into(),
        agent_role: "tandem_agent".into(),
        replication_role: "tandem_repl".into(),
        publication: "crm_replication".into(),
        slot: "crm_slot".into(),
        subscription: "crm_subscription".into(),
        ledger_keep_days: 0,
    }
}

/// Makes `folder` so that servers of other users can pass through.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(folder);
    made.map_err(Error::file("create", folder))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::network::NetworkKind;

    #[test]
    fn every_place_gets_a_configuration_without_faults() {
        for network in [NetworkKind::Userland, NetworkKind::Namespaces] {
            let layout = Layout::new(Path::new("/tmp/lab"), 21_000, network);
            for seer in layout.members().chain([outside()]) {
                let config = layout.config(seer);
                let text = toml::to_string(&config).expect("plain TOML");
                assert_eq!(Config::parse(&text), Ok(config), "as seen from {seer}");
            }
        }
    }

    #[test]
    fn the_edge_file_names_both_clouds() {
        let layout = Layout::new(Path::new("/tmp/lab"), 21_000, NetworkKind::Userland);
        let text = layout.edge().to_string();
        assert!(
            text.contains(r#""cloud":"AWS""#) && text.contains(r#""cloud":"GCP""#),
            "{text}"
        );
    }
}
