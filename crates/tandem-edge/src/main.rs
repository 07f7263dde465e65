//! `tandem-edge --config edge.json`: the edge as a process.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tandem_edge::{Edge, EdgeConfig};
use tokio::signal::unix::{SignalKind, signal};

/// One address in front of two clouds: splits traffic, notices a dead cloud,
/// tries failed requests elsewhere when that is harmless.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Pools, monitors and load balancer in Cloudflare's JSON, see README.md.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only read the configuration: 0 = no fault, 2 = all faults on stderr.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,pingora_core=error,pingora_proxy=error".into()),
        )
        .init();
    let config = match read(&arguments) {
        Ok(config) => config,
        Err(fault) => {
            eprintln!("tandem-edge: {}: {fault}", arguments.config.display());
            return ExitCode::from(2);
        }
    };
    if arguments.check {
        return ExitCode::SUCCESS;
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tandem-edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read(arguments: &Arguments) -> Result<EdgeConfig, String> {
    let text = std::fs::read_to_string(&arguments.config).map_err(|error| error.to_string())?;
    EdgeConfig::parse(&text).map_err(|faults| faults.to_string())
}

fn run(config: EdgeConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.threads)
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let edge = Edge::start(config, Arc::new(rand::random::<u64>))?;
        tracing::info!(listen = %edge.listen(), admin = %edge.admin_listen(), "serving");
        terminated().await?;
        tracing::info!("stopping");
        edge.stop().await;
        anyhow::Ok(())
    })?;
    // Connections that are still open end with the process, not with a wait.
    runtime.shutdown_background();
    Ok(())
}

async fn terminated() -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
