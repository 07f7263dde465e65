//! One connection on its two wires.
//!
//! Each direction has an intake, which stamps what it reads with the moment of
//! arrival, and a delivery, which writes it at that moment if the wire is
//! open. The end of a stream and a reset travel like bytes: through a
//! cut wire nobody learns that the other end is gone.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, sleep_until};

use super::wire::{Shape, Wire};

/// The largest piece that travels as one.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// Pieces on one direction of one connection: at most 1 MiB.
const PIECES_MAX: usize = 64;
/// How often a waiting handshake looks whether its client gave up.
const GIVEN_UP_PERIOD: Duration = Duration::from_millis(100);

/// The connection is to be reset at both ends.
struct Broken;

struct Piece {
    due: Instant,
    load: Load,
}

enum Load {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// Where a connection leads.
pub(super) enum Target {
    At(SocketAddr),
    Connected(TcpStream),
}

/// Carries one accepted connection to `target` until it ends.
pub(super) async fn carry(
    mut client: TcpStream,
    target: Target,
    there: &Wire,
    back: &Wire,
    seed: u64,
) {
    if handshake(&client, there, back).await.is_err() {
        return reset(&client);
    }
    let connected = match target {
        Target::At(address) => TcpStream::connect(address).await,
        Target::Connected(server) => Ok(server),
    };
    let Ok(mut server) = connected else {
        return reset(&client);
    };
    // Refused only by a socket that is gone, which the first read will tell.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = tokio::select! {
        ended = exchange(&mut client, &mut server, there, back, seed) => ended,
        () = there.reset() => Err(Broken),
        () = back.reset() => Err(Broken),
    };
    if ended.is_err() {
        reset(&server);
        reset(&client);
    }
}

/// Waits for one round trip over open wires, as SYN and SYN-ACK need; fails when wires reset
/// or the client gives up: what it sent must not arrive when it is long gone.
async fn handshake(client: &TcpStream, there: &Wire, back: &Wire) -> Result<(), Broken> {
    let mut waited = false;
    loop {
        if there.is_reset() || back.is_reset() || (waited && has_given_up(client).await) {
            return Err(Broken);
        }
        if there.is_open() && back.is_open() {
            sleep(there.shape().delay + back.shape().delay).await;
            return Ok(());
        }
        waited = true;
        sleep(GIVEN_UP_PERIOD).await;
    }
}

async fn has_given_up(client: &TcpStream) -> bool {
    // Writable at once, since nothing was written yet; the answer carries the close as well.
    let both = Interest::READABLE | Interest::WRITABLE;
    client
        .ready(both)
        .await
        .map_or(true, |ready| ready.is_read_closed())
}

/// Ends a connection with a reset when it is dropped.
pub(super) fn reset(stream: &TcpStream) {
    // Refused only by a socket that is gone already.
    let _ = stream.set_zero_linger();
}

async fn exchange(
    client: &mut TcpStream,
    server: &mut TcpStream,
    there: &Wire,
    back: &Wire,
    seed: u64,
) -> Result<(), Broken> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (sent, arriving) = channel(PIECES_MAX);
    let (answered, returning) = channel(PIECES_MAX);
    let up = take_in(from_client, there, StdRng::seed_from_u64(seed), sent);
    let down = take_in(from_server, back, StdRng::seed_from_u64(!seed), answered);
    let deliveries = async {
        tokio::try_join!(
            deliver(to_server, there, back, arriving),
            deliver(to_client, back, there, returning),
        )
    };
    let intakes = async { tokio::join!(up, down) };
    // Deliveries end when their intakes have, or at the first reset.
    let mut intakes = std::pin::pin!(intakes);
    let mut deliveries = std::pin::pin!(deliveries);
    tokio::select! {
        ended = &mut deliveries => ended.map(|_| ()),
        _ = &mut intakes => deliveries.await.map(|_| ()),
    }
}

/// Reads, stamps and hands on; order is kept whatever the jitter says.
async fn take_in(mut from: ReadHalf<'_>, wire: &Wire, mut chance: StdRng, to: Sender<Piece>) {
    let mut buffer = vec![0; PIECE_BYTES_MAX];
    let mut last = Instant::now();
    loop {
        let load = match from.read(&mut buffer).await {
            Ok(0) => Load::End,
            Ok(length) => Load::Bytes(buffer[..length].to_vec()),
            Err(_) => Load::Reset,
        };
        let is_last = !matches!(load, Load::Bytes(_));
        last = last.max(Instant::now() + delay(&wire.shape(), &mut chance));
        if to.send(Piece { due: last, load }).await.is_err() || is_last {
            return;
        }
    }
}

/// Delay plus or minus jitter.
fn delay(shape: &Shape, chance: &mut StdRng) -> Duration {
    let least = shape.delay.saturating_sub(shape.jitter);
    let most = shape.delay + shape.jitter;
    if least == most {
        least
    } else {
        chance.random_range(least..=most)
    }
}

async fn deliver(
    mut to: WriteHalf<'_>,
    wire: &Wire,
    opposite: &Wire,
    mut pieces: Receiver<Piece>,
) -> Result<(), Broken> {
    while let Some(Piece { due, load }) = pieces.recv().await {
        sleep_until(due).await;
        wire.open().await;
        let written = match load {
            Load::Bytes(bytes) => {
                sleep_until(wire.reserve(bytes.len())).await;
                to.write_all(&bytes).await
            }
            Load::End => to.shutdown().await,
            Load::Reset => return Err(Broken),
        };
        if written.is_err() {
            // The receiver is gone; the sender learns it by the way back.
            opposite.open().await;
            return Err(Broken);
        }
    }
    Ok(())
}
