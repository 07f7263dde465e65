//! What people asked for: a bounded list of requests that expire by themselves.
//!
//! Intuition: a note on the door with a name, a reason and a date. Nobody has to remember to take
//! it down, and a note about an earlier epoch no longer counts.
//!
//! Invariant: every request ends, at the latest [`REQUEST_LIFE_MAX`] after it was made, and
//! names the epoch that its author saw: one that moves the right is used up when the epoch moves.
//! Refused: orders without an end. A pause that somebody forgot is an outage that nobody sees.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::database::Extent;
use crate::model::{Epoch, Name, SiteId};

/// The version of [`Book`] that this build writes; it reads no other.
pub const BOOK_VERSION: u32 = 1;

/// Requests at one time. People make a handful; more is a script that went wild.
pub const REQUESTS_MAX: usize = 32;

/// The longest life of a request: a pause over a long weekend.
pub const REQUEST_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest reason, in bytes: the book stays far below the store's limit for a value.
pub const REASON_MAX: usize = 500;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RequestKind {
    /// No automatic promotion while it lasts.
    Pause,
    /// In mode `confirm`: the promotion out of the request's epoch may happen.
    Approve,
    /// Move the right to `to`, whether the present holder lives or not.
    Failover {
        /// The site that takes over.
        to: SiteId,
        /// Acknowledged writes may be lost. Overrides exposure, schemas, mode, witness and flap
        /// guard; never expiry or fence.
        accept_loss: bool,
    },
    /// Move the right to `to`, losing nothing, or not at all.
    Switchover {
        /// The site that takes over.
        to: SiteId,
    },
    /// Somebody has looked at the last promotion: the next may come within the hour.
    Acknowledge,
    /// Make the old primary `site` a replica again, though its lost writes are undone there.
    Reinstate {
        /// The old primary.
        site: SiteId,
        /// Copy every table anew instead of undoing the lost tail.
        copy: bool,
    },
    /// The guard of `site` was disarmed by hand (break-glass): nothing automatic happens.
    DisarmGuard {
        /// The site whose database nobody guards.
        site: SiteId,
    },
}

impl RequestKind {
    /// The site that takes the right over, if the request moves it.
    pub fn target(self) -> Option<SiteId> {
        match self {
            Self::Failover { to, .. } | Self::Switchover { to } => Some(to),
            Self::Pause
            | Self::Approve
            | Self::Acknowledge
            | Self::Reinstate { .. }
            | Self::DisarmGuard { .. } => None,
        }
    }

    /// Whether it counts for one epoch only.
    fn is_of_one_epoch(self) -> bool {
        let bound = self == Self::Approve || matches!(self, Self::Reinstate { .. });
        self.target().is_some() || bound
    }
}

/// A request that has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number in the book.
    pub id: u64,
    /// What was asked for.
    pub kind: RequestKind,
    /// Who asked: the name of an access token.
    pub by: Name,
    /// Why.
    pub reason: Name,
    /// The epoch that was present when it was made.
    pub epoch: Epoch,
    /// How long ago it was made, by wall clocks.
    pub age: Duration,
    /// How long it still counts.
    pub left: Duration,
}

/// Everything that people asked for and that counts now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intent {
    /// The requests could not be read or understood: nothing automatic happens.
    pub unread: bool,
    /// What people asked for, oldest first.
    pub requests: Vec<Request>,
    /// How long ago each automatic promotion of the last 24 hours was.
    pub promotions: Vec<Duration>,
}

impl Intent {
    /// The newest request out of `epoch` that moves the right.
    pub fn move_out_of(&self, epoch: Epoch) -> Option<&Request> {
        let moves = |request: &&Request| request.kind.target().is_some() && request.epoch == epoch;
        self.requests.iter().rfind(moves)
    }

    /// Whether a person stopped automation, or may have.
    pub fn is_paused(&self) -> bool {
        let stops = |kind| matches!(kind, RequestKind::Pause | RequestKind::DisarmGuard { .. });
        self.unread || self.requests.iter().any(|request| stops(request.kind))
    }

    /// Whether a person approved a promotion out of `epoch`.
    pub fn is_approved(&self, epoch: Epoch) -> bool {
        let approves = |request: &&Request| request.kind == RequestKind::Approve;
        self.requests
            .iter()
            .filter(approves)
            .any(|request| request.epoch == epoch)
    }

