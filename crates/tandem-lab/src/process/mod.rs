//! One process of the lab: started so that it dies with us, and killed with its whole family.
//!
//! PostgreSQL gives every backend a session of its own, so a process group
//! does not hold the family together; killing it means to freeze the parent (it can
//! bear no more children), to list its descendants and to kill them all.
//!
//! **Invariant:** no signal is sent to a pid whose exit was already collected:
//! until then the system keeps the number for us.

mod family;
mod host;
mod spawner;
mod user;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{Look, until};
use crate::{Error, Result};

pub(crate) use family::is_dead;
pub use family::{Birth, birth, descendants};
pub use host::Host;
pub(crate) use host::namespace_file;
pub use user::User;

/// How long a killed process may take to disappear.
const DEATH_BOUND: Duration = Duration::from_secs(20);
/// How much of a log's end is read.
const TAIL_BYTES: u64 = 4096;
/// How many lines of it are shown.
const TAIL_LINES: usize = 12;

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The name in messages and commands (`aws.postgres`).
    pub name: String,
    /// The binary.
    pub program: PathBuf,
    /// Its arguments; never a secret.
    pub args: Vec<String>,
    /// Its environment, on top of ours.
    pub env: Vec<(String, String)>,
    /// The folder it starts in.
    pub folder: PathBuf,
    /// The file that its output is appended to.
    pub log: PathBuf,
    /// Whom it runs as, if not as us.
    pub user: Option<User>,
    /// Where in the network.
    pub on: Host,
}

/// A started process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: Pid,
    child: Mutex<Child>,
}

impl Launch {
    /// Starts it.
    ///
    /// # Errors
    /// [`Error::File`] for the log, [`Error::Process`] if it cannot be started.
    pub fn start(&self) -> Result<Process> {
        let log = append(&self.log)?;
        let twin = log.try_clone().map_err(Error::file("open", &self.log))?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(twin).stderr(log);
        let child = spawner::spawn(command).map_err(Error::process("start", &self.name))?;
        let pid = Pid::from_child(&child);
        let (name, log) = (self.name.clone(), self.log.clone());
        Ok(Process {
            name,
            log,
            pid,
            child: Mutex::new(child),
        })
    }

    /// The same in a time namespace: its clocks since boot are `ahead_s` seconds ahead of the
    /// machine's. (Wall clocks have no namespace.) `unshare` replaces itself and keeps the number.
    pub(crate) fn with_clock(&self, ahead_s: i64) -> Self {
        let ahead = ahead_s.to_string();
        let words = ["--time", "--boottime", &ahead, "--monotonic", &ahead, "--"];
        let own = [self.program.display().to_string()].into_iter();
        Self {
            program: "unshare".into(),
            args: words
                .map(str::to_owned)
                .into_iter()
                .chain(own.chain(self.args.iter().cloned()))
                .collect(),
            ..self.clone()
        }
    }

    /// `setpriv` asks the system to kill the process when the spawner's thread ends, that
    /// is, when we end in whatever way; it also changes the user and then replaces itself.
    /// `nsenter` before it, which needs root, replaces itself too.
    fn command(&self) -> Command {
        let mut command = match &self.on.namespace {
            Some(name) => {
                let mut command = Command::new("nsenter");
                let file = namespace_file(name);
                command.arg(format!("--net={}", file.display()));
                command.args(["--", "setpriv"]);
                command
            }
            None => Command::new("setpriv"),
        };
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = &self.user {
            command.args(user.setpriv_args());
        }
        command.arg("--").arg(&self.program).args(&self.args);
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.current_dir(&self.folder);
        command
    }
}

impl Process {
    /// The name in messages and commands.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number in the system.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it did.
    pub fn exit(&self) -> Option<ExitStatus> {
        // A child whose state cannot be read is not ours any more: nothing can be said of it.
        self.lock().try_wait().ok().flatten()
    }

