//! The judge's work: each change that could break a promise is looked at when it happens.

use std::sync::Arc;

use tandem_core::authority::{Exposure, Phase, Record};
use tandem_core::model::Epoch;
use tandem_core::planner::{Purpose, RequestKind};

use super::World;
use crate::clock::{At, MS, SECOND};
use crate::database::{Entry, Lease, TABLES};
use crate::fault::{Fault, Kind};
use crate::store::AGENTS;

/// The edge turns a pool off after a row of failed probes, and gates learn within an ask.
const AWAY_MAX: At = 3 * SECOND;

/// An agent decides by its last look at its own database and by what the peer published; neither
/// may be older than this.
const LOOK_MAX: At = 8 * SECOND;

/// How long ago the witness may have lost a site that it says is lost: its view, the time in
/// which it still counts as alive, and the good probes that end it.
const WITNESS_VIEW_MAX: At = 15 * SECOND;

impl World {
    fn fail(&mut self, invariant: &'static str, what: String) {
        self.oracle.fail(invariant, self.at, what);
    }

    /// Whether a gate of `site` is open at this instant and could still acknowledge a new write:
    /// behind a guard that was closed for good, nothing commits any more (rule 10).
    fn could_acknowledge(&self, site: usize) -> bool {
        let at = self.at;
        let closed = self.databases[site].lease.closed;
        !closed
            && self
                .gates
                .iter()
                .any(|gate| gate.site == site && gate.is_open(at))
    }

    /// I1: who acknowledges, while nobody else could.
    pub(crate) fn judge_acknowledgement(
        &mut self,
        write: u32,
        site: usize,
        epoch: Epoch,
        direct: bool,
    ) {
        self.oracle.acknowledgements += 1;
        self.oracle.last_acknowledged = self.at;
        let other = Self::other(site);
        // What committed before the guard was closed for good, and stands before the barrier, is at
        // the other site; only its answer is late.
        let late = self.databases[site].lease.closed && self.databases[other].holds(write);
        if self.could_acknowledge(other) && !late {
            let (here, there) = (self.sites[site], self.sites[other]);
            let past = if direct { ", past every gate" } else { "" };
            self.fail(
                "I1",
                format!(
                    "{here} acknowledges in epoch {epoch}{past} while a gate of {there} is open"
                ),
            );
        }
        let newest = self.oracle.acknowledged.map(|(newest, _)| newest);
        if late && newest > Some(epoch) {
            return;
        }
        match self.oracle.acknowledged {
            Some((newest, by)) if newest > epoch || (newest == epoch && by != site) => {
                let (here, there) = (self.sites[site], self.sites[by]);
                self.fail(
                    "I1",
                    format!(
                        "{here} acknowledges in epoch {epoch} after {there} did in epoch {newest}"
                    ),
                );
            }
            _ => self.oracle.acknowledged = Some((epoch, site)),
        }
    }

    /// I2: no transaction of an older epoch commits after one of a newer.
    pub(crate) fn judge_commit(&mut self, site: usize, epoch: Epoch) {
        match self.oracle.committed {
            Some((newest, by)) if newest > epoch || (newest == epoch && by != site) => {
                let (here, there) = (self.sites[site], self.sites[by]);
                self.fail(
                    "I2",
                    format!("{here} commits in epoch {epoch} after {there} did in epoch {newest}"),
                );
            }
            _ => self.oracle.committed = Some((epoch, site)),
        }
    }

    /// I2: a guard never goes back, and what was closed for good stays closed.
    pub(crate) fn judge_arming(&mut self, site: usize, before: Lease) {
        let lease = self.databases[site].lease;
        if lease.epoch < before.epoch {
            let (new, old) = (lease.epoch, before.epoch);
            self.fail(
                "I2",
                format!("a guard of epoch {old} is armed for epoch {new}"),
            );
        }
        if before.closed && lease.epoch == before.epoch {
            let epoch = lease.epoch;
            self.fail(
                "I2",
                format!("a guard that was closed for good is armed again in epoch {epoch}"),
            );
        }
    }

    /// I3: never does every living gate of both sites send its clients away.
    pub(crate) fn judge_health(&mut self) {
        let at = self.at;
        let away = |site: usize| {
            let mut living = self
                .gates
                .iter()
                .filter(|gate| gate.site == site && gate.runs())
                .peekable();
            living.peek().is_some() && living.all(|gate| gate.points_away(at))
        };
        if !(away(0) && away(1)) {
            self.oracle.nowhere_since = None;
            return;
        }
        let since = *self.oracle.nowhere_since.get_or_insert(at);
        if at - since > AWAY_MAX {
            self.fail(
                "I3",
                "every gate of both sites says that the other site takes the writes".into(),
            );
        }
    }

