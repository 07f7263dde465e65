//! Which tables are compared, by which columns and by which key.
//!
//! Replication maps by name: schema, table and column. The publisher's list says what
//! must be equal; whatever else a subscriber has (more columns, another order) is its own.
//!
//! Invariant: a key that both sites do not sort the same way never becomes a range, or
//! one row could stand in two different ranges.

use serde::Deserialize;
use tokio_postgres::types::Json;

use super::hashing::{Hash, hash_of};
use super::side::Side;
use crate::error::Error;

/// One site's side of the tables.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shape {
    version: u32,
    pub(super) encoding: String,
    self_test: String,
    tables: Vec<Table>,
}

/// A table as it is at one site.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Table {
    schema: String,
    name: String,
    partitioned: bool,
    rows_estimate: i64,
    /// `r` once its copy has finished; absent where no subscription feeds it.
    copy_state: Option<String>,
    columns: Vec<Column>,
    keys: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Column {
    name: String,
    /// Computed here from other columns.
    generated: bool,
    /// As a cast writes it.
    #[serde(rename = "type")]
    kind: String,
    /// The name of a built-in type; empty for others.
    base: String,
    /// Identity of its collation: `bytes`, a locale, or empty without one.
    sorts: String,
}

/// A table in a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// Only rows that fulfil it are published.
    pub(super) filter: Option<String>,
}

impl Published {
    /// As a person writes it.
    pub(super) fn title(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// A table that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) title: String,
    pub(super) schema: String,
    pub(super) name: String,
    /// In the order of their names.
    pub(super) columns: Vec<Compared>,
    pub(super) key: Option<Key>,
    pub(super) source: Place,
    pub(super) target: Place,
    pub(super) rows_estimate: u64,
}

/// A column that must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) hash: Hash,
}

/// The columns by which a row is found at both sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) columns: Vec<String>,
    /// Both sites sort it the same way, so that it can be cut into ranges.
    pub(super) ordered: bool,
}

/// Where the rows stand at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Inheritance children are tables of their own, partitions are not.
    pub(super) partitioned: bool,
    pub(super) filter: Option<String>,
    /// Types of the key's columns.
    pub(super) key_types: Vec<String>,
}

/// What `publication` carries of the applications. Heartbeats are each site's own.
pub(super) async fn published(side: &Side, publication: &str) -> Result<Vec<Published>, Error> {
    let sql = "SELECT schemaname::text, tablename::text, attnames::text[], rowfilter
                 FROM pg_publication_tables WHERE pubname = $1::text AND schemaname <> 'tandem' ORDER BY 1, 2";
    let rows = side.query("published tables", sql, &[&publication]).await?;
    let table = |row: &tokio_postgres::Row| Published {
        schema: row.get(0),
        name: row.get(1),
        columns: row.get(2),
        filter: row.get(3),
    };
    Ok(rows.iter().map(table).collect())
}

/// How `tables` look at one site.
pub(super) async fn shape(
    side: &Side,
    tables: &[Published],
    subscription: &str,
) -> Result<Shape, Error> {
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let sql = include_str!("../sql/verify-shape.sql");
    let rows = side
        .query("tables", sql, &[&schemas, &names, &subscription])
        .await?;
    let row = rows.first().ok_or(Error::Malformed {
        what: "tables",
        text: "no row".into(),
    })?;
    let Json(shape) = row
        .try_get::<_, Json<Shape>>(0)
        .map_err(|source| Error::query("tables", source))?;
    Ok(shape)
}

impl Shape {
    fn table(&self, published: &Published) -> Option<&Table> {
        let named =
            |table: &&Table| table.schema == published.schema && table.name == published.name;
        self.tables.iter().find(named)
    }

    /// Why no row of the two sites can be compared by hash; `None` if they can.
    pub(super) fn unlike(&self, other: &Self) -> Option<String> {
        if self.encoding != other.encoding {
            return Some(format!(
                "the encodings differ ({} and {}): the same text has other bytes",
                self.encoding, other.encoding
            ));
        }
        let hashes = self.self_test != other.self_test;
        hashes
            .then(|| "the two servers hash the same value differently (another processor?)".into())
    }
}

/// How a published table is compared, or why it cannot be.
pub(super) fn subject(
    published: &Published,
    source: &Shape,
    target: &Shape,
) -> Result<Subject, String> {
    let ours = source
        .table(published)
        .ok_or("it is gone from the primary")?;
    let theirs = target
        .table(published)
        .ok_or("the replica has no such table")?;
    if let Some(state) = theirs.copy_state.as_deref().filter(|state| *state != "r") {
        return Err(format!("its first copy is not finished (state {state})"));
    }
    let mut names = published.columns.clone();
    names.retain(|name| travels(source.version, ours.column(name), theirs.column(name)));
    names.sort();
    let lost: Vec<_> = names
        .iter()
        .filter(|name| theirs.column(name).is_none())
        .cloned()
        .collect();
    if !lost.is_empty() {
        return Err(format!(
            "the replica lacks the column(s) {}",
            lost.join(", ")
        ));
    }
    let compared = |name: &String| Compared {
        name: name.clone(),
        hash: hash_of(base(ours, name), base(theirs, name)),
    };
    let key = key(published, ours, theirs);
    let place = |table: &Table, filter: Option<&String>| Place {
        partitioned: table.partitioned,
        filter: filter.cloned(),
        key_types: key
            .iter()
            .flat_map(|key| &key.columns)
            .map(|name| table.kind(name))
            .collect(),
    };
    Ok(Subject {
        title: published.title(),
        schema: published.schema.clone(),
        name: published.name.clone(),
        columns: names.iter().map(compared).collect(),
        source: place(ours, published.filter.as_ref()),
        target: place(theirs, None),
        rows_estimate: u64::try_from(ours.rows_estimate).unwrap_or(0),
        key,
    })
}

