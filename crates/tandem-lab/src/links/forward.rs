//! A listener of one place that leads to one endpoint of another.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::carry::carry;
use super::census::Census;
use super::{Net, Place};
use crate::{Error, Result};

/// Connections through one listener; more are reset.
const CONNECTIONS_MAX: usize = 2048;
/// The pause after a failed accept (usually: too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who uses a listener.
#[derive(Debug, Clone)]
pub enum Dialer {
    /// Everybody who connects stands here.
    At(Place),
    /// It must be found out for each connection; strangers count as neighbours of the target.
    Among(Census),
}

/// A listening link; dropping it closes the listener and every connection through it.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    task: AbortHandle,
}

impl Forward {
    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Net {
    /// Listens on `port` of 127.0.0.1 (0: a free one) for `dialer` and leads to `target` at `to`.
    ///
    /// # Errors
    /// [`Error::Port`] if the port cannot be bound.
    pub async fn forward(
        &self,
        dialer: Dialer,
        to: Place,
        port: u16,
        target: SocketAddr,
    ) -> Result<Forward> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(Error::Port)?;
        let address = listener.local_addr().map_err(Error::Port)?;
        let server = Server {
            net: self.clone(),
            dialer,
            to,
            target,
            address,
        };
        let task = tokio::spawn(server.serve(listener)).abort_handle();
        Ok(Forward { address, task })
    }
}

struct Server {
    net: Net,
    dialer: Dialer,
    to: Place,
    target: SocketAddr,
    address: SocketAddr,
}

impl Server {
    async fn serve(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // Dropped with this task, and every connection with it.
        let mut connections = JoinSet::new();
        for number in 0_u64.. {
            while connections.try_join_next().is_some() {}
            let (client, source) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a link cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Without room the connection is dropped here.
            if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
                let ride = self.ride(client, source, number);
                connections.spawn(async move {
                    ride.await;
                    drop(place);
                });
            }
        }
    }

    fn ride(
        &self,
        client: TcpStream,
        source: SocketAddr,
        number: u64,
    ) -> impl Future<Output = ()> + use<> {
        let from = match &self.dialer {
            Dialer::At(place) => *place,
            Dialer::Among(census) => census.place_of(source, self.address).unwrap_or(self.to),
        };
        let there = Arc::clone(self.net.wire(from, self.to));
        let back = Arc::clone(self.net.wire(self.to, from));
        let seed = self.net.seed ^ (u64::from(self.address.port()) << 48) ^ number;
        let target = self.target;
        async move { carry(client, target, &there, &back, seed).await }
    }
}
