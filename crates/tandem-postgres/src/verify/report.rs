//! What was compared and what was found, for people and programs.

use std::collections::BTreeMap;

use postgres_protocol::escape::escape_identifier as ident;
use serde::Serialize;
use tandem_core::model::SiteId;

use super::catalog::{Published, Subject};
use super::settle::Kind;

/// Everything that `tandem verify` found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `tandem.verify.v1`.
    pub schema: &'static str,
    /// The primary.
    pub from: SiteId,
    /// The replica.
    pub to: SiteId,
    /// All tables together.
    pub verdict: Verdict,
    /// Rows of the primary that were compared.
    pub rows: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Each published table, or those that were asked for.
    pub tables: Vec<TableReport>,
}

/// How a comparison ended; the worse, the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Both sites hold the same rows.
    Equal,
    /// It could not be finished: something did not settle, or could not be read.
    Unsettled,
    /// Rows differ.
    Different,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableReport {
    /// `schema.table`.
    pub table: String,
    /// The same as SQL writes it.
    #[serde(skip)]
    pub sql_name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How it was compared.
    pub method: Method,
    /// Rows of the primary.
    pub rows: u64,
    /// Ranges that it was cut into.
    pub ranges: usize,
    /// Keys that looked different at first and were looked at again.
    pub rechecked: u64,
    /// What differs, by key; no more than the limit.
    pub differences: Vec<Difference>,
    /// Keys that moved all the time.
    pub unsettled: Vec<Unsettled>,
    /// Why it is not finished, or what to know about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a table is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Range by range of its key.
    Ranges,
    /// In one piece, parted by a hash of its key: the sites sort the key differently.
    KeyHash,
    /// In one piece, without naming rows: it has no key at both sites.
    Whole,
    /// Not at all.
    None,
}

/// A row that is not the same at both sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its key, by column.
    pub key: BTreeMap<String, String>,
    /// How it differs.
    pub kind: Kind,
    /// The columns that differ.
    pub columns: Vec<String>,
    /// The values of both sites, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
}

/// A row as both sites hold it, by column; absent where it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Values {
    /// At the primary.
    pub primary: Option<BTreeMap<String, Option<String>>>,
    /// At the replica.
    pub replica: Option<BTreeMap<String, Option<String>>>,
}

/// A key that moved between all looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsettled {
    /// The key, by column.
    pub key: BTreeMap<String, String>,
    /// How often both sites were looked at.
    pub looks: u32,
    /// In how many looks the primary had the row.
    pub at_primary: u32,
    /// In how many looks the replica had the row.
    pub at_replica: u32,
}

impl TableReport {
    pub(super) fn new(subject: &Subject, method: Method) -> Self {
        Self::named(
            subject.title.clone(),
            &subject.schema,
            &subject.name,
            method,
        )
    }

    /// A table that nothing can be said about.
    pub(super) fn unread(table: &Published, why: String) -> Self {
        Self::named(table.title(), &table.schema, &table.name, Method::None).unsettled(why)
    }

    pub(super) fn unsettled(mut self, why: String) -> Self {
        self.give_up(why);
        self
    }

    /// What is known stays; the rest could not be found out.
    pub(super) fn give_up(&mut self, why: String) {
        self.verdict = self.verdict.max(Verdict::Unsettled);
        self.note = Some(why);
    }

    fn named(table: String, schema: &str, name: &str, method: Method) -> Self {
        Self {
            table,
            sql_name: format!("{}.{}", ident(schema), ident(name)),
            verdict: Verdict::Equal,
            method,
            rows: 0,
            ranges: 0,
            rechecked: 0,
            differences: Vec::new(),
            unsettled: Vec::new(),
            note: None,
        }
    }
}

/// The worst verdict; nothing compared is nothing proven.
pub(super) fn verdict(tables: &[TableReport]) -> Verdict {
    tables
        .iter()
        .map(|table| table.verdict)
        .max()
        .unwrap_or(Verdict::Unsettled)
}
