//! The life of one connection, in order: opening, seeking a server leg, pumping
//! messages both ways, farewell.
//!
//! Each connection is one task; whatever ends it, both sockets are closed when
//! the task ends, so that the server's backend ends too.

mod cancel;
mod flow;
mod opening;
mod pump;
mod seek;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::keeper::Keeper;
use crate::protocol::refusal::{ADMIN_SHUTDOWN, PROTOCOL_VIOLATION, Refusal};
use crate::protocol::startup::Opening;
use crate::roster::{Event, Port, Roster};
use crate::settings::Settings;
use crate::socket;
use crate::term::Term;
use cancel::Keys;
use opening::OpeningError;
use pump::{End, Pump};

/// What every session of a gate uses.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) roster: Arc<Roster>,
    /// The term of read sessions: no deadline.
    pub(crate) reading: Arc<Term>,
    /// Fires when the gate stops.
    pub(crate) stop: CancellationToken,
    keys: Arc<Keys>,
    /// The peer that answered last, so that a dead one is not tried first each time.
    peer_index: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(settings: Settings, keeper: Arc<Keeper>, stop: CancellationToken) -> Self {
        Self {
            settings,
            keeper,
            stop,
            roster: Arc::default(),
            reading: Term::unlimited(tandem_core::model::Epoch::default()),
            keys: Arc::default(),
            peer_index: AtomicUsize::new(0),
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, port: Port, mut client: TcpStream) {
    if let Err(error) = socket::tune_client(&client) {
        debug!(port = port.name(), %error, "client leg refused its socket options");
        return;
    }
    let opening = opening::read(&mut client, shared.settings.bounds.opening);
    let opened = tokio::select! {
        opened = opening => opened,
        () = shared.stop.cancelled() => return,
    };
    match opened {
        Ok((Opening::Cancel { key }, _)) => cancel::pass_on(&shared, port, &key).await,
        Ok((_, packet)) => carry(&shared, port, client, &packet).await,
        Err(OpeningError::Unreadable(error)) => {
            shared.roster.count(Event::Malformed);
            let refusal = Refusal::new(PROTOCOL_VIOLATION, error.to_string());
            farewell(&shared, client, &refusal).await;
        }
        Err(OpeningError::Io(error)) => debug!(port = port.name(), %error, "no session began"),
    }
}

/// Finds a server leg and carries the session to its end.
async fn carry(shared: &Arc<Shared>, port: Port, mut client: TcpStream, packet: &[u8]) {
    let entry = shared.roster.enter(port);
    let sought = tokio::select! {
        sought = seek::seek(shared, port, packet) => sought,
        () = gone(&client) => return,
        () = shared.stop.cancelled() => Err(stopping()),
    };
    let leg = match sought {
        Ok(leg) => leg,
        Err(refusal) => {
            shared.roster.count(Event::Refused);
            return farewell(shared, client, &refusal).await;
        }
    };
    shared.roster.count(Event::Opened);
    let mut pump = Pump::new(shared, leg, &entry);
    let end = pump.run(&mut client).await;
    let polite = pump.client_between_messages();
    let unfinished = pump.unfinished();
    drop(pump);
    if let (End::RightEnded, Some((home, key))) = (&end, unfinished) {
        cancel::cancel_unfinished(shared, home, &key);
    }
    if let Some(refusal) = last_word(shared, port, &end)
        && polite
    {
        farewell(shared, client, &refusal).await;
    }
}

/// Counts the end of a session and says what its client is told, if anything.
fn last_word(shared: &Shared, port: Port, end: &End) -> Option<Refusal> {
    let (event, refusal) = match end {
        End::ClientLeft => return None,
        End::ServerLeft => (Event::ServerLost, None),
        End::RightEnded => (Event::CutRight, Some(right_ended(shared))),
        End::Stopping => (Event::CutStop, Some(stopping())),
        End::Malformed(error) => {
            warn!(port = port.name(), %error, "session cut: its messages cannot be followed");
            let message = error.to_string();
            (
                Event::Malformed,
                Some(Refusal::new(PROTOCOL_VIOLATION, message)),
            )
        }
        End::Io(error) => {
            debug!(port = port.name(), %error, "session ended");
            return None;
        }
    };
    shared.roster.count(event);
    refusal
}

fn right_ended(shared: &Shared) -> Refusal {
    let site = shared.settings.site;
    let message = format!(
        "terminating connection: the right to write that the gate at {site} had for it has ended"
    );
    Refusal::new(ADMIN_SHUTDOWN, message)
}

fn stopping() -> Refusal {
    Refusal::new(
        ADMIN_SHUTDOWN,
        "terminating connection: the gate is stopping",
    )
}

/// Ready when the client has closed its side. A client that already sent more is believed to be there.
async fn gone(client: &TcpStream) {
    if let Ok(1..) = client.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

/// Says `refusal` if the socket takes it at once, and lets the client read it: a socket closed with
/// unread bytes in it is reset, and the reset may overtake the message.
async fn farewell(shared: &Shared, mut client: TcpStream, refusal: &Refusal) {
    let wire = refusal.to_wire();
    let sent = std::future::poll_fn(|cx| Poll::Ready(write_now(&mut client, cx, &wire))).await;
    if sent != Some(wire.len()) {
        return;
    }
    let drain = async {
        client.shutdown().await?;
        let mut rest = [0; 4096];
        while client.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(shared.settings.bounds.farewell, drain).await;
}

fn write_now(client: &mut TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Option<usize> {
    match Pin::new(client).poll_write(cx, bytes) {
        Poll::Ready(Ok(sent)) => Some(sent),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}

/// Refuses a connection that is one too many, without a task or a buffer for it.
pub(crate) fn turn_away(client: &TcpStream, refusal: &Refusal) {
    // A socket that does not take it at once is closed without a word.
    let _ = client.try_write(&refusal.to_wire());
}
