//! Two sites, a witness and a linearizable store in virtual time, all of them well-behaved.
//!
//! Faults of timing and delivery belong to the simulator; this world has only what a
//! transcript needs: agents that live or not, links that are cut or not.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::time::Duration;

use crate::authority::promise::Question;
use crate::authority::{Authority, ExposureWatch, Identity, Memory, Record};
use crate::config::{
    AuthorityPolicy, DetectionPolicy, ExposurePolicy, Mode, Policy, PromotionPolicy, Targets,
};
use crate::database::{DatabaseSeen, GuardSeen, Heartbeat, Prepared, SubscriptionSeen};
use crate::model::{Epoch, Lsn, Mono, SiteId};
use crate::planner::{
    Action, AgentStatus, Done, Intent, Language, Look, Member, OtherEnd, Peer, Place, Plan,
    Purpose, Reason, Report, Request, RequestKind, Seen, SiteHealth, Told, plan, remaining,
};

const STEP_MS: u64 = 250;

pub(super) fn site(name: &str) -> SiteId {
    name.parse().unwrap()
}

/// The starting numbers of the design.
pub(super) fn policy() -> Policy {
    Policy {
        mode: Mode::Automatic,
        first_primary: site("aws"),
        authority: AuthorityPolicy {
            ttl_ms: 6000,
            renew_ms: 1000,
            call_timeout_ms: 1000,
            cut_ms: 500,
            drift_per_mille: 20,
        },
        exposure: ExposurePolicy {
            bound_ms: 4000,
            heartbeat_ms: 250,
        },
        detection: DetectionPolicy {
            probe_ms: 250,
            timeout_ms: 200,
            failures: 8,
            successes: 8,
            database_wait_s: 150,
        },
        promotion: PromotionPolicy {
            block_window_s: 3600,
            per_day: 2,
        },
        targets: Targets {
            availability_percent: "99.99".into(),
            detect_s: 30,
            rto_s: 120,
            rpo_s: 5,
            p95_ms: 200,
        },
    }
}

#[derive(Default)]
struct Database {
    alive: bool,
    guard: Option<(Epoch, Mono)>,
    subscribed: bool,
    enabled: bool,
    applied: Option<Heartbeat>,
    beats: u64,
    prepared: Option<Prepared>,
    prepare_broken: bool,
    closed: Option<Epoch>,
    beat_epoch: Epoch,
    /// Acknowledged application writes, and how many of the other site's are applied here.
    writes: u64,
    applied_writes: u64,
    received: Lsn,
    disabled_since: Option<Mono>,
}

impl Database {
    /// The end of the log: everything that was ever written.
    fn end(&self) -> Lsn {
        Lsn(100 + self.beats + self.writes)
    }
}

struct Agent {
    name: &'static str,
    place: Place,
    alive: bool,
    authority: Authority,
    exposure: ExposureWatch,
    done: Done,
    failures: BTreeMap<SiteId, u32>,
    peers: Vec<Peer>,
    counter: u64,
    said: String,
    serves_until: Mono,
    other_end: Option<OtherEnd>,
}

