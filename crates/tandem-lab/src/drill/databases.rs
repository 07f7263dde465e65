//! A drill's hand in the databases: statements, a large transaction, and looks at replication.
//!
//! Everything here speaks to a database directly and as its administrator, past every gate, except
//! what says that it is the application's.
//! Invariant: every wait has a bound, and what was seen last stands in the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_core::drill::action::Wanted;
use tandem_core::drill::observed::Told;
use tandem_core::model::{Mono, SiteId};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Config, NoTls};

use super::stage::Stage;
use super::{Error, clock};

/// How long a direction may take to stream, a row to change, or half a transaction to arrive.
const BOUND: Duration = Duration::from_secs(60);

/// Between two looks; a large transaction arrives within a second.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The site's own heartbeat as a database has it, and the newest epoch that its guard knows.
const HEARTBEAT: &str =
    "SELECT h.epoch, h.seq, coalesce((SELECT max(l.epoch) FROM tandem_local.lease l), 0)
    FROM tandem.heartbeat h WHERE h.site = $1";

const FOLLOWS: &str =
    "SELECT count(*) > 0 FROM pg_stat_subscription WHERE pid IS NOT NULL AND relid IS NULL";

const SIZE: &str = "SELECT pg_relation_size('public.contact')";

/// What the rows of the large transaction begin with; a lab is fresh for each run.
const LARGE: &str = "large-";

const INSERT_LARGE: &str = "INSERT INTO contact (request_id, name, email, note)
    SELECT 'large-' || n, 'Large', 'large@example.com', repeat('x', 200) FROM generate_series(1, $1::bigint) AS n";

const SEQUENCES: &str =
    "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences
    WHERE schemaname NOT LIKE 'tandem%' AND last_value IS NOT NULL";

pub(super) async fn open(site: SiteId, config: &Config) -> Result<Client, Error> {
    let (client, connection) = config
        .connect(NoTls)
        .await
        .map_err(failed(site, "connect"))?;
    // Ends with the client.
    tokio::spawn(connection);
    Ok(client)
}

pub(super) fn failed(
    site: SiteId,
    step: &'static str,
) -> impl FnOnce(tokio_postgres::Error) -> Error {
    move |source| Error::Database {
        site: site.to_string(),
        step,
        source,
    }
}

/// Runs statements, or only begins them.
///
/// # Errors
/// If the database cannot be reached; what it refuses is the answer.
pub(super) async fn run(stage: &Stage, site: SiteId, sql: &str, wait: bool) -> Result<Told, Error> {
    let client = open(site, &stage.administrator(site)).await?;
    if wait {
        let ended = client.batch_execute(sql).await;
        return Ok(said(ended.map(|()| "done".to_owned())));
    }
    let sql = sql.to_owned();
    // Ends with its statements, or with the server.
    tokio::spawn(async move { client.batch_execute(&sql).await });
    Ok(said(Ok("begun".to_owned())))
}

/// Runs statements as the application: at the site's first gate, or past it at the database.
/// Whatever the door says, and also that it says nothing, is the answer.
pub(super) async fn as_application(
    stage: &Stage,
    site: SiteId,
    sql: &str,
    past_gates: bool,
    wanted: Wanted,
) -> Told {
    let door = match past_gates {
        true => stage.direct(site),
        false => stage.write_doors(site).remove(0).1,
    };
    let work = async {
        let (client, connection) = door.connect(NoTls).await?;
        // Ends with the client.
        tokio::spawn(connection);
        client.batch_execute(sql).await
    };
    let Ok(ended) = tokio::time::timeout(BOUND, work).await else {
        return Told {
            as_expected: false,
            said: format!("no answer within {} s", BOUND.as_secs()),
        };
    };
    let answer = ended
        .as_ref()
        .err()
        .and_then(tokio_postgres::Error::as_db_error);
    let by_guard = answer.is_some_and(refused_by_guard);
    let told = said(ended.map(|()| "done".to_owned()));
    match wanted {
        Wanted::Done => told,
        Wanted::Refused => Told {
            as_expected: by_guard,
            ..told
        },
    }
}

/// Whether it was the guard: neither missing rights nor a missing table answer so, nor a session
/// that was set to read only.
pub(super) fn refused_by_guard(answer: &DbError) -> bool {
    *answer.code() == SqlState::READ_ONLY_SQL_TRANSACTION
        && answer.message().starts_with("tandem: site ")
}

fn said(ended: Result<String, tokio_postgres::Error>) -> Told {
    let as_expected = ended.is_ok();
    let told = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(answer) => answer.to_string(),
        None => error.to_string(),
    };
    Told {
        as_expected,
        said: ended.unwrap_or_else(told),
    }
}

