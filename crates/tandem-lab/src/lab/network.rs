//! What joins the places: userland wires on loopback, or the kernel's own network.
//!
//! The seam between the two kinds. Above it a link is two ways with a [`Shape`] each;
//! below it a shape becomes what a forward does to bytes, or what queues and rules of
//! namespaces do to packets.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::layout::{Layout, outside, places};
use super::{LabOptions, wire_shape};
use crate::Result;
use crate::links::{Census, Dialer, Forward, Net, Place, Shape};
use crate::namespaces::{self, Namespaces, Stand};
use crate::process::{Host, Process};

/// How the places of a lab are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Forwards of the lab's own process, on loopback.
    #[default]
    Userland,
    /// A network namespace for each place.
    Namespaces,
}

impl NetworkKind {
    /// The kind that fits: namespaces need a place to stand.
    pub(crate) fn of(stand: Option<&Stand>) -> Self {
        stand.map_or(Self::Userland, |_| Self::Namespaces)
    }

    /// Where the processes of `place` stand in the lab with this base port.
    pub(crate) fn host(self, base_port: u16, place: Place) -> Host {
        match self {
            Self::Userland => Host::default(),
            Self::Namespaces => namespaces::host(base_port, place),
        }
    }

    /// Whether one place reaches another through ports of its own.
    pub(crate) fn has_forwards(self) -> bool {
        self == Self::Userland
    }
}

impl std::fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Userland => "userland",
            Self::Namespaces => "namespaces",
        })
    }
}

/// A running network.
#[derive(Debug)]
pub(super) enum Network {
    Userland {
        /// Kept open.
        _forwards: Vec<Forward>,
        net: Net,
        census: Census,
    },
    Namespaces(Namespaces),
}

impl Network {
    /// Joins the places of `layout` as `options` say.
    pub(super) async fn open(layout: &Layout, options: &LabOptions) -> Result<Self> {
        let places = places();
        let network = match &options.stand {
            Some(stand) => {
                let base_port = layout.base_port;
                let built = Namespaces::build(base_port, &places, stand)?;
                built.open_inner_door(outside(), layout.edge_admin)?;
                Self::Namespaces(built)
            }
            None => Self::userland(layout, &places, options.seed).await?,
        };
        network.set_usual(options)?;
        Ok(network)
    }

    async fn userland(layout: &Layout, places: &[Place], seed: u64) -> Result<Self> {
        let census = Census::default();
        let net = Net::new(places, Shape::default(), seed);
        Ok(Self::Userland {
            _forwards: forwards(layout, &net, &census).await?,
            net,
            census,
        })
    }

    /// Every wire as it is at the start.
    pub(super) fn set_usual(&self, options: &LabOptions) -> Result<()> {
        for (from, to, _) in self.shapes() {
            let usual = wire_shape(options, from, to);
            self.change((from, to), |shape| *shape = usual)?;
        }
        Ok(())
    }

    /// Whether there is a wire between the two.
    pub(super) fn joins(&self, from: Place, to: Place) -> bool {
        match self {
            Self::Userland { net, .. } => net.joins(from, to),
            Self::Namespaces(found) => found.joins(from, to),
        }
    }

    /// Every way between two places with what it does.
    pub(super) fn shapes(&self) -> Vec<(Place, Place, Shape)> {
        match self {
            Self::Userland { net, .. } => {
                let wires = net.wires();
                wires
                    .map(|(from, to, wire)| (from, to, wire.shape()))
                    .collect()
            }
            Self::Namespaces(found) => found.shapes(),
        }
    }

    /// Changes what one way does, for running connections too.
    pub(super) fn change(
        &self,
        (from, to): (Place, Place),
        change: impl FnOnce(&mut Shape),
    ) -> Result<()> {
        match self {
            Self::Userland { net, .. } => {
                net.wire(from, to).change(change);
                Ok(())
            }
            Self::Namespaces(found) => found.change((from, to), change),
        }
    }

    /// Hears of a started store: a forward must find out who dials it, a namespace knows.
    pub(super) fn hear_of_store(&self, at: Place, process: &Process) {
        if let Self::Userland { census, .. } = self {
            census.enter(at, process.pid());
        }
    }

    /// Removes what outlives this process. Twice is as good as once.
    pub(super) fn remove(&self) -> Result<()> {
        match self {
            Self::Userland { .. } => Ok(()),
            Self::Namespaces(found) => found.remove(),
        }
    }
}

/// Opens every forward.
async fn forwards(layout: &Layout, net: &Net, census: &Census) -> Result<Vec<Forward>> {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let mut forwards = Vec::new();
    for endpoint in layout.endpoints() {
        for (from, port) in &endpoint.links {
            let dialer = Dialer::At(*from);
            forwards.push(
                net.forward(dialer, endpoint.at, *port, at(endpoint.port))
                    .await?,
            );
        }
    }
    for member in layout.members() {
        let store = layout.store(member);
        let dialer = Dialer::Among(census.clone());
        forwards.push(
            net.forward(dialer, member, store.peer_link, at(store.peer))
                .await?,
        );
    }
    Ok(forwards)
}
