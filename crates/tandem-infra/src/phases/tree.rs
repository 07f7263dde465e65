//! Where things stand: the three roots, and the driver's own folder beside them.

use std::fs;
use std::path::{Path, PathBuf};

use super::step::Root;
use super::stop::{Kind, Stop};

/// The folder of a Terraform tree and of the driver.
#[derive(Debug, Clone)]
pub struct Tree {
    environments: PathBuf,
    own: PathBuf,
}

impl Tree {
    /// Opens the tree and creates the driver's folder: private, and ignored by git.
    ///
    /// # Errors
    /// If there is no environment, or the folder cannot be made.
    pub fn open(infra: &Path) -> Result<Self, Stop> {
        let below = infra.join("environments");
        let environments = if below.is_dir() {
            below
        } else {
            infra.to_owned()
        };
        // Terraform runs inside the roots: relative paths would point elsewhere there.
        let absolute = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let tree = Self {
            environments: absolute(&environments),
            own: absolute(infra).join(".tandem"),
        };
        if !Root::ALL.into_iter().any(|root| tree.folder(root).is_dir()) {
            return Err(Stop::new(
                Kind::Usage,
                format!(
                    "no aws/dr, gcp/dr or global/cloudflare-lb under {}",
                    infra.display()
                ),
                "name the folder with --infra DIR",
            ));
        }
        tree.make_own()?;
        Ok(tree)
    }

    fn make_own(&self) -> Result<(), Stop> {
        use std::os::unix::fs::DirBuilderExt;
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.own.join("logs"))
            .and_then(|()| fs::write(self.own.join(".gitignore"), "*\n"));
        made.map_err(|source| {
            let path = self.own.clone();
            Stop::from(crate::Error::Write { path, source })
        })
    }

    /// A root's folder.
    pub fn folder(&self, root: Root) -> PathBuf {
        self.environments.join(root.folder())
    }

    /// The driver's own folder.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.own.join("journal.jsonl")
    }

    /// The lock that a run and its Terraform processes hold.
    pub fn run_lock(&self) -> PathBuf {
        self.own.join("run.lock")
    }

    /// A file in the folder of logs.
    pub fn log(&self, name: &str) -> PathBuf {
        self.own.join("logs").join(name)
    }

    /// What the driver tells a root: read by Terraform after `terraform.tfvars`, and wins.
    pub fn wires(&self, root: Root) -> PathBuf {
        self.folder(root).join("tandem.auto.tfvars.json")
    }
}
