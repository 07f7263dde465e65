//! Who sees what: the observation matrix and its classes.
//!
//! Intuition: several people watch the same door from different windows. What they say is put
//! side by side, never averaged: *who* cannot see it tells whether the house burns or a curtain
//! is drawn.
//!
//! Invariant: a class that allows a promotion needs two groups of observers, one of them the
//! witness or the site itself; an observer that is silent is no witness for anything.
//! Time: a row of probes makes a view (hysteresis of `detection`), and a published view counts
//! for three renewal periods.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Seen, SiteHealth};
use crate::authority::Authority;
use crate::config::Policy;
use crate::model::{Mono, SiteId};

/// What the views together say about the site that holds the right to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Not observed long enough to say.
    #[default]
    Unknown,
    /// Everybody sees it, and it speaks.
    Calm,
    /// Peer and witness have lost it, and it is silent: failover, if the rules pass.
    SiteDown,
    /// The same, but its database still answers: its agents are dead. Failover behind a
    /// replication barrier, so that nothing is lost.
    AgentsDead,
    /// The peer has lost it and the witness cannot say: nothing.
    Unconfirmed,
    /// The peer has lost it, the witness sees it, and it speaks: only the line is cut. Never a
    /// promotion.
    LinkDown,
    /// The peer has lost it, the witness sees it, and it is silent in the store: it cannot renew,
    /// so it closes its own gates; failover after expiry.
    Isolated,
    /// Peer and witness have lost it, but it speaks in the store: its users cannot reach it
    /// either. A person's switchover.
    UsersCut,
    /// It is reached and speaks, but says that its database is silent: left to the provider for
    /// `database_wait_s`, then handed over.
    DatabaseOnly,
    /// It is reached but silent in the store: its agents must renew, or a person decides.
    Mute,
    /// The witness has lost what others see: its fault, nothing happens.
    WitnessFault,
    /// Both sites are lost at once: automation freezes, a person looks.
    Correlated,
    /// The edge has lost both sites, all others see them: a person changes the edge.
    EdgeFault,
    /// The store does not answer this agent: no decision, the holder asks for promises.
    StoreSilent,
}

impl Class {
    /// Whether an expired right of a site in this class may be taken without a person.
    pub fn allows_promotion(self) -> bool {
        matches!(
            self,
            Self::SiteDown | Self::AgentsDead | Self::Isolated | Self::DatabaseOnly
        )
    }

    /// Whether the replica has reason to expect that it must take over.
    pub(super) fn is_suspect(self) -> bool {
        matches!(
            self,
            Self::SiteDown
                | Self::AgentsDead
                | Self::Unconfirmed
                | Self::LinkDown
                | Self::Isolated
                | Self::UsersCut
                | Self::Correlated
        )
    }
}

/// How long an answer of the other database says that it lives.
const OTHER_END_MAX: Duration = Duration::from_secs(2);

/// Classifies what is seen of `target`, the site that the record names; `other` is the other
/// data site.
pub(super) fn classify(
    policy: &Policy,
    seen: &Seen<'_>,
    (target, other): (SiteId, SiteId),
    now: Mono,
) -> Class {
    let views = Views::of_now(policy, seen, now);
    if !seen.authority.is_fresh(now) {
        return Class::StoreSilent;
    }
    let witness = seen.place.witness;
    let speaks = views.speaks(target);
    match (views.of(other, target), views.of(witness, target)) {
        (SiteHealth::Unknown, _) => Class::Unknown,
        (SiteHealth::Down, SiteHealth::Down) => views.lost_by_both(target, other, speaks),
        (SiteHealth::Down, SiteHealth::Unknown) if !speaks => Class::Unconfirmed,
        (SiteHealth::Down, SiteHealth::Up) if !speaks => Class::Isolated,
        (SiteHealth::Down, _) => Class::LinkDown,
        (SiteHealth::Up, _) if speaks && views.database_is_silent(target) => Class::DatabaseOnly,
        (SiteHealth::Up, _) if !speaks => Class::Mute,
        (SiteHealth::Up, SiteHealth::Down) => Class::WitnessFault,
        (SiteHealth::Up, _) if views.of(other, witness) == SiteHealth::Down => Class::WitnessFault,
        (SiteHealth::Up, _) if views.edge_lost(target) && views.edge_lost(other) => {
            Class::EdgeFault
        }
        (SiteHealth::Up, _) => Class::Calm,
    }
}

