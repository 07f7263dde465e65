//! Questions to another program's HTTP API: one peer, one name, bounded in time and size.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::{Credentials, TlsError};

/// The longest answer that is read: a hundred times an ordinary status.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An idle connection is kept for the next question; probes ask twice a second.
const IDLE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No connection, or it broke. The question may have arrived.
    #[error("no answer")]
    Failed(#[source] ClientError),
    /// Nothing came in time. The question may have arrived.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// An answer of another kind.
    #[error("answered with status {0}")]
    Status(u16),
    /// The answer ended early or is too long.
    #[error("the answer could not be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is no such JSON.
    #[error("the answer could not be understood")]
    Json(#[from] serde_json::Error),
    /// The question cannot be asked at this address.
    #[error("this is no address to ask at")]
    Address(#[source] hyper::http::Error),
}

/// A status and a body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// If it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, AskError> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// One other program, as seen from here.
#[derive(Debug, Clone)]
pub struct Peer {
    address: String,
    bound: Duration,
    client: Client<Dial, Full<Bytes>>,
}

impl Peer {
    /// The program `name`, reached at `address` (`host:port`); each question may take `bound`.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn new(
        name: &str,
        address: &str,
        credentials: Option<&Credentials>,
        bound: Duration,
    ) -> Result<Self, TlsError> {
        let tls = match credentials {
            Some(credentials) => Some((
                TlsConnector::from(credentials.client()),
                credentials.server_name(name)?,
            )),
            None => None,
        };
        let dial = Dial {
            address: address.into(),
            tls,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(dial);
        Ok(Self {
            address: address.to_owned(),
            bound,
            client,
        })
    }

    /// `GET path`, an answer of 2xx, as JSON.
    ///
    /// # Errors
    /// Everything else.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        let answer = self.send(Method::GET, path, None, None::<&()>).await?;
        if (200..300).contains(&answer.status) {
            answer.json()
        } else {
            Err(AskError::Status(answer.status))
        }
    }

    /// `GET path`, whatever its status.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer, AskError> {
        self.send(Method::GET, path, None, None::<&()>).await
    }

    /// `POST path` with a body of JSON.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post<B: Serialize + ?Sized>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &B,
    ) -> Result<Answer, AskError> {
        self.send(Method::POST, path, token, Some(body)).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn delete(&self, path: &str, token: Option<&str>) -> Result<Answer, AskError> {
        self.send(Method::DELETE, path, token, None::<&()>).await
    }

    async fn send<B: Serialize + ?Sized>(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&B>,
    ) -> Result<Answer, AskError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if let Some(token) = token {
            request = request.header(hyper::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(hyper::header::CONTENT_TYPE, "application/json");
                Bytes::from(serde_json::to_vec(body)?)
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(body)).map_err(AskError::Address)?;
        let exchange = async {
            let response = self.client.request(request).await;
            let response = response.map_err(AskError::Failed)?;
            let status: StatusCode = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(AskError::Body)?.to_bytes();
            Ok(Answer {
                status: status.as_u16(),
                body,
            })
        };
        match timeout(self.bound, exchange).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(AskError::Late(self.bound)),
        }
    }
}

/// Opens connections to one address; the name of the other end is checked, not its address.
#[derive(Clone)]
struct Dial {
    address: Arc<str>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { address, tls } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(&*address).await?;
            stream.set_nodelay(true)?;
            let wire = match tls {
                Some((connector, name)) => Wire::new(connector.connect(name, stream).await?),
                None => Wire::new(stream),
            };
            Ok(TokioIo::new(wire))
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, secured or plain.
pub struct Wire(Box<dyn Stream>);

impl Wire {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
