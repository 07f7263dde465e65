//! The agent's HTTP API: what gates, other agents and people ask.
//!
//! Every answer is computed from what was seen, at the moment of asking; nothing here waits
//! for the store or the database. A gate may ask to be answered when something is different.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State as Extracted};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use tandem_core::authority::Phase;
use tandem_core::database::DatabaseSeen;
use tandem_core::model::Mono;
use tandem_core::planner::{Language, Reason, Report, Seen};
use tandem_core::wire::{Remaining, Writer};
use tokio::time::timeout;

use crate::desk::request_shown;
use crate::metrics;
use crate::state::{Shared, millis};
use crate::status::{
    AuthorityShown, ExposureShown, ModeShown, Ping, ReportShown, Role, STATUS_SCHEMA, Status,
};

/// The longest that an answer is kept back. Longer would only shorten what a gate may count on.
const PATIENCE_MAX_MS: u64 = 250;

/// All routes that need nothing but what was seen.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route(
            "/metrics",
            get(async |Extracted(shared): Extracted<Arc<Shared>>| metrics::render(&shared)),
        )
        .route("/v1/ping", get(ping))
        .route("/v1/remaining", get(remaining))
        .route("/v1/writer", get(writer))
        .route("/v1/status", get(status))
        .with_state(shared)
}

async fn ping(Extracted(shared): Extracted<Arc<Shared>>) -> Json<Ping> {
    let applied = shared
        .state()
        .database_now()
        .and_then(|database| database.applied);
    Json(Ping {
        site: shared.place.site,
        agent: shared.name.clone(),
        applied,
    })
}

/// How long a gate is willing to wait for anything but what it knows.
#[derive(Deserialize)]
struct Patience {
    #[serde(default)]
    wait_ms: u64,
    #[serde(default)]
    known: String,
}

async fn remaining(
    Extracted(shared): Extracted<Arc<Shared>>,
    Query(patience): Query<Patience>,
) -> Json<Remaining> {
    let bound = Duration::from_millis(patience.wait_ms.min(PATIENCE_MAX_MS));
    let mut rounds = shared.rounds.subscribe();
    let changed = async {
        while shared.remaining().gist() == patience.known && rounds.changed().await.is_ok() {}
    };
    // Time that runs out is the ordinary case.
    let _ = timeout(bound, changed).await;
    Json(shared.remaining())
}

async fn writer(Extracted(shared): Extracted<Arc<Shared>>) -> (StatusCode, Json<Writer>) {
    let Remaining {
        site,
        epoch,
        remaining_ms,
        writer,
        writer_fresh,
        writer_works,
        ..
    } = shared.remaining();
    let may_write = remaining_ms > 0;
    let code = if may_write {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        code,
        Json(Writer {
            site,
            may_write,
            epoch,
            writer,
            writer_fresh,
            writer_works,
        }),
    )
}

async fn status(Extracted(shared): Extracted<Arc<Shared>>) -> Json<Status> {
    Json(status_of(&shared))
}

/// Everything that a person may want to know.
pub(crate) fn status_of(shared: &Shared) -> Status {
    let Remaining {
        epoch,
        remaining_ms,
        ..
    } = shared.remaining();
    let report = shared.state().report.clone();
    let relay_open = shared.relay.is_open();
    let (intent, plan) = {
        let state = shared.state();
        (state.intent(), state.running())
    };
    shared.with_seen(|seen, now| {
        let role = role(seen, report.as_ref().map(|report| &report.reason));
        let primary = matches!(role, Role::Primary | Role::Claiming);
        let database = database_now(seen, now).cloned();
        let slot = database.as_ref().and_then(|database| database.slot);
        Status {
            schema: STATUS_SCHEMA.to_owned(),
            cluster: shared.config.cluster.clone(),
            agent: shared.name.clone(),
            site: seen.place.site,
            role,
            epoch,
            remaining_ms,
            authority: authority_shown(seen, now),
            exposure: primary.then(|| ExposureShown {
                age_ms: exposure_age(seen, now, shared),
                behind_bytes: slot.map(|slot| slot.behind_bytes),
            }),
            observations: seen.observations.clone(),
            database,
            relay_open,
            report: report.as_ref().map(report_shown),
            mode: ModeShown::of(shared.config.policy.mode, &intent),
            requests: intent.requests.iter().map(request_shown).collect(),
            plan,
        }
    })
}

/// What the planner's last reason and the record make of this place.
fn role(seen: &Seen<'_>, reason: Option<&Reason>) -> Role {
    if seen.place.site == seen.place.witness {
        return Role::Witness;
    }
    let Some((record, _)) = seen.authority.present() else {
        return Role::Unknown;
    };
    match (record.site == seen.place.site, record.phase, reason) {
        (true, Phase::Open, _) => Role::Primary,
        (true, Phase::Claimed, _) => Role::Claiming,
        (true, Phase::Switching | Phase::Fenced, _) => Role::Leaving,
        (
            false,
            _,
            Some(
                Reason::Fenced { .. }
                | Reason::Reinstating { .. }
                | Reason::AwaitingReinstate { .. },
            ),
        ) => Role::Fenced,
        (false, ..) if seen.database.is_none() => Role::Unknown,
        (false, ..) => Role::Replica,
    }
}

fn authority_shown(seen: &Seen<'_>, now: Mono) -> Option<AuthorityShown> {
    let (record, revision) = seen.authority.present()?;
    Some(AuthorityShown {
        site: record.site,
        phase: record.phase,
        exposure: record.exposure,
        beat: record.beat,
        revision,
        fresh: seen.authority.is_fresh(now),
        expiry_left_ms: seen.authority.expiry_left().map_or(0, millis),
    })
}

/// The age of the newest heartbeat that the peer is known to have applied in this epoch.
pub(crate) fn exposure_age(seen: &Seen<'_>, now: Mono, shared: &Shared) -> Option<u64> {
    seen.exposure
        .deadline(shared.config.policy.exposure.bound())?;
    Some(millis(seen.exposure.age(now)))
}

fn database_now<'a>(seen: &Seen<'a>, now: Mono) -> Option<&'a DatabaseSeen> {
    const LOOK_MAX: std::time::Duration = std::time::Duration::from_secs(3);
    seen.database
        .filter(|look| now.since(look.arrived) <= LOOK_MAX)
        .map(|look| &look.seen)
}

pub(crate) fn report_shown(report: &Report) -> ReportShown {
    ReportShown {
        code: report.reason.code().to_owned(),
        en: report.reason.sentence(Language::English),
        ko: report.reason.sentence(Language::Korean),
        rules: report.rules.clone(),
    }
}
