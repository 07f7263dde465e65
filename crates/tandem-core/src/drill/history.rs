//! What outside clients saw: one record a request.
//!
//! Invariant: a request succeeds only if it was answered 2xx within
//! [`ANSWER_WITHIN`] of its *intended* time. Measuring from the intended time
//! and not from the sending keeps a stalled client from hiding an outage.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::{Epoch, Mono, SiteId};

/// A request that is not answered this long after its intended time has failed
/// with an unknown outcome. The bound is a user's patience with one click.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A contact that exists at both sites.
    Read,
    /// HEAD of the health page, as the guide's first test does.
    Head,
    /// A new, uniquely numbered contact.
    Write,
}

impl Kind {
    /// The name in files and pictures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Head => "head",
            Self::Write => "write",
        }
    }
}

/// Who acknowledged a write, as the database itself says it: `site/epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The epoch in which the row was written. First, so that origins sort by age.
    pub epoch: Epoch,
    /// The site whose database wrote it.
    pub site: SiteId,
}

/// Text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin like aws/1")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin(text.to_string());
        let (site, epoch) = text.split_once('/').ok_or_else(invalid)?;
        let epoch = Epoch(epoch.parse().map_err(|_| invalid())?);
        let site = site.parse().map_err(|_| invalid())?;
        Ok(Self { epoch, site })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.epoch)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered 2xx in time.
    Succeeded,
    /// Answered in time, but not 2xx.
    Refused(u16),
    /// No answer in time: the service may or may not have done it.
    Unknown,
}

/// One request of an outside client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its number in the drill; a write's row carries it.
    pub number: u64,
    /// What it asks for.
    pub kind: Kind,
    /// When the schedule wanted it sent.
    pub intended: Mono,
    /// When it was handed to the network; absent if it never was.
    pub sent: Option<Mono>,
    /// When the whole answer had arrived.
    pub answered: Option<Mono>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// The site that `X-Cloud-Provider` named.
    pub cloud: Option<SiteId>,
    /// The origin in the answered row.
    pub origin: Option<Origin>,
    /// Why there is no good answer, in the client's words.
    pub failure: Option<String>,
    /// How long its client waits, if not [`ANSWER_WITHIN`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_ms: Option<u64>,
}

impl Request {
    /// How the request ended for its client.
    pub fn outcome(&self) -> Outcome {
        match (self.status, self.answered) {
            (Some(_), Some(at)) if at > self.deadline() => Outcome::Unknown,
            (Some(status), Some(_)) if (200..300).contains(&status) => Outcome::Succeeded,
            (Some(status), Some(_)) => Outcome::Refused(status),
            _ => Outcome::Unknown,
        }
    }

    /// Answered 2xx in time.
    pub fn succeeded(&self) -> bool {
        self.outcome() == Outcome::Succeeded
    }

    /// A write that the service said is done: it must never be lost unaccounted.
    pub fn acknowledged(&self) -> bool {
        self.kind == Kind::Write && self.succeeded()
    }

    /// The last moment at which an answer counts.
    pub fn deadline(&self) -> Mono {
        let patience = self.patience_ms.map(Duration::from_millis);
        self.intended.after(patience.unwrap_or(ANSWER_WITHIN))
    }

    /// When the client knew how it ended: the answer, or the end of its patience.
    pub fn ended(&self) -> Mono {
        self.answered
            .map_or(self.deadline(), |at| at.min(self.deadline()))
    }

    /// From the intended time to the answer, for requests that succeeded.
    pub fn latency(&self) -> Option<Duration> {
        self.succeeded().then(|| self.ended().since(self.intended))
    }
}

/// A row that the drill's writes left in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The number of the write that made it.
    pub number: u64,
    /// Who wrote it, from the row itself.
    pub origin: Option<Origin>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_read_as_the_database_prints_them_and_sort_by_epoch() {
        for text in ["aws/1", "gcp/42"] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for bad in ["", "aws", "aws/", "/1", "aws/x", "AWS/1"] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
        assert!("aws/1".parse::<Origin>().unwrap() < "aws/2".parse().unwrap());
        assert!("gcp/1".parse::<Origin>().unwrap() < "aws/2".parse().unwrap());
    }

    #[test]
    fn success_is_counted_from_the_intended_time() {
        let check = |answered: Option<u64>, status, expected| {
            let request = Request {
                number: 1,
                kind: Kind::Write,
                intended: Mono(1_000_000),
                sent: Some(Mono(2_500_000)),
                answered: answered.map(Mono),
                status,
                cloud: None,
                origin: None,
                failure: None,
                patience_ms: None,
            };
            assert_eq!(request.outcome(), expected);
        };
        check(Some(3_000_000), Some(201), Outcome::Succeeded);
        check(Some(3_000_001), Some(201), Outcome::Unknown);
        check(Some(1_200_000), Some(503), Outcome::Refused(503));
        check(None, None, Outcome::Unknown);
    }
}
