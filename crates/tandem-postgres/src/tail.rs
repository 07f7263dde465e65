//! The lost tail: what the old primary committed and the survivor never got.
//!
//! After its restart the old primary still holds its slot, and the WAL from there on.
//! A transaction is lost exactly if the *end* of its commit lies above the boundary
//! that the survivor recorded (`>`: the boundary is the end of the last applied one).
//!
//! Invariant: looking changes nothing. The slot is copied into a temporary one and the
//! copy is only peeked at. Refused: the slot's own `confirmed_flush_lsn` as boundary,
//! which falls back to the last checkpoint in a crash; and `test_decoding`, whose text
//! has to be parsed by types and holds tables that were never published.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use pg_walstream::{ColumnInfo, LogicalReplicationMessage, LogicalReplicationParser, TupleData};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tandem_core::config::Config;
use tandem_core::model::{Lsn, SiteId};

use crate::connect::Target;
use crate::error::Error;
use crate::names::Names;
use crate::session::Session;

/// Decoding reads all WAL since the slot's position; a minute is thousands of times
/// what a ttl of writes needs.
const DECODE_LIMIT: Duration = Duration::from_secs(60);
/// More changes than this are no tail of a failover; they would only fill the memory.
const CHANGES_MAX: usize = 1_000_000;
/// PostgreSQL counts time from 2000-01-01, in microseconds.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
/// The protocol of PostgreSQL 10 to 18 without streaming: whole transactions, in commit order.
const PROTOCOL: u32 = 1;

/// `relreplident` of a table whose whole row is its identity.
const FULL: u8 = b'f';

/// Columns by name; values in PostgreSQL's own text form, or null.
pub type Row = Map<String, Value>;

/// What a slot still holds above a boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The end of the log when it was read: everything committed before is in it.
    pub upto: Lsn,
    /// The lost transactions, in commit order.
    pub lost: Vec<LostTransaction>,
}

/// A committed transaction of the old primary that the survivor never got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostTransaction {
    /// Its number at the old primary.
    pub xid: u64,
    /// The end of its commit record.
    pub commit_end: Lsn,
    /// When it committed, by the old primary's clock.
    pub committed_at: Timestamp,
    /// Its changes to published tables, in order.
    pub changes: Vec<Change>,
}

/// A table by its two names, printed as SQL writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name in that schema.
    pub name: String,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", ident(&self.schema), ident(&self.name))
    }
}

/// A name as SQL needs it: bare where that is safe, else in double quotes.
pub(crate) fn ident(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let bare = name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    match bare && !name.is_empty() {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// What was done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
    /// A removed row.
    Delete,
    /// All rows of the table removed.
    Truncate,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        })
    }
}

/// One change of a row (or a truncation).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The table.
    pub table: Table,
    /// What was done.
    pub op: Op,
    /// The columns of the replica identity, as they were *before* the change.
    pub key: Row,
    /// The row after the change; empty for a removed one.
    pub row: Row,
    /// Columns that the change left alone and whose large values the log does not repeat.
    pub unchanged: Vec<String>,
    /// The table has REPLICA IDENTITY FULL: `key` is the whole row and names none for certain.
    #[serde(default)]
    pub keyless: bool,
}

impl Change {
    /// The key after the change, if the change moved the row to another key.
    pub fn new_key(&self) -> Option<Row> {
        let moved: Row = self
            .key
            .keys()
            .filter_map(|name| Some((name.clone(), self.row.get(name)?.clone())))
            .collect();
        (self.op == Op::Update && moved.len() == self.key.len() && moved != self.key)
            .then_some(moved)
    }
}

const COPY_SLOT: &str = "
    SELECT (pg_copy_logical_replication_slot(slot_name, ('tandem_tail_' || pg_backend_pid())::name, true)).slot_name
      FROM pg_replication_slots WHERE slot_name = $1::text AND database = current_database() AND wal_status <> 'lost'";
const PEEK: &str = "
    SELECT data FROM pg_logical_slot_peek_binary_changes(('tandem_tail_' || pg_backend_pid())::name,
           $1::text::pg_lsn, NULL, 'proto_version', '1', 'publication_names', quote_ident($2::text))";
const END: &str = "SELECT pg_current_wal_flush_lsn()::text";

/// Reads what `site` committed above `boundary` and its peer never received.
///
/// # Errors
/// If the server, its slot or the WAL behind it is gone.
pub async fn read(config: &Config, site: SiteId, boundary: Lsn) -> Result<Tail, Error> {
    let names = Names::of(config, site)?;
    // The text form of values depends on these; the other end writes them back.
    let options = format!(
        "-c search_path=pg_catalog -c statement_timeout={} -c DateStyle=ISO -c TimeZone=UTC \
         -c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex -c logical_decoding_work_mem=64MB",
        DECODE_LIMIT.as_millis()
    );
    let target = Target::agent(config, site)?.with_options(&options);
    let session = target.open().await?;
    let copied = session
        .rows("copy of the slot", DECODE_LIMIT, COPY_SLOT, &[&names.slot])
        .await?;
    if copied.is_empty() {
        return Err(Error::Missing(format!(
            "slot {} at {site}, or the log behind it,",
            names.slot
        )));
    }
    let row = session.row("end of log", DECODE_LIMIT, END, &[]).await?;
    let upto = position(row.get(0))?;
    let lost = peek(&session, &names.publication, upto, boundary).await?;
    Ok(Tail { upto, lost })
}

