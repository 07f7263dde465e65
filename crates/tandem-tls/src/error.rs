//! Why certificates cannot be used or made.

use std::io;
use std::path::{Path, PathBuf};

/// Why certificates cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read; `tandem init certificates` makes it", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may read a private key.
    #[error("{path} holds a private key and has mode {mode:04o}; write `chmod 0600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// Certificate, key and authority do not fit together.
    #[error("{} cannot be used together with its key and authority", .path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A program's name cannot stand in a certificate.
    #[error("`{0}` cannot stand in a certificate")]
    Name(String),
    /// One of two files that belong together is missing.
    #[error(
        "{} is there and {} is not; nothing was made: restore it, or move both away",
        .present.display(), .missing.display()
    )]
    Half {
        /// The file that is there.
        present: PathBuf,
        /// The file that is missing.
        missing: PathBuf,
    },
    /// The authority's certificate and key are of different authorities.
    #[error("{} is not the certificate of the key beside it", .path.display())]
    Mismatch {
        /// The certificate.
        path: PathBuf,
    },
    /// A file cannot be written; existing ones are never overwritten.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error("the certificate could not be made")]
    Make(#[from] rcgen::Error),
}

impl TlsError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        |source| Self::Read { path, source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        |source| Self::Write { path, source }
    }
}
