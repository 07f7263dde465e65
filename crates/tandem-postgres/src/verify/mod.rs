//! `tandem verify`: do both databases hold the same rows, while traffic runs?
//!
//! Every published table is cut into ranges of its key and hashed at both sites at once. Equal
//! hashes are equal rows, whenever each was taken. Ranges that differ are narrowed down to keys,
//! and each key is looked at again behind a barrier until it is equal, different beyond doubt, or
//! known to move too fast (`settle`, `barrier`).
//!
//! Invariants: nothing is written at either site, no write waits for us, and a row in flight is never
//! called different. A replica that lags is late: the comparison is unfinished, not failed.
//!
//! Refused: one long snapshot over both databases. It would hold back vacuum for as long as the
//! comparison takes, and two servers have no common snapshot.

mod barrier;
mod catalog;
mod drill;
mod hashing;
mod keyless;
mod recheck;
mod repair;
mod report;
mod settle;
mod side;
mod statement;
mod table;

use std::time::{Duration, Instant};

use tandem_core::config::Config;
use tandem_core::model::SiteId;

pub use repair::repair_plan;
pub use report::{Difference, Method, Report, TableReport, Unsettled, Values, Verdict};
pub use settle::Kind;

use crate::error::{Error, sentence};
use crate::names::Names;
use crate::status::{self, State, Status};
use barrier::Barrier;
use catalog::{Published, Shape};
use side::Side;

/// What is compared and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// `schema.table` of those to compare; all published ones if empty.
    pub tables: Vec<String>,
    /// Rows of a range, about.
    pub chunk_rows: u32,
    /// Differences to name in a table before the rest of it is left alone.
    pub limit_differences: usize,
    /// Also read the values of rows that differ.
    pub reveal: bool,
    /// How long the replica may take to apply what the primary has.
    pub wait_max: Duration,
    /// Sessions at each site.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            chunk_rows: 75_000,
            limit_differences: 1000,
            reveal: false,
            wait_max: Duration::from_secs(60),
            jobs: 1,
        }
    }
}

/// How far the comparison is.
#[derive(Debug, Clone)]
pub struct Progress<'a> {
    /// The table that is read.
    pub table: &'a str,
    /// Its number, from 1, and how many there are.
    pub place: (usize, usize),
    /// How much of it is hashed.
    pub percent: u32,
    /// Rows of all tables so far.
    pub rows: u64,
    /// Since the beginning.
    pub elapsed: Duration,
}

/// Hears of progress.
pub type Tell<'a> = &'a mut dyn FnMut(&Progress<'_>);

/// Compares both databases.
///
/// # Errors
/// [`Error::Configuration`] for a table that is not published; other errors if a site cannot be
/// reached or nothing replicates between them. A table that cannot be read is part of the report.
pub async fn run(config: &Config, options: &Options, tell: Tell<'_>) -> Result<Report, Error> {
    let begun = Instant::now();
    let (from, to) = direction(&status::read(config).await?)?;
    let mut run = Run::open(config, options, from, to).await?;
    let (source, target) = (Names::of(config, from)?, Names::of(config, to)?);
    let published = catalog::published(&run.pairs[0].source, &source.publication).await?;
    let wanted = wanted(published, &options.tables)?;
    let (ours, theirs) = run.shapes(&wanted, &source, &target).await?;
    if let Some(problem) = ours.unlike(&theirs) {
        return Err(Error::Configuration {
            key: "database".into(),
            problem,
        });
    }
    let mut tables = Vec::new();
    let mut rows = 0;
    for (number, table) in (1..).zip(&wanted) {
        let mut tell_percent = |percent: u32, rows_here: u64| {
            tell(&Progress {
                table: &table.title(),
                place: (number, wanted.len()),
                percent,
                rows: rows + rows_here,
                elapsed: begun.elapsed(),
            });
        };
        let report = run.table(table, &ours, &theirs, &mut tell_percent).await?;
        rows += report.rows;
        tables.push(report);
    }
    Ok(Report {
        schema: "tandem.verify.v1",
        from,
        to,
        verdict: report::verdict(&tables),
        rows,
        seconds: begun.elapsed().as_secs_f64(),
        tables,
    })
}

/// A session at each site, used together.
struct Pair {
    source: Side,
    target: Side,
}

/// One comparison that runs.
struct Run<'a> {
    options: &'a Options,
    pairs: Vec<Pair>,
    barrier: Barrier,
}

