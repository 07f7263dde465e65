//! Who listens where: every port of one lab, counted up from a base.
//!
//! An [`Endpoint`] is a real listener with one more port for each place that
//! reaches it over a link. The same lab always has the same ports,
//! so that a prepared copy fits and a person can learn them by heart.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::network::NetworkKind;
use crate::links::Place;
use crate::process::Host;

/// Agents, gates and application instances a site.
pub(crate) const TWINS: usize = 2;

/// One listener as everybody reaches it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) at: Place,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// None where places reach each other by address.
    pub(crate) links: BTreeMap<Place, u16>,
}

impl Endpoint {
    /// Its port as seen from `place`.
    pub(crate) fn seen_from(&self, place: Place) -> u16 {
        self.links.get(&place).copied().unwrap_or(self.port)
    }

    /// Its address as seen from `place`.
    pub(crate) fn address(&self, place: Place) -> String {
        self.host.at(self.seen_from(place)).to_string()
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> SocketAddr {
        self.host.at(self.port)
    }
}

/// A member of etcd.
#[derive(Debug, Clone)]
pub(crate) struct StorePorts {
    pub(crate) client: Endpoint,
    pub(crate) peer: u16,
    /// What it advertises to all other members.
    pub(crate) peer_link: u16,
}

/// An agent.
#[derive(Debug, Clone)]
pub(crate) struct AgentPorts {
    pub(crate) name: String,
    pub(crate) api: Endpoint,
    pub(crate) relay: Option<u16>,
}

/// A gate.
#[derive(Debug, Clone)]
pub(crate) struct GatePorts {
    pub(crate) name: String,
    pub(crate) rw: u16,
    pub(crate) ro: u16,
    pub(crate) peer: Endpoint,
    pub(crate) admin: Endpoint,
}

/// A data site.
#[derive(Debug, Clone)]
pub(crate) struct SitePorts {
    pub(crate) postgres: Endpoint,
    pub(crate) redis: u16,
    pub(crate) store: StorePorts,
    pub(crate) agents: Vec<AgentPorts>,
    pub(crate) gates: Vec<GatePorts>,
    pub(crate) crms: Vec<Endpoint>,
}

/// Every port and folder of one lab.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) folder: PathBuf,
    /// Where etcd's data lie: in memory if the machine has such a folder.
    pub(crate) memory: PathBuf,
    pub(crate) network: NetworkKind,
    pub(crate) base_port: u16,
    pub(crate) end_port: u16,
    pub(crate) sites: BTreeMap<Place, SitePorts>,
    pub(crate) witness_store: StorePorts,
    pub(crate) witness_agent: AgentPorts,
    pub(crate) edge: u16,
    pub(crate) edge_admin: u16,
}

/// A place by its name.
pub(crate) fn place(name: &str) -> Place {
    name.parse().expect("the lab's names are legal")
}

/// The two sites.
pub(crate) fn sites() -> [Place; 2] {
    ["aws", "gcp"].map(place)
}

/// The third place.
pub(crate) fn witness() -> Place {
    place("witness")
}

/// Every place.
pub(crate) fn places() -> Vec<Place> {
    let [aws, gcp] = sites();
    vec![aws, gcp, witness(), outside()]
}

/// Where clients and the edge are.
pub(crate) fn outside() -> Place {
    place("outside")
}

impl Layout {
    /// The lab in `folder` with ports from `base_port` on.
    pub(crate) fn new(folder: &Path, base_port: u16, network: NetworkKind) -> Self {
        let mut counter = Counter {
            network,
            base_port,
            next: base_port,
        };
        let (edge, edge_admin) = (counter.port(), counter.port());
        let sites = sites().map(|site| (site, counter.site(site))).into();
        let witness_store = counter.store(witness());
        let witness_agent = counter.agent(witness(), 1, false);
        Self {
            folder: folder.to_path_buf(),
            memory: memory_folder(folder),
            network,
            base_port,
            end_port: counter.next,
            sites,
            witness_store,
            witness_agent,
            edge,
            edge_admin,
        }
    }

    /// Where the processes of `place` stand.
    pub(crate) fn host(&self, place: Place) -> Host {
        self.network.host(self.base_port, place)
    }

    /// `address:port` at `place`.
    pub(crate) fn at(&self, place: Place, port: u16) -> String {
        self.host(place).at(port).to_string()
    }

    /// The address of `member` that it tells all other members of etcd.
    pub(crate) fn advertised_peer(&self, member: Place) -> String {
        let store = self.store(member);
        let has_forwards = self.network.has_forwards();
        let port = if has_forwards {
            store.peer_link
        } else {
            store.peer
        };
        self.at(member, port)
    }

    pub(crate) fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{process}.log"))
    }

    /// The configuration as `place` sees it.
    pub(crate) fn config_file(&self, place: Place) -> PathBuf {
        self.folder.join(place.as_str()).join("tandem.toml")
    }

    /// The member of etcd at a site or at the witness.
    pub(crate) fn store(&self, at: Place) -> &StorePorts {
        self.sites
            .get(&at)
            .map_or(&self.witness_store, |site| &site.store)
    }

    /// Every place with a member of etcd.
    pub(crate) fn members(&self) -> impl Iterator<Item = Place> + '_ {
        self.sites.keys().copied().chain([witness()])
    }

    /// Every endpoint that somebody reaches over a link.
    pub(crate) fn endpoints(&self) -> Vec<&Endpoint> {
        let mut all = vec![&self.witness_store.client, &self.witness_agent.api];
        for site in self.sites.values() {
            all.extend([&site.postgres, &site.store.client]);
            all.extend(site.agents.iter().map(|agent| &agent.api));
            all.extend(site.gates.iter().flat_map(|gate| [&gate.peer, &gate.admin]));
            all.extend(&site.crms);
        }
        all
    }
}

