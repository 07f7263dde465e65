//! The whole cluster at a glance: asks every agent and puts one row a place.
//!
//! Works while a cloud is dead: every question has a bound, all are asked at once, and a
//! place of which nobody answers says so. Nothing here asks the store: what agents say
//! about it is what counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_core::authority::Exposure;
use tandem_core::config::Config;
use tandem_core::model::{Epoch, SiteId};
use tandem_core::planner::Running;
use tandem_tls::{Credentials, Peer, TlsError};
use tokio::task::JoinSet;

use crate::people::RequestShown;
use crate::status::{ModeShown, ReportShown, Role, Status};

/// The shape of [`Overview`] that this build writes.
pub const OVERVIEW_SCHEMA: &str = "tandem.status.v1";

/// One agent's answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The agent.
    pub agent: String,
    /// Its site.
    pub site: SiteId,
    /// What it said.
    pub status: Option<Status>,
    /// Why it said nothing.
    pub error: Option<String>,
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The place.
    pub site: SiteId,
    /// Whether any of its agents answered; everything below is empty if not.
    pub reached: bool,
    /// What it is.
    pub role: Option<Role>,
    /// The highest epoch its agents know.
    pub epoch: Option<Epoch>,
    /// The exposure under which its writes are acknowledged; at the primary only.
    pub exposure: Option<Exposure>,
    /// How far this place is behind the primary, in milliseconds; at the other site only.
    pub lag_ms: Option<u64>,
    /// The same in bytes of the primary's log.
    pub lag_bytes: Option<u64>,
    /// How long its write sessions may go on.
    pub remaining_ms: Option<u64>,
    /// Why it does what it does.
    pub report: Option<ReportShown>,
    /// The change of the right that is under way there.
    #[serde(default)]
    pub plan: Option<Running>,
}

/// Everything, versioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// [`OVERVIEW_SCHEMA`].
    pub schema: String,
    /// The cluster's name.
    pub cluster: String,
    /// The site that may write now, if one says so.
    pub writer: Option<SiteId>,
    /// How far Tandem goes by itself, as the agent with the highest epoch says.
    #[serde(default)]
    pub mode: ModeShown,
    /// What people asked for and what counts now.
    #[serde(default)]
    pub requests: Vec<RequestShown>,
    /// One row a place: the sites by name, then the witness.
    pub sites: Vec<Row>,
    /// Every agent's own answer.
    pub agents: Vec<Answer>,
}

impl Overview {
    /// Asks every agent that `config` names, all at once, each within `bound`.
    ///
    /// # Errors
    /// Only if a name cannot stand in a certificate; silent agents are part of the answer.
    pub async fn ask(
        config: &Config,
        credentials: Option<&Credentials>,
        bound: Duration,
    ) -> Result<Self, TlsError> {
        let mut questions = JoinSet::new();
        for site in places(config) {
            for agent in config.agents(site) {
                let peer = Peer::new(&agent.name, &agent.address, credentials, bound)?;
                questions.spawn(question(peer, agent.name.clone(), site));
            }
        }
        Ok(Self::of(config, questions.join_all().await))
    }

    /// Puts the answers together.
    pub fn of(config: &Config, mut agents: Vec<Answer>) -> Self {
        agents.sort_by(|one, other| (one.site, &one.agent).cmp(&(other.site, &other.agent)));
        let primary = agents.iter().filter_map(|answer| answer.status.as_ref());
        let primary = primary
            .filter(|status| status.role == Role::Primary)
            .max_by_key(|status| status.epoch);
        let rows = places(config)
            .into_iter()
            .map(|site| row(site, &agents, primary));
        // A status with nothing read knows less than any other.
        let statuses = agents.iter().filter_map(|answer| answer.status.as_ref());
        let told = statuses.max_by_key(|status| (status.mode != ModeShown::Unread, status.epoch));
        Self {
            mode: told.map(|status| status.mode).unwrap_or_default(),
            requests: told
                .map(|status| status.requests.clone())
                .unwrap_or_default(),
            schema: OVERVIEW_SCHEMA.to_owned(),
            cluster: config.cluster.clone(),
            writer: primary
                .filter(|status| status.remaining_ms > 0)
                .map(|status| status.site),
            sites: rows.collect(),
            agents,
        }
    }

    /// How many places answered, and how many there are.
    pub fn reached(&self) -> (usize, usize) {
        (
            self.sites.iter().filter(|row| row.reached).count(),
            self.sites.len(),
        )
    }
}

fn places(config: &Config) -> Vec<SiteId> {
    config
        .sites
        .keys()
        .copied()
        .chain([config.witness.name])
        .collect()
}

async fn question(peer: Peer, agent: String, site: SiteId) -> Answer {
    match peer.ask::<Status>("/v1/status").await {
        Ok(status) if status.site == site && status.agent == agent => Answer {
            agent,
            site,
            status: Some(status),
            error: None,
        },
        Ok(status) => {
            let error = format!(
                "{} of {} answers at this address",
                status.agent, status.site
            );
            Answer {
                agent,
                site,
                status: None,
                error: Some(error),
            }
        }
        Err(error) => Answer {
            agent,
            site,
            status: None,
            error: Some(crate::right::chain(&error)),
        },
    }
}

/// A place speaks through the agent that knows most: the highest epoch, then the longest right.
fn row(site: SiteId, agents: &[Answer], primary: Option<&Status>) -> Row {
    let of_site = agents.iter().filter(|answer| answer.site == site);
    let statuses = of_site.filter_map(|answer| answer.status.as_ref());
    let best = statuses.max_by_key(|status| (status.epoch, status.remaining_ms));
    let behind = primary
        .filter(|primary| primary.site != site)
        .and_then(|primary| primary.exposure.as_ref());
    let behind = behind.filter(|_| best.is_some_and(|status| status.role != Role::Witness));
    let authority = best.and_then(|status| status.authority.as_ref());
    Row {
        site,
        reached: best.is_some(),
        role: best.map(|status| status.role),
        epoch: best.map(|status| status.epoch),
        exposure: authority
            .filter(|authority| authority.site == site)
            .map(|found| found.exposure),
        lag_ms: behind.and_then(|exposure| exposure.age_ms),
        lag_bytes: behind.and_then(|exposure| exposure.behind_bytes),
        remaining_ms: best.map(|status| status.remaining_ms),
        report: best.and_then(|status| status.report.clone()),
        plan: best.and_then(|status| status.plan.clone()),
    }
}