pub(super) struct World {
    now: Mono,
    policy: Policy,
    intent: Intent,
    store: (Record, u64),
    statuses: BTreeMap<&'static str, AgentStatus>,
    databases: BTreeMap<SiteId, Database>,
    agents: Vec<Agent>,
    roster: Vec<Member>,
    cuts: BTreeSet<(String, String)>,
    transcript: String,
    /// The claim that is under way acts on a fence, so it must lose nothing.
    lossless: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let identity = Identity {
            cluster: "crm-dr".into(),
            store: "a1".into(),
        };
        let mut databases = BTreeMap::new();
        databases.insert(
            site("aws"),
            Database {
                alive: true,
                ..Database::default()
            },
        );
        let gcp = Database {
            alive: true,
            subscribed: true,
            enabled: true,
            ..Database::default()
        };
        databases.insert(site("gcp"), gcp);
        let policy = policy();
        let agents = [
            ("aws-1", "aws", "gcp"),
            ("aws-2", "aws", "gcp"),
            ("gcp-1", "gcp", "aws"),
            ("gcp-2", "gcp", "aws"),
            ("witness-1", "witness", "aws"),
        ];
        let agents =
            agents.map(|(name, at, other)| Agent::new(name, at, other, &policy, None, Mono(0)));
        let roster = agents.each_ref().map(Agent::member).into();
        Self {
            now: Mono(0),
            policy,
            intent: Intent::default(),
            store: (Record::first(identity, site("aws")), 1),
            statuses: BTreeMap::new(),
            databases,
            agents: agents.into(),
            roster,
            cuts: BTreeSet::new(),
            transcript: String::new(),
            lossless: false,
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now.0 / 1000
    }

    pub(super) fn transcript(self) -> String {
        self.transcript
    }

    fn note(&mut self, line: &str) {
        writeln!(self.transcript, "{:>6} {line}", self.now.0 / 1000).expect("a string takes all");
    }

