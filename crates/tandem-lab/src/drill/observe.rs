//! Watches what agents, gates and the edge say while a drill runs.
//!
//! It only listens: nothing here steers the drill, and no recovery time is
//! taken from it. Each change is written down once, with the clock of the
//! drill, so that a report can show every decision and its reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::Client;
use serde::{Deserialize, Serialize};
use tandem_core::authority::{Exposure, Phase};
use tandem_core::drill::Origin;
use tandem_core::drill::timing::AgentMarks;
use tandem_core::model::{Epoch, Mono, SiteId};
use tandem_core::planner::{Rule, SiteHealth};
use tandem_core::wire::Writer;
use tokio::task::JoinSet;

use super::{Error, client, clock};

/// How often everybody is asked: a mark is at most this late.
const PERIOD: Duration = Duration::from_millis(100);

/// How long one answer may take; a dead process must not delay the round.
const ANSWER: Duration = Duration::from_millis(80);

/// The planner's codes that mean: taking over was decided.
const DECIDED: [&str; 2] = ["TDM-1205", "TDM-1207"];

/// Whom to ask.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Agents by process name: the base URL of their API.
    pub agents: BTreeMap<String, String>,
    /// Gates by process name: the base URL of their admin port.
    pub gates: BTreeMap<String, String>,
    /// Per site, where the edge tells the health of its pool.
    pub pools: BTreeMap<SiteId, String>,
}

/// What one agent said, when it first said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When it was heard.
    pub at: Mono,
    /// The agent's process.
    pub agent: String,
    /// Its site.
    pub site: SiteId,
    /// What its site is, in its own words.
    pub role: String,
    /// The highest epoch it knew.
    pub epoch: Epoch,
    /// The record of the right to write, as it read it.
    pub authority: Option<AuthoritySeen>,
    /// The places that it could not reach.
    pub down: Vec<SiteId>,
    /// Why it did what it did.
    pub report: Option<ReportSeen>,
}

/// The record of the right to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthoritySeen {
    /// The site that the record names.
    pub site: SiteId,
    /// How far it has come.
    pub phase: Phase,
    /// How much may be unreplicated.
    pub exposure: Exposure,
}

/// An agent's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSeen {
    /// The reason's code.
    pub code: String,
    /// The sentence in English.
    pub en: String,
    /// The sentence in Korean.
    pub ko: String,
    /// The safety rules that were asked.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl Sighting {
    /// Whether `other` says the same; sentences may differ in their numbers.
    fn is_same(&self, other: &Self) -> bool {
        let report = |sighting: &Self| {
            sighting
                .report
                .as_ref()
                .map(|report| (report.code.clone(), report.rules.clone()))
        };
        (&self.role, self.epoch, &self.authority, &self.down)
            == (&other.role, other.epoch, &other.authority, &other.down)
            && report(self) == report(other)
    }
}

/// Everything that was heard.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// What agents said, each change once.
    pub sightings: Vec<Sighting>,
    /// Who could write by the word of its own gate, each change once.
    pub writers: Vec<(Mono, Origin)>,
    /// Each change of a pool's health by the word of the edge.
    pub pools: Vec<(Mono, SiteId, bool)>,
}

impl Heard {
    /// T2 to T5 after `fault`, for the loss of a site in `scope`.
    pub fn marks(&self, fault: Mono, scope: &[SiteId]) -> AgentMarks {
        let before = self
            .sightings
            .iter()
            .filter(|s| s.at < fault)
            .map(|s| s.epoch)
            .max();
        let after = || self.sightings.iter().filter(|s| s.at >= fault);
        let first = |test: &dyn Fn(&Sighting) -> bool| after().find(|s| test(s)).map(|s| s.at);
        let newer = |epoch: Epoch| before.is_some_and(|before| epoch > before);
        let decided = |s: &Sighting| {
            s.report
                .as_ref()
                .is_some_and(|r| DECIDED.contains(&r.code.as_str()))
        };
        let gate = self
            .writers
            .iter()
            .find(|(at, by)| *at >= fault && newer(by.epoch));
        let open = |s: &Sighting| {
            newer(s.epoch)
                && s.authority
                    .as_ref()
                    .is_some_and(|held| held.phase == Phase::Open)
        };
        AgentMarks {
            suspected: first(&|s| s.down.iter().any(|site| scope.contains(site))),
            decided: first(&|s| decided(s) || newer(s.epoch)),
            fenced: first(&|s| newer(s.epoch)),
            writable: gate.map(|(at, _)| *at).or_else(|| first(&open)),
        }
    }