async fn peek(
    session: &Session,
    publication: &str,
    upto: Lsn,
    boundary: Lsn,
) -> Result<Vec<LostTransaction>, Error> {
    let failed = |source| Error::query("decoding", source);
    let upto = upto.to_string();
    let values: [&str; 2] = [&upto, publication];
    let rows = session.client().query_raw(PEEK, values).await;
    let mut rows = pin!(rows.map_err(failed)?);
    let mut decoder = Decoder::new(boundary);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let message: &[u8] = row.get(0);
        decoder.take(Bytes::copy_from_slice(message))?;
    }
    Ok(decoder.lost)
}

fn position(text: String) -> Result<Lsn, Error> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(text: impl Into<String>) -> Error {
    Error::Malformed {
        what: "decoding",
        text: text.into(),
    }
}

/// A table as the log described it last.
struct Relation {
    table: Table,
    keyless: bool,
    columns: Vec<ColumnInfo>,
}

/// Gathers decoded messages into transactions and keeps the lost ones.
struct Decoder {
    parser: LogicalReplicationParser,
    relations: HashMap<u32, Relation>,
    boundary: Lsn,
    xid: u64,
    open: Vec<Change>,
    kept: usize,
    lost: Vec<LostTransaction>,
}

impl Decoder {
    fn new(boundary: Lsn) -> Self {
        Self {
            parser: LogicalReplicationParser::with_protocol_version(PROTOCOL),
            relations: HashMap::new(),
            boundary,
            xid: 0,
            open: Vec::new(),
            kept: 0,
            lost: Vec::new(),
        }
    }

