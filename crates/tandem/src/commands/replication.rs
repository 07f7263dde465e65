//! `tandem replication`: set up replication between both databases, and watch it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use comfy_table::{Table, presets};
use tandem_core::config::Config;
use tandem_postgres::setup::{self, Options};
use tandem_postgres::status::{self, Direction, Status};

use super::agent::{USAGE, read_config};
use super::person::Output;
use super::steps::{Locks, show};

/// Arguments of `tandem replication`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The configuration as seen from this place
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "tandem.toml"
    )]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Verb {
    /// Prepare both databases while applications write: roles, heartbeat, publication, subscription, guard
    Setup(SetupArgs),
    /// Show each direction: slot, positions, subscription, lag in seconds and bytes
    Status(OutputArgs),
}

#[derive(clap::Args)]
struct SetupArgs {
    /// Only print the steps: SQL, locks, how long
    #[arg(long)]
    dry_run: bool,
    /// No application writes at the primary: guard its tables at once, before an agent holds the right
    #[arg(long)]
    offline: bool,
    /// File with the application role's password; needed if that role does not exist
    #[arg(long, value_name = "FILE")]
    application_password_file: Option<String>,
    /// How long the initial copy of all tables may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    copy_limit: u64,
    #[command(flatten)]
    locks: Locks,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(clap::Args)]
struct OutputArgs {
    /// What is printed
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match args.verb {
        Verb::Setup(args) => runtime.block_on(set_up(&config, args)),
        Verb::Status(args) => runtime.block_on(show_status(&config, args.output)),
    }
}

async fn set_up(config: &Config, args: SetupArgs) -> anyhow::Result<ExitCode> {
    let options = Options {
        dry_run: args.dry_run,
        application_password_file: args.application_password_file,
        copy_limit: Duration::from_secs(args.copy_limit),
        offline: args.offline,
        patience: args.locks.patience(),
    };
    let outcome = setup::run(config, &options, &mut |line| eprintln!("{line}")).await?;
    show(&outcome, &[], args.output, "every table is ready")
}

async fn show_status(config: &Config, output: Output) -> anyhow::Result<ExitCode> {
    let status = status::read(config).await?;
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&status)?),
        Output::Table => print_status(&status),
    }
    let silent = status.sites.iter().any(|site| site.error.is_some());
    Ok(if silent {
        ExitCode::from(6)
    } else {
        ExitCode::SUCCESS
    })
}

fn print_status(status: &Status) {
    for site in &status.sites {
        if let Some(error) = &site.error {
            println!("{}: {error}", site.site);
        }
    }
    if status.directions.is_empty() {
        println!("no replication; `tandem replication setup` makes it");
    }
    for direction in &status.directions {
        println!(
            "{} -> {}: {}",
            direction.from, direction.to, direction.state
        );
        println!("{}", direction_table(direction));
    }
}

fn direction_table(direction: &Direction) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut row = |name: &str, value: Option<String>| {
        table.add_row([format!("  {name}"), value.unwrap_or_else(|| "-".into())]);
    };
    let slot = direction.slot.as_ref();
    row("slot_name", slot.map(|slot| slot.slot_name.clone()));
    row("active", slot.map(|slot| slot.active.to_string()));
    row("restart_lsn", text(slot.and_then(|slot| slot.restart_lsn)));
    row(
        "confirmed_flush_lsn",
        text(slot.and_then(|slot| slot.confirmed_flush_lsn)),
    );
    row("current_lsn", text(slot.map(|slot| slot.current_lsn)));
    row(
        "slot headroom (bytes)",
        text(slot.and_then(|slot| slot.headroom_bytes)),
    );
    let subscription = direction.subscription.as_ref();
    row("subname", subscription.map(|found| found.name.clone()));
    row(
        "tables ready",
        subscription.map(|found| format!("{} of {}", found.tables_ready, found.tables_total)),
    );
    row(
        "received_lsn",
        text(subscription.and_then(|found| found.received_lsn)),
    );
    row(
        "latest_end_lsn",
        text(subscription.and_then(|found| found.latest_end_lsn)),
    );
    row("lag (ms)", text(direction.lag_ms));
    row("lag (bytes)", text(direction.lag_bytes));
    table
}

fn text<T: ToString>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}
