//! Tables without a key at both sites: equal or not, as a whole.
//!
//! No row can be named, so that none can be looked at again. The whole table is hashed, together
//! with which row versions these are; the rule of `settle` holds for all rows at once.
//!
//! Invariant: `Different` needs both sites to have stood still over two rounds.

use super::Run;
use super::catalog::Subject;
use super::drill::Both;
use super::report::{Method, TableReport, Verdict};
use super::side::Whole;
use super::statement::Statements;
use crate::error::Error;

/// A round reads the table twice.
const ROUNDS_MAX: usize = 4;

const NAMELESS: &str = "no unique key at both sites: compared as a whole, rows cannot be named";

pub(super) async fn compare(run: &mut Run<'_>, subject: &Subject) -> Result<TableReport, Error> {
    let both = Both {
        source: Statements::new(subject, &subject.source),
        target: Statements::new(subject, &subject.target),
    };
    let mut report = TableReport::new(subject, Method::Whole);
    let first = tokio::try_join!(
        run.pairs[0].source.whole(&both.source),
        run.pairs[0].target.whole(&both.target)
    )?;
    report.rows = first.0.sum.rows;
    report.note = Some(NAMELESS.into());
    if first.0.sum == first.1.sum {
        return Ok(report);
    }
    let mut primary = first.0;
    let mut replica: Option<Whole> = None;
    for _ in 0..ROUNDS_MAX {
        if !run.barrier.replica_has_all(&run.pairs[0].source).await? {
            return Ok(report.unsettled(run.late()));
        }
        let theirs = run.pairs[0].target.whole(&both.target).await?;
        run.barrier.primary_shows_all(&run.pairs[0].source).await?;
        let ours = run.pairs[0].source.whole(&both.source).await?;
        report.rows = ours.sum.rows;
        match judge(&primary, replica.as_ref(), &theirs, &ours) {
            Some(Verdict::Equal) => return Ok(report),
            Some(verdict) => {
                report.verdict = verdict;
                report.note = Some(format!(
                    "{NAMELESS}; {} rows and {} rows",
                    ours.sum.rows, theirs.sum.rows
                ));
                return Ok(report);
            }
            None => (primary, replica) = (ours, Some(theirs)),
        }
    }
    Ok(report.unsettled(format!("{NAMELESS}; it changed all the time")))
}

/// `None`: look again.
fn judge(
    before: &Whole,
    replica_before: Option<&Whole>,
    replica: &Whole,
    after: &Whole,
) -> Option<Verdict> {
    if replica.sum == before.sum || replica.sum == after.sum {
        return Some(Verdict::Equal);
    }
    let still = before.versions == after.versions
        && replica_before.is_some_and(|earlier| earlier.versions == replica.versions);
    still.then_some(Verdict::Different)
}

#[cfg(test)]
mod tests {
    use super::super::side::Sum;
    use super::*;

    fn whole(text: &str) -> Whole {
        let (versions, hash) = text.split_once('=').expect("versions=hash");
        Whole {
            sum: Sum {
                rows: 1,
                hash: hash.into(),
            },
            versions: versions.into(),
        }
    }

    #[test]
    fn only_two_tables_that_stand_still_are_different() {
        let check = |earlier: Option<&str>, before, replica, after| {
            judge(
                &whole(before),
                earlier.map(whole).as_ref(),
                &whole(replica),
                &whole(after),
            )
        };
        assert_eq!(check(None, "a=1", "x=2", "a=1"), None);
        assert_eq!(
            check(Some("x=2"), "a=1", "x=2", "a=1"),
            Some(Verdict::Different)
        );
        assert_eq!(check(Some("w=2"), "a=1", "x=2", "a=1"), None);
        assert_eq!(check(Some("x=2"), "a=1", "x=2", "b=3"), None);
        assert_eq!(check(None, "a=1", "x=2", "b=2"), Some(Verdict::Equal));
    }
}
