//! Our own command line, run as a person types it.
//!
//! Drills ask through the same door as people: what a person cannot do, no drill does.
//! Invariant: every command has an end. Secrets are named by their file and never by their value.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use super::Error;

/// How long a command that lists something may take.
pub(super) const LIST: Duration = Duration::from_secs(120);

/// Runs `tandem` with `args` to its end, whatever its exit code; it lies beside the running binary.
///
/// # Errors
/// [`Error::Command`] if it cannot be started or does not end within `bound`.
pub(super) async fn own_command(args: &[&str], bound: Duration) -> Result<Output, Error> {
    let failed = |said: String| failed(args, said);
    let program = own_program().map_err(|error| failed(error.to_string()))?;
    let mut command = tokio::process::Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(bound, command.output()).await;
    let output = output.map_err(|_| failed(format!("no end within {} s", bound.as_secs())))?;
    output.map_err(|error| failed(error.to_string()))
}

/// What a command printed, if it went well.
///
/// # Errors
/// [`Error::Command`] with what it said.
pub(super) fn told(args: &[&str], output: Output) -> Result<Vec<u8>, Error> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(args, said.trim_end().to_owned()))
}

fn failed(args: &[&str], said: String) -> Error {
    Error::Command {
        command: format!("tandem {}", args.join(" ")),
        said,
    }
}

/// Everything that a command said, stderr last.
pub(super) fn words(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}\n{err}").trim().to_owned()
}

/// The same on one line.
pub(super) fn on_one_line(output: &Output) -> String {
    words(output).lines().collect::<Vec<_>>().join(" | ")
}

/// `tandem` beside the running program, which may be a test in `deps`.
fn own_program() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    Ok(above.unwrap_or(folder).join("tandem"))
}
