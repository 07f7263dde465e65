//! The keeper of the right to write: asks the agents, moves the terms.
//!
//! One small task per agent asks every 250 ms, each ask bounded, and the agent answers when something
//! is different, or shortly before the next ask; one more ends
//! the term at its deadline. All of them call [`Keeper`], which holds what was
//! heard, asks [`Rights`] for the verdict and turns it into terms and a route.
//! Ordering: a term that is no longer true ends *before* the next route is published.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tandem_core::model::{Epoch, Mono, SiteId};
use tandem_core::wire::{Remaining, Writer};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::clock;
use crate::settings::{AgentAt, Settings};
use crate::term::{Route, Term};
use tandem_core::gate::{Answer, Heard, Rights, Verdict};

/// How long the deadline task sleeps at most: a machine that was suspended is noticed by then.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Holds what was heard and what follows from it.
#[derive(Debug)]
pub struct Keeper {
    site: SiteId,
    state: Mutex<State>,
    route: watch::Sender<Route>,
    heard: Notify,
}

#[derive(Debug)]
struct State {
    rights: Rights,
    here: Option<Arc<Term>>,
    away: Option<(SiteId, Arc<Term>)>,
    failed_asks: u64,
}

/// The right to write as one consistent look.
#[derive(Debug, Clone)]
pub struct View {
    /// Where write sessions belong.
    pub verdict: Verdict,
    /// The highest epoch heard.
    pub epoch: Epoch,
    /// The site last known to have the right, fresh or not.
    pub writer: Option<SiteId>,
    /// Whether writes can work there as far as is known.
    pub writer_works: bool,
    /// Whether an agent answered lately.
    pub current: bool,
    /// The last answer of each agent.
    pub answers: Vec<Option<Answer>>,
    /// Asks that brought no usable answer.
    pub failed_asks: u64,
}

impl Keeper {
    /// A keeper that has heard nothing yet.
    pub fn new(site: SiteId, agents: usize, remaining_max: Duration) -> Self {
        let rights = Rights::new(site, agents, remaining_max);
        let Verdict::Nowhere(why) = rights.decide(clock::now()) else {
            unreachable!("without answers there is no right to write");
        };
        Self {
            site,
            state: Mutex::new(State {
                rights,
                here: None,
                away: None,
                failed_asks: 0,
            }),
            route: watch::Sender::new(Route::Nowhere(why)),
            heard: Notify::new(),
        }
    }

    /// Where new write sessions go, and every change of it.
    pub fn routes(&self) -> watch::Receiver<Route> {
        self.route.subscribe()
    }

    /// Takes in the answer of agent number `agent`, asked for at `asked`.
    pub fn handle_answer(&self, agent: usize, asked: Mono, answer: &Remaining) -> Heard {
        let heard = self.state().rights.hear(agent, asked, answer);
        if heard == Heard::Taken {
            self.handle_time(clock::now());
            self.heard.notify_one();
        }
        heard
    }

    /// Counts an ask that brought no usable answer.
    pub fn handle_silence(&self) {
        self.state().failed_asks += 1;
    }

    /// Ends what has run out by `now` and publishes where write sessions belong.
    pub fn handle_time(&self, now: Mono) {
        let mut state = self.state();
        let verdict = state.rights.decide(now);
        let route = state.follow(verdict);
        self.route.send_if_modified(|old| {
            let changed = !old.same(&route);
            if changed {
                announce(self.site, &route);
                *old = route;
            }
            changed
        });
    }

    /// One consistent look.
    pub fn view(&self, now: Mono) -> View {
        let state = self.state();
        View {
            verdict: state.rights.decide(now),
            epoch: state.rights.epoch(),
            writer: state.rights.writer(now),
            writer_works: state.rights.writer_works(now),
            current: state.rights.is_current(now),
            answers: state.rights.answers().to_vec(),
            failed_asks: state.failed_asks,
        }
    }

