//! How a world begins: a healthy pair of sites, some seconds old.

use std::sync::Arc;

use tandem_core::authority::{Identity, Record};
use tandem_core::config::{
    AuthorityPolicy, DetectionPolicy, ExposurePolicy, Mode, Policy, PromotionPolicy, Targets,
};
use tandem_core::model::{Epoch, Name, SiteId};
use tandem_core::planner::{Book, Member, Place};

use super::{Slots, Tempo, Troubles, World, small};
use crate::agent::Agent;
use crate::clock::{At, Clock, MS, SECOND};
use crate::database::{Database, Slot, Subscription, TABLES};
use crate::event::{Event, Queue};
use crate::fault::{self, Fault};
use crate::gate::Gate;
use crate::network::{AWS, GCP, Network, WITNESS};
use crate::oracle::{Oracle, Reached};
use crate::random::Random;
use crate::store::{AGENTS, State, Store};

/// Wall-clock milliseconds when the world begins.
pub(crate) const WALL_START_MS: u64 = 1_800_000_000_000;

/// The store's revision when the world begins.
pub(crate) const FIRST_REVISION: u64 = 100;

/// True time when the story begins: everybody has been up for an hour.
pub(crate) const STARTED: At = 3600 * SECOND;

/// How long the world may take to be well again after everything was healed: a claim that cannot
/// be prepared is given up after 30 s, and the other site counts a ttl after that.
const CONVERGE_MAX: At = 60 * SECOND;

/// What is asked of a run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// Numbers of faults to leave out.
    pub without: Vec<u8>,
    /// Keep a readable transcript.
    pub transcript: bool,
}

/// What the seed decides before anything happens.
struct Shape {
    policy: Policy,
    tempo: Tempo,
    horizon: At,
    heal_at: Option<At>,
    exact_clocks: bool,
}

fn shape(random: &mut Random) -> Shape {
    let (ttl_ms, renew_ms, call_ms, cut_ms) = random.pick(&[
        (6000, 1000, 1000, 500),
        (6000, 1000, 1000, 500),
        (3000, 500, 500, 250),
    ]);
    let mode = if random.chance(60) {
        Mode::Confirm
    } else {
        Mode::Automatic
    };
    let probe_ms = random.pick(&[250, 400, 500]);
    let policy = Policy {
        mode,
        first_primary: "aws".parse().expect("a legal name"),
        authority: AuthorityPolicy {
            ttl_ms,
            renew_ms,
            call_timeout_ms: call_ms,
            cut_ms,
            drift_per_mille: 20,
        },
        exposure: ExposurePolicy {
            bound_ms: ttl_ms * 2 / 3,
            heartbeat_ms: random.pick(&[250, 500]),
        },
        detection: DetectionPolicy {
            probe_ms,
            timeout_ms: probe_ms - 50,
            failures: u32::try_from(2000 / probe_ms).expect("a few"),
            successes: 4,
            database_wait_s: random.pick(&[5, 10, 150]),
        },
        promotion: PromotionPolicy {
            block_window_s: 3600,
            per_day: 2,
        },
        targets: targets(),
    };
    let tempo = Tempo {
        round: random.between(100, 300) * MS,
        read: random.between(250, 600) * MS,
        look: random.between(250, 600) * MS,
        ask: random.between(250, 600) * MS,
        replicate: random.between(100, 400) * MS,
        client: random.between(150, 900) * MS,
        direct: random.pick(&[0, 0, 100]),
    };
    let horizon = random.between(4 * ttl_ms, 12 * ttl_ms) * MS;
    let heal_at = random.chance(400).then_some(horizon);
    Shape {
        policy,
        tempo,
        horizon,
        heal_at,
        exact_clocks: random.chance(400),
    }
}

/// What was promised to the users; nothing that is played here depends on it.
pub(crate) fn targets() -> Targets {
    Targets {
        availability_percent: "99.99".into(),
        detect_s: 30,
        rto_s: 120,
        rpo_s: 5,
        p95_ms: 200,
    }
}

impl World {
    /// The world of a seed, before its first event.
    pub fn new(options: &Options) -> Self {
        let mut random = Random::new(options.seed, 0);
        let shape = shape(&mut random);
        let ttl = shape.policy.authority.ttl_ms * MS;
        let mut faults = fault::draw(options.seed, shape.horizon, ttl);
        faults.retain(|fault| !options.without.contains(&fault.number));
        let sites = ["aws", "gcp", "witness"].map(|name| name.parse().expect("a legal name"));
        let names = ["aws-1", "aws-2", "gcp-1", "gcp-2", "witness-1"].map(Name::from);
        let clocks: Vec<Clock> = (0..11)
            .map(|_| clock(&mut random, shape.exact_clocks))
            .collect();
        let mut world = Self {
            at: 0,
            queue: Queue::default(),
            random,
            roster: roster(&sites, &names),
            network: Network::default(),
            store: Store::new(first_state(sites[AWS])),
            databases: databases(&clocks),
            agents: agents(&sites, &names, &shape.policy, &clocks),
            gates: gates(&sites, &shape.policy, &clocks),
            policy: shape.policy,
            tempo: shape.tempo,
            sites,
            names,
            calls: Slots::new(),
            asks: Slots::new(),
            pleas: Slots::new(),
            writes: Vec::with_capacity(256),
            open: [Vec::new(), Vec::new()],
            waiting: Vec::new(),
            faults,
            troubles: Troubles::default(),
            horizon: shape.horizon,
            heal_at: shape.heal_at,
            oracle: Oracle::default(),
            reached: Reached::default(),
            events: 0,
            lives_of_store: 1,
            transcript: options.transcript.then(Vec::new),
        };
        world.begin();
        world
    }

