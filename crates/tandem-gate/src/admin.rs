//! The admin HTTP: who may write, what the gate does, liveness, metrics.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::future::IntoFuture;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tandem_core::model::{Epoch, Mono, SiteId};
use tokio::net::TcpListener;
use tracing::warn;

use crate::clock;
use crate::keeper::View;
use crate::protocol::dialogue::Activity;
use crate::roster::{Event, Port, Roster};
use crate::session::Shared;
use tandem_core::gate::{Answer, Verdict, Why};

/// Serves until the gate stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let stop = shared.stop.clone();
    let router = Router::new()
        .route("/v1/writer", get(writer))
        .route("/v1/status", get(status))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .with_state(shared);
    let served = axum::serve(listener, router).into_future();
    if let Some(Err(error)) = stop.run_until_cancelled(served).await {
        warn!(%error, "admin port ended");
    }
}

async fn writer(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let writer = shared.keeper.writer(clock::now());
    let code = if writer.may_write {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(writer))
}

/// `GET /v1/status`.
#[derive(Debug, Serialize)]
struct Status {
    gate: String,
    site: SiteId,
    /// `here`, `peer` or `nowhere`.
    route: &'static str,
    /// Why it is nowhere.
    why: Option<Why>,
    epoch: Epoch,
    writer: Option<SiteId>,
    /// How long write sessions may go on here, in milliseconds.
    remaining_ms: u64,
    /// Sessions by port and activity.
    sessions: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// New sessions that wait now.
    held: usize,
    /// What was counted since the start.
    counters: BTreeMap<&'static str, u64>,
    /// Asks that brought no usable answer.
    failed_asks: u64,
    agents: Vec<AgentStatus>,
}

#[derive(Debug, Serialize)]
struct AgentStatus {
    address: String,
    /// Since its last usable answer was asked for; the rest is absent without one.
    asked_ms_ago: Option<u64>,
    epoch: Option<Epoch>,
    remaining_ms: Option<u64>,
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    let now = clock::now();
    let view = shared.keeper.view(now);
    let (route, why) = route(&view);
    let roster = &shared.roster;
    let agents = shared.settings.agents.iter().zip(&view.answers);
    Json(Status {
        gate: shared.settings.name.clone(),
        site: shared.settings.site,
        route,
        why,
        epoch: view.epoch,
        writer: view.writer,
        remaining_ms: remaining_ms(&view, now),
        sessions: Port::ALL
            .iter()
            .map(|port| (port.name(), activities(roster, *port)))
            .collect(),
        held: roster.held(),
        counters: Event::ALL
            .iter()
            .map(|e| (e.name(), roster.counted(*e)))
            .collect(),
        failed_asks: view.failed_asks,
        agents: agents
            .map(|(at, answer)| agent(&at.address, answer.as_ref(), now))
            .collect(),
    })
}

fn route(view: &View) -> (&'static str, Option<Why>) {
    match view.verdict {
        Verdict::Here { .. } => ("here", None),
        Verdict::Peer { .. } => ("peer", None),
        Verdict::Nowhere(why) => ("nowhere", Some(why)),
    }
}

fn remaining_ms(view: &View, now: Mono) -> u64 {
    match view.verdict {
        Verdict::Here { deadline, .. } => millis(now, deadline),
        _ => 0,
    }
}

fn activities(roster: &Roster, port: Port) -> BTreeMap<&'static str, usize> {
    let counts = roster.sessions()[port as usize];
    Activity::ALL
        .iter()
        .zip(counts)
        .map(|(activity, count)| (activity.name(), count))
        .collect()
}

fn agent(address: &str, answer: Option<&Answer>, now: Mono) -> AgentStatus {
    AgentStatus {
        address: address.to_owned(),
        asked_ms_ago: answer.map(|a| millis(a.asked, now)),
        epoch: answer.map(|a| a.epoch),
        remaining_ms: answer.map(|a| millis(now, a.deadline)),
    }
}

/// Milliseconds from `from` to `to`; zero if that has passed.
fn millis(from: Mono, to: Mono) -> u64 {
    u64::try_from(from.until(to).as_millis()).unwrap_or(u64::MAX)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let now = clock::now();
    let view = shared.keeper.view(now);
    let mut text = String::with_capacity(4096);
    // Writing to a string cannot fail.
    let _ = write_metrics(&mut text, &shared.roster, &view, now);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn write_metrics(out: &mut String, roster: &Roster, view: &View, now: Mono) -> fmt::Result {
    head(
        out,
        "tandem_gate_epoch",
        "gauge",
        "Highest epoch heard from the agents.",
    )?;
    writeln!(out, "tandem_gate_epoch {}", view.epoch)?;
    let help = "How long write sessions may go on at this site.";
    head(out, "tandem_gate_remaining_seconds", "gauge", help)?;
    writeln!(
        out,
        "tandem_gate_remaining_seconds {}.{:03}",
        remaining_ms(view, now) / 1000,
        remaining_ms(view, now) % 1000
    )?;
    head(
        out,
        "tandem_gate_route",
        "gauge",
        "Where new write sessions go: 1 at one of the three.",
    )?;
    for name in ["here", "peer", "nowhere"] {
        writeln!(
            out,
            "tandem_gate_route{{to=\"{name}\"}} {}",
            u8::from(route(view).0 == name)
        )?;
    }
    head(
        out,
        "tandem_gate_sessions",
        "gauge",
        "Sessions by port and activity.",
    )?;
    let sessions = roster.sessions();
    for port in Port::ALL {
        for activity in Activity::ALL {
            let count = sessions[port as usize][activity as usize];
            let (port, activity) = (port.name(), activity.name());
            writeln!(
                out,
                "tandem_gate_sessions{{port=\"{port}\",activity=\"{activity}\"}} {count}"
            )?;
        }
    }
    head(
        out,
        "tandem_gate_held",
        "gauge",
        "New sessions that wait for a primary or a database.",
    )?;
    writeln!(out, "tandem_gate_held {}", roster.held())?;
    head(
        out,
        "tandem_gate_session_events_total",
        "counter",
        "What happened to sessions.",
    )?;
    for event in Event::ALL {
        let (name, count) = (event.name(), roster.counted(event));
        writeln!(
            out,
            "tandem_gate_session_events_total{{event=\"{name}\"}} {count}"
        )?;
    }
    let help = "Asks of an agent that brought no usable answer.";
    head(out, "tandem_gate_failed_asks_total", "counter", help)?;
    writeln!(out, "tandem_gate_failed_asks_total {}", view.failed_asks)
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}
