//! Where a process stands in the network.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where `ip netns` keeps the names of network namespaces.
const NAMES: &str = "/run/netns";

/// The network that a process sees, and the address that it listens on there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its address.
    pub address: Ipv4Addr,
    /// The name of its network namespace; ours if there is none.
    pub namespace: Option<String>,
}

impl Default for Host {
    /// Loopback, in the network that we see ourselves.
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST,
            namespace: None,
        }
    }
}

impl Host {
    /// A port of it.
    pub fn at(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }
}

/// The file that stands for the network namespace of this name.
pub(crate) fn namespace_file(name: &str) -> PathBuf {
    PathBuf::from(NAMES).join(name)
}