    /// A change of the record was committed.
    pub(crate) fn judge_record(&mut self, by: usize, before: &Arc<Record>, purpose: Purpose) {
        let after = Arc::clone(&self.store.state.record);
        if purpose != Purpose::Renew {
            let record = Arc::clone(&after);
            self.note(
                |_| "store".into(),
                |world| {
                    let who = &world.names[by];
                    let Record {
                        site,
                        epoch,
                        phase,
                        exposure,
                        ..
                    } = &*record;
                    format!(
                        "{who} writes: {site} {phase:?} epoch {epoch} {exposure:?} ({purpose:?})"
                    )
                },
            );
        }
        self.count(before, &after, purpose);
        if after.epoch < before.epoch {
            self.fail(
                "I2",
                format!("the record goes back to epoch {}", after.epoch),
            );
        }
        if after.site != self.agents[by].place.site {
            self.fail(
                "I2",
                format!("{} writes the right of {}", self.names[by], after.site),
            );
        }
        if after.epoch != before.epoch {
            self.judge_claim(by, before, &after, purpose);
        }
        if after.phase == Phase::Open && before.phase != Phase::Open {
            self.judge_opening(by, before, &after);
        }
        if after.phase == Phase::Fenced && before.phase != Phase::Fenced {
            self.judge_fence(by, &after);
        }
    }

    fn count(&mut self, before: &Record, after: &Record, purpose: Purpose) {
        let reached = &mut self.reached;
        match purpose {
            Purpose::Claim => reached.claims += 1,
            Purpose::ClaimRequested => reached.asked += 1,
            Purpose::Reclaim => reached.reclaims += 1,
            Purpose::Fence => reached.fences += 1,
            Purpose::Unbound => reached.unbounded += 1,
            Purpose::Bound => reached.bounded += 1,
            Purpose::Open if before.last_open.site != after.site => {
                reached.takeovers += 1;
                reached.switchovers += u64::from(self.oracle.fenced);
                reached.third += u64::from(after.epoch.0 > 2);
            }
            _ => {}
        }
    }

    /// I4, I6, I10: what must hold in fact when a site takes the right.
    fn judge_claim(&mut self, by: usize, before: &Record, after: &Record, purpose: Purpose) {
        let site = self.agents[by].at;
        self.oracle.accepted = self.is_accepted(before);
        // A source that dies after its fence is replaced as in any failover, within the bound.
        self.oracle.fenced = purpose == Purpose::TakeFenced;
        self.oracle.bounded = before.exposure == Exposure::Bounded;
        if before.site == after.site {
            if before.last_open.site != after.site {
                self.fail(
                    "I6",
                    format!(
                        "{} reclaims, but {} was the last to be open",
                        after.site, before.last_open.site
                    ),
                );
            }
            return;
        }
        match purpose {
            Purpose::Claim => self.judge_automatic(site),
            Purpose::ClaimRequested if !self.is_asked_for(before) => {
                self.fail(
                    "I4",
                    "a promotion that no person asked for or approved".into(),
                );
            }
            _ => {}
        }
        if before.last_open.site != after.site && self.databases[site].subscription.is_none() {
            self.fail(
                "I6",
                format!("{} claims without having been reinstated", after.site),
            );
        }
    }

    /// Whether every write of the other site is at `site`: then no witness is needed (rule 8:
    /// agents dead, database well).
    fn is_complete(&self, site: usize) -> bool {
        let source = &self.databases[Self::other(site)];
        self.databases[site].subscription.is_some_and(|found| {
            let rest = source.log.get(found.applied..).unwrap_or_default();
            !rest.iter().any(|entry| matches!(entry, Entry::Write(_)))
        })
    }

    /// Whether a site gives its right up by itself: its database is silent, or was when its agents
    /// last spoke; or its agents reach the store no more while the witness speaks (the observation
    /// matrix's "alive, cannot renew").
    fn is_given_up(&self, source: usize) -> bool {
        let renew = self.policy.authority.renew_ms * MS;
        let spoke = |index: usize, within: At| {
            let spoke_at = self.agents[index].spoke_at;
            spoke_at.is_some_and(|spoke| self.at - spoke <= within)
        };
        let speaking: Vec<usize> = (0..AGENTS)
            .filter(|index| self.agents[*index].at == source && spoke(*index, renew))
            .collect();
        let reaches = |index: &usize| {
            let status = self.store.state.statuses[*index].as_ref();
            status.is_some_and(|status| status.database_reachable)
        };
        if !self.databases[source].answers() {
            true
        } else if speaking.is_empty() {
            spoke(4, WITNESS_VIEW_MAX)
        } else {
            !speaking.iter().any(reaches)
        }
    }

