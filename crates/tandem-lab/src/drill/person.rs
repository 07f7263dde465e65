//! The named person of a drill: moves the right to write, and makes an old primary a replica.
//!
//! The commands are those of `tandem`, with the token that the lab made, so that a drill needs
//! every right that a person needs and is refused by every rule.
//! Invariant: a refusal is an outcome that the drill file judges, and no error of the runner.

use std::process::Output;
use std::time::Duration;

use tandem_core::drill::Action;
use tandem_core::drill::action::Wanted;
use tandem_core::drill::observed::Told;

use super::Error;
use super::command::{on_one_line, own_command, words};
use super::stage::Stage;

/// How long a person watches a move, in seconds.
const WATCH_S: u64 = 120;

/// How much longer the command itself may take.
const GRACE: Duration = Duration::from_secs(20);

/// The command's exit codes: `tandem` documents them in `commands/person.rs`.
const DONE: i32 = 0;
const REFUSED: i32 = 5;
const PARTIAL: i32 = 6;

/// What is asked for, and what the answer must be.
struct Errand {
    args: Vec<String>,
    wait: bool,
    wanted: Wanted,
}

/// Asks as the lab's person.
///
/// # Errors
/// [`Error::Command`] if the command cannot be run or does not end.
pub(super) async fn ask(stage: &Stage, action: &Action) -> Result<Told, Error> {
    let Some(errand) = errand(action) else {
        let said = "this is nothing that a person asks for".to_owned();
        return Ok(told_so(false, said));
    };
    let watch = if errand.wait { WATCH_S } else { 0 };
    let (watch, config, token) = (watch.to_string(), stage.config_file(), stage.token_file());
    let mut args: Vec<&str> = errand.args.iter().map(String::as_str).collect();
    args.extend(["--reason", "a drill", "--lang", "en", "--no-input"]);
    args.extend(["--config", &config, "--token-file", &token]);
    args.extend(["--confirm", stage.cluster(), "--wait", &watch]);
    let output = own_command(&args, Duration::from_secs(WATCH_S) + GRACE).await?;
    Ok(judge(&errand, &output))
}

fn errand(action: &Action) -> Option<Errand> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let (args, wait, wanted): (Vec<String>, bool, Wanted) = match action {
        Action::Switchover { to, wait, expect } => {
            (words(&["switchover", "--to", to.as_str()]), *wait, *expect)
        }
        Action::Failover {
            to,
            accept_loss,
            wait,
            expect,
        } => {
            let mut args: Vec<String> = words(&["failover", "--to", to.as_str()]);
            if let Some(why) = accept_loss {
                args.extend(["--accept-loss".to_owned(), why.clone()]);
            }
            (args, *wait, *expect)
        }
        Action::Reinstate { site, wait, expect } => {
            (words(&["reinstate", site.as_str()]), *wait, *expect)
        }
        _ => return None,
    };
    Some(Errand { args, wait, wanted })
}

fn judge(errand: &Errand, output: &Output) -> Told {
    let code = output.status.code();
    let as_expected = match errand.wanted {
        Wanted::Refused => code == Some(REFUSED),
        Wanted::Done if errand.wait => code == Some(DONE),
        Wanted::Done => matches!(code, Some(DONE | PARTIAL)),
    };
    let last = match as_expected {
        // The sentence that matters stands at the end of what went well, and in all of what did not.
        true => words(output).lines().last().unwrap_or_default().to_owned(),
        false => on_one_line(output),
    };
    told_so(as_expected, last)
}

fn told_so(as_expected: bool, said: String) -> Told {
    Told { as_expected, said }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(action: &str, code: i32) -> bool {
        let action: Action = toml::from_str(action).expect("an action");
        let output = Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: b"plan\ngcp writes".to_vec(),
            stderr: Vec::new(),
        };
        judge(&errand(&action).expect("a person's"), &output).as_expected
    }

    #[test]
    fn a_refusal_is_good_only_where_the_file_wants_one() {
        let plain = "do = \"switchover\"\nto = \"gcp\"";
        let refused = "do = \"switchover\"\nto = \"gcp\"\nexpect = \"refused\"";
        let hasty = "do = \"switchover\"\nto = \"gcp\"\nwait = false";
        assert!(ended(plain, DONE) && ended(refused, REFUSED) && ended(hasty, PARTIAL));
        assert!(!ended(plain, REFUSED) && !ended(plain, PARTIAL) && !ended(refused, DONE));
    }
}
