//! `tandem history`: who asked for what, what agents decided and did, newest first.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use jiff::Timestamp;
use tandem_agent::people::History;

use super::person::{Common, Output, Session, block_on, print_json};

const EXAMPLES: &str = "\
Examples:
  tandem history
  tandem history --limit 20 -o json";

/// Arguments of `tandem history`.
#[derive(clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// How many entries
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=500))]
    limit: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let session = Session::open(&args.common)?;
    let path = format!("/v1/history?limit={}", args.limit);
    let history: History = block_on(session.ask(None, &path))?;
    match session.output {
        Output::Json => print_json(&history)?,
        Output::Table => print!("{}", render(&history)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The journal is English everywhere; only its frame is a table.
fn render(history: &History) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["TIME", "AGENT", "EPOCH", "WHAT"]);
    for entry in &history.entries {
        let at = i64::try_from(entry.at).ok();
        let at = at.and_then(|at| Timestamp::from_second(at).ok());
        let at = at.map_or_else(|| entry.at.to_string(), |at| at.to_string());
        table.add_row([
            at,
            entry.agent.clone(),
            entry.epoch.to_string(),
            entry.text.clone(),
        ]);
    }
    let lines = table.to_string();
    let lines = lines.lines().map(|line| line.trim().to_owned() + "\n");
    lines.collect()
}
