//! Connections that come back by themselves, and calls that always end.
//!
//! A [`Session`] is one connection; a [`Lane`] is a connection that is opened
//! again when it was lost. Every call has a bound; a call that passes it gives
//! the connection up, since its answer could otherwise be taken for the next one's.
//!
//! Refused: a pool. An agent asks a handful of short questions a second; two
//! lanes (short questions, long steps) keep one from waiting for the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tandem_core::model::SiteId;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use crate::connect::Target;
use crate::error::Error;

/// Values of a statement.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One open connection; closes when dropped.
pub(crate) struct Session {
    client: Client,
    pump: JoinHandle<()>,
    address: String,
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

impl Session {
    pub(crate) fn new(client: Client, pump: JoinHandle<()>, address: String) -> Self {
        Self {
            client,
            pump,
            address,
            prepared: Mutex::default(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a statement of the program, prepared once a session.
    pub(crate) async fn rows(
        &self,
        what: &'static str,
        limit: Duration,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Error> {
        let asked = async {
            let statement = self.statement(sql).await?;
            self.client.query(&statement, values).await
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer.map_err(|source| Error::query(what, source)),
            Err(_) => {
                self.pump.abort();
                Err(Error::TimedOut {
                    what,
                    address: self.address.clone(),
                    limit,
                })
            }
        }
    }

    /// Runs a statement that answers exactly one row.
    pub(crate) async fn row(
        &self,
        what: &'static str,
        limit: Duration,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Row, Error> {
        let mut rows = self.rows(what, limit, sql, values).await?;
        match rows.len() {
            1 => Ok(rows.remove(0)),
            n => Err(Error::Malformed {
                what,
                text: format!("{n} rows"),
            }),
        }
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, tokio_postgres::Error> {
        let mut prepared = self.prepared.lock().await;
        if let Some(statement) = prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        prepared.insert(sql, statement.clone());
        Ok(statement)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// When a commit of a lane is answered.
#[derive(Clone, Copy)]
pub(crate) enum Commit {
    /// When it is on disk.
    Flushed,
    /// At once; on disk before any later flushed commit, since WAL is flushed in order.
    Ordered,
}

/// A connection to one site's database that is opened again when it was lost.
pub(crate) struct Lane {
    target: Target,
    site: SiteId,
    limit: Duration,
    session: Mutex<Option<Arc<Session>>>,
}

impl Lane {
    /// A lane whose calls end within `limit`; nothing is connected yet. Agents never wait
    /// for a standby, so `commit` is PostgreSQL's `synchronous_commit` up to `local`.
    pub(crate) fn new(target: &Target, site: SiteId, limit: Duration, commit: Commit) -> Self {
        let commit = match commit {
            Commit::Flushed => "local",
            Commit::Ordered => "off",
        };
        let options = format!(
            "-c statement_timeout={} -c lock_timeout=1000 -c search_path=pg_catalog -c synchronous_commit={commit}",
            limit.as_millis()
        );
        Self {
            target: target.clone().with_options(&options),
            site,
            limit,
            session: Mutex::default(),
        }
    }

    /// The open connection, or a new one.
    pub(crate) async fn session(&self) -> Result<Arc<Session>, Error> {
        let mut slot = self.session.lock().await;
        if let Some(session) = slot.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        *slot = None;
        let session = Arc::new(self.target.open().await?);
        self.check_site(&session).await?;
        *slot = Some(session.clone());
        Ok(session)
    }

    /// Runs a statement on the open connection, or on a new one.
    pub(crate) async fn rows(
        &self,
        what: &'static str,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Error> {
        self.session()
            .await?
            .rows(what, self.limit, sql, values)
            .await
    }

    /// Runs a statement that answers exactly one row.
    pub(crate) async fn row(
        &self,
        what: &'static str,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Row, Error> {
        self.session()
            .await?
            .row(what, self.limit, sql, values)
            .await
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// A configuration that names the wrong server must not steer it.
    async fn check_site(&self, session: &Session) -> Result<(), Error> {
        let address = self.target.address.clone();
        let asked = session
            .row("site", self.limit, "SELECT tandem_local.site()", &[])
            .await;
        let found: String = match asked {
            Ok(row) => row.get(0),
            Err(Error::Query { source, .. }) if is_absent(&source) => {
                return Err(Error::NotSetUp { address });
            }
            Err(error) => return Err(error),
        };
        if found == self.site.as_str() {
            return Ok(());
        }
        Err(Error::WrongSite {
            address,
            expected: self.site,
            found,
        })
    }
}

/// Whether the statement named a schema, table or function that does not exist.
fn is_absent(error: &tokio_postgres::Error) -> bool {
    let absent = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::INVALID_SCHEMA_NAME,
    ];
    error.code().is_some_and(|code| absent.contains(code))
}
