//! Accepted findings: who accepts one says why and until when.
//!
//! Invariant: an acceptance without an end does not exist. After its day the
//! finding counts again, and the acceptance itself becomes a finding.

use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Finding, find};
use crate::assume::Assumptions;
use crate::error::Error;
use crate::read::{TEXT_BYTES_MAX, read_bounded};

/// The usual name of the settings file.
pub const FILE_NAME: &str = "tandem-check.toml";

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// The rule.
    pub id: String,
    /// Why it is accepted.
    pub reason: String,
    /// The last day on which it is accepted.
    pub until: Date,
    /// Only at this key; everywhere if absent.
    #[serde(default)]
    pub key: Option<String>,
}

/// What a finding carries when it is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: String,
}

/// The settings file: assumptions and acceptances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where it was read.
    pub file: String,
    /// What the files leave open.
    pub assumed: Assumptions,
    /// What is accepted.
    pub suppressions: Vec<Suppression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    #[serde(default)]
    assume: toml::Table,
    #[serde(default)]
    suppress: Vec<Suppression>,
}

impl Settings {
    /// Reads `path`.
    ///
    /// # Errors
    /// If it is not readable, names unknown rules or keys, or lacks a reason.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&read_bounded(path, TEXT_BYTES_MAX)?, path)
    }

    /// Reads the text of a settings file called `path`.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Settings {
            path: path.to_owned(),
            problem,
        };
        let shape: Shape = toml::from_str(text).map_err(|error| refuse(error.to_string()))?;
        let mut settings = Self {
            file: path.to_string_lossy().into_owned(),
            ..Self::default()
        };
        for (key, value) in shape.assume {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            settings.assumed.set(&key, &value)?;
        }
        for suppression in shape.suppress {
            find(&suppression.id).map_err(|error| refuse(error.to_string()))?;
            if suppression.reason.trim().is_empty() {
                return Err(refuse(format!(
                    "`{}` is accepted without a reason",
                    suppression.id
                )));
            }
            settings.suppressions.push(suppression);
        }
        Ok(settings)
    }
}

/// Marks a finding that somebody accepted and whose acceptance has not ended.
pub(super) fn apply(suppressions: &[Suppression], mut finding: Finding, today: Date) -> Finding {
    let accepts = |entry: &&Suppression| {
        entry.id == finding.id
            && today <= entry.until
            && entry
                .key
                .as_ref()
                .is_none_or(|key| *key == finding.place.key)
    };
    let accepted = suppressions.iter().find(accepts);
    finding.suppressed = accepted.map(|entry| Accepted {
        reason: entry.reason.clone(),
        until: entry.until.to_string(),
    });
    finding
}
