//! Whom PostgreSQL runs as: it refuses to run as root.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use crate::{Error, Result};

/// An unprivileged account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The account for servers that refuse root: `postgres`, else `nobody`. `None` if we
    /// are not root, since then they run as we do.
    pub fn unprivileged() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        // Without the file there are no names either; 65534 is `nobody` on every Linux.
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let nobody = Self {
            uid: 65534,
            gid: 65534,
        };
        Some(
            find(&accounts, "postgres")
                .or_else(|| find(&accounts, "nobody"))
                .unwrap_or(nobody),
        )
    }

    /// Gives the account `path`, and everything below it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(Error::file("hand over", path))?;
        if !path.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(path).map_err(Error::file("read", path))? {
            self.own(&entry.map_err(Error::file("read", path))?.path())?;
        }
        Ok(())
    }

    pub(super) fn setpriv_args(&self) -> [String; 3] {
        let Self { uid, gid } = self;
        [
            format!("--reuid={uid}"),
            format!("--regid={gid}"),
            "--clear-groups".into(),
        ]
    }
}

fn find(accounts: &str, name: &str) -> Option<User> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some(User { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "post:x:1:2::/:\npostgres:x:101:104:PostgreSQL:/var:/bin/bash\n";
        assert_eq!(
            find(accounts, "postgres"),
            Some(User { uid: 101, gid: 104 })
        );
        assert_eq!(find(accounts, "nobody"), None);
    }
}
