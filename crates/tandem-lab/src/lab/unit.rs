//! One process of the lab by its name, whatever it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{Mutex, MutexGuard};

use super::layout::{Layout, outside, witness};
use crate::links::Place;
use crate::process::{Launch, Process};
use crate::servers::{Etcd, Postgres, Redis};
use crate::wait::{Look, until};
use crate::{Result, http};

/// How long one of our own processes may take to answer.
const ANSWER_BOUND: Duration = Duration::from_secs(60);
/// How long one of our own processes may take to stop cleanly.
const STOP_BOUND: Duration = Duration::from_secs(15);

/// What kind of process; the order is the order of starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Postgres,
    Redis,
    Store,
    Agent,
    Gate,
    Crm,
    Edge,
}

/// Kinds that are started together, in order.
pub(crate) const STAGES: [&[Kind]; 4] = [
    &[Kind::Postgres, Kind::Redis, Kind::Store],
    &[Kind::Agent],
    &[Kind::Gate],
    &[Kind::Crm, Kind::Edge],
];

/// Which process.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) at: Place,
    pub(crate) kind: Kind,
    pub(crate) index: usize,
}

impl Layout {
    /// Every process of the lab.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![
            slot(witness(), "etcd", Kind::Store, 0),
            slot(witness(), "agent-1", Kind::Agent, 0),
            Slot {
                name: "edge".into(),
                at: outside(),
                kind: Kind::Edge,
                index: 0,
            },
        ];
        for (site, ports) in &self.sites {
            slots.push(slot(*site, "postgres", Kind::Postgres, 0));
            slots.push(slot(*site, "redis", Kind::Redis, 0));
            slots.push(slot(*site, "etcd", Kind::Store, 0));
            let twins = [
                ("agent", Kind::Agent, ports.agents.len()),
                ("gate", Kind::Gate, ports.gates.len()),
                ("crm", Kind::Crm, ports.crms.len()),
            ];
            for (name, kind, count) in twins {
                let numbered = |index| slot(*site, &format!("{name}-{}", index + 1), kind, index);
                slots.extend((0..count).map(numbered));
            }
        }
        slots
    }
}

fn slot(at: Place, name: &str, kind: Kind, index: usize) -> Slot {
    Slot {
        name: format!("{at}.{name}"),
        at,
        kind,
        index,
    }
}

/// A process that has been started at least once.
pub(crate) struct Unit {
    pub(crate) slot: Slot,
    pub(crate) body: Arc<Mutex<Body>>,
}

/// What runs.
pub(crate) enum Body {
    Postgres(Postgres),
    Redis(Redis),
    Etcd(Etcd),
    Own(Own),
}

/// One of our own binaries.
pub(crate) struct Own {
    process: Process,
    launch: Launch,
    /// Where it answers `GET /livez`.
    door: SocketAddr,
}

impl Own {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(launch: Launch, port: u16) -> Result<Self> {
        let door = launch.on.at(port);
        let process = launch.start()?;
        alive(&process, door).await?;
        Ok(Self {
            process,
            launch,
            door,
        })
    }

    /// Starts it in a time namespace of its own.
    pub(super) async fn start_with_clock(&mut self, ahead_s: i64) -> Result<()> {
        self.process = self.launch.with_clock(ahead_s).start()?;
        alive(&self.process, self.door).await
    }

    async fn start_again(&mut self) -> Result<()> {
        self.process = self.launch.start()?;
        alive(&self.process, self.door).await
    }
}

async fn alive(process: &Process, door: SocketAddr) -> Result<()> {
    until(process.name(), "its first answer", ANSWER_BOUND, || async {
        process.expect_alive("starting")?;
        Ok(match http::get(door, "/livez").await {
            Ok(answer) if answer.status == 200 => Look::Ready(()),
            Ok(answer) => Look::Waiting(format!("status {}", answer.status)),
            Err(error) => Look::Waiting(error.to_string()),
        })
    })
    .await
}

impl Body {
    pub(crate) fn process(&self) -> &Process {
        match self {
            Self::Postgres(server) => server.process(),
            Self::Redis(server) => server.process(),
            Self::Etcd(server) => server.process(),
            Self::Own(own) => &own.process,
        }
    }

    /// Starts it again where it ran before; nothing if it runs.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        if self.process().exit().is_none() {
            return Ok(());
        }
        match self {
            Self::Postgres(server) => server.start_again().await,
            Self::Redis(server) => server.start_again().await,
            Self::Etcd(server) => server.start_again().await,
            Self::Own(own) => own.start_again().await,
        }
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        if self.process().exit().is_some() {
            return Ok(());
        }
        match self {
            Self::Postgres(server) => server.stop().await,
            Self::Redis(server) => server.stop().await,
            Self::Etcd(server) => server.stop().await,
            Self::Own(own) => {
                own.process.signal(Signal::TERM)?;
                own.process.ended(STOP_BOUND).await.map(|_| ())
            }
        }
    }
}

impl Unit {
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Body> {
        self.body.lock().await
    }
}
