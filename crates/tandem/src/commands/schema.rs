//! `tandem schema`: schema changes on a replicated pair, each statement at the right site first.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;
use tandem_postgres::schema::{
    self, Circumstances, Difference, Finding, Level, Migration, Obstacle, Options, Outcome, Step,
};

use super::agent::{USAGE, read_config};
use super::person::{FAILED, Output, REFUSED};

/// The page on which every rule is explained.
const PAGE: &str = "docs/guides/schema-changes.md";

/// Arguments of `tandem schema`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem schema lint migrations/*.sql             offline, for a pipeline; needs no configuration
  tandem schema plan migrations/0007_email.sql    the steps, for the pair as it stands now
  tandem schema apply migrations/0007_email.sql   takes them; run again, it goes on where it stopped
  tandem schema diff                              tables and columns that differ between the sites

Exit codes: 0 clean or done, 1 faults, failed or different, 2 usage, 3 warnings only (lint),
5 refused, nothing was changed.")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Name statements that stop or silently break replication, or hold long locks
    Lint(LintArgs),
    /// Print the steps in order: site, statement, lock, time, undo
    Plan(PlanArgs),
    /// Take the steps; a second run goes on where the first one stopped
    Apply(ApplyArgs),
    /// Name every table and column that differs between the sites
    Diff(DiffArgs),
}

#[derive(clap::Args)]
struct LintArgs {
    /// Migration files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The schema of names without one
    #[arg(long, value_name = "NAME", default_value = "public")]
    schema: String,
    /// The role that may own tables
    #[arg(long, value_name = "ROLE")]
    owner_role: Option<String>,
    /// The migration tool wraps each file in one transaction
    #[arg(long)]
    wrapped: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(clap::Args)]
struct FileArgs {
    /// The migration
    file: PathBuf,
    /// The name under which both sites remember it [default: its folder and file name]
    #[arg(long)]
    name: Option<String>,
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// The longest single wait for a lock: traffic queues behind it
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    lock_timeout: Duration,
    /// How long a lock is tried for in all, with pauses
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = time)]
    lock_limit: Duration,
    /// How long one statement or the copy of new tables may take
    #[arg(long, value_name = "TIME", default_value = "4h", value_parser = time)]
    step_limit: Duration,
}

#[derive(clap::Args)]
struct PlanArgs {
    #[command(flatten)]
    file: FileArgs,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(clap::Args)]
struct ApplyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args)]
struct DiffArgs {
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

/// `500ms`, `2s`, `10m`, `4h`.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits]
        .parse()
        .map_err(|_| format!("`{text}` has no number, write 2s or 500ms"))?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(format!("`{other}` is no unit; there are ms, s, m and h")),
    };
    match number.saturating_mul(unit) {
        // PostgreSQL reads 0 as "wait for ever", and counts in 31 bits.
        0 => Err("0 would mean to wait for ever".into()),
        millis if millis > 2_000_000_000 => Err("23 days are the most".into()),
        millis => Ok(Duration::from_millis(millis)),
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Lint(args) => lint(&args),
        Verb::Plan(args) => plan(&args),
        Verb::Apply(args) => apply(&args),
        Verb::Diff(args) => diff(&args),
    }
}

#[derive(Serialize)]
struct Linted<'a> {
    schema: &'static str,
    findings: &'a [Finding],
}

fn lint(args: &LintArgs) -> anyhow::Result<ExitCode> {
    let circumstances = Circumstances {
        schema: args.schema.clone(),
        owner_role: args.owner_role.clone(),
        wrapped: args.wrapped,
    };
    let mut findings = Vec::new();
    for path in &args.files {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(problem) => {
                eprintln!("error: {} cannot be read: {problem}", path.display());
                return Ok(ExitCode::from(USAGE));
            }
        };
        findings.extend(schema::lint(
            &path.display().to_string(),
            &text,
            &circumstances,
        ));
    }
    match args.output {
        Output::Json => print_json(&Linted {
            schema: "tandem.schema-lint.v1",
            findings: &findings,
        })?,
        Output::Table => print_findings(&findings),
    }
    Ok(ExitCode::from(match schema::worst(&findings) {
        Some(Level::Fault) => 1,
        Some(Level::Warning) => 3,
        Some(Level::Note) | None => 0,
    }))
}

