//! `/health`: shall clients be sent to this cloud?
//!
//! Intuition: a site that can only read still serves most requests, and during
//! a failover *nobody* can write. So failing reads are a reason to stay away,
//! failing writes only if another site provably can write: taking both sites
//! off because neither can write would turn a short write gap into an outage.
//! Invariant: with working reads the answer is 200 unless writes have failed for
//! longer than the grace *and* another site's right to write is fresh *and* its database is not
//! known to be away.
//! The grace is longer than such a right lives unrenewed: one that is fresh when
//! the grace is over was renewed *after* our writes began to fail, so its holder
//! lives. Without it, the survivor would step aside for a site that just died.
//! `X-Writes: works|fails` says at once whether writes work here; a load balancer that knows the
//! header sends writes elsewhere and goes on sending reads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::database::Probe;
use crate::http::App;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// Whether writes work here.
const WRITES_HEADER: HeaderName = HeaderName::from_static("x-writes");

/// How often each part is checked.
const PERIOD: Duration = Duration::from_millis(250);

/// How long one check may take.
const CHECK_WAIT: Duration = Duration::from_secs(1);

/// How long to wait for one answer about who may write.
const WRITER_WAIT: Duration = Duration::from_millis(300);

/// A read of a row, so that a database without our table does not count.
const READ: &str = "SELECT id FROM contact LIMIT 1";

/// A true write that touches no row: refused wherever writes are refused.
const WRITE: &str = "UPDATE contact SET name = name WHERE false";

/// What is checked, for log lines.
#[derive(Debug, Clone, Copy)]
enum Part {
    Reads,
    Writes,
    Sessions,
}

/// The last result of a check.
#[derive(Debug, Clone)]
enum Found {
    NotYet,
    Works,
    Fails { since: Instant, error: String },
}

impl Found {
    fn works(&self) -> bool {
        matches!(self, Self::Works)
    }

    /// What load balancers are told of writes; nothing before the first check.
    fn header(&self) -> HeaderMap {
        let said = match self {
            Self::NotYet => return HeaderMap::new(),
            Self::Works => "works",
            Self::Fails { .. } => "fails",
        };
        HeaderMap::from_iter([(WRITES_HEADER, HeaderValue::from_static(said))])
    }

    fn failing_for(&self) -> Option<Duration> {
        match self {
            Self::Fails { since, .. } => Some(since.elapsed()),
            Self::NotYet | Self::Works => None,
        }
    }

    fn told(&self) -> Value {
        match self {
            Self::NotYet => json!({ "state": "not checked yet" }),
            Self::Works => json!({ "state": "works" }),
            Self::Fails { since, error } => {
                json!({ "state": "fails", "error": error, "seconds": since.elapsed().as_secs() })
            }
        }
    }
}

/// What the background checks found last.
pub(crate) struct Health {
    findings: Mutex<Findings>,
    sessions: Arc<Sessions>,
    write_grace: Duration,
}

struct Findings {
    reads: Found,
    writes: Found,
    sessions: Found,
    /// Whether another site can write: a fresh right, a database that is not away; asked while
    /// writes fail.
    other_writes: bool,
}

impl Health {
    /// Nothing is known yet.
    pub(crate) fn new(settings: &Settings, sessions: Arc<Sessions>) -> Self {
        let findings = Findings {
            reads: Found::NotYet,
            writes: Found::NotYet,
            sessions: Found::NotYet,
            other_writes: false,
        };
        Self {
            findings: Mutex::new(findings),
            sessions,
            write_grace: settings.write_grace,
        }
    }

    fn note(&self, part: Part, result: Result<(), Trouble>) {
        let mut findings = self.findings();
        let found = match part {
            Part::Reads => &mut findings.reads,
            Part::Writes => &mut findings.writes,
            Part::Sessions => &mut findings.sessions,
        };
        let now = match (result, &*found) {
            (Ok(()), _) => Found::Works,
            (Err(error), Found::Fails { since, .. }) => Found::Fails {
                since: *since,
                error: error.to_string(),
            },
            (Err(error), _) => Found::Fails {
                since: Instant::now(),
                error: error.to_string(),
            },
        };
        match (&*found, &now) {
            (Found::NotYet | Found::Fails { .. }, Found::Works) => {
                tracing::info!(?part, "works");
            }
            (Found::NotYet | Found::Works, Found::Fails { error, .. }) => {
                tracing::info!(?part, %error, "fails");
            }
            _ => {}
        }
        *found = now;
    }

    fn note_other(&self, other_writes: bool) {
        self.findings().other_writes = other_writes;
    }

