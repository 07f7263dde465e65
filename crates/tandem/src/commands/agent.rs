//! `tandem agent`: the site daemon as a process.
//!
//! Logs go to stderr (`RUST_LOG`), one line an event. SIGTERM and Ctrl-C stop it at once: the
//! right to write needs no farewell, it runs out or a sibling keeps it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tandem_agent::AgentError;
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio::signal::unix::{SignalKind, signal};

/// The exit code for a faulty configuration and other wrong usage.
pub(crate) const USAGE: u8 = 2;

/// Arguments of `tandem agent`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// The site where this agent runs; may be the witness
    #[arg(long)]
    site: SiteId,
    /// This agent's name in the configuration
    #[arg(long)]
    name: String,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime could be started")?;
    let ended = runtime.block_on(serve(config, &args));
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error @ AgentError::NotNamed { .. }) => {
            eprintln!("error: {error}; add it to the file or correct --site and --name");
            Ok(ExitCode::from(USAGE))
        }
        Err(error) => Err(error.into()),
    }
}

async fn serve(config: Config, args: &Args) -> Result<(), AgentError> {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    tandem_agent::run(config, args.site, &args.name, stop).await
}

/// Reads and checks a `tandem.toml`. `None` after all of its faults were printed.
pub(crate) fn read_config(path: &Path) -> anyhow::Result<Option<Config>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    match Config::parse(&text) {
        Ok(config) => Ok(Some(config)),
        Err(faults) => {
            eprintln!("error: {}: {faults}", path.display());
            Ok(None)
        }
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
