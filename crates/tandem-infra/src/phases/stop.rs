//! Why a run ended before its end: one problem, one fix, one exit code.

use std::fmt;

/// What the caller's shell should conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It failed.
    Failed,
    /// What was asked for cannot be read or is no complete request.
    Usage,
    /// A credential is missing or lacks a right.
    Unauthorised,
    /// A safety rule, a lock or a person refused.
    Refused,
    /// It did not finish in its time; a part is done.
    Partial,
    /// A person interrupted it.
    Interrupted,
}

impl Kind {
    /// The exit code of the command.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unauthorised => 4,
            Kind::Refused => 5,
            Kind::Partial => 6,
            Kind::Interrupted => 130,
        }
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// For the exit code.
    pub kind: Kind,
    /// What happened.
    pub problem: String,
    /// What to do next.
    pub fix: String,
}

impl Stop {
    /// A stop of any kind.
    pub fn new(kind: Kind, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            kind,
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// Something failed.
    pub fn failed(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Kind::Failed, problem, fix)
    }

    /// Something was refused.
    pub fn refused(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Kind::Refused, problem, fix)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  fix: {}", self.problem, self.fix)
    }
}

impl std::error::Error for Stop {}

impl From<crate::Error> for Stop {
    fn from(error: crate::Error) -> Self {
        use std::error::Error as _;
        let source = error.source().map(|source| format!(": {source}"));
        let problem = format!("{error}{}", source.unwrap_or_default());
        Stop::failed(problem, "put it right and run the same command again")
    }
}
