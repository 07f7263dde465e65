//! Where the installations of the tests stand, and how they are read.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, date};
use tandem_infra::assume::Assumptions;
use tandem_infra::check::suppress::Settings;
use tandem_infra::estate::Estate;

/// The day for which every answer of these tests holds.
pub(crate) fn today() -> Date {
    date(2026, 11, 22)
}

/// An installation of the fixtures: `guide` or `corrected`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Reads an installation with its own settings file and further assumptions.
pub(crate) fn read(root: &Path, assume: &str) -> Estate {
    let file = root.join("tandem-check.toml");
    let mut settings = if file.is_file() {
        Settings::read(&file).unwrap()
    } else {
        Settings::default()
    };
    let mut assumed = Assumptions::parse(assume).unwrap();
    assumed.fill_from(&settings.assumed);
    settings.assumed = assumed;
    Estate::read(root, None, settings, today()).unwrap()
}

/// A copy of a fixture in which files can be changed.
pub(crate) struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    pub(crate) fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture(name), folder.path());
        Self { folder }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces one piece of text, which must be there.
    pub(crate) fn replace(&self, file: &str, old: &str, new: &str) {
        let path = self.root().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} no longer has `{old}`");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.root().join(file), text).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
