//! Ports of 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener};

use crate::{Error, Result};

/// A port that nobody listened on a moment ago. Somebody may take it before its user binds
/// it; who starts a server on it tries again with another one.
///
/// # Errors
/// [`Error::Port`] if loopback has none left.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Port)?;
    Ok(listener.local_addr().map_err(Error::Port)?.port())
}

/// Those of `ports` that cannot be bound now.
pub fn taken(ports: impl IntoIterator<Item = u16>) -> Vec<u16> {
    let bindable = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.into_iter().filter(|port| !bindable(port)).collect()
}
