//! Reading the lost tail of the other site and keeping it here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tandem_core::config::Config;
use tandem_core::model::{Epoch, Lsn, SiteId};

use super::classify::{self, Class, Held, Key};
use crate::connect::{Target, place};
use crate::database::{from_sql, to_sql};
use crate::error::Error;
use crate::session::{Commit, Lane, Session};
use crate::tail::{self, LostTransaction, Row, Table, Tail};

/// One statement over some thousand keys or changes.
const LIMIT: Duration = Duration::from_secs(30);
/// Keys or changes in one statement: some megabytes at most.
pub(crate) const BATCH: usize = 2_000;
/// `ledger` in ASCII: one agent collects at a time.
const LOCK: i64 = 0x6c65_6467_6572;

const DUE: &str = "
    SELECT p.epoch, p.from_site, p.boundary::text, p.begun_at::text FROM tandem_local.promotion p
     WHERE p.boundary IS NOT NULL AND p.prepared_at IS NOT NULL AND p.from_site <> $1::text
       AND NOT EXISTS (SELECT FROM tandem_local.ledger g WHERE g.epoch >= p.epoch)
     ORDER BY p.epoch DESC LIMIT 1";
const OPEN: &str = "
    SELECT EXISTS (SELECT FROM tandem_local.lease l WHERE l.site = $1::text AND NOT l.closed
                      AND l.started = pg_postmaster_start_time() AND l.expires_at > clock_timestamp())";
const STAMPED: &str = "SELECT current_setting('track_commit_timestamp') = 'on'";
const KEEP: &str = "
    INSERT INTO tandem_local.ledger (epoch, from_site, boundary, upto, transactions, changes, problem)
    VALUES ($1::bigint, $2::text, $3::text::pg_lsn, $4::text::pg_lsn, $5::bigint, $6::bigint, $7::text)
    ON CONFLICT DO NOTHING";
const KEPT: &str = "
    SELECT g.from_site, g.boundary::text, p.begun_at::text, g.transactions, g.changes
      FROM tandem_local.ledger g JOIN tandem_local.promotion p ON p.epoch = g.epoch WHERE g.epoch = $1::bigint";
/// A ledger that could not be read when it was due, or was erased, has something to show again, and
/// is kept as long as a new one.
const GROW: &str = "
    UPDATE tandem_local.ledger SET collected_at = clock_timestamp(), upto = greatest(upto, $2::text::pg_lsn),
           transactions = transactions + $3::bigint, changes = changes + $4::bigint, problem = NULL, erased_at = NULL, erased_by = NULL WHERE epoch = $1::bigint";
const KEEP_CHANGES: &str = "
    INSERT INTO tandem_local.ledger_change (epoch, n, xid, commit_end, committed_at, class, change)
    SELECT $1::bigint, c.n, c.xid, c.commit_end, c.committed_at, c.class, c.change
      FROM jsonb_to_recordset($2::jsonb) c(n bigint, xid bigint, commit_end pg_lsn, committed_at timestamptz,
                                           class text, change jsonb)";

/// A promotion whose ledger is not written yet.
struct Due {
    epoch: Epoch,
    from: SiteId,
    boundary: Lsn,
    begun_at: String,
}

/// Writes the ledger of the newest promotion of `site`, if it is due, and says how many
/// transactions were lost. A tail that cannot be read any more is noted as such.
///
/// # Errors
/// [`Error::StillOpen`] while the other site takes writes, [`Error::Busy`] while the site's
/// other agent collects; otherwise if one of the servers does not answer.
pub async fn collect(config: &Config, site: SiteId) -> Result<Option<u64>, Error> {
    let lane = Lane::new(&Target::agent(config, site)?, site, LIMIT, Commit::Flushed);
    let session = alone(&lane).await?;
    let Some(due) = due(&session, site).await? else {
        return Ok(None);
    };
    refuse_open(config, due.from).await?;
    let (tail, problem) = match tail::read(config, due.from, due.boundary).await {
        Ok(tail) => (Some(tail), None),
        Err(error @ (Error::Missing(_) | Error::Malformed { .. })) => {
            (None, Some(error.to_string()))
        }
        Err(error) => return Err(error),
    };
    let classes = match &tail {
        Some(tail) => classes(config, site, &due, &tail.lost).await?,
        None => Vec::new(),
    };
    keep(&session, &due, tail.as_ref(), problem.as_deref(), &classes).await?;
    let lost = tail.map_or(0, |tail| tail.lost.len());
    tracing::info!(epoch = %due.epoch, from = %due.from, lost, problem, "the ledger is written");
    Ok(Some(lost as u64))
}

