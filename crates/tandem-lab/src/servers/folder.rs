//! The folder of one server: given by the caller, or a temporary one of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Error, Result};

/// A folder; removed on drop only if we chose it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl Folder {
    /// `given`, made if it is not there, or a new temporary folder.
    pub(super) fn open(given: Option<PathBuf>, server: &str) -> Result<Self> {
        if let Some(path) = given {
            fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
            return Ok(Self {
                path,
                _temporary: None,
            });
        }
        let prefix = format!("tandem-{server}-");
        let made = tempfile::Builder::new().prefix(&prefix).tempdir();
        let temporary = made.map_err(Error::file("create a folder in", &std::env::temp_dir()))?;
        let path = temporary.path().to_path_buf();
        // The server may run as another user, who must be able to pass through.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))
            .map_err(Error::file("open up", &path))?;
        Ok(Self {
            path,
            _temporary: Some(temporary),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
