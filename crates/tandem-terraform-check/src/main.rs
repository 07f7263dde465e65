//! `terraform-check`: the offline checks of the infrastructure code, for people and for CI.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::{Parser, Subcommand};
use tandem_terraform_check::harness::{self, Depth, Life};
use tandem_terraform_check::mutation::{self, Verdict};
use tandem_terraform_check::server::Providers;
use tandem_terraform_check::terraform::{self, Terraform};
use tandem_terraform_check::{Error, bench, faults, names, reading, readme, topology};

/// Checks the infrastructure code with the real terraform, without any cloud
#[derive(Parser)]
#[command(name = "terraform-check")]
struct Cli {
    /// The tree with modules and environments [default: terraform/ of this repository]
    #[arg(long, global = true)]
    tree: Option<PathBuf>,
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Formatting, names, versions, and every module and environment through its whole life
    Check {
        /// Only validate and test, no settings
        #[arg(long)]
        quick: bool,
        /// Also validate and test with the oldest and the newest terraform
        #[arg(long)]
        versions: bool,
        /// Only roots whose name contains this
        #[arg(long)]
        only: Option<String>,
    },
    /// Break single lines and count who notices
    Mutate {
        /// How many; 0 is all
        #[arg(long, default_value_t = 600)]
        count: usize,
        /// Of the sample
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only roots whose name contains this
        #[arg(long)]
        only: Option<String>,
    },
    /// Write the tables of inputs and outputs in the READMEs
    Readme,
    /// Run a command with the providers served: `terraform-check run -- terraform plan`
    Run {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

/// CI's machines have two cores; more hardly helps, since terraform itself runs in parallel.
const WORKERS: usize = 2;
/// After so many broken lines a person wants to know that it goes on.
const PROGRESS: usize = 25;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let repository = terraform::repository();
    let tree = cli.tree.unwrap_or_else(|| repository.join("terraform"));
    let done = match cli.command {
        Task::Check {
            quick,
            versions,
            only,
        } => check(&repository, &tree, quick, versions, only.as_deref()),
        Task::Mutate { count, seed, only } => {
            mutate(&repository, &tree, count, seed, only.as_deref())
        }
        Task::Readme => write_tables(&tree),
        Task::Run { command } => run(&command),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("terraform-check: {error}");
            ExitCode::from(2)
        }
    }
}

fn chosen(tree: &Path, only: Option<&str>) -> Result<Vec<harness::Root>, Error> {
    let mut roots = harness::roots(tree)?;
    roots.retain(|root| only.is_none_or(|part| root.name.contains(part)));
    Ok(roots)
}

fn check(
    repository: &Path,
    tree: &Path,
    quick: bool,
    others: bool,
    only: Option<&str>,
) -> Result<bool, Error> {
    let terraform = Terraform::find()?;
    let providers = Providers::start()?;
    let begin = Instant::now();
    let roots = chosen(tree, only)?;
    let mut problems = vec![];
    if only.is_none() {
        harness::formatted(&terraform, &providers, tree)?;
        problems.extend(names::check(tree)?);
        let estate = topology::build(&terraform, &providers, tree)?;
        problems.extend(topology::check(&estate));
        println!(
            "topology of the environments together: {} s",
            begin.elapsed().as_secs()
        );
        problems.extend(faults::check(repository, &faults::committed()?)?);
    }
    for root in &roots {
        let found = reading::check(&tree.join(&root.name))?;
        problems.extend(found.iter().map(|found| format!("{}: {found}", root.name)));
    }
    for problem in &problems {
        println!("FAIL {problem}");
    }
    let depth = if quick { Depth::Tests } else { Depth::Whole };
    let mut failed = pass(&terraform, &providers, tree, &roots, depth);
    if others {
        for version in terraform::OTHER_VERSIONS {
            let terraform = Terraform::version(version)?;
            failed += pass(&terraform, &providers, tree, &roots, Depth::Tests);
        }
    }
    println!(
        "{} roots, {failed} failed, {} other findings, {} s",
        roots.len(),
        problems.len(),
        begin.elapsed().as_secs()
    );
    Ok(failed == 0 && problems.is_empty() && !roots.is_empty())
}

