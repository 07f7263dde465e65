//! A small world for agents: one store in memory, two databases that copy heartbeats, and
//! agents that can be killed like processes.

use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use tandem_agent::{Agent, Database, DatabaseError, Status};
use tandem_core::config::{Config, Mode};
use tandem_core::database::{
    DatabaseSeen, Extent, GuardSeen, Heartbeat, Prepared, SlotSeen, SubscriptionSeen,
};
use tandem_core::model::{Epoch, Lsn, Mono, SiteId};
use tandem_store::Memory;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const EXAMPLE: &str = include_str!("../../../../docs/examples/tandem.toml");

/// How long anything may take before a test fails. Nothing is expected to take this long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn site(name: &str) -> SiteId {
    name.parse().expect("a legal name")
}

/// Waits until `condition` holds, asking again and again.
pub(crate) async fn eventually(condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One site's database in memory.
#[derive(Default)]
pub(crate) struct Double {
    site: Option<SiteId>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: DatabaseSeen,
    beats: u64,
    peer: Option<Arc<Double>>,
    frozen: bool,
    log: Vec<String>,
}

impl Double {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// What was done here, in order, without heartbeats and repetitions.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// From now on no call ever answers.
    pub(crate) fn freeze(&self) {
        self.state().frozen = true;
    }

    /// The ledger of `epoch` stands here, and its time is over.
    pub(crate) fn expire_ledger(&self, epoch: Epoch) {
        self.state().seen.ledger_expired = Some(epoch);
    }

    fn note(&self, what: String) {
        let mut state = self.state();
        if state.log.last() != Some(&what) {
            state.log.push(what);
        }
    }

    async fn answer(&self) {
        let frozen = self.state().frozen;
        if frozen {
            pending::<()>().await;
        }
    }

    fn apply(&self, heartbeat: Heartbeat) {
        let mut state = self.state();
        if state.seen.subscription.is_some_and(|found| found.enabled) {
            state.seen.applied = Some(heartbeat);
        }
    }

    fn subscribe(&self, enabled: bool) {
        let mut state = self.state();
        if let Some(subscription) = &mut state.seen.subscription {
            (subscription.enabled, subscription.worker) = (enabled, enabled);
        }
    }
}

#[async_trait]
impl Database for Double {
    async fn observe(&self) -> Result<DatabaseSeen, DatabaseError> {
        self.answer().await;
        Ok(self.state().seen.clone())
    }

    async fn beat(&self, epoch: Epoch) -> Result<u64, DatabaseError> {
        self.answer().await;
        let (seq, peer) = {
            let mut state = self.state();
            state.beats += 1;
            (state.beats, state.peer.clone())
        };
        if let (Some(site), Some(peer)) = (self.site, peer) {
            peer.apply(Heartbeat { site, epoch, seq });
        }
        Ok(seq)
    }

    async fn arm_guard(&self, epoch: Epoch, _deadline: Mono) -> Result<(), DatabaseError> {
        self.answer().await;
        self.state().seen.guard = Some(GuardSeen {
            epoch,
            remaining_ms: 1_000,
        });
        self.note(format!("arm {epoch}"));
        Ok(())
    }

    async fn close_guard(&self, epoch: Epoch) -> Result<(), DatabaseError> {
        self.answer().await;
        self.state().seen.guard = Some(GuardSeen {
            epoch,
            remaining_ms: 0,
        });
        self.note(format!("close {epoch}"));
        Ok(())
    }

    async fn end_sessions(&self) -> Result<u64, DatabaseError> {
        self.answer().await;
        self.note("end sessions".into());
        Ok(0)
    }

    async fn other_end(&self) -> Result<Lsn, DatabaseError> {
        let peer = self.state().peer.clone();
        let gone = || DatabaseError::Failed("no answer".into());
        peer.map(|_| Lsn(7)).ok_or_else(gone)
    }

    async fn receive(&self, epoch: Epoch) -> Result<(), DatabaseError> {
        self.answer().await;
        let prepared = self.state().seen.prepared;
        if prepared.is_some_and(|prepared| prepared.epoch > epoch) {
            return Err(DatabaseError::Failed("prepared for a newer epoch".into()));
        }
        self.subscribe(true);
        self.note("receive".into());
        Ok(())
    }

    async fn stop_receiving(&self) -> Result<(), DatabaseError> {
        self.answer().await;
        self.subscribe(false);
        self.note("stop receiving".into());
        Ok(())
    }

    async fn reinstate(&self, epoch: Epoch, extent: Extent) -> Result<(), DatabaseError> {
        self.answer().await;
        self.subscribe(true);
        self.state().seen.prepared = None;
        self.note(format!("reinstate {epoch} {extent:?}"));
        Ok(())
    }

    async fn collect(&self) -> Result<(), DatabaseError> {
        self.answer().await;
        self.state().seen.ledger_due = None;
        self.note("collect".into());
        Ok(())
    }

    async fn erase_ledger(&self, epoch: Epoch) -> Result<(), DatabaseError> {
        self.answer().await;
        self.state().seen.ledger_expired = None;
        self.note(format!("erase ledger {epoch}"));
        Ok(())
    }

    async fn prepare(&self, epoch: Epoch, from: SiteId) -> Result<(), DatabaseError> {
        self.answer().await;
        self.subscribe(false);
        self.state().seen.prepared = Some(Prepared {
            epoch,
            boundary: Lsn(7),
        });
        self.note(format!("prepare {epoch} after {from}"));
        Ok(())
    }
}

/// The whole world.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) store: Memory,
    pub(crate) aws: Arc<Double>,
    pub(crate) gcp: Arc<Double>,
    folder: TempDir,
    agents: Vec<Running>,
}

