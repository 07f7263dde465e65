//! The hand of a person on a lab that runs in the background.
//!
//! The process that owns a lab listens on a socket in the lab's folder; a
//! command is one line of JSON, and so is its answer. Commands run beside each other, except
//! that a reset has the lab to itself.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream as Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, RwLock};
use tokio::task::JoinSet;

use crate::lab::{Lab, Status};
use crate::links::{Cut, Shape};
use crate::{Error, Result};

/// The longest command, in bytes.
const COMMAND_BYTES_MAX: u64 = 64 * 1024;
/// The longest wait for an answer: a reset that has to furnish anew.
const ANSWER_BOUND: Duration = Duration::from_secs(600);

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Request {
    /// What runs.
    Status,
    /// Throw all data away and start anew.
    Reset,
    /// Stop everything.
    Down,
    /// Kill a process or a whole site.
    Kill {
        /// Which.
        name: String,
    },
    /// Start a process or what is missing of a site.
    Start {
        /// Which.
        name: String,
    },
    /// Stop a process without telling it.
    Freeze {
        /// Which.
        name: String,
    },
    /// Let a frozen process go on.
    Thaw {
        /// Which.
        name: String,
    },
    /// Cut a place from everybody else.
    Isolate {
        /// A site or the witness.
        name: String,
        /// Silently, or with a reset.
        cut: Cut,
    },
    /// Mend every link of a place.
    Heal {
        /// A site or the witness.
        name: String,
    },
    /// Make the store's member at a place the leader.
    Lead {
        /// A site or the witness.
        name: String,
    },
    /// Copy the disks of the store.
    Copy,
    /// Start the store on the copied disks.
    Restore,
    /// Start one of our own processes anew with another time since boot.
    Clock {
        /// Which.
        name: String,
        /// How much more than the machine's, in seconds.
        ahead_s: i64,
    },
    /// Change a link.
    Link {
        /// As in `aws-gcp`.
        name: String,
        /// How.
        change: LinkChange,
    },
}

/// What to change of a link; nothing that is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkChange {
    /// Mend it, before anything else.
    pub heal: bool,
    /// Cut it.
    pub cut: Option<Cut>,
    /// Cut only the way from the first place to the second.
    pub one_way: bool,
    /// How long a byte travels each way, in milliseconds.
    pub delay_ms: Option<u64>,
    /// How much that varies, in milliseconds.
    pub jitter_ms: Option<u64>,
    /// Bytes per second that fit through each way; 0 = all.
    pub bytes_per_second: Option<u64>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It is done.
    Done,
    /// What runs.
    Status(Status),
    /// It cannot be done as it was asked for.
    Refused(String),
    /// It went wrong.
    Failed(String),
}

/// Where the owner of the lab in `folder` listens.
pub fn socket_of(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Asks the owner of the lab in `folder`; `None` if no lab runs there.
///
/// # Errors
/// [`Error::File`] if the owner hangs up.
pub fn call(folder: &Path, request: &Request) -> Result<Option<Reply>> {
    let path = socket_of(folder);
    let Ok(stream) = Client::connect(&path) else {
        return Ok(None);
    };
    exchange(stream, request)
        .map(Some)
        .map_err(Error::file("speak to the lab through", &path))
}

fn exchange(mut stream: Client, request: &Request) -> io::Result<Reply> {
    stream.set_read_timeout(Some(ANSWER_BOUND))?;
    let line = serde_json::to_string(request)? + "\n";
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the lab ended",
        ));
    }
    Ok(serde_json::from_str(&answer)?)
}

