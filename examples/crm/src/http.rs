//! Routes, and the header that every answer carries.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::contacts;
use crate::database::Database;
use crate::health::{self, Health};
use crate::sessions::{self, Sessions};
use crate::settings::Settings;
use crate::trouble::Trouble;

/// The longest body that is read, in bytes.
const BODY_MAX: usize = 64 * 1024;

const CLOUD_HEADER: HeaderName = HeaderName::from_static("x-cloud-provider");

/// What handlers share.
pub(crate) struct App {
    /// Contacts.
    pub database: Database,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// What the background checks found.
    pub health: Arc<Health>,
    cloud: HeaderValue,
}

impl App {
    /// Prepares all parts; connects to nothing yet.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let sessions = Arc::new(Sessions::new(settings)?);
        Ok(Self {
            database: Database::new(settings)?,
            health: Arc::new(Health::new(settings, Arc::clone(&sessions))),
            sessions,
            cloud: settings.cloud.header(),
        })
    }
}

/// The query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// How many at most.
    pub limit: Option<i64>,
}

/// All routes. The header's layer stands outside everything else, so that
/// refusals of the framework carry it too.
pub(crate) fn router(app: Arc<App>) -> Router {
    let named = from_fn_with_state(Arc::clone(&app), name_cloud);
    Router::new()
        .route("/health", get(health::health))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/contacts", post(contacts::create).get(contacts::list))
        .route("/contacts/{id}", get(contacts::read).put(contacts::replace))
        .route("/sessions", post(sessions::create))
        .route("/sessions/{token}", get(sessions::read))
        .fallback(|| async { Trouble::Missing("such page") })
        .method_not_allowed_fallback(|| async { Trouble::Method })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(named)
        .with_state(app)
}

async fn name_cloud(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(CLOUD_HEADER, app.cloud.clone());
    response
}

/// A JSON body: 400 if it is no JSON, 422 if it is JSON of the wrong shape.
pub(crate) fn parsed_body<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Trouble> {
    let body = body.map_err(|rejection| match rejection.status().as_u16() {
        413 => Trouble::TooLong(BODY_MAX),
        _ => Trouble::Malformed(rejection.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        let told = format!("the body is not as expected: {error}");
        match error.classify() {
            serde_json::error::Category::Data => Trouble::Unacceptable(told),
            _ => Trouble::Malformed(told),
        }
    })
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Method, StatusCode};
    use tower::ServiceExt;

    use super::*;
    use crate::settings::tests::environment;

    async fn answer(method: Method, path: &str, body: &str) -> (StatusCode, String) {
        let settings = Settings::read(environment).expect("complete");
        let app = Arc::new(App::new(&settings).expect("connects to nothing"));
        let request = Request::builder().method(method.clone()).uri(path);
        let request = request.body(Body::from(body.to_owned())).expect("legal");
        let response = router(app).oneshot(request).await.expect("never fails");
        let cloud = response.headers().get("x-cloud-provider").cloned();
        assert_eq!(cloud.expect("on every answer"), "AWS", "{method} {path}");
        let status = response.status();
        let body = to_bytes(response.into_body(), BODY_MAX)
            .await
            .expect("short");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn faults_of_the_client_are_told_as_such_and_name_the_cloud() {
        let good = r#"{"request_id":"1","name":"Ada","email":"ada@example.com"}"#;
        let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(BODY_MAX));
        for (method, path, body, status) in [
            (Method::GET, "/nowhere", "", 404),
            (Method::HEAD, "/nowhere", "", 404),
            (Method::DELETE, "/contacts/1", "", 405),
            (Method::GET, "/contacts/one", "", 400),
            (Method::GET, "/contacts?limit=x", "", 400),
            (Method::GET, "/contacts?limit=0", "", 422),
            (Method::POST, "/contacts", "{", 400),
            (Method::POST, "/contacts", "{}", 422),
            (Method::POST, "/contacts", &good.replace('@', " at "), 422),
            (Method::POST, "/contacts", &long, 413),
            (Method::PUT, "/contacts/1", good, 422),
            (Method::GET, "/sessions/short", "", 400),
        ] {
            let (found, body) = answer(method.clone(), path, body).await;
            assert_eq!(found.as_u16(), status, "{method} {path}: {body}");
            assert!(
                method == Method::HEAD || body.contains("\"error\""),
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_database_requests_fail_clearly() {
        let good = r#"{"request_id":"1","name":"Ada","email":"ada@example.com"}"#;
        for (method, path, body) in [
            (Method::POST, "/contacts", good),
            (Method::GET, "/contacts", ""),
            (Method::GET, "/contacts/1", ""),
            (Method::POST, "/sessions", ""),
        ] {
            let (status, told) = answer(method, path, body).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{told}");
            assert!(told.contains(r#""outcome":"none""#), "{told}");
        }
    }

    #[tokio::test]
    async fn a_service_that_just_started_lives_but_is_not_ready() {
        assert_eq!(answer(Method::GET, "/livez", "").await.0, StatusCode::OK);
        assert_eq!(
            answer(Method::HEAD, "/livez", "").await,
            (StatusCode::OK, String::new())
        );
        for path in ["/readyz", "/health"] {
            let (status, _) = answer(Method::GET, path, "").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        }
    }
}
