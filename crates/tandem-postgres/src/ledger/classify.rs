//! May a lost change simply be written again, or must a person look?
//!
//! Intuition: the survivor went on. Where it did not touch a key since it was promoted, the
//! lost change still fits; where it did, both images matter and no program knows which one.
//!
//! Pure: the changes and what the survivor holds under their keys in, a class for each
//! change out. Doubt is a conflict.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::tail::{Change, LostTransaction, Op, Row, Table};

/// What may become of a lost change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Nobody touched the key since: written again, it fits.
    Mergeable,
    /// The survivor changed the row since.
    ChangedSince,
    /// The survivor has no such row any more.
    RemovedSince,
    /// The survivor has another row under the key of a new one.
    ExistsSince,
    /// The whole table was emptied.
    Truncated,
    /// The survivor keeps no commit timestamps (`track_commit_timestamp`), so nobody knows.
    Unknown,
}

impl Class {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Mergeable, "mergeable"),
        (Self::ChangedSince, "changed-since"),
        (Self::RemovedSince, "removed-since"),
        (Self::ExistsSince, "exists-since"),
        (Self::Truncated, "truncated"),
        (Self::Unknown, "unknown"),
    ];

    /// Whether a person must look.
    #[must_use]
    pub fn is_conflict(self) -> bool {
        self != Self::Mergeable
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(class, _)| class == self);
        f.write_str(named.map_or("unknown", |(_, name)| name))
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(_, name)| *name == text);
        let known = named.map(|(class, _)| *class);
        known.ok_or_else(|| format!("`{text}` is no class of the ledger"))
    }
}

/// What the survivor holds under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// There is a row.
    pub(crate) exists: bool,
    /// Its present version was written at the survivor since it was promoted; absent if nobody knows.
    pub(crate) touched: Option<bool>,
}

/// A key of a table, in one text, for maps.
pub(crate) type Key = (Table, String);

pub(crate) fn key(table: &Table, key: &Row) -> Key {
    let text = serde_json::to_string(key).unwrap_or_default();
    (table.clone(), text)
}

/// Every key that the tail touches, each once, in order of appearance.
pub(crate) fn keys(lost: &[LostTransaction]) -> Vec<(Table, Row)> {
    let mut seen = std::collections::HashSet::new();
    let changes = lost.iter().flat_map(|transaction| &transaction.changes);
    let mut keys = Vec::new();
    for change in changes.filter(|change| change.op != Op::Truncate && !change.keyless) {
        for row in std::iter::once(change.key.clone()).chain(change.new_key()) {
            if seen.insert(key(&change.table, &row)) {
                keys.push((change.table.clone(), row));
            }
        }
    }
    keys
}

/// Whether the tail made each of its keys: its first change put a row there that the survivor
/// never had under it.
pub(crate) fn begun(lost: &[LostTransaction]) -> HashMap<Key, bool> {
    let mut first = HashMap::new();
    for change in lost.iter().flat_map(|found| &found.changes) {
        let made = change.op == Op::Insert;
        first.entry(key(&change.table, &change.key)).or_insert(made);
        if let Some(moved) = change.new_key() {
            first.entry(key(&change.table, &moved)).or_insert(true);
        }
    }
    first
}

/// The class of every change, in the order of the tail.
pub(crate) fn classify(lost: &[LostTransaction], held: &HashMap<Key, Held>) -> Vec<Class> {
    let first = begun(lost);
    let changes: Vec<&Change> = lost.iter().flat_map(|found| &found.changes).collect();
    let of = |key: &Key| {
        let began = first.get(key).copied().unwrap_or(false);
        held.get(key)
            .map_or(Class::Unknown, |held| class(began, *held))
    };
    let worst = |change: &&Change| match change.op {
        Op::Truncate => Class::Truncated,
        _ => {
            let moved = change
                .new_key()
                .map(|moved| of(&key(&change.table, &moved)));
            of(&key(&change.table, &change.key)).max(moved.unwrap_or(Class::Mergeable))
        }
    };
    changes.iter().map(worst).collect()
}

