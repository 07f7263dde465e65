//! One site as the verifier reads it: a session that cannot write.
//!
//! The replication role logs in: it may read every published table and nothing else.
//! Whatever changes how a value is written as text is pinned for the session, or two
//! servers with other settings would seem to hold other rows.
//!
//! Invariant: `default_transaction_read_only`, a statement timeout, and `row_security = off`,
//! which makes a policy that hides rows an error.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio::sync::Mutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::settle::{self, Reading};
use super::statement::{KeyText, Range, Statements};
use crate::connect::{Target, place};
use crate::error::Error;
use crate::session::Session;

/// No statement runs longer. A range takes a fraction of a second; a table without a key is
/// read as a whole.
const STATEMENT_LIMIT: Duration = Duration::from_secs(3600);

/// Settings of the session. A server notices within a second that nobody waits any more.
const PINNED: &str = "-c default_transaction_read_only=on -c search_path=pg_catalog -c row_security=off \
    -c lock_timeout=10s -c client_connection_check_interval=1s -c jit=off -c max_parallel_workers_per_gather=0 \
    -c plan_cache_mode=force_custom_plan -c DateStyle=ISO,YMD -c TimeZone=UTC -c IntervalStyle=postgres \
    -c extra_float_digits=3 -c bytea_output=hex -c lc_monetary=C -c lc_numeric=C -c lc_time=C \
    -c xmlbinary=base64 -c xmloption=content -c quote_all_identifiers=off";

/// Rows and hash of a set of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    /// An exact sum of 64-bit hashes; may pass 64 bits.
    pub(super) hash: String,
}

/// The buckets of a range.
pub(super) type Sums = BTreeMap<i32, Sum>;

/// A table as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) sum: Sum,
    /// Hash over which row versions these are.
    pub(super) versions: String,
}

/// One site's session.
pub(super) struct Side {
    pub(super) site: SiteId,
    session: Session,
    prepared: Mutex<HashMap<String, Statement>>,
}

impl Side {
    pub(super) async fn open(config: &Config, site: SiteId) -> Result<Self, Error> {
        let file = &place(config, site)?.replication_password_file;
        let target = Target::new(config, site, &config.database.replication_role, file)?;
        let session = target
            .with_keepalives()
            .with_options(&options())
            .open()
            .await?;
        Ok(Self {
            site,
            session,
            prepared: Mutex::default(),
        })
    }

    /// Whether the connection is gone, so that no further table can be read.
    pub(super) fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Runs a statement, prepared once a text.
    pub(super) async fn query(
        &self,
        what: &'static str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let asked = async {
            let statement = self.statement(sql).await?;
            self.session.client().query(&statement, values).await
        };
        match tokio::time::timeout(STATEMENT_LIMIT, asked).await {
            Ok(answer) => {
                answer.map_err(|source| Error::query(format!("{what} at {}", self.site), source))
            }
            Err(_) => Err(Error::TimedOut {
                what,
                address: self.site.to_string(),
                limit: STATEMENT_LIMIT,
            }),
        }
    }

    async fn statement(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        let mut prepared = self.prepared.lock().await;
        if let Some(statement) = prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.session.client().prepare(sql).await?;
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Forgets the statements of the table before.
    pub(super) async fn next_table(&self) {
        self.prepared.lock().await.clear();
    }

    pub(super) async fn cuts(
        &self,
        about: &Statements<'_>,
        rows_per_range: u32,
    ) -> Result<Vec<KeyText>, Error> {
        let rows = self
            .query("sample of keys", &about.cuts(rows_per_range), &[])
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Count and hash of each bucket of a range; empty buckets are left out.
    pub(super) async fn sums(
        &self,
        about: &Statements<'_>,
        range: &Range,
        buckets: u32,
    ) -> Result<Sums, Error> {
        let sql = about.sums(range, buckets);
        let rows = self.query("hashes of a range", &sql, &texts(range)).await?;
        Ok(rows.iter().map(|row| (row.get(0), sum(row, 1))).collect())
    }

    /// Key and hash of each row in `wanted` of the buckets.
    pub(super) async fn rows(
        &self,
        about: &Statements<'_>,
        range: &Range,
        buckets: u32,
        wanted: &[i32],
    ) -> Result<Vec<(KeyText, i64)>, Error> {
        let mut values = texts(range);
        values.push(&wanted);
        let sql = about.rows(range, buckets);
        let rows = self.query("rows within a range", &sql, &values).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Reads the rows with these keys in one snapshot, in the order of the keys.
    pub(super) async fn look_up(
        &self,
        about: &Statements<'_>,
        keys: &[KeyText],
    ) -> Result<Vec<Reading>, Error> {
        let mut found = vec![None; keys.len()];
        for row in self.keyed("rows by key", &about.look_up(), keys).await? {
            let read = settle::Row {
                version: row.get(1),
                content: row.get(2),
            };
            if let Some(slot) = place_of(&row).and_then(|place| found.get_mut(place)) {
                *slot = Some(read);
            }
        }
        Ok(found)
    }

    /// The text of every column of the rows with these keys.
    pub(super) async fn values(
        &self,
        about: &Statements<'_>,
        keys: &[KeyText],
    ) -> Result<Vec<Option<Vec<Option<String>>>>, Error> {
        let mut found = vec![None; keys.len()];
        for row in self.keyed("values by key", &about.values(), keys).await? {
            if let Some(slot) = place_of(&row).and_then(|place| found.get_mut(place)) {
                *slot = Some(row.get(1));
            }
        }
        Ok(found)
    }

    async fn keyed(
        &self,
        what: &'static str,
        sql: &str,
        keys: &[KeyText],
    ) -> Result<Vec<Row>, Error> {
        let width = keys.first().map_or(0, Vec::len);
        let column = |n: usize| keys.iter().map(|key| key[n].as_str()).collect::<Vec<_>>();
        let columns: Vec<_> = (0..width).map(column).collect();
        let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
        self.query(what, sql, &values).await
    }

    pub(super) async fn whole(&self, about: &Statements<'_>) -> Result<Whole, Error> {
        let rows = self.query("hash of a table", &about.whole(), &[]).await?;
        let whole = |row: &Row| Whole {
            sum: sum(row, 0),
            versions: row.get(2),
        };
        rows.first()
            .map(whole)
            .ok_or_else(|| no_row("hash of a table"))
    }
}

fn options() -> String {
    format!(
        "{PINNED} -c statement_timeout={}",
        STATEMENT_LIMIT.as_millis()
    )
}

fn texts(range: &Range) -> Vec<&(dyn ToSql + Sync)> {
    range.values().map(|value| value as _).collect()
}

fn sum(row: &Row, first: usize) -> Sum {
    let rows: i64 = row.get(first);
    Sum {
        rows: u64::try_from(rows).unwrap_or(0),
        hash: row.get(first + 1),
    }
}

/// Which of the asked keys a row answers; ordinalities count from 1.
fn place_of(row: &Row) -> Option<usize> {
    let number: i64 = row.get(0);
    usize::try_from(number - 1).ok()
}

fn no_row(what: &'static str) -> Error {
    Error::Malformed {
        what,
        text: "no row".into(),
    }
}
