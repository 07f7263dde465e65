//! What this agent has seen and done: one place, written by many tasks, read by the planner.
//!
//! Nothing in it is a decision. The lock is never held across a wait. Only the `right` task
//! changes what is known about the right to write, and only after it is on disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tandem_core::authority::{Authority, ExposureWatch, Memory, Phase, RECORD_VERSION, Refusal};
use tandem_core::config::Config;
use tandem_core::database::DatabaseSeen;
use tandem_core::model::{Epoch, Mono, Name, SiteId};
use tandem_core::planner::{
    self, AgentStatus, Book, Done, Intent, Look, Member, OtherEnd, Peer, Place, Plan, Report,
    Running, Seen, SiteHealth,
};
use tandem_core::wire;
use tokio::sync::{Notify, watch};

use crate::clock;
use crate::relay::Relay;
use crate::status::Ping;

/// An agent that has published nothing for this long is forgotten.
const PEER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Between two looks at the own database. The peer's bound on exposure counts heartbeats seen here.
const PACE: Duration = Duration::from_millis(250);

/// The same at a site that waits for the last rows of a fenced one: every writer waits for them.
const PACE_AT_THE_BARRIER: Duration = Duration::from_millis(50);

/// Everything that the tasks of one agent share.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) place: Place,
    /// Every agent that the policy names.
    pub(crate) roster: Vec<Member>,
    pub(crate) relay: Relay,
    /// Wakes the planning loop: something changed.
    pub(crate) changed: Notify,
    /// Wakes the database's observer: something was done.
    pub(crate) look_again: Notify,
    /// Moves with each round of the planning loop, so for each change of what gates are told.
    pub(crate) rounds: watch::Sender<()>,
    pub(crate) counters: Counters,
    state: Mutex<State>,
}

/// What is counted for `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) renewals: AtomicU64,
    pub(crate) store_failures: AtomicU64,
    pub(crate) database_failures: AtomicU64,
    pub(crate) published: AtomicU64,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was seen and done.
pub(crate) struct State {
    pub(crate) authority: Authority,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) exposure: ExposureWatch,
    pub(crate) database: Option<Look>,
    pub(crate) observations: BTreeMap<SiteId, SiteHealth>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) armed: Option<(Epoch, Mono)>,
    pub(crate) beat: Option<Mono>,
    /// See [`Done`], as for the three that follow.
    pub(crate) disabled_since: Option<Mono>,
    pub(crate) closed: Option<Epoch>,
    pub(crate) emptied: Option<Epoch>,
    pub(crate) barrier: Option<(Epoch, u64)>,
    /// Wall-clock seconds of automatic promotions.
    pub(crate) promotions: Vec<u64>,
    /// What people asked for; absent until it was read and understood.
    pub(crate) book: Option<Book>,
    /// This life of the agent, compared by its claims.
    pub(crate) incarnation: Name,
    /// The store holds this life as the one that may claim.
    pub(crate) registered: bool,
    /// The registered lives of all agents.
    pub(crate) incarnations: BTreeMap<Name, Name>,
    pub(crate) other_end: Option<OtherEnd>,
    pub(crate) report: Option<Report>,
    /// The code of the present step, and since when.
    pub(crate) step: Option<(&'static str, Mono)>,
}

