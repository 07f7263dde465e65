//! Who dialled: the place of the process at the other end of a loopback connection.
//!
//! A member of etcd advertises one peer address to all others, so that the
//! listener behind it cannot tell by its port who comes. The kernel can: its table of
//! connections names the socket behind a source port, and `/proc/PID/fd` names the
//! process that holds it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

use super::Place;

/// The processes that may dial, by place. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Census {
    members: Arc<Mutex<BTreeMap<Place, Pid>>>,
}

impl Census {
    /// The process of `place` is `pid` from now on.
    pub fn enter(&self, place: Place, pid: Pid) {
        self.lock().insert(place, pid);
    }

    /// Whose connection from `dialler` to `listener` is; `None` if it is none of theirs.
    pub fn place_of(&self, dialler: SocketAddr, listener: SocketAddr) -> Option<Place> {
        let table = fs::read_to_string("/proc/net/tcp").ok()?;
        let socket = format!("socket:[{}]", inode(&table, dialler, listener)?);
        let members = self.lock().clone();
        members
            .into_iter()
            .find(|(_, pid)| holds(*pid, &socket))
            .map(|(place, _)| place)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Pid>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inode of the socket with these two ends, from the text of `/proc/net/tcp`.
fn inode(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let ends = format!(" {} {} ", hexadecimal(local)?, hexadecimal(remote)?);
    let line = table.lines().find(|line| line.contains(&ends))?;
    line.split_ascii_whitespace().nth(9)?.parse().ok()
}

/// An address as the kernel writes it: the IP in the machine's byte order, the port in ours.
fn hexadecimal(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    Some(format!("{ip:08X}:{:04X}", address.port()))
}

fn holds(pid: Pid, socket: &str) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())) else {
        return false;
    };
    let links = entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    links.into_iter().any(|link| link.as_os_str() == socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_both_its_ends() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:5208 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0\n   \
            1: 0100007F:C350 0100007F:5208 01 00000000:00000000 00:00000000 00000000     0        0 888 1 0 20 4 30 10 -1\n";
        let dialler = "127.0.0.1:50000".parse().unwrap();
        let listener = "127.0.0.1:21000".parse().unwrap();
        assert_eq!(inode(table, dialler, listener), Some(888));
        assert_eq!(inode(table, listener, dialler), None);
    }

    #[test]
    fn our_own_connection_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let dialled = std::net::TcpStream::connect(address).unwrap();
        let census = Census::default();
        let here: Place = "here".parse().unwrap();
        let source = dialled.local_addr().unwrap();
        assert_eq!(census.place_of(source, address), None);
        census.enter(here, rustix::process::getpid());
        assert_eq!(census.place_of(source, address), Some(here));
    }
}
