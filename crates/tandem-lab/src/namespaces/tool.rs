//! `ip`, `nft` and `tc`: run to their end, with what they refused in the error.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::process::namespace_file;
use crate::{Error, Result};

/// No call takes longer: a kernel that is stuck must not hang the lab as well.
const BOUND: &str = "30";

/// Runs `program`, with `text` as its input.
pub(super) fn run(step: &'static str, program: &str, args: &[&str], text: &str) -> Result<()> {
    let mut command = bounded();
    command.arg(program).args(args);
    finish(step, command, text)
}

/// The same inside a namespace.
pub(super) fn run_in(
    namespace: &str,
    step: &'static str,
    program: &str,
    args: &[&str],
    text: &str,
) -> Result<()> {
    let mut command = bounded();
    let file = namespace_file(namespace);
    command.arg("nsenter");
    command.arg(format!("--net={}", file.display()));
    command.args(["--", program]).args(args);
    finish(step, command, text)
}

/// What `program` prints; `None` if it fails.
pub(super) fn said_by(program: &str, args: &[&str]) -> Option<String> {
    let mut command = bounded();
    command.arg(program).args(args).stdin(Stdio::null());
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn bounded() -> Command {
    let mut command = Command::new("timeout");
    command.arg(BOUND);
    command
}

fn finish(step: &'static str, mut command: Command, text: &str) -> Result<()> {
    let failed = |said: String| Error::Network { step, said };
    command.stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let mut input = child.stdin.take().expect("piped above");
    // Who does not read it says why at the end.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{} ({})", said.trim_end(), output.status)))
}
