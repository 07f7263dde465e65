//! Active probes: one task per origin, so that a hung one delays nobody else.
//!
//! Each probe has its own connection and one deadline for all of it; a body that
//! drips in byte by byte does not stretch it. The first probe comes at once, the
//! next ones with a little jitter, so that many edges do not knock together.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Request, Url};
use tandem_core::traffic::health::{Failure, Thresholds};
use tandem_core::traffic::model::{Monitor, MonitorMethod, Origin};
use tandem_core::traffic::steering::{Target, Writes};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock;
use crate::config;
use crate::state::{Answer, State};

/// How much of a body is searched for the expected text, as at Cloudflare.
const BODY_MAX: usize = 10 * 1024;

/// How often a disabled origin is looked at again.
const IDLE_PAUSE: Duration = Duration::from_millis(100);

/// Jitter, as a part of the interval: one tenth.
const JITTER_DIVISOR: u32 = 10;

/// Starts a task per origin. They end with the set.
pub(crate) fn start(state: &Arc<State>) -> Result<JoinSet<()>, reqwest::Error> {
    let client = Client::builder()
        .pool_max_idle_per_host(0)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut tasks = JoinSet::new();
    for (pool, config) in state.config.pools.iter().enumerate() {
        for origin in 0..config.origins.len() {
            let target = Target { pool, origin };
            tasks.spawn(probe_forever(Arc::clone(state), client.clone(), target));
        }
    }
    Ok(tasks)
}

async fn probe_forever(state: Arc<State>, client: Client, target: Target) {
    let origin = state.config.pools[target.pool].origins[target.origin].clone();
    loop {
        let began = Instant::now();
        let Some(monitor) = state.monitor(target).cloned() else {
            sleep_until(began + IDLE_PAUSE).await;
            continue;
        };
        probe_and_note(&state, &client, target, &origin, &monitor).await;
        let interval = state.config.probes.interval(&monitor);
        let jitter = interval.mul_f64(rand::random::<f64>()) / JITTER_DIVISOR;
        // An interval is counted from the beginning of a probe: a slow answer
        // does not slow down detection.
        sleep_until(began + interval - interval / JITTER_DIVISOR + jitter).await;
    }
}

async fn probe_and_note(
    state: &State,
    client: &Client,
    target: Target,
    origin: &Origin,
    monitor: &Monitor,
) {
    let mut left = monitor.retries;
    loop {
        let began = clock::now();
        let wait = state.config.probes.timeout(monitor);
        let header = state.config.writes_header.as_deref();
        let found = timeout(wait, probe(client, origin, monitor, header)).await;
        let result = found.unwrap_or(Err(Failure::Timeout));
        // As at Cloudflare, only silence is asked again at once.
        if result == Err(Failure::Timeout) && left > 0 {
            left -= 1;
            continue;
        }
        let result = result.map(|writes| Answer {
            round_trip: clock::now().since(began),
            writes,
        });
        state.note_probe(target, began, result, Thresholds::of(monitor));
        return;
    }
}

/// A good answer, with what it says of writes.
async fn probe(
    client: &Client,
    origin: &Origin,
    monitor: &Monitor,
    writes_header: Option<&str>,
) -> Result<Writes, Failure> {
    let request = request(origin, monitor).ok_or(Failure::BadAnswer)?;
    let mut answer = client
        .execute(request)
        .await
        .map_err(|error| failure(&error))?;
    let status = answer.status().as_u16();
    if !monitor.expected_codes.contains(status) {
        return Err(Failure::ResponseCode(status));
    }
    let writes = writes_header.map_or(Writes::Unknown, |name| said(answer.headers(), name));
    if monitor.expected_body.is_empty() {
        return Ok(writes);
    }
    let mut body = Vec::new();
    while body.len() < BODY_MAX {
        match answer.chunk().await.map_err(|error| failure(&error))? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    body.truncate(BODY_MAX);
    let text = String::from_utf8_lossy(&body).to_lowercase();
    match text.contains(&monitor.expected_body.to_lowercase()) {
        true => Ok(writes),
        false => Err(Failure::ResponseBody),
    }
}

fn said(headers: &HeaderMap, name: &str) -> Writes {
    match headers.get(name).map(HeaderValue::as_bytes) {
        Some(b"works") => Writes::Work,
        Some(b"fails") => Writes::Fail,
        _ => Writes::Unknown,
    }
}

fn request(origin: &Origin, monitor: &Monitor) -> Option<Request> {
    let mut address = config::address(origin);
    if let Some(port) = monitor.port {
        address.set_port(port);
    }
    let url = Url::parse(&format!("http://{address}{}", monitor.path)).ok()?;
    let method = match monitor.method {
        MonitorMethod::Get => reqwest::Method::GET,
        MonitorMethod::Head => reqwest::Method::HEAD,
    };
    let mut request = Request::new(method, url);
    *request.headers_mut() = headers(origin, monitor)?;
    Some(request)
}

/// The monitor's headers; an origin's own win.
fn headers(origin: &Origin, monitor: &Monitor) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("tandem-edge probe"));
    for (name, values) in monitor.header.iter().chain(&origin.header) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.remove(&name);
        for value in values {
            headers.append(&name, HeaderValue::from_str(value).ok()?);
        }
    }
    Some(headers)
}

fn failure(error: &reqwest::Error) -> Failure {
    match () {
        () if error.is_timeout() => Failure::Timeout,
        () if error.is_connect() => Failure::ConnectionRefused,
        () => Failure::BadAnswer,
    }
}
