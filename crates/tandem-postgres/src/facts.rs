//! What must be known about one server before it is changed, and whether it is fit to be half of a pair.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_core::config::Config;
use tokio_postgres::types::Json;

use crate::connect::place;
use crate::error::Error;
use crate::names::Names;
use crate::session::Session;
use crate::setup::fingerprint;

/// Reading a large catalog on a busy server.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The one statement behind [`Facts`].
pub(crate) const SQL: &str = include_str!("sql/facts.sql");

/// Whether Tandem's own tables are there and may be read.
pub(crate) const OBJECTS_KNOWN_SQL: &str = "SELECT count(*) = 3 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE (n.nspname, c.relname) IN (('tandem_local', 'version'), ('tandem_local', 'promotion'), ('tandem', 'heartbeat'))
                    AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";

/// What they say.
pub(crate) const OBJECTS_SQL: &str = "SELECT (SELECT max(fingerprint) FROM tandem_local.version),
                      (SELECT coalesce(array_agg(epoch), '{}') FROM tandem_local.promotion WHERE boundary IS NOT NULL),
                      (SELECT coalesce(array_agg(site), '{}') FROM tandem.heartbeat)";

/// One server, as `sql/facts.sql` describes it, and what needs further questions.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Facts {
    pub(crate) version: u32,
    pub(crate) encoding: String,
    pub(crate) collation: String,
    pub(crate) settings: BTreeMap<String, String>,
    /// Who asked.
    pub(crate) reader: String,
    /// Whether who asked sees statistics and settings of others.
    pub(crate) monitors: bool,
    /// Tandem's own tables are there, and who asks may not read them.
    pub(crate) hidden_objects: bool,
    pub(crate) provider: Provider,
    pub(crate) superuser: bool,
    pub(crate) rds: bool,
    pub(crate) slots: BTreeMap<String, Slot>,
    pub(crate) schemas: Vec<String>,
    pub(crate) roles: BTreeMap<String, Role>,
    /// Roles of the provider through which the application's role could pass the guard.
    pub(crate) application_powers: Vec<String>,
    /// The application's role may switch triggers off for its session.
    pub(crate) application_skips_triggers: bool,
    pub(crate) agent_monitors: bool,
    pub(crate) agent_signals: bool,
    /// Tandem's function that reads the applied position may do so.
    pub(crate) boundary: bool,
    pub(crate) materialized_views: Vec<String>,
    pub(crate) large_objects: bool,
    pub(crate) extensions: BTreeMap<String, String>,
    pub(crate) sequences: Vec<Sequence>,
    /// What each publication carries in fact: partitions by their own names.
    pub(crate) publication_tables: BTreeMap<String, Vec<String>>,
    /// Publications `FOR ALL TABLES`.
    pub(crate) publishes_all: Vec<String>,
    pub(crate) tables: Vec<Table>,
    pub(crate) publications: BTreeMap<String, Vec<String>>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) missing_grants: Vec<String>,
    pub(crate) application_writes: bool,
    /// Whether Tandem's objects are those of this build and configuration, where that may be read.
    #[serde(default)]
    pub(crate) objects_current: Option<bool>,
    /// Epochs for which this database was prepared or opened.
    #[serde(default)]
    pub(crate) promotions: Vec<i64>,
    #[serde(default)]
    pub(crate) heartbeats: Vec<String>,
    /// The guard would let an application's write pass now.
    #[serde(default)]
    pub(crate) guard_open: bool,
    /// The size of all replicated tables; asked only where a copy would come from.
    #[serde(default)]
    pub(crate) bytes: i64,
    /// Tables that hold rows; asked only where a copy would go.
    #[serde(default)]
    pub(crate) filled: Vec<String>,
    /// Roles whose password is not that of the configured file.
    #[serde(default)]
    pub(crate) wrong_passwords: Vec<String>,
    /// The subscription's connection string, where it may be read.
    #[serde(default)]
    pub(crate) conninfo: Option<String>,
}

/// A role of the configuration that exists.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Role {
    pub(crate) login: bool,
    pub(crate) superuser: bool,
    pub(crate) replication: bool,
    pub(crate) member_of: Vec<String>,
}

