//! `tandem check`.

use std::process::ExitCode;

/// Arguments of `tandem check`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