    /// `kill SITE|AGENT`, `start SITE|AGENT`, `killagents SITE`, `killdb SITE`, `startdb SITE`,
    /// `cut A B`, `heal A B`, `promoted SECONDS_AGO`, `breakprepare SITE`, `mode MODE`,
    /// `ask pause|approve|acknowledge|switchover|failover|lossy`.
    pub(super) fn command(&mut self, command: &str) {
        self.note(&format!("---- {command}"));
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["kill", name] => self.set_alive(name, false),
            ["start", name] => self.set_alive(name, true),
            ["cut", a, b] => drop(self.cuts.insert((a.into(), b.into()))),
            ["heal", a, b] => drop(self.cuts.remove(&(a.into(), b.into()))),
            ["promoted", ago] => {
                self.intent
                    .promotions
                    .push(Duration::from_secs(ago.parse().unwrap()));
            }
            ["killagents", at] => self.set_agents_alive(at, false),
            ["killdb", at] => self.set_database_alive(at, false),
            ["startdb", at] => self.set_database_alive(at, true),
            ["mode", mode] => {
                self.policy.mode = match mode {
                    "observe" => Mode::Observe,
                    "confirm" => Mode::Confirm,
                    _ => Mode::Automatic,
                }
            }
            ["ask", what] => self.ask(what),
            ["breakprepare", at] => {
                self.databases.get_mut(&site(at)).unwrap().prepare_broken = true;
            }
            _ => panic!("no such command: {command}"),
        }
    }

    /// A person's request to move the right to gcp, or about the mode.
    fn ask(&mut self, what: &str) {
        let to = site("gcp");
        let kind = match what {
            "pause" => RequestKind::Pause,
            "approve" => RequestKind::Approve,
            "acknowledge" => RequestKind::Acknowledge,
            "switchover" => RequestKind::Switchover { to },
            "failover" | "lossy" => RequestKind::Failover {
                to,
                accept_loss: what == "lossy",
            },
            _ => panic!("no such request: {what}"),
        };
        self.intent.requests.push(Request {
            id: 1,
            kind,
            by: "kim".into(),
            reason: "a test".into(),
            epoch: self.store.0.epoch,
            age: Duration::ZERO,
            left: Duration::from_secs(600),
        });
    }

    fn set_database_alive(&mut self, name: &str, alive: bool) {
        if let Some(database) = self.databases.get_mut(&site(name)) {
            database.alive = alive;
            database.guard = None;
        }
    }

    fn set_alive(&mut self, name: &str, alive: bool) {
        self.set_database_alive(name, alive);
        self.set_agents_alive(name, alive);
    }

    fn set_agents_alive(&mut self, name: &str, alive: bool) {
        let (now, policy) = (self.now, self.policy.clone());
        for agent in &mut self.agents {
            if agent.name == name || agent.place.site.as_str() == name {
                let memory = agent.authority.memory().cloned();
                let (other, at) = (agent.place.other, agent.place.site);
                *agent = Agent::new(
                    agent.name,
                    at.as_str(),
                    other.as_str(),
                    &policy,
                    memory,
                    now,
                );
                agent.alive = alive;
            }
        }
    }

    fn reaches(&self, from: SiteId, to: &str) -> bool {
        let cut = |a: &str, b: &str| self.cuts.contains(&(a.to_string(), b.to_string()));
        !cut(from.as_str(), to) && !cut(to, from.as_str())
    }

    pub(super) fn step(&mut self) {
        self.acknowledge();
        self.replicate();
        for index in 0..self.agents.len() {
            if self.agents[index].alive {
                self.look(index);
                self.drive(index);
            }
        }
        self.now = self.now.after(Duration::from_millis(STEP_MS));
    }

    /// One application write at each site that serves and whose guard lets it pass.
    fn acknowledge(&mut self) {
        for agent in &self.agents {
            let database = self.databases.get_mut(&agent.place.site);
            let serves = agent.alive && agent.serves_until > self.now;
            if let Some(database) = database.filter(|database| serves && database.alive)
                && database.guard.is_some_and(|(_, until)| until > self.now)
            {
                database.writes += 1;
            }
        }
    }

    /// Replication runs while both databases live, the link is whole and a relay is open.
    fn replicate(&mut self) {
        let linked = self.reaches(site("aws"), "gcp");
        let relay = self
            .agents
            .iter()
            .any(|agent| agent.alive && agent.place.site == site("gcp") && agent.done.relay_open);
        let aws = &self.databases[&site("aws")];
        let beats = Heartbeat {
            site: site("aws"),
            epoch: aws.beat_epoch,
            seq: aws.beats,
        };
        let (flows, end, writes) = (aws.alive && linked && relay, aws.end(), aws.writes);
        let now = self.now;
        let gcp = self.databases.get_mut(&site("gcp")).unwrap();
        if flows && gcp.alive && gcp.enabled {
            gcp.applied = Some(beats);
            gcp.received = end;
            gcp.applied_writes = writes;
        }
        gcp.disabled_since = (!gcp.enabled).then(|| gcp.disabled_since.unwrap_or(now));
    }

    fn look(&mut self, index: usize) {
        let place = self.agents[index].place;
        let mut seen_of = BTreeMap::new();
        for target in [site("aws"), site("gcp"), site("witness")] {
            let alive = self
                .agents
                .iter()
                .any(|agent| agent.alive && agent.place.site == target);
            seen_of.insert(target, alive && self.reaches(place.site, target.as_str()));
        }
        let readable = self.reaches(place.site, "store");
        let (record, revision) = self.store.clone();
        let statuses: Vec<AgentStatus> = self.statuses.values().cloned().collect();
        let now = self.now;
        let agent = &mut self.agents[index];
        for (target, reached) in seen_of {
            let failures = agent.failures.entry(target).or_default();
            *failures = if reached { 0 } else { *failures + 1 };
        }
        if readable {
            let _ = agent.authority.handle_reading(now, &record, revision);
            agent.learn(statuses, now);
        }
        self.publish(index, readable);
    }

    fn publish(&mut self, index: usize, writable: bool) {
        let database = self.database_seen(self.agents[index].place.site);
        let agent = &mut self.agents[index];
        agent.counter += 1;
        if writable {
            let status = AgentStatus {
                agent: agent.name.into(),
                site: agent.place.site,
                counter: agent.counter,
                observations: agent.observations(),
                database_reachable: database.is_some(),
                database,
                reads_version: crate::authority::RECORD_VERSION,
                plan: None,
            };
            self.statuses.insert(agent.name, status);
        }
    }

    fn database_seen(&self, at: SiteId) -> Option<DatabaseSeen> {
        let database = self.databases.get(&at).filter(|database| database.alive)?;
        let subscription = database.subscribed.then_some(SubscriptionSeen {
            enabled: database.enabled,
            worker: database.enabled,
            tables_ready: 3,
            tables_total: 3,
            origin: Some(Lsn(100)),
            received: Some(database.received),
            apply_errors: 0,
        });
        let guard = database.guard.map(|(epoch, until)| GuardSeen {
            epoch,
            remaining_ms: u64::try_from(self.now.until(until).as_millis()).unwrap(),
        });
        Some(DatabaseSeen {
            guard,
            subscription,
            slot: None,
            applied: database.applied,
            schema_hash: Some("same".into()),
            prepared: database.prepared,
            ..DatabaseSeen::default()
        })
    }

    fn drive(&mut self, index: usize) {
        for _ in 0..4 {
            let (plan, report) = self.plan(index);
            self.say(index, &report);
            let again = plan.actions.iter().any(|action| self.act(index, action));
            if !again {
                break;
            }
            self.look(index);
        }
        let left = self.ask_remaining(index).left;
        self.agents[index].serves_until = self.now.after(left);
    }

    fn with_seen<T>(&self, index: usize, use_it: impl FnOnce(&Seen<'_>) -> T) -> T {
        let agent = &self.agents[index];
        let look = self.database_seen(agent.place.site).map(|seen| Look {
            seen,
            arrived: self.now,
        });
        let observations = agent.observations();
        let done = Done {
            disabled_since: self
                .databases
                .get(&agent.place.site)
                .and_then(|database| database.disabled_since),
            ..agent.done
        };
        use_it(&Seen {
            place: agent.place,
            authority: &agent.authority,
            refusal: None,
            exposure: &agent.exposure,
            database: look.as_ref(),
            observations: &observations,
            peers: &agent.peers,
            agent: agent.name,
            roster: &self.roster,
            edge: None,
            other_end: agent.other_end,
            done,
        })
    }

    fn plan(&self, index: usize) -> (Plan, Report) {
        self.with_seen(index, |seen| {
            plan(&self.policy, &self.intent, seen, self.now)
        })
    }

    fn ask_remaining(&self, index: usize) -> Told {
        self.with_seen(index, |seen| remaining(&self.policy, seen, self.now))
    }

    /// One line when the reason changes in more than its times.
    fn say(&mut self, index: usize, report: &Report) {
        let mut said = format!("{} {}", report.reason.code(), shape(&report.reason));
        if let Some(would) = &report.would {
            write!(said, " (would: {})", shape(&would.reason)).expect("a string takes all");
        }
        let agent = &mut self.agents[index];
        if agent.said != said {
            agent.said.clone_from(&said);
            let line = format!("{:<9} {said}", agent.name);
            self.note(&line);
        }
    }

    /// Carries out one effect; true if the plan should be made anew at once.
    fn act(&mut self, index: usize, action: &Action) -> bool {
        let now = self.now;
        let at = self.agents[index].place.site;
        let database_alive = self
            .databases
            .get(&at)
            .is_some_and(|database| database.alive);
        match action {
            Action::Write {
                revision,
                record,
                purpose,
            } => return self.write(index, *revision, record, *purpose),
            Action::LeadAtWitness => {}
            Action::AskPromises { epoch } => self.ask_promises(index, *epoch),
            Action::AskOtherEnd => self.ask_other_end(index),
            _ if !database_alive => {}
            Action::Receive { .. } | Action::StopReceiving => {
                let open = matches!(action, Action::Receive { .. });
                self.agents[index].done.relay_open = open;
                self.databases.get_mut(&at).unwrap().enabled = open;
            }
            Action::Prepare { epoch, .. } => {
                let database = self.databases.get_mut(&at).unwrap();
                if !database.prepare_broken {
                    database.prepared = Some(Prepared {
                        epoch: *epoch,
                        boundary: Lsn(100),
                    });
                    return true;
                }
            }
            Action::ArmGuard { epoch, deadline } => {
                let database = self.databases.get_mut(&at).unwrap();
                if database.closed < Some(*epoch) {
                    database.guard = Some((*epoch, *deadline));
                    self.agents[index].done.armed = Some((*epoch, *deadline));
                }
            }
            Action::CloseGuard { epoch } => {
                let database = self.databases.get_mut(&at).unwrap();
                (database.guard, database.closed) = (None, Some(*epoch));
                self.agents[index].done.closed = Some(*epoch);
            }
            // Both sides of a way back: the simulator's business.
            Action::Reinstate { .. } | Action::Collect | Action::EraseLedger { .. } => {}
            Action::EndSessions { epoch } => {
                let done = &mut self.agents[index].done;
                done.emptied = Some(*epoch).filter(|_| done.closed == Some(*epoch));
            }
            Action::Barrier { epoch } => {
                let database = self.databases.get_mut(&at).unwrap();
                (database.beats, database.beat_epoch) = (database.beats + 1, *epoch);
                self.agents[index].done.barrier = Some((*epoch, database.beats));
            }
            Action::Beat { epoch } => {
                let database = self.databases.get_mut(&at).unwrap();
                (database.beats, database.beat_epoch) = (database.beats + 1, *epoch);
                let agent = &mut self.agents[index];
                agent.exposure.handle_sent(*epoch, database.beats, now);
                agent.done.beat = Some(now);
            }
        }
        false
    }

    /// Every agent of the other site is asked; one that is not reached promises nothing.
    fn ask_promises(&mut self, index: usize, epoch: Epoch) {
        let now = self.now;
        let (place, asker) = (self.agents[index].place, self.agents[index].name);
        let identity = self.store.0.identity.clone();
        let linked = self.reaches(place.site, place.other.as_str());
        let question = Question {
            question: 1,
            identity,
            site: place.site,
            epoch,
            asker: asker.into(),
        };
        let others = self.agents.iter_mut();
        let mut others = others.filter(|agent| agent.place.site == place.other);
        let granted = others.all(|agent| {
            let answer = agent.authority.handle_question(now, &question, true, false);
            linked && agent.alive && answer.is_ok()
        });
        if granted {
            self.agents[index].authority.handle_promised(now, epoch);
        }
    }

    fn ask_other_end(&mut self, index: usize) {
        let place = self.agents[index].place;
        let linked = self.reaches(place.site, place.other.as_str());
        let other = self.databases.get(&place.other);
        if let Some(other) = other.filter(|other| other.alive && linked) {
            let end = other.end();
            self.agents[index].other_end = Some(OtherEnd {
                end,
                asked: self.now,
            });
        }
    }

    /// I5: what opens after a fence has every acknowledged write.
    fn check_nothing_lost(&mut self, record: &Record, purpose: Purpose) {
        if purpose == Purpose::TakeFenced {
            self.lossless = true;
        }
        let (aws, gcp) = (&self.databases[&site("aws")], &self.databases[&site("gcp")]);
        if purpose == Purpose::Open && record.site == site("gcp") && self.lossless {
            assert_eq!(
                gcp.applied_writes, aws.writes,
                "writes lost in a switchover"
            );
        }
        self.lossless &= record.site == site("gcp");
    }

    fn write(&mut self, index: usize, revision: u64, record: &Record, purpose: Purpose) -> bool {
        let now = self.now;
        let (at, name) = (self.agents[index].place.site, self.agents[index].name);
        if !self.reaches(at, "store") || self.store.1 != revision {
            return false;
        }
        self.check_nothing_lost(record, purpose);
        let jumped = self.store.0.phase != record.phase || self.store.0.epoch != record.epoch;
        self.store = (record.clone(), revision + 1);
        if jumped {
            let line = format!(
                "{:<9} writes {} {:?} epoch {}",
                name, record.site, record.phase, record.epoch
            );
            self.note(&line);
        }
        let taken = self.agents[index]
            .authority
            .handle_committed(now, now, record, revision + 1);
        taken.expect("the only store there is");
        jumped
    }
}