    fn findings(&self) -> std::sync::MutexGuard<'_, Findings> {
        // A panic elsewhere leaves whole values behind: each is set in one step.
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rule of the module's header.
fn welcome(reads: bool, writes_failing: Option<Duration>, grace: Duration, other: bool) -> bool {
    let writes_are_elsewhere = other && writes_failing.is_some_and(|span| span > grace);
    reads && !writes_are_elsewhere
}

/// `GET /health`.
pub(crate) async fn health(State(app): State<Arc<App>>) -> (StatusCode, HeaderMap, Json<Value>) {
    let found = app.health.findings();
    let failing = found.writes.failing_for();
    let good = welcome(
        found.reads.works(),
        failing,
        app.health.write_grace,
        found.other_writes,
    );
    let body = json!({
        "status": if good { "ok" } else { "unavailable" },
        "reads": found.reads.told(),
        "writes": found.writes.told(),
        "sessions": found.sessions.told(),
        "another_site_writes": found.other_writes,
    });
    (status(good), found.writes.header(), Json(body))
}

/// `GET /livez`: the process answers.
pub(crate) async fn livez() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: reads work.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let reads = &app.health.findings().reads;
    (
        status(reads.works()),
        Json(json!({ "reads": reads.told() })),
    )
}

fn status(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Starts the background checks. They end when the set is dropped.
pub(crate) fn start(health: &Arc<Health>, settings: &Settings) -> anyhow::Result<JoinSet<()>> {
    let reads = Probe::new(&settings.read_database, READ, CHECK_WAIT)?;
    let writes = Probe::new(&settings.write_database, WRITE, CHECK_WAIT)?;
    let writers = Writers {
        client: reqwest::Client::builder()
            .timeout(WRITER_WAIT)
            .no_proxy()
            .build()?,
        urls: settings.writer_urls.clone(),
    };
    let mut pulses = JoinSet::new();
    pulses.spawn(check_reads(Arc::clone(health), reads));
    pulses.spawn(check_writes(Arc::clone(health), writes, writers));
    pulses.spawn(check_sessions(Arc::clone(health)));
    Ok(pulses)
}

async fn check_reads(health: Arc<Health>, probe: Probe) {
    loop {
        health.note(Part::Reads, probe.run().await);
        tokio::time::sleep(PERIOD).await;
    }
}

async fn check_writes(health: Arc<Health>, probe: Probe, writers: Writers) {
    loop {
        let result = probe.run().await;
        let other = result.is_err() && writers.another_site().await;
        health.note(Part::Writes, result);
        health.note_other(other);
        tokio::time::sleep(PERIOD).await;
    }
}

async fn check_sessions(health: Arc<Health>) {
    loop {
        health.note(Part::Sessions, health.sessions.alive().await);
        tokio::time::sleep(PERIOD).await;
    }
}

/// Those who know which site may write.
struct Writers {
    client: reqwest::Client,
    urls: Vec<reqwest::Url>,
}

/// The part of their answer that matters here.
#[derive(Deserialize)]
struct Answer {
    site: String,
    writer: Option<String>,
    writer_fresh: bool,
    /// A gate that does not say it counts as working.
    #[serde(default = "as_far_as_known")]
    writer_works: bool,
}

fn as_far_as_known() -> bool {
    true
}

impl Answer {
    fn names_another(&self) -> bool {
        self.writer_fresh
            && self.writer_works
            && self
                .writer
                .as_ref()
                .is_some_and(|writer| *writer != self.site)
    }
}

impl Writers {
    /// Whether anybody says that another site can write.
    /// No answer is no such statement.
    async fn another_site(&self) -> bool {
        for url in &self.urls {
            if self
                .ask(url.clone())
                .await
                .is_some_and(|answer| answer.names_another())
            {
                return true;
            }
        }
        false
    }

    async fn ask(&self, url: reqwest::Url) -> Option<Answer> {
        // 503 is a proper answer here: "not this site".
        self.client.get(url).send().await.ok()?.json().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_writes_count_only_when_they_work_elsewhere() {
        let grace = Duration::from_secs(8);
        let long = Some(Duration::from_secs(9));
        let short = Some(Duration::from_secs(7));
        for (reads, writes_failing, other, expected) in [
            (true, None, false, true),
            (true, None, true, true),
            (true, long, false, true),
            (true, long, true, false),
            (true, short, true, true),
            (false, None, false, false),
            (false, long, true, false),
        ] {
            let found = welcome(reads, writes_failing, grace, other);
            assert_eq!(found, expected, "{reads} {writes_failing:?} {other}");
        }
    }

    #[test]
    fn only_a_fresh_right_of_another_site_counts() {
        let answer = |text: &str| serde_json::from_str::<Answer>(text).expect("legal");
        let other =
            r#"{"site":"gcp","may_write":false,"epoch":3,"writer":"aws","writer_fresh":true}"#;
        assert!(answer(other).names_another());
        assert!(!answer(&other.replace("true", "false")).names_another());
        // Its database is away too: stepping aside would leave nobody to serve reads.
        let away = other.replace("true}", r#"true,"writer_works":false}"#);
        assert!(!answer(&away).names_another());
        assert!(!answer(&other.replace("gcp", "aws")).names_another());
        assert!(!answer(&other.replace("\"aws\"", "null")).names_another());
    }
}
