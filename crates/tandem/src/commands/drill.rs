//! `tandem drill`: break something on purpose and measure.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use comfy_table::{Table, presets};
use tandem_core::drill::verdict::Result as Outcome;
use tandem_core::drill::{Drill, Measure};
use tandem_lab::drill::bench::{self, Bench, Subject, Wish};
use tandem_lab::drill::evidence::{REPORT_HTML, Report};
use tandem_lab::drill::progress::Progress;
use tandem_lab::drill::series::{self, Plan};
use tandem_lab::drill::{Error, shelf, stop};
use tandem_lab::lab::BASE_PORT;
use tandem_lab::namespaces::Stand;

use super::network::Network;

/// A place without a terminal gets one line of progress this often.
const QUIET: Duration = Duration::from_secs(5);

/// Arguments of `tandem drill`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a drill in a lab of its own; exit 0 only if it passed, 1 if not, 2 for bad input
    Run(RunArgs),
    /// List the drills
    List(ListArgs),
    /// Many runs, for a table
    Bench(BenchArgs),
}

#[derive(clap::Args)]
struct RunArgs {
    /// A drill's name (see `tandem drill list`), or a file that ends in .toml
    name: String,
    /// How many runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=999))]
    repeat: u32,
    /// Seed of the load's timetable
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is printed at the end
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// First port of the lab
    #[arg(long, default_value_t = BASE_PORT)]
    base_port: u16,
    /// What joins the places of the lab
    #[arg(long, value_enum, default_value_t)]
    network: Network,
    /// Folder for evidence
    #[arg(long, default_value = "drills/evidence")]
    evidence: PathBuf,
    /// Go on with the newest series of this drill at the first run that is missing
    #[arg(long)]
    resume: bool,
    /// Leave the lab up after the last run, until Ctrl-C
    #[arg(long)]
    keep_lab: bool,
    /// Seconds of load before the first fault, instead of the file's
    #[arg(long)]
    before_s: Option<u32>,
    /// Seconds of load after the first fault, instead of the file's
    #[arg(long)]
    after_s: Option<u32>,
    /// Multiply bounds on time (never on loss) by this, for busy machines
    #[arg(long, default_value_t = 1.0, value_parser = at_least_one)]
    patience: f64,
}

#[derive(clap::Args)]
struct ListArgs {
    /// What is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(clap::Args)]
struct BenchArgs {
    /// What is measured
    #[arg(value_enum)]
    what: Benchmark,
    /// Runs of each drill
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=999))]
    runs: u32,
    /// These drills alone, with commas between
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Seed of the first run of each drill
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on with the newest series at the first run that is missing
    #[arg(long)]
    resume: bool,
    /// First port of the lab
    #[arg(long, default_value_t = BASE_PORT)]
    base_port: u16,
    /// Folder for results
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Benchmark {
    /// The six drills of the failover table, with Patroni + etcd + HAProxy as the peer
    Failover,
    /// Never two writers: isolated sites, frozen processes, a stale store; a quarter of the runs for the rest
    Authority,
    /// Planned moves there and back; a quarter of the runs for a database's own troubles
    Postgres,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let result = match args.verb {
        Verb::List(args) => list(args.output),
        Verb::Run(args) => run_drill(args),
        Verb::Bench(args) => runtime().and_then(|runtime| runtime.block_on(benchmark(args))),
    };
    match result {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast_ref::<Error>() {
            Some(ours) => Ok(told(ours, &error)),
            None => Err(error),
        },
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")
}

fn run_drill(args: RunArgs) -> anyhow::Result<ExitCode> {
    let say = |line: &str| eprintln!("{line}");
    let stand = args.network.take(args.base_port, say).map_err(Error::Lab)?;
    runtime()?.block_on(drill(args, stand))
}

/// Prints the error; 2 for what the caller can mend, 130 for Ctrl-C.
fn told(ours: &Error, error: &anyhow::Error) -> ExitCode {
    if matches!(ours, Error::Interrupted) {
        eprintln!("stopped; the lab is cleaned up");
        return ExitCode::from(130);
    }
    eprintln!("error: {error:#}");
    ExitCode::from(if ours.is_usage() { 2 } else { 1 })
}

fn list(output: Output) -> anyhow::Result<ExitCode> {
    let drills = shelf::all()?;
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&drills)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = plain();
    table.set_header(["drill", "load", "what is broken", "conditions"]);
    for drill in &drills {
        let load = format!("{} + {} s", drill.before_s, drill.after_s);
        table.add_row([
            drill.id.clone(),
            load,
            drill.title.clone(),
            drill.musts.len().to_string(),
        ]);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

async fn drill(args: RunArgs, stand: Option<Stand>) -> anyhow::Result<ExitCode> {
    let output = args.output;
    let plan = plan(args, stand)?;
    let screen = Screen::new();
    let stop = stop::button()?;
    screen.line(&format!("drill {}: {}", plan.drill.id, plan.drill.title));
    let reports = series::run(&plan, &|progress| screen.show(progress), &stop).await?;
    screen.end();
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&reports)?),
        Output::Table => print_reports(&plan, &reports),
    }
    let passed = reports
        .iter()
        .all(|report| report.verdict.result == Outcome::Passed);
    Ok(ExitCode::from(u8::from(!passed)))
}

