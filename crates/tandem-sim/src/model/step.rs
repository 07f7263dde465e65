//! Everything that can happen next.

use std::fmt;

use super::{Bounds, Search, Small};
use crate::store::Ask;
use crate::world::setup::FIRST_REVISION;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Time goes on.
    Tick,
    /// An agent plans, and does what it planned.
    Round(u8),
    /// An agent reads the store, plans and acts.
    Look(u8),
    /// An agent asks to read the store; the question is under way for long.
    Question(u8),
    /// The store is read; the answer is under way for long.
    Hold(u8),
    /// A change is carried out and its caller knows it, plans and acts.
    Change(u8),
    /// A change is carried out; the answer is under way for long.
    Carry(u8),
    /// An answer that was under way arrives.
    Reply(u8),
    /// The answer to a change is lost, or its caller waits no longer.
    GiveUp(u8),
    /// A change that was given up is carried out.
    Late,
    /// An agent dies and starts again with its disk.
    Crash(u8),
    /// The same without its disk.
    Forget(u8),
    /// An agent's clock jumps.
    Jump(u8),
    /// A gate asks an agent and is answered.
    Check(u8, u8),
    /// A gate is answered; the answer is under way for long.
    Answer(u8, u8),
    /// The answer arrives.
    Hear(u8, u8),
    /// A client's transaction at a site passes gate and guard for the last time.
    Begin(u8),
    /// It is committed; its client is told so if the gate lets the answer pass.
    Commit(u8),
    /// It is ended by the server.
    Kill(u8),
    /// Replication moves on at a site.
    Apply(u8),
    /// A person asks for a switchover.
    Person,
    /// A question for a promise is answered.
    Plea(u8),
    /// The promise arrives.
    Promise(u8),
    /// The store is lost, and a person rebuilds it.
    Rebuild,
    /// The store goes back to an older copy.
    Restore,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by_an_agent() {
            Some((index, what)) => f.write_str(&what.replace("{}", agent(index))),
            None => self.elsewhere(f),
        }
    }
}

fn agent(index: u8) -> &'static str {
    ["aws-1", "aws-2", "gcp-1", "gcp-2"][usize::from(index)]
}

impl Step {
    /// What an agent does, or what is done for it; `{}` stands for its name.
    fn by_an_agent(self) -> Option<(u8, &'static str)> {
        let (index, what) = match self {
            Self::Round(index) => (index, "{} plans and acts"),
            Self::Look(index) => (index, "{} reads the store, plans and acts"),
            Self::Question(index) => (index, "{} asks to read the store; that takes its time"),
            Self::Hold(index) => (index, "the store is read for {}; the answer takes its time"),
            Self::Change(index) => (index, "{}'s change is carried out; it plans and acts"),
            Self::Carry(index) => (
                index,
                "{}'s change is carried out; the answer takes its time",
            ),
            Self::Reply(index) => (index, "the store's answer is with {}; it plans and acts"),
            Self::GiveUp(index) => (index, "{} gives its change up"),
            Self::Crash(index) => (index, "{} crashes and starts again"),
            Self::Forget(index) => (index, "{} crashes and starts without its disk"),
            Self::Jump(index) => (index, "the clock of {} jumps two ticks ahead"),
            Self::Check(site, asked) => (site * 2 + asked, "a gate asks {}"),
            Self::Answer(site, asked) => {
                (site * 2 + asked, "{} answers its gate; that takes its time")
            }
            Self::Hear(site, asked) => (site * 2 + asked, "the answer of {} is with the gate"),
            _ => return None,
        };
        Some((index, what))
    }

    fn elsewhere(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = |index: u8| ["aws", "gcp"][usize::from(index)];
        match self {
            Self::Tick => f.write_str("a tick passes"),
            Self::Late => f.write_str("the store carries out the change that was given up"),
            Self::Begin(at) => write!(f, "a write at {} passes its gate and its guard", site(at)),
            Self::Commit(at) => write!(f, "the write at {} is committed", site(at)),
            Self::Kill(at) => write!(f, "the write at {} is ended", site(at)),
            Self::Apply(to) => write!(f, "{} applies what has arrived", site(to)),
            Self::Person => f.write_str("a person asks for a switchover to gcp"),
            Self::Plea(number) => write!(f, "question {number} for a promise is answered"),
            Self::Promise(number) => write!(f, "promise {number} arrives"),
            Self::Rebuild => f.write_str("the store is lost and rebuilt"),
            Self::Restore => f.write_str("the store goes back to its first copy"),
            _ => unreachable!("told by `by_an_agent`"),
        }
    }
}

