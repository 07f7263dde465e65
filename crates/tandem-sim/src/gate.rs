//! A gate: the core's deadline logic, and sessions that live under terms.
//!
//! Like the real one (`keeper` and `term` of `tandem-gate`): a session belongs to the right
//! under which it was opened; a term that ended never opens again; the clock is read after a
//! pause and before anything passes. Unlike it: no pools and no bytes; a transaction is one
//! message there and one back.

use core::time::Duration;

use tandem_core::gate::{Heard, Rights, Verdict};
use tandem_core::model::{Epoch, Mono, SiteId};
use tandem_core::wire::Remaining;

use crate::clock::{At, Clock};

/// The right under which sessions of this gate were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Term {
    /// Its number; never used twice by one gate.
    pub number: u32,
    /// The epoch of the right.
    pub epoch: Epoch,
    /// Past it, nothing passes.
    pub deadline: Mono,
}

/// Where a new session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the local database.
    Here(Term),
    /// To the other site's gates.
    Peer(Term),
    /// Nowhere.
    Nowhere,
}

/// One gate process.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The index of its site.
    pub site: usize,
    /// It runs.
    pub alive: bool,
    /// Stops that overlap.
    pub frozen: u8,
    /// Rises with each start.
    pub life: u16,
    /// Its clock.
    pub clock: Clock,
    rights: Rights,
    here: Option<Term>,
    away: Option<(SiteId, Term)>,
    terms: u32,
}

impl Gate {
    /// A gate that has heard nothing.
    pub fn new(site: usize, own: SiteId, hold: Duration, clock: Clock) -> Self {
        Self {
            site,
            alive: true,
            frozen: 0,
            life: 1,
            clock,
            rights: Rights::new(own, 2, hold),
            here: None,
            away: None,
            terms: 0,
        }
    }

    /// Starts anew, having forgotten everything.
    pub fn start(&mut self, own: SiteId, hold: Duration) {
        self.alive = true;
        self.life += 1;
        self.rights = Rights::new(own, 2, hold);
        self.here = None;
        self.away = None;
    }

    /// Whether it does anything at all.
    pub fn runs(&self) -> bool {
        self.alive && self.frozen == 0
    }

    /// Takes the answer of one of its site's two agents.
    pub fn hear(&mut self, agent: usize, asked: Mono, answer: &Remaining, at: At) -> Heard {
        let heard = self.rights.hear(agent, asked, answer);
        if heard == Heard::Taken {
            self.route(at);
        }
        heard
    }

    /// The name of its site.
    pub fn own(&self) -> SiteId {
        self.rights.own()
    }

    /// What it heard.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Ends what has run out and says where new sessions go.
    pub fn route(&mut self, at: At) -> Route {
        let verdict = self.rights.decide(self.clock.now(at));
        let epoch = self.rights.epoch();
        match verdict {
            Verdict::Here { deadline, .. } => {
                self.away = None;
                let old = self.here.filter(|term| term.epoch == epoch);
                let mut term = old.unwrap_or_else(|| self.term(epoch));
                term.deadline = deadline;
                self.here = Some(term);
                Route::Here(term)
            }
            Verdict::Peer { site, .. } => {
                self.here = None;
                let same = |(to, term): &(SiteId, Term)| *to == site && term.epoch == epoch;
                let old = self.away.filter(same).map(|(_, term)| term);
                let term = old.unwrap_or_else(|| self.term(epoch));
                self.away = Some((site, term));
                Route::Peer(term)
            }
            Verdict::Nowhere(_) => {
                self.here = None;
                self.away = self.away.filter(|(_, term)| term.epoch == epoch);
                Route::Nowhere
            }
        }
    }

    fn term(&mut self, epoch: Epoch) -> Term {
        self.terms += 1;
        Term {
            number: self.terms,
            epoch,
            deadline: Mono(u64::MAX),
        }
    }

    /// Whether an answer may still pass to a session of term `number` that ends here.
    pub fn passes_here(&mut self, number: u32, at: At) -> bool {
        if off!(GateIgnoresDeadline) {
            return self.runs();
        }
        let open = matches!(self.route(at), Route::Here(term) if term.number == number || off!(SessionsOutliveTerms));
        self.runs() && open
    }

    /// Whether an answer of the other site may still pass to a session of term `number`.
    pub fn passes_away(&mut self, number: u32, at: At) -> bool {
        self.route(at);
        let lives = self.away.is_some_and(|(_, term)| term.number == number);
        self.runs() && lives
    }

    /// Whether this gate would let a write through at this very instant.
    pub fn is_open(&self, at: At) -> bool {
        let verdict = self.rights.decide(self.clock.now(at));
        self.runs() && matches!(verdict, Verdict::Here { .. })
    }

    /// Whether it believes that the other site may write.
    pub fn points_away(&self, at: At) -> bool {
        let now = self.clock.now(at);
        let verdict = self.rights.decide(now);
        self.runs() && self.rights.is_current(now) && matches!(verdict, Verdict::Peer { .. })
    }
}