    fn take(&mut self, message: Bytes) -> Result<(), Error> {
        use LogicalReplicationMessage as Said;
        let parsed = self.parser.parse_wal_message_bytes(message);
        match parsed
            .map_err(|error| malformed(error.to_string()))?
            .message
        {
            Said::Begin { xid, .. } => {
                self.xid = u64::from(xid);
                self.open.clear();
            }
            Said::Commit {
                end_lsn, timestamp, ..
            } => self.close(Lsn(end_lsn), timestamp)?,
            Said::Relation {
                relation_id,
                namespace,
                relation_name,
                replica_identity,
                columns,
                ..
            } => {
                let table = Table {
                    schema: namespace.to_string(),
                    name: relation_name.to_string(),
                };
                self.relations.insert(
                    relation_id,
                    Relation {
                        table,
                        keyless: replica_identity == FULL,
                        columns,
                    },
                );
            }
            Said::Insert { relation_id, tuple } => {
                self.add(relation_id, Op::Insert, None, Some(&tuple))?;
            }
            Said::Update {
                relation_id,
                old_tuple,
                new_tuple,
                ..
            } => self.add(
                relation_id,
                Op::Update,
                old_tuple.as_ref(),
                Some(&new_tuple),
            )?,
            Said::Delete {
                relation_id,
                old_tuple,
                ..
            } => self.add(relation_id, Op::Delete, Some(&old_tuple), None)?,
            Said::Truncate { relation_ids, .. } => {
                for relation in relation_ids {
                    self.add(relation, Op::Truncate, None, None)?;
                }
            }
            Said::Type { .. } | Said::Origin { .. } | Said::Message { .. } => {}
            other => {
                return Err(malformed(format!(
                    "a message of another protocol: {other:?}"
                )));
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        relation: u32,
        op: Op,
        old: Option<&TupleData>,
        new: Option<&TupleData>,
    ) -> Result<(), Error> {
        let known = self.relations.get(&relation);
        let known = known.ok_or_else(|| malformed(format!("a change of relation {relation}")))?;
        if known.table.schema == "tandem" {
            return Ok(());
        }
        let key = match old.or(new) {
            Some(tuple) => known.row(tuple, |column| column.is_key())?,
            None => Row::new(),
        };
        self.open.push(Change {
            table: known.table.clone(),
            op,
            key,
            row: new.map_or(Ok(Row::new()), |tuple| known.row(tuple, |_| true))?,
            unchanged: new.map_or_else(Vec::new, |tuple| known.unchanged(tuple)),
            keyless: known.keyless,
        });
        if self.kept + self.open.len() > CHANGES_MAX {
            let boundary = self.boundary;
            return Err(malformed(format!(
                "more than {CHANGES_MAX} changes above {boundary}"
            )));
        }
        Ok(())
    }

    fn close(&mut self, commit_end: Lsn, timestamp: i64) -> Result<(), Error> {
        let changes = std::mem::take(&mut self.open);
        if commit_end <= self.boundary || changes.is_empty() {
            return Ok(());
        }
        self.kept += changes.len();
        let at = Timestamp::from_microsecond(timestamp.saturating_add(POSTGRES_EPOCH_US));
        self.lost.push(LostTransaction {
            xid: self.xid,
            commit_end,
            committed_at: at.map_err(|error| malformed(error.to_string()))?,
            changes,
        });
        Ok(())
    }
}

impl Relation {
    /// The columns of `tuple` that the log holds and `wanted` wants.
    fn row(&self, tuple: &TupleData, wanted: impl Fn(&ColumnInfo) -> bool) -> Result<Row, Error> {
        let mut row = Row::new();
        for (column, data) in self.columns.iter().zip(&tuple.columns) {
            if data.is_unchanged() || !wanted(column) {
                continue;
            }
            let value = match data.is_null() {
                true => Value::Null,
                false => {
                    let text = std::str::from_utf8(data.as_bytes());
                    let text = text.map_err(|_| malformed("a value that is not UTF-8"))?;
                    Value::String(text.to_owned())
                }
            };
            row.insert(column.name.to_string(), value);
        }
        Ok(row)
    }

    fn unchanged(&self, tuple: &TupleData) -> Vec<String> {
        let columns = self.columns.iter().zip(&tuple.columns);
        columns
            .filter(|(_, data)| data.is_unchanged())
            .map(|(column, _)| column.name.to_string())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Vec<u8> {
        let length = u32::try_from(value.len()).expect("short");
        [&b"t"[..], &length.to_be_bytes(), value.as_bytes()].concat()
    }

    fn relation(id: u32, schema: &str, name: &str) -> Vec<u8> {
        let mut message = vec![b'R'];
        message.extend(id.to_be_bytes());
        message.extend([schema.as_bytes(), b"\0", name.as_bytes(), b"\0d"].concat());
        message.extend(2_u16.to_be_bytes());
        for (flags, column) in [(1_u8, "id"), (0, "body")] {
            message.push(flags);
            message.extend([column.as_bytes(), b"\0"].concat());
            message.extend(20_u32.to_be_bytes());
            message.extend(u32::MAX.to_be_bytes());
        }
        message
    }

    fn begin(xid: u32) -> Vec<u8> {
        let mut message = vec![b'B'];
        message.extend([0; 16]);
        message.extend(xid.to_be_bytes());
        message
    }

    fn commit(end: u64) -> Vec<u8> {
        let mut message = vec![b'C', 0];
        message.extend(0_u64.to_be_bytes());
        message.extend(end.to_be_bytes());
        message.extend(1_000_000_u64.to_be_bytes());
        message
    }

    fn change(kind: u8, id: u32, tuples: &[(u8, &[Vec<u8>])]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend(id.to_be_bytes());
        for (mark, columns) in tuples {
            message.push(*mark);
            message.extend(u16::try_from(columns.len()).expect("few").to_be_bytes());
            message.extend(columns.concat());
        }
        message
    }

    fn run(boundary: u64, messages: &[Vec<u8>]) -> Vec<LostTransaction> {
        let mut decoder = Decoder::new(Lsn(boundary));
        for message in messages {
            let taken = decoder.take(Bytes::from(message.clone()));
            taken.expect("messages of pgoutput");
        }
        decoder.lost
    }

    fn history() -> Vec<Vec<u8>> {
        vec![
            begin(7),
            relation(1, "public", "odd name"),
            relation(2, "tandem", "heartbeat"),
            change(b'I', 1, &[(b'N', &[text("1"), text("it's")])]),
            commit(0x40),
            begin(8),
            change(
                b'U',
                1,
                &[
                    (b'K', &[text("1"), b"n".to_vec()]),
                    (b'N', &[text("2"), b"u".to_vec()]),
                ],
            ),
            change(b'U', 2, &[(b'N', &[text("aws"), text("9")])]),
            commit(0x80),
            begin(9),
            change(b'U', 2, &[(b'N', &[text("aws"), text("10")])]),
            commit(0x90),
        ]
    }

    #[test]
    fn a_transaction_that_ends_at_the_boundary_was_received() {
        let lost = run(0x40, &history());
        assert_eq!(lost.len(), 1, "the heartbeat alone is no lost write");
        assert_eq!((lost[0].xid, lost[0].commit_end), (8, Lsn(0x80)));
        let change = &lost[0].changes[0];
        assert_eq!(change.table.to_string(), "public.\"odd name\"");
        assert_eq!(change.unchanged, ["body"]);
        assert_eq!(change.key.get("id"), Some(&Value::from("1")));
        assert_eq!(
            change.new_key().and_then(|key| key.get("id").cloned()),
            Some("2".into())
        );
    }

    #[test]
    fn everything_above_the_boundary_is_listed_in_order() {
        let lost = run(0x3F, &history());
        assert_eq!(lost.iter().map(|lost| lost.xid).collect::<Vec<_>>(), [7, 8]);
        let first = &lost[0];
        assert_eq!(first.committed_at.to_string(), "2000-01-01T00:00:01Z");
        assert_eq!(first.changes[0].row.get("body"), Some(&Value::from("it's")));
        assert_eq!(first.changes[0].new_key(), None);
    }
}