    /// The answer of `GET /v1/writer`.
    pub fn writer(&self, now: Mono) -> Writer {
        let view = self.view(now);
        let may_write = matches!(view.verdict, Verdict::Here { .. });
        let writer_fresh = view.current && !matches!(view.verdict, Verdict::Nowhere(_));
        Writer {
            site: self.site,
            may_write,
            epoch: view.epoch,
            writer: view.writer,
            writer_fresh,
            writer_works: view.writer_works,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the state")
    }
}

impl State {
    /// Makes the terms agree with `verdict`; what is no longer true ends here.
    fn follow(&mut self, verdict: Verdict) -> Route {
        let epoch = self.rights.epoch();
        match verdict {
            Verdict::Here { deadline, .. } => {
                self.end_away();
                self.end_here_unless(epoch);
                let term = self
                    .here
                    .get_or_insert_with(|| Term::until(epoch, deadline));
                term.move_to(deadline);
                Route::Here(Arc::clone(term))
            }
            Verdict::Peer { site, .. } => {
                self.end_here();
                self.end_away_unless(epoch, Some(site));
                let (_, term) = self
                    .away
                    .get_or_insert_with(|| (site, Term::unlimited(epoch)));
                Route::Peer(site, Arc::clone(term))
            }
            Verdict::Nowhere(why) => {
                self.end_here();
                // Sessions at the other site go on: its own gate decides about them.
                self.end_away_unless(epoch, None);
                Route::Nowhere(why)
            }
        }
    }

    fn end_here(&mut self) {
        if let Some(term) = self.here.take() {
            term.end();
        }
    }

    fn end_here_unless(&mut self, epoch: Epoch) {
        if self.here.as_ref().is_some_and(|term| term.epoch() != epoch) {
            self.end_here();
        }
    }

    fn end_away(&mut self) {
        if let Some((_, term)) = self.away.take() {
            term.end();
        }
    }