fn small(index: usize) -> u8 {
    u8::try_from(index).expect("few of everything")
}

impl Small {
    /// What can happen here.
    pub(super) fn steps(&self, search: &Search, steps: &mut Vec<Step>) {
        let bounds = &search.bounds;
        if self.spent.held + self.under_way() <= bounds.held {
            steps.push(Step::Tick);
        }
        for index in self.alive() {
            self.agent_steps(bounds, index, steps);
        }
        if self.late.is_some() {
            steps.push(Step::Late);
        }
        for site in 0..2 {
            self.site_steps(bounds, site, steps);
        }
        for (number, plea) in self.pleas.iter().enumerate() {
            let number = small(number);
            steps.push(match plea.answer {
                None => Step::Plea(number),
                Some(_) => Step::Promise(number),
            });
        }
        if bounds.switchover && !self.spent.asked {
            steps.push(Step::Person);
        }
        if bounds.rebuild && !self.spent.rebuilt {
            steps.push(Step::Rebuild);
        }
        if bounds.restore && !self.spent.restored && self.alive().all(|index| self.is_ahead(index))
        {
            steps.push(Step::Restore);
        }
    }

    /// Whether an agent's disk says that it has seen more than the first copy of the store.
    fn is_ahead(&self, index: usize) -> bool {
        let seen = self.agents[index].disk.as_ref();
        seen.is_some_and(|memory| memory.revision > FIRST_REVISION)
    }

    /// What is under way between an agent and the store or a gate.
    pub(super) fn under_way(&self) -> u8 {
        let calls = self.calls.iter().flatten().count();
        small(calls + self.asks.iter().flatten().flatten().count())
    }

    fn agent_steps(&self, bounds: &Bounds, index: usize, steps: &mut Vec<Step>) {
        let (spent, number) = (&self.spent, small(index));
        let holds = spent.held < bounds.held;
        match &self.calls[index] {
            None => {
                steps.push(Step::Look(number));
                if bounds.failsafe {
                    steps.push(Step::Round(number));
                }
                if holds {
                    steps.push(Step::Hold(number));
                }
                if holds && bounds.slow_questions {
                    steps.push(Step::Question(number));
                }
            }
            Some(call) if call.said.is_some() => steps.push(Step::Reply(number)),
            Some(_) => {
                steps.push(Step::Change(number));
                if holds {
                    steps.push(Step::Carry(number));
                }
            }
        }
        let call = self.calls[index].as_ref();
        let changes = call.is_some_and(|call| matches!(call.ask, Ask::Write { .. }));
        if changes && spent.lost < bounds.lost {
            steps.push(Step::GiveUp(number));
        }
        if spent.crashes < bounds.crashes {
            let forgets = spent.forgets < bounds.forgets;
            steps.push(if forgets {
                Step::Forget(number)
            } else {
                Step::Crash(number)
            });
        }
        if spent.jumps < bounds.jumps {
            steps.push(Step::Jump(number));
        }
    }

    fn site_steps(&self, bounds: &Bounds, site: usize, steps: &mut Vec<Step>) {
        let number = small(site);
        for agent in 0..bounds.agents[site] {
            if self.asks[site][agent].is_some() {
                steps.push(Step::Hear(number, small(agent)));
                continue;
            }
            steps.push(Step::Check(number, small(agent)));
            if self.spent.held < bounds.held {
                steps.push(Step::Answer(number, small(agent)));
            }
        }
        let writes = self.spent.writes < bounds.writes;
        if self.writing[site].is_some() {
            steps.extend([Step::Commit(number), Step::Kill(number)]);
        } else if writes
            && self.gates[site].is_open(self.at)
            && self.databases[site].admits(self.at)
        {
            steps.push(Step::Begin(number));
        }
        let source = &self.databases[1 - site];
        let relays = |index: usize| index / 2 == site && self.agents[index].done.relay_open;
        let behind = self.databases[site]
            .subscription
            .is_some_and(|found| found.enabled && found.applied < source.log.len());
        if behind && self.alive().any(relays) {
            steps.push(Step::Apply(number));
        }
    }
}
