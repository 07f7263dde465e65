//! What an agent must remember across restarts: which store, how far it had come.
//!
//! Written *before* anything is done with what was read (design section 4, rule 4), to a
//! new file that replaces the old one, so that a crash leaves one of the two whole.
//! A new identity or epoch is flushed to the disk; a mere renewal (twice a second) is not:
//! it survives the death of the process, and losing it to a power cut only makes the
//! agent notice a restored store a few revisions later.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tandem_core::authority::Memory;

/// Why the memory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The folder or file is not usable.
    #[error("the agent's memory {path} cannot be {verb}")]
    File {
        /// The file.
        path: String,
        /// `read` or `written`.
        verb: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else. Never overwritten: a person must look.
    #[error("the agent's memory {path} is damaged")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The memory of one agent, in its state folder.
#[derive(Debug)]
pub struct MemoryFile {
    path: PathBuf,
    last: Option<Memory>,
}

impl MemoryFile {
    /// Opens the memory in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// If the folder cannot be made, or the file is there and cannot be read or understood.
    pub fn open(folder: &Path) -> Result<Self, MemoryError> {
        let path = folder.join("memory.json");
        fs::create_dir_all(folder).map_err(|source| failed(&path, "read", source))?;
        let last = match fs::read(&path) {
            Ok(bytes) => Some(parse(&path, &bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(failed(&path, "read", source)),
        };
        Ok(Self { path, last })
    }

    /// What was last written.
    pub fn last(&self) -> Option<&Memory> {
        self.last.as_ref()
    }

    /// Writes `memory` unless it is there already.
    ///
    /// # Errors
    /// If the file cannot be written; the caller must not act on what it read.
    pub fn keep(&mut self, memory: &Memory) -> Result<(), MemoryError> {
        if self.last.as_ref() == Some(memory) {
            return Ok(());
        }
        let durable = self
            .last
            .as_ref()
            .is_none_or(|last| last.identity != memory.identity || last.epoch != memory.epoch);
        self.replace(memory, durable)
            .map_err(|source| failed(&self.path, "written", source))?;
        self.last = Some(memory.clone());
        Ok(())
    }

    fn replace(&self, memory: &Memory, durable: bool) -> io::Result<()> {
        let next = self.path.with_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(memory)?)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&next, &self.path)?;
        if durable {
            let folder = self.path.parent().expect("the path was joined to a folder");
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Memory, MemoryError> {
    serde_json::from_slice(bytes).map_err(|source| MemoryError::Damaged {
        path: path.display().to_string(),
        source,
    })
}

fn failed(path: &Path, verb: &'static str, source: io::Error) -> MemoryError {
    MemoryError::File {
        path: path.display().to_string(),
        verb,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_core::authority::Identity;
    use tandem_core::model::Epoch;

    fn memory(revision: u64) -> Memory {
        let identity = Identity {
            cluster: "crm".into(),
            store: "first life".into(),
        };
        Memory {
            identity,
            revision,
            epoch: Epoch(3),
        }
    }

    #[test]
    fn remembers_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("made").join("when missing");
        let mut file = MemoryFile::open(&state).unwrap();
        assert_eq!(file.last(), None);
        for revision in [7, 8] {
            file.keep(&memory(revision)).unwrap();
            assert_eq!(
                MemoryFile::open(&state).unwrap().last(),
                Some(&memory(revision))
            );
        }
    }

    #[test]
    fn a_damaged_file_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        fs::write(&path, "{\"identity\":").unwrap();
        assert!(matches!(
            MemoryFile::open(folder.path()),
            Err(MemoryError::Damaged { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"identity\":");
    }

    #[test]
    fn a_half_written_successor_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        MemoryFile::open(folder.path())
            .unwrap()
            .keep(&memory(7))
            .unwrap();
        fs::write(folder.path().join("memory.next"), "{").unwrap();
        let mut file = MemoryFile::open(folder.path()).unwrap();
        assert_eq!(file.last(), Some(&memory(7)));
        file.keep(&memory(8)).unwrap();
        assert_eq!(
            MemoryFile::open(folder.path()).unwrap().last(),
            Some(&memory(8))
        );
    }
}
