//! What can go wrong with a request, and what the client is told.
//!
//! The one thing a client must know after a failed write is whether it may try
//! again without doing it twice: every 503 says `"outcome": "none"` (nothing
//! was done) or `"unknown"`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_postgres::error::SqlState;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The request itself cannot be understood.
    #[error("{0}")]
    Malformed(String),
    /// Understood, but a value in it is not acceptable.
    #[error("{0}")]
    Unacceptable(String),
    /// The body is longer than the service reads.
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    /// There is no such thing.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// The path exists, the method does not.
    #[error("this method is not allowed here")]
    Method,
    /// Too many requests wait already.
    #[error("too many requests are waiting for the database")]
    Busy,
    /// No connection could be had; nothing was sent.
    #[error("the {0} cannot be reached")]
    Unreachable(&'static str),
    /// The server refused the statement; it did nothing.
    #[error("the database refused: {0}")]
    Refused(String),
    /// The statement was sent; whether it was carried out is not known.
    #[error("the connection was lost before the answer came")]
    Lost,
}

impl Trouble {
    /// What an error of a statement that *was sent* means.
    pub(crate) fn after_sending(error: &tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return Self::Lost;
        };
        match refusal.code() {
            code if is_bad_value(code) => Self::Unacceptable(refusal.message().to_owned()),
            code if may_have_committed(code) => Self::Lost,
            _ => Self::Refused(refusal.message().to_owned()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unacceptable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Busy | Self::Unreachable(_) | Self::Refused(_) | Self::Lost => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut body = json!({ "error": self.to_string() });
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let lost = matches!(self, Self::Lost);
            body["outcome"] = if lost { "unknown" } else { "none" }.into();
            tracing::debug!(error = %self, "answered 503");
        }
        (status, Json(body)).into_response()
    }
}

/// Classes 22 (data) and 23 (constraint): the client's value is at fault.
fn is_bad_value(code: &SqlState) -> bool {
    matches!(code.code().get(..2), Some("22" | "23"))
}

/// Classes 08 (connection), 57 (operator intervention), 58 and XX (system): the
/// server may say these after the commit was written.
fn may_have_committed(code: &SqlState) -> bool {
    matches!(code.code().get(..2), Some("08" | "57" | "58" | "XX"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_states_are_sorted_by_what_a_client_may_do() {
        for (code, bad, committed) in [
            ("22001", true, false),
            ("23514", true, false),
            ("25006", false, false),
            ("40001", false, false),
            ("08006", false, true),
            ("57P01", false, true),
            ("XX000", false, true),
        ] {
            let state = SqlState::from_code(code);
            assert_eq!(is_bad_value(&state), bad, "{code}");
            assert_eq!(may_have_committed(&state), committed, "{code}");
        }
    }
}
