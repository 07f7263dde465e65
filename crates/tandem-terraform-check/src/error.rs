//! What can go wrong in this crate, one variant per attempted operation.

use std::path::PathBuf;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A committed file of this crate does not have its form.
    #[error("{what} cannot be read")]
    Data {
        /// Which file.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The overlay or the rules name something that no schema has.
    #[error("{file} names {what}, which no schema has")]
    Dangling {
        /// Which file.
        file: &'static str,
        /// What it names.
        what: String,
    },
    /// A value rule is malformed.
    #[error("rule for {on}: {problem}")]
    Rule {
        /// Its type.
        on: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The sockets could not be opened.
    #[error("cannot serve the providers")]
    Serve {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no terraform of the version asked for.
    #[error("{problem}; install it with: scripts/setup-terraform {version}")]
    NoTerraform {
        /// Where it was looked for, or what was found instead.
        problem: String,
        /// The version.
        version: String,
    },
    /// A terraform command failed.
    #[error("{command} failed in {place}:\n{output}")]
    Terraform {
        /// The command.
        command: String,
        /// The root module.
        place: String,
        /// What it printed.
        output: String,
    },
    /// A terraform command was ended before it could succeed or fail, so that it tells nothing.
    #[error("{command} in {place} was ended by {by} after {seconds} s:\n{output}")]
    Ended {
        /// The command.
        command: String,
        /// The root module.
        place: String,
        /// The signal.
        by: String,
        /// How long it ran.
        seconds: u64,
        /// What it printed.
        output: String,
    },
    /// A check of what no line was broken in.
    #[error("{what} finds fault before any line is broken")]
    NotWhole {
        /// Which check, of what.
        what: String,
    },
    /// Terraform printed something that is not what it documents.
    #[error("{command} printed what cannot be read: {problem}")]
    Output {
        /// The command.
        command: String,
        /// What is wrong.
        problem: String,
    },
    /// An HCL file does not parse.
    #[error("{path}: {problem}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What the parser says.
        problem: String,
    },
    /// A package does not hold what a schema is recovered from.
    #[error("{package}: {problem}")]
    Package {
        /// Which package.
        package: String,
        /// What is missing.
        problem: String,
    },
}

/// Turns an IO error into one that names the path.
pub fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    |source| Error::File {
        path: path.to_path_buf(),
        source,
    }
}
