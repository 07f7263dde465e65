//! `tandem init`: the only creator of the record of the right to write.
//!
//! The record names a random identity of this life of the store, so that an agent notices a
//! store that was rebuilt under its feet. Nothing here ever overwrites a record.

use tandem_core::authority::{Identity, Record};
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tandem_store::{Change, Store, StoreError, Versioned};

use crate::store::Keys;

/// Why no record was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is one already.
    #[error(
        "the cluster `{cluster}` has an authority record already, written at revision {revision}"
    )]
    Exists {
        /// The cluster.
        cluster: String,
        /// When the record was last changed.
        revision: u64,
        /// What it says.
        value: String,
    },
    /// `first_primary` is no data site.
    #[error("`{0}` is no data site of this configuration")]
    NoSuchSite(SiteId),
    /// The store gave no definite answer.
    #[error("the store did not take the record")]
    Store(#[source] StoreError),
}

/// Creates the record, naming `first_primary` (which opens in epoch 1 by the ordinary rules).
///
/// # Errors
/// [`InitError::Exists`] if there is a record; an unknown outcome is settled by reading again.
pub async fn initialise(
    store: &dyn Store,
    config: &Config,
    first_primary: SiteId,
) -> Result<Record, InitError> {
    if !config.sites.contains_key(&first_primary) {
        return Err(InitError::NoSuchSite(first_primary));
    }
    let identity = Identity {
        cluster: config.cluster.as_str().into(),
        store: format!("{:032x}", rand::random::<u128>()).into(),
    };
    let record = Record::first(identity, first_primary);
    let value = serde_json::to_string(&record).expect("a record is plain data");
    let key = Keys::of(&config.cluster).authority();
    let found = match store.create(&key, &value).await {
        Ok(Change::Committed { .. }) => return Ok(record),
        Ok(Change::Conflict { current }) => current,
        Err(StoreError::Unknown) => store.read(&key).await.map_err(InitError::Store)?,
        Err(error) => return Err(InitError::Store(error)),
    };
    match found {
        // The identity is random: a record that equals ours is ours.
        Some(found) if found.value == value => Ok(record),
        Some(Versioned {
            value,
            mod_revision: revision,
        }) => Err(InitError::Exists {
            cluster: config.cluster.clone(),
            revision,
            value,
        }),
        None => Err(InitError::Store(StoreError::Unknown)),
    }
}
