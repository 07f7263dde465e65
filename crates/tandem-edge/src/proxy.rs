//! The path of a request through Pingora, hook by hook.
//!
//! Each hook gathers facts, asks the core, and translates its answer; the
//! default policies of Pingora's hooks are replaced on purpose, because they
//! retry PUT and DELETE. The order: [`Proxy::upstream_peer`] picks an origin;
//! `fail_to_connect` (not one byte was sent) or `error_while_proxy` (some were)
//! may ask for another; `response_filter` names the cloud; `fail_to_proxy` makes
//! an answer of our own when there is none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::upstreams::peer::{HttpPeer, PeerOptions};
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use tandem_core::traffic::retry::{self, Failed, Progress, TRIES_MAX, Verdict};
use tandem_core::traffic::steering::{Choice, Target};

use crate::state::State;

const CLOUD_HEADER: &str = "x-cloud-provider";

/// How long an idle connection to an origin is kept.
const ORIGIN_IDLE: Duration = Duration::from_secs(30);

/// How long an idle connection of a client is kept, in seconds.
const CLIENT_IDLE_SECONDS: u64 = 75;

/// How long a client may be silent within a request, or not take our bytes.
const CLIENT_WAIT: Duration = Duration::from_secs(15);

/// No pool could be asked (Cloudflare's 530 with error 1016).
const NO_POOL: u16 = 530;

/// The Pingora side of the edge.
pub(crate) struct Proxy {
    state: Arc<State>,
}

/// One request's way.
pub(crate) struct Way {
    tried: Vec<Target>,
    next: Option<Choice>,
    /// Dropped with the request, however it ends.
    _counted: Counted,
}

struct Counted(Arc<State>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.end();
    }
}

impl Way {
    fn pool(&self) -> Option<usize> {
        self.tried.last().map(|target| target.pool)
    }
}

impl Proxy {
    /// A proxy over `state`.
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Another origin for a failed request, if it may be tried again.
    fn retry(&self, session: &Session, way: &mut Way, progress: Progress) -> bool {
        let failed = Failed {
            progress,
            safe: retry::is_safe(session.req_header().method.as_str()),
            body_kept: !session.as_downstream().retry_buffer_truncated(),
        };
        if retry::judge(failed) == Verdict::GiveUp || way.tried.len() >= TRIES_MAX {
            return false;
        }
        way.next = self.state.choose(&way.tried, failed.safe);
        if let (Some(_), Some(pool)) = (way.next, way.pool()) {
            self.state.metrics.count_retry(pool, progress);
        }
        way.next.is_some()
    }

    /// Silence is cut short only where a healthy origin waits to be asked instead.
    fn options(&self, session: &Session, way: &Way) -> PeerOptions {
        let times = self.state.config.timeouts;
        let safe = retry::is_safe(session.req_header().method.as_str());
        let elsewhere = || way.tried.len() < TRIES_MAX && self.state.healthy_elsewhere(&way.tried);
        let answer = match safe && elsewhere() {
            true => times.safe_answer_ms,
            false => times.answer_ms,
        };
        let connect = Some(Duration::from_millis(times.connect_ms));
        let mut options = PeerOptions::new();
        options.connection_timeout = connect;
        options.total_connection_timeout = connect;
        options.read_timeout = Some(Duration::from_millis(answer));
        options.write_timeout = Some(Duration::from_millis(answer));
        options.idle_timeout = Some(ORIGIN_IDLE);
        options
    }

