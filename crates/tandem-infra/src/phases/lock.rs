//! Two locks: one against a second run, one against an apply at the wrong time.
//!
//! [`RunLock`] is held by the driver *and by every Terraform that it starts*
//! (they inherit the open file), so that a killed driver's Terraform can finish
//! before anybody starts another over the same state. [`ApplyLock`] is a word
//! between people and machines: no apply while a failover plan runs, and no
//! apply while a person said so.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::stop::{Kind, Stop};
use crate::error::Error;

/// How long the Terraform of a killed run may go on; RDS and GKE take up to
/// 30 minutes, an apply of a whole cloud about as long.
const ORPHAN_LIMIT: Duration = Duration::from_secs(3_600);

/// Held while a run is at work.
#[derive(Debug)]
pub struct RunLock(File);

impl RunLock {
    /// Takes the lock; waits for the Terraform of a killed run, refuses beside a living run.
    ///
    /// # Errors
    /// If another run is at work, or a killed one's Terraform does not end.
    pub fn take(path: &Path, say: &dyn Fn(&str)) -> Result<Self, Stop> {
        let failed = |source| {
            Stop::from(Error::Write {
                path: path.to_owned(),
                source,
            })
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let since = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some(owner) = owner(path).filter(|pid| is_alive(*pid)) {
                return Err(Stop::refused(
                    format!("another run is at work (process {owner})"),
                    "wait for it, or end it; its journal lets this command go on there",
                ));
            }
            if since.elapsed() > ORPHAN_LIMIT {
                return Err(Stop::new(
                    Kind::Partial,
                    "the Terraform of a killed run has not ended in an hour",
                    "look at its log in .tandem/logs; end it with SIGINT, never with SIGKILL",
                ));
            }
            if !told {
                say("a run was killed, but its Terraform is still at work: waiting for it to end");
                told = true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self(file))
    }

    /// The open file, for a process that must hold the lock too.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn share(&self) -> std::io::Result<File> {
        self.0.try_clone()
    }
}

fn owner(path: &Path) -> Option<u32> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// Who holds the apply lock and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// A person, or `run N` of the driver.
    pub by: String,
    /// For whom reads it.
    pub reason: String,
    /// Wall clock, for display.
    pub since: jiff::Timestamp,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} since {}: {}", self.by, self.since, self.reason)
    }
}

/// No apply while somebody else holds it, and none while a failover plan runs.
pub trait ApplyLock: Sync {
    /// Takes the lock for `by`; taking it again for the same name is no fault.
    ///
    /// # Errors
    /// If somebody else holds it, a plan runs, or it cannot be asked.
    fn take(&self, by: &str, reason: &str) -> Result<(), Stop>;

    /// Gives it back; whose it is does not matter, a person asked for it.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn give_back(&self) -> Result<Option<Holder>, Stop>;

    /// Who holds it.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn holder(&self) -> Result<Option<Holder>, Stop>;
}

/// The lock while there is no etcd: a file beside the journal.
pub struct FileLock(PathBuf);

impl FileLock {
    /// In the driver's folder.
    pub fn new(own: &Path) -> Self {
        Self(own.join("apply.lock"))
    }

    fn failed(&self, source: std::io::Error) -> Stop {
        Stop::from(Error::Write {
            path: self.0.clone(),
            source,
        })
    }
}

impl ApplyLock for FileLock {
    fn take(&self, by: &str, reason: &str) -> Result<(), Stop> {
        let holder = Holder {
            by: by.to_owned(),
            reason: reason.to_owned(),
            since: jiff::Timestamp::now(),
        };
        let text = serde_json::to_string(&holder).expect("a holder is plain data");
        // The file appears complete or not at all.
        let unfinished = self.0.with_extension("new");
        fs::write(&unfinished, text).map_err(|source| self.failed(source))?;
        let linked = fs::hard_link(&unfinished, &self.0);
        let _ = fs::remove_file(&unfinished);
        match linked {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                match self.holder()? {
                    Some(held) if held.by == by => Ok(()),
                    Some(held) => Err(held_by_another(&held)),
                    None => Ok(()),
                }
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    fn give_back(&self) -> Result<Option<Holder>, Stop> {
        let holder = self.holder()?;
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(holder),
        }
    }

    fn holder(&self) -> Result<Option<Holder>, Stop> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(serde_json::from_str(&text).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }
}

/// The refusal that every kind of lock gives.
pub fn held_by_another(holder: &Holder) -> Stop {
    Stop::refused(
        format!("the apply lock is held by {holder}"),
        "ask them; `tandem infra unlock` gives it back",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_same_again() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FileLock::new(folder.path());
        lock.take("run 1", "apply").unwrap();
        lock.take("run 1", "apply").unwrap();
        let refused = lock.take("kim", "maintenance").unwrap_err();
        assert_eq!(refused.kind, Kind::Refused);
        assert!(refused.problem.contains("run 1"), "{refused}");
        assert_eq!(lock.give_back().unwrap().unwrap().by, "run 1");
        assert_eq!(lock.give_back().unwrap(), None);
        lock.take("kim", "maintenance").unwrap();
    }

    #[test]
    fn a_second_run_is_refused_and_a_dead_owner_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        let held = RunLock::take(&path, &|_| ()).unwrap();
        let refused = RunLock::take(&path, &|_| ()).unwrap_err();
        assert_eq!(refused.kind, Kind::Refused);
        // The owner is gone, a process that inherited the file is not.
        fs::write(&path, "2147483646").unwrap();
        let (heard, hear) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| RunLock::take(&path, &|line| heard.send(line.to_owned()).unwrap()));
            assert!(hear.recv().unwrap().contains("waiting"));
            drop(held);
            assert!(waiting.join().unwrap().is_ok());
        });
    }
}
