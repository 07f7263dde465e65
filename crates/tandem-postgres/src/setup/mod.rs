//! `tandem replication setup`: from two databases to a replicated, guarded pair.
//!
//! Look at both servers, check every precondition, plan, act, look again: the plan is
//! made from what is missing, so a second run finds nothing to do. All faults are told
//! at once, before anything is changed.
//!
//! Invariant: nothing a user wrote is ever deleted or overwritten. Where the two sides
//! contradict each other (rows on the replica, a slot without its subscription), setup
//! stops and says what a person must decide.

mod check;
mod execute;
mod gather;
mod plan;
pub(crate) mod script;

use std::time::Duration;

use tandem_core::config::Config;

pub use plan::Step;
pub(crate) use script::fingerprint;

use crate::doctor::{Finding, Level};
use crate::error::Error;
use crate::names::Names;

/// What setup is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only say what would be done.
    pub dry_run: bool,
    /// File with the application role's password; needed if the role does not exist.
    pub application_password_file: Option<String>,
    /// How long the initial copy of all tables may take.
    pub copy_limit: Duration,
}

/// How setup ended.
#[derive(Debug)]
pub enum Outcome {
    /// Preconditions are not met; nothing was changed.
    Refused(Vec<Finding>),
    /// A dry run: these steps would be taken.
    Planned(Vec<Step>),
    /// These steps were taken; none if everything was in place.
    Done(Vec<Step>),
}

/// Prepares both databases. `say` is told each step and the progress of the copy.
///
/// # Errors
/// If a server cannot be reached or refuses a step. Steps that were taken stay; the
/// next run goes on from there.
pub async fn run(
    config: &Config,
    options: &Options,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Outcome, Error> {
    let pair = Pair::of(config)?;
    let (primary, replica) = gather::gather_both(config, &pair, options).await?;
    let found = check::check(config, &pair, options, &primary, &replica);
    let (faults, warnings): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|finding| finding.level == Level::Refusal);
    for warning in &warnings {
        say(&format!("warning: {warning}"));
    }
    if !faults.is_empty() {
        return Ok(Outcome::Refused(faults));
    }
    let steps = plan::plan(config, &pair, &primary, &replica)?;
    if options.dry_run {
        return Ok(Outcome::Planned(steps));
    }
    let mut executor = execute::Executor::new(config, &pair, options).await?;
    for step in &steps {
        say(&step.to_string());
        executor.take(step).await?;
    }
    executor.wait_ready(say).await?;
    Ok(Outcome::Done(steps))
}

/// The two sites in the first direction, with their names.
pub(crate) struct Pair {
    pub(crate) primary: Names,
    pub(crate) replica: Names,
}

impl Pair {
    pub(crate) fn of(config: &Config) -> Result<Self, Error> {
        let primary = Names::of(config, config.policy.first_primary)?;
        let replica = Names::of(config, primary.other)?;
        Ok(Self { primary, replica })
    }
}