/// Whether `site` speaks and all its agents say that their database is silent. Without a word from
/// there nothing is known, and that is no such statement.
pub(super) fn database_is_away(policy: &Policy, seen: &Seen<'_>, site: SiteId, now: Mono) -> bool {
    let views = Views::of_now(policy, seen, now);
    views.speaks(site) && views.database_is_silent(site)
}

/// The views, asked one at a time so that nothing is copied.
struct Views<'a> {
    seen: &'a Seen<'a>,
    now: Mono,
    alive: Duration,
}

impl<'a> Views<'a> {
    fn of_now(policy: &Policy, seen: &'a Seen<'a>, now: Mono) -> Self {
        Self {
            seen,
            now,
            alive: policy.authority.renew() * 3,
        }
    }

    /// What the agents of `group` see of `target`: one that sees it is enough, since an agent
    /// that has lost everything proves nothing.
    fn of(&self, group: SiteId, target: SiteId) -> SiteHealth {
        let own = (group == self.seen.place.site).then_some(self.seen.observations);
        let theirs = self.fresh(group).map(|status| &status.observations);
        let mut view = SiteHealth::Unknown;
        for observations in own.into_iter().chain(theirs) {
            match observations.get(&target) {
                Some(SiteHealth::Up) => return SiteHealth::Up,
                Some(SiteHealth::Down) => view = SiteHealth::Down,
                Some(SiteHealth::Unknown) | None => {}
            }
        }
        view
    }

    fn fresh(&self, site: SiteId) -> impl Iterator<Item = &super::AgentStatus> {
        let alive = move |peer: &&super::Peer| {
            peer.status.site == site && self.now.since(peer.changed) <= self.alive
        };
        self.seen
            .peers
            .iter()
            .filter(alive)
            .map(|peer| &peer.status)
    }

    /// An agent of `site` published through the store lately.
    fn speaks(&self, site: SiteId) -> bool {
        site == self.seen.place.site || self.fresh(site).next().is_some()
    }

    fn lost_by_both(&self, target: SiteId, other: SiteId, speaks: bool) -> Class {
        let witness_lost_both = self.of(self.seen.place.witness, other) == SiteHealth::Down;
        let database = self
            .seen
            .other_end
            .is_some_and(|found| self.now.since(found.asked) <= OTHER_END_MAX);
        match (witness_lost_both, speaks) {
            (true, true) => Class::WitnessFault,
            (true, false) => Class::Correlated,
            (false, true) => Class::UsersCut,
            (false, false) if database && target == self.seen.place.other => Class::AgentsDead,
            (false, false) => Class::SiteDown,
        }
    }

    /// Every agent of `site` that speaks says that its database does not answer.
    fn database_is_silent(&self, site: SiteId) -> bool {
        if site == self.seen.place.site {
            return self.seen.database_now(self.now).is_none();
        }
        self.fresh(site).all(|status| !status.database_reachable)
    }

    fn edge_lost(&self, site: SiteId) -> bool {
        self.seen.edge.and_then(|edge| edge.get(&site)) == Some(&SiteHealth::Down)
    }
}

/// Whether every agent of `roster` but `own` publishes that it reads `version`, dead ones too:
/// they may come back with the build they had.
pub(super) fn all_read(seen: &Seen<'_>, own: &str, version: u32) -> bool {
    let reads = |name: &str| {
        let found = seen.peers.iter().find(|peer| &*peer.status.agent == name);
        found.is_some_and(|peer| peer.status.reads_version >= version)
    };
    seen.roster
        .iter()
        .all(|member| &*member.name == own || reads(&member.name))
}

/// Whether `authority`'s right ended before the other log's end was asked for, so that nothing
/// can have been acknowledged beyond it.
pub(super) fn asked_after_expiry(authority: &Authority, asked: Mono) -> bool {
    authority
        .expired_since()
        .is_some_and(|ended| asked >= ended)
}
