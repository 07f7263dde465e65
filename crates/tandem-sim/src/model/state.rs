//! One state: the store, two sites with agents, a gate and a database each, and what is under way.

use tandem_core::authority::Phase;
use tandem_core::config::{
    AuthorityPolicy, DetectionPolicy, ExposurePolicy, Mode, Policy, PromotionPolicy,
};
use tandem_core::model::{Mono, Name, SiteId};
use tandem_core::planner::{Member, Purpose};
use tandem_core::wire::Remaining;

use super::promises::Plea;
use super::{Bounds, Search, TICK};
use crate::agent::{Agent, Order};
use crate::clock::{At, Clock, MS};
use crate::database::Database;
use crate::gate::Gate;
use crate::store::{Ask, Said, State};
use crate::world::setup::{self, STARTED};

/// Agents of the two sites; the witness only watches.
pub(super) const AGENTS: usize = 4;

/// A question to the store.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) sent: Mono,
    pub(super) incarnation: Name,
    pub(super) said: Option<Said>,
}

/// A gate's question to an agent, with the answer that is on its way.
#[derive(Debug, Clone)]
pub(super) struct GateAsk {
    pub(super) asked: Mono,
    pub(super) answer: Remaining,
}

/// What has been used up of the bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Spent {
    pub(super) writes: u8,
    pub(super) crashes: u8,
    pub(super) forgets: u8,
    pub(super) lost: u8,
    pub(super) jumps: u8,
    pub(super) held: u8,
    pub(super) asked: bool,
    pub(super) rebuilt: bool,
    pub(super) restored: bool,
}

/// A state of the search.
#[derive(Debug, Clone)]
pub struct Small {
    pub(super) at: At,
    pub(super) store: State,
    pub(super) agents: Vec<Agent>,
    pub(super) gates: Vec<Gate>,
    pub(super) databases: [Database; 2],
    pub(super) calls: [Option<Call>; AGENTS],
    /// A change that its caller gave up, or died over, and that may still be carried out.
    pub(super) late: Option<(usize, Call)>,
    /// By gate and by agent of the gate's site.
    pub(super) asks: [[Option<GateAsk>; 2]; 2],
    pub(super) pleas: Vec<Plea>,
    /// When the last answer of each gate passed its check; it may leave until `cut` later.
    pub(super) leaving: [Option<At>; 2],
    /// A client's transaction at each site between its last look at the guard and its commit.
    pub(super) writing: [Option<u8>; 2],
    /// The writes whose clients were told that they are done, one bit each.
    pub(super) acknowledged: u8,
    /// The newest epoch in which one was.
    pub(super) newest: u64,
    pub(super) spent: Spent,
    /// Agents ask for promises here, so that it matters how old a reading is.
    pub(super) failsafe: bool,
    pub(super) took_over: bool,
    pub(super) switched: bool,
    pub(super) promised: bool,
    /// What went wrong, if something did.
    pub(super) broken: Option<String>,
}

/// Ttl of three ticks, renewal, call and cut of one. Calls are slower than the configuration
/// allows beside such a ttl: that rule keeps a healthy primary calm, no promise depends on it.
pub(super) fn policy_and_roster(bounds: &Bounds) -> (Policy, Vec<Member>) {
    let tick_ms = TICK / MS;
    let policy = Policy {
        mode: Mode::Automatic,
        first_primary: "aws".parse().expect("a legal name"),
        authority: AuthorityPolicy {
            ttl_ms: 3 * tick_ms,
            renew_ms: tick_ms,
            call_timeout_ms: tick_ms,
            cut_ms: tick_ms,
            drift_per_mille: 0,
        },
        exposure: ExposurePolicy {
            bound_ms: 20 * tick_ms,
            heartbeat_ms: tick_ms,
        },
        detection: DetectionPolicy {
            probe_ms: 1000,
            timeout_ms: 900,
            failures: 1,
            successes: 1,
            database_wait_s: 3600,
        },
        promotion: PromotionPolicy {
            block_window_s: 0,
            per_day: 100,
        },
        targets: setup::targets(),
    };
    let (sites, names) = places();
    let mut roster = setup::roster(&sites, &names);
    roster.retain(|member| {
        let index = names.iter().position(|name| *name == member.name);
        let index = index.expect("the roster holds these names");
        index >= AGENTS || index % 2 < bounds.agents[index / 2]
    });
    (policy, roster)
}

