//! `tandem cost`: what the installation really costs, computed offline.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use rust_decimal::Decimal;
use tandem_infra::cost::catalog::Catalogue;
use tandem_infra::cost::render::{self, Frame};
use tandem_infra::cost::usage::Usage;
use tandem_infra::cost::{self, Breakdown, STALE_DAYS, Sources};
use tandem_infra::estate::Estate;

use super::check::Input;

/// The exit code of a broken budget.
const OVER_BUDGET: u8 = 7;

/// Arguments of `tandem cost`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem cost --infra terraform                       the monthly table and four scenarios
  tandem cost explain gke-nodes --infra terraform     one line with every price and source
  tandem cost savings --infra terraform               what would lower it, and what must not be done
  tandem cost diff --infra old new                    two configurations side by side
  tandem cost --infra terraform --fail-over-budget 7000

Exit codes: 0 done, 7 over the budget, 1 failed.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Box<Options>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// One line with every component, price, source and date
    Explain {
        /// The line's name, the last column of the table; every line without it
        line: Option<String>,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// What would lower the bill, ranked; what breaks the goal is vetoed
    Savings {
        #[command(flatten)]
        options: Box<Options>,
    },
    /// What another configuration would cost, line by line
    Diff {
        /// The folder to compare with --infra
        other: PathBuf,
        #[command(flatten)]
        options: Box<Options>,
    },
}

#[derive(clap::Args)]
struct Options {
    #[command(flatten)]
    input: Input,
    /// Prices from this CSV file instead of the embedded ones
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Usage in Infracost's shape (YAML)
    #[arg(long, value_name = "FILE")]
    usage: Option<PathBuf>,
    /// Prices older than so many days are marked stale
    #[arg(long, value_name = "DAYS", default_value_t = STALE_DAYS)]
    stale_days: u32,
    /// Show won beside dollars: the rate and its day
    #[arg(long, value_name = "RATE@YYYY-MM-DD")]
    krw: Option<String>,
    /// Show value-added tax of so many percent apart
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    vat: Option<u32>,
    /// Fail with exit code 7 if the monthly total is above this
    #[arg(long, value_name = "USD")]
    fail_over_budget: Option<Decimal>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
    Csv,
    Html,
    Markdown,
}

impl Options {
    fn sources(&self) -> anyhow::Result<Sources> {
        let catalogue = self
            .catalog
            .as_deref()
            .map_or_else(|| Ok(Catalogue::embedded()), Catalogue::read)?;
        let usage = self
            .usage
            .as_deref()
            .map_or_else(|| Ok(Usage::default()), Usage::read)?;
        Ok(Sources {
            catalogue,
            usage,
            stale_days: self.stale_days,
        })
    }

    fn frame(&self, sources: &Sources) -> anyhow::Result<Frame> {
        let krw = self.krw.as_deref().map(rate).transpose()?;
        let today = self.input.today.to_string();
        Ok(Frame {
            krw,
            vat_percent: self.vat,
            today,
            catalogue: sources.catalogue.source.clone(),
        })
    }
}

/// `1300@2026-11-01`.
fn rate(text: &str) -> anyhow::Result<(Decimal, String)> {
    let (rate, date) = text
        .split_once('@')
        .context("--krw needs RATE@YYYY-MM-DD: a rate without its day is worth nothing")?;
    let day: jiff::civil::Date = date
        .parse()
        .with_context(|| format!("`{date}` is no day"))?;
    let rate: Decimal = rate
        .parse()
        .with_context(|| format!("`{rate}` is no rate"))?;
    if rate <= Decimal::ZERO || rate > Decimal::from(1_000_000) {
        bail!("`{rate}` is no rate of won a dollar");
    }
    Ok((rate, day.to_string()))
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        None => table(&args.options),
        Some(Command::Explain { line, options }) => explain(line.as_deref(), &options),
        Some(Command::Savings { options }) => savings(&options),
        Some(Command::Diff { other, options }) => diff(&other, &options),
    }
}

fn answer(options: &Options) -> anyhow::Result<(Estate, Sources, Breakdown)> {
    let (estate, sources) = (options.input.read()?, options.sources()?);
    let breakdown = cost::breakdown(&estate, &sources);
    Ok((estate, sources, breakdown))
}

fn table(options: &Options) -> anyhow::Result<ExitCode> {
    let (estate, sources, breakdown) = answer(options)?;
    let frame = options.frame(&sources)?;
    let months = cost::scenario::scenarios(&estate, &sources);
    match options.output {
        Output::Table => print!("{}", render::table(&breakdown, &months, &frame)),
        Output::Json => println!("{}", render::json(&breakdown, &months, &frame)),
        Output::Csv => print!("{}", render::csv(&breakdown)),
        Output::Html => print!("{}", render::html(&breakdown, &months, &frame)),
        Output::Markdown => print!("{}", render::markdown(&breakdown, &months, &frame)),
    }
    Ok(budget(options, &breakdown))
}

/// 7 if the total is above the budget.
fn budget(options: &Options, breakdown: &Breakdown) -> ExitCode {
    match options.fail_over_budget {
        Some(budget) if breakdown.total > budget => {
            eprintln!(
                "over budget: {} USD a month against {budget}",
                breakdown.total
            );
            ExitCode::from(OVER_BUDGET)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn explain(line: Option<&str>, options: &Options) -> anyhow::Result<ExitCode> {
    let (_, _, breakdown) = answer(options)?;
    match line {
        Some(name) => print!(
            "{}",
            render::explain(cost::find_line(&breakdown, name)?, &breakdown)
        ),
        None => breakdown
            .lines
            .iter()
            .for_each(|line| println!("{}", render::explain(line, &breakdown))),
    }
    Ok(budget(options, &breakdown))
}

fn savings(options: &Options) -> anyhow::Result<ExitCode> {
    let (estate, sources, breakdown) = answer(options)?;
    print!(
        "{}",
        render::savings(&cost::savings::savings(&estate, &sources))
    );
    Ok(budget(options, &breakdown))
}

fn diff(other: &std::path::Path, options: &Options) -> anyhow::Result<ExitCode> {
    let (_, sources, before) = answer(options)?;
    let after = cost::breakdown(&options.input.read_folder(other)?, &sources);
    print!(
        "{}",
        render::changes(&cost::compare::changes(&before, &after), &before, &after)
    );
    Ok(budget(options, &after))
}
