//! The repository's own text files: what git tracks or would track, nothing that is built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// One text file.
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Bigger files are data, not text that people write.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Every text file below `root`, sorted by path.
pub(crate) fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut command = Command::new("git");
    command.current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let output = command
        .output()
        .context("git is needed to list the repository's files")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "git ls-files: {}",
        complaint.trim()
    );
    let names = String::from_utf8(output.stdout).context("a file's name is no UTF-8")?;
    let mut paths: Vec<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths
        .into_iter()
        .filter_map(|path| read(root, path))
        .collect())
}

/// `None` for what is no text, too big, or deleted but still in the index.
fn read(root: &Path, path: &str) -> Option<File> {
    let full: PathBuf = root.join(path);
    let small = std::fs::symlink_metadata(&full)
        .is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX);
    let text = small.then(|| std::fs::read_to_string(&full).ok())??;
    Some(File {
        path: path.to_string(),
        text,
    })
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}