    /// Whether the edge ever said, after `fault`, that a pool of `scope` is unhealthy.
    pub fn pool_unhealthy(&self, fault: Mono, scope: &[SiteId]) -> Option<bool> {
        let any = !self.pools.is_empty();
        let told = |(at, site, healthy): &(Mono, SiteId, bool)| {
            *at >= fault && scope.contains(site) && !healthy
        };
        any.then(|| self.pools.iter().any(told))
    }
}

/// A watch that runs.
pub struct Watching {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), Error>>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Heard>,
    stop: AtomicBool,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Every change is one push: a panic elsewhere leaves whole values behind.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts to watch, on a thread of its own.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(watched: Watched) -> Result<Watching, Error> {
    let shared = Arc::new(Shared::default());
    let inside = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("watch".into());
    let thread = thread
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .map_err(Error::Thread)?
                .block_on(rounds(&inside, &watched))
        })
        .map_err(Error::Thread)?;
    Ok(Watching { shared, thread })
}

impl Watching {
    /// Who could write last.
    pub fn writer(&self) -> Option<Origin> {
        self.shared
            .heard()
            .writers
            .last()
            .map(|(_, origin)| *origin)
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Heard {
        self.shared.heard().clone()
    }

    /// Ends the watch.
    ///
    /// # Errors
    /// If its client could not be made.
    pub fn finish(self) -> Result<Heard, Error> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Error::ClientsPanicked)??;
        let heard = std::mem::take(&mut *self.shared.heard());
        Ok(heard)
    }
}

async fn rounds(shared: &Arc<Shared>, watched: &Watched) -> Result<(), Error> {
    let http = client::http_client().map_err(Error::Client)?;
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !shared.stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        round(shared, watched, &http).await;
    }
    Ok(())
}

async fn round(shared: &Arc<Shared>, watched: &Watched, http: &Client) {
    let mut asked = JoinSet::new();
    for (name, address) in watched.agents.clone() {
        let (shared, http) = (Arc::clone(shared), http.clone());
        asked.spawn(async move { note_agent(&shared, &http, name, address).await });
    }
    for address in watched.gates.values().cloned() {
        let (shared, http) = (Arc::clone(shared), http.clone());
        asked.spawn(async move { note_gate(&shared, &http, address).await });
    }
    for (site, url) in watched.pools.clone() {
        let (shared, http) = (Arc::clone(shared), http.clone());
        asked.spawn(async move { note_pool(&shared, &http, site, url).await });
    }
    asked.join_all().await;
}

async fn ask<T: for<'a> Deserialize<'a>>(http: &Client, url: String) -> Option<T> {
    http.get(url)
        .timeout(ANSWER)
        .send()
        .await
        .ok()?
        .json()
        .await
        .ok()
}

/// The part of an agent's status that is written down.
#[derive(Deserialize)]
struct Status {
    site: SiteId,
    role: String,
    epoch: Epoch,
    authority: Option<AuthoritySeen>,
    observations: BTreeMap<SiteId, SiteHealth>,
    report: Option<ReportSeen>,
}

async fn note_agent(shared: &Shared, http: &Client, agent: String, address: String) {
    let Some(status) = ask::<Status>(http, format!("{address}/v1/status")).await else {
        return;
    };
    let down = status
        .observations
        .into_iter()
        .filter(|(_, health)| *health == SiteHealth::Down);
    let sighting = Sighting {
        at: clock::now(),
        agent,
        site: status.site,
        role: status.role,
        epoch: status.epoch,
        authority: status.authority,
        down: down.map(|(site, _)| site).collect(),
        report: status.report,
    };
    let mut heard = shared.heard();
    let last = heard
        .sightings
        .iter()
        .rev()
        .find(|seen| seen.agent == sighting.agent);
    if !last.is_some_and(|last| last.is_same(&sighting)) {
        heard.sightings.push(sighting);
    }
}

