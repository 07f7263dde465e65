//! A wire to PostgreSQL that a test can break.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Carries everything.
    Carrying,
    /// Hangs up on whoever connects.
    Refusing,
    /// Lets an execution through, loses what the server says to it, hangs up.
    LosingAnswers,
}

/// The first byte of PostgreSQL's "bind" message, with which an execution of a
/// prepared statement begins.
const BIND: u8 = b'B';

struct Inner {
    port: u16,
    mood: watch::Sender<Mood>,
    refused: watch::Sender<u32>,
    open: Mutex<Vec<AbortHandle>>,
}

/// A listener whose connections end at PostgreSQL.
pub(crate) struct Wire {
    inner: Arc<Inner>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let inner = Arc::new(Inner {
            port,
            mood: watch::Sender::new(Mood::Carrying),
            refused: watch::Sender::new(0),
            open: Mutex::new(Vec::new()),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&inner)));
        Self {
            inner,
            address,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the mood; what is open is cut, except for losing answers.
    pub(crate) fn change(&self, mood: Mood) {
        self.inner.mood.send_replace(mood);
        if mood != Mood::LosingAnswers {
            self.cut_all();
        }
    }

    /// Cuts every open connection.
    pub(crate) fn cut_all(&self) {
        for open in self.inner.open.lock().expect("no panic").drain(..) {
            open.abort();
        }
    }

    /// Waits until so many connections were refused.
    pub(crate) async fn refused(&self, count: u32) {
        let mut refused = self.inner.refused.subscribe();
        refused
            .wait_for(|seen| *seen >= count)
            .await
            .expect("the wire lives");
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    let mut carriers = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if *inner.mood.borrow() == Mood::Refusing {
            inner.refused.send_modify(|count| *count += 1);
            continue;
        }
        let carrier = carriers.spawn(carry(client, Arc::clone(&inner)));
        inner.open.lock().expect("no panic").push(carrier);
    }
}

async fn carry(client: TcpStream, inner: Arc<Inner>) {
    let server = TcpStream::connect(("127.0.0.1", inner.port))
        .await
        .expect("it answers");
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Either end ends both.
    tokio::select! {
        () = requests(from_client, to_server, &inner) => {}
        () = answers(from_server, to_client) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, inner: &Inner) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
        if bytes[0] == BIND && *inner.mood.borrow() == Mood::LosingAnswers {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}
