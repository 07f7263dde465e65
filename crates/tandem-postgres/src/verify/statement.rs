//! The statements that read a table at one site, as text.
//!
//! Values travel as text parameters and are cast to the type that the column has *there*,
//! so that an index serves and a subscriber with wider types is understood.
//!
//! Invariant: every statement only reads, and names every function from pg_catalog (the
//! session's search path) and every table with its schema.

use postgres_protocol::escape::escape_identifier as ident;

use super::catalog::{Place, Subject};
use super::hashing;

/// Key values, one text a column.
pub(super) type KeyText = Vec<String>;

/// A range of keys: greater than `after`, up to and with `upto`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) after: Option<KeyText>,
    pub(super) upto: Option<KeyText>,
}

impl Range {
    /// The key values, in the order of the parameters.
    pub(super) fn values(&self) -> impl Iterator<Item = &String> {
        self.after.iter().chain(&self.upto).flatten()
    }
}

/// The ranges between the cuts: together they hold every possible key, each once.
pub(super) fn ranges(cuts: Vec<KeyText>) -> Vec<Range> {
    let mut ranges = Vec::with_capacity(cuts.len() + 1);
    let mut after = None;
    for cut in cuts {
        let upto = Some(cut.clone());
        ranges.push(Range {
            after: after.replace(cut),
            upto,
        });
    }
    ranges.push(Range { after, upto: None });
    ranges
}

/// Texts of statements over one table at one site.
pub(super) struct Statements<'a> {
    subject: &'a Subject,
    place: &'a Place,
    /// Names of the key's columns, quoted.
    key: Vec<String>,
}

impl<'a> Statements<'a> {
    pub(super) fn new(subject: &'a Subject, place: &'a Place) -> Self {
        let key = subject.key.iter().flat_map(|key| &key.columns);
        Self {
            subject,
            place,
            key: key.map(|name| ident(name)).collect(),
        }
    }

    /// Key values that part the table into pieces of about `rows_per_range` rows, from a sample
    /// of its pages: counting them off exactly would cost a walk over the whole index.
    pub(super) fn cuts(&self, rows_per_range: u32) -> String {
        let every = rows_per_range.min(SAMPLED_PER_RANGE);
        let percent = 100.0 * f64::from(every) / f64::from(rows_per_range);
        let columns = self.key.join(", ");
        format!(
            "SELECT {} FROM (SELECT {columns}, row_number() OVER (ORDER BY {columns}) AS tandem_n \
             FROM {} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1) WHERE {}) s WHERE tandem_n % {every} = 0 ORDER BY tandem_n",
            self.key_text(),
            self.table(),
            self.filter()
        )
    }

    /// Count and hash of each of `buckets` parts of a range, by a hash of the key.
    pub(super) fn sums(&self, range: &Range, buckets: u32) -> String {
        format!(
            "SELECT b, count(*), coalesce(sum({}), 0)::text FROM ({}) s GROUP BY b",
            hashing::mixed("x"),
            self.hashed(
                &format!(", {} AS b", self.bucket(buckets)),
                &self.within(range)
            )
        )
    }

    /// Key and hash of every row in some buckets of a range; the buckets are the last parameter.
    pub(super) fn rows(&self, range: &Range, buckets: u32) -> String {
        let last = 1 + range.values().count();
        let chosen = format!(
            "{} AND {} = ANY (${last}::int4[])",
            self.within(range),
            self.bucket(buckets)
        );
        format!(
            "SELECT k, {} FROM ({}) s",
            hashing::mixed("x"),
            self.hashed(&format!(", {} AS k", self.key_text()), &chosen)
        )
    }

    /// Version and column hashes of the rows with certain keys; a parameter for each key column.
    pub(super) fn look_up(&self) -> String {
        let columns: Vec<_> = self.subject.columns.iter().map(hashing::column).collect();
        let version = "t.ctid::text || '/' || t.xmin::text || '/' || t.tableoid::text";
        self.joined(&format!("{version}, ARRAY[{}]::int8[]", columns.join(", ")))
    }

    /// The text of every column of the rows with certain keys.
    pub(super) fn values(&self) -> String {
        let names = self
            .subject
            .columns
            .iter()
            .map(|column| format!("t.{}", ident(&column.name)));
        let texts: Vec<_> = names.map(|name| hashing::output(&name)).collect();
        self.joined(&format!("ARRAY[{}]::text[]", texts.join(", ")))
    }

    /// Hash of the whole table, and hash of which row versions these are.
    pub(super) fn whole(&self) -> String {
        let version =
            "hashtextextended(ctid::text || '/' || xmin::text || '/' || tableoid::text, 0)";
        let inner = self.hashed(&format!(", {version} AS v"), "true");
        format!(
            "SELECT count(*), coalesce(sum({}), 0)::text, coalesce(sum(v), 0)::text FROM ({inner}) s",
            hashing::mixed("x")
        )
    }

    /// OFFSET 0 keeps the planner from writing the row's hash twice into the mixing.
    fn hashed(&self, more: &str, chosen: &str) -> String {
        format!(
            "SELECT {} AS x{more} FROM {} WHERE {} AND {chosen} OFFSET 0",
            hashing::row(&self.subject.columns),
            self.table(),
            self.filter()
        )
    }

