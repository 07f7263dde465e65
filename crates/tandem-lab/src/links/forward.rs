//! A listener of one place that leads to one endpoint of another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::carry::{Target, carry, reset};
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
        let task = tokio::spawn(Arc::new(server).serve(listener)).abort_handle();
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
    async fn serve(self: Arc<Self>, listener: TcpListener) {
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
                let server = Arc::clone(&self);
                connections.spawn(async move {
                    server.ride(client, source, number).await;
                    drop(place);
                });
            }
        }
    }

    async fn ride(&self, client: TcpStream, source: SocketAddr, number: u64) {
        let (from, server) = match &self.dialer {
            Dialer::At(place) => (*place, None),
            Dialer::Among(census) => match self.identify(census, source).await {
                Ok(found) => found,
                Err(_refused) => return reset(&client),
            },
        };
        let (there, back) = (self.net.wire(from, self.to), self.net.wire(self.to, from));
        let seed = self.net.seed ^ (u64::from(self.address.port()) << 48) ^ number;
        let target = server.map_or(Target::At(self.target), Target::Connected);
        carry(client, target, there, back, seed).await;
    }

    /// Who dials. Finding out costs milliseconds of CPU, and a member redials a dead one many
    /// times a second: where no wire is cut, a target that refuses everybody is not worth it.
    async fn identify(
        &self,
        census: &Census,
        source: SocketAddr,
    ) -> io::Result<(Place, Option<TcpStream>)> {
        let server = match self.net.is_whole_around(self.to) {
            true => Some(TcpStream::connect(self.target).await?),
            false => None,
        };
        let (census, address) = (census.clone(), self.address);
        let asked = spawn_blocking(move || census.place_of(source, address)).await;
        // A lookup that was given up found nobody.
        Ok((asked.ok().flatten().unwrap_or(self.to), server))
    }
}
