//! Where everything of a lab is, for drills and people.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::files::{APPLICATION_ROLE, DATABASE, cloud};
use super::layout::{Layout, SitePorts, outside, witness};
use crate::Result;
use crate::links::Place;

/// Where everything of a lab is. Never printed: it holds a password.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The lab's folder.
    pub folder: PathBuf,
    /// One log file a process.
    pub logs: PathBuf,
    /// `tandem.toml` as seen from outside, every address direct.
    pub config: PathBuf,
    /// The access token of the lab's person.
    pub token_file: PathBuf,
    /// Where clients go: `http://ADDRESS:PORT`.
    pub edge: String,
    /// The edge's admin API.
    pub edge_admin: String,
    /// The sites.
    pub sites: BTreeMap<Place, SiteEndpoints>,
    /// The name of the third place.
    pub witness: Place,
    /// Its agent's API.
    pub witness_agent: String,
    /// The replicated database.
    pub database: String,
    /// The role of applications.
    pub application_role: String,
    /// Its password, the same at both sites.
    pub application_password: String,
}

/// Where everything of a site is. Names are those of processes (`aws.agent-1`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SiteEndpoints {
    /// What `X-Cloud-Provider` says.
    pub cloud: String,
    /// Where its processes listen.
    pub address: Ipv4Addr,
    /// PostgreSQL, directly.
    pub postgres_port: u16,
    /// The file with the password of `postgres`.
    pub superuser_password_file: PathBuf,
    /// Redis, directly.
    pub redis_port: u16,
    /// The member of etcd, directly.
    pub store: String,
    /// The agents' APIs.
    pub agents: BTreeMap<String, String>,
    /// The gates.
    pub gates: BTreeMap<String, GateEndpoints>,
    /// The application's instances, directly.
    pub crms: BTreeMap<String, String>,
}

/// Where a gate listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateEndpoints {
    /// The port for write sessions.
    pub rw_port: u16,
    /// The port for read sessions.
    pub ro_port: u16,
    /// The admin API.
    pub admin: String,
}

impl Layout {
    pub(crate) fn describe(&self) -> Result<Endpoints> {
        Ok(Endpoints {
            folder: self.folder.clone(),
            logs: self.file("logs"),
            config: self.config_file(outside()),
            token_file: self.token_file(),
            edge: self.url(outside(), self.edge),
            edge_admin: self.url(outside(), self.edge_admin),
            sites: self
                .sites
                .iter()
                .map(|(name, ports)| (*name, self.site_of(*name, ports)))
                .collect(),
            witness: witness(),
            witness_agent: self.url(witness(), self.witness_agent.api.port),
            database: DATABASE.into(),
            application_role: APPLICATION_ROLE.into(),
            application_password: self.secret("application")?,
        })
    }

    pub(crate) fn url(&self, place: Place, port: u16) -> String {
        format!("http://{}", self.at(place, port))
    }

    fn site_of(&self, site: Place, ports: &SitePorts) -> SiteEndpoints {
        let url = |port| self.url(site, port);
        let gates = ports.gates.iter().map(|gate| GateEndpoints {
            rw_port: gate.rw,
            ro_port: gate.ro,
            admin: url(gate.admin.port),
        });
        SiteEndpoints {
            cloud: cloud(site),
            address: self.host(site).address,
            postgres_port: ports.postgres.port,
            superuser_password_file: self.superuser_password_file(site),
            redis_port: ports.redis,
            store: url(ports.store.client.port),
            agents: numbered(
                site,
                "agent",
                ports.agents.iter().map(|agent| url(agent.api.port)),
            ),
            gates: numbered(site, "gate", gates),
            crms: numbered(site, "crm", ports.crms.iter().map(|crm| url(crm.port))),
        }
    }
}

fn numbered<T>(site: Place, kind: &str, items: impl Iterator<Item = T>) -> BTreeMap<String, T> {
    (1..)
        .zip(items)
        .map(|(number, item)| (format!("{site}.{kind}-{number}"), item))
        .collect()
}
