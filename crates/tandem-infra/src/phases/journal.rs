//! What was done, on disk before anything else happens.
//!
//! Intuition: a list of lines that only grows; the state is their fold.
//! Invariant: an entry is on the disk (fsync) when [`Journal::append`] returns.
//! A last line without its end is the mark of a kill and counts as not written;
//! any other unreadable line is refused, because doubt about what was done is
//! no ground to do it again.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::step::{Goal, Step};
use crate::error::Error;

/// A journal of this size holds tens of thousands of runs.
const JOURNAL_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Wall clock, for display only.
    pub at: jiff::Timestamp,
    /// The run's number, from 1.
    pub run: u64,
    /// What happened.
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A run began.
    Began(Goal),
    /// A killed or failed run went on.
    Resumed,
    /// A step began; it may be done in part.
    Started(Step),
    /// A step is done, with its evidence.
    Done {
        /// The step.
        step: Step,
        /// What proves it.
        evidence: Vec<String>,
    },
    /// A step failed; the run stands still.
    Failed {
        /// The step.
        step: Step,
        /// What happened.
        problem: String,
    },
    /// Everything is done.
    Finished,
    /// A person gave the run up.
    Abandoned,
}

/// The last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub number: u64,
    /// What it is for.
    pub goal: Goal,
    /// What is done.
    pub done: BTreeSet<Step>,
    /// Whether nothing is left, or somebody gave it up.
    pub ended: bool,
}

/// The journal on disk.
pub struct Journal {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens or creates the journal; cuts off a line that a kill left unfinished.
    ///
    /// # Errors
    /// If it cannot be read or written, or holds what is no entry.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Write {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        let mut text = String::new();
        let mut limited = (&mut file).take(JOURNAL_BYTES_MAX + 1);
        limited.read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > JOURNAL_BYTES_MAX {
            return Err(Error::TooLarge {
                path: path.to_owned(),
                limit_bytes: JOURNAL_BYTES_MAX,
            });
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(failed)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        Ok(Self {
            entries: parse(path, &text[..whole])?,
            path: path.to_owned(),
            file,
        })
    }

    /// Writes an entry and returns when it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written; the entry then counts as not written.
    pub fn append(&mut self, run: u64, event: Event) -> Result<(), Error> {
        let entry = Entry {
            at: jiff::Timestamp::now(),
            run,
            event,
        };
        let mut line = serde_json::to_string(&entry).expect("entries are plain data");
        line.push('\n');
        let written = self.file.write_all(line.as_bytes());
        written
            .and_then(|()| self.file.sync_all())
            .map_err(|source| Error::Write {
                path: self.path.clone(),
                source,
            })?;
        self.entries.push(entry);
        Ok(())
    }

    /// Everything that happened.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The last run.
    pub fn last_run(&self) -> Option<Run> {
        fold(&self.entries)
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Error> {
    let entry = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::Journal {
            path: path.to_owned(),
            line: index + 1,
            problem: error.to_string(),
        })
    };
    text.lines().enumerate().map(entry).collect()
}

fn fold(entries: &[Entry]) -> Option<Run> {
    let mut last: Option<Run> = None;
    for entry in entries {
        match (&entry.event, &mut last) {
            (Event::Began(goal), last) => {
                *last = Some(Run {
                    number: entry.run,
                    goal: goal.clone(),
                    done: BTreeSet::new(),
                    ended: false,
                });
            }
            (Event::Done { step, .. }, Some(run)) => {
                run.done.insert(*step);
            }
            (Event::Finished | Event::Abandoned, Some(run)) => run.ended = true,
            _ => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::step::{Direction, Phase, Work};
    use super::*;

    fn goal() -> Goal {
        Goal {
            direction: Direction::Apply,
            phases: vec![Phase::Prepare],
        }
    }

    const KEYS: Step = Step {
        phase: Phase::Prepare,
        work: Work::Keys,
    };

    #[test]
    fn what_was_written_is_read_again_at_every_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(1, Event::Began(goal())).unwrap();
        journal.append(1, Event::Started(KEYS)).unwrap();
        let evidence = vec!["two files".to_owned()];
        journal
            .append(
                1,
                Event::Done {
                    step: KEYS,
                    evidence,
                },
            )
            .unwrap();
        journal.append(1, Event::Finished).unwrap();
        let text = std::fs::read(&path).unwrap();
        for cut in 0..=text.len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            let whole = text[..cut].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(journal.entries().len(), whole);
            journal.append(2, Event::Resumed).unwrap();
            assert_eq!(Journal::open(&path).unwrap().entries().len(), whole + 1);
        }
    }

    #[test]
    fn a_line_that_nobody_wrote_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(Journal::open(&path).is_err());
    }
}