/// An agent in a runtime of its own: dropping it kills every task at once.
struct Running {
    name: String,
    runtime: Option<Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl World {
    /// aws is to write first, gcp receives from it; nothing runs yet.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::parse(EXAMPLE).expect("the example is complete");
        config.tls = None;
        config.access.tokens.clear();
        quicken(&mut config);
        localise(&mut config, &folder);
        let [aws, gcp] = ["aws", "gcp"].map(|name| Double {
            site: Some(site(name)),
            ..Double::default()
        });
        gcp.state().seen.subscription = Some(SubscriptionSeen {
            enabled: true,
            worker: true,
            tables_ready: 2,
            tables_total: 2,
            origin: Some(Lsn(7)),
            received: Some(Lsn(7)),
            apply_errors: 0,
        });
        aws.state().seen.slot = Some(SlotSeen {
            active: true,
            lost: false,
            behind_bytes: 40,
            headroom_bytes: None,
        });
        for double in [&aws, &gcp] {
            double.state().seen.schema_hash = Some("same".into());
        }
        let (aws, gcp) = (Arc::new(aws), Arc::new(gcp));
        aws.state().peer = Some(Arc::clone(&gcp));
        Self {
            config,
            store: Memory::new(),
            aws,
            gcp,
            folder,
            agents: Vec::new(),
        }
    }

    /// Starts `name`, which sees the store through `store`.
    pub(crate) async fn start(&mut self, name: &str, store: Memory) {
        let at = site(name.split_once('-').expect("site-number").0);
        let database: Option<Arc<dyn Database>> = match at.as_str() {
            "aws" => Some(Arc::clone(&self.aws) as _),
            "gcp" => Some(Arc::clone(&self.gcp) as _),
            _ => None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let (config, agent) = (self.config.clone(), name.to_owned());
        let (ready, started) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let agent = Agent::start(config, at, &agent, Arc::new(store), database).await;
            let agent = agent.expect("the agent starts");
            ready.send(()).expect("the test waits");
            agent.until(pending()).await
        });
        started.await.expect("the agent starts");
        self.agents.push(Running {
            name: name.to_owned(),
            runtime: Some(runtime),
        });
    }

    /// kill -9 of every agent of `site`.
    pub(crate) fn kill(&mut self, site: &str) {
        self.agents.retain(|agent| !agent.name.starts_with(site));
    }

    /// What an agent answers at `path`; `None` while it does not.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, agent: &str, path: &str) -> Option<T> {
        let at = site(agent.split_once('-').expect("site-number").0);
        let found = self
            .config
            .agents(at)
            .iter()
            .find(|found| found.name == agent)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE / 10)
            .build()
            .ok()?;
        let answer = client
            .get(format!("http://{}{path}", found.address))
            .send()
            .await
            .ok()?;
        answer.json().await.ok()
    }

    /// Waits until `agent`'s status satisfies `condition`.
    pub(crate) async fn until(&self, agent: &str, condition: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.ask::<Status>(agent, "/v1/status").await;
            match status {
                Some(status) if condition(&status) => return status,
                other => assert!(Instant::now() < deadline, "still {other:#?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn state_dir(&self, agent: &str) -> PathBuf {
        self.folder.path().join(agent)
    }
}

/// A whole failover in some seconds, and still room for a busy machine.
fn quicken(config: &mut Config) {
    let policy = &mut config.policy;
    policy.mode = Mode::Automatic;
    let authority = &mut policy.authority;
    (
        authority.ttl_ms,
        authority.renew_ms,
        authority.call_timeout_ms,
        authority.cut_ms,
    ) = (3_000, 300, 300, 100);
    (policy.exposure.bound_ms, policy.exposure.heartbeat_ms) = (6_000, 50);
    let detection = &mut policy.detection;
    (
        detection.probe_ms,
        detection.timeout_ms,
        detection.failures,
        detection.successes,
    ) = (200, 190, 3, 2);
}

/// One agent a place, on free ports, with folders of its own.
fn localise(config: &mut Config, folder: &TempDir) {
    let sites = config.sites.values_mut().map(|site| &mut site.agents);
    for agents in sites.chain([&mut config.witness.agents]) {
        agents.truncate(1);
        for agent in agents {
            agent.listen = free_address();
            agent.address = agent.listen.clone();
            agent.relay_listen = agent.relay_listen.as_ref().map(|_| "127.0.0.1:0".into());
            agent.state_dir = folder.path().join(&agent.name).display().to_string();
        }
    }
}

/// A free port below those that the kernel gives to outgoing connections, so that nobody gets it
/// by chance before the agent listens; different in every process.
fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(64);
    loop {
        let step = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", 12_000 + step % 8_000);
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}
