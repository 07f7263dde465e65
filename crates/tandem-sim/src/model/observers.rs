//! What everybody says about everybody, at its worst.
//!
//! The replica's agents and the witness have lost the holder's site and hear nothing of it, so
//! that nothing but the rules of time and fence holds a takeover back; the holder sees all well,
//! so that nothing but a request or the loss of its right makes it leave.

use std::collections::BTreeMap;

use tandem_core::authority::{Exposure, ExposureWatch};
use tandem_core::database::Heartbeat;
use tandem_core::model::{Epoch, Mono, SiteId};
use tandem_core::planner::{AgentStatus, Look, Member, Peer, SiteHealth};

use super::{Search, Small};
use crate::agent::Agent;

impl Small {
    /// Agent number `index` with everything around it that the planner looks at.
    pub(super) fn dressed(&self, search: &Search, index: usize) -> Agent {
        let mut agent = self.agents[index].clone();
        let now = agent.now(self.at);
        let own = agent.place.site;
        let record = agent.authority.present().map(|(record, _)| record.clone());
        let holder = record.as_ref().map_or(own, |record| record.site);
        agent.look = Some(Look {
            seen: self.databases[agent.at].observe(self.at, true, true),
            arrived: now,
        });
        agent.observations = views(own, holder, agent.place.witness, &search.roster);
        agent.peers = self.peers(search, &agent, holder, now);
        let bounded = record.filter(|record| record.exposure == Exposure::Bounded);
        agent.exposure = match bounded {
            Some(record) => applied(own, record.epoch, now),
            None => ExposureWatch::new(Epoch(0), now),
        };
        agent
    }

    fn peers(&self, search: &Search, agent: &Agent, holder: SiteId, now: Mono) -> Vec<Peer> {
        let others = search
            .roster
            .iter()
            .filter(|member| member.name != agent.name);
        let peer = |member: &Member| {
            let site = self.gates.iter().position(|gate| gate.own() == member.site);
            let database = site.map(|site| self.databases[site].observe(self.at, true, true));
            let silent = member.site == holder && agent.place.site != holder;
            Peer {
                status: AgentStatus {
                    agent: member.name.to_string(),
                    site: member.site,
                    counter: 1,
                    observations: views(member.site, holder, agent.place.witness, &search.roster),
                    database_reachable: database.is_some(),
                    database,
                    reads_version: tandem_core::authority::RECORD_VERSION,
                    plan: None,
                },
                changed: if silent { Mono(0) } else { now },
            }
        };
        others.map(peer).collect()
    }
}

/// Everybody has lost the holder's site, but itself; all else is reached.
fn views(
    from: SiteId,
    holder: SiteId,
    witness: SiteId,
    roster: &[Member],
) -> BTreeMap<SiteId, SiteHealth> {
    let places = roster.iter().map(|member| member.site).chain([witness]);
    let seen = |place: SiteId| {
        let lost = place == holder && from != holder;
        (
            place,
            if lost {
                SiteHealth::Down
            } else {
                SiteHealth::Up
            },
        )
    };
    places.filter(|place| *place != from).map(seen).collect()
}

/// Replication is never late: how much a takeover may lose is the simulator's question.
fn applied(site: SiteId, epoch: Epoch, now: Mono) -> ExposureWatch {
    let mut watch = ExposureWatch::new(epoch, now);
    watch.handle_sent(epoch, 1, now);
    watch.handle_applied(Heartbeat {
        site,
        epoch,
        seq: 1,
    });
    watch
}