/// Waits until `to` has applied a heartbeat that `from` sent in its present epoch after this began.
///
/// # Errors
/// If a database cannot be reached.
pub(super) async fn replicating(stage: &Stage, from: SiteId, to: SiteId) -> Result<Told, Error> {
    let begun = clock::now();
    let source = open(from, &stage.administrator(from)).await?;
    let target = open(to, &stage.administrator(to)).await?;
    let mut goal = None;
    loop {
        let (sent, guard) = heartbeat(&source, from, from).await?;
        if goal.is_none() && sent.0 >= guard {
            goal = Some(sent);
        }
        let (applied, _) = heartbeat(&target, to, from).await?;
        let streams: bool = look(&target, to, FOLLOWS).await?;
        let seen = format!(
            "{to} applied heartbeat {} of epoch {} of {from}, which is at {} of {}; streams: {streams}",
            applied.1, applied.0, sent.1, sent.0
        );
        if streams && goal.is_some_and(|goal| applied >= goal) {
            return Ok(after(begun, true, &seen));
        }
        if clock::now().since(begun) > BOUND {
            return Ok(after(begun, false, &seen));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn after(begun: Mono, as_expected: bool, seen: &str) -> Told {
    let took = clock::now().since(begun).as_secs_f64();
    Told {
        as_expected,
        said: format!("after {took:.2} s: {seen}"),
    }
}

/// Epoch and number of `of`'s heartbeat as `site` has it, and the newest epoch of the site's guard.
async fn heartbeat(client: &Client, site: SiteId, of: SiteId) -> Result<((i64, i64), i64), Error> {
    let row = client.query_one(HEARTBEAT, &[&of.as_str()]).await;
    let row = row.map_err(failed(site, "read a heartbeat"))?;
    let number = |column: usize| row.get::<_, Option<i64>>(column).unwrap_or_default();
    Ok(((number(0), number(1)), number(2)))
}

async fn look<T>(client: &Client, site: SiteId, sql: &str) -> Result<T, Error>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(failed(site, "look"))?;
    Ok(row.get(0))
}

/// Commits `rows` rows at once as the application does, and returns the moment the follower has
/// half of them in its files, committed or not.
///
/// # Errors
/// If a database cannot be reached, or refuses the transaction.
pub(super) async fn large_transaction(
    stage: &Stage,
    (from, to): (SiteId, SiteId),
    rows: u64,
) -> Result<Told, Error> {
    let begun = clock::now();
    let follower = open(to, &stage.administrator(to)).await?;
    let before: i64 = look(&follower, to, SIZE).await?;
    let source = open(from, &stage.administrator(from)).await?;
    let empty: i64 = look(&source, from, SIZE).await?;
    let (_, door) = stage.write_doors(from).remove(0);
    let writer = open(from, &door).await?;
    let count = i64::try_from(rows).expect("the file's bound fits");
    let committed = writer.execute(INSERT_LARGE, &[&count]).await;
    committed.map_err(failed(from, "commit the large transaction"))?;
    let committed = clock::now().since(begun);
    let full: i64 = look(&source, from, SIZE).await?;
    let half = before + (full - empty) / 2;
    loop {
        let there: i64 = look(&follower, to, SIZE).await?;
        let seen = format!(
            "{rows} rows committed at {from} after {:.2} s; {to} has {} of {} bytes of them",
            committed.as_secs_f64(),
            there - before,
            full - empty
        );
        if there >= half {
            return Ok(after(begun, there - before < full - empty, &seen));
        }
        if clock::now().since(begun) > BOUND {
            return Ok(after(begun, false, &seen));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether `site` has all rows of the large transaction or none.
///
/// # Errors
/// If the database cannot be asked.
pub(super) async fn whole_transaction(
    stage: &Stage,
    site: SiteId,
    rows: u64,
) -> Result<(bool, String), Error> {
    let client = open(site, &stage.administrator(site)).await?;
    let sql = format!("SELECT count(*) FROM contact WHERE request_id LIKE '{LARGE}%'");
    let found: i64 = look(&client, site, &sql).await?;
    let whole = found == 0 || u64::try_from(found) == Ok(rows);
    Ok((
        whole,
        format!("{site} has {found} of the {rows} rows of the large transaction"),
    ))
}

/// Waits until a query's first column is `is`.
///
/// # Errors
/// If the database cannot be reached.
pub(super) async fn row_becomes(
    stage: &Stage,
    site: SiteId,
    sql: &str,
    is: &str,
) -> Result<(bool, String), Error> {
    let begun = clock::now();
    let client = open(site, &stage.administrator(site)).await?;
    let text = format!("SELECT (({sql}))::text");
    loop {
        let found: Option<String> = look(&client, site, &text).await?;
        let found = found.unwrap_or_else(|| "nothing".to_owned());
        let holds = found == is;
        if holds || clock::now().since(begun) > BOUND {
            return Ok((holds, format!("{site} answers {found}")));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether every sequence of `site` is past what `of` ever issued.
///
/// # Errors
/// If a database cannot be asked.
pub(super) async fn sequences_past(
    stage: &Stage,
    site: SiteId,
    of: SiteId,
) -> Result<(bool, String), Error> {
    let (new, old) = (sequences(stage, site).await?, sequences(stage, of).await?);
    let behind = behind(&new, &old);
    let told = format!(
        "{} sequences of {of} compared with {site}; not past: {}",
        old.len(),
        if behind.is_empty() {
            "none".to_owned()
        } else {
            behind.join(", ")
        }
    );
    Ok((behind.is_empty() && !old.is_empty(), told))
}

async fn sequences(stage: &Stage, site: SiteId) -> Result<BTreeMap<String, i64>, Error> {
    let client = open(site, &stage.administrator(site)).await?;
    let rows = client.query(SEQUENCES, &[]).await;
    let rows = rows.map_err(failed(site, "read the sequences"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Those of `old` that `new` has not reached, with both values.
fn behind(new: &BTreeMap<String, i64>, old: &BTreeMap<String, i64>) -> Vec<String> {
    let late = |(name, issued): (&String, &i64)| match new.get(name) {
        Some(there) if there >= issued => None,
        Some(there) => Some(format!("{name} ({there} of {issued})")),
        None => Some(format!("{name} (never used, {issued} issued)")),
    };
    old.iter().filter_map(late).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_that_is_behind_or_absent_is_named() {
        let map = |pairs: &[(&str, i64)]| -> BTreeMap<String, i64> {
            let owned = pairs.iter().map(|(name, at)| ((*name).to_owned(), *at));
            owned.collect()
        };
        let old = map(&[("a", 5), ("b", 7), ("c", 1)]);
        let new = map(&[("a", 5), ("b", 6)]);
        let told = ["b (6 of 7)", "c (never used, 1 issued)"];
        assert_eq!(behind(&new, &old), told);
    }
}
