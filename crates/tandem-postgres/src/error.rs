//! What can go wrong at a database: one variant for each kind of answer.

use std::time::Duration;

use tandem_core::model::{Epoch, SiteId};

/// Why an operation on PostgreSQL did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the configuration names could not be read.
    #[error("{path} could not be read")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration does not fit this operation.
    #[error("{key}: {problem}")]
    Configuration {
        /// Key path in tandem.toml.
        key: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// No connection could be opened.
    #[error("no connection to PostgreSQL at {address} as {role}")]
    Connect {
        /// Where it was sought.
        address: String,
        /// The role that logged in.
        role: String,
        /// What the driver said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server did not answer in time; the connection was given up.
    #[error("{what}: no answer from PostgreSQL at {address} within {limit:?}")]
    TimedOut {
        /// The operation.
        what: &'static str,
        /// Where it was sought.
        address: String,
        /// The bound.
        limit: Duration,
    },
    /// The server refused a statement.
    #[error("{what}: PostgreSQL refused")]
    Query {
        /// The operation.
        what: String,
        /// What the driver said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// `tandem replication setup` has not been run for this database.
    #[error("{address} has no schema tandem_local; run `tandem replication setup`")]
    NotSetUp {
        /// Where it was sought.
        address: String,
    },
    /// The database was set up for another site.
    #[error("{address} is the database of site {found}, not of {expected}")]
    WrongSite {
        /// Where it was found.
        address: String,
        /// The site of the configuration.
        expected: SiteId,
        /// The site that the database names.
        found: String,
    },
    /// The database has already seen a newer epoch.
    #[error("epoch {asked} is refused: the database has seen epoch {found}")]
    StaleEpoch {
        /// The epoch of the caller.
        asked: Epoch,
        /// The epoch in the database.
        found: Epoch,
    },
    /// The guard was closed for this epoch, which is final.
    #[error("the guard was closed for epoch {epoch}; only a newer epoch opens it again")]
    GuardClosed {
        /// The closed epoch.
        epoch: Epoch,
    },
    /// The subscription still receives, so the database may not be opened.
    #[error("the subscription still receives from the other site")]
    StillReceiving,
    /// Some tables were never copied completely.
    #[error("only {ready} of {total} tables are ready; a promotion would lose rows")]
    NotReady {
        /// Tables whose copy finished.
        ready: i64,
        /// Tables in the subscription.
        total: i64,
    },
    /// The position up to which the other site's commits were applied is unknown.
    #[error("the last applied position is unknown; nothing was ever received")]
    BoundaryUnknown,
    /// This site wrote in an epoch of its own since it stopped receiving.
    #[error("this site has been opened for writes since it stopped receiving")]
    Diverged,
    /// Another agent works on the same step.
    #[error("another agent is preparing this database")]
    Busy,
    /// A site whose guard still lets writes pass is no old primary.
    #[error("{site} still takes writes; its tail may grow")]
    StillOpen {
        /// The site.
        site: SiteId,
    },
    /// The old primary has writes that the survivor never got; a named person must say what becomes of them.
    #[error(
        "{lost} transaction(s) of this site never reached the other one; `tandem reinstate` sets them aside"
    )]
    LostWrites {
        /// How many transactions.
        lost: u64,
    },
    /// The ledger must be durable before a row is changed.
    #[error(
        "the ledger of epoch {epoch} is not written yet, or does not hold all of {lost} lost transaction(s)"
    )]
    LedgerMissing {
        /// The epoch that the survivor was prepared for.
        epoch: Epoch,
        /// How many transactions the old primary's log holds above the boundary.
        lost: u64,
    },
    /// Only a full copy brings this site back.
    #[error("only a full copy brings this site back: {why}")]
    CopyNeeded {
        /// What is missing for less.
        why: String,
    },
    /// There is no such slot, subscription or row.
    #[error("{0} does not exist")]
    Missing(String),
    /// The server answered something that this build does not understand.
    #[error("{what} answered something unexpected: {text}")]
    Malformed {
        /// The operation.
        what: &'static str,
        /// What came.
        text: String,
    },
    /// A tool of PostgreSQL failed.
    #[error("{tool} failed: {text}")]
    Tool {
        /// The program.
        tool: &'static str,
        /// Its last words.
        text: String,
    },
    /// Replication does not run any more as it did when the work was planned.
    #[error(
        "changes no longer run from {from} to {to}; when replication runs again, run the same command again: it goes on from here"
    )]
    DirectionChanged {
        /// The primary when the work was planned.
        from: SiteId,
        /// The replica then.
        to: SiteId,
    },
    /// A wait reached its bound.
    #[error("{what} did not finish within {limit:?}: {state}")]
    Unfinished {
        /// What was waited for.
        what: &'static str,
        /// The bound.
        limit: Duration,
        /// How far it came.
        state: String,
    },
}

impl Error {
    pub(crate) fn query(what: impl Into<String>, source: tokio_postgres::Error) -> Self {
        Self::Query {
            what: what.into(),
            source,
        }
    }

    pub(crate) fn file(path: &str, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

/// An error with its sources, as one line.
pub(crate) fn sentence(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
