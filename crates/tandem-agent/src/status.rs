//! What an agent tells people and other agents about itself: `GET /v1/status` and `/v1/ping`.
//!
//! The answer is versioned JSON, never translated; only the report's sentence comes in two
//! languages, because the reader chooses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tandem_core::authority::{Exposure, Phase};
use tandem_core::config::Mode;
use tandem_core::database::{DatabaseSeen, Heartbeat};
use tandem_core::model::{Epoch, SiteId};
use tandem_core::planner::{Intent, Rule, Running, SiteHealth};

use crate::people::RequestShown;

/// The shape of [`Status`] that this build writes.
pub const STATUS_SCHEMA: &str = "tandem.agent-status.v1";

/// `GET /v1/ping`: the answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The site that answers.
    pub site: SiteId,
    /// The agent that answers.
    pub agent: String,
    /// The newest heartbeat of the other site that was applied here. It travels with the
    /// probe, so that the bound on exposure does not depend on the store.
    pub applied: Option<Heartbeat>,
}

/// What a place is, as far as the agent knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Holds the right to write and is open.
    Primary,
    /// Claims the right, not open yet.
    Claiming,
    /// Hands the right over: takes no writes any more.
    Leaving,
    /// Receives from the primary.
    Replica,
    /// Was primary once and must be reinstated before it receives again.
    Fenced,
    /// The third place.
    Witness,
    /// The store or the database could not be read.
    Unknown,
}

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`STATUS_SCHEMA`].
    pub schema: String,
    /// The cluster's name.
    pub cluster: String,
    /// The agent that answers.
    pub agent: String,
    /// Its site.
    pub site: SiteId,
    /// What its site is.
    pub role: Role,
    /// The highest epoch it knows.
    pub epoch: Epoch,
    /// How long write sessions may go on at this site, in milliseconds.
    pub remaining_ms: u64,
    /// The right to write as this agent read it last; absent before the first reading.
    pub authority: Option<AuthorityShown>,
    /// The unreplicated work, as the primary knows it; absent elsewhere.
    pub exposure: Option<ExposureShown>,
    /// What it sees of the other places.
    pub observations: BTreeMap<SiteId, SiteHealth>,
    /// Its last look at its own database; absent when that is older than three seconds.
    pub database: Option<DatabaseSeen>,
    /// Whether its relay lets replication through.
    pub relay_open: bool,
    /// Why it does what it does; absent before the first loop.
    pub report: Option<ReportShown>,
    /// How far it goes by itself.
    #[serde(default)]
    pub mode: ModeShown,
    /// What people asked for and what counts now.
    #[serde(default)]
    pub requests: Vec<RequestShown>,
    /// The change of the right that is under way here.
    #[serde(default)]
    pub plan: Option<Running>,
}

/// The mode of the policy, or that people or trouble stopped automation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModeShown {
    /// Writes nothing.
    Observe,
    /// A named person approves.
    Confirm,
    /// Promotes by itself.
    Automatic,
    /// A named person paused automation, or disarmed a guard.
    Paused,
    /// The requests could not be read, which counts as paused.
    #[default]
    Unread,
}

impl ModeShown {
    pub(crate) fn of(mode: Mode, intent: &Intent) -> Self {
        match mode {
            Mode::Observe => Self::Observe,
            _ if intent.unread => Self::Unread,
            _ if intent.is_paused() => Self::Paused,
            Mode::Confirm => Self::Confirm,
            Mode::Automatic => Self::Automatic,
        }
    }
}

/// The record of the right to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityShown {
    /// The site that the record names.
    pub site: SiteId,
    /// How far that site has come.
    pub phase: Phase,
    /// The exposure that it runs under.
    pub exposure: Exposure,
    /// Renewals so far in this epoch.
    pub beat: u64,
    /// The store's revision of the record.
    pub revision: u64,
    /// Whether it was read within two renewal periods.
    pub fresh: bool,
    /// What is left until this agent may call the right ended, in milliseconds.
    pub expiry_left_ms: u64,
}

/// How much acknowledged work may be missing on the other site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureShown {
    /// Age of the newest heartbeat known as applied by the peer, in milliseconds; absent
    /// while none is known as applied.
    pub age_ms: Option<u64>,
    /// Bytes that the peer has not confirmed, by the slot.
    pub behind_bytes: Option<u64>,
}

/// The report of the last loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportShown {
    /// The reason's code, stable for scripts.
    pub code: String,
    /// The sentence in English.
    pub en: String,
    /// The sentence in Korean.
    pub ko: String,
    /// The safety rules that were asked.
    pub rules: Vec<Rule>,
}
