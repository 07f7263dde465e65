//! `tandem uninstall`: takes everything of Tandem out of both databases, in the right order.
//!
//! Look at both servers, refuse what would end half-way, plan from what is there, act, look again.
//! A run that was killed is finished by running it again, since each plan begins with a look.
//!
//! Invariant: no application's write is refused on the way: guards come off first, and nothing
//! else is touched while one is on. Refused: dropping what others need (a column's default that
//! calls one of our functions, a role that owns something); it is named instead.

mod plan;
mod remains;

use std::time::Duration;

use tandem_core::config::Config;

use self::plan::Case;
use self::remains::Remains;
use crate::doctor::{Finding, Level};
use crate::error::{Error, sentence};
use crate::names::Names;
use crate::setup::Pair;
use crate::steps::{Executor, Outcome, Patience, Step};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Plain replication stays, connected straight to the primary.
    pub keep_replication: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// How locks are waited for.
    pub patience: Patience,
}

/// How it ended.
#[derive(Debug)]
pub struct Report {
    /// The steps, or why there are none.
    pub outcome: Outcome,
    /// What stays on purpose, a sentence each.
    pub left: Vec<String>,
}

/// Takes Tandem out of both databases; nothing to take out is success.
///
/// # Errors
/// If a server is lost on the way or refuses a step, or if something is left that was dropped.
/// Steps that were taken stay; the next run goes on from there.
pub async fn run(
    config: &Config,
    options: &Options,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Report, Error> {
    let pair = Pair::of(config)?;
    let keep = options.keep_replication;
    let (primary, replica) = match look(config, &pair).await? {
        Ok(found) => found,
        Err(faults) => return Ok(refused(faults)),
    };
    let case = Case::new(config, &pair, keep, &primary, &replica);
    let mut faults = faults(&case);
    faults.extend(renewed(&case).await?);
    if !faults.is_empty() {
        return Ok(refused(faults));
    }
    let (guards, rest) = (plan::guards(&case), plan::rest(&case)?);
    let all = || guards.iter().chain(&rest).cloned().collect::<Vec<_>>();
    if options.dry_run {
        let left = plan::left(&case, false);
        let outcome = Outcome::Planned(all());
        return Ok(Report { outcome, left });
    }
    let mut executor = Executor::new(config, &pair, options.patience).await?;
    let blocked = executor.take_all(&guards, say).await?;
    if !blocked.is_empty() {
        let taken = |step: &Step| !blocked.iter().any(|found| found.is(step));
        let taken = guards.into_iter().filter(taken).collect();
        let outcome = Outcome::Partial(taken, blocked);
        let left = vec!["everything but the guards: while one is on, its lease must stay; end what holds the table and run this again".into()];
        return Ok(Report { outcome, left });
    }
    executor.take_all(&rest, say).await?;
    drop(executor);
    let left = read_back(config, &pair, keep).await?;
    Ok(Report {
        outcome: Outcome::Done(all()),
        left,
    })
}

fn refused(faults: Vec<Finding>) -> Report {
    Report {
        outcome: Outcome::Refused(faults),
        left: Vec::new(),
    }
}

/// Both servers, or which of them did not answer.
async fn look(
    config: &Config,
    pair: &Pair,
) -> Result<Result<(Remains, Remains), Vec<Finding>>, Error> {
    let (primary, replica) = tokio::join!(
        remains::read(config, &pair.primary),
        remains::read(config, &pair.replica)
    );
    let mut silent = Vec::new();
    for (names, answer) in [(&pair.primary, &primary), (&pair.replica, &replica)] {
        if let Err(error @ (Error::Connect { .. } | Error::TimedOut { .. })) = answer {
            silent.push(finding(
                names,
                sentence(error),
                "let it answer first: an uninstall at one site only would leave the other half-way",
            ));
        }
    }
    if silent.is_empty() {
        return Ok(Ok((primary?, replica?)));
    }
    Ok(Err(silent))
}

fn finding(names: &Names, problem: String, fix: &str) -> Finding {
    Finding {
        site: names.site,
        check: "uninstall",
        level: Level::Refusal,
        problem,
        fix: fix.to_owned(),
    }
}

/// Everything that would stop the plan half-way, or fight it.
fn faults(case: &Case<'_>) -> Vec<Finding> {
    let mut faults = Vec::new();
    for side in &case.sides {
        let mut refuse = |problem: String, fix: &str| {
            faults.push(finding(side.names, problem, fix));
        };
        let found = side.found;
        if let Some(site) = found
            .site
            .as_ref()
            .filter(|site| *site != side.names.site.as_str())
        {
            refuse(
                format!("this is the database of site {site}"),
                "put the address in tandem.toml right",
            );
        }
        if found.agent_sessions > 0 {
            refuse(
                format!("{} session(s) of the agents' role", found.agent_sessions),
                "agents are running: take the guards off (`tandem guard remove`), let applications reach the primary without the gate, then stop the agents first",
            );
        }
        for used in &found.uses {
            refuse(
                format!("{used} needs something in Tandem's schemas"),
                "drop it first; it is not Tandem's to drop",
            );
        }
        for table in &found.strangers {
            refuse(
                format!("table {table} is not Tandem's"),
                "move it to another schema",
            );
        }
    }
    if case.keep && case.receiver().is_none() {
        let side = &case.sides[1];
        faults.push(finding(
            side.names,
            "not exactly one site receives, so it is not clear which replication to keep".into(),
            "enable the subscription to keep, or go without --keep-replication",
        ));
    }
    faults
}

/// An open lease that moves is renewed by somebody. One that stands still (break-glass, or what
/// dead agents left) only ends.
async fn renewed(case: &Case<'_>) -> Result<Vec<Finding>, Error> {
    let open: Vec<_> = case
        .sides
        .iter()
        .filter(|side| side.found.lease.is_some())
        .collect();
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let authority = &case.config.policy.authority;
    tokio::time::sleep(3 * authority.renew().max(Duration::from_millis(100))).await;
    let mut faults = Vec::new();
    for side in open {
        let now = remains::lease(case.config, side.names.site).await?;
        if now.is_some() && now != side.found.lease {
            faults.push(finding(
                side.names,
                "the right to write is being renewed".into(),
                "agents are running: stop the agents first (and before that `tandem guard remove`, so that no write is refused meanwhile)",
            ));
        }
    }
    Ok(faults)
}

/// Looks again: nothing may be left to do. Returns what stays on purpose.
async fn read_back(config: &Config, pair: &Pair, keep: bool) -> Result<Vec<String>, Error> {
    let primary = remains::read(config, &pair.primary).await?;
    let replica = remains::read(config, &pair.replica).await?;
    let case = Case::new(config, pair, keep, &primary, &replica);
    let left = plan::left(&case, true);
    let stays = |step: &Step| {
        left.iter().any(|said| {
            step.what.starts_with("drop role") && said.starts_with(&format!("{}: role", step.site))
        })
    };
    let mut todo = plan::guards(&case);
    todo.extend(plan::rest(&case)?);
    todo.retain(|step| !stays(step));
    if todo.is_empty() {
        return Ok(left);
    }
    Err(Error::Malformed {
        what: "the catalog, read back,",
        text: format!("still to do: {todo:?}"),
    })
}
