//! The replication relay: the only way by which this site's subscription reaches
//! the other site's PostgreSQL.
//!
//! Without it an apply worker that is inside a half-received transaction stays up to 59 s
//! after DISABLE (measured); with it a cut ends the worker at once. Bytes are copied, never
//! looked at, so TLS goes through from end to end.
//! Invariant: when [`Relay::cut`] has returned, no byte passes until [`Relay::open`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One apply worker and two table copies at a time are usual; more than this is no subscription.
const SESSIONS_MAX: usize = 32;

/// A relay that starts cut.
#[derive(Debug, Clone)]
pub struct Relay {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    open: watch::Sender<bool>,
    sessions: watch::Sender<usize>,
}

impl Relay {
    /// Listens on `listen` and forwards to `upstream` (`host:port`) while open, until `stop`.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(
        listen: &str,
        upstream: String,
        stop: CancellationToken,
    ) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let relay = Self::unconnected();
        let server = relay.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => server.cut().await,
                () = server.accept(listener, upstream) => {}
            }
        });
        Ok((relay, address))
    }

    /// A relay without a listener, for a place that receives nothing.
    pub(crate) fn unconnected() -> Self {
        let shared = Shared {
            open: watch::Sender::new(false),
            sessions: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Lets sessions through.
    pub fn open(&self) {
        self.shared.open.send_replace(true);
    }

    /// Ends every session and refuses new ones; returns when the last session has ended.
    pub async fn cut(&self) {
        self.shared.open.send_replace(false);
        let mut sessions = self.shared.sessions.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = sessions.wait_for(|count| *count == 0).await;
    }

    /// Whether sessions are let through.
    pub fn is_open(&self) -> bool {
        *self.shared.open.borrow()
    }

    /// How many sessions run.
    pub fn sessions(&self) -> usize {
        *self.shared.sessions.borrow()
    }

    async fn accept(&self, listener: TcpListener, upstream: String) {
        loop {
            match listener.accept().await {
                Ok((client, _)) => self.admit(client, &upstream),
                Err(error) => {
                    tracing::warn!(%error, "the relay could not accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Starts a session, or drops the connection when cut or full.
    fn admit(&self, client: TcpStream, upstream: &str) {
        if !self.is_open() {
            return;
        }
        if self.sessions() >= SESSIONS_MAX {
            tracing::warn!(
                sessions_max = SESSIONS_MAX,
                "the relay is full, a connection was refused"
            );
            return;
        }
        let session = Session::begin(Arc::clone(&self.shared));
        let upstream = upstream.to_owned();
        tokio::spawn(async move {
            let mut open = session.shared.open.subscribe();
            tokio::select! {
                // The sender lives in `session`; either outcome means "cut".
                _ = open.wait_for(|open| !open) => {}
                result = forward(client, &upstream) => {
                    if let Err(error) = result {
                        tracing::debug!(%error, upstream, "a relayed session ended");
                    }
                }
            }
            drop(session);
        });
    }
}

/// Counts itself as long as it lives.
struct Session {
    shared: Arc<Shared>,
}

impl Session {
    fn begin(shared: Arc<Shared>) -> Self {
        shared.sessions.send_modify(|count| *count += 1);
        Self { shared }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.sessions.send_modify(|count| *count -= 1);
    }
}

async fn forward(mut client: TcpStream, upstream: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that answers each byte with the same byte.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = client.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address.to_string()
    }

    async fn says(stream: &mut TcpStream, byte: u8) -> bool {
        let mut answer = [0];
        stream.write_all(&[byte]).await.is_ok()
            && stream.read_exact(&mut answer).await.is_ok()
            && answer == [byte]
    }

    #[tokio::test]
    async fn a_cut_ends_running_sessions_and_refuses_new_ones() {
        let stop = CancellationToken::new();
        let (relay, address) = Relay::start("127.0.0.1:0", echo().await, stop.clone())
            .await
            .unwrap();
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert!(!says(&mut refused, 1).await, "a relay starts cut");

        relay.open();
        let mut sessions = Vec::new();
        for byte in 0..3 {
            let mut session = TcpStream::connect(address).await.unwrap();
            assert!(says(&mut session, byte).await);
            sessions.push(session);
        }
        assert_eq!(relay.sessions(), 3);

        relay.cut().await;
        assert_eq!(relay.sessions(), 0);
        for session in &mut sessions {
            assert!(!says(session, 9).await, "cut");
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        assert!(!says(&mut late, 9).await, "refused");

        relay.open();
        let mut again = TcpStream::connect(address).await.unwrap();
        assert!(says(&mut again, 7).await, "open again");
        stop.cancel();
        assert_eq!(
            again.read(&mut [0]).await.unwrap_or(0),
            0,
            "ends with the agent"
        );
    }

    #[tokio::test]
    async fn sessions_are_bounded() {
        let (relay, address) = Relay::start("127.0.0.1:0", echo().await, CancellationToken::new())
            .await
            .unwrap();
        relay.open();
        let mut kept = Vec::new();
        for _ in 0..SESSIONS_MAX {
            let mut session = TcpStream::connect(address).await.unwrap();
            assert!(says(&mut session, 1).await);
            kept.push(session);
        }
        let mut beyond = TcpStream::connect(address).await.unwrap();
        assert!(!says(&mut beyond, 1).await);
        assert_eq!(relay.sessions(), SESSIONS_MAX);
    }
}