impl<'a> Run<'a> {
    async fn open(
        config: &Config,
        options: &'a Options,
        from: SiteId,
        to: SiteId,
    ) -> Result<Self, Error> {
        let mut pairs = Vec::new();
        for _ in 0..options.jobs.max(1) {
            let (source, target) =
                tokio::try_join!(Side::open(config, from), Side::open(config, to))?;
            pairs.push(Pair { source, target });
        }
        let barrier = Barrier::open(config, &Names::of(config, to)?, options.wait_max).await?;
        Ok(Self {
            options,
            pairs,
            barrier,
        })
    }

    async fn shapes(
        &self,
        tables: &[Published],
        source: &Names,
        target: &Names,
    ) -> Result<(Shape, Shape), Error> {
        let pair = &self.pairs[0];
        tokio::try_join!(
            catalog::shape(&pair.source, tables, &source.subscription),
            catalog::shape(&pair.target, tables, &target.subscription)
        )
    }

    /// Compares one table; an error only if no further table can be read.
    async fn table(
        &mut self,
        table: &Published,
        ours: &Shape,
        theirs: &Shape,
        tell: &mut dyn FnMut(u32, u64),
    ) -> Result<TableReport, Error> {
        let subject = match catalog::subject(table, ours, theirs) {
            Ok(subject) => subject,
            Err(why) => return Ok(TableReport::unread(table, why)),
        };
        for pair in &self.pairs {
            pair.source.next_table().await;
            pair.target.next_table().await;
        }
        let compared = match &subject.key {
            Some(_) => table::compare(self, &subject, tell).await,
            None => keyless::compare(self, &subject).await,
        };
        match compared {
            Ok(report) => Ok(report),
            Err(error) if self.is_closed() => Err(error),
            Err(error) => Ok(TableReport::unread(table, sentence(&error))),
        }
    }

    /// Why a barrier was not reached.
    fn late(&self) -> String {
        let seconds = self.options.wait_max.as_secs_f64();
        format!(
            "the replica did not apply within {seconds} s what the primary had; it lags or stands still"
        )
    }

    fn is_closed(&self) -> bool {
        let closed = |pair: &Pair| pair.source.is_closed() || pair.target.is_closed();
        self.barrier.is_closed() || self.pairs.iter().any(closed)
    }
}

/// Who feeds whom now. Changes must flow for a barrier; a paused direction is better than none,
/// since equal rows need no barrier.
fn direction(status: &Status) -> Result<(SiteId, SiteId), Error> {
    let rank = |state: State| match state {
        State::Streaming | State::Copying | State::Down => 0,
        State::Paused => 1,
        State::Lost | State::Waiting | State::Unknown => 2,
    };
    let best = status
        .directions
        .iter()
        .min_by_key(|direction| rank(direction.state));
    if let Some(found) = best.filter(|found| rank(found.state) < 2) {
        return Ok((found.from, found.to));
    }
    let silent: Vec<_> = status
        .sites
        .iter()
        .filter_map(|site| {
            site.error
                .as_ref()
                .map(|error| format!("; {}: {error}", site.site))
        })
        .collect();
    Err(Error::Missing(format!(
        "replication between the sites{}",
        silent.concat()
    )))
}

/// The published tables that were asked for; all faults at once.
fn wanted(published: Vec<Published>, names: &[String]) -> Result<Vec<Published>, Error> {
    if names.is_empty() {
        return Ok(published);
    }
    let known = |name: &&String| published.iter().any(|table| &table.title() == *name);
    let unknown: Vec<_> = names.iter().filter(|name| !known(name)).cloned().collect();
    if !unknown.is_empty() {
        let all: Vec<_> = published.iter().map(Published::title).collect();
        return Err(Error::Configuration {
            key: "--table".into(),
            problem: format!(
                "{} not published; published are {}",
                unknown.join(", "),
                all.join(", ")
            ),
        });
    }
    Ok(published
        .into_iter()
        .filter(|table| names.contains(&table.title()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(name: &str) -> Published {
        Published {
            schema: "public".into(),
            name: name.into(),
            columns: Vec::new(),
            filter: None,
        }
    }

    #[test]
    fn tables_are_named_with_their_schema() {
        let all = || vec![published("a"), published("b")];
        assert_eq!(wanted(all(), &[]).unwrap().len(), 2);
        assert_eq!(
            wanted(all(), &["public.b".into()]).unwrap(),
            [published("b")]
        );
        let fault = wanted(all(), &["b".into(), "public.c".into()])
            .unwrap_err()
            .to_string();
        assert_eq!(
            fault,
            "--table: b, public.c not published; published are public.a, public.b"
        );
    }
}
