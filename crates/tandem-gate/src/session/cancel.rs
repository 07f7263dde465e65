//! Cancel requests find the place where the session's backend lives.
//!
//! A cancel request comes over a connection of its own and carries only a key
//! that the backend made. The gate remembers where each key came from; one it
//! does not know (the session runs through the site's other gate) goes where
//! sessions of that port go now. The backend's server checks the key itself.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::Shared;
use crate::protocol::startup::cancel_packet;
use crate::roster::{Event, Port};
use crate::term::Route;

/// Where a session's backend is reached, as `host:port`.
pub(super) type Home = Arc<str>;

/// Where each backend key came from.
#[derive(Debug, Default)]
pub(super) struct Keys {
    homes: Mutex<HashMap<Box<[u8]>, Home>>,
}

impl Keys {
    /// Remembers `key` until the result is dropped. At most one key a session, so bounded by those.
    pub(super) fn keep(self: &Arc<Self>, key: &[u8], home: Home) -> Kept {
        self.homes().insert(key.into(), home);
        Kept {
            keys: Arc::clone(self),
            key: key.into(),
        }
    }

    fn find(&self, key: &[u8]) -> Option<Home> {
        self.homes().get(key).cloned()
    }

    fn homes(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Home>> {
        self.homes
            .lock()
            .expect("nothing panics while it holds the keys")
    }
}

/// A key that is remembered.
#[derive(Debug)]
pub(super) struct Kept {
    keys: Arc<Keys>,
    key: Box<[u8]>,
}

impl Kept {
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keys.homes().remove(&self.key);
    }
}

/// Passes a cancel request on; returns when the server has taken it, as PostgreSQL does.
pub(super) async fn pass_on(shared: &Shared, port: Port, key: &[u8]) {
    let packet = cancel_packet(key);
    for home in homes(shared, port, key) {
        match timeout(shared.settings.bounds.answer, deliver(&home, &packet)).await {
            Ok(Ok(())) => return shared.roster.count(Event::Cancelled),
            Ok(Err(error)) => debug!(home = &*home, %error, "cancel request not delivered"),
            Err(_) => debug!(home = &*home, "cancel request not delivered in time"),
        }
    }
}

/// Stops what a cut session's backend works on at the local database: nobody will hear of it, and
/// PostgreSQL notices a closed connection only when it has something to say. The other site's
/// gate does the same for its own backends.
pub(super) fn cancel_unfinished(shared: &Shared, home: Home, key: &[u8]) {
    if *home != *shared.settings.database {
        return;
    }
    let (packet, bound) = (cancel_packet(key), shared.settings.bounds.answer);
    tokio::spawn(async move {
        // Without an answer the statement runs to its end; the guard in the database refuses its commit.
        let _ = timeout(bound, deliver(&home, &packet)).await;
    });
}

/// Where to try, in order.
fn homes(shared: &Shared, port: Port, key: &[u8]) -> Vec<Home> {
    if let Some(home) = shared.keys.find(key) {
        return vec![home];
    }
    let database = || vec![Home::from(shared.settings.database.as_str())];
    if port != Port::Rw {
        return database();
    }
    match &*shared.keeper.routes().borrow() {
        Route::Here(_) => database(),
        Route::Peer(..) => peers(shared).map(|(_, peer)| Home::from(peer)).collect(),
        Route::Nowhere(_) => Vec::new(),
    }
}

/// The other site's gates with their index, the one that answered last first.
pub(super) fn peers(shared: &Shared) -> impl Iterator<Item = (usize, &str)> {
    let peers = &shared.settings.peers;
    let first = shared.peer_index.load(Ordering::Relaxed);
    (0..peers.len()).map(move |step| {
        let index = (first + step) % peers.len();
        (index, peers[index].as_str())
    })
}

async fn deliver(home: &str, packet: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(home).await?;
    stream.write_all(packet).await?;
    // The server says nothing and closes when it has signalled the backend; a reset says the same.
    let _ = stream.read(&mut [0]).await;
    Ok(())
}