    /// How far the rows of `site` may be changed to make it a replica again.
    pub fn reinstatement(&self, site: SiteId) -> Extent {
        let asked = self.requests.iter().rev().map(|request| request.kind);
        let extent = |kind| match kind {
            RequestKind::Reinstate { site: of, copy } if of == site && copy => Some(Extent::Copy),
            RequestKind::Reinstate { site: of, .. } if of == site => Some(Extent::Repair),
            _ => None,
        };
        asked.filter_map(extent).next().unwrap_or(Extent::Attach)
    }

    /// Promotions that nobody has acknowledged since.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Duration> {
        let asked = self.requests.iter();
        let acknowledged = asked
            .filter(|request| request.kind == RequestKind::Acknowledge)
            .map(|request| request.age)
            .min();
        let open =
            move |age: &Duration| acknowledged.is_none_or(|acknowledged| *age < acknowledged);
        self.promotions.iter().copied().filter(open)
    }

    /// Whether somebody disarmed the guard of `site` by hand.
    pub fn is_disarmed(&self, site: SiteId) -> bool {
        let disarms = |request: &Request| request.kind == RequestKind::DisarmGuard { site };
        self.requests.iter().any(disarms)
    }
}

/// A request as it stands in the store, with the author's wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRequest {
    /// Its number, never used twice.
    pub id: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub kind: RequestKind,
    /// Who asked.
    pub by: Name,
    /// Why.
    pub reason: Name,
    /// The epoch that was present when it was made.
    pub epoch: Epoch,
    /// When it was made, in milliseconds since 1970.
    pub made_unix_ms: u64,
    /// When it ends.
    pub expires_unix_ms: u64,
}

/// The document under the key `requests`, changed by compare-and-set only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// Version of the document's shape.
    pub version: u32,
    /// The number of the next request.
    pub next_id: u64,
    /// What counts, and what has expired since the last change.
    pub requests: Vec<StoredRequest>,
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritten {
    /// The book is full of requests that have not expired.
    #[error("{REQUESTS_MAX} requests are open already; remove one")]
    Full,
    /// A request must end.
    #[error("a request lasts at least a second and at most 7 days")]
    Life,
    /// A person must say who and why, in few words.
    #[error("a request needs a name and a reason of at most {REASON_MAX} bytes")]
    Wordless,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            version: BOOK_VERSION,
            next_id: 1,
            requests: Vec::new(),
        }
    }
}

impl Book {
    /// Notes a request that lasts for `life`, drops what has expired, and returns its number.
    ///
    /// # Errors
    /// [`Unwritten`]; the book is unchanged but for what had expired.
    pub fn add(
        &mut self,
        kind: RequestKind,
        (by, reason): (Name, Name),
        epoch: Epoch,
        now_unix_ms: u64,
        life: Duration,
    ) -> Result<u64, Unwritten> {
        self.requests
            .retain(|request| request.expires_unix_ms > now_unix_ms);
        if by.is_empty() || reason.trim().is_empty() || by.len() + reason.len() > REASON_MAX {
            return Err(Unwritten::Wordless);
        }
        if life < Duration::from_secs(1) || life > REQUEST_LIFE_MAX {
            return Err(Unwritten::Life);
        }
        if self.requests.len() >= REQUESTS_MAX {
            return Err(Unwritten::Full);
        }
        let id = self.next_id;
        self.next_id += 1;
        let life_ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        self.requests.push(StoredRequest {
            id,
            kind,
            by,
            reason,
            epoch,
            made_unix_ms: now_unix_ms,
            expires_unix_ms: now_unix_ms.saturating_add(life_ms),
        });
        Ok(id)
    }

    /// Takes a request out; false if it is not there.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.requests.len();
        self.requests.retain(|request| request.id != id);
        self.requests.len() < before
    }

    /// What counts at `now_unix_ms` and in `epoch`. A clock that is behind the author's makes a
    /// request young, never longer than it was made for.
    pub fn requests(&self, now_unix_ms: u64, epoch: Epoch) -> Vec<Request> {
        let counts = |stored: &&StoredRequest| {
            stored.expires_unix_ms > now_unix_ms
                && (stored.epoch == epoch || !stored.kind.is_of_one_epoch())
        };
        self.requests
            .iter()
            .filter(counts)
            .map(|stored| stored.at(now_unix_ms))
            .collect()
    }
}