impl Shared {
    pub(crate) fn new(
        name: String,
        config: Config,
        site: SiteId,
        relay: Relay,
        memory: Option<Memory>,
    ) -> Self {
        let now = clock::now();
        let timing = config.policy.authority;
        let other = config
            .other_site(site)
            .unwrap_or(config.policy.first_primary);
        let place = Place {
            site,
            other,
            witness: config.witness.name,
        };
        let state = State {
            authority: Authority::new(site, timing, memory, now),
            refusal: None,
            exposure: ExposureWatch::new(Epoch(0), now),
            database: None,
            observations: BTreeMap::new(),
            peers: Vec::new(),
            armed: None,
            beat: None,
            disabled_since: None,
            closed: None,
            emptied: None,
            barrier: None,
            promotions: Vec::new(),
            book: None,
            incarnation: format!("{:032x}", rand::random::<u128>()).into(),
            registered: false,
            incarnations: BTreeMap::new(),
            other_end: None,
            report: None,
            step: None,
        };
        let roster = roster(&config);
        Self {
            name,
            config,
            place,
            roster,
            relay,
            changed: Notify::new(),
            look_again: Notify::new(),
            rounds: watch::Sender::new(()),
            counters: Counters::default(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Shows `work` everything that was seen, at one moment.
    pub(crate) fn with_seen<T>(&self, work: impl FnOnce(&Seen<'_>, Mono) -> T) -> T {
        let relay_open = self.relay.is_open();
        let state = self.state();
        let seen = Seen {
            place: self.place,
            authority: &state.authority,
            refusal: state.refusal.as_ref(),
            exposure: &state.exposure,
            database: state.database.as_ref(),
            observations: &state.observations,
            peers: &state.peers,
            agent: &self.name,
            roster: &self.roster,
            edge: None,
            other_end: state.other_end,
            done: Done {
                armed: state.armed,
                beat: state.beat,
                relay_open,
                disabled_since: state.disabled_since,
                closed: state.closed,
                emptied: state.emptied,
                barrier: state.barrier,
            },
        };
        work(&seen, clock::now())
    }

    /// Takes a book that this agent has just written or read.
    pub(crate) fn keep_book(&self, book: Book) {
        self.state().book = Some(book);
        self.changed.notify_one();
    }

    /// Asks the planner.
    pub(crate) fn plan(&self) -> (Plan, Report) {
        let intent = self.state().intent();
        self.with_seen(|seen, now| planner::plan(&self.config.policy, &intent, seen, now))
    }

    /// What a gate is told.
    pub(crate) fn remaining(&self) -> wire::Remaining {
        self.with_seen(|seen, now| {
            let told = planner::remaining(&self.config.policy, seen, now);
            wire::Remaining {
                agent: self.name.clone(),
                site: self.place.site,
                epoch: seen
                    .authority
                    .memory()
                    .map(|memory| memory.epoch)
                    .unwrap_or_default(),
                remaining_ms: millis(told.left),
                writer: told.writer,
                writer_fresh: told.fresh,
                writer_works: told.works,
            }
        })
    }

    /// Whether this site waits for the last rows of the other one, which is fenced.
    pub(crate) fn is_at_the_barrier(&self) -> bool {
        self.state().authority.present().is_some_and(|(record, _)| {
            record.phase == Phase::Fenced && record.site == self.place.other
        })
    }

    /// How long to wait before the next look at the own database, unless something is done to it.
    pub(crate) fn pace(&self) -> Duration {
        match self.is_at_the_barrier() {
            true => PACE_AT_THE_BARRIER,
            false => PACE,
        }
    }

    /// What this agent publishes about itself.
    pub(crate) fn published(&self, counter: u64) -> AgentStatus {
        let state = self.state();
        AgentStatus {
            agent: self.name.clone(),
            site: self.place.site,
            counter,
            observations: state.observations.clone(),
            database: state.database.as_ref().map(|look| look.seen.clone()),
            database_reachable: state.database_now().is_some(),
            reads_version: RECORD_VERSION,
            plan: state.running(),
        }
    }

    /// Keeps the newest report, and since when its step runs.
    pub(crate) fn note_report(&self, report: Report) {
        let mut state = self.state();
        let code = report.reason.code();
        if state.step.is_none_or(|(last, _)| last != code) {
            state.step = Some((code, clock::now()));
        }
        state.report = Some(report);
    }

    pub(crate) fn note_probe(&self, site: SiteId, health: SiteHealth) {
        let before = self.state().observations.insert(site, health);
        if before != Some(health) && health != SiteHealth::Unknown {
            tracing::info!(%site, ?health, "a site's reachability changed");
            self.changed.notify_one();
        }
    }

    pub(crate) fn note_ping(&self, ping: &Ping) {
        let ours = ping
            .applied
            .filter(|applied| applied.site == self.place.site);
        if let Some(applied) = ours.filter(|_| ping.site == self.place.other) {
            self.state().exposure.handle_applied(applied);
        }
    }

    /// Takes all published statuses. A status counts as changed when its counter moved.
    pub(crate) fn note_peers(&self, published: Vec<AgentStatus>) {
        let arrived = clock::now();
        let mut state = self.state();
        for status in published {
            if status.agent != self.name {
                state.note_peer(status, self.place, arrived);
            }
        }
        state
            .peers
            .retain(|peer| arrived.since(peer.changed) < PEER_MAX);
    }

    /// Takes a look at the database.
    pub(crate) fn note_look(&self, seen: DatabaseSeen) {
        let look = Look {
            seen,
            arrived: clock::now(),
        };
        let mut state = self.state();
        let disabled = look.seen.subscription.is_some_and(|found| !found.enabled);
        let since = state.disabled_since.unwrap_or(look.arrived);
        state.disabled_since = disabled.then_some(since);
        let before = state.database.replace(look.clone());
        drop(state);
        if before.is_none_or(|before| !same_but_for_time(&before.seen, &look.seen)) {
            self.changed.notify_one();
        }
    }
}

impl State {
    fn note_peer(&mut self, status: AgentStatus, place: Place, arrived: Mono) {
        let applied = status
            .database
            .as_ref()
            .and_then(|database| database.applied);
        if let Some(applied) = applied
            && status.site == place.other
            && applied.site == place.site
        {
            self.exposure.handle_applied(applied);
        }
        match self
            .peers
            .iter_mut()
            .find(|peer| peer.status.agent == status.agent)
        {
            Some(peer) if peer.status.counter == status.counter => {}
            Some(peer) => {
                *peer = Peer {
                    status,
                    changed: arrived,
                }
            }
            None => self.peers.push(Peer {
                status,
                changed: arrived,
            }),
        }
    }

    /// The last look, unless it is older than three seconds.
    pub(crate) fn database_now(&self) -> Option<&DatabaseSeen> {
        let fresh = |look: &&Look| clock::now().since(look.arrived) <= Duration::from_secs(3);
        self.database.as_ref().filter(fresh).map(|look| &look.seen)
    }

    /// What people asked for, without what has expired.
    pub(crate) fn intent(&self) -> Intent {
        let known = self.authority.memory().map(|memory| memory.epoch);
        let epoch = known.unwrap_or_default();
        let book = self.book.as_ref();
        Intent {
            unread: book.is_none(),
            requests: book.map_or_else(Vec::new, |book| book.requests(clock::wall_millis(), epoch)),
            promotions: self.ages_of_promotions(),
        }
    }

    /// The change of the right that is under way here.
    pub(crate) fn running(&self) -> Option<Running> {
        let work = self.report.as_ref()?.reason.work()?;
        let (code, since) = self.step?;
        Some(Running {
            work,
            step: code.into(),
            since_ms: millis(clock::now().since(since)),
        })
    }

    fn ages_of_promotions(&self) -> Vec<Duration> {
        let now = clock::wall_seconds();
        self.promotions
            .iter()
            .map(|at| Duration::from_secs(now.saturating_sub(*at)))
            .collect()
    }
}

/// Whether two looks differ in nothing that could change a plan at once. Positions, ages and
/// heartbeats move all the time.
fn same_but_for_time(one: &DatabaseSeen, other: &DatabaseSeen) -> bool {
    let closed = |seen: &DatabaseSeen| {
        seen.guard
            .map(|guard| (guard.epoch, guard.remaining_ms == 0))
    };
    let feed = |seen: &DatabaseSeen| {
        seen.subscription
            .map(|found| (found.enabled, found.worker, found.tables_ready))
    };
    closed(one) == closed(other) && feed(one) == feed(other) && one.prepared == other.prepared
}

fn roster(config: &Config) -> Vec<Member> {
    let places = config.sites.keys().copied().chain([config.witness.name]);
    let members = |site: SiteId| {
        let agents = config.agents(site).iter();
        agents.map(move |agent| Member {
            site,
            name: agent.name.as_str().into(),
        })
    };
    places.flat_map(members).collect()
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