/// `began`: the key's first change in the tail made it.
fn class(began: bool, held: Held) -> Class {
    match (held.exists, began, held.touched) {
        (false, true, _) => Class::Mergeable,
        (false, false, _) => Class::RemovedSince,
        (true, true, _) => Class::ExistsSince,
        (true, false, Some(false)) => Class::Mergeable,
        (true, false, Some(true)) => Class::ChangedSince,
        (true, false, None) => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::Value;
    use tandem_core::model::Lsn;

    fn table() -> Table {
        Table {
            schema: "public".into(),
            name: "contact".into(),
        }
    }

    fn row(id: &str) -> Row {
        [("id".to_owned(), Value::from(id))].into_iter().collect()
    }

    fn change(op: Op, id: &str, to: Option<&str>) -> Change {
        Change {
            table: table(),
            op,
            key: row(id),
            row: to.map_or_else(Row::new, row),
            unchanged: Vec::new(),
            keyless: false,
        }
    }

    fn tail(changes: Vec<Change>) -> Vec<LostTransaction> {
        vec![LostTransaction {
            xid: 7,
            commit_end: Lsn(9),
            committed_at: Timestamp::UNIX_EPOCH,
            changes,
        }]
    }

    fn run(changes: Vec<Change>, held: &[(&str, bool, Option<bool>)]) -> Vec<Class> {
        let held = held.iter().map(|(id, exists, touched)| {
            let (exists, touched) = (*exists, *touched);
            (key(&table(), &row(id)), Held { exists, touched })
        });
        classify(&tail(changes), &held.collect())
    }

    #[test]
    fn every_pair_of_first_change_and_present_row() {
        use Class as C;
        use Op::{Delete, Insert, Update};
        let cases = [
            (Insert, false, None, C::Mergeable),
            (Insert, true, Some(true), C::ExistsSince),
            (Update, true, Some(false), C::Mergeable),
            (Update, true, Some(true), C::ChangedSince),
            (Update, true, None, C::Unknown),
            (Update, false, None, C::RemovedSince),
            (Delete, true, Some(false), C::Mergeable),
            (Delete, false, None, C::RemovedSince),
        ];
        for (op, exists, touched, expected) in cases {
            let found = run(vec![change(op, "1", Some("1"))], &[("1", exists, touched)]);
            assert_eq!(
                found,
                [expected],
                "{op} exists={exists} touched={touched:?}"
            );
        }
    }

    #[test]
    fn the_first_change_of_a_key_counts_for_all_of_them() {
        let changes = vec![
            change(Op::Insert, "1", Some("1")),
            change(Op::Update, "1", Some("1")),
            change(Op::Delete, "1", None),
        ];
        let found = run(changes, &[("1", false, None)]);
        assert_eq!(found, [Class::Mergeable; 3]);
    }

    #[test]
    fn a_row_that_moved_must_fit_at_both_keys() {
        let moved = || vec![change(Op::Update, "1", Some("2"))];
        let free = [("1", true, Some(false)), ("2", false, None)];
        assert_eq!(run(moved(), &free), [Class::Mergeable]);
        let taken = [("1", true, Some(false)), ("2", true, Some(true))];
        assert_eq!(run(moved(), &taken), [Class::ExistsSince]);
        assert_eq!(keys(&tail(moved())).len(), 2);
    }

    #[test]
    fn a_truncation_is_a_conflict_and_names_survive_the_way_through_text() {
        assert_eq!(
            run(vec![change(Op::Truncate, "1", None)], &[]),
            [Class::Truncated]
        );
        for (class, name) in Class::ALL {
            assert_eq!(name.parse(), Ok(class));
            assert_eq!(class.to_string(), name);
        }
    }
}
