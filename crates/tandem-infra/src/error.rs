//! What can go wrong while answering, as opposed to what is wrong in a file:
//! the latter is a finding and never stops the rest.

use std::path::PathBuf;

/// One variant per attempted operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder given holds none of the three environments.
    #[error(
        "no environment under {}: expected aws/, gcp/ or global/, directly or below environments/", .0.display()
    )]
    NoEnvironment(PathBuf),
    /// A file that the caller named cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that the caller named is too large to be what it should be.
    #[error("{} is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound for its kind.
        limit_bytes: u64,
    },
    /// The price catalogue breaks its own rules.
    #[error("price catalogue, line {line}: {problem}")]
    Catalogue {
        /// Line in the CSV file.
        line: u64,
        /// What is wrong, with the value found.
        problem: String,
    },
    /// The usage file is not in Infracost's shape.
    #[error("usage file: {0}")]
    Usage(String),
    /// The file of assumptions and suppressions is not readable as such.
    #[error("{}: {problem}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An assumption that does not exist or cannot have this value.
    #[error("assumption `{given}`: {problem}")]
    Assumption {
        /// What was given.
        given: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// A rule or a line that does not exist.
    #[error("nothing is called `{asked}`; {hint}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The nearest name, or where to find the list.
        hint: String,
    },
    /// The file of rates for the simulation is not readable as such.
    #[error("rates file: {0}")]
    Rates(String),
    /// A file of ours cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Randomness(String),
    /// The journal of the phases holds a line that nobody wrote.
    #[error("{}, line {line}: not an entry of the journal ({problem})", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}
