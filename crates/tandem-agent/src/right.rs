//! The right to write: reads the record all the time, writes it on order.
//!
//! The only task that changes what this agent knows about the right. Each reading and each
//! committed change is on disk before it is shown to the rest of the agent.
//! Invariant: after a lost reply the record is read again; nothing is renewed blind.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use tandem_core::authority::{Authority, RECORD_VERSION, Record, Refusal};
use tandem_core::model::{Mono, Name};
use tandem_core::planner::Purpose;
use tandem_store::{Beside, Change, Store, StoreError, Versioned};
use tokio::sync::mpsc;
use tokio::time::{Duration, MissedTickBehavior, interval, sleep};

use crate::clock;
use crate::journal::Journal;
use crate::memory::{MemoryError, MemoryFile};
use crate::state::{Counters, Shared};
use crate::store::Keys;

/// How often the record is read whatever happens, so that a taker's count starts early.
const READ_PERIOD: Duration = Duration::from_millis(250);

/// The longest wait for the store's word that the record was changed.
const HINT_MAX: Duration = Duration::from_secs(10);

/// Before the next such question, unless the record was read anew.
const HINT_REST: Duration = Duration::from_secs(1);

/// Renewals that lost against the sibling agent's are repeated at once with what the store
/// holds now; two agents cannot collide more often than this in one period.
const RENEWALS_MAX: u32 = 3;

/// Between two readings of past promotions; shorter than any ttl, so that a promotion by the
/// sibling agent is known before another could be due.
const PROMOTIONS_PERIOD: Duration = Duration::from_secs(1);

/// At most two a day are allowed; the rest is for people who read the list.
const PROMOTIONS_MAX: usize = 16;

/// An order from the planner to replace the record.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) revision: u64,
    pub(crate) record: Record,
    pub(crate) purpose: Purpose,
}

