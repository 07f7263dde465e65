//! `tandem verify`: do both databases hold the same rows? Read-only, while traffic runs.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use tandem_postgres::Error;
use tandem_postgres::verify::{
    self, Difference, Kind, Method, Options, Progress, Report, TableReport, Unsettled, Verdict,
};
use tokio::signal::unix::{SignalKind, signal};

use super::agent::{USAGE, read_config};
use super::person::Output;

/// Something could not be compared, or did not settle, or was interrupted.
const UNFINISHED: u8 = 4;

/// Rows that are printed for each table; the JSON has them all.
const LINES_MAX: usize = 50;

/// Arguments of `tandem verify`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem verify                                       every published table
  tandem verify --table public.contact --reveal       one table, with the values that differ
  tandem verify --reveal --repair-plan > plan.sql     SQL that would mend the replica; never executed
  tandem verify -o json                               for programs (schema tandem.verify.v1)

Nothing is written at either site, and writers are not stopped. Keys are always shown, values only with --reveal.
Exit codes: 0 equal, 1 rows differ, 2 usage, 4 unfinished or unsettled.")]
pub(crate) struct Args {
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// Compare only this table; may be repeated
    #[arg(long = "table", value_name = "SCHEMA.TABLE")]
    tables: Vec<String>,
    /// Rows that are hashed by one statement, about
    #[arg(long, value_name = "N", default_value_t = 75_000, value_parser = clap::value_parser!(u32).range(1..))]
    chunk_rows: u32,
    /// Differences to name in each table before the rest of it is left alone
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit_differences: usize,
    /// How long the replica may take to apply what the primary has, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Sessions at each site; more are faster and ask more of the servers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// Show the values of rows that differ
    #[arg(long)]
    reveal: bool,
    /// Print SQL that would bring the replica to the primary's rows, instead of the table
    #[arg(long, conflicts_with = "output")]
    repair_plan: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let options = Options {
        tables: args.tables,
        chunk_rows: args.chunk_rows,
        limit_differences: args.limit_differences,
        reveal: args.reveal,
        wait_max: Duration::from_secs(args.wait),
        jobs: usize::from(args.jobs),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut meter = Meter::new();
    let answer = runtime.block_on(async {
        let mut tell = |progress: &Progress<'_>| meter.show(progress);
        tokio::select! {
            answer = verify::run(&config, &options, &mut tell) => Some(answer),
            () = interrupted() => None,
        }
    });
    meter.clear();
    let report = match answer {
        Some(Ok(report)) => report,
        Some(Err(error)) => return Ok(refused(error)),
        None => {
            eprintln!("interrupted: nothing is proven");
            return Ok(ExitCode::from(UNFINISHED));
        }
    };
    match args.output {
        _ if args.repair_plan => print!("{}", verify::repair_plan(&report)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Table => print_report(&report),
    }
    Ok(ExitCode::from(match report.verdict {
        Verdict::Equal => 0,
        Verdict::Different => 1,
        Verdict::Unsettled => UNFINISHED,
    }))
}

/// Whatever kept the comparison from ending.
fn refused(error: Error) -> ExitCode {
    let usage = matches!(error, Error::Configuration { .. });
    eprintln!("error: {:#}", anyhow::Error::from(error));
    ExitCode::from(if usage { USAGE } else { UNFINISHED })
}

async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// One line on stderr: rewritten on a terminal, now and then a new one elsewhere.
struct Meter {
    terminal: bool,
    shown: Option<Instant>,
}

impl Meter {
    fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            shown: None,
        }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        let pause = Duration::from_millis(if self.terminal { 200 } else { 10_000 });
        if self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        let (number, tables) = progress.place;
        let line = format!(
            "{} ({number} of {tables}): {} %, {} rows, {} rows/s",
            progress.table,
            progress.percent,
            progress.rows,
            per_second(progress.rows, progress.elapsed.as_secs_f64())
        );
        match self.terminal {
            true => eprint!("\r\x1b[K{line}"),
            false => eprintln!("{line}"),
        }
        self.shown = Some(Instant::now());
    }