impl Agent {
    fn new(
        name: &'static str,
        at: &str,
        other: &str,
        policy: &Policy,
        memory: Option<Memory>,
        now: Mono,
    ) -> Self {
        Self {
            name,
            place: Place {
                site: site(at),
                other: site(other),
                witness: site("witness"),
            },
            alive: true,
            authority: Authority::new(site(at), policy.authority, memory, now),
            exposure: ExposureWatch::new(Epoch(0), now),
            done: Done::default(),
            failures: BTreeMap::new(),
            peers: Vec::new(),
            counter: 0,
            said: String::new(),
            serves_until: Mono(0),
            other_end: None,
        }
    }

    fn member(&self) -> Member {
        Member {
            site: self.place.site,
            name: self.name.into(),
        }
    }

    fn observations(&self) -> BTreeMap<SiteId, SiteHealth> {
        let judge = |failures: &u32| {
            if *failures >= 8 {
                SiteHealth::Down
            } else {
                SiteHealth::Up
            }
        };
        self.failures
            .iter()
            .map(|(at, failures)| (*at, judge(failures)))
            .collect()
    }

    fn learn(&mut self, statuses: Vec<AgentStatus>, now: Mono) {
        for status in statuses {
            if let Some(database) = status
                .database
                .as_ref()
                .filter(|_| status.site == self.place.other)
                && let Some(applied) = database.applied
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
                        changed: now,
                    }
                }
                None => self.peers.push(Peer {
                    status,
                    changed: now,
                }),
            }
        }
    }
}

