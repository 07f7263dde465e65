//! Pumps messages between a client and its server leg until one of them, the
//! right to write, or the gate ends.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::Shared;
use super::cancel::{Home, Kept, Keys};
use super::flow::{Flow, Stop};
use super::seek::Leg;
use crate::clock;
use crate::protocol::dialogue::{Activity, Dialogue};
use crate::protocol::frame::{Malformed, Message};
use crate::roster::Entry;
use crate::term::Term;

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed its connection.
    ClientLeft,
    /// The server closed its connection.
    ServerLeft,
    /// The right to write under which it was opened has ended.
    RightEnded,
    /// The gate stops.
    Stopping,
    /// One side sent what cannot be followed.
    Malformed(Malformed),
    /// A socket failed.
    Io(io::Error),
}

/// A session with both legs.
#[derive(Debug)]
pub(super) struct Pump<'a> {
    server: TcpStream,
    up: Flow,
    down: Flow,
    record: Record<'a>,
    term: Arc<Term>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Runs from the moment the gate began to stop: transactions may come to their end.
    drain: Option<Pin<Box<Sleep>>>,
    shared: &'a Shared,
}

/// What is known of the session from its messages.
#[derive(Debug)]
struct Record<'a> {
    dialogue: Dialogue,
    entry: &'a Entry,
    keys: Arc<Keys>,
    home: Home,
    kept: Option<Kept>,
}

impl<'a> Pump<'a> {
    pub(super) fn new(shared: &'a Shared, leg: Leg, entry: &'a Entry) -> Self {
        let dialogue = Dialogue::default();
        let keys = Arc::clone(&shared.keys);
        Self {
            server: leg.stream,
            up: Flow::new(),
            down: leg.down,
            record: Record {
                dialogue,
                entry,
                keys,
                home: leg.home,
                kept: None,
            },
            over: Box::pin(leg.term.over()),
            term: leg.term,
            stop: Box::pin(shared.stop.clone().cancelled_owned()),
            drain: None,
            shared,
        }
    }

    /// Pumps to the end of the session.
    pub(super) async fn run(&mut self, client: &mut TcpStream) -> End {
        poll_fn(|cx| self.poll(cx, client)).await
    }

    /// Whether the client has received whole messages only, so that one more can be said.
    pub(super) fn client_between_messages(&self) -> bool {
        self.down.sent_whole()
    }

    /// Where the backend works on an unfinished request, and its key.
    pub(super) fn unfinished(&self) -> Option<(Home, Box<[u8]>)> {
        let busy = self.record.dialogue.activity() == Activity::Busy;
        let kept = self.record.kept.as_ref().filter(|_| busy)?;
        Some((self.record.home.clone(), kept.key().into()))
    }

    fn poll(&mut self, cx: &mut Context<'_>, client: &mut TcpStream) -> Poll<End> {
        if self.over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(End::RightEnded);
        }
        let (client, server) = (Pin::new(client), Pin::new(&mut self.server));
        let (mut client, mut server) = (client, server);
        let term = &self.term;
        let permit = || term.allows(clock::now());
        let record = &mut self.record;
        let (up_client, up_server) = (client.as_mut(), server.as_mut());
        let up = self.up.poll(cx, up_client, up_server, permit, |message| {
            record.dialogue.handle_client(message);
        });
        let down = self.down.poll(cx, server, client, permit, |message| {
            record.handle_server(message);
        });
        self.record.show();
        // The server's last word reaches the client before the client's own leaving counts.
        match (down, up) {
            (Poll::Ready(stop), _) => Poll::Ready(ended(stop, End::ServerLeft)),
            (_, Poll::Ready(stop)) => Poll::Ready(ended(stop, End::ClientLeft)),
            _ => self.poll_stop(cx),
        }
    }

    /// Ends the session of a stopping gate: between transactions at once, else after a while.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.drain.is_none() {
            if self.stop.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.drain = Some(Box::pin(tokio::time::sleep(
                self.shared.settings.bounds.drain,
            )));
        }
        let late = self
            .drain
            .as_mut()
            .is_some_and(|drain| drain.as_mut().poll(cx).is_ready());
        let idle = self.record.dialogue.activity() == Activity::Idle;
        if late || (idle && self.up.is_empty() && self.down.is_empty()) {
            return Poll::Ready(End::Stopping);
        }
        Poll::Pending
    }
}

fn ended(stop: Stop, left: End) -> End {
    match stop {
        Stop::SourceLeft => left,
        Stop::Denied => End::RightEnded,
        Stop::Malformed(malformed) => End::Malformed(malformed),
        Stop::Io(error) => End::Io(error),
    }
}

impl Record<'_> {
    fn handle_server(&mut self, message: Message<'_>) {
        self.dialogue.handle_server(message);
        if let Message::Whole { tag: b'K', body } = message {
            self.kept = Some(self.keys.keep(body, self.home.clone()));
        }
    }

    fn show(&self) {
        self.entry.show(self.dialogue.activity());
    }
}
