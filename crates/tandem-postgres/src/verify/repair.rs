//! SQL that would bring the replica to the primary's rows, for a person to read and run.
//!
//! Invariant: never executed here. Values stand in it only if the report has them; without them a
//! missing or different row is a comment that says what to ask for.
//!
//! Every statement is narrow enough to be harmless if the row has moved meanwhile: an insert gives way
//! to a row that arrived, a delete or an update finds its row by key.

use std::collections::BTreeMap;
use std::fmt::Write;

use postgres_protocol::escape::{escape_identifier as ident, escape_literal as text};

use super::report::{Difference, Report, TableReport, Values};
use super::settle::Kind;

/// The plan for every difference of the report.
pub fn repair_plan(report: &Report) -> String {
    let mut plan = format!(
        "-- For {} only, as an administrator; stop and verify again if {} has been promoted since.\n\
         -- Nothing was executed. Triggers, the guard and foreign keys stand aside in this transaction.\n\
         BEGIN;\nSET LOCAL session_replication_role = replica;\nSET LOCAL TimeZone = 'UTC';\nSET LOCAL DateStyle = 'ISO, YMD';\n",
        report.to, report.to
    );
    for table in &report.tables {
        for difference in &table.differences {
            plan.push_str(&statement(table, difference));
            plan.push('\n');
        }
    }
    plan.push_str("COMMIT;\n");
    plan
}

fn statement(table: &TableReport, difference: &Difference) -> String {
    let name = &table.sql_name;
    let row = matches(&difference.key);
    let primary = difference
        .values
        .as_ref()
        .and_then(|values: &Values| values.primary.as_ref());
    match (difference.kind, primary) {
        (Kind::Extra, _) => format!("DELETE FROM {name} WHERE {row};"),
        (_, None) => format!("-- {name} where {row}: values masked; --reveal writes the statement"),
        (Kind::Missing, Some(values)) => {
            let names: Vec<_> = values.keys().map(|column| ident(column)).collect();
            let values: Vec<_> = values.values().map(literal).collect();
            format!(
                "INSERT INTO {name} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT DO NOTHING;",
                names.join(", "),
                values.join(", ")
            )
        }
        (Kind::Different, Some(values)) => {
            let mut set = String::new();
            for column in &difference.columns {
                let comma = if set.is_empty() { "" } else { ", " };
                let value = literal(values.get(column).unwrap_or(&None));
                // Writing to a String cannot fail.
                let _ = write!(set, "{comma}{} = {value}", ident(column));
            }
            format!("UPDATE {name} SET {set} WHERE {row};")
        }
    }
}

fn literal(value: &Option<String>) -> String {
    value
        .as_ref()
        .map_or_else(|| "NULL".into(), |value| text(value))
}

fn matches(key: &BTreeMap<String, String>) -> String {
    let column = |(name, value): (&String, &String)| format!("{} = {}", ident(name), text(value));
    key.iter().map(column).collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::super::report::{Method, Verdict};
    use super::*;

    fn row(values: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
        values
            .iter()
            .map(|(name, value)| ((*name).into(), value.map(str::to_owned)))
            .collect()
    }

    fn difference(
        kind: Kind,
        columns: &[&str],
        primary: Option<BTreeMap<String, Option<String>>>,
    ) -> Difference {
        Difference {
            key: BTreeMap::from([("id".into(), "7".into())]),
            kind,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            values: Some(Values {
                primary,
                replica: None,
            }),
        }
    }

    #[track_caller]
    fn check(difference: &Difference, expected: &str) {
        let table = TableReport {
            table: "public.t".into(),
            sql_name: "\"public\".\"t\"".into(),
            verdict: Verdict::Different,
            method: Method::Ranges,
            rows: 0,
            ranges: 1,
            rechecked: 0,
            differences: Vec::new(),
            unsettled: Vec::new(),
            note: None,
        };
        assert_eq!(statement(&table, difference), expected);
    }

    #[test]
    fn each_kind_has_its_statement() {
        check(
            &difference(Kind::Extra, &[], None),
            "DELETE FROM \"public\".\"t\" WHERE \"id\" = '7';",
        );
        let values = row(&[("id", Some("7")), ("name", Some("O'Hara")), ("note", None)]);
        check(
            &difference(Kind::Missing, &[], Some(values.clone())),
            "INSERT INTO \"public\".\"t\" (\"id\", \"name\", \"note\") OVERRIDING SYSTEM VALUE VALUES ('7', 'O''Hara', NULL) ON CONFLICT DO NOTHING;",
        );
        check(
            &difference(Kind::Different, &["name", "note"], Some(values)),
            "UPDATE \"public\".\"t\" SET \"name\" = 'O''Hara', \"note\" = NULL WHERE \"id\" = '7';",
        );
    }

    #[test]
    fn masked_values_make_a_comment() {
        let mut masked = difference(Kind::Missing, &[], None);
        masked.values = None;
        check(
            &masked,
            "-- \"public\".\"t\" where \"id\" = '7': values masked; --reveal writes the statement",
        );
    }
}
