//! The smallest HTTP client that can ask a process of ours whether it lives.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one question may take.
const BOUND: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// An answer: status, head and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `GET path` at `server`.
pub(crate) async fn get(server: SocketAddr, path: &str) -> io::Result<Answer> {
    ask(
        server,
        &format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n"),
    )
    .await
}

/// `POST path` with a JSON body.
pub(crate) async fn post(server: SocketAddr, path: &str, json: &str) -> io::Result<Answer> {
    let length = json.len();
    let head = format!("POST {path} HTTP/1.0\r\nHost: {server}\r\nContent-Type: application/json");
    ask(
        server,
        &format!("{head}\r\nContent-Length: {length}\r\n\r\n{json}"),
    )
    .await
}

async fn ask(server: SocketAddr, question: &str) -> io::Result<Answer> {
    let asked = timeout(BOUND, exchange(server, question)).await;
    let text = asked.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
}

async fn exchange(server: SocketAddr, question: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}
