//! Everything that can be wrong before anything is started, told at once.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::layout::Layout;
use crate::servers::Binaries;
use crate::{Error, Result, ports};

/// Our own binaries.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) tandem: PathBuf,
    pub(crate) gate: PathBuf,
    pub(crate) edge: PathBuf,
    pub(crate) crm: PathBuf,
    /// What all servers say of their versions.
    pub(crate) versions: Vec<String>,
}

/// Looks for every binary and port.
pub(crate) fn check(layout: &Layout, own: &Path) -> Result<Programs> {
    let mut faults = Vec::new();
    let mut find = |name: &str| {
        let path = own.join(name);
        if !path.is_file() {
            faults.push(format!(
                "no `{name}` in {}; build it with `cargo build`",
                own.display()
            ));
        }
        path
    };
    let [tandem, gate, edge, crm] = ["tandem", "tandem-gate", "tandem-edge", "crm"].map(&mut find);
    let versions = match Binaries::find() {
        Ok(binaries) => versions(&binaries, &mut faults),
        Err(missing) => {
            faults.extend(missing.iter().map(ToString::to_string));
            Vec::new()
        }
    };
    let taken = ports::taken(layout.base_port..layout.end_port);
    if !taken.is_empty() {
        let (base, count) = (layout.base_port, layout.end_port - layout.base_port);
        let taken = taken
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        faults.push(format!(
            "--base-port {base}: the lab needs the {count} ports from there on, and these are taken: {taken}; choose another base"
        ));
    }
    if faults.is_empty() {
        Ok(Programs {
            tandem,
            gate,
            edge,
            crm,
            versions,
        })
    } else {
        Err(Error::Refused(faults))
    }
}

fn versions(binaries: &Binaries, faults: &mut Vec<String>) -> Vec<String> {
    let known = [
        (
            "PostgreSQL",
            &binaries.postgres.postgres,
            15..=18,
            "15 to 18",
        ),
        ("Redis", &binaries.redis, 7..=8, "7 or 8"),
        ("etcd", &binaries.etcd, 3..=3, "3.4 or newer"),
    ];
    let mut told = Vec::new();
    for (name, program, majors, wanted) in known {
        match version(program) {
            Some((major, minor, text)) => {
                if !majors.contains(&major) || (name == "etcd" && minor < 4) {
                    let path = program.display();
                    faults.push(format!(
                        "{name} {text} ({path}) does not fit; install {wanted}"
                    ));
                }
                told.push(format!("{name} {text}"));
            }
            None => faults.push(format!("{} does not tell its version", program.display())),
        }
    }
    told
}

/// The first number with a dot that the program says of itself.
fn version(program: &Path) -> Option<(u32, u32, String)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    first_version(&String::from_utf8_lossy(&output.stdout))
}

fn first_version(text: &str) -> Option<(u32, u32, String)> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let word = words
        .map(|word| word.trim_matches('.'))
        .find(|word| word.contains('.'))?;
    let mut numbers = word.split('.').map(str::parse);
    Some((
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        word.to_owned(),
    ))
}

/// The folder of our own binaries: that of the running one, also from a test.
pub(crate) fn own_folder() -> Result<PathBuf> {
    let exe = std::env::current_exe().map_err(Error::file("find", Path::new("/proc/self/exe")))?;
    let folder = exe.parent().unwrap_or(Path::new("/"));
    let tests = folder.ends_with("deps") || folder.ends_with("examples");
    Ok(if tests {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    }
    .to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_server_tells_them() {
        let check = |text: &str, expected: (u32, u32)| {
            let found = first_version(text).map(|(major, minor, _)| (major, minor));
            assert_eq!(found, Some(expected), "{text}");
        };
        check("postgres (PostgreSQL) 15.18 (Debian 15.18-1)", (15, 18));
        check(
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64",
            (7, 0),
        );
        check("etcd Version: 3.4.23\nGo Version: go1.19.8", (3, 4));
        assert_eq!(first_version("nothing"), None);
    }
}