    async fn answer(&self, session: &mut Session, way: &Way, code: u16) -> Result<()> {
        let detail = if code == NO_POOL { 1016 } else { code };
        let body = format!("error code: {detail}\n");
        let mut header = ResponseHeader::build(code, Some(5))?;
        header.insert_header(CLOUD_HEADER, self.state.cloud(way.pool()))?;
        header.insert_header("content-type", "text/plain")?;
        header.insert_header("cache-control", "no-store")?;
        header.insert_header("content-length", body.len().to_string())?;
        let head = session.req_header().method == "HEAD";
        let body = if head {
            Bytes::new()
        } else {
            Bytes::from(body)
        };
        session
            .as_downstream_mut()
            .write_error_response(header, body)
            .await
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Way;

    fn new_ctx(&self) -> Way {
        self.state.metrics.begin();
        let tried = Vec::with_capacity(TRIES_MAX);
        Way {
            tried,
            next: None,
            _counted: Counted(Arc::clone(&self.state)),
        }
    }

    async fn early_request_filter(&self, session: &mut Session, _way: &mut Way) -> Result<()> {
        let client = session.as_downstream_mut();
        client.set_read_timeout(Some(CLIENT_WAIT));
        client.set_write_timeout(Some(CLIENT_WAIT));
        // Zero is Pingora's "for ever".
        if client.get_keepalive() == Some(0) {
            client.set_keepalive(Some(CLIENT_IDLE_SECONDS));
        }
        Ok(())
    }

    async fn upstream_peer(&self, session: &mut Session, way: &mut Way) -> Result<Box<HttpPeer>> {
        let safe = retry::is_safe(session.req_header().method.as_str());
        let choice = way
            .next
            .take()
            .or_else(|| self.state.choose(&way.tried, safe));
        let Some(choice) = choice else {
            return Error::e_explain(ErrorType::HTTPStatus(NO_POOL), "no pool takes part");
        };
        way.tried.push(choice.target);
        let mut peer = HttpPeer::new(self.state.address(choice.target), false, String::new());
        peer.options = self.options(session, way);
        Ok(Box::new(peer))
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        way: &mut Way,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let refused = matches!(error.etype, ErrorType::ConnectRefused);
        let ejected = refused && self.state.config.passive_ejection;
        if let Some(target) = way.tried.last().filter(|_| ejected) {
            self.state.note_refused(*target);
        }
        error.set_retry(self.retry(session, way, Progress::NeverSent));
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        way: &mut Way,
        _reused: bool,
    ) -> Box<Error> {
        let answering = session.as_downstream().response_written().is_some();
        let progress = if answering {
            Progress::Answering
        } else {
            Progress::MaybeSent
        };
        let origins_fault = error.esource == ErrorSource::Upstream;
        error.set_retry(origins_fault && self.retry(session, way, progress));
        error
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        answer: &mut ResponseHeader,
        way: &mut Way,
    ) -> Result<()> {
        if answer.headers.get(CLOUD_HEADER).is_none() {
            answer.insert_header(CLOUD_HEADER, self.state.cloud(way.pool()))?;
        }
        Ok(())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        way: &mut Way,
    ) -> FailToProxy {
        let code = code_of(error);
        if code > 0
            && let Err(error) = self.answer(session, way, code).await
        {
            tracing::debug!(%error, "the client left before its error could be told");
        }
        FailToProxy {
            error_code: code,
            can_reuse_downstream: false,
        }
    }

    fn suppress_error_log(&self, _session: &Session, _way: &Way, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        session: &Session,
        way: &Way,
        error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        let request = session.req_header();
        tracing::debug!(method = %request.method, tried = way.tried.len(), %error, "tried again");
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, way: &mut Way) {
        let status = session
            .as_downstream()
            .response_written()
            .map_or(0, |a| a.status.as_u16());
        self.state.metrics.count_answer(way.pool(), status);
        let request = session.req_header();
        let (method, path) = (&request.method, request.uri.path());
        let (cloud, tries) = (self.state.cloud(way.pool()), way.tried.len());
        match error {
            None => tracing::trace!(%method, path, status, cloud, tries, "answered"),
            Some(error) => tracing::info!(%method, path, status, cloud, tries, %error, "failed"),
        }
    }
}

/// Cloudflare's status for an error; 0 = nobody is left to tell.
fn code_of(error: &Error) -> u16 {
    match (&error.etype, &error.esource) {
        (ErrorType::HTTPStatus(code), _) => *code,
        (
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed,
            ErrorSource::Downstream,
        ) => 0,
        (_, ErrorSource::Downstream) => 400,
        (ErrorType::ConnectRefused, _) => 521,
        (ErrorType::ConnectTimedout, _) => 522,
        (ErrorType::ConnectNoRoute, _) => 523,
        (ErrorType::ReadTimedout | ErrorType::WriteTimedout, _) => 524,
        (_, ErrorSource::Upstream) => 520,
        _ => 500,
    }
}
