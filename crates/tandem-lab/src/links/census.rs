//! Who dialled: the place of the process at the other end of a loopback connection.
//!
//! A member of etcd advertises one peer address to all others, so that the
//! listener behind it cannot tell by its port who comes. The kernel can: it knows the
//! socket behind the two ends of a connection (`sock_diag(7)`; reading the whole table in
//! `/proc/net/tcp` takes milliseconds when thousands of connections ended a short while
//! ago), and `/proc/PID/fd` names the process that holds it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, IPPROTO_TCP, SockDiagMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use rustix::process::Pid;

use super::Place;

/// "Whichever socket has these ends" (`INET_DIAG_NOCOOKIE` of `linux/inet_diag.h`).
const NO_COOKIE: [u8; 8] = [0xff; 8];

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
        let socket = format!("socket:[{}]", inode(dialler, listener)?);
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

/// The inode of the socket with these two ends; `None` if there is none, or the kernel does not say.
fn inode(local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let question = SockDiagMessage::InetRequest(InetRequest {
        family: AF_INET,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            cookie: NO_COOKIE,
            ..SocketId::new_v4()
        },
    });
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(question));
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    let mut kernel = Socket::new(NETLINK_SOCK_DIAG).ok()?;
    kernel.bind_auto().ok()?;
    kernel.send(&bytes, 0).ok()?;
    let (answer, _) = kernel.recv_from_full().ok()?;
    match NetlinkMessage::<SockDiagMessage>::deserialize(&answer)
        .ok()?
        .payload
    {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
            Some(found.header.inode)
        }
        _ => None,
    }
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
        assert_ne!(inode(source, address), inode(address, source));
        drop((listener, dialled));
        assert_eq!(census.place_of(source, address), None);
    }
}
