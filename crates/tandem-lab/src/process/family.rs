//! Who descends from whom, read from `/proc`.

use std::collections::HashSet;
use std::fs;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// When a process was born, in clock ticks since boot: with it a pid names one process for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Birth(u64);

/// The birth of `pid`; `None` if there is no such process.
pub fn birth(pid: Pid) -> Option<Birth> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The 22nd field; the second (the name, in brackets) may hold spaces.
    field(&stat, 22).map(Birth)
}

/// The state letter of `pid` (`R`, `S`, `T`, ...).
pub(super) fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Whether `pid` has ended, though its parent may not have asked how.
pub(crate) fn is_dead(pid: Pid) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// All living descendants of `roots`, parents before children.
pub fn descendants(roots: &[Pid]) -> Vec<Pid> {
    if roots.is_empty() {
        return Vec::new();
    }
    let parents = parents();
    let mut found: HashSet<Pid> = HashSet::from_iter(roots.iter().copied());
    let mut ordered = Vec::new();
    loop {
        let generation: Vec<_> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if generation.is_empty() {
            return ordered;
        }
        found.extend(generation.iter().copied());
        ordered.extend(generation);
    }
}

/// Every process of the machine with its parent.
fn parents() -> Vec<(Pid, Pid)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|raw: i32| Some((Pid::from_raw(raw)?, parent(raw)?)))
        .collect()
}

fn parent(raw: i32) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{raw}/stat")).ok()?;
    Pid::from_raw(field(&stat, 4)?.try_into().ok()?)
}

/// Field `number` of a stat line, counted from 1 as in proc(5); from the third on.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 9001 1 1";
        assert_eq!(field(stat, 4), Some(7));
        assert_eq!(field(stat, 22), Some(9001));
    }

    #[test]
    fn we_descend_from_our_parent() {
        let us = rustix::process::getpid();
        let parent = rustix::process::getppid().expect("a test has a parent");
        assert!(descendants(&[parent]).contains(&us));
        assert_eq!(birth(us), birth(us));
        assert!(birth(us).is_some());
    }
}
