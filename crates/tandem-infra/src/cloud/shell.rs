//! Asks through the tools that people have installed: `aws`, `gcloud`, `curl`.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ask::{Bearer, Call, next_call};
use super::judge::judge;
use super::{Answer, Cloud, Names, Question};
use crate::secret::Secret;

/// One call of a tool; the clouds' tools need seconds to start.
const CALL_LIMIT: Duration = Duration::from_secs(45);

/// Connecting through a tunnel takes milliseconds.
const DIAL_LIMIT: Duration = Duration::from_secs(5);

/// Calls of one question at most.
const CALLS_MAX: usize = 10;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The tools, with the one secret that they are given.
#[derive(Debug, Default)]
pub struct Shell {
    /// `CLOUDFLARE_API_TOKEN`.
    pub cloudflare_token: Option<Secret>,
}

impl Cloud for Shell {
    fn tools(&self) -> &[&'static str] {
        &["aws", "gcloud", "curl"]
    }

    fn ask(&self, question: Question, names: &Names) -> Answer {
        let mut said: Vec<String> = Vec::new();
        while let Some(call) = next_call(question, names, &said) {
            match self.make(&call, said.last()) {
                Ok(text) => said.push(text),
                Err(answer) => return answer,
            }
            if said.len() >= CALLS_MAX {
                break;
            }
        }
        let json = |text: &String| serde_json::from_str(text).unwrap_or(Value::Null);
        let said: Vec<Value> = said.iter().map(json).collect();
        judge(question, names, &said)
    }
}

impl Shell {
    fn make(&self, call: &Call, previous: Option<&String>) -> Result<String, Answer> {
        if call.program == "dial" {
            return Ok(dial(&call.arguments[0], &call.arguments[1]).to_string());
        }
        let token = match call.bearer {
            None => None,
            Some(Bearer::Previous) => previous.map(|text| text.trim().to_owned()),
            Some(Bearer::Cloudflare) => match &self.cloudflare_token {
                Some(token) => Some(token.reveal().to_owned()),
                None => {
                    let fix =
                        "export CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_ZONE_ID";
                    return Err(Answer::failed("no Cloudflare token", fix));
                }
            },
        };
        run(call, token)
    }
}

/// Runs a tool; the token goes through its standard input, where no process list shows it.
fn run(call: &Call, token: Option<String>) -> Result<String, Answer> {
    let program = call.program;
    let mut child = Command::new(program)
        .args(&call.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let fix = format!("install {program} and log in");
            Answer::unknown(format!("cannot run {program}: {error}"), fix)
        })?;
    let mut input = child.stdin.take().expect("stdin was asked for");
    if let Some(token) = token {
        let _ = writeln!(input, "header = \"Authorization: Bearer {token}\"");
    }
    drop(input);
    let said = read_aside(child.stdout.take().expect("stdout was asked for"));
    let complaint = read_aside(child.stderr.take().expect("stderr was asked for"));
    let status = ended(&mut child)
        .ok_or_else(|| Answer::unknown(format!("{program} did not answer in 45 s"), "try again"))?;
    let said = said.join().unwrap_or_default();
    if status.success() {
        return Ok(said);
    }
    let complaint = complaint.join().unwrap_or_default();
    let line = complaint
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let line = line.unwrap_or("it gave no reason");
    Err(Answer::failed(
        format!("{program}: {line}"),
        "log in, or apply the phase that makes it",
    ))
}

/// Reads to the end beside the caller, so that neither pipe blocks the tool.
fn read_aside(from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits within the limit; ends a tool that does not.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let since = Instant::now();
    while since.elapsed() < CALL_LIMIT {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn dial(host: &str, port: &str) -> Value {
    let target = format!("{host}:{port}");
    let failed = |why: String| json!({"failed": format!("{target}: {why}")});
    let addresses = match target.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return failed(error.to_string()),
    };
    let mut last = "no address".to_owned();
    for address in addresses.take(4) {
        match TcpStream::connect_timeout(&address, DIAL_LIMIT) {
            Ok(_) => return json!({"connected": target}),
            Err(error) => last = error.to_string(),
        }
    }
    failed(last)
}
