//! Reads what a client says before its first message, within bounds of size and time.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::protocol::startup::{self, Opening, Unreadable};

/// libpq asks for GSS and for TLS, each once; one spare each.
const ENCRYPTION_REQUESTS_MAX: usize = 4;

/// Why no session began.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpeningError {
    #[error("the client's first packet cannot be read")]
    Unreadable(#[from] Unreadable),
    #[error("the client's first packet did not arrive")]
    Io(#[from] io::Error),
}

/// The client's wish and its packet as it came.
pub(super) async fn read(
    client: &mut TcpStream,
    bound: Duration,
) -> Result<(Opening, Vec<u8>), OpeningError> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(bound, read_unbounded(client)).await.map_err(late)?
}

async fn read_unbounded(client: &mut TcpStream) -> Result<(Opening, Vec<u8>), OpeningError> {
    for _ in 0..ENCRYPTION_REQUESTS_MAX {
        let mut head = [0; 4];
        client.read_exact(&mut head).await?;
        let mut packet = vec![0; startup::packet_len(head)?];
        packet[..4].copy_from_slice(&head);
        client.read_exact(&mut packet[4..]).await?;
        match startup::read(&packet)? {
            // Gate and applications share a site; the way between sites is the tunnel's concern.
            Opening::Encryption => client.write_all(b"N").await?,
            wish => return Ok((wish, packet)),
        }
    }
    Err(io::Error::other("the client keeps asking for encryption").into())
}
