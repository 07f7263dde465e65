//! What setup must know about one server.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Json;

use super::{Options, Pair, script};
use crate::connect::{Target, place};
use crate::error::Error;
use crate::names::Names;
use crate::session::Session;

/// Reading a large catalog on a busy server.
const LIMIT: Duration = Duration::from_secs(30);

/// One server, as `sql/facts.sql` describes it, and what needs further questions.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Facts {
    pub(crate) version: u32,
    pub(crate) encoding: String,
    pub(crate) collation: String,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) superuser: bool,
    pub(crate) rds: bool,
    pub(crate) slots: Vec<String>,
    pub(crate) schemas: Vec<String>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) tables: Vec<Table>,
    pub(crate) publications: BTreeMap<String, Vec<String>>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) missing_grants: Vec<String>,
    pub(crate) application_writes: bool,
    /// Whether Tandem's objects are those of this build and configuration.
    #[serde(default)]
    pub(crate) objects_current: bool,
    /// Epochs for which this database was prepared or opened.
    #[serde(default)]
    pub(crate) promotions: Vec<i64>,
    #[serde(default)]
    pub(crate) heartbeats: Vec<String>,
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
    pub(crate) guarded: bool,
    /// Has triggers that also fire while replication applies.
    pub(crate) always: bool,
    pub(crate) columns: BTreeMap<String, String>,
}

/// A subscription of the database.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) enabled: bool,
    pub(crate) slot: Option<String>,
    pub(crate) tables: Vec<String>,
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

    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

pub(super) async fn gather_both(
    config: &Config,
    pair: &Pair,
    options: &Options,
) -> Result<(Facts, Facts), Error> {
    let primary = gather(config, &pair.primary, options, false);
    let replica = gather(config, &pair.replica, options, true);
    tokio::try_join!(primary, replica)
}

async fn gather(
    config: &Config,
    names: &Names,
    options: &Options,
    receives: bool,
) -> Result<Facts, Error> {
    let database = &config.database;
    let admin = Target::admin(config, names.site)?;
    let session = admin
        .with_options("-c search_path=pg_catalog")
        .open()
        .await?;
    let row = session
        .row(
            "inspection",
            LIMIT,
            include_str!("../sql/facts.sql"),
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
    read_objects(config, names, &session, &mut facts).await?;
    read_conninfo(names, &session, &mut facts).await?;
    if receives && !facts.subscriptions.contains_key(&names.subscription) {
        facts.filled = filled(&session, &facts).await?;
    }
    facts.wrong_passwords = wrong_passwords(config, names.site, options, &facts).await?;
    Ok(facts)
}

/// What Tandem's own tables say, if they exist yet.
async fn read_objects(
    config: &Config,
    names: &Names,
    session: &Session,
    facts: &mut Facts,
) -> Result<(), Error> {
    let known = "SELECT to_regclass('tandem_local.version') IS NOT NULL
                    AND to_regclass('tandem_local.promotion') IS NOT NULL AND to_regclass('tandem.heartbeat') IS NOT NULL";
    if !session
        .row("inspection", LIMIT, known, &[])
        .await?
        .get::<_, bool>(0)
    {
        return Ok(());
    }
    let sql = "SELECT (SELECT max(fingerprint) FROM tandem_local.version),
                      (SELECT coalesce(array_agg(epoch), '{}') FROM tandem_local.promotion WHERE boundary IS NOT NULL),
                      (SELECT coalesce(array_agg(site), '{}') FROM tandem.heartbeat)";
    let row = session.row("inspection", LIMIT, sql, &[]).await?;
    let installed: Option<String> = row.get(0);
    facts.objects_current = installed == Some(script::fingerprint(config, names));
    facts.promotions = row.get(1);
    facts.heartbeats = row.get(2);
    Ok(())
}

/// Only a superuser may read it; elsewhere it stays unknown.
async fn read_conninfo(names: &Names, session: &Session, facts: &mut Facts) -> Result<(), Error> {
    let sql = "SELECT subconninfo FROM pg_subscription WHERE subname = $1::text
                  AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    match session
        .rows("inspection", LIMIT, sql, &[&names.subscription])
        .await
    {
        Ok(rows) => {
            facts.conninfo = rows.first().map(|row| row.get(0));
            Ok(())
        }
        Err(Error::Query { source, .. })
            if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn filled(session: &Session, facts: &Facts) -> Result<Vec<String>, Error> {
    let mut filled = Vec::new();
    for table in facts.tables.iter().filter(|table| table.logged) {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", table.name);
        let row = session.client().query_one(&sql, &[]).await;
        if row
            .map_err(|source| Error::query("inspection", source))?
            .get(0)
        {
            filled.push(table.name.clone());
        }
    }
    Ok(filled)
}

/// Tries each role that exists with its configured password.
async fn wrong_passwords(
    config: &Config,
    site: SiteId,
    options: &Options,
    facts: &Facts,
) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for (role, file) in script::passwords(config, site, options)? {
        if !facts.roles.get(&role).is_some_and(|found| found.login) {
            continue;
        }
        if let Err(Error::Connect { source, .. }) =
            Target::new(config, site, &role, &file)?.open().await
        {
            let refused = [
                SqlState::INVALID_PASSWORD,
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            ];
            if source.code().is_some_and(|code| refused.contains(code)) {
                wrong.push(role);
            }
        }
    }
    Ok(wrong)
}
