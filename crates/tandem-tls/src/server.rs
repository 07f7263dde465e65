//! A listener that only lets the cluster's own programs in.
//!
//! Handshakes run beside each other, each within a bound, so that a silent stranger delays
//! nobody: a gate's question for the remaining right must never stand in a queue.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::Credentials;
use crate::client::Wire;

/// A handshake between two clouds takes tens of milliseconds.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Handshakes at one time; more wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 128;

/// Connections that wait to be served.
const WAITING_MAX: usize = 64;

/// After a failed accept (no more file descriptors) the port rests this long.
const REST: Duration = Duration::from_millis(50);

/// For `axum::serve`: plain without credentials, mutual TLS with them.
pub struct Listener {
    local: SocketAddr,
    arrivals: mpsc::Receiver<(Wire, SocketAddr)>,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Takes connections from `listener` until dropped.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn new(listener: TcpListener, credentials: Option<&Credentials>) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let acceptor = credentials.map(|credentials| TlsAcceptor::from(credentials.server()));
        let (sender, arrivals) = mpsc::channel(WAITING_MAX);
        let task = tokio::spawn(take(listener, acceptor, sender)).abort_handle();
        Ok(Self {
            local,
            arrivals,
            task,
        })
    }
}

impl axum::serve::Listener for Listener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // The taking task never ends by itself; when it is aborted, nobody accepts any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

async fn take(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    arrivals: mpsc::Sender<(Wire, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let (acceptor, arrivals) = (acceptor.clone(), arrivals.clone());
        tokio::spawn(async move {
            if let Some(wire) = greet(stream, acceptor, from).await {
                // Nobody serves any more: the connection closes.
                let _ = arrivals.send((wire, from)).await;
            }
            drop(place);
        });
    }
}

/// Shakes hands. A stranger is told by TLS itself; the log keeps who it was.
async fn greet(stream: TcpStream, acceptor: Option<TlsAcceptor>, from: SocketAddr) -> Option<Wire> {
    // Small answers must not wait for each other; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return Some(Wire::new(stream));
    };
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(secured)) => Some(Wire::new(secured)),
        Ok(Err(error)) => {
            tracing::info!(%from, %error, "a connection was refused");
            None
        }
        Err(_elapsed) => {
            tracing::info!(%from, "a connection was refused: no handshake in time");
            None
        }
    }
}
