//! The prepared copy: a furnished lab's data, taken while everything was stopped.
//!
//! Furnishing takes many seconds, copying less than one. A copy fits exactly
//! one lab (its ports and its folder stand in subscriptions and
//! certificates), one set of versions, one schema and one build, all of which are in its
//! key. It lives in the user's cache and may be deleted at any time.
//!
//! **Invariant:** a copy appears under its key only when it is whole (by rename).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::check::Programs;
use super::layout::Layout;
use super::prepare::fingerprint;
use crate::process::Launch;
use crate::{Error, Result};

/// Raised when what a copy holds changes.
const FORMAT: &str = "1";
/// Copies that are kept; the least recently made go.
const COPIES_MAX: usize = 4;
/// How long a copy may take on a busy disk.
const COPY_BOUND: Duration = Duration::from_secs(120);
/// What is copied of the lab's folder.
const PARTS: [&str; 4] = ["aws/postgres", "gcp/postgres", "secrets", "ca.crt"];
/// The file that makes a folder of the cache ours.
const MARK: &str = "tandem-lab-copy";

/// The prepared copy that fits one lab, made or not.
pub(crate) struct Template {
    path: PathBuf,
}

impl Template {
    /// The copy for this layout and these programs.
    pub(crate) fn of(layout: &Layout, programs: &Programs) -> Option<Self> {
        let mut hash = Sha256::new();
        let place = [
            layout.folder.display().to_string(),
            layout.base_port.to_string(),
        ];
        let parts = [FORMAT.to_owned()]
            .into_iter()
            .chain(place)
            .chain(fingerprint(programs));
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let key: String = hash
            .finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Some(Self {
            path: cache()?.join(key),
        })
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.join(MARK).is_file()
    }

    /// Keeps a copy of a furnished, stopped lab. The lab goes on without one if the disk says no.
    pub(crate) async fn keep(&self, layout: &Layout) -> Result<()> {
        let parent = self.path.parent().expect("a key within the cache");
        create(parent)?;
        let making = self
            .path
            .with_extension(format!("{}.new", std::process::id()));
        create(&making)?;
        for part in PARTS {
            copy(layout, &layout.file(part), &making.join(part)).await?;
        }
        copy(layout, &layout.memory, &making.join("memory")).await?;
        let mark = making.join(MARK);
        fs::write(&mark, FORMAT).map_err(Error::file("write", &mark))?;
        if fs::rename(&making, &self.path).is_err() {
            // Another lab of the same key was faster; theirs is as good.
            fs::remove_dir_all(&making).map_err(Error::file("remove", &making))?;
        }
        prune(parent);
        Ok(())
    }

    /// Puts the copy into the lab's empty folders.
    pub(crate) async fn restore(&self, layout: &Layout) -> Result<()> {
        for part in PARTS {
            copy(layout, &self.path.join(part), &layout.file(part)).await?;
        }
        copy(layout, &self.path.join("memory"), &layout.memory).await
    }
}

/// `$XDG_CACHE_HOME/tandem/lab`; without a home there is no cache.
fn cache() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let root = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    root.is_absolute().then(|| root.join("tandem/lab"))
}

/// For us alone: copies hold passwords.
fn create(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(Error::file("create", folder))
}

/// A faithful copy, owners included; shared blocks where the file system can. A folder that
/// exists is replaced: it is empty.
async fn copy(layout: &Layout, from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().expect("below a folder of ours");
    fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
    let args = ["-a", "-T", "--reflink=auto", "--"]
        .map(str::to_owned)
        .into_iter();
    let paths = [from, to].map(|path| path.display().to_string());
    let launch = Launch {
        name: "cp".into(),
        program: "cp".into(),
        args: args.chain(paths).collect(),
        env: Vec::new(),
        folder: layout.folder.clone(),
        log: layout.log("copy"),
        user: None,
    };
    let process = launch.start()?;
    let status = process.ended(COPY_BOUND).await?;
    if status.success() {
        Ok(())
    } else {
        process.expect_alive("copying the lab's data")
    }
}

/// Removes all but the newest copies. One that is being read is not among the old ones.
fn prune(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    let mut copies: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let made = fs::metadata(entry.path().join(MARK))
                .ok()?
                .modified()
                .ok()?;
            Some((made, entry.path()))
        })
        .collect();
    copies.sort();
    for (_, path) in copies.iter().rev().skip(COPIES_MAX) {
        // Another lab may be at it too.
        let _ = fs::remove_dir_all(path);
    }
}
