//! One direction of a session: read, find the message boundaries, send on.
//!
//! One buffer a direction, used again and again; whole spans of messages go out
//! with one write. While a span is not sent, nothing more is read: a slow reader
//! slows its writer.
//! Invariant: `permit` is asked right before every write, after every wake-up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::protocol::frame::{self, Framer, Malformed, Message, WHOLE_MAX};

/// Bytes of one direction's buffer: several of the largest messages that travel whole.
const BUFFER: usize = 4 * WHOLE_MAX;
const _: () = assert!(
    BUFFER >= 2 * WHOLE_MAX,
    "a whole message must fit behind a partial one"
);

/// Why a direction ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// The source closed its side, and all it sent has been sent on.
    SourceLeft,
    /// The permit was denied; the span stays unsent.
    Denied,
    /// The stream cannot be followed.
    Malformed(Malformed),
    /// A socket failed.
    Io(io::Error),
}

/// One direction of a session.
#[derive(Debug)]
pub(super) struct Flow {
    buffer: Box<[u8]>,
    /// `buffer[start..end]` was read and not sent.
    start: usize,
    end: usize,
    /// The first bytes of that which may be sent, and whether they end between messages.
    ready: usize,
    between: bool,
    /// Everything sent so far ends between two messages.
    sent_whole: bool,
    framer: Framer,
    source_left: bool,
}

impl Flow {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            ready: 0,
            between: true,
            sent_whole: true,
            framer: Framer::default(),
            source_left: false,
        }
    }

    /// Whether everything sent so far ends between two messages.
    pub(super) fn sent_whole(&self) -> bool {
        self.sent_whole
    }

    /// Whether nothing that was read waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Reads the first message of a fresh direction, as far as the framer would show it; it stays
    /// to be sent. `None` if the source closes before.
    pub(super) async fn first(&mut self, from: &mut TcpStream) -> io::Result<Option<Message<'_>>> {
        loop {
            let seen = frame::first(&self.buffer[..self.end]).map_err(io::Error::other)?;
            if seen.is_some() {
                break;
            }
            match from.read(&mut self.buffer[self.end..]).await? {
                0 => return Ok(None),
                count => self.end += count,
            }
        }
        frame::first(&self.buffer[..self.end]).map_err(io::Error::other)
    }

    /// Moves what can be moved now. Ready only when the direction has ended.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut TcpStream>,
        mut to: Pin<&mut TcpStream>,
        permit: impl Fn() -> bool,
        mut each: impl FnMut(Message<'_>),
    ) -> Poll<Stop> {
        loop {
            if let Err(stop) = ready!(self.poll_send(cx, to.as_mut(), &permit)) {
                return Poll::Ready(stop);
            }
            if let Err(malformed) = self.scan(&mut each) {
                return Poll::Ready(Stop::Malformed(malformed));
            }
            if self.ready > 0 {
                continue;
            }
            if self.source_left {
                return Poll::Ready(Stop::SourceLeft);
            }
            if let Err(error) = ready!(self.poll_receive(cx, from.as_mut())) {
                return Poll::Ready(Stop::Io(error));
            }
        }
    }

    /// Sends the ready span.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut TcpStream>,
        permit: &impl Fn() -> bool,
    ) -> Poll<Result<(), Stop>> {
        while self.ready > 0 {
            if !permit() {
                return Poll::Ready(Err(Stop::Denied));
            }
            let span = &self.buffer[self.start..self.start + self.ready];
            let sent = match ready!(to.as_mut().poll_write(cx, span)) {
                Ok(0) => return Poll::Ready(Err(Stop::Io(io::ErrorKind::WriteZero.into()))),
                Ok(sent) => sent,
                Err(error) => return Poll::Ready(Err(Stop::Io(error))),
            };
            self.start += sent;
            self.ready -= sent;
            self.sent_whole = self.ready == 0 && self.between;
        }
        Poll::Ready(Ok(()))
    }

    /// Finds out how much of what was read may be sent.
    fn scan(&mut self, each: &mut impl FnMut(Message<'_>)) -> Result<(), Malformed> {
        if !self.is_empty() {
            let span = self.framer.scan(&self.buffer[self.start..self.end], each)?;
            (self.ready, self.between) = (span.len, span.between);
        }
        Ok(())
    }

    /// Reads once.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        from: Pin<&mut TcpStream>,
    ) -> Poll<io::Result<()>> {
        self.make_room();
        let mut free = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(from.poll_read(cx, &mut free))?;
        let count = free.filled().len();
        self.source_left = count == 0;
        self.end += count;
        Poll::Ready(Ok(()))
    }

    /// Moves a partial message to the front when the room behind it is small.
    fn make_room(&mut self) {
        if self.is_empty() || BUFFER - self.end < WHOLE_MAX {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    fn message(body: usize) -> Vec<u8> {
        let length = u32::try_from(body + 4).unwrap();
        [&b"D"[..], &length.to_be_bytes(), &vec![0; body]].concat()
    }

    /// Runs `flow` until it ends.
    async fn run(
        flow: &mut Flow,
        from: &mut TcpStream,
        to: &mut TcpStream,
        permit: impl Fn() -> bool,
    ) -> Stop {
        std::future::poll_fn(|cx| flow.poll(cx, Pin::new(from), Pin::new(to), &permit, |_| ()))
            .await
    }

    #[tokio::test]
    async fn what_was_read_before_the_denial_does_not_pass_after_it() {
        let ((mut server, mut from), (mut to, mut client)) = (pair().await, pair().await);
        server.write_all(&message(100)).await.unwrap();
        from.readable().await.unwrap();
        let mut flow = Flow::new();
        let stop = run(&mut flow, &mut from, &mut to, || false).await;
        assert!(matches!(stop, Stop::Denied), "{stop:?}");
        assert!(flow.sent_whole() && !flow.is_empty());
        drop(to);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_is_asked_about_at_every_wake_up() {
        let ((mut server, mut from), (mut to, mut client)) = (pair().await, pair().await);
        // More than both sockets' buffers take.
        let feeding = tokio::spawn(async move { server.write_all(&message(256 << 20)).await });
        let mut flow = Flow::new();
        let asked = Cell::new(0_u32);
        // The permit ends while the flow waits for the client to read on.
        let permit = || {
            asked.set(asked.get() + 1);
            asked.get() <= 100
        };
        let stop = {
            let running = run(&mut flow, &mut from, &mut to, permit);
            let mut sink = vec![0; 1 << 20];
            let reading = async { while client.read(&mut sink).await.unwrap_or(0) > 0 {} };
            tokio::select! {
                stop = running => stop,
                () = reading => unreachable!("the flow ends first"),
            }
        };
        assert!(matches!(stop, Stop::Denied), "{stop:?}");
        assert_eq!(asked.get(), 101);
        assert!(!flow.sent_whole(), "in the middle of a large message");
        feeding.abort();
    }
}
