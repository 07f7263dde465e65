//! Schema changes on a replicated pair, each statement at the right site first.
//!
//! Replication carries rows, never the shape of tables, and apply stops at the first row that finds
//! no place. So what widens goes to the replica first, what narrows to the primary first, and rows to
//! the primary only. [`lint`] judges a file offline, [`run`] plans the steps for the pair as it
//! stands now and takes them, [`diff`] names what differs between the sites.
//!
//! Invariant: a step that was taken is never taken again: each leaves its mark in the same
//! transaction, or can be seen in the catalog.
//!
//! Refused: replicating DDL by event triggers, which needs a superuser at both sites and runs the
//! same order everywhere.

mod execute;
mod lint;
mod look;
mod obstacles;
mod plan;
mod reading;
mod rules;
mod script;
mod shape;
mod statements;
mod steps;
mod tables;
mod text;
mod words;

use std::time::Duration;

use tandem_core::config::Config;
use tandem_core::model::SiteId;

pub use lint::{Circumstances, Finding, lint, worst};
pub use obstacles::Obstacle;
pub use plan::Step;
pub use reading::{Class, Name};
pub use rules::{Level, RULES, Rule};
pub use shape::{Difference, diff};

use crate::error::Error;
use execute::Executor;

/// How patient a run is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only say the steps.
    pub dry_run: bool,
    /// The longest single wait for a lock, and the pause before the next.
    pub lock_timeout: Duration,
    /// How long a lock is tried for in all.
    pub lock_limit: Duration,
    /// How long the replica may take to catch up.
    pub catch_up_limit: Duration,
    /// How long a single statement (an index, a copy of new tables) may take.
    pub step_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dry_run: false,
            lock_timeout: Duration::from_secs(2),
            lock_limit: Duration::from_secs(120),
            catch_up_limit: Duration::from_secs(120),
            step_limit: Duration::from_secs(4 * 3600),
        }
    }
}

/// A file to be taken to both sites.
#[derive(Debug, Clone)]
pub struct Migration {
    /// The name under which the journal remembers it.
    pub name: String,
    /// Its statements.
    pub text: String,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing was changed.
    Refused(Vec<Obstacle>),
    /// A dry run, from the primary named: these steps would be taken.
    Planned(SiteId, Vec<Step>),
    /// These steps were taken, but those marked as done before.
    Done(SiteId, Vec<Step>),
    /// Every step was taken, and the sites still differ.
    Different(Vec<Difference>),
}

/// Plans `migration` for the pair as it stands, and takes the steps unless it is a dry run.
/// `say` is told each step before it is taken.
///
/// # Errors
/// If a server cannot be reached or refuses a step. What was done stays and is marked; the same
/// call goes on from there.
pub async fn run(
    config: &Config,
    migration: &Migration,
    options: &Options,
    say: &mut (dyn FnMut(&Step) + Send),
) -> Result<Outcome, Error> {
    let circumstances = Circumstances {
        schema: config
            .database
            .schemas
            .first()
            .cloned()
            .unwrap_or_else(|| "public".into()),
        owner_role: Some(config.database.owner_role.clone()),
        wrapped: false,
    };
    let script = lint::understand(&migration.name, &migration.text, &circumstances);
    let view = match look::view(!options.dry_run, config, &migration.name).await? {
        Ok(view) => view,
        Err(obstacle) => return Ok(Outcome::Refused(vec![obstacle])),
    };
    let planned = plan::plan(config, &script, &view.sides);
    let mut obstacles = view.obstacles.clone();
    let steps = match planned {
        Ok(steps) if obstacles.is_empty() => steps,
        Ok(_) => return Ok(Outcome::Refused(obstacles)),
        Err(found) => {
            obstacles.extend(found);
            return Ok(Outcome::Refused(obstacles));
        }
    };
    let primary = view.sides.primary.names.site;
    if options.dry_run {
        return Ok(Outcome::Planned(primary, steps));
    }
    let executor = Executor {
        config,
        options,
        migration: &migration.name,
        connections: &view.connections,
        view: &view,
    };
    take(&executor, primary, steps, say).await
}

async fn take(
    executor: &Executor<'_>,
    primary: SiteId,
    steps: Vec<Step>,
    say: &mut (dyn FnMut(&Step) + Send),
) -> Result<Outcome, Error> {
    if steps.iter().any(|step| !step.done) {
        executor.prepare().await?;
    }
    for step in steps.iter().filter(|step| !step.done) {
        say(step);
        executor.take(step).await?;
    }
    let remaining = executor.remaining().await?;
    Ok(match remaining.is_empty() {
        true => Outcome::Done(primary, steps),
        false => Outcome::Different(remaining),
    })
}
