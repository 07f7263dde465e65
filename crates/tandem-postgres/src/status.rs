//! `tandem replication status`: how far each direction is, and what is wrong with it.
//!
//! Lag in seconds compares two readings of *one* clock, the source's: the time in its
//! last heartbeat that arrived, and its time now. Lag in bytes counts WAL of
//! unpublished tables too. Both servers are asked independently: one of them may be dead.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_core::config::Config;
use tandem_core::model::{Lsn, SiteId};
use tokio_postgres::types::Json;

use crate::connect::Target;
use crate::error::{Error, sentence};
use crate::names::Names;
use crate::session::{Commit, Lane};

/// A person waits for the answer, and one of the servers may be dead.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// Replication from one site to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// The site that publishes.
    pub from: SiteId,
    /// The site that subscribes.
    pub to: SiteId,
    /// Where it stands, in one word.
    pub state: State,
    /// The slot at `from`.
    pub slot: Option<Slot>,
    /// The subscription at `to`.
    pub subscription: Option<Subscription>,
    /// Age of the newest heartbeat of `from` that was applied at `to`, in milliseconds.
    pub lag_ms: Option<u64>,
    /// WAL of `from` that is not yet applied at `to`, in bytes.
    pub lag_bytes: Option<u64>,
}

/// One site, as far as it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The site.
    pub site: SiteId,
    /// Why it did not answer.
    pub error: Option<String>,
    /// How long its guard still lets writes pass, in milliseconds.
    pub guard_ms: Option<u64>,
}

/// Both sites and every direction that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The sites.
    pub sites: Vec<Answer>,
    /// The directions that have a slot or a subscription.
    pub directions: Vec<Direction>,
}

/// Where a direction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Changes flow.
    Streaming,
    /// Tables are still being copied.
    Copying,
    /// The subscription is disabled.
    Paused,
    /// The subscription is enabled but no worker runs.
    Down,
    /// The slot lost WAL that it still needed: a copy is needed.
    Lost,
    /// A slot without a subscription, as after a promotion.
    Waiting,
    /// The subscriber did not answer.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Streaming => "streaming",
            Self::Copying => "copying tables",
            Self::Paused => "paused",
            Self::Down => "down",
            Self::Lost => "lost, copy again",
            Self::Waiting => "waiting for a subscriber",
            Self::Unknown => "unknown",
        })
    }
}

/// A logical slot at the publishing site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its name.
    pub slot_name: String,
    /// A receiver is connected.
    pub active: bool,
    /// PostgreSQL's word for whether its WAL is still there.
    pub wal_status: Option<String>,
    /// WAL from here on is kept.
    pub restart_lsn: Option<Lsn>,
    /// The receiver confirmed up to here.
    pub confirmed_flush_lsn: Option<Lsn>,
    /// The server's newest position.
    pub current_lsn: Lsn,
    /// WAL kept for it, in bytes.
    pub retained_bytes: Option<i64>,
    /// WAL that the receiver has not confirmed, in bytes.
    pub behind_bytes: Option<i64>,
    /// Bytes until it is lost; absent without a cap.
    pub headroom_bytes: Option<i64>,
}

/// A subscription at the receiving site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// Not disabled.
    pub enabled: bool,
    /// An apply worker runs.
    pub worker: bool,
    /// Received up to here; not applied.
    pub received_lsn: Option<Lsn>,
    /// The publisher's position in its last message.
    pub latest_end_lsn: Option<Lsn>,
    /// Applied up to here.
    pub applied_lsn: Option<Lsn>,
    /// Errors while applying, since statistics were reset.
    pub apply_errors: u64,
    /// Errors while copying tables.
    pub sync_errors: u64,
    /// Tables whose copy finished.
    pub tables_ready: u32,
    /// Tables in the subscription.
    pub tables_total: u32,
}

/// The answer of `sql/status.sql`.
#[derive(Debug, Clone, Deserialize)]
struct Look {
    now_us: i64,
    current_lsn: Lsn,
    slot: Option<Slot>,
    subscription: Option<Subscription>,
    heard_us: Option<i64>,
    guard_ms: Option<u64>,
}

/// Asks both sites.
///
/// # Errors
/// If the configuration names no two data sites or a password file is missing; a server
/// that does not answer is part of the status, no error.
pub async fn read(config: &Config) -> Result<Status, Error> {
    let first = config.policy.first_primary;
    let second = Names::of(config, first)?.other;
    // The subscriber first: then the publisher's clock can only make the lag larger.
    let at_second = look(config, second).await;
    let at_first = look(config, first).await;
    let again = look(config, second).await;
    let directions = [
        direction(
            first,
            second,
            at_first.as_ref().ok(),
            at_second.as_ref().ok(),
        ),
        direction(second, first, again.as_ref().ok(), at_first.as_ref().ok()),
    ];
    Ok(Status {
        sites: vec![answer(first, &at_first), answer(second, &at_second)],
        directions: directions.into_iter().flatten().collect(),
    })
}

async fn look(config: &Config, site: SiteId) -> Result<Look, Error> {
    let names = Names::of(config, site)?;
    let lane = Lane::new(
        &Target::agent(config, site)?,
        site,
        CALL_LIMIT,
        Commit::Flushed,
    );
    let row = lane
        .row(
            "status",
            include_str!("sql/status.sql"),
            &[
                &site.as_str(),
                &names.other.as_str(),
                &names.subscription,
                &names.slot,
            ],
        )
        .await?;
    let Json(look) = row
        .try_get::<_, Json<Look>>(0)
        .map_err(|e| Error::query("status", e))?;
    Ok(look)
}

fn answer(site: SiteId, look: &Result<Look, Error>) -> Answer {
    let error = look.as_ref().err().map(sentence);
    Answer {
        site,
        error,
        guard_ms: look.as_ref().ok().and_then(|look| look.guard_ms),
    }
}

fn direction(
    from: SiteId,
    to: SiteId,
    source: Option<&Look>,
    target: Option<&Look>,
) -> Option<Direction> {
    let slot = source.and_then(|look| look.slot.clone());
    let subscription = target.and_then(|look| look.subscription.clone());
    if slot.is_none() && subscription.is_none() {
        return None;
    }
    let applied = subscription.as_ref().and_then(|found| found.applied_lsn);
    let current = source.map(|look| look.current_lsn);
    let heard = target.and_then(|look| look.heard_us);
    let lag_us = heard
        .zip(source)
        .map(|(heard, look)| look.now_us.saturating_sub(heard));
    Some(Direction {
        from,
        to,
        state: state(target.is_some(), slot.as_ref(), subscription.as_ref()),
        lag_ms: lag_us.map(|us| u64::try_from(us / 1000).unwrap_or(0)),
        lag_bytes: applied
            .zip(current)
            .map(|(applied, now)| now.0.saturating_sub(applied.0)),
        slot,
        subscription,
    })
}

fn state(answered: bool, slot: Option<&Slot>, subscription: Option<&Subscription>) -> State {
    if slot.is_some_and(|slot| slot.wal_status.as_deref() == Some("lost")) {
        return State::Lost;
    }
    match subscription {
        None if answered => State::Waiting,
        None => State::Unknown,
        Some(found) if !found.enabled => State::Paused,
        Some(found) if !found.worker => State::Down,
        Some(found) if found.tables_ready < found.tables_total => State::Copying,
        Some(_) => State::Streaming,
    }
}
