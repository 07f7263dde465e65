//! What agents, gates and commands say to each other over HTTP, as JSON.
//!
//! These are the thin types of the interfaces only; deciding types live where
//! the decision is made. Every answer names site and epoch, so that a receiver
//! can refuse what an older epoch says.

use alloc::format;
use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::model::{Epoch, SiteId};

/// `GET /v1/remaining` of an agent, asked by the gates of its own site every 250 ms. With
/// `?wait_ms=N&known=GIST` the agent keeps an answer of the same [gist](Remaining::gist) back, at
/// most so long, until it is another one.
///
/// The gate's deadline is *its clock before asking* plus `remaining_ms`
/// (design section 4, rule 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// The agent that answers.
    pub agent: String,
    /// The site that answers.
    pub site: SiteId,
    /// The highest epoch this agent knows.
    pub epoch: Epoch,
    /// How long write sessions may go on at this site, in milliseconds; 0 = not at all.
    /// The smaller of authority and exposure.
    pub remaining_ms: u64,
    /// The site that has the right to write in `epoch`, if one is open for writing.
    pub writer: Option<SiteId>,
    /// Whether the agent knew that right as fresh: renewed within a ttl.
    pub writer_fresh: bool,
    /// Whether writes can work there as far as is known: false while every agent of that site that
    /// speaks says that its database is silent. It moves no session; it keeps clients from being
    /// sent to a site that cannot serve them either (I3). A build that does not say counts as true.
    #[serde(default = "as_far_as_known")]
    pub writer_works: bool,
}

impl Remaining {
    /// What a gate must hear of at once when it changes, as one word that fits into an address.
    pub fn gist(&self) -> String {
        let writer = self.writer.as_ref().map_or("-", |site| site.as_str());
        let flags = [self.remaining_ms > 0, self.writer_fresh, self.writer_works].map(u8::from);
        format!(
            "{}.{writer}.{}{}{}",
            self.epoch, flags[0], flags[1], flags[2]
        )
    }
}

fn as_far_as_known() -> bool {
    true
}

/// `GET /v1/writer` of a gate or an agent: 200 where this site may write, 503 elsewhere
/// (design section 4, rule 13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The site that answers.
    pub site: SiteId,
    /// Whether this site may write now.
    pub may_write: bool,
    /// The epoch of the answer.
    pub epoch: Epoch,
    /// The site that may write, if one is known.
    pub writer: Option<SiteId>,
    /// Whether that right was fresh when the answer was made.
    pub writer_fresh: bool,
    /// Whether writes can work there as far as is known ([`Remaining::writer_works`]). A health
    /// check that steps aside for the other site needs both.
    #[serde(default = "as_far_as_known")]
    pub writer_works: bool,
}