/// A table in a replicated schema.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Table {
    /// As SQL writes it.
    pub(crate) name: String,
    pub(crate) owner: String,
    /// Neither unlogged nor temporary.
    pub(crate) logged: bool,
    /// Rows can be found by a key.
    pub(crate) identity: bool,
    /// No partition: published by its own name.
    pub(crate) root: bool,
    /// How the guard's trigger fires (`pg_trigger.tgenabled`), if there is one.
    pub(crate) guard: Option<String>,
    /// Has triggers that also fire while replication applies.
    pub(crate) always: bool,
    pub(crate) columns: BTreeMap<String, String>,
}

/// A subscription of the database.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) enabled: bool,
    pub(crate) slot: Option<String>,
    pub(crate) publications: Vec<String>,
    pub(crate) tables: Vec<String>,
    /// An apply worker runs.
    pub(crate) worker: bool,
    /// Failures to apply or to copy, since statistics were reset.
    pub(crate) errors: i64,
    /// Tables whose copy is not finished.
    pub(crate) unready: Vec<String>,
}

/// A replication slot.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Slot {
    pub(crate) logical: bool,
    /// It decodes the configured database.
    pub(crate) here: Option<bool>,
    pub(crate) active: bool,
    pub(crate) wal_status: Option<String>,
    /// Bytes until it is lost; absent without a cap.
    pub(crate) headroom: Option<i64>,
}

/// A sequence of a replicated schema.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Sequence {
    pub(crate) name: String,
    /// Who asks may read it.
    pub(crate) readable: bool,
    /// Absent if it was never used.
    pub(crate) last: Option<i64>,
    /// The last value that it or its column can hold.
    pub(crate) ends_at: i64,
    pub(crate) cycles: bool,
    pub(crate) ascends: bool,
}

/// Whose PostgreSQL it is, told by the roles that only one provider makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anybody's own.
    #[default]
    Plain,
    /// Amazon RDS.
    Rds,
    /// Google Cloud SQL.
    CloudSql,
}

impl Facts {
    /// A numeric setting; 0 if the server has none of that name.
    pub(crate) fn number(&self, setting: &str) -> i64 {
        self.settings
            .get(setting)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// The tables that replication carries, by their published names.
    pub(crate) fn published_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables
            .iter()
            .filter(|table| table.root && table.logged)
    }

    /// A setting as the server writes it; empty if it has none of that name.
    pub(crate) fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    /// Whether Tandem was set up here.
    pub(crate) fn is_set_up(&self) -> bool {
        self.schemas.iter().any(|schema| schema == "tandem_local")
    }

    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// Reads the catalog through `session`; asks nothing that `pg_monitor` may not.
pub(crate) async fn read(
    config: &Config,
    names: &Names,
    session: &Session,
) -> Result<Facts, Error> {
    let database = &config.database;
    let row = session
        .row(
            "inspection",
            LIMIT,
            SQL,
            &[
                &database.schemas,
                &database.owner_role,
                &database.application_role,
                &database.agent_role,
                &database.replication_role,
                &place(config, names.site)?.admin_role,
            ],
        )
        .await?;
    let Json(mut facts) = row
        .try_get::<_, Json<Facts>>(0)
        .map_err(|source| Error::query("inspection", source))?;
    read_objects(config, names, session, &mut facts).await?;
    Ok(facts)
}

/// What Tandem's own tables say, if they exist yet and may be read.
async fn read_objects(
    config: &Config,
    names: &Names,
    session: &Session,
    facts: &mut Facts,
) -> Result<(), Error> {
    if !session
        .row("inspection", LIMIT, OBJECTS_KNOWN_SQL, &[])
        .await?
        .get::<_, bool>(0)
    {
        return Ok(());
    }
    let row = session.row("inspection", LIMIT, OBJECTS_SQL, &[]).await?;
    let installed: Option<String> = row.get(0);
    facts.objects_current = Some(installed == Some(fingerprint(config, names)));
    facts.promotions = row.get(1);
    facts.heartbeats = row.get(2);
    Ok(())
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Rds => "Amazon RDS",
            Self::CloudSql => "Cloud SQL",
        })
    }
}
