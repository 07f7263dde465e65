//! Serves the providers on unix sockets, where terraform looks for them.
//!
//! Intuition: terraform can be told that a provider runs already (`TF_REATTACH_PROVIDERS`). So there
//! is no handshake, no certificate, no registry and no lock file, and several commands may share one
//! process. gRPC is spoken by hand: every call is unary, which leaves a five-byte frame header and
//! one trailer. Refused: tonic and protoc, for forty lines.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Map, json};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;

use crate::error::Error;
use crate::provider::{Clerk, Refusal};
use crate::{cut, overlay, rules};

/// Length of the gRPC frame header: one byte "compressed?", four bytes length.
const FRAME_HEADER: usize = 5;
/// No message of ours comes near; a longer one is refused, not kept in memory.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// gRPC status codes that we use.
const OK: &str = "0";
const INVALID_ARGUMENT: &str = "3";
const UNIMPLEMENTED: &str = "12";

/// The running providers; they stop when this is dropped.
pub struct Providers {
    runtime: Option<Runtime>,
    clerks: Vec<Arc<Clerk>>,
    sockets: TempDir,
}

impl Providers {
    /// Opens a socket for each committed schema.
    pub fn start() -> Result<Self, Error> {
        let schemas = cut::committed()?;
        let overlay = overlay::committed()?;
        overlay.check(&schemas)?;
        let rules = rules::committed()?;
        rules.check_names(&schemas)?;
        let serve = |source| Error::Serve { source };
        // Socket paths are limited to 108 bytes, so not below the target folder.
        let sockets = tempfile::Builder::new()
            .prefix("tfp")
            .tempdir()
            .map_err(serve)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(serve)?;
        let entered = runtime.enter();
        let mut clerks = vec![];
        for (file, schema) in cut::FILES.iter().zip(schemas) {
            let path = socket(sockets.path(), file.name);
            let listener = UnixListener::bind(path).map_err(serve)?;
            let clerk = Arc::new(Clerk::new(schema, overlay.clone(), rules.clone()));
            runtime.spawn(accept(clerk.clone(), listener));
            clerks.push(clerk);
        }
        drop(entered);
        Ok(Self {
            runtime: Some(runtime),
            clerks,
            sockets,
        })
    }

    /// How often each type was created and destroyed since the start: `created aws_vpc`.
    pub fn deeds(&self) -> BTreeMap<String, usize> {
        self.clerks.iter().flat_map(|clerk| clerk.deeds()).collect()
    }

    /// The environment that makes terraform use these providers and nothing else.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut entries = Map::new();
        for file in cut::FILES {
            for address in file.addresses {
                let entry = json!({
                    "Protocol": "grpc", "ProtocolVersion": 6, "Pid": std::process::id(), "Test": true,
                    "Addr": {"Network": "unix", "String": socket(self.sockets.path(), file.name)},
                });
                // OpenTofu looks under a host of its own.
                for host in ["registry.terraform.io", "registry.opentofu.org"] {
                    entries.insert(format!("{host}/{address}"), entry.clone());
                }
            }
        }
        vec![
            (
                "TF_REATTACH_PROVIDERS",
                serde_json::Value::Object(entries).to_string(),
            ),
            ("TF_CLI_CONFIG_FILE", "/dev/null".into()),
            ("TF_IN_AUTOMATION", "1".into()),
            ("CHECKPOINT_DISABLE", "1".into()),
        ]
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn socket(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.sock"))
}

async fn accept(clerk: Arc<Clerk>, listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(clerk.clone(), stream));
    }
}

async fn serve(clerk: Arc<Clerk>, stream: UnixStream) {
    let service = hyper::service::service_fn(move |request| answer(clerk.clone(), request));
    // A connection that terraform drops is the normal end of a command.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Frames =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn answer(
    clerk: Arc<Clerk>,
    request: Request<Incoming>,
) -> Result<Response<Frames>, Infallible> {
    let method = request
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap_or("")
        .to_owned();
    let body = Limited::new(request.into_body(), MESSAGE_BYTES_MAX)
        .collect()
        .await;
    let reply = match body {
        Ok(body) => message(&body.to_bytes()).and_then(|body| clerk.call(&method, body)),
        Err(error) => Err(Refusal::Message(error.to_string())),
    };
    Ok(response(reply))
}

/// The message inside a gRPC frame.
fn message(frame: &[u8]) -> Result<&[u8], Refusal> {
    let refuse = |problem: &str| Refusal::Message(problem.into());
    let header = frame
        .get(..FRAME_HEADER)
        .ok_or_else(|| refuse("the frame has no header"))?;
    if header[0] != 0 {
        return Err(refuse("compressed messages are not spoken here"));
    }
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    let body = frame.get(FRAME_HEADER..FRAME_HEADER + length);
    body.ok_or_else(|| refuse("the frame is shorter than its header says"))
}

fn response(reply: Result<Vec<u8>, Refusal>) -> Response<Frames> {
    let mut trailers = HeaderMap::new();
    let status = match &reply {
        Ok(_) => OK,
        Err(Refusal::Method) => UNIMPLEMENTED,
        Err(Refusal::Message(_)) => INVALID_ARGUMENT,
    };
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    if let Err(Refusal::Message(problem)) = &reply
        && let Ok(problem) =
            HeaderValue::from_str(&problem.replace(|c: char| !(' '..='~').contains(&c), "?"))
    {
        trailers.insert("grpc-message", problem);
    }
    let mut frame = BytesMut::new();
    if let Ok(message) = &reply {
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).expect("a reply stays below 4 GiB"));
        frame.put_slice(message);
    }
    let frames = vec![
        Ok(Frame::data(frame.freeze())),
        Ok(Frame::trailers(trailers)),
    ];
    Response::builder()
        .header("content-type", "application/grpc")
        .body(StreamBody::new(futures_util::stream::iter(frames)))
        .expect("a constant header is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_frames_are_refused() {
        for frame in [
            &[][..],
            &[0, 0, 0],
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 9, 1],
            &[0, 255, 255, 255, 255],
        ] {
            assert!(
                matches!(message(frame), Err(Refusal::Message(_))),
                "{frame:?}"
            );
        }
        assert_eq!(message(&[0, 0, 0, 0, 1, 7]), Ok(&[7][..]));
    }
}
