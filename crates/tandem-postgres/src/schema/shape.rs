//! The shape of both sites' tables, and exactly where they differ.
//!
//! The planner refuses promotions while the hashes of both shapes differ; a hash names no column.
//! This does: the same parts of the catalog, compared one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio_postgres::types::Json;

use super::reading::{Effect, Name};
use crate::connect::Target;
use crate::error::Error;
use crate::facts::LIMIT;
use crate::session::Session;
use crate::setup::Pair;

const SQL: &str = include_str!("../sql/shape.sql");

/// One site's tables, as `sql/shape.sql` describes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<Column>,
    pub(crate) keys: Vec<Key>,
    pub(crate) indexes: Vec<Index>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Column {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) kind: String,
    pub(crate) not_null: bool,
    pub(crate) generated: bool,
    /// A row without it gets a value.
    pub(crate) fills_itself: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Key {
    pub(crate) schema: String,
    pub(crate) table: String,
    /// The index, and the constraint if it is the primary key.
    pub(crate) name: String,
    pub(crate) identity: String,
    pub(crate) columns: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Index {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) valid: bool,
}

/// One table, column or key that is not the same at both sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its table.
    pub table: Name,
    /// The column; absent if it is the whole table or its key.
    pub column: Option<String>,
    /// What each site has; absent where there is nothing.
    pub sites: BTreeMap<SiteId, Option<String>>,
}

impl Shape {
    pub(crate) fn has_table(&self, table: &Name) -> bool {
        self.columns.iter().any(|column| column.is_of(table))
    }

    pub(crate) fn column(&self, table: &Name, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.is_of(table) && column.column == name)
    }

    pub(crate) fn key(&self, table: &Name) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| key.schema == table.schema && key.table == table.name)
    }

    pub(crate) fn index(&self, name: &Name) -> Option<&Index> {
        self.indexes
            .iter()
            .find(|index| index.schema == name.schema && index.name == name.name)
    }

    fn tables(&self) -> BTreeSet<Name> {
        let name = |column: &Column| Name {
            schema: column.schema.clone(),
            name: column.table.clone(),
        };
        self.columns.iter().map(name).collect()
    }

    /// Column (or nothing for the key) to what is there.
    fn parts(&self, table: &Name) -> BTreeMap<Option<String>, String> {
        let columns = self.columns.iter().filter(|column| column.is_of(table));
        let mut parts: BTreeMap<_, _> = columns
            .map(|column| (Some(column.column.clone()), column.show()))
            .collect();
        if let Some(key) = self.key(table) {
            let kind = if key.identity == "d" {
                "primary key"
            } else {
                "replica identity"
            };
            parts.insert(None, format!("{kind} ({})", key.columns.join(", ")));
        }
        parts
    }
}

impl Column {
    fn is_of(&self, table: &Name) -> bool {
        self.schema == table.schema && self.table == table.name
    }

    fn show(&self) -> String {
        let not_null = if self.not_null { " NOT NULL" } else { "" };
        let generated = if self.generated { " GENERATED" } else { "" };
        format!("{}{not_null}{generated}", self.kind)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}.{column}:", self.table)?,
            None => write!(f, "{}:", self.table)?,
        }
        for (at, (site, found)) in self.sites.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(
                f,
                "{comma} {} at {site}",
                found.as_deref().unwrap_or("nothing")
            )?;
        }
        Ok(())
    }
}

/// Everything that differs between two sites, by table and column.
pub(crate) fn compare(left: (SiteId, &Shape), right: (SiteId, &Shape)) -> Vec<Difference> {
    let tables: BTreeSet<_> = left.1.tables().union(&right.1.tables()).cloned().collect();
    tables
        .iter()
        .flat_map(|table| compare_table(table, left, right))
        .collect()
}

