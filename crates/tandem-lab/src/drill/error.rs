//! What can go wrong with a drill itself (not with the service it tries).

use std::io;
use std::path::{Path, PathBuf};

use tandem_core::drill::FileError;

/// One failed operation of the runner.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such drill.
    #[error("no drill `{name}`; there are: {known}; or name a file that ends in .toml")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A drill file breaks the rules.
    #[error("{}: {faults}", path.display())]
    Drill {
        /// The file.
        path: PathBuf,
        /// Every broken rule.
        faults: FileError,
    },
    /// A file could not be handled.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `write`, ...
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A report of an earlier run cannot be read.
    #[error("{} is no report of this build", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A thread or runtime could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// An HTTP client could not be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The clients' thread panicked.
    #[error("the clients panicked; see the message above")]
    ClientsPanicked,
    /// The lab could not do what the drill asked.
    #[error(transparent)]
    Lab(#[from] crate::Error),
    /// A database could not be asked.
    #[error("{site}: cannot {step}")]
    Database {
        /// Which site's.
        site: String,
        /// What was tried.
        step: &'static str,
        /// Why.
        source: tokio_postgres::Error,
    },
    /// The service did not become ready for the drill.
    #[error("the service is not ready for a drill: {0}")]
    NotReady(String),
    /// A person pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A command of ours failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command line.
        command: String,
        /// The end of what it said.
        said: String,
    },
    /// The peer of a benchmark cannot be had.
    #[error("{0}")]
    Peer(String),
}

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

    /// Whether the caller asked for something that cannot be (exit code 2).
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::Drill { .. } | Self::Lab(crate::Error::Refused(_))
        )
    }
}
