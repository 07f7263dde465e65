//! What a lab has started, on disk: so that the next one can clean up after a `kill -9`.
//!
//! A pid alone names nobody: numbers are used again. Each is written down with
//! its time of birth, and only a process with both is ever signalled. Children die with the
//! lab anyway (see `process`); this catches what was frozen or had not noticed yet.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::NetworkKind;
use super::layout::{Layout, places};
use crate::namespaces;
use crate::process::{Birth, birth, descendants, is_dead};
use crate::servers::segment;
use crate::{Error, Result};

/// The file that makes a folder a lab's.
const MARK: &str = "lab.json";

/// How long a killed process may take to disappear.
const DEATH_BOUND: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a lab's folder says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    version: u32,
    base_port: u16,
    #[serde(default)]
    network: NetworkKind,
    /// The second folder, in memory.
    memory: PathBuf,
    /// The process that runs the lab.
    pid: i32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    pid: i32,
    birth: Birth,
}

/// The open roster of a running lab; holds the lock on its folder.
#[derive(Debug)]
pub(crate) struct Roster {
    folder: PathBuf,
    memory: PathBuf,
    list: Mutex<File>,
    _lock: File,
}

impl Roster {
    /// Takes the folder, which is made if it is not there, after cleaning up what a dead lab
    /// left in it.
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let (folder, memory) = (&layout.folder, &layout.memory);
        sweep(folder)?;
        super::files::make_folder(folder)?;
        let lock = lock(folder)?;
        let pid = rustix::process::getpid().as_raw_pid();
        let mark = Mark {
            version: 1,
            base_port: layout.base_port,
            network: layout.network,
            memory: memory.clone(),
            pid,
        };
        let path = folder.join(MARK);
        let text = serde_json::to_string(&mark).expect("plain JSON");
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        let path = folder.join("pids");
        let list = OpenOptions::new().create(true).append(true).open(&path);
        let list = Mutex::new(list.map_err(Error::file("create", &path))?);
        Ok(Self {
            folder: folder.clone(),
            memory: memory.clone(),
            list,
            _lock: lock,
        })
    }

    /// Writes down `pids` as processes of the lab.
    pub(crate) fn enter(&self, name: &str, pids: &[Pid]) -> Result<()> {
        let mut lines = String::new();
        for pid in pids {
            let Some(birth) = birth(*pid) else { continue };
            let entry = Entry {
                name: name.into(),
                pid: pid.as_raw_pid(),
                birth,
            };
            lines += &(serde_json::to_string(&entry).expect("plain JSON") + "\n");
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let written = list.write_all(lines.as_bytes());
        written.map_err(Error::file("write", &self.folder.join("pids")))
    }

    /// Removes the lab's folders; its processes must be gone.
    pub(crate) fn remove(&self) -> Result<()> {
        remove(&self.memory)?;
        remove(&self.folder)
    }
}

/// Cleans up what a lab that is dead left in `folder`; says whether there was anything.
///
/// # Errors
/// [`Error::Refused`] if the lab runs, or if the folder is no lab's.
pub(crate) fn sweep(folder: &Path) -> Result<bool> {
    let contents = match fs::read_dir(folder) {
        Ok(mut contents) => contents.next().is_some(),
        Err(_) => return Ok(false),
    };
    if !contents {
        return Ok(false);
    }
    let Ok(text) = fs::read_to_string(folder.join(MARK)) else {
        let problem = format!("{} exists and is no lab's folder", folder.display());
        return Err(Error::Refused(vec![
            problem + "; choose another --base-port or remove it",
        ]));
    };
    let _lock = lock(folder)?;
    if let Ok(list) = fs::read_to_string(folder.join("pids")) {
        let entries = list
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        entries.for_each(|entry: Entry| end(&entry));
    }
    for site in super::layout::sites() {
        segment::remove_of(&folder.join(format!("{site}/postgres/data")));
    }
    if let Ok(mark) = serde_json::from_str::<Mark>(&text) {
        if mark.network == NetworkKind::Namespaces {
            namespaces::remove_left(mark.base_port, &places())?;
        }
        remove_memory_of(folder, &mark.memory)?;
    }
    remove(folder)?;
    Ok(true)
}

/// Only a folder that carries the lab's own name is removed, whatever the mark says.
fn remove_memory_of(folder: &Path, memory: &Path) -> Result<()> {
    if memory.file_name() == folder.file_name() {
        remove(memory)
    } else {
        Ok(())
    }
}

/// Kills the process if it is still the one that was written down, and waits until it is gone.
fn end(entry: &Entry) {
    let Some(pid) = Pid::from_raw(entry.pid) else {
        return;
    };
    let lives = || birth(pid) == Some(entry.birth);
    if !lives() {
        return;
    }
    for pid in descendants(&[pid]).into_iter().chain([pid]) {
        // It may end by itself meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
    let deadline = Instant::now() + DEATH_BOUND;
    while lives() && !is_dead(pid) && Instant::now() < deadline {
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(Error::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(source)) => Err(Error::file("lock", &path)(source)),
        Err(TryLockError::WouldBlock) => Err(Error::Refused(vec![format!(
            "a lab runs in {} already; stop it with `tandem lab down` or choose another --base-port",
            folder.display()
        )])),
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::file("remove", folder)),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_a_dead_lab_left_is_ended_and_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("lab");
        let mut layout = Layout::new(&folder, 1, NetworkKind::Userland);
        layout.memory = parent.path().join("memory/lab");
        let roster = Roster::open(&layout).unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        roster.enter("sleeper", &[Pid::from_child(&child)]).unwrap();
        assert!(matches!(sweep(&folder), Err(Error::Refused(_))), "it runs");
        drop(roster);
        assert!(sweep(&folder).unwrap());
        assert!(!folder.exists());
        assert!(!child.wait().unwrap().success());
        assert!(!sweep(&folder).unwrap());
    }

    #[test]
    fn a_strangers_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::write(&theirs, "precious").unwrap();
        assert!(matches!(sweep(folder.path()), Err(Error::Refused(_))));
        assert_eq!(fs::read_to_string(theirs).unwrap(), "precious");
    }
}
