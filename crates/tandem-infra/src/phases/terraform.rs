//! Runs Terraform or OpenTofu, so that a kill of the driver harms nothing.
//!
//! Intuition: a Terraform that dies in an apply forgets what it had made. So
//! its output goes to a file, never to a pipe that breaks with the driver, and
//! it inherits the run lock: who comes next waits for it.
//! Invariant: secrets reach it by environment alone; every line that is kept or
//! shown has them struck out; a saved plan, which holds them, is private and
//! deleted after use.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Map, Value};

use super::lock::RunLock;
use super::planned::Planned;
use super::step::Root;
use super::stop::{Kind, Stop};
use super::tree::Tree;
use crate::error::Error;
use crate::secret::{Redactor, Secrets};

/// The longest apply: EKS, RDS and Cloud SQL side by side take half an hour.
const APPLY_LIMIT: Duration = Duration::from_secs(3 * 3_600);

/// The longest init, plan or show.
const READ_LIMIT: Duration = Duration::from_secs(1_800);

/// How often a running process is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Lines of a failed run that are repeated on the terminal.
const TAIL_LINES: usize = 40;

/// The largest output that is read into memory.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A Terraform that can be run, with what it needs.
pub struct Terraform<'a> {
    /// The command: `terraform`, `tofu` or a path.
    pub command: String,
    /// Where the roots and logs stand.
    pub tree: &'a Tree,
    /// What only the environment may carry.
    pub secrets: &'a Secrets,
    /// Held by every process.
    pub lock: &'a RunLock,
    /// The run's number, for the logs' names.
    pub run: u64,
    /// Where a progress line goes.
    pub say: &'a (dyn Fn(Root, &str) + Sync),
}

/// A plan on disk and in words.
#[derive(Debug)]
pub struct SavedPlan {
    root: Root,
    path: PathBuf,
    /// What it would do.
    pub planned: Planned,
}

impl Drop for SavedPlan {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl SavedPlan {
    /// Whose plan it is.
    pub fn root(&self) -> Root {
        self.root
    }
}

impl Terraform<'_> {
    /// Initialises a root and plans it; `variables` is a file that wins over all others.
    ///
    /// # Errors
    /// If Terraform refuses; with the last lines it said.
    pub fn plan(
        &self,
        root: Root,
        destroy: bool,
        variables: Option<&Path>,
    ) -> Result<SavedPlan, Stop> {
        self.init(root)?;
        let path = self.tree.own().join(format!("{}.tfplan", root.word()));
        let _ = fs::remove_file(&path);
        // Created before Terraform writes it, so that it is private from the start.
        private(&path).map_err(|source| write_failed(&path, source))?;
        let out = format!("-out={}", path.display());
        let mut arguments = vec![
            "plan",
            "-input=false",
            "-no-color",
            "-detailed-exitcode",
            &out,
        ];
        if destroy {
            arguments.push("-destroy");
        }
        let file = variables.map(|path| format!("-var-file={}", path.display()));
        arguments.extend(file.as_deref());
        let mut plan = SavedPlan {
            root,
            path: path.clone(),
            planned: Planned::default(),
        };
        self.logged(root, "plan", &arguments, &[0, 2])?;
        plan.planned = Planned::read(&self.shown(&plan)?);
        Ok(plan)
    }

    fn shown(&self, plan: &SavedPlan) -> Result<Value, Stop> {
        self.read(
            plan.root,
            &["show", "-json", &plan.path.display().to_string()],
        )
    }

    /// The plan of an apply as Terraform tells it; it holds secrets.
    ///
    /// # Errors
    /// If Terraform refuses.
    pub fn plan_as_json(&self, root: Root) -> Result<Value, Stop> {
        self.shown(&self.plan(root, false, None)?)
    }