fn pass(
    terraform: &Terraform,
    providers: &Providers,
    tree: &Path,
    roots: &[harness::Root],
    depth: Depth,
) -> usize {
    println!("terraform {}", terraform.name());
    let lives = harness::live_all(terraform, providers, tree, roots, depth, WORKERS, tell);
    let assertions: usize = lives.iter().map(|life| life.assertions).sum();
    println!("{assertions} assertions in all");
    lives.iter().filter(|life| life.fault.is_some()).count()
}

fn tell(life: &Life) {
    let steps = life
        .steps
        .iter()
        .map(|(name, took)| format!("{name} {:.1}s", took.as_secs_f64()));
    let steps: Vec<String> = steps.collect();
    match &life.fault {
        None => println!(
            "ok   {} ({} assertions): {}",
            life.root,
            life.assertions,
            steps.join(", ")
        ),
        Some(fault) => println!("FAIL {}: {}\n{fault}", life.root, steps.join(", ")),
    }
}

fn mutate(
    repository: &Path,
    tree: &Path,
    count: usize,
    seed: u64,
    only: Option<&str>,
) -> Result<bool, Error> {
    let terraform = Terraform::find()?;
    let providers = Providers::start()?;
    let begin = Instant::now();
    let (started, load) = (jiff::Timestamp::now().to_string(), bench::load());
    let mut all = vec![];
    for root in chosen(tree, only)? {
        all.extend(mutation::of(tree, &root)?);
    }
    let in_all = all.len();
    let sample = mutation::sample(all, count, seed);
    println!("{} of {in_all} one-line faults, seed {seed}", sample.len());
    let done = AtomicUsize::new(0);
    let told = |verdict: &Verdict| {
        tell_survivor(verdict);
        let done = 1 + done.fetch_add(1, Ordering::Relaxed);
        if done.is_multiple_of(PROGRESS) {
            println!("{done} broken, {} s", begin.elapsed().as_secs());
        }
    };
    let verdicts = mutation::run(&terraform, &providers, tree, sample, WORKERS, told)?;
    let killed = verdicts
        .iter()
        .filter(|verdict| verdict.by.is_some())
        .count();
    for by in mutation::CHECKS {
        let count = verdicts
            .iter()
            .filter(|verdict| verdict.by == Some(*by))
            .count();
        println!("noticed by {by}: {count}");
    }
    let percent = 100.0 * killed as f64 / verdicts.len().max(1) as f64;
    println!(
        "killed {killed} of {} = {percent:.1} %, {} s",
        verdicts.len(),
        begin.elapsed().as_secs()
    );
    let row = bench::Row {
        id: "mutation.killed".into(),
        value: percent,
        unit: "%",
        runs: verdicts.len(),
        must: Some(">= 95".into()),
    };
    let holds = row.holds() == Some(true);
    let path = bench::write(repository, "terraform", &started, load, &[row])?;
    println!("written to {}", path.display());
    Ok(holds)
}

fn tell_survivor(verdict: &Verdict) {
    if verdict.by.is_none() {
        let mutation = &verdict.mutation;
        let kind = format!("{:?}", mutation.kind).to_lowercase();
        println!(
            "survived {kind:9} {}:{}: {}",
            mutation.file,
            mutation.line + 1,
            mutation.was.trim()
        );
    }
}

fn write_tables(tree: &Path) -> Result<bool, Error> {
    let changed = readme::write(tree, &harness::roots(tree)?)?;
    println!("{changed} READMEs changed");
    Ok(true)
}

fn run(command: &[String]) -> Result<bool, Error> {
    let providers = Providers::start()?;
    let (program, arguments) = command.split_first().expect("clap asks for one");
    let status = Command::new(program)
        .args(arguments)
        .envs(providers.environment())
        .status();
    let status = status.map_err(|source| Error::File {
        path: program.into(),
        source,
    })?;
    Ok(status.success())
}
