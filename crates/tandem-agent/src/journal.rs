//! The journal: what this agent decided, kept in the store for the people who ask later.
//!
//! A ring per agent under `/tandem/<cluster>/journal/<agent>/`, so that it can never fill the
//! store. Written behind the decisions, never before them: when the store is slow, entries
//! wait in a short queue and are then dropped with a warning; the log has them all.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tandem_core::model::Epoch;
use tandem_store::Store;
use tokio::sync::mpsc;

use crate::clock;
use crate::store::Keys;

/// Slots of one agent's ring: some days of an ordinary life, an hour of a bad one.
const SLOTS: u64 = 128;

/// Entries that wait for a slow store.
const QUEUE_MAX: usize = 64;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Rises by one with each entry of this agent.
    pub number: u64,
    /// Wall-clock seconds since 1970.
    pub at: u64,
    /// The agent.
    pub agent: String,
    /// The epoch it knew.
    pub epoch: Epoch,
    /// What was decided or done, in English.
    pub text: String,
}

/// Where decisions are handed in.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    entries: mpsc::Sender<(Epoch, u64, String)>,
}

impl Journal {
    /// A journal and the task that writes it.
    pub(crate) fn new(store: Arc<dyn Store>, cluster: &str, agent: &str) -> (Self, Writer) {
        let (entries, waiting) = mpsc::channel(QUEUE_MAX);
        let prefix = Keys::of(cluster).journal(agent);
        (
            Self { entries },
            Writer {
                store,
                prefix,
                agent: agent.to_owned(),
                waiting,
            },
        )
    }

    /// Hands in one decision; never waits.
    pub(crate) fn write(&self, epoch: Epoch, text: String) {
        if let Err(error) = self.entries.try_send((epoch, clock::wall_seconds(), text)) {
            tracing::debug!(%error, "the journal is behind, an entry is in the log only");
        }
    }
}

/// The task behind a [`Journal`].
pub(crate) struct Writer {
    store: Arc<dyn Store>,
    prefix: String,
    agent: String,
    waiting: mpsc::Receiver<(Epoch, u64, String)>,
}

impl Writer {
    /// Writes entries until the journal is gone.
    pub(crate) async fn run(mut self) {
        let mut number = None;
        while let Some((epoch, at, text)) = self.waiting.recv().await {
            let next = match number {
                Some(last) => last + 1,
                None => self.first_number().await,
            };
            let entry = Entry {
                number: next,
                at,
                agent: self.agent.clone(),
                epoch,
                text,
            };
            let value = serde_json::to_string(&entry).expect("an entry is plain data");
            let key = format!("{}{:03}", self.prefix, next % SLOTS);
            match self.store.put(&key, &value).await {
                Ok(_) => number = Some(next),
                Err(error) => tracing::debug!(%error, "a journal entry is in the log only"),
            }
        }
    }

    /// One more than the highest number in the ring.
    async fn first_number(&self) -> u64 {
        let entries = self
            .store
            .read_prefix(&self.prefix)
            .await
            .unwrap_or_default();
        let parsed = entries
            .iter()
            .filter_map(|entry| serde_json::from_str::<Entry>(&entry.versioned.value).ok());
        parsed.map(|entry| entry.number + 1).max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_store::Memory;

    #[tokio::test]
    async fn a_ring_goes_on_where_it_ended() {
        let store = Memory::new();
        for life in 0..2 {
            let (journal, writer) = Journal::new(Arc::new(store.clone()), "crm", "aws-1");
            let writing = tokio::spawn(writer.run());
            for n in 0..40 {
                journal.write(Epoch(1), format!("life {life}, decision {n}"));
            }
            drop(journal);
            writing.await.unwrap();
        }
        let ring = store
            .read_prefix("/tandem/crm/journal/aws-1/")
            .await
            .unwrap();
        let last: Entry = serde_json::from_str(&ring[79].versioned.value).unwrap();
        assert_eq!(
            (ring.len(), last.number, last.text.as_str()),
            (80, 80, "life 1, decision 39")
        );
    }
}