impl Table {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn kind(&self, name: &str) -> String {
        self.column(name)
            .map_or_else(String::new, |column| column.kind.clone())
    }

    fn has_key(&self, columns: &[String]) -> bool {
        let same = |key: &Vec<String>| {
            key.len() == columns.len() && columns.iter().all(|c| key.contains(c))
        };
        self.keys.iter().any(same)
    }
}

/// Whether replication carries a column's values. Publishers list generated columns, and send
/// them from release 18 on, if they are told to; a subscriber that generates takes none.
fn travels(version: u32, ours: Option<&Column>, theirs: Option<&Column>) -> bool {
    let generated = |column: Option<&Column>| column.is_some_and(|column| column.generated);
    !generated(theirs) && (version >= 180_000 || !generated(ours))
}

fn base<'t>(table: &'t Table, column: &str) -> &'t str {
    table
        .column(column)
        .map_or("", |column| column.base.as_str())
}

/// The first key of the primary that is published whole and unique at the replica too.
fn key(published: &Published, ours: &Table, theirs: &Table) -> Option<Key> {
    let known = |key: &&Vec<String>| {
        key.iter().all(|name| published.columns.contains(name)) && theirs.has_key(key)
    };
    let columns = ours.keys.iter().find(known)?.clone();
    let ordered = columns
        .iter()
        .all(|name| sorts_alike(ours.column(name), theirs.column(name)));
    Some(Key { columns, ordered })
}

/// Whether both sites put the values of a column into the same order.
fn sorts_alike(ours: Option<&Column>, theirs: Option<&Column>) -> bool {
    const PLAIN: [&str; 11] = [
        "int2",
        "int4",
        "int8",
        "oid",
        "numeric",
        "uuid",
        "timestamp",
        "timestamptz",
        "date",
        "bool",
        "bytea",
    ];
    const COLLATED: [&str; 3] = ["text", "varchar", "bpchar"];
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return false;
    };
    let known = PLAIN.contains(&ours.base.as_str()) || COLLATED.contains(&ours.base.as_str());
    known && ours.base == theirs.base && ours.sorts == theirs.sorts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &str, &str)], key: &[&str]) -> Table {
        let column = |(name, base, sorts): &(&str, &str, &str)| Column {
            name: (*name).into(),
            kind: (*base).into(),
            base: (*base).into(),
            sorts: (*sorts).into(),
            generated: name.starts_with("made"),
        };
        Table {
            schema: "public".into(),
            name: "t".into(),
            columns: columns.iter().map(column).collect(),
            keys: vec![key.iter().map(|name| (*name).to_owned()).collect()],
            copy_state: Some("r".into()),
            ..Table::default()
        }
    }

    fn compare(ours: Table, theirs: Table) -> Result<Subject, String> {
        let published = Published {
            schema: "public".into(),
            name: "t".into(),
            columns: ours
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            filter: None,
        };
        let shape = |table: Table| Shape {
            version: 150_000,
            encoding: "UTF8".into(),
            self_test: "1".into(),
            tables: vec![table],
        };
        subject(&published, &shape(ours), &shape(theirs))
    }

    #[test]
    fn columns_are_mapped_by_name_and_further_ones_are_left_alone() {
        let ours = table(&[("id", "int8", ""), ("a", "text", "bytes")], &["id"]);
        let theirs = table(
            &[
                ("more", "int4", ""),
                ("a", "text", "bytes"),
                ("id", "int8", ""),
            ],
            &["id"],
        );
        let found = compare(ours, theirs).unwrap();
        let names: Vec<_> = found
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["a", "id"]);
        assert!(found.key.unwrap().ordered);
    }

    #[test]
    fn generated_columns_do_not_travel() {
        let ours = table(&[("id", "int8", ""), ("made", "int8", "")], &["id"]);
        let theirs = table(&[("id", "int8", "")], &["id"]);
        assert_eq!(compare(ours, theirs).unwrap().columns.len(), 1);
    }

    #[test]
    fn a_key_is_cut_into_ranges_only_where_both_sort_alike() {
        let with = |sorts| table(&[("code", "text", sorts)], &["code"]);
        let ordered = |a, b| compare(with(a), with(b)).unwrap().key.unwrap().ordered;
        assert!(ordered("bytes", "bytes"));
        assert!(ordered("c/en_US/2.36", "c/en_US/2.36"));
        assert!(
            !ordered("c/en_US/2.36", "c/en_US/2.31"),
            "another glibc sorts otherwise"
        );
        let coloured = || table(&[("code", "", "")], &["code"]);
        assert!(
            !compare(coloured(), coloured())
                .unwrap()
                .key
                .unwrap()
                .ordered,
            "an enum has an order of its own"
        );
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let ours = || table(&[("id", "int8", ""), ("a", "text", "bytes")], &["id"]);
        let without = table(&[("id", "int8", "")], &["id"]);
        assert_eq!(
            compare(ours(), without).unwrap_err(),
            "the replica lacks the column(s) a"
        );
        let mut copying = ours();
        copying.copy_state = Some("d".into());
        assert!(compare(ours(), copying).unwrap_err().contains("copy"));
        let mut unkeyed = ours();
        unkeyed.keys.clear();
        assert_eq!(
            compare(ours(), unkeyed).unwrap().key,
            None,
            "a key must hold at both sites"
        );
    }
}