    fn init(&self, root: Root) -> Result<(), Stop> {
        let folder = self.tree.folder(root);
        let mut arguments = vec![
            "init".to_owned(),
            "-input=false".to_owned(),
            "-no-color".to_owned(),
        ];
        // What the backend's block leaves open, such as the place of the global state.
        let mut files: Vec<_> = fs::read_dir(&folder)
            .map_err(|source| write_failed(&folder, source))?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".tfbackend"))
            .collect();
        files.sort();
        arguments.extend(files.iter().map(|name| format!("-backend-config={name}")));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.logged(root, "init", &arguments, &[0])
    }

    /// Applies a saved plan.
    ///
    /// # Errors
    /// If Terraform fails or does not end in its time.
    pub fn apply(&self, plan: &SavedPlan) -> Result<(), Stop> {
        let path = plan.path.display().to_string();
        let arguments = ["apply", "-input=false", "-no-color", &path];
        self.logged(plan.root, "apply", &arguments, &[0])
    }

    /// A root's outputs that are no secrets.
    ///
    /// # Errors
    /// If Terraform refuses.
    pub fn outputs(&self, root: Root) -> Result<Map<String, Value>, Stop> {
        let json = self.read(root, &["output", "-json", "-no-color"])?;
        let pairs = json.as_object().cloned().unwrap_or_default();
        let plain = |(name, body): (String, Value)| {
            let sensitive = body.get("sensitive").and_then(Value::as_bool);
            let value = body.get("value").cloned()?;
            (sensitive != Some(true)).then_some((name, value))
        };
        Ok(pairs.into_iter().filter_map(plain).collect())
    }

    /// One output of a root, secret or not; `None` if there is no such text.
    ///
    /// # Errors
    /// If Terraform refuses.
    pub fn secret_output(&self, root: Root, name: &str) -> Result<Option<String>, Stop> {
        let json = self.read(root, &["output", "-json", "-no-color"])?;
        let value = json.get(name).and_then(|output| output.get("value"));
        Ok(value.and_then(Value::as_str).map(str::to_owned))
    }

    /// A root's state as `terraform show -json` tells it; it holds secrets.
    ///
    /// # Errors
    /// If Terraform refuses.
    pub fn state(&self, root: Root) -> Result<Value, Stop> {
        self.read(root, &["show", "-json", "-no-color"])
    }

    /// Whether nothing stands in a root's state, which is initialised first.
    ///
    /// # Errors
    /// If Terraform refuses.
    pub fn is_empty(&self, root: Root) -> Result<bool, Stop> {
        self.init(root)?;
        Ok(self.addresses(root)?.is_empty())
    }

    /// Addresses in a root's state.
    ///
    /// # Errors
    /// If Terraform refuses.
    pub fn addresses(&self, root: Root) -> Result<Vec<String>, Stop> {
        let state = self.state(root)?;
        Ok(addresses(&state))
    }

    fn command(&self, root: Root, arguments: &[&str]) -> Result<Command, Stop> {
        let mut command = Command::new(&self.command);
        command
            .current_dir(self.tree.folder(root))
            .args(arguments)
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1");
        for (name, secret) in self.secrets.iter() {
            command.env(format!("TF_VAR_{name}"), secret.reveal());
        }
        let lock = self.lock.share();
        let lock = lock.map_err(|source| write_failed(&self.tree.run_lock(), source))?;
        command.stdin(Stdio::from(lock));
        Ok(command)
    }

    /// Runs a command that only reads and answers in JSON.
    fn read(&self, root: Root, arguments: &[&str]) -> Result<Value, Stop> {
        let mut command = self.command(root, arguments)?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| self.not_started(&error))?;
        let output = answer(child, READ_LIMIT).map_err(|error| self.not_started(&error))?;
        let Some(output) = output else {
            let minutes = READ_LIMIT.as_secs() / 60;
            let verb = arguments[0];
            return Err(Stop::failed(
                format!(
                    "{} {verb}: no answer in {minutes} minutes; ended",
                    root.word()
                ),
                "run the same command again: this one only read",
            ));
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = self.secrets.redactor().strike(&said);
            return Err(failed(root, arguments[0], &tail(&said)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| {
            failed(
                root,
                arguments[0],
                &format!("its answer is no JSON: {error}"),
            )
        })
    }

    /// Runs a command whose output is kept in a log and watched for progress.
    fn logged(&self, root: Root, verb: &str, arguments: &[&str], good: &[i32]) -> Result<(), Stop> {
        let name = format!("{}-{}-{verb}", self.run, root.word());
        let raw = self.tree.log(&format!("{name}.raw"));
        let file = private(&raw).map_err(|source| write_failed(&raw, source))?;
        let twin = file.try_clone();
        let twin = twin.map_err(|source| write_failed(&raw, source))?;
        let mut command = self.command(root, arguments)?;
        command.stdout(file).stderr(twin);
        let child = command.spawn().map_err(|error| self.not_started(&error))?;
        let limit = if verb == "apply" {
            APPLY_LIMIT
        } else {
            READ_LIMIT
        };
        let code = self.watch(root, verb, child, &raw, limit);
        let log = clean(&raw, &self.secrets.redactor());
        let code = code?;
        if code.is_some_and(|code| good.contains(&code)) {
            return Ok(());
        }
        let text = fs::read_to_string(&log).unwrap_or_default();
        let why = format!("{}\n  log: {}", tail(&text), log.display());
        Err(failed(root, verb, &why))
    }

    fn watch(
        &self,
        root: Root,
        verb: &str,
        mut child: Child,
        raw: &Path,
        limit: Duration,
    ) -> Result<Option<i32>, Stop> {
        let since = Instant::now();
        let mut progress = Progress::default();
        loop {
            let ended = child.try_wait().map_err(|error| self.not_started(&error))?;
            if verb == "apply" {
                let redactor = self.secrets.redactor();
                for line in progress.lines(raw) {
                    (self.say)(root, &redactor.strike(&line));
                }
            }
            if let Some(status) = ended {
                return Ok(status.code());
            }
            if since.elapsed() > limit {
                // It ends in good order on this, and writes its state first.
                signal(child.id(), Signal::INT);
                let minutes = limit.as_secs() / 60;
                return Err(Stop::new(
                    Kind::Partial,
                    format!(
                        "{} {verb}: not done in {minutes} minutes; interrupted",
                        root.word()
                    ),
                    "run the same command again: it waits for Terraform to end and goes on",
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn not_started(&self, error: &std::io::Error) -> Stop {
        Stop::failed(
            format!("cannot run `{}`: {error}", self.command),
            "install Terraform >= 1.5 or OpenTofu, or name it with --terraform or TERRAFORM",
        )
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// What a process printed and how it ended; `None` if it did not in its time, and it is killed.
fn answer(child: Child, limit: Duration) -> std::io::Result<Option<Output>> {
    let pid = child.id();
    let (send, receive) = mpsc::channel();
    // Reads both pipes, so that a long answer does not wait for a reader.
    std::thread::spawn(move || send.send(child.wait_with_output()));
    if let Ok(output) = receive.recv_timeout(limit) {
        return output.map(Some);
    }
    signal(pid, Signal::KILL);
    Ok(None)
}

fn failed(root: Root, verb: &str, why: &str) -> Stop {
    let locked = why.contains("Error acquiring the state lock");
    let fix = if locked {
        "if no other Terraform runs, `terraform force-unlock ID` in that folder, then the same command again"
    } else {
        "put right what it says, then run the same command again: it goes on here"
    };
    Stop::failed(format!("{} {verb} failed:\n{why}", root.word()), fix)
}

fn write_failed(path: &Path, source: std::io::Error) -> Stop {
    let path = path.to_owned();
    Stop::from(Error::Write { path, source })
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// A new, empty file that only its owner may read.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600).open(path)
}

/// Turns raw output into a log without secrets.
fn clean(raw: &Path, redactor: &Redactor) -> PathBuf {
    let log = raw.with_extension("log");
    let mut text = Vec::new();
    if let Ok(file) = File::open(raw) {
        let _ = file.take(OUTPUT_BYTES_MAX).read_to_end(&mut text);
    }
    let text = redactor.strike(&String::from_utf8_lossy(&text));
    if let Ok(mut file) = private(&log) {
        let _ = std::io::Write::write_all(&mut file, text.as_bytes());
    }
    let _ = fs::remove_file(raw);
    log
}

/// Puts in order what a killed run left behind: raw output and saved plans.
pub fn tidy(tree: &Tree, redactor: &Redactor) {
    let logs = fs::read_dir(tree.log("")).into_iter().flatten().flatten();
    for entry in logs.filter(|entry| entry.path().extension().is_some_and(|end| end == "raw")) {
        clean(&entry.path(), redactor);
    }
    for root in Root::ALL {
        let _ = fs::remove_file(tree.own().join(format!("{}.tfplan", root.word())));
    }
}

/// Follows a growing file, line by line.
#[derive(Default)]
struct Progress {
    at: u64,
    rest: String,
}

impl Progress {
    /// The new lines that tell of progress.
    fn lines(&mut self, path: &Path) -> Vec<String> {
        let mut fresh = Vec::new();
        if let Ok(mut file) = File::open(path) {
            let _ = file.seek(SeekFrom::Start(self.at));
            let _ = file.take(OUTPUT_BYTES_MAX).read_to_end(&mut fresh);
        }
        self.at += fresh.len() as u64;
        self.rest.push_str(&String::from_utf8_lossy(&fresh));
        let end = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let whole: String = self.rest.drain(..end).collect();
        let telling = |line: &&str| {
            ["complete after", "Still ", "Error", "Apply complete"]
                .iter()
                .any(|part| line.contains(part))
        };
        whole.lines().filter(telling).map(str::to_owned).collect()
    }
}

/// The addresses of every managed resource of a state.
pub fn addresses(state: &Value) -> Vec<String> {
    let resources = resources(state);
    let address = |resource: &&Value| resource.get("address")?.as_str().map(str::to_owned);
    resources.iter().filter_map(address).collect()
}

/// Every managed resource of a state, through all modules.
pub fn resources(state: &Value) -> Vec<&Value> {
    fn walk<'a>(module: &'a Value, out: &mut Vec<&'a Value>) {
        let list = |key: &str| {
            module
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        out.extend(list("resources").filter(|resource| resource["mode"] != "data"));
        for child in list("child_modules") {
            walk(child, out);
        }
    }
    let mut found = Vec::new();
    if let Some(root) = state.pointer("/values/root_module") {
        walk(root, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_of(script: &str, limit: Duration) -> Option<Output> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("a shell");
        answer(child, limit).expect("it is waited for")
    }

    #[test]
    fn an_answer_is_waited_for_no_longer_than_its_time() {
        // More than a pipe holds, on both.
        let long = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
        let told = answer_of(long, READ_LIMIT).expect("an answer");
        assert_eq!((told.stdout.len(), told.stderr.len()), (300_000, 300_000));
        assert_eq!(told.status.code(), Some(3));

        let since = Instant::now();
        assert!(answer_of("exec sleep 60", Duration::from_millis(50)).is_none());
        assert!(since.elapsed() < Duration::from_secs(30));
    }
}
