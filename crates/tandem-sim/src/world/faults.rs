//! Faults begin and end. Everything that one stops is counted, so that overlapping ones end
//! one after the other.

use super::World;
use crate::clock::MS;
use crate::event::Event;
use crate::fault::{Fault, Kind};
use crate::network::{AWS, GCP, OUTSIDE, WITNESS};

use super::small;

impl World {
    /// A planned fault begins or ends.
    pub(crate) fn fault(&mut self, number: u8, begins: bool) {
        let fault = self.faults[usize::from(number)];
        self.note(
            |_| if begins { "FAULT" } else { "heal" }.into(),
            |world| world.shown(&fault),
        );
        match fault.kind {
            Kind::AgentCrash
            | Kind::AgentForgets
            | Kind::AgentFrozen
            | Kind::AgentsDead
            | Kind::DiskFull
            | Kind::SlowAgent
            | Kind::ClockDrift
            | Kind::ClockJump
            | Kind::Suspended => {
                self.agent_fault(&fault, begins);
            }
            Kind::GateCrash | Kind::GateFrozen | Kind::GateSlow => self.gate_fault(&fault, begins),
            Kind::SiteDown => self.site_fault(usize::from(fault.a % 2), begins),
            Kind::SiteIsolated
            | Kind::VpnCut
            | Kind::OneWay
            | Kind::AgentCut
            | Kind::WitnessCut
            | Kind::SlowLink
            | Kind::LossyLink
            | Kind::FlappingLink
            | Kind::Duplicates => {
                self.link_fault(&fault, begins);
            }
            Kind::WitnessDown
            | Kind::LeaderChange
            | Kind::LeaderAway
            | Kind::MemberDown
            | Kind::MajorityDown
            | Kind::LostReplies
            | Kind::LateCommits
            | Kind::StoreRestored
            | Kind::StoreRebuilt => self.store_fault(&fault, begins),
            Kind::Switchover
            | Kind::Failover
            | Kind::Pause
            | Kind::Acknowledge
            | Kind::Approve
            | Kind::Reinstate => self.person_asks(&fault, begins),
            _ => self.database_fault(&fault, begins),
        }
    }

    fn shown(&self, fault: &Fault) -> String {
        let name = fault.kind.name();
        let target = match fault.kind {
            Kind::AgentCrash
            | Kind::AgentForgets
            | Kind::AgentFrozen
            | Kind::DiskFull
            | Kind::SlowAgent
            | Kind::ClockDrift
            | Kind::ClockJump
            | Kind::AgentCut => self.names[usize::from(fault.a % 5)].to_string(),
            Kind::GateCrash | Kind::GateFrozen | Kind::Suspended => {
                let gate = usize::from(fault.a % 4);
                format!("{}'s {}", self.sites[gate / 2], gate % 2 + 1)
            }
            Kind::SlowLink | Kind::LossyLink | Kind::OneWay | Kind::FlappingLink => {
                let (from, to) = link(fault);
                format!("{} -> {}", self.sites[from], self.sites[to])
            }
            Kind::Switchover | Kind::Failover => {
                format!("to {}", self.sites[usize::from(fault.b % 2)])
            }
            _ => self.sites[usize::from(fault.a % 2)].to_string(),
        };
        format!("{}. {name} {target}", fault.number)
    }

    fn agent_fault(&mut self, fault: &Fault, begins: bool) {
        let index = usize::from(fault.a % 5);
        match fault.kind {
            Kind::AgentCrash | Kind::AgentForgets if begins => {
                // A store that people must not use again is not shown to an agent without memory.
                if fault.kind == Kind::AgentForgets && !self.troubles.store_void {
                    self.agents[index].disk = None;
                }
                self.stop_agent(index);
            }
            Kind::AgentCrash | Kind::AgentForgets => self.start_agent(index),
            Kind::AgentFrozen => freeze(&mut self.agents[index].frozen, begins),
            Kind::AgentsDead => {
                let site = usize::from(fault.a % 2);
                for index in [site * 2, site * 2 + 1] {
                    if begins {
                        self.stop_agent(index);
                    } else {
                        self.start_agent(index);
                    }
                }
            }
            Kind::DiskFull => freeze(&mut self.agents[index].disk_full, begins),
            Kind::SlowAgent => freeze(&mut self.troubles.slow_agent[index], begins),
            Kind::ClockDrift => {
                let rate = if begins {
                    [990_000, 1_010_000][usize::from(fault.b % 2)]
                } else {
                    1_000_000
                };
                let at = self.at;
                self.agents[index].clock.run_at(rate, at);
            }
            Kind::ClockJump if begins && !self.troubles.jumped => {
                self.troubles.jumped = true;
                let span = 50_000 * i64::from(fault.b);
                let at = self.at;
                self.agents[index].clock.jump(span, at);
            }
            Kind::ClockJump => {}
            _ => {
                let index = usize::from(fault.a % 4);
                freeze(&mut self.agents[index].frozen, begins);
                freeze(&mut self.gates[index].frozen, begins);
            }
        }
    }

