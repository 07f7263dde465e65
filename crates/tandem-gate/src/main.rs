//! `tandem-gate`: the local endpoint through which applications reach PostgreSQL.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tandem_gate::{Gate, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Exit code for a configuration that cannot be used.
const EXIT_CONFIG: u8 = 2;

/// The local endpoint through which applications reach PostgreSQL: leads write
/// sessions to the site that may write, and read sessions to the local database.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The cluster's configuration as seen from this site.
    #[arg(long)]
    config: PathBuf,
    /// The site of this gate.
    #[arg(long)]
    site: SiteId,
    /// The gate's name in the configuration.
    #[arg(long)]
    name: String,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let settings = match settings(&Arguments::parse()) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("tandem-gate: {error:#}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tandem-gate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn settings(arguments: &Arguments) -> anyhow::Result<Settings> {
    let path = &arguments.config;
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = Config::parse(&text).with_context(|| format!("cannot use {}", path.display()))?;
    Ok(Settings::of(&config, arguments.site, &arguments.name)?)
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    raise_file_limit();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let gate = Gate::start(settings).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    gate.stop().await;
    Ok(())
}

/// Two sockets a session, three ports: more than the usual soft limit of 1,024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