    /// Whether it was stopped by SIGSTOP.
    pub fn is_frozen(&self) -> bool {
        family::state(self.pid) == Some('T')
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    /// An error with the end of the log if the process has ended.
    ///
    /// # Errors
    /// [`Error::Died`].
    pub fn expect_alive(&self, during: &'static str) -> Result<()> {
        let Some(status) = self.exit() else {
            return Ok(());
        };
        let (name, log) = (self.name.clone(), self.log.clone());
        Err(Error::Died {
            name,
            during,
            status: status.to_string(),
            log,
            tail: self.tail(),
        })
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// [`Error::TooLate`] after `bound`.
    pub async fn ended(&self, bound: Duration) -> Result<ExitStatus> {
        let look = || async {
            Ok(match self.exit() {
                Some(status) => Look::Ready(status),
                None => Look::Waiting("still running".into()),
            })
        };
        until(&self.name, "its end", bound, look).await
    }

    /// Sends `signal` to the process alone; nothing if it has ended.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.lock();
        if matches!(child.try_wait(), Ok(Some(_))) {
            return Ok(());
        }
        let sent = kill_process(self.pid, signal).map_err(Into::into);
        sent.map_err(Error::process("signal", &self.name))
    }

    /// The process and its living descendants; empty if it has ended.
    pub fn family(&self) -> Vec<Pid> {
        if self.exit().is_some() {
            return Vec::new();
        }
        let mut family = vec![self.pid];
        family.extend(descendants(&[self.pid]));
        family
    }

    /// SIGSTOP to the whole family: alive, but silent.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.signal_descendants(Signal::STOP);
        Ok(())
    }

    /// SIGCONT to the whole family.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn thaw(&self) -> Result<()> {
        self.signal_descendants(Signal::CONT);
        self.signal(Signal::CONT)
    }

    /// SIGKILL to the whole family, without waiting.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn strike(&self) -> Result<()> {
        strike_all(&[self])
    }

    /// SIGKILL to the whole family, and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::Process`], or [`Error::TooLate`] if it does not die.
    pub async fn kill(&self) -> Result<()> {
        self.strike()?;
        self.ended(DEATH_BOUND).await.map(|_| ())
    }

    /// SIGKILL to the whole family, and waits without letting anybody else work: for `drop`.
    pub(crate) fn end(&self) {
        if self.strike().is_ok() {
            // SIGKILL was sent, so that the wait is short; without it the number stays taken.
            let _ = self.lock().wait();
        }
    }

    fn signal_descendants(&self, signal: Signal) {
        for pid in descendants(&[self.pid]) {
            // It may have ended since it was listed.
            let _ = kill_process(pid, signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SIGKILL to several families at once, as a power loss does, without waiting.
///
/// # Errors
/// [`Error::Process`] of the first that cannot be signalled; the others are struck all the same.
pub fn strike_all(processes: &[&Process]) -> Result<()> {
    let living: Vec<_> = processes
        .iter()
        .filter(|process| process.exit().is_none())
        .collect();
    let frozen: Vec<_> = living
        .iter()
        .map(|process| process.signal(Signal::STOP))
        .collect();
    for pid in descendants(&living.iter().map(|process| process.pid).collect::<Vec<_>>()) {
        // It may have ended since it was listed.
        let _ = kill_process(pid, Signal::KILL);
    }
    let killed: Vec<_> = living
        .iter()
        .map(|process| process.signal(Signal::KILL))
        .collect();
    frozen.into_iter().chain(killed).collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The last lines of the log file at `path`; empty if it cannot be read.
pub fn tail(path: &Path) -> String {
    let text = read_tail(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    shown
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn read_tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn append(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(Error::file("open", path))
}

/// Writes `secret` into a file that only its owner may read.
///
/// # Errors
/// [`Error::File`].
pub fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(Error::file("create", path))?;
    file.write_all(secret.as_bytes())
        .map_err(Error::file("write", path))
}

/// A password that nobody can guess, of letters and digits only.
pub fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}
