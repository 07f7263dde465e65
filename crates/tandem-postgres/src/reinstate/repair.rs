//! The rows of a way back: exactly the keys of the lost tail become what the survivor holds.
//!
//! Runs inside the caller's transaction. What is undone is decided from the tail and from what
//! the survivor holds under its keys; values travel as PostgreSQL's own text, which loses nothing.
//! Refused: undoing what has no key (a truncation, REPLICA IDENTITY FULL); that needs a copy.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_postgres::types::ToSql;

use super::{LIMIT, WayBack};
use crate::error::Error;
use crate::ledger::{self, BATCH, matched, texts, types};
use crate::session::Session;
use crate::tail::{self, LostTransaction, Op, Row, Table};

const REPAIR: &str = "
    SELECT tandem_local.repair($1::text, $2::text, $3::text[], $4::jsonb, $5::text[], $6::jsonb)";
const COLUMNS: &str = "
    SELECT a.attname::text FROM pg_attribute a
     WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum";

impl WayBack<'_> {
    /// A key that the survivor no longer has under its name may have moved: its row stays as
    /// it is, and the change or removal that is on its way finds it.
    pub(super) async fn repair_table(
        &self,
        reader: &Session,
        table: &Table,
        keys: &[Touched],
    ) -> Result<(), Error> {
        let columns = self.columns(table).await?;
        let names: Vec<String> = keys
            .first()
            .map_or_else(Vec::new, |key| key.key.keys().cloned().collect());
        // Everything goes before anything comes: a second unique index may have changed hands.
        let mut coming = Vec::new();
        for batch in keys.chunks(BATCH) {
            let all: Vec<Row> = batch.iter().map(|touched| touched.key.clone()).collect();
            let held = fetch(reader, table, &names, &columns, &all).await?;
            let (mut gone, mut kept) = (Vec::new(), Vec::new());
            for (touched, row) in batch.iter().zip(held) {
                match row {
                    _ if touched.made => gone.push(touched.key.clone()),
                    Some(row) => {
                        gone.push(touched.key.clone());
                        kept.push(row);
                    }
                    None => {}
                }
            }
            let nothing = Value::Array(Vec::new());
            self.exchange(table, (&names, &texts(&gone, &names)), (&columns, &nothing))
                .await?;
            coming.push(Value::Array(kept));
        }
        let nothing = Value::Array(Vec::new());
        for kept in &coming {
            self.exchange(table, (&names, &nothing), (&columns, kept))
                .await?;
        }
        Ok(())
    }

    async fn exchange(
        &self,
        table: &Table,
        (names, gone): (&Vec<String>, &Value),
        (columns, kept): (&Vec<String>, &Value),
    ) -> Result<(), Error> {
        let values: [&(dyn ToSql + Sync); 6] =
            [&table.schema, &table.name, names, gone, columns, kept];
        self.session
            .rows("repair", LIMIT, REPAIR, &values)
            .await
            .map(drop)
    }

    async fn columns(&self, table: &Table) -> Result<Vec<String>, Error> {
        let rows = self
            .session
            .rows("columns", LIMIT, COLUMNS, &[&table.to_string()])
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// What key by key cannot undo.
pub(super) fn refuse_unrepairable(lost: &[LostTransaction]) -> Result<(), Error> {
    for change in lost.iter().flat_map(|lost| &lost.changes) {
        let table = &change.table;
        if change.op == Op::Truncate {
            let why = format!("the lost tail empties the whole table {table}");
            return Err(Error::CopyNeeded { why });
        }
        if change.keyless {
            let why = format!("{table} has REPLICA IDENTITY FULL, so its rows have no key");
            return Err(Error::CopyNeeded { why });
        }
    }
    Ok(())
}

/// A key of the lost tail.
pub(super) struct Touched {
    key: Row,
    /// The tail made it: the survivor never had it, or made another one of that name.
    made: bool,
}

/// Every key of the tail, by table, with what its first change was.
pub(super) fn touched(lost: &[LostTransaction]) -> BTreeMap<Table, Vec<Touched>> {
    let made = ledger::begun(lost);
    let mut work: BTreeMap<Table, Vec<Touched>> = BTreeMap::new();
    for (table, key) in ledger::keys(lost) {
        let made = made
            .get(&ledger::key(&table, &key))
            .copied()
            .unwrap_or(false);
        work.entry(table).or_default().push(Touched { key, made });
    }
    work
}

/// The survivor's present rows under `keys`, each as an array of texts in the order of `columns`.
async fn fetch(
    reader: &Session,
    table: &Table,
    names: &[String],
    columns: &[String],
    keys: &[Row],
) -> Result<Vec<Option<Value>>, Error> {
    let failed = |source| Error::query(format!("rows of {table}"), source);
    let types = types(reader, table, names).await?;
    let listed: Vec<_> = columns
        .iter()
        .map(|name| format!("t.{}::text", tail::ident(name)))
        .collect();
    let sql = format!(
        "SELECT e.n, to_jsonb(ARRAY[{}]) FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY e(v, n) JOIN {table} t ON {}",
        listed.join(", "),
        matched(names, &types),
    );
    let rows = reader
        .client()
        .query(&sql, &[&texts(keys, names)])
        .await
        .map_err(failed)?;
    let mut held = vec![None; keys.len()];
    for row in rows {
        let n: i64 = row.get(0);
        if let Some(place) = usize::try_from(n - 1).ok().and_then(|n| held.get_mut(n)) {
            *place = Some(row.get(1));
        }
    }
    Ok(held)
}