fn plan(args: RunArgs, stand: Option<Stand>) -> anyhow::Result<Plan> {
    let mut drill = shelf::take(&args.name)?;
    drill.before_s = args.before_s.unwrap_or(drill.before_s);
    drill.after_s = args.after_s.unwrap_or(drill.after_s);
    let drill = drill.checked().map_err(|faults| Error::Drill {
        path: PathBuf::from(&args.name),
        faults,
    })?;
    Ok(Plan {
        folder: folder(&args.evidence.join(&drill.id), args.resume),
        command: command(&args, &drill),
        drill,
        repeat: args.repeat,
        seed: args.seed,
        patience: args.patience,
        base_port: args.base_port,
        stand,
        keep_lab: args.keep_lab,
    })
}

fn at_least_one(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "write a number".to_owned())?;
    let fits = factor.is_finite() && factor >= 1.0;
    fits.then_some(factor)
        .ok_or_else(|| "write 1 or more".to_owned())
}

fn command(args: &RunArgs, drill: &Drill) -> String {
    let RunArgs {
        name, seed, repeat, ..
    } = args;
    let (before, after) = (drill.before_s, drill.after_s);
    let network = match args.network {
        Network::Userland => String::new(),
        other => format!(" --network {}", other.word()),
    };
    format!(
        "tandem drill run {name} --seed {seed} --repeat {repeat} --before-s {before} --after-s {after}{network}"
    )
}

/// A new series' folder, or the newest one to go on with.
fn folder(parent: &Path, resume: bool) -> PathBuf {
    let newest = resume.then(|| series::newest(parent)).flatten();
    newest.unwrap_or_else(|| parent.join(jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string()))
}

async fn benchmark(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let (subject, name) = match args.what {
        Benchmark::Failover => (Subject::Failover, "failover"),
        Benchmark::Authority => (Subject::Authority, "authority"),
        Benchmark::Postgres => (Subject::Postgres, "postgres"),
    };
    let wish = Wish {
        subject,
        runs: args.runs,
        only: args.only,
        seed: args.seed,
        folder: folder(&args.folder.join(name), args.resume),
        base_port: args.base_port,
    };
    let screen = Screen::new();
    let stop = stop::button()?;
    let result = bench::run(&wish, &|progress| screen.show(progress), &stop).await?;
    screen.end();
    let path = args.folder.join(format!("{name}.json"));
    result.write(&path)?;
    print_bench(&result);
    println!(
        "\n{}\nevidence of every run: {}",
        path.display(),
        wish.folder.display()
    );
    Ok(ExitCode::from(u8::from(!result.holds())))
}

fn print_bench(result: &Bench) {
    let mut table = plain();
    table.set_header(["figure", "value", "min .. max", "runs", "must", "", "peer"]);
    for row in &result.rows {
        let unit = row.unit.split(' ').next().unwrap_or_default();
        let holds = row
            .holds
            .map_or("", |holds| if holds { "holds" } else { "BROKEN" });
        let peer = row
            .peer
            .as_ref()
            .map(|peer| format!("{} {unit} ({})", peer.value, peer.name));
        table.add_row([
            row.id.clone(),
            format!("{} {unit}", row.value),
            format!("{} .. {}", row.min, row.max),
            row.runs.to_string(),
            row.must.clone().unwrap_or_default(),
            holds.to_owned(),
            peer.unwrap_or_default(),
        ]);
    }
    println!("{table}");
}

fn print_reports(plan: &Plan, reports: &[Report]) {
    for report in reports {
        print_report(report);
        let page = plan.run_folder(report.run.number).join(REPORT_HTML);
        println!(
            "report: {}\n",
            std::path::absolute(&page).unwrap_or(page).display()
        );
    }
    if reports.len() > 1 {
        let passed = reports
            .iter()
            .filter(|report| report.verdict.result == Outcome::Passed)
            .count();
        println!("{passed} of {} runs passed", reports.len());
    }
}

