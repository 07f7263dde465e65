//! Chores of the repository: rules that no compiler checks, and generated reference pages.
//!
//! `cargo run -p xtask -- rules` and `cargo run -p xtask -- docs`. Written in Rust, so that the
//! rules are tested like everything else and run wherever the code builds.

mod docs;
mod rules;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the repository
#[derive(Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check what no compiler checks: dependencies, arrows, sizes, words
    Rules,
    /// Write the generated reference pages under docs/reference
    Docs {
        /// Write nothing; fail if a page is not what would be written
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask stands in the root");
    match Cli::parse().command {
        Command::Rules => rules::run(root),
        Command::Docs { check: false } => docs::write(root),
        Command::Docs { check: true } => docs::check(root),
    }
}
