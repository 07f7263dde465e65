//! What Tandem has left in a database, and whether somebody still works with it.
//!
//! Everything that the plan needs is read before anything is changed, from both servers, so that
//! an uninstall never stops half-way for want of a server.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Json;

use crate::connect::Target;
use crate::error::Error;
use crate::names::Names;
use crate::session::Session;
use crate::setup::script::MADE;

/// Reading a large catalog on a busy server.
const LIMIT: Duration = Duration::from_secs(30);
const SQL: &str = include_str!("../sql/remains.sql");
const SITE: &str = "SELECT tandem_local.site()";
/// Absent: closed, ended, or armed before the server's last start.
const LEASE: &str = "
    SELECT (extract(epoch FROM expires_at) * 1000000)::bigint FROM tandem_local.lease
     WHERE NOT closed AND started = pg_postmaster_start_time() AND expires_at > clock_timestamp()";
const CONNINFO: &str = "
    SELECT subconninfo FROM pg_subscription WHERE subname = $1::text
       AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// One database, as `sql/remains.sql` describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Remains {
    /// Of `tandem` and `tandem_local`.
    pub(super) schemas: Vec<String>,
    /// Tables with a guard, in whatever schema.
    pub(super) guards: Vec<String>,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) slots: Vec<String>,
    /// Publications, and whether each carries a table of ours.
    pub(super) publications: BTreeMap<String, bool>,
    /// The agent's and the replication role, as far as they exist.
    pub(super) roles: BTreeMap<String, Role>,
    /// What outside needs something of ours, as PostgreSQL describes it.
    pub(super) uses: Vec<String>,
    /// Tables in our schemas that are not ours.
    pub(super) strangers: Vec<String>,
    /// Sessions of the agent's role.
    pub(super) agent_sessions: i64,
    /// The site that the database says it belongs to.
    #[serde(default)]
    pub(super) site: Option<String>,
    /// When the open lease ends, in microseconds since 1970.
    #[serde(default)]
    pub(super) lease: Option<i64>,
    /// The subscription's connection string, where it may be read.
    #[serde(default)]
    pub(super) conninfo: Option<String>,
}

/// A subscription of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Subscription {
    pub(super) enabled: bool,
    pub(super) slot: Option<String>,
    /// It receives a table of ours.
    pub(super) heartbeat: bool,
}

/// A role of Tandem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Role {
    /// Setup made it, by its mark.
    pub(super) made: bool,
    /// It holds rights in the replicated schemas.
    pub(super) rights: bool,
}

impl Remains {
    fn has_local(&self) -> bool {
        self.schemas.iter().any(|name| name == "tandem_local")
    }
}

/// Reads one server.
pub(super) async fn read(config: &Config, names: &Names) -> Result<Remains, Error> {
    let session = open(config, names.site).await?;
    let database = &config.database;
    let row = session
        .row(
            "inspection",
            LIMIT,
            SQL,
            &[
                &database.schemas,
                &database.agent_role,
                &database.replication_role,
                &MADE,
            ],
        )
        .await?;
    let Json(mut found) = row
        .try_get::<_, Json<Remains>>(0)
        .map_err(|source| Error::query("inspection", source))?;
    if found.has_local() {
        found.site = absent_or(session.rows("site", LIMIT, SITE, &[]).await)?;
        found.lease = absent_or(session.rows("lease", LIMIT, LEASE, &[]).await)?;
    }
    let asked = session
        .rows("inspection", LIMIT, CONNINFO, &[&names.subscription])
        .await;
    found.conninfo = absent_or(asked)?;
    Ok(found)
}

/// When the lease ends now; to see whether somebody renews it.
pub(super) async fn lease(config: &Config, site: SiteId) -> Result<Option<i64>, Error> {
    let session = open(config, site).await?;
    absent_or(session.rows("lease", LIMIT, LEASE, &[]).await)
}

async fn open(config: &Config, site: SiteId) -> Result<Session, Error> {
    let target = Target::admin(config, site)?;
    target
        .with_options("-c search_path=pg_catalog -c default_transaction_read_only=on")
        .open()
        .await
}

/// The first column of the first row; absent too where the object is gone or may not be read.
fn absent_or<T: for<'a> tokio_postgres::types::FromSql<'a>>(
    answer: Result<Vec<tokio_postgres::Row>, Error>,
) -> Result<Option<T>, Error> {
    match answer {
        Ok(rows) => Ok(rows.first().map(|row| row.get(0))),
        Err(Error::Query { source, .. }) if source.code().is_some_and(is_absence) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absence(code: &SqlState) -> bool {
    [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ]
    .contains(code)
}
