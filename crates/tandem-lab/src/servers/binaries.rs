//! Where the servers' binaries are.

use std::env;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The major versions of PostgreSQL that the lab runs, the newest first.
const POSTGRES_MAJORS: [u32; 4] = [18, 17, 16, 15];

/// The programs of one PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresBinaries {
    /// Makes a data folder.
    pub initdb: PathBuf,
    /// The server.
    pub postgres: PathBuf,
}

/// Every server that the lab needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// PostgreSQL 15 to 18.
    pub postgres: PostgresBinaries,
    /// Redis 7.
    pub redis: PathBuf,
    /// etcd 3.4 or newer.
    pub etcd: PathBuf,
}

impl Binaries {
    /// Looks for all of them.
    ///
    /// # Errors
    /// One error for each that is missing.
    pub fn find() -> Result<Self, Vec<Error>> {
        match (PostgresBinaries::find(), redis(), etcd(), setpriv()) {
            (Ok(postgres), Ok(redis), Ok(etcd), Ok(_)) => Ok(Self {
                postgres,
                redis,
                etcd,
            }),
            (postgres, redis, etcd, setpriv) => {
                let missing = [postgres.err(), redis.err(), etcd.err(), setpriv.err()];
                Err(missing.into_iter().flatten().collect())
            }
        }
    }
}

impl PostgresBinaries {
    /// The newest of Debian's versions, else what is on the PATH.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn find() -> Result<Self> {
        let packaged = POSTGRES_MAJORS
            .iter()
            .map(|major| format!("/usr/lib/postgresql/{major}/bin"));
        let folders = packaged.map(PathBuf::from).chain(path_folders());
        folders
            .filter_map(|folder| Self::within(&folder))
            .next()
            .ok_or_else(|| Error::Missing {
                program: "postgres".into(),
                fix: "install PostgreSQL 15 to 18 (Debian: apt-get install postgresql)",
            })
    }

    fn within(folder: &Path) -> Option<Self> {
        let (initdb, postgres) = (folder.join("initdb"), folder.join("postgres"));
        (initdb.is_file() && postgres.is_file()).then_some(Self { initdb, postgres })
    }
}

pub(super) fn redis() -> Result<PathBuf> {
    on_path(
        "redis-server",
        "install Redis 7 (Debian: apt-get install redis-server)",
    )
}

pub(super) fn etcd() -> Result<PathBuf> {
    on_path(
        "etcd",
        "install etcd 3.4 or newer (Debian: apt-get install etcd-server)",
    )
}

/// Every process is started through it.
fn setpriv() -> Result<PathBuf> {
    on_path(
        "setpriv",
        "install util-linux (Debian: apt-get install util-linux)",
    )
}

fn on_path(program: &str, fix: &'static str) -> Result<PathBuf> {
    let found = path_folders()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    found.ok_or_else(|| Error::Missing {
        program: program.into(),
        fix,
    })
}

/// The folders of PATH, and those for servers that an ordinary user's PATH leaves out.
fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let listed: Vec<_> = env::split_paths(&path).collect();
    listed
        .into_iter()
        .chain(["/usr/sbin", "/usr/local/bin"].map(PathBuf::from))
}
