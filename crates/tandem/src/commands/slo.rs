//! `tandem slo`.

use std::process::ExitCode;

/// Arguments of `tandem slo`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
