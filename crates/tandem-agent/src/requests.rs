//! The book of requests, changed by compare-and-set for people.
//!
//! Invariant: a request stands in the book once, however often its answer was lost; a document
//! that this build does not understand is never written over.

use std::sync::Arc;

use tandem_core::planner::{BOOK_VERSION, Book, Unwritten};
use tandem_store::{Change, Store, StoreError, Versioned};

use crate::store::Keys;

/// Two people and two agents at once are already rare.
const TRIES_MAX: u32 = 5;

/// Why the book was not read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookError {
    /// The store gave no definite answer.
    #[error("the requests could not be reached in the store")]
    Store(#[from] StoreError),
    /// Somebody else's document, or a newer build's.
    #[error("the requests in the store cannot be understood: {0}")]
    Damaged(String),
    /// The request itself is not good.
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
    /// Others changed it at the same time, again and again.
    #[error("the requests changed {TRIES_MAX} times meanwhile")]
    Contended,
}

/// The book in the store.
#[derive(Clone)]
pub(crate) struct Requests {
    store: Arc<dyn Store>,
    key: String,
}

impl Requests {
    pub(crate) fn new(store: Arc<dyn Store>, cluster: &str) -> Self {
        let key = Keys::of(cluster).requests();
        Self { store, key }
    }

    /// What stands there now.
    pub(crate) async fn read(&self) -> Result<Book, BookError> {
        let found = self.store.read(&self.key).await?;
        found.map_or(Ok(Book::default()), |found| parse(&found))
    }

    /// Changes the book; `work` may run more than once and must be safe to repeat.
    pub(crate) async fn change<T>(
        &self,
        work: impl Fn(&mut Book) -> Result<T, Unwritten>,
    ) -> Result<(T, Book), BookError> {
        for _ in 0..TRIES_MAX {
            let found = self.store.read(&self.key).await?;
            let mut book = found.as_ref().map_or(Ok(Book::default()), parse)?;
            let before = book.clone();
            let made = work(&mut book)?;
            if book == before {
                return Ok((made, book));
            }
            let text = serde_json::to_string(&book).expect("a book is plain data");
            let changed = match &found {
                Some(found) => self.store.replace(&self.key, found, &text).await,
                None => self.store.create(&self.key, &text).await,
            };
            match changed {
                Ok(Change::Committed { .. }) => return Ok((made, book)),
                // The next reading tells whether it was made.
                Ok(Change::Conflict { .. }) | Err(StoreError::Unknown) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(BookError::Contended)
    }
}

/// Reads the version first, so that a newer shape is refused by name.
fn parse(found: &Versioned) -> Result<Book, BookError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let damaged = |error: serde_json::Error| BookError::Damaged(error.to_string());
    let Version { version } = serde_json::from_str(&found.value).map_err(damaged)?;
    if version != BOOK_VERSION {
        let told = format!("version {version}, this build reads {BOOK_VERSION}");
        return Err(BookError::Damaged(told));
    }
    serde_json::from_str(&found.value).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tandem_core::model::Epoch;
    use tandem_core::planner::RequestKind;
    use tandem_store::{Faults, Memory};

    fn pause(book: &mut Book) -> Result<u64, Unwritten> {
        if let Some(there) = book
            .requests
            .iter()
            .find(|request| request.made_unix_ms == 5)
        {
            return Ok(there.id);
        }
        let who = ("kim".into(), "patching".into());
        book.add(
            RequestKind::Pause,
            who,
            Epoch(1),
            5,
            Duration::from_secs(60),
        )
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_make_a_second_request() {
        let store = Memory::new();
        let requests = Requests::new(Arc::new(store.clone()), "crm");
        assert_eq!(requests.read().await.expect("empty"), Book::default());
        for lost in [1, 2, 3] {
            store.set_faults(Faults {
                lost_replies: lost,
                ..Faults::default()
            });
            // Readings are lost too; a person asks again.
            for _ in 0..5 {
                if requests.change(pause).await.is_ok() {
                    break;
                }
            }
            assert_eq!(requests.read().await.expect("a book").requests.len(), 1);
        }
        let (removed, book) = requests
            .change(|book| Ok(book.remove(1)))
            .await
            .expect("made");
        assert!(removed && book.requests.is_empty());
    }

    #[tokio::test]
    async fn a_strange_document_is_refused_and_kept() {
        let store = Memory::new();
        let requests = Requests::new(Arc::new(store.clone()), "crm");
        for text in ["{}", "{\"version\":9,\"notes\":[]}", "nothing"] {
            store.put("/tandem/crm/requests", text).await.expect("put");
            let refused = requests.change(pause).await;
            assert!(matches!(refused, Err(BookError::Damaged(_))), "{text}");
            let kept = store.read("/tandem/crm/requests").await.expect("read");
            assert_eq!(kept.map(|kept| kept.value), Some(text.to_owned()));
        }
    }
}
