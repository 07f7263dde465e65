//! What the commands that change both databases share: how a plan and its end are printed, and how
//! long a lock may be waited for.
//!
//! A plan names for each step where it acts, its SQL (a mark stands where a password would be),
//! the lock it takes and for how long. `-o json` prints the same under schema `tandem.steps.v1`.

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use tandem_postgres::doctor::Finding;
use tandem_postgres::steps::{Blocked, Outcome, Patience, Step};

use super::agent::USAGE;
use super::person::{Output, PARTIAL, print_json};

/// How much of a long statement a person is shown.
const LINES_SHOWN: usize = 6;

/// How locks are waited for.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Locks {
    /// How long one attempt may wait for a lock, and application traffic behind it, like 500ms or 1s
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = lock_timeout)]
    lock_timeout: Duration,
}

impl Locks {
    pub(crate) fn patience(self) -> Patience {
        Patience {
            lock_timeout: self.lock_timeout,
            ..Patience::default()
        }
    }
}

fn lock_timeout(text: &str) -> Result<Duration, String> {
    let fix = || "write milliseconds or seconds from 10ms to 60s, like 500ms or 1s".to_owned();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').ok_or_else(fix)?, 1_000),
    };
    let ms = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    ms.filter(|ms| (10..=60_000).contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(fix)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    result: &'static str,
    /// Planned or taken.
    steps: &'a [Step],
    /// Never got their lock.
    blocked: &'a [Blocked],
    /// Why nothing was changed.
    refused: &'a [Finding],
    /// What stays on purpose.
    left: &'a [String],
}

/// Prints how a command ended and says with which code. `done` is the last line of a success.
pub(crate) fn show(
    outcome: &Outcome,
    left: &[String],
    output: Output,
    done: &str,
) -> anyhow::Result<ExitCode> {
    match output {
        Output::Json => print_json(&document(outcome, left))?,
        Output::Table => print(outcome, left, done),
    }
    Ok(match outcome {
        Outcome::Refused(_) => ExitCode::from(USAGE),
        Outcome::Partial(..) => ExitCode::from(PARTIAL),
        Outcome::Planned(_) | Outcome::Done(_) => ExitCode::SUCCESS,
    })
}

fn document<'a>(outcome: &'a Outcome, left: &'a [String]) -> Document<'a> {
    let mut document = Document {
        schema: "tandem.steps.v1",
        result: "done",
        steps: &[],
        blocked: &[],
        refused: &[],
        left,
    };
    match outcome {
        Outcome::Refused(faults) => (document.result, document.refused) = ("refused", faults),
        Outcome::Planned(steps) => (document.result, document.steps) = ("planned", steps),
        Outcome::Done(steps) => document.steps = steps,
        Outcome::Partial(steps, blocked) => {
            document.result = "partial";
            (document.steps, document.blocked) = (steps, blocked);
        }
    }
    document
}

fn print(outcome: &Outcome, left: &[String], done: &str) {
    match outcome {
        Outcome::Refused(faults) => {
            eprintln!("nothing was changed; {} fault(s):", faults.len());
            for fault in faults {
                eprintln!("  {fault}");
            }
        }
        Outcome::Planned(steps) => {
            steps.iter().for_each(print_step);
            println!("{} step(s) to take; nothing was changed", steps.len());
        }
        Outcome::Done(steps) if steps.is_empty() => println!("everything is in place"),
        Outcome::Done(steps) => println!("{} step(s) taken; {done}", steps.len()),
        Outcome::Partial(steps, blocked) => {
            println!("{} step(s) taken; these never got their lock:", steps.len());
            for step in blocked {
                println!("  {step}");
            }
            println!("the same command again goes on there");
        }
    }
    for sentence in left {
        println!("left: {sentence}");
    }
}

fn print_step(step: &Step) {
    println!("{step}");
    let lines: Vec<_> = step
        .sql
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let shown = if lines.len() > LINES_SHOWN {
        LINES_SHOWN / 2
    } else {
        lines.len()
    };
    for line in &lines[..shown] {
        println!("    {}", line.trim_end());
    }
    if shown < lines.len() {
        println!(
            "    ... {} more lines; -o json prints them",
            lines.len() - shown
        );
    }
    if let Some(lock) = &step.lock {
        println!(
            "  lock: {} on {}, which blocks {}",
            lock.mode, lock.table, lock.blocks
        );
    }
    println!("  lasts: {}", step.lasts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_timeouts_are_short_spans() {
        assert_eq!(lock_timeout("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(lock_timeout("250ms"), Ok(Duration::from_millis(250)));
        for text in [
            "1",
            "",
            "s",
            "0s",
            "2m",
            "61s",
            "-1s",
            "99999999999999999999s",
        ] {
            assert!(lock_timeout(text).is_err(), "{text}");
        }
    }
}