impl StoredRequest {
    fn at(&self, now_unix_ms: u64) -> Request {
        let life = self.expires_unix_ms.saturating_sub(self.made_unix_ms);
        let left = self.expires_unix_ms.saturating_sub(now_unix_ms).min(life);
        Request {
            id: self.id,
            kind: self.kind,
            by: self.by.clone(),
            reason: self.reason.clone(),
            epoch: self.epoch,
            age: Duration::from_millis(now_unix_ms.saturating_sub(self.made_unix_ms)),
            left: Duration::from_millis(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn add(book: &mut Book, kind: RequestKind, epoch: u64, now_ms: u64) -> Result<u64, Unwritten> {
        let said = ("kim".into(), "the network is being moved".into());
        book.add(kind, said, Epoch(epoch), now_ms, Duration::from_secs(60))
    }

    fn to_gcp() -> RequestKind {
        let to = "gcp".parse().unwrap();
        RequestKind::Switchover { to }
    }

    #[test]
    fn requests_expire_and_a_move_counts_for_its_epoch_only() {
        let mut book = Book::default();
        assert_eq!(add(&mut book, RequestKind::Pause, 1, 1_000), Ok(1));
        assert_eq!(add(&mut book, to_gcp(), 1, 2_000), Ok(2));
        let ids = |now_ms, epoch| -> Vec<u64> {
            let found = book.requests(now_ms, Epoch(epoch));
            found.iter().map(|request| request.id).collect()
        };
        assert_eq!(ids(3_000, 1), [1, 2]);
        assert_eq!(ids(3_000, 2), [1]);
        assert_eq!(ids(61_000, 1), [2]);
        assert_eq!(ids(62_000, 1), [0; 0]);
        // A clock behind the author's: not longer than it was made for.
        assert_eq!(book.requests(0, Epoch(1))[0].left, Duration::from_secs(60));
    }

    #[test]
    fn a_full_book_takes_one_more_when_one_has_expired() {
        let mut book = Book::default();
        for _ in 0..REQUESTS_MAX {
            add(&mut book, RequestKind::Pause, 1, 1_000).unwrap();
        }
        assert_eq!(
            add(&mut book, RequestKind::Pause, 1, 2_000),
            Err(Unwritten::Full)
        );
        assert_eq!(add(&mut book, RequestKind::Pause, 1, 61_000), Ok(33));
        assert!(book.remove(33) && !book.remove(33));
    }

    #[test]
    fn a_request_needs_a_name_a_reason_and_an_end() {
        let mut book = Book::default();
        let mut ask = |by: &str, reason: &str, life_s| {
            let said = (by.into(), reason.into());
            book.add(
                RequestKind::Pause,
                said,
                Epoch(1),
                0,
                Duration::from_secs(life_s),
            )
        };
        assert_eq!(ask("", "because", 60), Err(Unwritten::Wordless));
        assert_eq!(ask("kim", "  ", 60), Err(Unwritten::Wordless));
        assert_eq!(ask("kim", "because", 0), Err(Unwritten::Life));
        assert_eq!(ask("kim", "because", 8 * 24 * 3600), Err(Unwritten::Life));
        assert_eq!(ask("kim", "because", 60), Ok(1));
    }

    #[test]
    fn an_acknowledgement_counts_for_earlier_promotions_only() {
        let mut book = Book::default();
        add(&mut book, RequestKind::Acknowledge, 1, 1_000).unwrap();
        let intent = Intent {
            requests: book.requests(31_000, Epoch(4)),
            promotions: [10, 29, 31, 5_000].map(Duration::from_secs).into(),
            ..Intent::default()
        };
        let open: Vec<u64> = intent.unacknowledged().map(|age| age.as_secs()).collect();
        assert_eq!(open, [10, 29]);
    }

    #[test]
    fn the_stored_form_is_stable() {
        let mut book = Book::default();
        add(&mut book, to_gcp(), 4, 1_000).unwrap();
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"next_id":2,"requests":[{"id":1,"kind":"switchover","to":"gcp","by":"kim","reason":"the network is being moved","epoch":4,"made_unix_ms":1000,"expires_unix_ms":61000}]}"#
        );
        assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), book);
        assert_eq!(
            Unwritten::Life.to_string(),
            "a request lasts at least a second and at most 7 days"
        );
    }
}