    fn joined(&self, outputs: &str) -> String {
        let (mut arrays, mut aliases, mut matches) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (name, kind)) in (1..).zip(self.key.iter().zip(&self.place.key_types)) {
            arrays.push(format!("${number}::text[]"));
            aliases.push(format!("k{number}"));
            matches.push(format!("t.{name} = (u.k{number})::{kind}"));
        }
        format!(
            "SELECT u.n, {outputs} FROM unnest({}) WITH ORDINALITY AS u({}, n) \
             JOIN (SELECT ctid, xmin, tableoid, * FROM {} WHERE {}) t ON {}",
            arrays.join(", "),
            aliases.join(", "),
            self.table(),
            self.filter(),
            matches.join(" AND ")
        )
    }

    fn table(&self) -> String {
        let only = if self.place.partitioned { "" } else { "ONLY " };
        format!(
            "{only}{}.{}",
            ident(&self.subject.schema),
            ident(&self.subject.name)
        )
    }

    fn filter(&self) -> String {
        self.place
            .filter
            .as_ref()
            .map_or_else(|| "true".into(), |filter| format!("({filter})"))
    }

    fn within(&self, range: &Range) -> String {
        let mut number = 0;
        let mut bound = |sign: &str| {
            let casts = self.place.key_types.iter().map(|kind| {
                number += 1;
                format!("(${number}::text)::{kind}")
            });
            let casts: Vec<_> = casts.collect();
            format!("({}) {sign} ({})", self.key.join(", "), casts.join(", "))
        };
        let after = range.after.as_ref().map(|_| bound(">"));
        let upto = range.upto.as_ref().map(|_| bound("<="));
        let both: Vec<_> = after.into_iter().chain(upto).collect();
        if both.is_empty() {
            "true".into()
        } else {
            both.join(" AND ")
        }
    }

    fn bucket(&self, buckets: u32) -> String {
        let in_key = |name: &String| {
            self.subject
                .key
                .iter()
                .any(|key| key.columns.contains(name))
        };
        let columns = self.subject.columns.iter();
        let key: Vec<_> = columns
            .filter(|column| in_key(&column.name))
            .cloned()
            .collect();
        let mask = buckets.next_power_of_two() - 1;
        format!("(({}) & {mask})::int4", hashing::row(&key))
    }

    fn key_text(&self) -> String {
        let texts: Vec<_> = self
            .key
            .iter()
            .map(|name| format!("{name}::text"))
            .collect();
        format!("ARRAY[{}]::text[]", texts.join(", "))
    }
}

/// Rows of the sample that make up one range: sixteen pages of sixty rows, so that ranges
/// differ in length by a quarter or so.
const SAMPLED_PER_RANGE: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::super::catalog::{Compared, Key};
    use super::super::hashing::Hash;
    use super::*;

    fn subject() -> Subject {
        let place = |filter: Option<&str>| Place {
            partitioned: false,
            filter: filter.map(str::to_owned),
            key_types: vec!["bigint".into(), "text".into()],
        };
        Subject {
            title: "public.t".into(),
            schema: "public".into(),
            name: "t".into(),
            columns: vec![Compared {
                name: "a".into(),
                hash: Hash::Int4,
            }],
            key: Some(Key {
                columns: vec!["a".into(), "b".into()],
                ordered: true,
            }),
            source: place(Some("a > 0")),
            target: place(None),
            rows_estimate: 0,
        }
    }

    #[test]
    fn ranges_leave_no_gap() {
        let cut = |text: &str| vec![text.to_owned()];
        let found = ranges(vec![cut("3"), cut("7")]);
        let ends: Vec<_> = found
            .iter()
            .map(|range| (range.after.clone(), range.upto.clone()))
            .collect();
        assert_eq!(
            ends,
            [
                (None, Some(cut("3"))),
                (Some(cut("3")), Some(cut("7"))),
                (Some(cut("7")), None)
            ]
        );
        assert_eq!(ranges(Vec::new()), [Range::default()]);
    }

    #[test]
    fn a_range_compares_whole_keys_in_the_types_of_its_site() {
        let subject = subject();
        let statements = Statements::new(&subject, &subject.source);
        let range = Range {
            after: Some(vec!["1".into(), "x".into()]),
            upto: Some(vec!["2".into(), "y".into()]),
        };
        let sql = statements.sums(&range, 16);
        let within = "FROM ONLY \"public\".\"t\" WHERE (a > 0) AND \
                      (\"a\", \"b\") > (($1::text)::bigint, ($2::text)::text) AND (\"a\", \"b\") <= (($3::text)::bigint, ($4::text)::text)";
        assert!(sql.contains(within), "{sql}");
        assert!(statements.rows(&range, 16).contains("ANY ($5::int4[])"));
    }

    #[test]
    fn rows_are_looked_up_by_key() {
        let subject = subject();
        let sql = Statements::new(&subject, &subject.target).look_up();
        assert!(
            sql.contains("unnest($1::text[], $2::text[]) WITH ORDINALITY AS u(k1, k2, n)"),
            "{sql}"
        );
        assert!(
            sql.contains("t.\"a\" = (u.k1)::bigint AND t.\"b\" = (u.k2)::text"),
            "{sql}"
        );
    }
}
