//! One agent in one moment, put together by hand: what it knows, then what it plans.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::world::{policy, site};
use crate::authority::{Authority, ExposureWatch, Identity, Phase, Record};
use crate::config::Policy;
use crate::database::{DatabaseSeen, GuardSeen, Heartbeat, SubscriptionSeen};
use crate::model::{Epoch, Lsn, Mono, SiteId};
use crate::planner::{
    AgentStatus, Done, Intent, Look, Member, OtherEnd, Peer, Place, Plan, Report, Request,
    RequestKind, Seen, SiteHealth, Told, plan, remaining,
};

/// Moments are far from boot, so that nothing saturates.
pub(super) const NOW: Mono = Mono(3_600_000_000);

pub(super) struct Scene {
    pub(super) policy: Policy,
    pub(super) intent: Intent,
    pub(super) place: Place,
    pub(super) authority: Authority,
    pub(super) exposure: ExposureWatch,
    pub(super) database: Option<Look>,
    pub(super) observations: BTreeMap<SiteId, SiteHealth>,
    pub(super) peers: Vec<Peer>,
    pub(super) roster: Vec<Member>,
    pub(super) other_end: Option<OtherEnd>,
    pub(super) done: Done,
    pub(super) now: Mono,
}

/// aws is open in epoch 1, version 2.
pub(super) fn open_record() -> Record {
    let identity = Identity {
        cluster: "crm-dr".into(),
        store: "a1".into(),
    };
    Record::first(identity, site("aws")).opened()
}

pub(super) fn place(at: &str) -> Place {
    let other = if at == "aws" { "gcp" } else { "aws" };
    Place {
        site: site(at),
        other: site(other),
        witness: site("witness"),
    }
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A view of `at` that read `record` every 250 ms for `counted`, the last time at [`NOW`].
pub(super) fn counted(at: &str, record: &Record, counted: Duration) -> Authority {
    let started = NOW.before(ms(3_000_000));
    let mut authority = Authority::new(site(at), policy().authority, None, started);
    read_for(&mut authority, record, 100, NOW, counted);
    authority
}

/// Reads `record` every 250 ms from `span` before `end` until `end`.
pub(super) fn read_for(
    authority: &mut Authority,
    record: &Record,
    revision: u64,
    end: Mono,
    span: Duration,
) {
    let mut at = end.before(span);
    while at < end {
        authority.handle_reading(at, record, revision).unwrap();
        at = at.after(ms(250));
    }
    authority.handle_reading(end, record, revision).unwrap();
}

pub(super) fn ready() -> SubscriptionSeen {
    SubscriptionSeen {
        enabled: true,
        worker: true,
        tables_ready: 3,
        tables_total: 3,
        origin: Some(Lsn(100)),
        received: Some(Lsn(100)),
        apply_errors: 0,
    }
}

pub(super) fn database(subscription: Option<SubscriptionSeen>) -> DatabaseSeen {
    DatabaseSeen {
        guard: Some(GuardSeen {
            epoch: Epoch(1),
            remaining_ms: 0,
        }),
        subscription,
        slot: None,
        applied: Some(Heartbeat {
            site: site("aws"),
            epoch: Epoch(1),
            seq: 40,
        }),
        schema_hash: Some("same".into()),
        prepared: None,
        ..DatabaseSeen::default()
    }
}

pub(super) fn peer(
    agent: &str,
    sees: &[(&str, SiteHealth)],
    database: Option<DatabaseSeen>,
) -> Peer {
    let at = agent.split('-').next().unwrap();
    let observations = sees.iter().map(|(name, health)| (site(name), *health));
    Peer {
        status: AgentStatus {
            agent: agent.into(),
            site: site(at),
            counter: 1,
            observations: observations.collect(),
            database_reachable: database.is_some(),
            database,
            reads_version: 2,
            plan: None,
        },
        changed: NOW,
    }
}

pub(super) fn request(kind: RequestKind) -> Request {
    Request {
        id: 1,
        kind,
        by: "kim".into(),
        reason: "a test".into(),
        epoch: Epoch(1),
        age: Duration::ZERO,
        left: ms(60_000),
    }
}

impl Scene {
    /// An agent of `at` with a good database, all others silent.
    pub(super) fn new(at: &str, authority: Authority) -> Self {
        let subscription = (at == "gcp").then(ready);
        let names = ["aws-1", "gcp-1", "witness-1"];
        let member = |name: &str| Member {
            site: site(name.split('-').next().unwrap()),
            name: name.into(),
        };
        Self {
            policy: policy(),
            intent: Intent::default(),
            place: place(at),
            authority,
            exposure: ExposureWatch::new(Epoch(1), NOW),
            database: Some(Look {
                seen: database(subscription),
                arrived: NOW,
            }),
            observations: BTreeMap::new(),
            peers: vec![],
            roster: names.map(member).into(),
            other_end: None,
            done: Done {
                relay_open: true,
                ..Done::default()
            },
            now: NOW,
        }
    }

    /// gcp and the witness have lost aws, which is silent.
    pub(super) fn with_aws_lost(mut self) -> Self {
        self.observations.insert(site("aws"), SiteHealth::Down);
        let sees = [("aws", SiteHealth::Down), ("gcp", SiteHealth::Up)];
        self.peers.push(peer("witness-1", &sees, None));
        let mut last = peer("aws-1", &[], Some(database(None)));
        last.changed = NOW.before(ms(20_000));
        self.peers.push(last);
        self
    }

    fn seen(&self) -> Seen<'_> {
        Seen {
            place: self.place,
            authority: &self.authority,
            refusal: None,
            exposure: &self.exposure,
            database: self.database.as_ref(),
            observations: &self.observations,
            peers: &self.peers,
            agent: if self.place.site == site("aws") {
                "aws-1"
            } else {
                "gcp-1"
            },
            roster: &self.roster,
            edge: None,
            other_end: self.other_end,
            done: self.done,
        }
    }

    pub(super) fn plan(&self) -> (Plan, Report) {
        plan(&self.policy, &self.intent, &self.seen(), self.now)
    }

    pub(super) fn told(&self) -> Told {
        remaining(&self.policy, &self.seen(), self.now)
    }

    pub(super) fn present(&self) -> &Record {
        self.authority.present().unwrap().0
    }

    pub(super) fn is_source_in(&self, phase: Phase) -> bool {
        let record = self.present();
        record.site == self.place.site && record.phase == phase
    }
}
