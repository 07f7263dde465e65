//! `tandem slo`: availability arithmetic.

use std::path::PathBuf;
use std::process::ExitCode;

use tandem_core::slo::{MONTH, Pair, Share, WHOLE, YEAR, error_budget, seconds};
use tandem_infra::read::{TEXT_BYTES_MAX, read_bounded};
use tandem_infra::slo::{Rates, YEARS_MAX, render, simulate};

/// Arguments of `tandem slo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The downtime that an availability allows
    Budget {
        /// The availability in percent
        #[arg(default_value = "99.99")]
        availability: Share,
    },
    /// Two clouds with common causes and imperfect failovers
    Composite {
        /// Availability of one cloud alone, in percent
        #[arg(long, default_value = "99.79")]
        single: Share,
        /// Share of outages that hit both clouds, in percent
        #[arg(long, default_value = "5")]
        common_cause: Share,
        /// Share of failovers that succeed, in percent: drills passed / drills run
        #[arg(long, default_value = "95")]
        coverage: Share,
    },
    /// Simulate many years with your own rates
    Simulate {
        /// Rates in TOML; what it leaves out keeps an invented default
        #[arg(long, value_name = "FILE")]
        rates: Option<PathBuf>,
        /// How many years
        #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(YEARS_MAX)))]
        years: u32,
        /// The same seed gives the same answer
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Budget { availability } => budget(availability),
        Command::Composite {
            single,
            common_cause,
            coverage,
        } => composite(Pair {
            single,
            common_cause,
            coverage,
        }),
        Command::Simulate {
            rates,
            years,
            seed,
            output,
        } => {
            let rates = match rates {
                Some(path) => Rates::parse(&read_bounded(&path, TEXT_BYTES_MAX)?)?,
                None => Rates::default(),
            };
            let simulated = simulate(&rates, years, seed);
            match output {
                Output::Table => print!("{}", render::table(&rates, &simulated)),
                Output::Json => println!("{}", render::json(&rates, &simulated)),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn budget(availability: Share) {
    for (name, period) in [("a year", YEAR), ("30 days", MONTH)] {
        let allowed = error_budget(availability, period);
        let minutes = allowed.as_secs_f64() / 60.0;
        println!(
            "{availability} of {name:<8} allows {minutes:.2} min ({})",
            seconds(allowed)
        );
    }
}

fn composite(pair: Pair) {
    let naive = Pair {
        common_cause: Share::from_ppb(0),
        coverage: Share::from_ppb(WHOLE),
        ..pair
    };
    println!("one cloud                     {}", pair.single);
    println!("two, if they were independent {}", naive.availability());
    println!(
        "two, {} common cause, {} failover coverage",
        pair.common_cause, pair.coverage
    );
    println!("                              {}", pair.availability());
}
