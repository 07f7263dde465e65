//! `tandem-sim`: incidents in virtual time, many of them.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
