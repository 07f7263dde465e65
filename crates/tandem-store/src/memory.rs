//! An in-memory double of the store, with faults to order.
//!
//! One [`Memory`] is one agent's view; [`Memory::view`] gives another over the
//! same data with faults of its own, so that a test can cut off one agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tandem_core::model::SiteId;
use tokio::time::{sleep, timeout};

use crate::{Beside, Change, Entry, PREFIX_ENTRIES_MAX, Store, StoreError, Versioned};

/// What goes wrong in one view, until it is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nothing is sent.
    pub unreachable: bool,
    /// This many of the next calls are carried out, but their answers are lost.
    pub lost_replies: u32,
    /// Every call waits this long before it is carried out.
    pub delay: Duration,
}

/// A [`Store`] in this process.
#[derive(Clone)]
pub struct Memory {
    data: Arc<Mutex<Data>>,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Data {
    revision: u64,
    keys: BTreeMap<String, Versioned>,
    leader: Option<SiteId>,
    silent: Vec<SiteId>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store. Its first change has revision 2, as in a fresh etcd.
    pub fn new() -> Self {
        let data = Data {
            revision: 1,
            ..Data::default()
        };
        Self {
            data: Arc::new(Mutex::new(data)),
            faults: Arc::default(),
        }
    }

    /// Another view of the same data, without faults.
    #[must_use]
    pub fn view(&self) -> Self {
        Self {
            data: Arc::clone(&self.data),
            faults: Arc::default(),
        }
    }

    /// Orders what goes wrong in this view from now on.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults.lock().expect("no holder panics") = faults;
    }

    /// Makes `site` the leader, as an election would.
    pub fn elect(&self, site: SiteId) {
        self.data().leader = Some(site);
    }

    /// Whether `site`'s member answers; a silent one cannot become leader.
    pub fn set_silent(&self, site: SiteId, silent: bool) {
        let mut data = self.data();
        data.silent.retain(|other| *other != site);
        if silent {
            data.silent.push(site);
        }
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().expect("no holder panics")
    }

    /// Carries out `work` under this view's faults.
    async fn carry_out<T>(&self, work: impl FnOnce(&mut Data) -> T) -> Result<T, StoreError> {
        self.reach().await?;
        let answer = work(&mut self.data());
        if self.loses_reply() {
            Err(StoreError::Unknown)
        } else {
            Ok(answer)
        }
    }

    /// As far as the question comes; nothing is carried out yet.
    async fn reach(&self) -> Result<(), StoreError> {
        let (unreachable, delay) = {
            let faults = self.faults.lock().expect("no holder panics");
            (faults.unreachable, faults.delay)
        };
        if unreachable {
            return Err(StoreError::Unreachable);
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(())
    }

    fn loses_reply(&self) -> bool {
        let mut faults = self.faults.lock().expect("no holder panics");
        let lost = faults.lost_replies > 0;
        faults.lost_replies = faults.lost_replies.saturating_sub(1);
        lost
    }
}

impl Data {
    fn write(&mut self, key: &str, value: &str) -> u64 {
        self.revision += 1;
        let versioned = Versioned {
            value: value.to_owned(),
            mod_revision: self.revision,
        };
        self.keys.insert(key.to_owned(), versioned);
        self.revision
    }

    fn write_if(&mut self, key: &str, expected: Option<&Versioned>, value: &str) -> Change {
        let current = self.keys.get(key);
        if current == expected {
            return Change::Committed {
                revision: self.write(key, value),
            };
        }
        Change::Conflict {
            current: current.cloned(),
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn read(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.carry_out(|data| data.keys.get(key).cloned()).await
    }

    async fn read_prefix(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        self.carry_out(|data| {
            let from = data.keys.range(prefix.to_owned()..);
            from.take_while(|(key, _)| key.starts_with(prefix))
                .take(PREFIX_ENTRIES_MAX)
                .map(|(key, value)| Entry {
                    key: key.clone(),
                    versioned: value.clone(),
                })
                .collect()
        })
        .await
    }

    async fn create(&self, key: &str, value: &str) -> Result<Change, StoreError> {
        self.carry_out(|data| data.write_if(key, None, value)).await
    }

    async fn replace(
        &self,
        key: &str,
        expected: &Versioned,
        value: &str,
    ) -> Result<Change, StoreError> {
        self.carry_out(|data| data.write_if(key, Some(expected), value))
            .await
    }

    async fn replace_with(
        &self,
        key: &str,
        expected: &Versioned,
        beside: Beside<'_>,
        value: &str,
    ) -> Result<Change, StoreError> {
        self.carry_out(|data| {
            let holds = |(key, value): &(&str, &str)| {
                data.keys
                    .get(*key)
                    .is_some_and(|found| found.value == *value)
            };
            if !beside.holds.iter().all(holds) {
                return Change::Conflict {
                    current: data.keys.get(key).cloned(),
                };
            }
            let change = data.write_if(key, Some(expected), value);
            if matches!(change, Change::Committed { .. }) {
                for (key, value) in beside.writes {
                    data.write(key, value);
                }
            }
            change
        })
        .await
    }

    async fn put(&self, key: &str, value: &str) -> Result<u64, StoreError> {
        self.carry_out(|data| data.write(key, value)).await
    }

    /// Lost replies are ordered for calls that carry something out; a hint is none.
    async fn wait_for_change(
        &self,
        key: &str,
        after: u64,
        bound: Duration,
    ) -> Result<bool, StoreError> {
        const LOOK_AGAIN: Duration = Duration::from_millis(5);
        let changed = async {
            loop {
                self.reach().await?;
                let found = self.data().keys.get(key).map(|found| found.mod_revision);
                if found.is_some_and(|revision| revision > after) {
                    return Ok(true);
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(bound, changed).await.unwrap_or(Ok(false))
    }

    async fn leader(&self) -> Result<Option<SiteId>, StoreError> {
        self.carry_out(|data| data.leader).await
    }

    async fn move_leader_to(&self, site: SiteId) -> Result<(), StoreError> {
        self.carry_out(|data| {
            if data.silent.contains(&site) {
                return Err(StoreError::Refused(format!(
                    "the member at {site} does not answer"
                )));
            }
            data.leader = Some(site);
            Ok(())
        })
        .await?
    }
}
