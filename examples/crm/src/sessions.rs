//! Sessions in the Redis of this cloud, which forgets them with the cloud.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use serde_json::{Map, Value, json};

use crate::http::{App, parsed_body};
use crate::settings::Settings;
use crate::trouble::Trouble;

/// How long a session lives after it was made.
const LIFE_SECONDS: u64 = 3_600;

/// Redis is in the same place: a second is long.
const REDIS_WAIT: Duration = Duration::from_secs(1);

/// The sessions of this cloud.
pub(crate) struct Sessions {
    redis: ConnectionManager,
}

impl Sessions {
    /// Prepares the connection; it is made at first use and remade when lost.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let (host, port) = settings.redis.clone();
        let mut login = RedisConnectionInfo::default();
        if let Some(password) = &settings.redis_password {
            login = login.set_password(password);
        }
        let info = ConnectionAddr::Tcp(host, port)
            .into_connection_info()?
            .set_redis_settings(login);
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REDIS_WAIT))
            .set_response_timeout(Some(REDIS_WAIT))
            .set_number_of_retries(1);
        let client = redis::Client::open(info)?;
        Ok(Self {
            redis: ConnectionManager::new_lazy_with_config(client, config)?,
        })
    }

    async fn keep(&self, token: &str, session: &str) -> Result<(), Trouble> {
        let kept = self
            .redis
            .clone()
            .set_ex(key(token), session, LIFE_SECONDS)
            .await;
        kept.map_err(|error| unreachable(&error))
    }

    async fn find(&self, token: &str) -> Result<Option<String>, Trouble> {
        let found = self.redis.clone().get(key(token)).await;
        found.map_err(|error| unreachable(&error))
    }

    /// Whether Redis answers.
    pub(crate) async fn alive(&self) -> Result<(), Trouble> {
        let pong: Result<String, _> = self.redis.clone().ping().await;
        pong.map(drop).map_err(|error| unreachable(&error))
    }
}

/// `POST /sessions`: the body, if any, is a JSON object to keep with the session.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Trouble> {
    let data: Map<String, Value> = match body {
        Ok(empty) if empty.is_empty() => Map::new(),
        body => parsed_body(body)?,
    };
    let token = format!("{:032x}", rand::random::<u128>());
    app.sessions
        .keep(&token, &Value::Object(data).to_string())
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "token": token, "seconds": LIFE_SECONDS })),
    ))
}

/// `GET /sessions/{token}`.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
) -> Result<Json<Value>, Trouble> {
    if token.len() != 32 || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Trouble::Malformed(
            "a token is 32 hexadecimal digits".to_owned(),
        ));
    }
    let kept = app
        .sessions
        .find(&token)
        .await?
        .ok_or(Trouble::Missing("such session"))?;
    let data: Value = serde_json::from_str(&kept).unwrap_or(Value::Null);
    Ok(Json(json!({ "token": token, "data": data })))
}

fn key(token: &str) -> String {
    format!("session:{token}")
}

fn unreachable(error: &redis::RedisError) -> Trouble {
    tracing::debug!(%error, "redis does not answer");
    Trouble::Unreachable("session store")
}