impl World {
    /// Somebody may write now.
    pub(super) fn is_served(&self) -> bool {
        self.agents
            .iter()
            .any(|agent| agent.alive && agent.serves_until > self.now)
    }
}

/// I1: gates of two sites never serve at one instant, and the guard of a site without the
/// right is closed.
pub(super) fn check_one_writer(world: &World) {
    let serving: BTreeSet<SiteId> = world
        .agents
        .iter()
        .filter(|agent| agent.alive && agent.serves_until > world.now)
        .map(|agent| agent.place.site)
        .collect();
    assert!(
        serving.len() <= 1,
        "two writers at {} ms: {serving:?}",
        world.now_ms()
    );
    let guarded = world
        .databases
        .values()
        .filter(|database| {
            database.alive && database.guard.is_some_and(|(_, until)| until > world.now)
        })
        .count();
    assert!(guarded <= 1, "two open guards at {} ms", world.now_ms());
}

/// A sentence without its passing numbers.
fn shape(reason: &Reason) -> String {
    let sentence = reason.sentence(Language::English);
    let mut shaped = String::new();
    let mut words = sentence.split(' ').peekable();
    while let Some(word) = words.next() {
        let is_time =
            word.parse::<f64>().is_ok() && words.peek().is_some_and(|unit| unit.starts_with('s'));
        shaped.push_str(if is_time { "N" } else { word });
        shaped.push(' ');
    }
    shaped.trim_end().into()
}

/// What an agent of gcp plans whose record says that aws is open in `known`, and whose database
/// shows a guard that is open for `guard`.
pub(super) fn plan_of_a_replica_that_sees_a_guard(known: Epoch, guard: Epoch) -> Plan {
    let mut world = World::new();
    world.store.0 = Record {
        epoch: known,
        ..world.store.0.opened()
    };
    let index = world
        .agents
        .iter()
        .position(|agent| agent.name == "gcp-2")
        .expect("it is one of five");
    let until = world.now.after(Duration::from_secs(5));
    world.databases.get_mut(&site("gcp")).unwrap().guard = Some((guard, until));
    world.look(index);
    world.plan(index).0
}