/// Adds to the ledger of `epoch` at the survivor `site` what `tail` holds beyond it: somebody wrote
/// into the fenced server after its ledger was written, or it could not be read then. What stands
/// in the ledger stays as it is.
///
/// # Errors
/// [`Error::Busy`] while an agent of the survivor collects; otherwise if a server does not answer.
pub(crate) async fn extend(
    config: &Config,
    site: SiteId,
    epoch: Epoch,
    tail: &Tail,
) -> Result<(), Error> {
    let lane = Lane::new(&Target::agent(config, site)?, site, LIMIT, Commit::Flushed);
    let session = alone(&lane).await?;
    let row = session
        .row("ledger", LIMIT, KEPT, &[&to_sql(epoch)])
        .await?;
    let due = due_of(epoch, row.get(0), row.get(1), row.get(2))?;
    let (transactions, changes): (u64, u64) = (from_sql(row.get(3)), from_sql(row.get(4)));
    // A change is judged by all changes of its key, also by those that are kept already.
    let classes = classes(config, site, &due, &tail.lost).await?;
    let lost = beyond(&tail.lost, transactions);
    let classes = beyond(&classes, changes);
    if lost.is_empty() {
        return Ok(());
    }
    let failed = |source| Error::query("ledger", source);
    let client = session.client();
    client.batch_execute("BEGIN").await.map_err(failed)?;
    let grown: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [
        &to_sql(epoch),
        &tail.upto.to_string(),
        &count(lost.len()),
        &count(classes.len()),
    ];
    session.rows("ledger", LIMIT, GROW, &grown).await?;
    keep_changes(&session, epoch, entries(changes, lost, classes)).await?;
    client.batch_execute("COMMIT").await.map_err(failed)?;
    tracing::warn!(%epoch, from = %due.from, more = lost.len(), "the ledger was added to");
    Ok(())
}

/// What follows the first `known` of `all`.
fn beyond<T>(all: &[T], known: u64) -> &[T] {
    let known = usize::try_from(known).unwrap_or(usize::MAX);
    all.get(known..).unwrap_or_default()
}

/// A session at the survivor that alone may write ledgers, until `lane` is dropped.
pub(super) async fn alone(lane: &Lane) -> Result<Arc<Session>, Error> {
    let session = lane.session().await?;
    let sql = "SELECT pg_try_advisory_lock($1::bigint)";
    match session.row("lock", LIMIT, sql, &[&LOCK]).await?.get(0) {
        true => Ok(session),
        false => Err(Error::Busy),
    }
}

async fn due(session: &Session, site: SiteId) -> Result<Option<Due>, Error> {
    let rows = session
        .rows("ledger", LIMIT, DUE, &[&site.as_str()])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let epoch = Epoch(from_sql(row.get(0)));
    due_of(epoch, row.get(1), row.get(2), row.get(3)).map(Some)
}

fn due_of(epoch: Epoch, from: String, boundary: String, begun_at: String) -> Result<Due, Error> {
    Ok(Due {
        epoch,
        from: from.parse().map_err(|_| malformed(from))?,
        boundary: position(boundary)?,
        begun_at,
    })
}

fn position(text: String) -> Result<Lsn, Error> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(text: String) -> Error {
    Error::Malformed {
        what: "journal",
        text,
    }
}

/// A tail that can still grow is none.
async fn refuse_open(config: &Config, from: SiteId) -> Result<(), Error> {
    let lane = Lane::new(&Target::agent(config, from)?, from, LIMIT, Commit::Flushed);
    let open: bool = lane.row("guard", OPEN, &[&from.as_str()]).await?.get(0);
    match open {
        true => Err(Error::StillOpen { site: from }),
        false => Ok(()),
    }
}

async fn classes(
    config: &Config,
    site: SiteId,
    due: &Due,
    lost: &[LostTransaction],
) -> Result<Vec<Class>, Error> {
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let mut by_table: BTreeMap<Table, Vec<Row>> = BTreeMap::new();
    for (table, key) in classify::keys(lost) {
        by_table.entry(table).or_default().push(key);
    }
    let reader = reader(config, site).await?;
    let stamped: bool = reader.row("settings", LIMIT, STAMPED, &[]).await?.get(0);
    let since = stamped.then_some(due.begun_at.as_str());
    let mut held = HashMap::new();
    for (table, keys) in by_table {
        for keys in keys.chunks(BATCH) {
            match look_up(&reader, &table, keys, since, &mut held).await {
                // A table that the survivor changed since: its keys stay unknown.
                Err(Error::Missing(what)) => tracing::warn!(what, "not there any more"),
                Err(Error::Query { what, source }) if source.as_db_error().is_some() => {
                    tracing::warn!(what, %source, "keys of the ledger could not be looked up");
                }
                looked => looked?,
            }
        }
    }
    Ok(classify::classify(lost, &held))
}

/// A session that may read every published table and change none.
pub(crate) async fn reader(config: &Config, site: SiteId) -> Result<Session, Error> {
    let file = &place(config, site)?.replication_password_file;
    let options = format!(
        "-c search_path=pg_catalog -c default_transaction_read_only=on -c statement_timeout={} -c DateStyle=ISO \
         -c TimeZone=UTC -c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex",
        LIMIT.as_millis()
    );
    let role = &config.database.replication_role;
    let target = Target::new(config, site, role, file)?;
    target.with_options(&options).open().await
}

