//! Probes: does this agent reach the agents of each other place?
//!
//! A place is reached while *any* of its agents answers, so that restarting one of two is no
//! outage. Each place is asked on its own rhythm, so that a silent one delays nobody.
//! Invariant: one lucky or unlucky probe changes nothing; only a row of them does.

use std::sync::Arc;
use std::time::Duration;

use tandem_core::config::{Config, DetectionPolicy};
use tandem_core::model::SiteId;
use tandem_core::planner::SiteHealth;
use tandem_tls::{Credentials, Peer, TlsError};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::state::Shared;
use crate::status::Ping;

/// Consecutive results of one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    health: SiteHealth,
    good: u32,
    bad: u32,
}

impl Row {
    /// Takes one result and returns the health that follows. Nothing is known until a full
    /// row of either kind was seen.
    pub(crate) fn handle(&mut self, reached: bool, policy: &DetectionPolicy) -> SiteHealth {
        (self.good, self.bad) = if reached {
            (self.good.saturating_add(1), 0)
        } else {
            (0, self.bad.saturating_add(1))
        };
        if self.bad >= policy.failures {
            self.health = SiteHealth::Down;
        } else if self.good >= policy.successes {
            self.health = SiteHealth::Up;
        }
        self.health
    }
}

/// The agents of `site` as this one reaches them; each question may take `bound`.
pub(crate) fn agents(
    config: &Config,
    site: SiteId,
    credentials: Option<&Credentials>,
    bound: Duration,
) -> Result<Vec<Peer>, TlsError> {
    let agents = config.agents(site).iter();
    agents
        .map(|agent| Peer::new(&agent.name, &agent.address, credentials, bound))
        .collect()
}

/// Probes `site` until the task is dropped.
pub(crate) async fn watch(shared: Arc<Shared>, agents: Vec<Peer>, site: SiteId) {
    let policy = shared.config.policy.detection;
    let mut row = Row::default();
    let mut ticks = interval(Duration::from_millis(policy.probe_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let reached = any_agent(&shared, &agents, site).await;
        shared.note_probe(site, row.handle(reached, &policy));
    }
}

/// Asks all agents of `site` at once; true at the first right answer.
async fn any_agent(shared: &Arc<Shared>, agents: &[Peer], site: SiteId) -> bool {
    let mut questions = JoinSet::new();
    for agent in agents {
        let agent = agent.clone();
        questions.spawn(async move { agent.ask::<Ping>("/v1/ping").await });
    }
    while let Some(answer) = questions.join_next().await {
        if let Ok(Ok(ping)) = answer
            && ping.site == site
        {
            shared.note_ping(&ping);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(results: &str, expected: &str) {
        let policy = DetectionPolicy {
            probe_ms: 500,
            timeout_ms: 400,
            failures: 3,
            successes: 2,
            database_wait_s: 150,
        };
        let mut row = Row::default();
        let health = results
            .chars()
            .map(|result| match row.handle(result == '+', &policy) {
                SiteHealth::Unknown => '?',
                SiteHealth::Up => 'U',
                SiteHealth::Down => 'D',
            });
        assert_eq!(health.collect::<String>(), expected, "{results}");
    }

    #[test]
    fn only_a_row_of_results_changes_the_health() {
        check("++++", "?UUU");
        check("----", "??DD");
        check("++-+-+--+---", "?UUUUUUUUUUD");
        check("---+-+--++--", "??DDDDDDDUUU");
        check("+-+-+-", "??????");
    }
}
