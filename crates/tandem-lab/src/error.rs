//! What can go wrong in the lab, in words that lead to the fix.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One failed operation of the lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server's binary is not installed.
    #[error("no `{program}` found; {fix}")]
    Missing {
        /// The binary that was looked for.
        program: String,
        /// What to install.
        fix: &'static str,
    },
    /// A process ended although it should run.
    #[error("{name} ended while {during} ({status}); the last lines of {}:\n{tail}", log.display())]
    Died {
        /// The process.
        name: String,
        /// What was going on.
        during: &'static str,
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A process runs but does not do what is waited for.
    #[error("{name} did not get to {goal} within {} s: {last}", bound.as_secs())]
    TooLate {
        /// The process or the step.
        name: String,
        /// What was waited for.
        goal: String,
        /// How long.
        bound: Duration,
        /// What was seen last.
        last: String,
    },
    /// A file or folder could not be handled.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `create`, `read`, ...
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A process could not be started or signalled.
    #[error("cannot {action} {name}")]
    Process {
        /// `start`, `signal`, ...
        action: &'static str,
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// What was asked for cannot be; every reason at once, each with its fix.
    #[error("{}", .0.join("\n  "))]
    Refused(Vec<String>),
    /// No port could be bound.
    #[error("cannot bind a port of 127.0.0.1")]
    Port(#[source] io::Error),
    /// The kernel's network did not take a step.
    #[error("cannot {step}: {said}")]
    Network {
        /// What was tried.
        step: &'static str,
        /// What the program said.
        said: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The database refused a step.
    #[error("{name}: cannot {step}")]
    Database {
        /// Which database.
        name: String,
        /// What was tried.
        step: String,
        /// Why.
        source: tokio_postgres::Error,
    },
}

/// The lab's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Adds action and path to an error of the file system.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// Adds action and process to an error of the system.
    pub(crate) fn process(action: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |source| Self::Process {
            action,
            name,
            source,
        }
    }

    /// Whether a server ended because somebody else took its port first.
    pub(crate) fn is_port_taken(&self) -> bool {
        let taken = "address already in use";
        matches!(self, Self::Died { tail, .. } if tail.to_lowercase().contains(taken))
    }
}
