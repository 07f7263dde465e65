//! What a person may see of a lost change, and how it leaves Tandem.
//!
//! Values are masked unless they are asked for. As SQL a change is a statement for the survivor;
//! a conflict stays a comment, whatever its values hold.

use std::io::Write;

use serde_json::{Value, json};
use tandem_postgres::ledger::{Entry, Ledger};
use tandem_postgres::tail::{Op, Row};

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// A JSON document a line
    Jsonl,
    /// Statements for the survivor: mergeable ones ready, conflicts as comments
    Sql,
}

pub(super) fn document(entry: &Entry, reveal: bool) -> Value {
    json!({
        "n": entry.n, "xid": entry.xid, "commit_end": entry.commit_end, "committed_at": entry.committed_at.to_string(),
        "class": entry.class, "op": entry.change.op, "table": entry.change.table.to_string(),
        "key": shown_key(&entry.change.key, reveal), "row": masked(&entry.change.row, reveal),
        "unchanged": entry.change.unchanged,
    })
}

/// Numbers and UUIDs name a row and say nothing about a person; other keys are masked.
pub(super) fn shown_key(key: &Row, reveal: bool) -> Row {
    let plain = |text: &str| {
        let uuid = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        uuid || text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    };
    mask(key, |value| reveal || value.as_str().is_some_and(plain))
}

pub(super) fn masked(row: &Row, reveal: bool) -> Row {
    mask(row, |_| reveal)
}

fn mask(row: &Row, open: impl Fn(&Value) -> bool) -> Row {
    let one = |(name, value): (&String, &Value)| {
        let shown = value.is_null() || open(value);
        (
            name.clone(),
            if shown { value.clone() } else { "***".into() },
        )
    };
    row.iter().map(one).collect()
}

pub(super) fn write<W: Write>(
    mut to: W,
    ledger: &Ledger,
    entries: &[Entry],
    format: Format,
) -> anyhow::Result<W> {
    match format {
        Format::Jsonl => {
            for entry in entries {
                writeln!(to, "{}", document(entry, true))?;
            }
        }
        Format::Sql => {
            writeln!(
                to,
                "-- Ledger {} of {}: apply as an ordinary user at the present primary.",
                ledger.epoch, ledger.from
            )?;
            writeln!(
                to,
                "-- The classes are as of its writing: look whether a row was changed since."
            )?;
            writeln!(to, "BEGIN;")?;
            for entry in entries {
                // A comment ends at either kind of line end, wherever a value brings one.
                let line = statement(entry).replace(['\n', '\r'], "\n-- ");
                match entry.class.is_conflict() {
                    true => writeln!(to, "-- {}: {line}", entry.class)?,
                    false => writeln!(to, "{}", statement(entry))?,
                }
            }
            writeln!(to, "COMMIT;")?;
        }
    }
    Ok(to)
}

/// The change as a statement. An UPDATE writes only what the log holds of the row.
fn statement(entry: &Entry) -> String {
    let change = &entry.change;
    let (table, key) = (&change.table, matches(&change.key));
    match change.op {
        Op::Insert => {
            let names: Vec<_> = change.row.keys().map(|name| ident(name)).collect();
            let values: Vec<_> = change.row.values().map(literal).collect();
            format!(
                "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE VALUES ({});",
                names.join(", "),
                values.join(", ")
            )
        }
        Op::Update => {
            // A key that stays is not written: an identity column takes no value.
            let moved = change
                .row
                .iter()
                .filter(|(name, value)| change.key.get(*name) != Some(*value));
            let set = moved.map(|(name, value)| format!("{} = {}", ident(name), literal(value)));
            format!(
                "UPDATE {table} SET {} WHERE {key};",
                set.collect::<Vec<_>>().join(", ")
            )
        }
        Op::Delete => format!("DELETE FROM {table} WHERE {key};"),
        Op::Truncate => format!("TRUNCATE {table};"),
    }
}

fn matches(key: &Row) -> String {
    let one = |(name, value): (&String, &Value)| match value {
        Value::Null => format!("{} IS NULL", ident(name)),
        value => format!("{} = {}", ident(name), literal(value)),
    };
    key.iter().map(one).collect::<Vec<_>>().join(" AND ")
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal; the server reads it as the column's type.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\\') => {
            format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
        }
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        _ => "NULL".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_core::model::{Epoch, Lsn};
    use tandem_postgres::ledger::Class;
    use tandem_postgres::tail::{Change, Table};

    fn row(pairs: &[(&str, Value)]) -> Row {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    fn entry(op: Op, class: Class) -> Entry {
        Entry {
            n: 0,
            xid: 7,
            commit_end: Lsn(9),
            committed_at: jiff::Timestamp::UNIX_EPOCH,
            class,
            change: Change {
                table: Table {
                    schema: "public".into(),
                    name: "contact".into(),
                },
                op,
                key: row(&[("id", "1".into())]),
                row: row(&[
                    ("id", "1".into()),
                    ("name", "it's".into()),
                    ("note", Value::Null),
                ]),
                unchanged: Vec::new(),
                keyless: false,
            },
        }
    }

    #[test]
    fn values_are_masked_and_keys_that_are_numbers_are_not() {
        let shown = document(&entry(Op::Insert, Class::Mergeable), false);
        assert_eq!(shown["row"]["name"], "***");
        assert_eq!(
            (&shown["row"]["note"], &shown["key"]["id"]),
            (&Value::Null, &"1".into())
        );
        let key = row(&[("email", "kim@example.com".into())]);
        assert_eq!(shown_key(&key, false)["email"], "***");
        assert_eq!(shown_key(&key, true)["email"], "kim@example.com");
    }

    #[test]
    fn statements_quote_what_they_hold_and_conflicts_are_comments() {
        let sql = |op| statement(&entry(op, Class::Mergeable));
        assert_eq!(
            sql(Op::Update),
            r#"UPDATE public.contact SET "name" = 'it''s', "note" = NULL WHERE "id" = '1';"#
        );
        assert_eq!(
            sql(Op::Delete),
            r#"DELETE FROM public.contact WHERE "id" = '1';"#
        );
        assert_eq!(literal(&r"a\'".into()), r"E'a\\'''");
        let ledger = Ledger {
            epoch: Epoch(2),
            from: "aws".parse().expect("a site"),
            boundary: Lsn(1),
            transactions: 1,
            changes: 1,
            conflicts: 1,
            problem: None,
            collected_us: 0,
            erased: false,
        };
        let written = write(
            Vec::new(),
            &ledger,
            &[entry(Op::Delete, Class::ChangedSince)],
            Format::Sql,
        );
        let text = String::from_utf8(written.expect("written")).expect("text");
        assert!(text.contains("-- changed-since: DELETE"), "{text}");
        let mut sly = entry(Op::Insert, Class::ExistsSince);
        sly.change.row = row(&[("note", "x\rDROP TABLE contact; --".into())]);
        let written = write(Vec::new(), &ledger, &[sly], Format::Sql).expect("written");
        let text = String::from_utf8(written).expect("text");
        let bare = text
            .split(['\n', '\r'])
            .find(|line| line.starts_with("DROP"));
        assert_eq!(bare, None, "{text}");
    }
}
