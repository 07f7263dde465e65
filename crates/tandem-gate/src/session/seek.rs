//! Seeks a server leg for a new session: connect, or hold and try again.
//!
//! A session has found its leg when the server has said its first word and that
//! word is not "cannot connect now" (a starting PostgreSQL and a gate without
//! the right to write both say 57P03). Until then nothing has reached the client,
//! so that every failure can be tried again elsewhere, within one bound.
//! Refused: holding at the peer port. Holding happens at one place, the client's
//! own gate, which may learn in the meantime that the primary is somewhere else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::debug;

use super::Shared;
use super::cancel::{Home, peers};
use super::flow::Flow;
use crate::protocol::frame::Message;
use crate::protocol::refusal::{CANNOT_CONNECT_NOW, Refusal, TOO_MANY, sqlstate};
use crate::roster::{Held, Port};
use crate::settings::{Bounds, HELD_MAX};
use crate::socket;
use crate::term::{Route, Term};
use tandem_core::gate::Why;

/// A server leg that has said its first word, which is still to be sent.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) stream: TcpStream,
    pub(super) down: Flow,
    pub(super) term: Arc<Term>,
    pub(super) home: Home,
}

/// Why there is no leg yet; prints as the second half of a refusal.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error("{0}")]
    Right(Why),
    #[error("the primary is at {0}, and forwarded sessions are not forwarded again")]
    Elsewhere(tandem_core::model::SiteId),
    #[error("the server does not answer: {0}")]
    Silent(#[from] io::Error),
    #[error("the server says that it cannot be connected to now")]
    NotNow,
    #[error("the primary has just moved")]
    Moved,
}

/// Seeks a leg for a session whose startup packet is `packet`.
pub(super) async fn seek(shared: &Shared, port: Port, packet: &[u8]) -> Result<Leg, Refusal> {
    let bounds = &shared.settings.bounds;
    let hold = match port {
        Port::Rw => bounds.hold,
        Port::Ro => bounds.hold_read,
        Port::Peer => Duration::ZERO,
    };
    let mut search = Search {
        shared,
        port,
        packet,
        routes: shared.keeper.routes(),
        until: Instant::now() + hold,
        held: None,
    };
    loop {
        match search.look().await {
            Ok(leg) => return Ok(leg),
            Err(missing) => search.wait(&missing, hold).await?,
        }
    }
}

/// One session's search.
struct Search<'a> {
    shared: &'a Shared,
    port: Port,
    packet: &'a [u8],
    routes: watch::Receiver<Route>,
    until: Instant,
    held: Option<Held>,
}

impl Search<'_> {
    /// Looks once, where sessions of this port go now. A change of that ends the look.
    async fn look(&mut self) -> Result<Leg, Missing> {
        let (shared, packet) = (self.shared, self.packet);
        let database = shared.settings.database.as_str();
        if self.port == Port::Ro {
            let leg = connect(shared, database, packet, &shared.reading);
            return within(self.bound(), leg).await;
        }
        let bound = self.bound();
        let route = self.routes.borrow_and_update().clone();
        let leg = async {
            match &route {
                Route::Here(term) => connect(shared, database, packet, term).await,
                Route::Peer(site, _) if self.port == Port::Peer => Err(Missing::Elsewhere(*site)),
                Route::Peer(_, term) => connect_peer(shared, packet, term).await,
                Route::Nowhere(why) => Err(Missing::Right(*why)),
            }
        };
        tokio::select! {
            leg = within(bound, leg) => leg,
            _ = self.routes.changed() => Err(Missing::Moved),
        }
    }

    /// A look ends with the search; the peer port's only look has a bound of its own.
    fn bound(&self) -> Instant {
        let Bounds {
            connect, answer, ..
        } = self.shared.settings.bounds;
        match self.port {
            Port::Peer => Instant::now() + connect + answer,
            Port::Rw | Port::Ro => self.until,
        }
    }

    /// Waits for a change, or for the next try; refuses when the time is over.
    async fn wait(&mut self, missing: &Missing, hold: Duration) -> Result<(), Refusal> {
        if Instant::now() >= self.until {
            return Err(refusal(self.port, missing, hold));
        }
        if matches!(missing, Missing::Moved) {
            return Ok(());
        }
        debug!(port = self.port.name(), %missing, "session waits");
        if self.held.is_none() {
            let held = self.shared.roster.hold(HELD_MAX);
            self.held = Some(held.ok_or_else(|| {
                Refusal::new(
                    TOO_MANY,
                    format!("{HELD_MAX} sessions already wait for a primary"),
                )
            })?);
        }
        let retry = async {
            match missing {
                // Only news can change that.
                Missing::Right(_) if self.port == Port::Rw => std::future::pending().await,
                _ => sleep(self.shared.settings.bounds.retry).await,
            }
        };
        tokio::select! {
            () = retry => {}
            () = sleep_until(self.until) => {}
            _ = self.routes.changed(), if self.port == Port::Rw => {}
        }
        Ok(())
    }
}

fn refusal(port: Port, missing: &Missing, hold: Duration) -> Refusal {
    let what = if port == Port::Ro {
        "local database"
    } else {
        "primary"
    };
    let waited = match hold.as_millis() {
        0 => String::new(),
        millis => format!(" (waited {millis} ms)"),
    };
    Refusal::new(
        CANNOT_CONNECT_NOW,
        format!("no {what} can be reached now{waited}: {missing}"),
    )
}

async fn within(
    bound: Instant,
    leg: impl Future<Output = Result<Leg, Missing>>,
) -> Result<Leg, Missing> {
    let late = |_| Missing::Silent(io::ErrorKind::TimedOut.into());
    timeout_at(bound, leg).await.map_err(late)?
}

/// Tries the other site's gates in turn and remembers the one that answered.
async fn connect_peer(shared: &Shared, packet: &[u8], term: &Arc<Term>) -> Result<Leg, Missing> {
    let mut missing = Missing::Silent(io::ErrorKind::AddrNotAvailable.into());
    for (index, peer) in peers(shared) {
        match connect(shared, peer, packet, term).await {
            Ok(leg) => {
                shared.peer_index.store(index, Ordering::Relaxed);
                return Ok(leg);
            }
            Err(error) => missing = error,
        }
    }
    Err(missing)
}

/// Connects, brings the startup packet and waits for the first word.
async fn connect(
    shared: &Shared,
    address: &str,
    packet: &[u8],
    term: &Arc<Term>,
) -> Result<Leg, Missing> {
    let Bounds {
        connect, answer, ..
    } = shared.settings.bounds;
    let late = |_| Missing::Silent(io::ErrorKind::TimedOut.into());
    let mut stream = timeout(connect, TcpStream::connect(address))
        .await
        .map_err(late)??;
    socket::tune_server(&stream)?;
    let mut down = Flow::new();
    timeout(answer, greet(&mut stream, &mut down, packet))
        .await
        .map_err(late)??;
    Ok(Leg {
        stream,
        down,
        term: Arc::clone(term),
        home: Home::from(address),
    })
}

async fn greet(stream: &mut TcpStream, down: &mut Flow, packet: &[u8]) -> Result<(), Missing> {
    stream.write_all(packet).await?;
    match down.first(stream).await? {
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Some(Message::Whole { tag: b'E', body })
            if sqlstate(body) == Some(CANNOT_CONNECT_NOW.as_bytes()) =>
        {
            Err(Missing::NotNow)
        }
        Some(_) => Ok(()),
    }
}
