//! `tandem token new`: an access token for a named person.
//!
//! The token is printed once, on stdout, so that it can go straight into a file; what stays is
//! its hash. 256 random bits need no slow hash: nobody can try them out.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tandem_agent::tokens;

use super::agent::USAGE;

const EXAMPLES: &str = "\
Examples:
  tandem token new jiyoung-kim --into /etc/tandem/tokens > jiyoung-kim.token
  tandem token new jiyoung-kim --into tokens --replace > jiyoung-kim.token";

/// Arguments of `tandem token`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token, print it once and write its hash
    #[command(before_help = EXAMPLES)]
    New(New),
}

#[derive(clap::Args)]
struct New {
    /// The person's name, as history will show it
    name: String,
    /// The folder for the file with the hash, named as the person
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
    /// Replace the hash that is there: the old token ends at once
    #[arg(long)]
    replace: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::New(new) = args.command;
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=63).contains(&new.name.len()) || !new.name.bytes().all(legal) {
        let name = &new.name;
        eprintln!("error: `{name}` is no name: use 1 to 63 lowercase letters, digits or hyphens");
        return Ok(ExitCode::from(USAGE));
    }
    let path = new.into.join(&new.name);
    if path.exists() && !new.replace {
        eprintln!(
            "error: {} is there already; --replace ends the old token, or choose another name",
            path.display()
        );
        return Ok(ExitCode::from(USAGE));
    }
    let token = tokens::make();
    write(&path, &tokens::hash_line(&token))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    println!("{token}");
    eprintln!(
        "This is the only time that the token is shown. Keep it in a file of mode 0600.\n\
         Its hash stands in {path}; bring it to every agent and name it in each tandem.toml:\n\
         \n[[access.tokens]]\nname = \"{name}\"\nhash_file = \"{path}\"",
        path = path.display(),
        name = new.name,
    );
    Ok(ExitCode::SUCCESS)
}

/// Whole or not at all: agents read it at each request.
fn write(path: &Path, line: &str) -> std::io::Result<()> {
    let next = path.with_extension("next");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(&next)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(next, path)
}