    fn clear(&self) {
        if self.terminal && self.shown.is_some() {
            eprint!("\r\x1b[K");
            // A meter that cannot be wiped off does no harm.
            let _ = std::io::stderr().flush();
        }
    }
}

fn per_second(rows: u64, seconds: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    let rate = (rows as f64 / seconds.max(0.001)) as u64;
    rate
}

fn print_report(report: &Report) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["table", "rows", "compared", "result", ""]);
    for found in &report.tables {
        table.add_row([
            found.table.clone(),
            found.rows.to_string(),
            method(found.method).to_owned(),
            result(found),
            found.note.clone().unwrap_or_default(),
        ]);
    }
    println!("{table}");
    for found in &report.tables {
        print_rows(report, found);
    }
    let verdict = match report.verdict {
        Verdict::Equal => "equal: both databases hold the same rows",
        Verdict::Different => "DIFFERENT: rows differ",
        Verdict::Unsettled => "unfinished: no difference is proven, equality neither",
    };
    println!(
        "{} -> {}: {verdict}; {} rows in {:.1} s, {} rows/s",
        report.from,
        report.to,
        report.rows,
        report.seconds,
        per_second(report.rows, report.seconds)
    );
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Ranges => "by key",
        Method::KeyHash => "in one piece, by key",
        Method::Whole => "in one piece, no key",
        Method::None => "not at all",
    }
}

fn result(found: &TableReport) -> String {
    match found.verdict {
        Verdict::Equal => "equal".into(),
        Verdict::Different if found.differences.is_empty() => "DIFFERENT".into(),
        Verdict::Different => format!("DIFFERENT: {} row(s)", found.differences.len()),
        Verdict::Unsettled if found.unsettled.is_empty() => "unfinished".into(),
        Verdict::Unsettled => format!("unsettled: {} row(s)", found.unsettled.len()),
    }
}

fn print_rows(report: &Report, found: &TableReport) {
    for difference in found.differences.iter().take(LINES_MAX) {
        println!("{} {}", found.table, sentence(report, difference));
        print_values(report, difference);
    }
    let hidden = found.differences.len().saturating_sub(LINES_MAX);
    if hidden > 0 {
        println!("{} and {hidden} more; -o json has them all", found.table);
    }
    for row in found.unsettled.iter().take(LINES_MAX) {
        println!("{} {}", found.table, restless(report, row));
    }
}

/// `id=7: missing at gcp`.
fn sentence(report: &Report, difference: &Difference) -> String {
    let kind = match difference.kind {
        Kind::Missing => format!("missing at {}", report.to),
        Kind::Extra => format!("extra at {}", report.to),
        Kind::Different => format!("different in {}", difference.columns.join(", ")),
    };
    format!("{}: {kind}", key(&difference.key))
}

fn restless(report: &Report, row: &Unsettled) -> String {
    format!(
        "{}: unsettled, it changed in each of {} looks; there at {} in {}, at {} in {}",
        key(&row.key),
        row.looks,
        report.from,
        row.at_primary,
        report.to,
        row.at_replica
    )
}

fn key(key: &std::collections::BTreeMap<String, String>) -> String {
    let columns: Vec<_> = key
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    columns.join(" ")
}

fn print_values(report: &Report, difference: &Difference) {
    let Some(values) = &difference.values else {
        return;
    };
    for (site, row) in [(report.from, &values.primary), (report.to, &values.replica)] {
        let Some(row) = row else { continue };
        let shown = row
            .iter()
            .filter(|(name, _)| difference.columns.is_empty() || difference.columns.contains(name));
        let shown: Vec<_> = shown
            .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")))
            .collect();
        println!("    {site}: {}", shown.join(" "));
    }
}