/// What stands under `keys` of one table, all with the same columns.
async fn look_up(
    reader: &Session,
    table: &Table,
    keys: &[Row],
    since: Option<&str>,
    held: &mut HashMap<Key, Held>,
) -> Result<(), Error> {
    let failed = |source| Error::query(format!("keys of {table}"), source);
    let columns: Vec<String> = keys
        .first()
        .map_or_else(Vec::new, |key| key.keys().cloned().collect());
    let types = types(reader, table, &columns).await?;
    let matched = matched(&columns, &types);
    let touched = match since {
        Some(_) => "coalesce((pg_xact_commit_timestamp_origin(t.xmin)).roident = 0
                     AND (pg_xact_commit_timestamp_origin(t.xmin)).timestamp >= $2::text::timestamptz, false)",
        None => "NULL::boolean",
    };
    let sql = format!(
        "SELECT e.n, t.xmin IS NOT NULL, CASE WHEN t.xmin IS NOT NULL AND $2::text IS NOT NULL THEN {touched} END
           FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY e(v, n) LEFT JOIN {table} t ON {matched}"
    );
    let texts = texts(keys, &columns);
    let rows = reader
        .client()
        .query(&sql, &[&texts, &since])
        .await
        .map_err(failed)?;
    for row in rows {
        let n: i64 = row.get(0);
        let Some(found) = usize::try_from(n - 1).ok().and_then(|n| keys.get(n)) else {
            continue;
        };
        let (exists, touched) = (row.get(1), row.get(2));
        held.insert(classify::key(table, found), Held { exists, touched });
    }
    Ok(())
}

/// The SQL types of `columns`, in their order.
pub(crate) async fn types(
    session: &Session,
    table: &Table,
    columns: &[String],
) -> Result<Vec<String>, Error> {
    const TYPES: &str = "
        SELECT format_type(a.atttypid, a.atttypmod) FROM unnest($2::text[]) WITH ORDINALITY k(name, n)
          JOIN pg_attribute a ON a.attrelid = $1::text::regclass AND a.attname = k.name ORDER BY k.n";
    let rows = session
        .rows("columns", LIMIT, TYPES, &[&table.to_string(), &columns])
        .await?;
    if rows.len() != columns.len() || columns.is_empty() {
        return Err(Error::Missing(format!("a column of the key of {table}")));
    }
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// `t.a = (e.v ->> 0)::type AND ...`
pub(crate) fn matched(columns: &[String], types: &[String]) -> String {
    let one = |(n, (column, kind)): (usize, (&String, &String))| {
        format!("t.{} = (e.v ->> {n})::{kind}", tail::ident(column))
    };
    let all: Vec<_> = columns.iter().zip(types).enumerate().map(one).collect();
    all.join(" AND ")
}

/// Rows as arrays of texts in the order of `columns`.
pub(crate) fn texts(rows: &[Row], columns: &[String]) -> Value {
    let value = |row: &Row, column: &String| row.get(column).cloned().unwrap_or(Value::Null);
    let array = |row: &Row| -> Value { columns.iter().map(|column| value(row, column)).collect() };
    rows.iter().map(array).collect()
}

async fn keep(
    session: &Session,
    due: &Due,
    tail: Option<&Tail>,
    problem: Option<&str>,
    classes: &[Class],
) -> Result<(), Error> {
    let failed = |source| Error::query("ledger", source);
    let none = Vec::new();
    let lost = tail.map_or(&none, |tail| &tail.lost);
    let upto = tail.map(|tail| tail.upto.to_string());
    let (transactions, changes) = (count(lost.len()), count(classes.len()));
    session
        .client()
        .batch_execute("BEGIN")
        .await
        .map_err(failed)?;
    let (epoch, from, boundary) = (
        to_sql(due.epoch),
        due.from.as_str(),
        due.boundary.to_string(),
    );
    session
        .rows(
            "ledger",
            LIMIT,
            KEEP,
            &[
                &epoch,
                &from,
                &boundary,
                &upto,
                &transactions,
                &changes,
                &problem,
            ],
        )
        .await?;
    keep_changes(session, due.epoch, entries(0, lost, classes)).await?;
    session
        .client()
        .batch_execute("COMMIT")
        .await
        .map_err(failed)
}

async fn keep_changes(session: &Session, epoch: Epoch, entries: Vec<Value>) -> Result<(), Error> {
    for batch in entries.chunks(BATCH) {
        let batch: Value = batch.iter().cloned().collect();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&to_sql(epoch), &batch];
        session.rows("ledger", LIMIT, KEEP_CHANGES, &values).await?;
    }
    Ok(())
}

/// One entry a change, numbered from `first`.
fn entries(first: u64, lost: &[LostTransaction], classes: &[Class]) -> Vec<Value> {
    let changes = lost
        .iter()
        .flat_map(|lost| lost.changes.iter().map(move |change| (lost, change)));
    let entry = |(n, ((lost, change), class)): (
        u64,
        ((&LostTransaction, &tail::Change), &Class),
    )| {
        json!({
            "n": first + n, "xid": lost.xid, "commit_end": lost.commit_end, "committed_at": lost.committed_at.to_string(),
            "class": class.to_string(), "change": change,
        })
    };
    (0u64..).zip(changes.zip(classes)).map(entry).collect()
}

pub(crate) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
