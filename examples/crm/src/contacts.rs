//! Contacts: create, read, replace, list. A row is answered as the database has
//! it, so that columns added by an operator are seen by clients too.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::http::{App, Limit, parsed_body};
use crate::trouble::Trouble;

const INSERT: &str = "INSERT INTO contact (request_id, name, email, note) \
     VALUES ($1, $2, $3, $4) RETURNING to_jsonb(contact)";
const UPDATE: &str = "UPDATE contact SET name = $2, email = $3, note = $4, updated_at = now() \
     WHERE id = $1 RETURNING to_jsonb(contact)";
const SELECT: &str = "SELECT to_jsonb(contact) FROM contact WHERE id = $1";
const LIST: &str = "SELECT to_jsonb(contact) FROM contact ORDER BY id DESC LIMIT $1";

const LIST_DEFAULT: i64 = 50;
const LIST_MAX: i64 = 1_000;

/// The body of POST. Lengths are the table's business.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewContact {
    request_id: String,
    name: String,
    email: String,
    #[serde(default)]
    note: String,
}

/// The body of PUT: the whole contact.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contact {
    name: String,
    email: String,
    #[serde(default)]
    note: String,
}

/// `POST /contacts`.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Trouble> {
    let new: NewContact = parsed_body(body)?;
    checked(&new.email)?;
    let row = app
        .database
        .write(INSERT, &[&new.request_id, &new.name, &new.email, &new.note])
        .await?;
    let row = row.ok_or(Trouble::Missing("row in the answer"))?;
    Ok((StatusCode::CREATED, Json(row)))
}

/// `GET /contacts/{id}`.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Trouble> {
    let rows = app.database.read(SELECT, &[&number(&id)?]).await?;
    rows.into_iter()
        .next()
        .map(Json)
        .ok_or(Trouble::Missing("such contact"))
}

/// `PUT /contacts/{id}`.
pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Value>, Trouble> {
    let id = number(&id)?;
    let new: Contact = parsed_body(body)?;
    checked(&new.email)?;
    let row = app
        .database
        .write(UPDATE, &[&id, &new.name, &new.email, &new.note])
        .await?;
    row.map(Json).ok_or(Trouble::Missing("such contact"))
}

/// `GET /contacts?limit=N`, newest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    limit: Result<Query<Limit>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<Value>>, Trouble> {
    let Query(Limit { limit }) = limit.map_err(|e| Trouble::Malformed(e.body_text()))?;
    let limit = limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Trouble::Unacceptable(format!(
            "limit must be 1 to {LIST_MAX}"
        )));
    }
    app.database.read(LIST, &[&limit]).await.map(Json)
}

fn number(id: &str) -> Result<i64, Trouble> {
    id.parse()
        .map_err(|_| Trouble::Malformed(format!("`{id}` is no contact number")))
}

fn checked(email: &str) -> Result<(), Trouble> {
    match email.split_once('@') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() => Ok(()),
        _ => Err(Trouble::Unacceptable(format!(
            "`{email}` is no e-mail address"
        ))),
    }
}
