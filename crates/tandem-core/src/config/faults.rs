//! What is wrong with a configuration, in words that lead to the fix.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One fault: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Key path (`policy.authority.ttl_ms`); empty for the file as a whole.
    pub key: String,
    /// What is wrong, with the value found and its line.
    pub problem: String,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.problem, self.fix)
    }
}

/// Every fault of one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// Printed faults; a file that is no configuration at all has one for each of its lines.
const PRINTED_MAX: usize = 50;

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "{} fault{plural} in the configuration", self.0.len())?;
        for fault in self.0.iter().take(PRINTED_MAX) {
            write!(f, "\n  {fault}")?;
        }
        if self.0.len() > PRINTED_MAX {
            write!(f, "\n  ... and {} more", self.0.len() - PRINTED_MAX)?;
        }
        Ok(())
    }
}

impl core::error::Error for Faults {}
