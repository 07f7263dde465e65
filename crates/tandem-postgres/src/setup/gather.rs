//! What setup asks of a server beyond its catalog: rows in the way, passwords, the connection string.

use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio_postgres::error::SqlState;

use super::{Options, Pair, script};
use crate::connect::Target;
use crate::error::Error;
use crate::facts::{self, Facts, LIMIT};
use crate::guards;
use crate::names::Names;
use crate::session::Session;

/// What a copy has to move: rows, no indexes.
const SIZE: &str = "
    SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1::text[]) AND c.relkind = 'r' AND c.relpersistence = 'p'";

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
    let admin = Target::admin(config, names.site)?;
    let session = admin
        .with_options("-c search_path=pg_catalog")
        .open()
        .await?;
    let mut facts = facts::read(config, names, &session).await?;
    read_conninfo(names, &session, &mut facts).await?;
    facts.guard_open = guards::is_open(&session, &facts).await?;
    if !receives {
        let row = session
            .row("size", LIMIT, SIZE, &[&config.database.schemas])
            .await?;
        facts.bytes = row.get(0);
    }
    if receives && !facts.subscriptions.contains_key(&names.subscription) {
        facts.filled = filled(&session, &facts).await?;
    }
    facts.wrong_passwords = wrong_passwords(config, names.site, options, &facts).await?;
    Ok(facts)
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
