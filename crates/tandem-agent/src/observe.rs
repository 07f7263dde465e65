//! Looks at the own database and at what other agents publish; publishes what was seen.
//!
//! Each of the three has a loop of its own; none waits for another.

use std::sync::Arc;
use std::time::Duration;

use tandem_core::model::Name;
use tandem_core::planner::{AgentStatus, BOOK_VERSION, Book, OtherEnd};
use tandem_store::{Change, Entry, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::database::Database;
use crate::right::chain;
use crate::state::{Counters, Shared};
use crate::store::Keys;

/// Between two readings of what others publish.
const PEERS_PERIOD: Duration = Duration::from_millis(250);

/// The shortest pause between two looks that were asked for.
const BREATH: Duration = Duration::from_millis(20);

/// Looks at the database on a timer and right after something was done to it.
pub(crate) async fn database(shared: Arc<Shared>, database: Arc<dyn Database>) {
    let mut trouble = None;
    loop {
        match database.observe().await {
            Ok(seen) => {
                if trouble.take().is_some() {
                    tracing::info!("the database answers");
                }
                shared.note_look(seen);
            }
            Err(error) => {
                Counters::count(&shared.counters.database_failures);
                note_trouble(&shared, &mut trouble, chain(&error));
            }
        }
        sleep(BREATH).await;
        // A time-out is the ordinary rhythm.
        let _ = timeout(shared.pace() - BREATH, shared.look_again.notified()).await;
    }
}

/// Each trouble is told once. Before the first good look it is no surprise: the database may not
/// be set up yet.
fn note_trouble(shared: &Shared, last: &mut Option<String>, text: String) {
    if last.as_ref() == Some(&text) {
        return;
    }
    if shared.state().database.is_some() {
        tracing::warn!(trouble = text, "the database cannot be observed");
    } else {
        tracing::info!(trouble = text, "the database cannot be observed yet");
    }
    *last = Some(text);
}

/// Reads what all agents publish.
pub(crate) async fn peers(shared: Arc<Shared>, store: Arc<dyn Store>) {
    let prefix = Keys::of(&shared.config.cluster).statuses();
    let mut ticks = interval(PEERS_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match store.read_prefix(&prefix).await {
            Ok(entries) => shared.note_peers(entries.iter().filter_map(status).collect()),
            Err(error) => tracing::debug!(%error, "the other agents' statuses cannot be read"),
        }
    }
}

/// A status that this build cannot read is no status: a newer agent may write one.
fn status(entry: &Entry) -> Option<AgentStatus> {
    let parsed = serde_json::from_str(&entry.versioned.value);
    parsed
        .inspect_err(|error| tracing::debug!(key = entry.key, %error, "not a status"))
        .ok()
}

/// Publishes this agent's status, twice a renewal period.
pub(crate) async fn publish(shared: Arc<Shared>, store: Arc<dyn Store>) {
    let key = Keys::of(&shared.config.cluster).status(&shared.name);
    let mut ticks = interval(shared.config.policy.authority.renew() / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Starts at the wall clock, so that a restarted agent never repeats an old counter.
    let mut counter = crate::clock::wall_seconds() * 1_000;
    loop {
        ticks.tick().await;
        counter += 1;
        let status = shared.published(counter);
        let value = serde_json::to_string(&status).expect("a status is plain data");
        match store.put(&key, &value).await {
            Ok(_) => Counters::count(&shared.counters.published),
            Err(error) => tracing::debug!(%error, "this agent's status cannot be published"),
        }
    }
}

/// Between two readings of what people asked for; a person does not notice a second.
const PEOPLE_PERIOD: Duration = Duration::from_secs(1);

/// Reads what people asked for and which lives of the agents may claim; registers this one.
pub(crate) async fn people(shared: Arc<Shared>, store: Arc<dyn Store>) {
    let keys = Keys::of(&shared.config.cluster);
    let mut ticks = interval(PEOPLE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tried = false;
    loop {
        ticks.tick().await;
        match store.read(&keys.requests()).await {
            Ok(found) => note_book(&shared, found.map(|found| found.value)),
            Err(error) => tracing::debug!(%error, "the requests cannot be read"),
        }
        let registered = shared.state().registered;
        if !registered && !tried {
            match register(&shared, store.as_ref(), &keys).await {
                Ok(()) => tried = true,
                Err(error) => tracing::debug!(%error, "this agent cannot be registered yet"),
            }
        }
        match store.read_prefix(&keys.incarnations()).await {
            Ok(entries) => note_incarnations(&shared, &keys, &entries),
            Err(error) => tracing::debug!(%error, "the agents' incarnations cannot be read"),
        }
    }
}

/// A book that cannot be understood counts as unread: then nothing automatic happens.
fn note_book(shared: &Shared, text: Option<String>) {
    let parsed = text.map_or(Ok(Book::default()), |text| {
        serde_json::from_str::<Book>(&text)
    });
    let book = parsed
        .inspect_err(|error| tracing::debug!(%error, "the requests cannot be understood"))
        .ok()
        .filter(|book| book.version == BOOK_VERSION);
    let mut state = shared.state();
    if state.book != book {
        state.book = book;
        shared.changed.notify_one();
    }
}

/// Makes this life of the agent the one that may claim. A life that loses to a later one never
/// tries again.
async fn register(shared: &Shared, store: &dyn Store, keys: &Keys) -> Result<(), StoreError> {
    let (key, own) = (
        keys.incarnation(&shared.name),
        shared.state().incarnation.clone(),
    );
    let change = match store.read(&key).await? {
        Some(found) if found.value == *own => return Ok(()),
        Some(found) => store.replace(&key, &found, &own).await?,
        None => store.create(&key, &own).await?,
    };
    if matches!(change, Change::Conflict { .. }) {
        tracing::warn!("another agent of this name has started; this one will not take over");
    }
    Ok(())
}

fn note_incarnations(shared: &Shared, keys: &Keys, entries: &[Entry]) {
    let prefix = keys.incarnations();
    let of = |entry: &Entry| -> Option<(Name, Name)> {
        let agent = entry.key.strip_prefix(&prefix)?;
        Some((agent.into(), entry.versioned.value.as_str().into()))
    };
    let mut state = shared.state();
    state.incarnations = entries.iter().filter_map(of).collect();
    let known = state.incarnations.get(shared.name.as_str());
    let registered = known == Some(&state.incarnation);
    if state.registered && !registered {
        tracing::warn!("another agent of this name has started; this one no longer takes over");
    }
    state.registered = registered;
}

/// Between two questions to the other site's database.
const OTHER_PERIOD: Duration = Duration::from_millis(500);

/// Where the planning loop asks for the end of the other database's log.
#[derive(Clone, Default)]
pub(crate) struct OtherLook {
    wanted: Arc<Notify>,
}

impl OtherLook {
    /// Asks soon.
    pub(crate) fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Asks whenever it is wanted, with a pause in between.
    pub(crate) async fn run(self, shared: Arc<Shared>, database: Arc<dyn Database>) {
        loop {
            self.wanted.notified().await;
            let asked = crate::clock::now();
            match database.other_end().await {
                Ok(end) => {
                    shared.state().other_end = Some(OtherEnd { end, asked });
                    shared.changed.notify_one();
                }
                Err(error) => tracing::debug!(trouble = chain(&error), "no end of the other log"),
            }
            sleep(OTHER_PERIOD).await;
        }
    }
}