fn print_report(report: &Report) {
    print_timeline(report);
    for moved in &report.moves {
        let pause = moved.pause.map(|pause| pause.length().as_secs_f64());
        let pause = pause.map_or("not measured".to_owned(), |pause| format!("{pause:.3} s"));
        let took = moved.asked.length().as_secs_f64();
        let action = &moved.action;
        println!("  {action}: told after {took:.2} s, writes paused for {pause}");
    }
    let mut table = plain();
    table.set_header(["condition", "value", "must", ""]);
    for judged in &report.verdict.conditions {
        let unit = judged.measure.unit().split(' ').next().unwrap_or_default();
        let value = judged.value.map_or("not measured".to_owned(), |value| {
            format!("{} {unit}", (value * 1_000.0).round() / 1_000.0)
        });
        let holds = if judged.holds { "holds" } else { "BROKEN" };
        table.add_row([
            judged.measure.name().to_owned(),
            value,
            judged.bound.to_string(),
            holds.to_owned(),
        ]);
    }
    println!("{table}");
    let figure = |measure: Measure| report.values.get(&measure).copied().unwrap_or_default();
    println!(
        "{} requests, {} failed; {} writes acknowledged, {} of them missing on the survivor, {} of these found again",
        figure(Measure::Requests),
        figure(Measure::FailedRequests),
        figure(Measure::Acknowledged),
        figure(Measure::Missing),
        figure(Measure::MissingFound),
    );
    let why = report
        .verdict
        .aborted
        .as_ref()
        .map(|why| format!(": {why}"));
    println!(
        "run {} of {}: {}{}",
        report.run.number,
        report.drill.id,
        report.verdict.result.to_string().to_uppercase(),
        why.unwrap_or_default()
    );
}

fn print_timeline(report: &Report) {
    let marks = report.timing.marks;
    let Some(t0) = marks.t0 else { return };
    let all = [
        ("T0 fault injected", marks.t0),
        ("T1 first failed request", marks.t1),
        ("T2 suspicion", marks.t2),
        ("T3 decision", marks.t3),
        ("T4 old side fenced", marks.t4),
        ("T5 new side writable", marks.t5),
        ("T6 first write again", marks.t6),
        ("T7 99 % succeed from here on", marks.t7),
    ];
    for (name, at) in all {
        if let Some(at) = at {
            println!("  {:>7.3} s  {name}", at.since(t0).as_secs_f64());
        }
    }
    let seconds = |span: Option<Duration>| {
        span.map_or("-".to_owned(), |span| {
            format!("{:.2} s", span.as_secs_f64())
        })
    };
    let timing = &report.timing;
    let gap = timing.read_gap.map(|gap| gap.length());
    println!(
        "  write RTO (T6 - T0) {}, RTO (T7 - T1) {}, read gap {}, RPO {}",
        seconds(timing.write_rto),
        seconds(timing.rto),
        seconds(gap),
        seconds(Some(report.oracle.rpo))
    );
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// Progress on standard error: a live line on a terminal, lines now and then elsewhere.
struct Screen {
    is_terminal: bool,
    state: Mutex<Shown>,
}

struct Shown {
    live: bool,
    last: Option<Instant>,
}

impl Screen {
    fn new() -> Self {
        let state = Mutex::new(Shown {
            live: false,
            last: None,
        });
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            state,
        }
    }

    fn show(&self, progress: &Progress) {
        match progress {
            Progress::Phase(text) => self.line(text),
            Progress::Fault(text) => self.line(&format!(">> {text}")),
            Progress::Finding(held, text) => self.line(&format!(
                "{} {text}",
                if *held { "ok:" } else { "NOT AS IT MUST BE:" }
            )),
            Progress::Live(live) => self.live(&live.to_string()),
        }
    }

    fn line(&self, text: &str) {
        self.end();
        eprintln!("{text}");
    }

    fn live(&self, text: &str) {
        let mut shown = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.is_terminal {
            eprint!("\r\x1b[K{text}");
            // A line that cannot be shown is no reason to stop a drill.
            let _ = std::io::stderr().flush();
            shown.live = true;
        } else if shown.last.is_none_or(|last| last.elapsed() >= QUIET) {
            eprintln!("{text}");
            shown.last = Some(Instant::now());
        }
    }

    /// Leaves the live line.
    fn end(&self) {
        let mut shown = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if shown.live {
            eprintln!();
            shown.live = false;
        }
    }
}
