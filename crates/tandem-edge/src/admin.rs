//! The admin API: Cloudflare's v4 paths and envelope, on loopback.
//!
//! `/client/v4/...` speaks of pools as Cloudflare does, so that one client can
//! steer both. Account and zone ids are accepted and not looked at: an edge
//! belongs to nobody else. `/livez` and `/metrics` are ours.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_core::traffic::health::{Failure, Status};
use tandem_core::traffic::model::Pool;
use tandem_core::traffic::steering::PoolState;

use crate::config;
use crate::state::{Seen, State};

/// Cloudflare's number for "no such thing".
const CODE_MISSING: u32 = 1001;
/// Cloudflare's number for "the request is not as expected".
const CODE_MALFORMED: u32 = 1002;

type Standing = (Pool, PoolState, Vec<Seen>);

/// All paths.
pub(crate) fn router(state: Arc<State>) -> Router {
    let pools = "/client/v4/accounts/{account}/load_balancers/pools";
    Router::new()
        .route(pools, get(list_pools))
        .route(&format!("{pools}/{{id}}"), get(read_pool).patch(patch_pool))
        .route(&format!("{pools}/{{id}}/health"), get(pool_health))
        .route(
            "/client/v4/accounts/{account}/load_balancers/monitors",
            get(list_monitors),
        )
        .route(
            "/client/v4/zones/{zone}/load_balancers",
            get(list_balancers),
        )
        .route("/livez", get(livez))
        .route("/metrics", get(metrics))
        .fallback(|| async { refused(StatusCode::NOT_FOUND, CODE_MISSING, "no such path") })
        .with_state(state)
}

/// What may be changed while the edge runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    enabled: bool,
}

async fn list_pools(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    list(
        state
            .pools()
            .into_iter()
            .map(|(pool, ..)| json!(pool))
            .collect(),
    )
}

async fn read_pool(
    Shared(state): Shared<Arc<State>>,
    Path((_account, id)): Path<(String, String)>,
) -> Response {
    match find(&state, &id) {
        Some((pool, ..)) => granted(&json!(pool)).into_response(),
        None => missing(&id),
    }
}

async fn patch_pool(
    Shared(state): Shared<Arc<State>>,
    Path((_account, id)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let patch: Patch = match serde_json::from_slice(&body) {
        Ok(patch) => patch,
        Err(error) => {
            let told = format!("{error}; only {{\"enabled\": true|false}} can be changed");
            return refused(StatusCode::BAD_REQUEST, CODE_MALFORMED, &told);
        }
    };
    match state
        .enable_pool(&id, patch.enabled)
        .and_then(|()| find(&state, &id))
    {
        Some((pool, ..)) => granted(&json!(pool)).into_response(),
        None => missing(&id),
    }
}

async fn pool_health(
    Shared(state): Shared<Arc<State>>,
    Path((_account, id)): Path<(String, String)>,
) -> Response {
    match find(&state, &id) {
        Some(standing) => granted(&health_of(&standing)).into_response(),
        None => missing(&id),
    }
}

async fn list_monitors(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    list(
        state
            .config
            .monitors
            .iter()
            .map(|monitor| json!(monitor))
            .collect(),
    )
}

async fn list_balancers(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    list(vec![json!(state.config.load_balancer)])
}

async fn livez() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    let pools = state.pools();
    let page = state
        .metrics
        .page(pools.iter().map(|(pool, _, seen)| (pool, seen.as_slice())));
    ([("content-type", "text/plain; version=0.0.4")], page).into_response()
}

fn find(state: &State, id: &str) -> Option<Standing> {
    state.pools().into_iter().find(|(pool, ..)| pool.id == id)
}

/// Cloudflare's shape, with the port in the key: two origins of a pool may share
/// an address here. `status`, `pool_state` and `name` are ours.
fn health_of((pool, standing, seen): &Standing) -> Value {
    let origins = pool.origins.iter().zip(seen).map(|(origin, seen)| {
        let failure = seen.health.failure();
        let code = match failure {
            Some(Failure::ResponseCode(code)) => Some(code),
            _ => None,
        };
        let mut by_address = Map::new();
        let told = json!({
            "name": origin.name,
            "healthy": seen.health.status() == Status::Healthy,
            "status": seen.health.status(),
            "failure_reason": failure.map(|failure| failure.to_string()),
            "response_code": code,
            "rtt": seen.round_trip.map(|span| format!("{:.1}ms", span.as_secs_f64() * 1_000.0)),
        });
        by_address.insert(config::address(origin).to_string(), told);
        Value::Object(by_address)
    });
    let healthy = matches!(standing, PoolState::Healthy | PoolState::Degraded);
    json!({
        "pool_id": pool.id,
        "pool_state": format!("{standing:?}").to_lowercase(),
        "pop_health": { "healthy": healthy, "origins": origins.collect::<Vec<_>>() },
    })
}

fn granted(result: &Value) -> Json<Value> {
    Json(json!({ "success": true, "errors": [], "messages": [], "result": result }))
}

fn list(result: Vec<Value>) -> Json<Value> {
    let count = result.len();
    let info = json!({ "page": 1, "per_page": count, "count": count, "total_count": count });
    let mut envelope = granted(&Value::Array(result));
    envelope.0["result_info"] = info;
    envelope
}

fn missing(id: &str) -> Response {
    refused(
        StatusCode::NOT_FOUND,
        CODE_MISSING,
        &format!("there is no pool `{id}`"),
    )
}

fn refused(status: StatusCode, code: u32, message: &str) -> Response {
    let errors = json!([{ "code": code, "message": message }]);
    let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
    (status, Json(body)).into_response()
}
