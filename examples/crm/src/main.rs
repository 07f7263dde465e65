//! A small CRM: contacts in PostgreSQL, sessions in Redis, one cloud per copy.
//!
//! An ordinary service with ordinary drivers. It knows that it runs in one of
//! two clouds (`CLOUD_PROVIDER`) and that its databases can go away; it knows
//! nothing of what moves the traffic or the right to write.
//!
//! Invariant: a statement that may have been executed is never sent again; the
//! client is told `"outcome": "unknown"` instead.

mod contacts;
mod database;
mod health;
mod http;
mod sessions;
mod settings;
mod trouble;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::settings::Settings;

/// How long a stop waits for answers that are under way. Parked writes may wait
/// longer than that; their clients see the connection close, nothing was sent.
const STOP_WAIT: Duration = Duration::from_millis(700);

/// An example CRM that runs in two clouds. All settings are environment variables.
#[derive(Parser)]
#[command(version, after_help = settings::HELP)]
struct Arguments {}

fn main() -> ExitCode {
    Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,deadpool.postgres=error".into()),
        )
        .init();
    let settings = match Settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(2);
        }
    };
    match run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(settings: &Settings) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    let app = Arc::new(http::App::new(settings)?);
    let mut pulses = health::start(&app.health, settings)?;
    tracing::info!(listen = %listener.local_addr()?, cloud = %settings.cloud, "serving");

    let (stop, stopping) = watch::channel(false);
    let server = axum::serve(listener, http::router(app))
        .with_graceful_shutdown(stopped(stopping))
        .into_future();
    let server = tokio::spawn(server);
    terminated().await?;
    tracing::info!("stopping");
    stop.send_replace(true);
    pulses.abort_all();
    match tokio::time::timeout(STOP_WAIT, server).await {
        Ok(ended) => ended??,
        Err(_) => tracing::warn!("stopped with answers still under way"),
    }
    Ok(())
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
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
