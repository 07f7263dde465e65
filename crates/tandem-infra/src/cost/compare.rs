//! Two configurations side by side: what appears, disappears, changes.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{Breakdown, LineId};

/// One line that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The line.
    pub id: LineId,
    /// USD a month before; absent if the line is new.
    pub before: Option<Decimal>,
    /// USD a month after; absent if the line is gone.
    pub after: Option<Decimal>,
}

impl Change {
    /// `+`, `-` or `~`.
    pub fn mark(&self) -> char {
        match (self.before, self.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        }
    }

    /// USD a month more.
    pub fn difference(&self) -> Decimal {
        self.after.unwrap_or_default() - self.before.unwrap_or_default()
    }
}

/// The lines that differ, in the order of the table.
pub fn changes(before: &Breakdown, after: &Breakdown) -> Vec<Change> {
    let by_line = |breakdown: &Breakdown| {
        breakdown
            .lines
            .iter()
            .map(|line| (line.id, line.monthly))
            .collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (by_line(before), by_line(after));
    let ids: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let change = |id: LineId| Change {
        id,
        before: old.get(&id).copied(),
        after: new.get(&id).copied(),
    };
    ids.into_iter()
        .map(change)
        .filter(|change| change.before != change.after)
        .collect()
}