/// Why a reading is not shown.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("the store is not believed")]
    Refused(#[from] Refusal),
    #[error("what was read cannot be remembered")]
    Memory(#[from] MemoryError),
    #[error("the record cannot be understood")]
    Damaged(#[from] serde_json::Error),
}

/// The store's word that the record was changed since it was read at revision `after`.
struct Hint {
    after: Option<u64>,
    told: Pin<Box<dyn Future<Output = bool> + Send>>,
}

/// The task's own state.
pub(crate) struct Right {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    memory: Arc<Mutex<MemoryFile>>,
    journal: Journal,
    key: String,
    promotions_key: String,
    incarnation_key: String,
    /// The exact text behind the record that is shown, for the next comparison.
    text: Option<Versioned>,
    promotions_read: Option<Mono>,
    /// The last trouble that was logged, so that each is logged once.
    trouble: Option<String>,
    /// Since when the store has given nothing.
    silent_since: Option<Mono>,
}

impl Right {
    pub(crate) fn new(
        shared: Arc<Shared>,
        store: Arc<dyn Store>,
        memory: MemoryFile,
        journal: Journal,
    ) -> Self {
        let keys = Keys::of(&shared.config.cluster);
        let incarnation_key = keys.incarnation(&shared.name);
        Self {
            shared,
            store,
            memory: Arc::new(Mutex::new(memory)),
            journal,
            key: keys.authority(),
            promotions_key: keys.promotions(),
            incarnation_key,
            text: None,
            promotions_read: None,
            trouble: None,
            silent_since: None,
        }
    }

    /// Reads and carries out orders, one at a time, until the planner is gone. It reads in a
    /// rhythm, and at once when the store says that the record was changed.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut ticks = interval(READ_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hint = self.hint(Duration::ZERO);
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order).await,
                    None => return,
                },
                _ = ticks.tick() => self.read().await,
                changed = &mut hint.told => {
                    if changed {
                        self.read().await;
                    }
                    let news = hint.after != self.revision();
                    hint = self.hint(if news { Duration::ZERO } else { HINT_REST });
                }
            }
            if hint.after != self.revision() {
                hint = self.hint(Duration::ZERO);
            }
            self.shared.changed.notify_one();
        }
    }

    /// Asks the store, after `rest`, to say when the record is no longer what was read last.
    fn hint(&self, rest: Duration) -> Hint {
        let (store, key, after) = (Arc::clone(&self.store), self.key.clone(), self.revision());
        let told = async move {
            let Some(after) = after else {
                return std::future::pending().await;
            };
            sleep(rest).await;
            let told = store.wait_for_change(&key, after, HINT_MAX).await;
            told.unwrap_or_default()
        };
        Hint {
            after,
            told: Box::pin(told),
        }
    }

    fn revision(&self) -> Option<u64> {
        self.text.as_ref().map(|text| text.mod_revision)
    }

    async fn read(&mut self) {
        if !self.read_promotions().await {
            return;
        }
        match self.store.read(&self.key).await {
            Ok(Some(found)) => self.take(found, None).await,
            Ok(None) => self.note_trouble(
                "the store holds no authority record; `tandem init` makes one".into(),
            ),
            Err(error) => self.note_store_error(&error),
        }
    }

    /// Refreshes the promotions that the flap guard counts, the sibling's too. False while they
    /// were never read: then nothing else is read either, since doubt denies.
    async fn read_promotions(&mut self) -> bool {
        let due = self
            .promotions_read
            .is_none_or(|last| clock::now().since(last) >= PROMOTIONS_PERIOD);
        if !due {
            return true;
        }
        let list = match self.store.read(&self.promotions_key).await {
            Ok(found) => found.map_or(Ok(Vec::new()), |found| serde_json::from_str(&found.value)),
            Err(error) => {
                self.note_store_error(&error);
                return self.promotions_read.is_some();
            }
        };
        match list {
            Ok(list) => self.shared.state().promotions = list,
            Err(error) => {
                self.note_trouble(format!(
                    "the list of promotions cannot be understood: {error}"
                ));
                return self.promotions_read.is_some();
            }
        }
        self.promotions_read = Some(clock::now());
        true
    }

    /// Takes what the store holds; `sent` if we wrote it ourselves. Shown only after it is on disk.
    async fn take(&mut self, found: Versioned, sent: Option<Mono>) {
        match self.learn(&found, sent).await {
            Ok(()) => {
                self.shared.state().refusal = None;
                self.silent_since = None;
                self.text = Some(found);
                if self.trouble.take().is_some() {
                    tracing::info!("the store is read again");
                }
            }
            Err(unusable) => self.refuse(unusable),
        }
    }

    /// Remembers first, then shows. What is shown is changed in place, since a promise may have
    /// been given meanwhile.
    async fn learn(&self, found: &Versioned, sent: Option<Mono>) -> Result<(), Unusable> {
        let arrived = clock::now();
        let record = parse(&found.value)?;
        let mut authority = self.shared.state().authority.clone();
        note(&mut authority, (sent, arrived), &record, found.mod_revision)?;
        let learned = authority
            .memory()
            .expect("a reading was just taken")
            .clone();
        let memory = Arc::clone(&self.memory);
        let keep = move || memory.lock().expect("no holder panics").keep(&learned);
        tokio::task::spawn_blocking(keep)
            .await
            .expect("keeping does not panic")?;
        let mut state = self.shared.state();
        let shown = &mut state.authority;
        note(shown, (sent, arrived), &record, found.mod_revision)?;
        drop(state);
        if self.shared.is_at_the_barrier() {
            self.shared.look_again.notify_one();
        }
        Ok(())
    }

    fn refuse(&mut self, unusable: Unusable) {
        let text = chain(&unusable);
        if let Unusable::Refused(refusal) = unusable {
            self.shared.state().refusal = Some(refusal);
        }
        self.note_trouble(text);
    }

    /// One lost call is nothing; silence that outlasts two renewals is a trouble.
    fn note_store_error(&mut self, error: &StoreError) {
        Counters::count(&self.shared.counters.store_failures);
        let now = clock::now();
        let since = *self.silent_since.get_or_insert(now);
        if now.since(since) > self.shared.config.policy.authority.renew() * 2 {
            self.note_trouble(error.to_string());
        } else {
            tracing::debug!(%error, "a call to the store gave nothing");
        }
    }

    fn note_trouble(&mut self, text: String) {
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(trouble = text, "the right to write cannot be read");
            self.trouble = Some(text);
        }
    }

    /// Carries out an order; a renewal that met the sibling's is repeated at once.
    async fn carry_out(&mut self, mut order: Order) {
        for _ in 0..RENEWALS_MAX {
            let Some(expected) = self
                .text
                .clone()
                .filter(|text| text.mod_revision == order.revision)
            else {
                return; // The record moved on since the plan was made; the next plan knows.
            };
            match self.write(&expected, &order).await {
                Next::Done => return,
                Next::Again(revision, record) if order.purpose == Purpose::Renew => {
                    order = Order {
                        revision,
                        record,
                        ..order
                    };
                }
                Next::Again(..) => return,
            }
        }
    }

    async fn write(&mut self, expected: &Versioned, order: &Order) -> Next {
        let value = serde_json::to_string(&order.record).expect("a record is plain data");
        let life = match self.life_for(order.purpose) {
            Ok(life) => life,
            Err(why) => {
                tracing::debug!(purpose = ?order.purpose, why, "an order is left");
                return Next::Done;
            }
        };
        let holds = life
            .as_deref()
            .map(|life| (self.incarnation_key.as_str(), life));
        let promotions = (order.purpose == Purpose::Claim).then(|| self.promotions_with_this());
        let writes = promotions
            .as_deref()
            .map(|list| (self.promotions_key.as_str(), list));
        let beside = Beside {
            holds: holds.as_slice(),
            writes: writes.as_slice(),
        };
        let sent = clock::now();
        match self
            .store
            .replace_with(&self.key, expected, beside, &value)
            .await
        {
            Ok(Change::Committed { revision }) => {
                self.take(
                    Versioned {
                        value,
                        mod_revision: revision,
                    },
                    Some(sent),
                )
                .await;
                self.note_committed(order, revision);
                Next::Done
            }
            Ok(Change::Conflict {
                current: Some(current),
            }) => self.lost_to(current, order).await,
            Ok(Change::Conflict { current: None }) => {
                self.note_trouble("the authority record has vanished from the store".into());
                Next::Done
            }
            Err(error) => {
                self.note_store_error(&error);
                self.read().await;
                Next::Done
            }
        }
    }

    /// What a transaction must also compare. Refused right before sending if this agent has
    /// promised meanwhile, or is not the registered life of its name.
    fn life_for(&self, purpose: Purpose) -> Result<Option<Name>, &'static str> {
        if !purpose.compares_incarnation() {
            return Ok(None);
        }
        let state = self.shared.state();
        if !state.registered {
            return Err("this life of the agent is not registered");
        }
        if !state.authority.promise_left(clock::now()).is_zero() {
            return Err("this agent has promised not to take over");
        }
        Ok(Some(state.incarnation.clone()))
    }

    /// Somebody was faster. A renewal goes on from what is there if it is still the same right.
    async fn lost_to(&mut self, current: Versioned, order: &Order) -> Next {
        self.take(current, None).await;
        let state = self.shared.state();
        match state.authority.present() {
            Some((record, revision)) if same_right(record, &order.record) => {
                Next::Again(revision, record.renewed())
            }
            _ => Next::Done,
        }
    }

    fn note_committed(&mut self, order: &Order, revision: u64) {
        let Order {
            record, purpose, ..
        } = order;
        if *purpose == Purpose::Renew {
            Counters::count(&self.shared.counters.renewals);
            return;
        }
        let (epoch, site) = (record.epoch, record.site);
        tracing::info!(?purpose, %epoch, %site, exposure = ?record.exposure, revision, "the record was changed");
        self.journal.write(
            epoch,
            format!("committed {purpose:?}: {site} in epoch {epoch}, revision {revision}"),
        );
        if *purpose == Purpose::Claim {
            // Read again at once; while that fails, what was read before still counts.
            self.promotions_read = Some(Mono::default());
        }
    }

    /// The list for the flap guard with this promotion in it. It is written with the claim or not
    /// at all, so that a crash forgets none (I10).
    fn promotions_with_this(&self) -> String {
        let mut list = self.shared.state().promotions.clone();
        list.push(clock::wall_seconds());
        let surplus = list.len().saturating_sub(PROMOTIONS_MAX);
        list.drain(..surplus);
        serde_json::to_string(&list).expect("a list of numbers")
    }
}

fn note(
    authority: &mut Authority,
    (sent, arrived): (Option<Mono>, Mono),
    record: &Record,
    revision: u64,
) -> Result<(), Refusal> {
    match sent {
        Some(sent) => authority.handle_committed(sent, arrived, record, revision),
        None => authority.handle_reading(arrived, record, revision),
    }
}

/// What follows a write.
enum Next {
    Done,
    Again(u64, Record),
}

fn same_right(one: &Record, other: &Record) -> bool {
    one.identity == other.identity
        && (one.site, one.epoch, one.phase) == (other.site, other.epoch, other.phase)
}

/// Reads the version first, so that a newer shape is refused by name.
fn parse(text: &str) -> Result<Record, Unusable> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_str(text)?;
    if !(1..=RECORD_VERSION).contains(&version) {
        return Err(Refusal::Version(version).into());
    }
    Ok(serde_json::from_str(text)?)
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