fn compare_table(table: &Name, left: (SiteId, &Shape), right: (SiteId, &Shape)) -> Vec<Difference> {
    let difference = |column: Option<String>, at_left, at_right| Difference {
        table: table.clone(),
        column,
        sites: BTreeMap::from([(left.0, at_left), (right.0, at_right)]),
    };
    let whole = |shape: &Shape| shape.has_table(table).then(|| "table".to_owned());
    if left.1.has_table(table) != right.1.has_table(table) {
        return vec![difference(None, whole(left.1), whole(right.1))];
    }
    let (at_left, at_right) = (left.1.parts(table), right.1.parts(table));
    let names: BTreeSet<_> = at_left.keys().chain(at_right.keys()).cloned().collect();
    let differs = names
        .into_iter()
        .filter(|name| at_left.get(name) != at_right.get(name));
    differs
        .map(|name| {
            difference(
                name.clone(),
                at_left.get(&name).cloned(),
                at_right.get(&name).cloned(),
            )
        })
        .collect()
}

/// Whether a file that is being taken to both sites accounts for a difference.
pub(crate) fn explains(effects: &[&Effect], difference: &Difference) -> bool {
    effects.iter().any(|effect| match effect {
        Effect::Table { table, .. } | Effect::Key { table } => *table == difference.table,
        Effect::Column { table, column, .. } | Effect::Nullable { table, column } => {
            *table == difference.table && difference.column.as_ref() == Some(column)
        }
        Effect::Index { .. } | Effect::Constraint { .. } => false,
    })
}

/// Reads the shape of one site's replicated tables.
pub(crate) async fn read(config: &Config, session: &Session) -> Result<Shape, Error> {
    let row = session
        .row(
            "shape of the tables",
            LIMIT,
            SQL,
            &[&config.database.schemas],
        )
        .await?;
    let Json(shape) = row
        .try_get::<_, Json<Shape>>(0)
        .map_err(|source| Error::query("shape of the tables", source))?;
    Ok(shape)
}

/// Names every table, column and key that is not the same at both sites. Read-only.
///
/// # Errors
/// If a server cannot be reached or the administrator may not read the catalog.
pub async fn diff(config: &Config) -> Result<Vec<Difference>, Error> {
    let pair = Pair::of(config)?;
    let look = async |site| {
        let options = "-c default_transaction_read_only=on -c search_path=pg_catalog";
        let session = Target::admin(config, site)?
            .with_options(options)
            .open()
            .await?;
        read(config, &session).await
    };
    let (left, right) = (pair.primary.site, pair.replica.site);
    let (at_left, at_right) = tokio::try_join!(look(left), look(right))?;
    Ok(compare((left, &at_left), (right, &at_right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(table: &str, column: &str, kind: &str) -> Column {
        Column {
            schema: "public".into(),
            table: table.into(),
            column: column.into(),
            kind: kind.into(),
            ..Column::default()
        }
    }

    fn differences(left: &[Column], right: &[Column]) -> Vec<String> {
        let shape = |columns: &[Column]| Shape {
            columns: columns.to_vec(),
            ..Shape::default()
        };
        let (aws, gcp) = (
            "aws".parse().expect("a site"),
            "gcp".parse().expect("a site"),
        );
        let found = compare((aws, &shape(left)), (gcp, &shape(right)));
        let show = |found: &Difference| {
            format!(
                "{} {:?} {:?} {:?}",
                found.table, found.column, found.sites[&aws], found.sites[&gcp]
            )
        };
        found.iter().map(show).collect()
    }

    #[test]
    fn tables_columns_and_types_are_named() {
        let (id, x) = (column("a", "id", "bigint"), column("a", "x", "text"));
        assert!(differences(&[id.clone(), x.clone()], &[x.clone(), id.clone()]).is_empty());
        assert_eq!(
            differences(&[id.clone(), x.clone()], std::slice::from_ref(&id)),
            [r#"public.a Some("x") Some("text") None"#]
        );
        assert_eq!(
            differences(&[column("a", "id", "int")], std::slice::from_ref(&id)),
            [r#"public.a Some("id") Some("int") Some("bigint")"#]
        );
        assert_eq!(
            differences(&[id, x], &[]),
            [r#"public.a None Some("table") None"#]
        );
    }
}
