//! The lost tail: what the old primary committed and the survivor never got.
//!
//! After its restart the old primary still holds its slot, and the WAL from there on.
//! A transaction is lost exactly if the *end* of its commit lies above the boundary
//! that the survivor recorded (`>`: the boundary is the end of the last applied one).
//!
//! Invariant: looking changes nothing. The slot is copied into a temporary one and the
//! copy is only peeked at. Refused: the slot's own `confirmed_flush_lsn` as boundary,
//! which falls back to the last checkpoint in a crash.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tandem_core::config::Config;
use tandem_core::model::{Lsn, SiteId};
use tokio_postgres::types::ToSql;

use crate::connect::Target;
use crate::error::Error;
use crate::names::Names;
use crate::session::Session;

/// Decoding reads all WAL since the slot's position; a minute is thousands of times
/// what a ttl of writes needs.
const DECODE_LIMIT: Duration = Duration::from_secs(60);
/// More changes than this are no tail of a failover; they would only fill the memory.
const CHANGES_MAX: usize = 1_000_000;

/// A committed transaction of the old primary that the survivor never got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostTransaction {
    /// Its number at the old primary.
    pub xid: u64,
    /// The end of its commit record.
    pub commit_end: Lsn,
    /// When it committed, by the old primary's clock.
    pub committed_at: String,
    /// Its changes to published tables, in order.
    pub changes: Vec<Change>,
}

/// One change of a row (or a truncation).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The table, as SQL writes it.
    pub table: String,
    /// `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`.
    pub op: String,
    /// The row as PostgreSQL's `test_decoding` writes it: `column[type]:value ...`.
    pub row: String,
}

const PUBLISHED: &str = "
    SELECT format('%I.%I', schemaname, tablename) FROM pg_publication_tables
     WHERE pubname = $1::text AND schemaname <> 'tandem'";
const COPY_SLOT: &str = "
    SELECT (pg_copy_logical_replication_slot(slot_name, ('tandem_lost_' || pg_backend_pid())::name, true, 'test_decoding')).slot_name
      FROM pg_replication_slots WHERE slot_name = $1::text AND database = current_database()";
const PEEK: &str = "
    SELECT lsn::text, xid::text, data
      FROM pg_logical_slot_peek_changes(('tandem_lost_' || pg_backend_pid())::name, NULL, NULL,
           'include-xids', '1', 'include-timestamp', '1', 'skip-empty-xacts', '1')";

/// Lists what `site` committed above `boundary` and its peer never received.
///
/// # Errors
/// If the server, its slot or the WAL behind it is gone.
pub async fn list(
    config: &Config,
    site: SiteId,
    boundary: Lsn,
) -> Result<Vec<LostTransaction>, Error> {
    let names = Names::of(config, site)?;
    let options = format!(
        "-c search_path=pg_catalog -c statement_timeout={} -c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=postgres",
        DECODE_LIMIT.as_millis()
    );
    let session = Target::agent(config, site)?
        .with_options(&options)
        .open()
        .await?;
    let published = session
        .rows(
            "published tables",
            DECODE_LIMIT,
            PUBLISHED,
            &[&names.publication],
        )
        .await?;
    let published: Vec<String> = published.iter().map(|row| row.get(0)).collect();
    let copied = session
        .rows("copy of the slot", DECODE_LIMIT, COPY_SLOT, &[&names.slot])
        .await?;
    if copied.is_empty() {
        return Err(Error::Missing(format!("slot {} at {site}", names.slot)));
    }
    peek(&session, &published, boundary).await
}

async fn peek(
    session: &Session,
    published: &[String],
    boundary: Lsn,
) -> Result<Vec<LostTransaction>, Error> {
    let failed = |source| Error::query("decoding", source);
    let none: [&(dyn ToSql + Sync); 0] = [];
    let rows = session
        .client()
        .query_raw(PEEK, none)
        .await
        .map_err(failed)?;
    let mut rows = pin!(rows);
    let mut tail = Tail::new(published, boundary);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        tail.take(row.get(0), row.get(1), row.get(2))?;
    }
    Ok(tail.lost)
}

/// Gathers decoded lines into transactions and keeps the lost ones.
struct Tail<'a> {
    published: &'a [String],
    boundary: Lsn,
    open: Vec<Change>,
    kept: usize,
    lost: Vec<LostTransaction>,
}

impl<'a> Tail<'a> {
    fn new(published: &'a [String], boundary: Lsn) -> Self {
        Self {
            published,
            boundary,
            open: Vec::new(),
            kept: 0,
            lost: Vec::new(),
        }
    }

    fn take(&mut self, lsn: &str, xid: &str, line: &str) -> Result<(), Error> {
        if line.starts_with("BEGIN ") {
            self.open.clear();
        } else if let Some(commit) = line.strip_prefix("COMMIT ") {
            self.close(lsn, xid, commit)?;
        } else if let Some(change) = line.strip_prefix("table ") {
            self.add(change)?;
        }
        Ok(())
    }