    /// The rules of an automatic promotion, as they stand in fact.
    fn judge_automatic(&mut self, site: usize) {
        let window = self.policy.promotion.block_window_s * SECOND;
        let at = self.at;
        let acknowledged = self.has_request(|kind| kind == RequestKind::Acknowledge);
        if self.oracle.claims.iter().any(|claim| at - claim < window) && !acknowledged {
            self.fail(
                "I10",
                "a second automatic promotion within the window".into(),
            );
        }
        self.oracle.claims.push(at);
        if self.policy.mode != tandem_core::config::Mode::Automatic {
            self.fail(
                "I4",
                "an automatic promotion although the mode is not automatic".into(),
            );
        }
        let subscription = self.databases[site].subscription;
        let copying = subscription.is_none_or(|found| found.ready < TABLES);
        if copying && self.lasts(Kind::CopyRuns) > LOOK_MAX {
            self.fail(
                "I4",
                "an automatic promotion while a table is being copied".into(),
            );
        }
        let lost = self.agents[4].lost_at[Self::other(site)];
        let excused = self.is_complete(site) || self.is_given_up(Self::other(site));
        if !excused && lost.is_none_or(|lost| at - lost > WITNESS_VIEW_MAX) {
            self.fail(
                "I4",
                "an automatic promotion although the witness had not lost the site".into(),
            );
        }
        if self.databases[0].schema != self.databases[1].schema
            && at - self.troubles.altered_at > self.silent_for(Self::other(site)) + LOOK_MAX
        {
            self.fail(
                "I4",
                "an automatic promotion although the tables differ".into(),
            );
        }
    }

    /// How long ago an agent of `site` published a look at its database: what changed there since,
    /// nobody else knows.
    fn silent_for(&self, site: usize) -> At {
        let of_site = self.agents.iter().filter(|agent| agent.at == site);
        let told = of_site.filter_map(|agent| agent.spoke_at.min(agent.looked_at));
        self.at - told.max().unwrap_or(super::setup::STARTED)
    }

    /// How long ago the youngest fault of a kind began that goes on.
    fn lasts(&self, kind: Kind) -> At {
        let now = self.at - super::setup::STARTED;
        let going = |fault: &&Fault| fault.kind == kind && fault.at <= now && now < fault.until;
        let young = self.faults.iter().filter(going).map(|fault| now - fault.at);
        young.min().unwrap_or(u64::MAX)
    }

    fn has_request(&self, wanted: impl Fn(RequestKind) -> bool) -> bool {
        self.store
            .state
            .book
            .requests
            .iter()
            .any(|request| wanted(request.kind))
    }

    /// Whether a person asked for or approved a promotion out of `before`.
    fn is_asked_for(&self, before: &Record) -> bool {
        let asks = |request: &tandem_core::planner::StoredRequest| {
            let moves = request.kind.target().is_some() || request.kind == RequestKind::Approve;
            moves && request.epoch == before.epoch
        };
        self.store.state.book.requests.iter().any(asks)
    }

    /// Whether a person accepted the loss that a claim out of `before` may bring.
    fn is_accepted(&self, before: &Record) -> bool {
        let accepts = |request: &tandem_core::planner::StoredRequest| {
            let forced = matches!(
                request.kind,
                RequestKind::Failover {
                    accept_loss: true,
                    ..
                }
            );
            forced && request.epoch == before.epoch
        };
        self.store.state.book.requests.iter().any(accepts)
    }

    /// A fence says that nothing of its epoch can be acknowledged any more.
    fn judge_fence(&mut self, by: usize, after: &Record) {
        let (site, at) = (self.agents[by].at, self.at);
        if self.could_acknowledge(site) {
            self.fail(
                "I5",
                format!(
                    "{} is fenced in epoch {} while a gate of it is open",
                    after.site, after.epoch
                ),
            );
        }
        if self.databases[site].guard_left(at) > 0 {
            self.fail(
                "I5",
                format!(
                    "{} is fenced in epoch {} while its guard is open",
                    after.site, after.epoch
                ),
            );
        }
    }

