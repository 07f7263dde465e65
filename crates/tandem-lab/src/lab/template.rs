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
use crate::process::{Host, Launch};
use crate::{Error, Result};

/// Raised when what a copy holds changes.
const FORMAT: &str = "3";
/// Copies that are kept; the least recently made go.
const COPIES_MAX: usize = 4;
/// How long a copy may take on a busy disk.
const COPY_BOUND: Duration = Duration::from_secs(120);
/// What is copied of the lab's folder.
const PARTS: [&str; 4] = ["aws/postgres", "gcp/postgres", "secrets", "ca.crt"];
/// The file that makes a folder of the cache ours.
const MARK: &str = "tandem-lab-copy";
/// How the name of a copy begins while it is being made.
const MAKING: &str = "making-";

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
            layout.network.to_string(),
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

    /// Keeps a copy of a furnished, stopped lab.
    pub(crate) async fn keep(&self, layout: &Layout) -> Result<()> {
        let parent = self.path.parent().expect("a key within the cache");
        create(parent)?;
        prune(parent);
        let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(parent);
        let making = making.map_err(Error::file("create a folder in", parent))?;
        for part in PARTS {
            copy(layout, &layout.file(part), &making.path().join(part)).await?;
        }
        copy(layout, &layout.memory, &making.path().join("memory")).await?;
        let mark = making.path().join(MARK);
        fs::write(&mark, FORMAT).map_err(Error::file("write", &mark))?;
        // If another lab of the same key was faster, theirs is as good, and ours goes.
        if fs::rename(making.path(), &self.path).is_ok() {
            // Nothing is left at the old name.
            let _ = making.keep();
        }
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

/// A faithful copy, owners included, without the zeros that etcd and PostgreSQL write ahead. A
/// folder that exists is empty, and filled.
pub(super) async fn copy(layout: &Layout, from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().expect("below a folder of ours");
    fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
    let args = ["-a", "-T", "--sparse=always", "--"]
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
        on: Host::default(),
    };
    let process = launch.start()?;
    let status = process.ended(COPY_BOUND).await?;
    if status.success() {
        Ok(())
    } else {
        process.expect_alive("copying the lab's data")
    }
}

/// Removes all but the newest copies, and half-made ones that nobody makes any more. A copy that
/// is being read is not among the old ones.
fn prune(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    let (made, making): (Vec<_>, Vec<_>) = entries
        .flatten()
        .map(|entry| entry.path())
        .partition(|path| path.join(MARK).is_file());
    let mut copies: Vec<_> = made
        .into_iter()
        .filter_map(|path| Some((age(&path.join(MARK))?, path)))
        .collect();
    copies.sort();
    let old = copies
        .into_iter()
        .skip(COPIES_MAX - 1)
        .map(|(_, path)| path);
    let given_up = making.into_iter().filter(|path| {
        let ours = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(MAKING));
        ours && age(path).is_some_and(|age| age > 2 * COPY_BOUND)
    });
    for path in old.chain(given_up) {
        // Another lab may be at it too.
        let _ = fs::remove_dir_all(path);
    }
}

fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}