    fn add(&mut self, line: &str) -> Result<(), Error> {
        let malformed = || Error::Malformed {
            what: "decoding",
            text: line.to_owned(),
        };
        let (tables, rest) = split_names(line).ok_or_else(malformed)?;
        let (op, row) = rest.split_once(':').ok_or_else(malformed)?;
        for table in tables
            .into_iter()
            .filter(|name| self.published.iter().any(|p| p == name))
        {
            let row = row.trim_start().to_owned();
            self.open.push(Change {
                table: table.to_owned(),
                op: op.to_owned(),
                row,
            });
        }
        if self.kept + self.open.len() > CHANGES_MAX {
            let text = format!("more than {CHANGES_MAX} changes above {}", self.boundary);
            return Err(Error::Malformed {
                what: "decoding",
                text,
            });
        }
        Ok(())
    }

    fn close(&mut self, lsn: &str, xid: &str, commit: &str) -> Result<(), Error> {
        let malformed = || Error::Malformed {
            what: "decoding",
            text: format!("{lsn} {xid} {commit}"),
        };
        let commit_end: Lsn = lsn.parse().map_err(|_| malformed())?;
        let changes = std::mem::take(&mut self.open);
        if commit_end <= self.boundary || changes.is_empty() {
            return Ok(());
        }
        self.kept += changes.len();
        self.lost.push(LostTransaction {
            xid: xid.parse().map_err(|_| malformed())?,
            commit_end,
            committed_at: commit
                .split_once("(at ")
                .map(|(_, at)| at.trim_end_matches(')').to_owned())
                .unwrap_or_default(),
            changes,
        });
        Ok(())
    }
}

/// Splits `public.a, public."b: c": UPDATE: ...` into its table names and what follows
/// the colon after them. Quoted names may hold colons, commas and doubled quotes.
fn split_names(line: &str) -> Option<(Vec<&str>, &str)> {
    let mut names = Vec::new();
    let mut quoted = false;
    let mut start = 0;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                names.push(line[start..at].trim());
                start = at + 1;
            }
            b':' if !quoted => {
                names.push(line[start..at].trim());
                return Some((names, line[at + 1..].trim_start()));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(boundary: &str, lines: &[(&str, &str, &str)]) -> Vec<LostTransaction> {
        let published = [
            "public.contact".to_owned(),
            "public.\"odd: name\"".to_owned(),
        ];
        let mut tail = Tail::new(&published, boundary.parse().expect("a position"));
        for (lsn, xid, line) in lines {
            tail.take(lsn, xid, line).expect("lines of the decoder");
        }
        tail.lost
    }

    const LINES: [(&str, &str, &str); 9] = [
        ("0/10", "7", "BEGIN 7"),
        (
            "0/10",
            "7",
            "table public.contact: INSERT: id[bigint]:1 name[text]:'a: b'",
        ),
        ("0/40", "7", "COMMIT 7 (at 2026-01-02 03:04:05.678+00)"),
        ("0/40", "8", "BEGIN 8"),
        (
            "0/50",
            "8",
            "table public.\"odd: name\": UPDATE: old-key: id[bigint]:1",
        ),
        (
            "0/50",
            "8",
            "table tandem.heartbeat: UPDATE: site[text]:'aws'",
        ),
        ("0/80", "8", "COMMIT 8 (at 2026-01-02 03:04:06+00)"),
        (
            "0/80",
            "9",
            "table tandem.heartbeat: UPDATE: site[text]:'aws'",
        ),
        ("0/90", "9", "COMMIT 9 (at 2026-01-02 03:04:07+00)"),
    ];

    #[test]
    fn a_transaction_that_ends_at_the_boundary_was_received() {
        let lost = run("0/40", &LINES);
        assert_eq!(lost.len(), 1, "the heartbeat alone is no lost write");
        assert_eq!((lost[0].xid, lost[0].commit_end), (8, Lsn(0x80)));
        let change = &lost[0].changes[0];
        assert_eq!(
            (change.table.as_str(), change.op.as_str()),
            ("public.\"odd: name\"", "UPDATE")
        );
        assert_eq!(change.row, "old-key: id[bigint]:1");
    }

    #[test]
    fn everything_above_the_boundary_is_listed_in_order() {
        let xids: Vec<_> = run("0/3F", &LINES).iter().map(|lost| lost.xid).collect();
        assert_eq!(xids, [7, 8]);
        assert_eq!(
            run("0/3F", &LINES)[0].committed_at,
            "2026-01-02 03:04:05.678+00"
        );
    }

    #[test]
    fn a_truncation_names_several_tables() {
        let line = "public.contact, public.\"a,\"\"b\": TRUNCATE: (no-flags)";
        let (names, rest) = split_names(line).expect("names and the rest");
        assert_eq!(names, ["public.contact", "public.\"a,\"\"b\""]);
        assert_eq!(rest, "TRUNCATE: (no-flags)");
    }
}