    fn end_away_unless(&mut self, epoch: Epoch, site: Option<SiteId>) {
        let wrong = |(at, term): &(SiteId, Arc<Term>)| {
            term.epoch() != epoch || site.is_some_and(|site| site != *at)
        };
        if self.away.as_ref().is_some_and(wrong) {
            self.end_away();
        }
    }
}

fn announce(site: SiteId, route: &Route) {
    match route {
        Route::Here(term) => info!(epoch = %term.epoch(), "write sessions end here at {site}"),
        Route::Peer(other, term) => info!(epoch = %term.epoch(), "write sessions go to {other}"),
        Route::Nowhere(why) => info!("new write sessions wait: {why}"),
    }
}

/// Asks every agent and ends the term at its deadline, until `stop`.
pub(crate) fn start(keeper: &Arc<Keeper>, settings: &Settings, stop: &CancellationToken) {
    for (number, at) in settings.agents.iter().enumerate() {
        let every = settings.bounds.ask_every;
        let ask = ask_for_ever(Arc::clone(keeper), number, at.clone(), every);
        tokio::spawn(stop.clone().run_until_cancelled_owned(ask));
    }
    tokio::spawn(
        stop.clone()
            .run_until_cancelled_owned(watch_deadline(Arc::clone(keeper))),
    );
}

async fn watch_deadline(keeper: Arc<Keeper>) {
    loop {
        let now = clock::now();
        keeper.handle_time(now);
        let rest = match keeper.view(now).verdict {
            Verdict::Here { deadline, .. } => now.until(deadline).min(LOOK_EVERY),
            _ => LOOK_EVERY,
        };
        tokio::select! {
            () = sleep(rest) => {}
            () = keeper.heard.notified() => {}
        }
    }
}

/// The agent may keep an answer back for most of `every`, until something is different: so a change
/// of hands is heard at once. The deadline still counts from before asking.
async fn ask_for_ever(keeper: Arc<Keeper>, number: usize, agent: AgentAt, every: Duration) {
    let wait_ms = (every * 4 / 5).as_millis();
    let mut known = String::new();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut usable = true;
    loop {
        ticks.tick().await;
        let asked = clock::now();
        let question = format!("/v1/remaining?wait_ms={wait_ms}&known={known}");
        let fault = match agent.peer.ask::<Remaining>(&question).await {
            Ok(answer) => {
                let gist = answer.gist();
                if gist != known {
                    // The next change may follow at once.
                    ticks.reset_immediately();
                }
                known = gist;
                fault(keeper.handle_answer(number, asked, &answer)).map(str::to_owned)
            }
            Err(error) => Some(chain(&error)),
        };
        if fault.is_some() {
            keeper.handle_silence();
        }
        if usable != fault.is_none() {
            usable = fault.is_none();
            announce_agent(&agent.address, fault);
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Why an answer is not usable, if it is not.
fn fault(heard: Heard) -> Option<&'static str> {
    match heard {
        Heard::Taken | Heard::Overtaken => None,
        Heard::OldEpoch => Some("it speaks of an epoch that is over"),
        Heard::WrongSite => Some("it belongs to another site; check the agents' addresses"),
    }
}

fn announce_agent(agent: &str, fault: Option<String>) {
    match fault {
        None => info!(agent, "agent answers"),
        Some(fault) => info!(agent, "agent gives no usable answer: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(epoch: u64, writer: Option<&str>, remaining_ms: u64) -> Remaining {
        Remaining {
            agent: "aws-1".into(),
            site: "aws".parse().unwrap(),
            epoch: Epoch(epoch),
            remaining_ms,
            writer: writer.map(|site| site.parse().unwrap()),
            writer_fresh: true,
            writer_works: true,
        }
    }

    fn keeper() -> Keeper {
        Keeper::new("aws".parse().unwrap(), 2, Duration::from_secs(3600))
    }

    fn here(keeper: &Keeper) -> Arc<Term> {
        match &*keeper.routes().borrow() {
            Route::Here(term) => Arc::clone(term),
            other => panic!("not here: {other:?}"),
        }
    }

    fn away(keeper: &Keeper) -> Arc<Term> {
        match &*keeper.routes().borrow() {
            Route::Peer(_, term) => Arc::clone(term),
            other => panic!("not away: {other:?}"),
        }
    }

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_session_of_an_old_epoch_finds_its_term_ended_though_the_site_writes_again() {
        let keeper = keeper();
        keeper.handle_answer(0, clock::now(), &answer(7, Some("aws"), HOUR));
        let old = here(&keeper);
        assert!(old.allows(clock::now()));
        keeper.handle_answer(1, clock::now(), &answer(9, Some("aws"), HOUR));
        assert!(!old.allows(clock::now()));
        old.move_to(Mono(u64::MAX));
        assert!(!old.allows(clock::now()), "an ended term never opens again");
        assert!(here(&keeper).allows(clock::now()));
    }

    #[test]
    fn renewals_move_the_deadline_without_a_change_of_route() {
        let keeper = keeper();
        let start = clock::now();
        keeper.handle_answer(0, start, &answer(7, Some("aws"), HOUR / 2));
        let mut routes = keeper.routes();
        routes.mark_unchanged();
        let term = here(&keeper);
        let late = start.after(Duration::from_millis(HOUR * 3 / 4));
        assert!(!term.allows(late));
        keeper.handle_answer(1, start, &answer(7, Some("aws"), HOUR));
        assert!(term.allows(late));
        assert!(!routes.has_changed().unwrap());
    }

    #[test]
    fn the_term_ends_at_its_deadline() {
        let keeper = keeper();
        let start = clock::now();
        keeper.handle_answer(0, start, &answer(7, Some("aws"), HOUR));
        let term = here(&keeper);
        keeper.handle_time(start.after(Duration::from_millis(HOUR)));
        assert!(!term.allows(start));
        assert!(matches!(*keeper.routes().borrow(), Route::Nowhere(_)));
    }

    #[test]
    fn sessions_at_the_other_site_end_when_it_is_no_longer_the_writer() {
        let keeper = keeper();
        keeper.handle_answer(0, clock::now(), &answer(7, Some("gcp"), 0));
        let term = away(&keeper);
        // Not renewed, or nobody is open in the same epoch: the other site's gate decides.
        keeper.handle_answer(0, clock::now(), &answer(7, None, 0));
        assert!(term.allows(clock::now()));
        keeper.handle_answer(0, clock::now(), &answer(7, Some("gcp"), 0));
        assert!(Arc::ptr_eq(&term, &away(&keeper)));
        // The next epoch, even of the same site, is another right.
        keeper.handle_answer(0, clock::now(), &answer(8, Some("gcp"), 0));
        assert!(!term.allows(clock::now()));
        let term = away(&keeper);
        keeper.handle_answer(0, clock::now(), &answer(9, Some("aws"), HOUR));
        assert!(!term.allows(clock::now()));
    }

    #[test]
    fn the_writer_answer_follows_the_verdict() {
        let keeper = keeper();
        assert!(!keeper.writer(clock::now()).may_write);
        keeper.handle_answer(0, clock::now(), &answer(7, Some("aws"), HOUR));
        let writer = keeper.writer(clock::now());
        assert!(writer.may_write && writer.writer_fresh);
        keeper.handle_answer(0, clock::now(), &answer(8, Some("gcp"), 0));
        let writer = keeper.writer(clock::now());
        assert!(!writer.may_write && writer.writer_fresh);
        assert_eq!(
            (writer.epoch, writer.writer),
            (Epoch(8), "gcp".parse().ok())
        );
    }
}