fn places() -> ([SiteId; 3], [Name; 5]) {
    let sites = ["aws", "gcp", "witness"].map(|name| name.parse().expect("a legal name"));
    let names = ["aws-1", "aws-2", "gcp-1", "gcp-2", "witness-1"].map(Name::from);
    (sites, names)
}

impl Small {
    /// `aws` has been open for long, its right has just run out, everybody has read the store.
    pub(super) fn new(search: &Search) -> Self {
        let (sites, names) = places();
        let clocks = vec![Clock::new(1_000_000); 11];
        let authority = &search.policy.authority;
        let mut agents = setup::agents(&sites, &names, &search.policy, &clocks);
        agents.truncate(AGENTS);
        let mut gates = setup::gates(&sites, &search.policy, &clocks);
        gates.remove(3);
        gates.remove(1);
        debug_assert_eq!(authority.ttl_ms, 3 * TICK / MS);
        let mut state = Self {
            at: STARTED,
            store: setup::first_state(sites[0]),
            agents,
            gates,
            databases: setup::databases(&clocks),
            calls: [const { None }; AGENTS],
            late: None,
            asks: [const { [const { None }; 2] }; 2],
            pleas: Vec::new(),
            leaving: [None; 2],
            writing: [None; 2],
            acknowledged: 0,
            newest: 0,
            spent: Spent::default(),
            failsafe: search.bounds.failsafe,
            took_over: false,
            switched: false,
            promised: false,
            broken: None,
        };
        for index in 0..AGENTS {
            let agent = &mut state.agents[index];
            agent.alive = index % 2 < search.bounds.agents[index / 2];
            agent.done.relay_open = index >= 2;
            let now = agent.now(STARTED);
            agent.take(
                now,
                now,
                (&state.store.record, state.store.record_revision),
                None,
            );
            agent.learn(&state.store, now);
        }
        state
    }

    pub(super) fn now(&self, agent: usize) -> Mono {
        self.agents[agent].now(self.at)
    }

    /// Living agents.
    pub(super) fn alive(&self) -> impl Iterator<Item = usize> {
        (0..AGENTS).filter(|index| self.agents[*index].alive)
    }

    /// Whether a client of `site` can still be told that a write of it was done.
    fn could_acknowledge(&self, site: usize) -> bool {
        let open = self.gates[site].is_open(self.at);
        let closed = self.databases[site].lease.closed && self.writing[site].is_none();
        (open && !closed) || self.leaving[site].is_some()
    }

    /// I1, after every step.
    pub(super) fn judge(&mut self) {
        if self.could_acknowledge(0) && self.could_acknowledge(1) {
            self.fail("I1: both sites can acknowledge at this instant");
        }
    }

    /// I2, I5, I6: a change of the record, just carried out.
    pub(super) fn judge_change(
        &mut self,
        index: usize,
        before: &tandem_core::authority::Record,
        order: &Order,
    ) {
        let (site, after) = (index / 2, &order.record);
        let other = 1 - site;
        let own = self.agents[index].place.site;
        let database = &self.databases[site];
        let diverged = database.is_diverged() || database.subscription.is_none();
        if after.epoch < before.epoch || after.site != own {
            self.fail("I2: the record goes back, or is written for another site");
        } else if after.epoch != before.epoch && before.last_open.site != own && diverged {
            self.fail("I6: a site claims that was open before and was not reinstated");
        } else if order.purpose == Purpose::Reclaim && before.last_open.site != own {
            self.fail("I6: a site takes back what another one opened last");
        }
        if after.phase != Phase::Open || before.phase == Phase::Open {
            return;
        }
        if self.databases[other].guard_left(self.at) > 0 {
            self.fail("I1: a site opens while the other's guard is open");
        }
        if before.last_open.site == own {
            return;
        }
        self.took_over = true;
        self.switched |= before.fence.is_some();
        let prepared = self.databases[site].prepared();
        if prepared.is_none_or(|step| step.epoch != after.epoch) {
            self.fail("I6: a site opens that was not prepared");
        }
        let complete = (0..self.spent.writes).all(|write| {
            let told = self.acknowledged >> write & 1 == 1;
            !told || self.databases[site].holds(u32::from(write))
        });
        if before.fence.is_some() && !complete {
            self.fail("I5: a switchover loses an acknowledged write");
        }
    }

    pub(super) fn fail(&mut self, what: &str) {
        if self.broken.is_none() {
            self.broken = Some(what.into());
        }
    }
}
