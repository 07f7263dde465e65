//! Socket options of both legs: no delay, and a silent peer is noticed.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// A server leg is probed after 2 s of silence and given up after 5 s without any acknowledgement:
/// below the hold bound, so that a client can still be led elsewhere.
const SERVER_SILENCE: Duration = Duration::from_secs(2);
const SERVER_PROBES: u32 = 3;
const SERVER_GIVE_UP: u32 = 5_000;

/// A client that vanished holds a backend until 30 s + 3 probes of 10 s have passed.
const CLIENT_SILENCE: Duration = Duration::from_secs(30);
const CLIENT_PROBE_EVERY: Duration = Duration::from_secs(10);

/// Options of the leg to a client.
pub(crate) fn tune_client(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, CLIENT_SILENCE)?;
    sockopt::set_tcp_keepintvl(stream, CLIENT_PROBE_EVERY)?;
    Ok(sockopt::set_tcp_keepcnt(stream, 3)?)
}

/// Options of the leg to a database or to a peer gate.
pub(crate) fn tune_server(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, SERVER_SILENCE)?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(1))?;
    sockopt::set_tcp_keepcnt(stream, SERVER_PROBES)?;
    Ok(sockopt::set_tcp_user_timeout(stream, SERVER_GIVE_UP)?)
}