    pub(crate) fn stop_agent(&mut self, index: usize) {
        self.agents[index].alive = false;
    }

    pub(crate) fn start_agent(&mut self, index: usize) {
        if self.agents[index].alive {
            return;
        }
        let at = self.at;
        self.agents[index].start(&self.policy.authority, at);
        let life = self.agents[index].life;
        self.push(
            10 * MS,
            Event::Round {
                agent: small(index),
                life,
            },
        );
    }

    fn gate_fault(&mut self, fault: &Fault, begins: bool) {
        let index = usize::from(fault.a % 4);
        match fault.kind {
            // The margin of the right pays for slow gates or for a jump, not for both.
            Kind::GateSlow if self.has_jump() => {}
            Kind::GateSlow => freeze(&mut self.troubles.slow_gate, begins),
            Kind::GateFrozen => freeze(&mut self.gates[index].frozen, begins),
            _ if begins => self.gates[index].alive = false,
            _ => self.start_gate(index),
        }
    }

    fn has_jump(&self) -> bool {
        let jumps = |fault: &Fault| fault.kind == Kind::ClockJump;
        self.faults.iter().any(jumps)
    }

    fn start_gate(&mut self, index: usize) {
        if !self.gates[index].alive {
            let site = self.sites[self.gates[index].site];
            self.gates[index].start(site, self.policy.authority.hold());
            let life = self.gates[index].life;
            self.push(
                5 * MS,
                Event::Asks {
                    gate: small(index),
                    life,
                },
            );
        }
    }

    fn site_fault(&mut self, site: usize, begins: bool) {
        freeze(&mut self.store.down[site], begins);
        for index in [site * 2, site * 2 + 1] {
            if begins {
                self.stop_agent(index);
                self.gates[index].alive = false;
            } else {
                self.start_agent(index);
                self.start_gate(index);
            }
        }
        self.database_runs(site, !begins);
    }

    fn database_runs(&mut self, site: usize, runs: bool) {
        if runs && !self.databases[site].alive {
            self.databases[site].start();
        } else if !runs {
            self.databases[site].stop();
            self.open[site].clear();
            self.waiting.retain(|statement| statement.site != site);
        }
    }

    fn link_fault(&mut self, fault: &Fault, begins: bool) {
        let site = usize::from(fault.a % 2);
        let (from, to) = link(fault);
        match fault.kind {
            Kind::SiteIsolated => {
                for other in [Self::other(site), WITNESS] {
                    self.cut_both(site, other, begins);
                }
            }
            Kind::VpnCut => self.cut_both(AWS, GCP, begins),
            Kind::WitnessCut => self.cut_both(site, WITNESS, begins),
            Kind::OneWay => self.network.cut(from, to, begins),
            Kind::AgentCut => {
                let (agent, place) = (usize::from(fault.a % 5), usize::from(fault.b % 3));
                self.network.cut_agent(agent, place, begins);
            }
            Kind::SlowLink => {
                self.network.slow(
                    from,
                    to,
                    if begins {
                        100 + u16::from(fault.a) * 5
                    } else {
                        0
                    },
                );
            }
            Kind::LossyLink => {
                self.network.lose(
                    from,
                    to,
                    if begins {
                        50 + u16::from(fault.a) * 2
                    } else {
                        0
                    },
                );
            }
            Kind::FlappingLink => self.flap(fault, begins),
            _ => freeze(&mut self.troubles.duplicates, begins),
        }
    }

    fn cut_both(&mut self, one: usize, other: usize, cut: bool) {
        self.network.cut(one, other, cut);
        self.network.cut(other, one, cut);
    }

    /// A link that loses everything in one direction most of the time.
    fn flap(&mut self, fault: &Fault, begins: bool) {
        let (from, to) = link(fault);
        let loss = if begins { 700 } else { 0 };
        self.network.lose(from, to, loss);
        self.network.lose(to, from, loss / 2);
    }

