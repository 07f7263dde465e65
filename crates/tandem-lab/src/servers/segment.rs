//! The System V shared memory segment that a killed PostgreSQL leaves behind.
//!
//! PostgreSQL keeps a few bytes in such a segment as a lock on its data folder
//! and removes it when it stops; `kill -9` gives it no chance, and the machine has a few
//! thousand in all. A server that starts again takes care of its own; one
//! that never will must be cleaned up after. Its number stands in `postmaster.pid`.
//!
//! **Invariant:** only a segment that nobody is attached to is removed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long killed backends may take to let go.
const LET_GO_BOUND: Duration = Duration::from_secs(2);
/// How often they are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Removes what the dead server of `data` left, if anything. Best effort: a segment that cannot
/// be removed costs a few bytes.
pub(crate) fn remove_of(data: &Path) {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let Some(id) = segment(&text) else {
        return;
    };
    let deadline = Instant::now() + LET_GO_BOUND;
    loop {
        match attached(id) {
            Some(0) => break remove(id),
            Some(_) if Instant::now() < deadline => std::thread::sleep(LOOK_AGAIN),
            _ => return,
        }
    }
}

fn remove(id: &str) {
    let mut command = Command::new("ipcrm");
    command
        .args(["-m", id])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Somebody else may have removed it, and without `ipcrm` it stays.
    let _ = command.status();
}

/// How many processes use the segment; `None` if it is gone.
fn attached(id: &str) -> Option<u32> {
    count(&fs::read_to_string("/proc/sysvipc/shm").ok()?, id)
}

/// The second number of the line with key and id of the segment.
fn segment(postmaster: &str) -> Option<&str> {
    let line = postmaster.lines().nth(6)?;
    let id = line.split_ascii_whitespace().nth(1)?;
    id.bytes().all(|b| b.is_ascii_digit()).then_some(id)
}

/// The same from the text of `/proc/sysvipc/shm`.
fn count(table: &str, id: &str) -> Option<u32> {
    table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let found = fields.get(1) == Some(&id);
        found.then(|| fields.get(6)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_and_its_users_are_found() {
        let postmaster =
            "4711\n/tmp/data\n1795000000\n21002\n\n127.0.0.1\n   102837       7\nready   \n";
        assert_eq!(segment(postmaster), Some("7"));
        let table = "       key      shmid perms                  size  cpid  lpid nattch   uid\n    102837          7   600                    56  4711  4712      0   101\n     99999          8   600                    56  4811  4812      6   101\n";
        assert_eq!(count(table, "7"), Some(0));
        assert_eq!(count(table, "8"), Some(6), "somebody uses it");
        assert_eq!(count(table, "9"), None, "there is none");
    }
}
