//! From files to the read model: bounded, offline, fault-tolerant.
//!
//! Intuition: what Terraform itself would refuse is a finding, and everything
//! else in the file is still checked. An absent file is no error.
//! Invariant: every file is read through [`read_bounded`]; nothing is followed
//! outside the folders given except local module sources.

pub mod environment;
pub mod hcl;
pub mod mapping;
pub mod plan;
pub mod value;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::Error;

/// Upper bound of HCL, TOML, CSV and YAML files: a hundred times the largest of a real tree.
pub const TEXT_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Upper bound of a plan file; a plan of 1,000 resources has about 10 MB.
pub const PLAN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Files looked at in one folder.
pub const FILES_MAX: usize = 500;

/// Reads a file as text, at most `limit_bytes` of it; what is not UTF-8 is replaced.
///
/// # Errors
/// If the file cannot be read or is larger than the limit.
pub fn read_bounded(path: &Path, limit_bytes: u64) -> Result<String, Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            limit_bytes,
        });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where something stands: the place a person goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the folder given.
    pub file: String,
    /// The line, from 1; 0 if the file has no lines that a person edits.
    pub line: u32,
    /// The key.
    pub key: String,
}

impl Place {
    /// A place in a file.
    pub fn new(file: impl Into<String>, line: u32, key: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            key: key.into(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, " ({})", self.key)?;
        }
        Ok(())
    }
}

/// What Terraform or Tandem would refuse about a file as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Which kind of fault.
    pub kind: FaultKind,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
}

/// The kinds of faults of a file as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The file, or a part of it, does not parse.
    Syntax,
    /// A key stands twice.
    Repeated,
    /// A value in a tfvars file is no literal.
    NotLiteral,
    /// A tfvars file sets a variable that nobody declares.
    Undeclared,
    /// `tandem.toml` is refused.
    Config,
}