/// Obeys until somebody asks for [`Request::Down`] or `stop` returns; then stops the lab.
///
/// # Errors
/// [`Error::File`] if the socket cannot be made; what [`Lab::stop`] says.
pub async fn serve(lab: Lab, stop: impl Future<Output = ()>) -> Result<()> {
    let path = socket_of(&lab.status().folder);
    let listener = UnixListener::bind(&path).map_err(Error::file("listen on", &path))?;
    let owner = Arc::new(Owner {
        lab: RwLock::new(Some(lab)),
        down: Notify::new(),
    });
    let mut talks = JoinSet::new();
    let accept = async {
        loop {
            while talks.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => drop(talks.spawn(Arc::clone(&owner).talk(stream))),
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
        () = owner.down.notified() => {}
    }
    talks.shutdown().await;
    match owner.lab.write().await.take() {
        Some(lab) => lab.stop().await,
        None => Ok(()),
    }
}

struct Owner {
    /// Absent once it was stopped.
    lab: RwLock<Option<Lab>>,
    down: Notify,
}

impl Owner {
    /// One command and its answer. Who hangs up early misses only the answer.
    async fn talk(self: Arc<Self>, stream: UnixStream) {
        let (from, mut to) = stream.into_split();
        let mut line = String::new();
        let mut from = tokio::io::BufReader::new(from.take(COMMAND_BYTES_MAX));
        if from.read_line(&mut line).await.is_err() || line.is_empty() {
            return;
        }
        let reply = match serde_json::from_str(&line) {
            Ok(request) => self.obey(request).await,
            Err(error) => Reply::Refused(format!("no command: {error}")),
        };
        let answer = serde_json::to_string(&reply).expect("plain JSON") + "\n";
        let _ = to.write_all(answer.as_bytes()).await;
    }

    async fn obey(&self, request: Request) -> Reply {
        let done = match request {
            Request::Down => self.stop().await,
            Request::Reset => self.reset().await,
            Request::Status => return self.status().await,
            request => match &*self.lab.read().await {
                Some(lab) => obey(lab, request).await,
                None => Err(gone()),
            },
        };
        match done {
            Ok(()) => Reply::Done,
            Err(Error::Refused(faults)) => Reply::Refused(faults.join("\n  ")),
            Err(error) => Reply::Failed(with_causes(&error)),
        }
    }

    async fn status(&self) -> Reply {
        match &*self.lab.read().await {
            Some(lab) => Reply::Status(lab.status()),
            None => Reply::Refused(gone().to_string()),
        }
    }

    /// Answers only when nothing is left.
    async fn stop(&self) -> Result<()> {
        let stopped = match self.lab.write().await.take() {
            Some(lab) => lab.stop().await,
            None => Ok(()),
        };
        self.down.notify_one();
        stopped
    }

    async fn reset(&self) -> Result<()> {
        match &mut *self.lab.write().await {
            Some(lab) => lab.reset().await,
            None => Err(gone()),
        }
    }
}

fn gone() -> Error {
    Error::Refused(vec!["the lab is going down".into()])
}

/// The commands that leave the lab where it is.
async fn obey(lab: &Lab, request: Request) -> Result<()> {
    match request {
        Request::Kill { name } if is_place(&name) => lab.kill_site(&name).await,
        Request::Kill { name } => lab.kill(&name).await,
        Request::Start { name } if is_place(&name) => lab.start_site(&name).await,
        Request::Start { name } => lab.start_process(&name).await,
        Request::Freeze { name } => lab.freeze(&name).await,
        Request::Thaw { name } => lab.thaw(&name).await,
        Request::Isolate { name, cut } => lab.isolate(&name, cut),
        Request::Heal { name } => lab.heal_site(&name),
        Request::Lead { name } => lab.move_leader(&name).await,
        Request::Copy => lab.copy_stores().await,
        Request::Restore => lab.restore_stores().await,
        Request::Clock { name, ahead_s } => lab.restart_with_clock(&name, ahead_s).await,
        Request::Link { name, change } => bend(lab, &name, &change),
        Request::Status | Request::Reset | Request::Down => Ok(()),
    }
}

/// Processes of a place have a dot in their names; the edge stands alone.
fn is_place(name: &str) -> bool {
    !name.contains('.') && name != "edge"
}

fn bend(lab: &Lab, name: &str, change: &LinkChange) -> Result<()> {
    let link = lab.link(name)?;
    if change.heal {
        link.heal()?;
    }
    match change.cut {
        Some(cut) if change.one_way => link.cut_one_way(cut)?,
        Some(cut) => link.cut(cut)?,
        None => {}
    }
    if change.delay_ms.is_some() || change.jitter_ms.is_some() {
        let Shape { delay, jitter, .. } = link.shape();
        let chosen = |millis: Option<u64>, now| millis.map_or(now, Duration::from_millis);
        link.delay(
            chosen(change.delay_ms, delay),
            chosen(change.jitter_ms, jitter),
        )?;
    }
    if let Some(rate) = change.bytes_per_second {
        link.capacity((rate > 0).then_some(rate))?;
    }
    Ok(())
}

/// The error and what caused it, on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        text += &format!(": {found}");
        cause = found.source();
    }
    text
}