async fn note_gate(shared: &Shared, http: &Client, address: String) {
    let Some(writer) = ask::<Writer>(http, format!("{address}/v1/writer")).await else {
        return;
    };
    let origin = Origin {
        epoch: writer.epoch,
        site: writer.site,
    };
    let mut heard = shared.heard();
    if writer.may_write && heard.writers.last().map(|(_, last)| *last) != Some(origin) {
        heard.writers.push((clock::now(), origin));
    }
}

/// Cloudflare's shape: `result.pop_health.healthy` of `.../pools/<id>/health`.
async fn note_pool(shared: &Shared, http: &Client, site: SiteId, url: String) {
    let Some(answer) = ask::<serde_json::Value>(http, url).await else {
        return;
    };
    let Some(healthy) = answer
        .pointer("/result/pop_health/healthy")
        .and_then(serde_json::Value::as_bool)
    else {
        return;
    };
    let mut heard = shared.heard();
    let last = heard
        .pools
        .iter()
        .rev()
        .find(|(_, of, _)| *of == site)
        .map(|(_, _, healthy)| *healthy);
    if last != Some(healthy) {
        heard.pools.push((clock::now(), site, healthy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(at: u64, epoch: u64, code: &str, down: &[&str], phase: Phase) -> Sighting {
        let site = |name: &str| name.parse().expect("a site");
        let report = ReportSeen {
            code: code.into(),
            en: format!("{at}"),
            ko: String::new(),
            rules: vec![],
        };
        Sighting {
            at: Mono(at),
            agent: "gcp.agent-1".into(),
            site: site("gcp"),
            role: "replica".into(),
            epoch: Epoch(epoch),
            authority: Some(AuthoritySeen {
                site: site("gcp"),
                phase,
                exposure: Exposure::Bounded,
            }),
            down: down.iter().map(|name| site(name)).collect(),
            report: Some(report),
        }
    }

    #[test]
    fn marks_come_in_the_order_of_a_failover() {
        let heard = Heard {
            sightings: vec![
                said(50, 1, "TDM-1201", &[], Phase::Open),
                said(120, 1, "TDM-1201", &["aws"], Phase::Open),
                said(140, 1, "TDM-1205", &["aws"], Phase::Open),
                said(700, 2, "TDM-1107", &["aws"], Phase::Claimed),
                said(710, 2, "TDM-1101", &["aws"], Phase::Open),
            ],
            ..Heard::default()
        };
        let marks = heard.marks(Mono(100), &["aws".parse().expect("a site")]);
        assert_eq!(marks.suspected, Some(Mono(120)));
        assert_eq!(marks.decided, Some(Mono(140)));
        assert_eq!(marks.fenced, Some(Mono(700)));
        assert_eq!(marks.writable, Some(Mono(710)));
    }

    #[test]
    fn a_loss_without_promotion_has_a_suspicion_only() {
        let heard = Heard {
            sightings: vec![
                said(50, 1, "TDM-1101", &[], Phase::Open),
                said(120, 1, "TDM-1104", &["gcp"], Phase::Open),
            ],
            ..Heard::default()
        };
        let marks = heard.marks(Mono(100), &["gcp".parse().expect("a site")]);
        assert_eq!(
            marks,
            AgentMarks {
                suspected: Some(Mono(120)),
                ..AgentMarks::default()
            }
        );
    }

    #[test]
    fn a_sentence_that_only_counts_on_is_no_change() {
        let first = said(1, 1, "TDM-1101", &[], Phase::Open);
        assert!(first.is_same(&said(2, 1, "TDM-1101", &[], Phase::Open)));
        assert!(!first.is_same(&said(2, 2, "TDM-1101", &[], Phase::Open)));
        assert!(!first.is_same(&said(2, 1, "TDM-1104", &[], Phase::Open)));
    }
}