    /// I1, I4, I5, I6: the record says `open`.
    fn judge_opening(&mut self, by: usize, before: &Record, after: &Record) {
        let (site, at) = (self.agents[by].at, self.at);
        let other = Self::other(site);
        let epoch = after.epoch;
        if self.could_acknowledge(other) {
            self.fail(
                "I1",
                format!(
                    "{} opens in epoch {epoch} while a gate of the other site is open",
                    after.site
                ),
            );
        }
        if self.databases[other].answers() && self.databases[other].guard_left(at) > 0 {
            self.fail(
                "I1",
                format!(
                    "{} opens in epoch {epoch} while the other site's guard is open",
                    after.site
                ),
            );
        }
        if before.last_open.site != after.site {
            self.judge_data(site, before.last_open.epoch, epoch);
        }
    }

    /// What the new primary lacks, and who allowed that.
    fn judge_data(&mut self, site: usize, last: Epoch, epoch: Epoch) {
        let database = &self.databases[site];
        let prepared = database.prepared().is_some_and(|step| step.epoch == epoch);
        if !prepared || database.slot.is_none() || database.subscription.is_none() {
            let name = self.sites[site];
            return self.fail(
                "I6",
                format!("{name} opens in epoch {epoch} without having been prepared as a replica"),
            );
        }
        let (mut first, mut newest, mut count) = (u64::MAX, 0, 0_u32);
        for (number, write) in self.writes.iter_mut().enumerate() {
            let number = u32::try_from(number).expect("few writes");
            let Some(acknowledged) = write.acknowledged else {
                continue;
            };
            if !write.lost && !database.holds(number) {
                write.lost = true;
                count += 1;
                first = first.min(write.committed.unwrap_or(acknowledged));
                newest = newest.max(acknowledged);
            }
        }
        if count == 0 {
            return;
        }
        self.note(
            |_| "judge".into(),
            |_| format!("{count} acknowledged writes of epoch {last} are lost"),
        );
        self.reached.losses += 1;
        if self.oracle.accepted {
            return;
        }
        if self.oracle.fenced {
            return self.fail(
                "I5",
                format!("{count} acknowledged writes are lost by a switchover"),
            );
        }
        // The bound counts on one machine's clock; two answers may lie a transit apart.
        let bound = self.policy.exposure.bound_ms * MS;
        let allowed = bound + bound / 50 + self.policy.authority.cut_ms * MS;
        if newest - first > allowed || !self.oracle.bounded {
            let ms = (newest - first) / MS;
            self.fail(
                "I4",
                format!(
                    "{count} acknowledged writes of {ms} ms are lost, more than the exposure allows"
                ),
            );
        }
    }

    /// Whether a healed world is well again: writes flow, and the record is open.
    pub(crate) fn has_converged(&self) -> bool {
        let Some(heal) = self.heal_at else {
            return false;
        };
        let record = &self.store.state.record;
        let calm = self.at > heal + 2 * SECOND;
        calm && record.phase == Phase::Open && self.oracle.last_acknowledged > heal + SECOND
    }

    /// I7, I8: what a healed world that did not get well says about it.
    pub(crate) fn judge_the_end(&mut self) {
        self.judge_what_is_left();
        if self.heal_at.is_none() || self.waits_for_a_person() {
            return;
        }
        let record = Arc::clone(&self.store.state.record);
        let said: Vec<String> = self
            .agents
            .iter()
            .map(|agent| {
                let code = agent.reason.as_ref().map_or("-", |reason| reason.code());
                format!("{} {code}", agent.name)
            })
            .collect();
        let Record {
            site, epoch, phase, ..
        } = &*record;
        let said = said.join(", ");
        self.fail(
            "I7",
            format!("healed, but nothing is acknowledged: {site} {phase:?} epoch {epoch}; {said}"),
        );
    }

    /// Every acknowledged write that was not lost under a judgement is where it belongs.
    fn judge_what_is_left(&mut self) {
        let record = Arc::clone(&self.store.state.record);
        let site = usize::from(record.last_open.site != self.sites[0]);
        let missing = self.writes.iter().enumerate().find(|(number, write)| {
            let number = u32::try_from(*number).expect("few writes");
            let there = write.epoch <= record.last_open.epoch.0;
            write.acknowledged.is_some()
                && there
                && !write.lost
                && !self.databases[site].holds(number)
        });
        if let Some((number, write)) = missing.filter(|_| self.lives_of_store == 1) {
            let what = format!(
                "write {number} of epoch {} was acknowledged and is nowhere",
                write.epoch
            );
            self.fail("I4", what);
        }
    }

    /// A report that names what only a person can do.
    fn waits_for_a_person(&self) -> bool {
        self.troubles.store_void || self.troubles.rebuild
    }
}