fn memory_folder(folder: &Path) -> PathBuf {
    let memory = Path::new("/dev/shm");
    match (memory.is_dir(), folder.file_name()) {
        (true, Some(name)) => memory.join(name),
        _ => folder.join("memory"),
    }
}

/// Hands out ports in order.
struct Counter {
    network: NetworkKind,
    base_port: u16,
    next: u16,
}

impl Counter {
    fn port(&mut self) -> u16 {
        let port = self.next;
        self.next = self.next.checked_add(1).expect("the base port was checked");
        port
    }

    fn endpoint(&mut self, at: Place, dialers: &[Place]) -> Endpoint {
        let port = self.port();
        let others = dialers.iter().filter(|place| **place != at);
        let links = others.map(|place| (*place, self.port()));
        let mut links: BTreeMap<_, _> = links.collect();
        if !self.network.has_forwards() {
            // Their ports stay free, so that a port means the same in every lab.
            links.clear();
        }
        let host = self.network.host(self.base_port, at);
        Endpoint {
            at,
            host,
            port,
            links,
        }
    }

    /// Reached from both sites and the witness.
    fn inner(&mut self, at: Place) -> Endpoint {
        let [aws, gcp] = sites();
        self.endpoint(at, &[aws, gcp, witness()])
    }

    fn store(&mut self, at: Place) -> StorePorts {
        StorePorts {
            client: self.inner(at),
            peer: self.port(),
            peer_link: self.port(),
        }
    }

    fn agent(&mut self, at: Place, number: usize, relays: bool) -> AgentPorts {
        let api = self.inner(at);
        AgentPorts {
            name: format!("{at}-{number}"),
            api,
            relay: relays.then(|| self.port()),
        }
    }

    fn gate(&mut self, at: Place, number: usize) -> GatePorts {
        GatePorts {
            name: format!("{at}-gate-{number}"),
            rw: self.port(),
            ro: self.port(),
            peer: self.inner(at),
            admin: self.inner(at),
        }
    }

    fn site(&mut self, at: Place) -> SitePorts {
        SitePorts {
            postgres: self.inner(at),
            redis: self.port(),
            store: self.store(at),
            agents: (1..=TWINS)
                .map(|number| self.agent(at, number, true))
                .collect(),
            gates: (1..=TWINS).map(|number| self.gate(at, number)).collect(),
            crms: (1..=TWINS)
                .map(|_| self.endpoint(at, &[outside()]))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_port_is_used_once() {
        let layout = Layout::new(Path::new("/tmp/lab"), 21_000, NetworkKind::Userland);
        let mut ports = vec![layout.edge, layout.edge_admin];
        for endpoint in layout.endpoints() {
            ports.push(endpoint.port);
            ports.extend(endpoint.links.values());
        }
        for member in layout.members() {
            let store = layout.store(member);
            ports.extend([store.peer, store.peer_link]);
        }
        for site in layout.sites.values() {
            ports.push(site.redis);
            ports.extend(site.agents.iter().filter_map(|agent| agent.relay));
            ports.extend(site.gates.iter().flat_map(|gate| [gate.rw, gate.ro]));
        }
        let distinct: BTreeSet<_> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len());
        assert_eq!(distinct, (layout.base_port..layout.end_port).collect());
    }

    #[test]
    fn a_site_sees_itself_directly_and_others_over_links() {
        let layout = Layout::new(Path::new("/tmp/lab"), 21_000, NetworkKind::Userland);
        let [aws, gcp] = sites();
        let postgres = &layout.sites[&aws].postgres;
        assert_eq!(postgres.seen_from(aws), postgres.port);
        assert_eq!(postgres.seen_from(outside()), postgres.port);
        assert_ne!(postgres.seen_from(gcp), postgres.port);
        assert_ne!(postgres.seen_from(gcp), postgres.seen_from(witness()));
    }

    #[test]
    fn in_namespaces_everybody_sees_the_same_address() {
        let layout = Layout::new(Path::new("/tmp/lab"), 21_000, NetworkKind::Namespaces);
        let [aws, gcp] = sites();
        let postgres = &layout.sites[&aws].postgres;
        let wires = Layout::new(Path::new("/tmp/lab"), 21_000, NetworkKind::Userland);
        assert_eq!(postgres.port, wires.sites[&aws].postgres.port);
        for seer in [aws, gcp, witness(), outside()] {
            let expected = format!("198.18.0.1:{}", postgres.port);
            assert_eq!(postgres.address(seer), expected);
        }
        assert_eq!(postgres.host.namespace.as_deref(), Some("tandem-21000-aws"));
        assert_ne!(layout.host(aws).address, layout.host(gcp).address);
    }
}