    fn store_fault(&mut self, fault: &Fault, begins: bool) {
        let member = usize::from(fault.a % 3);
        let (at, site) = (self.at, usize::from(fault.a % 2));
        match fault.kind {
            Kind::WitnessDown => {
                freeze(&mut self.store.down[WITNESS], begins);
                if begins {
                    self.stop_agent(4);
                } else {
                    self.start_agent(4);
                }
            }
            Kind::LeaderChange if begins => {
                self.store.election = MS * (500 + 10 * u64::from(fault.b));
                self.store.elect(member, at);
            }
            Kind::LeaderAway if begins => self.store.elect(Self::other(site), at),
            Kind::MemberDown => freeze(&mut self.store.down[member], begins),
            Kind::MajorityDown => {
                for down in [AWS, GCP, WITNESS]
                    .into_iter()
                    .filter(|down| *down != member)
                {
                    freeze(&mut self.store.down[down], begins);
                }
            }
            Kind::LostReplies => self.store.lost_replies = if begins { 500 } else { 0 },
            Kind::LateCommits => self.store.late_commits = if begins { 400 } else { 0 },
            Kind::StoreRestored => self.restore_store(begins),
            Kind::StoreRebuilt => {
                for down in &mut self.store.down {
                    freeze(down, begins);
                }
                self.troubles.rebuild |= !begins;
            }
            _ => {}
        }
    }

    /// An older copy under the same identity. That everybody who could act has seen more is the
    /// condition under which agents notice; without it no rule of theirs helps (C10), and people
    /// must not do it.
    fn restore_store(&mut self, begins: bool) {
        if !begins {
            self.troubles.rebuild |= self.troubles.store_void;
            return;
        }
        let Some(copy) = self.store.snapshot.clone() else {
            return;
        };
        let ahead = |agent: &crate::agent::Agent| {
            let seen = agent.disk.as_ref().map(|memory| memory.revision);
            seen.is_some_and(|seen| seen > copy.record_revision) && agent.disk_full == 0
        };
        let same = copy.record.identity == self.store.state.record.identity;
        if same && self.agents[..4].iter().all(ahead) {
            self.store.state = copy;
            self.troubles.store_void = true;
        }
    }

    fn database_fault(&mut self, fault: &Fault, begins: bool) {
        let site = usize::from(fault.a % 2);
        match fault.kind {
            Kind::DatabaseCrash | Kind::DatabaseDead => self.database_runs(site, !begins),
            Kind::DatabaseFrozen => {
                freeze(&mut self.databases[site].frozen, begins);
                self.push(MS, Event::Thaw);
            }
            Kind::PrepareBroken => freeze(&mut self.databases[site].broken, begins),
            Kind::LongTransaction => freeze(&mut self.troubles.long_transaction, begins),
            Kind::SlowApply => freeze(&mut self.troubles.slow_apply[site], begins),
            Kind::SlowDatabase => freeze(&mut self.troubles.slow_database[site], begins),
            // A server that is down takes no ALTER TABLE.
            Kind::SchemaDiffers => {
                if self.databases[site].answers() {
                    self.databases[site].schema = u8::from(begins);
                    self.troubles.altered_at = self.at;
                }
            }
            _ => self.feed_fault(fault.kind, site, begins),
        }
    }

    fn feed_fault(&mut self, kind: Kind, site: usize, begins: bool) {
        let other = Self::other(site);
        if kind == Kind::SlotLost {
            if let Some(slot) = &mut self.databases[other].slot {
                slot.lost = begins;
            }
            return;
        }
        if let Some(found) = &mut self.databases[site].subscription {
            match kind {
                Kind::HalfTransaction => found.half = begins && found.enabled,
                _ => found.ready = if begins { 1 } else { crate::database::TABLES },
            }
        }
    }
}

/// A pair of places that a fault chose; never with the clients outside.
fn link(fault: &Fault) -> (usize, usize) {
    const LINKS: [(usize, usize); 6] = [
        (AWS, GCP),
        (GCP, AWS),
        (AWS, WITNESS),
        (WITNESS, AWS),
        (GCP, WITNESS),
        (WITNESS, GCP),
    ];
    debug_assert!(
        LINKS
            .iter()
            .all(|(from, to)| *from != OUTSIDE && *to != OUTSIDE)
    );
    LINKS[usize::from(fault.b) % LINKS.len()]
}

/// Counts a stop in or out.
fn freeze(count: &mut u8, begins: bool) {
    *count = if begins {
        count.saturating_add(1)
    } else {
        count.saturating_sub(1)
    };
}