    /// Everybody has run for long: the store was read, replication runs.
    fn begin(&mut self) {
        self.at = STARTED;
        let started = self.at;
        for agent in &mut self.agents {
            agent.done.relay_open = agent.at == GCP;
            agent.registered = true;
            let now = agent.now(started);
            let state = &self.store.state;
            agent.take(now, now, (&state.record, state.record_revision), None);
            agent.learn(&self.store.state, now);
        }
        for index in 0..AGENTS {
            let delay = self.random.below(self.tempo.round);
            self.push(
                delay,
                Event::Round {
                    agent: small(index),
                    life: 1,
                },
            );
        }
        for gate in 0..4 {
            let delay = self.random.below(self.tempo.ask);
            self.push(
                delay,
                Event::Asks {
                    gate: small(gate),
                    life: 1,
                },
            );
        }
        for site in 0..2 {
            let delay = self.random.below(self.tempo.replicate);
            self.push(delay, Event::Replicate { site: small(site) });
        }
        self.push(0, Event::Client);
        self.push(SECOND, Event::Person);
        self.plan_faults(started);
        self.horizon += started;
        self.heal_at = self.heal_at.map(|heal| heal + started);
        if let Some(heal) = self.heal_at {
            self.horizon = heal + CONVERGE_MAX;
        }
        self.oracle.last_acknowledged = started;
    }

    fn plan_faults(&mut self, started: At) {
        let heal = self.heal_at.unwrap_or(u64::MAX - started);
        for index in 0..self.faults.len() {
            let Fault { at, until, .. } = self.faults[index];
            let number = small(index);
            self.queue
                .push(started + at, Event::Fault { fault: number });
            self.queue
                .push(started + until.min(heal), Event::Heal { fault: number });
        }
    }
}

fn clock(random: &mut Random, exact: bool) -> Clock {
    if exact {
        return Clock::new(1_000_000);
    }
    // Two per cent between the fastest and the slowest is what the policy allows.
    Clock::new(random.pick(&[990_000, 995_000, 1_000_000, 1_005_000, 1_010_000]))
}

pub(crate) fn roster(sites: &[SiteId; 3], names: &[Name; AGENTS]) -> Vec<Member> {
    names
        .iter()
        .enumerate()
        .map(|(index, name)| Member {
            site: sites[index / 2],
            name: name.clone(),
        })
        .collect()
}

/// Whoever is open first has been open for long.
pub(crate) fn first_state(site: SiteId) -> State {
    let identity = Identity {
        cluster: "crm".into(),
        store: "life-1".into(),
    };
    let record = Arc::new(Record::first(identity, site).opened());
    State {
        revision: FIRST_REVISION,
        record,
        record_revision: FIRST_REVISION,
        statuses: [const { None }; AGENTS],
        incarnations: [0, 1, 2, 3, 4].map(|agent| Some(format!("{agent}-1").into())),
        promotions: Vec::new(),
        book: Arc::new(Book::default()),
    }
}

pub(crate) fn databases(clocks: &[Clock]) -> [Database; 2] {
    let mut primary = Database::new(clocks[9]);
    primary.lease.epoch = Epoch(1);
    primary.beat.0 = Epoch(1);
    primary.slot = Some(Slot {
        from: 0,
        lost: false,
    });
    let mut replica = Database::new(clocks[10]);
    replica.subscription = Some(Subscription {
        enabled: true,
        received: 0,
        applied: 0,
        half: false,
        ready: TABLES,
    });
    [primary, replica]
}

pub(crate) fn agents(
    sites: &[SiteId; 3],
    names: &[Name; AGENTS],
    policy: &Policy,
    clocks: &[Clock],
) -> Vec<Agent> {
    let agent = |index: usize| {
        let at = index / 2;
        let place = Place {
            site: sites[at],
            other: sites[if at == AWS { GCP } else { AWS }],
            witness: sites[WITNESS],
        };
        let who = (at, names[index].clone(), place);
        Agent::new(index, who, &policy.authority, clocks[index], 0)
    };
    (0..AGENTS).map(agent).collect()
}

pub(crate) fn gates(sites: &[SiteId; 3], policy: &Policy, clocks: &[Clock]) -> Vec<Gate> {
    let gate = |index: usize| {
        let site = index / 2;
        Gate::new(
            site,
            sites[site],
            policy.authority.hold(),
            clocks[5 + index],
        )
    };
    (0..4).map(gate).collect()
}