fn print_findings(findings: &[Finding]) {
    for found in findings {
        println!(
            "{}:{}: {} {}: {}",
            found.file,
            found.line,
            found.level,
            found.rule,
            one_line(&found.what)
        );
        match &found.allowed {
            Some(reason) => println!("    allowed: {reason}"),
            None => println!("    why: {}\n    fix: {}", found.why, found.fix),
        }
    }
    let open = |level| {
        findings
            .iter()
            .filter(|found| found.level == level && found.allowed.is_none())
            .count()
    };
    let allowed = findings
        .iter()
        .filter(|found| found.allowed.is_some())
        .count();
    println!(
        "{} faults, {} warnings, {} notes, {allowed} allowed; {PAGE} explains each",
        open(Level::Fault),
        open(Level::Warning),
        open(Level::Note)
    );
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Folder and file name: the same from every place where the file is checked out.
fn name_of(path: &Path) -> String {
    let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parts: Vec<_> = absolute
        .components()
        .rev()
        .take(2)
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

impl FileArgs {
    fn migration(&self) -> anyhow::Result<Migration> {
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("{} cannot be read", self.file.display()))?;
        let name = self.name.clone().unwrap_or_else(|| name_of(&self.file));
        Ok(Migration { name, text })
    }

    fn options(&self, dry_run: bool) -> Options {
        Options {
            dry_run,
            lock_timeout: self.lock_timeout,
            lock_limit: self.lock_limit,
            step_limit: self.step_limit,
            ..Options::default()
        }
    }

    /// Plans or takes the file; `None` after the faults of the configuration were printed.
    fn run(&self, dry_run: bool) -> anyhow::Result<Option<Outcome>> {
        let Some(config) = read_config(&self.config)? else {
            return Ok(None);
        };
        let mut say = |step: &Step| eprintln!("{step}");
        let (migration, options) = (self.migration()?, self.options(dry_run));
        let work = schema::run(&config, &migration, &options, &mut say);
        Ok(Some(runtime()?.block_on(work)?))
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

#[derive(Serialize)]
struct Planned<'a> {
    schema: &'static str,
    primary: Option<tandem_core::model::SiteId>,
    steps: &'a [Step],
    obstacles: &'a [Obstacle],
}

fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let Some(outcome) = args.file.run(true)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let (primary, steps, obstacles) = match &outcome {
        Outcome::Planned(primary, steps) => (Some(*primary), steps.as_slice(), &[][..]),
        Outcome::Refused(obstacles) => (None, &[][..], obstacles.as_slice()),
        Outcome::Done(..) | Outcome::Different(_) => anyhow::bail!("a dry run took steps"),
    };
    if args.output == Output::Json {
        print_json(&Planned {
            schema: "tandem.schema-plan.v1",
            primary,
            steps,
            obstacles,
        })?;
    } else if let Some(primary) = primary {
        println!("primary: {primary}\n");
        print_steps(steps);
    } else {
        print_obstacles(obstacles);
    }
    Ok(ExitCode::from(if obstacles.is_empty() {
        0
    } else {
        REFUSED
    }))
}

fn print_steps(steps: &[Step]) {
    for (number, step) in (1..).zip(steps) {
        let done = if step.done { " [done before]" } else { "" };
        println!("{number:>3}. {step}{done}");
        let class = step
            .class
            .map(|class| format!("{class}, "))
            .unwrap_or_default();
        println!("     {class}lock: {}, {}", step.lock, step.time);
        if let Some(undo) = &step.undo {
            println!("     undo: {undo}");
        }
    }
}

fn print_obstacles(obstacles: &[Obstacle]) {
    println!("nothing was changed; {} in the way:", obstacles.len());
    for found in obstacles {
        println!("  {}\n    fix: {}", found.problem, found.fix);
    }
}

fn apply(args: &ApplyArgs) -> anyhow::Result<ExitCode> {
    if !args.yes {
        match args.file.run(true)? {
            Some(Outcome::Planned(primary, steps)) => {
                println!("primary: {primary}\n");
                print_steps(&steps);
            }
            Some(outcome) => return Ok(ended(outcome)),
            None => return Ok(ExitCode::from(USAGE)),
        }
        if !agreed()? {
            eprintln!("nothing was changed");
            return Ok(ExitCode::from(REFUSED));
        }
    }
    Ok(match args.file.run(false)? {
        Some(outcome) => ended(outcome),
        None => ExitCode::from(USAGE),
    })
}

/// What a person at a terminal says; elsewhere `--yes` is the only word.
fn agreed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        eprintln!("nobody can be asked here: add --yes");
        return Ok(false);
    }
    eprint!("take these steps? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes"))
}

fn ended(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Refused(obstacles) => {
            print_obstacles(&obstacles);
            ExitCode::from(REFUSED)
        }
        Outcome::Different(differences) => {
            println!("every step was taken, and the sites still differ:");
            print_differences(&differences);
            ExitCode::from(FAILED)
        }
        Outcome::Planned(_, steps) | Outcome::Done(_, steps) => {
            let before = steps.iter().filter(|step| step.done).count();
            println!(
                "{} steps taken, {before} were done before; both sites have the same schema",
                steps.len() - before
            );
            ExitCode::SUCCESS
        }
    }
}

#[derive(Serialize)]
struct Differing<'a> {
    schema: &'static str,
    differences: &'a [Difference],
}

fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let found = runtime()?.block_on(schema::diff(&config))?;
    match args.output {
        Output::Json => print_json(&Differing {
            schema: "tandem.schema-diff.v1",
            differences: &found,
        })?,
        Output::Table if found.is_empty() => println!("both sites have the same schema"),
        Output::Table => print_differences(&found),
    }
    Ok(ExitCode::from(if found.is_empty() { 0 } else { FAILED }))
}

fn print_differences(differences: &[Difference]) {
    for found in differences {
        println!("{found}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("4h"), Ok(Duration::from_secs(14_400)));
        for wrong in ["", "2", "s", "0s", "2w", "99999999h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_migration_is_known_by_its_folder_and_file() {
        assert_eq!(
            name_of(Path::new("/srv/app/migrations/0007/up.sql")),
            "0007/up.sql"
        );
    }
}
