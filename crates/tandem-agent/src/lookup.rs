//! One look at the record for those who must not disturb a change of the primary.

use tandem_core::config::Config;
use tandem_store::{Store, StoreError};

use crate::store::{Keys, connect};

/// The phase in the authority record, in its stored word; `None` before `tandem init`.
///
/// # Errors
/// If the store does not answer.
pub async fn authority_phase(config: &Config) -> Result<Option<String>, StoreError> {
    let store = connect(config, config.policy.first_primary);
    let found = store.read(&Keys::of(&config.cluster).authority()).await?;
    let record = found.and_then(|found| serde_json::from_str(&found.value).ok());
    let phase = |record: serde_json::Value| Some(record.get("phase")?.as_str()?.to_owned());
    Ok(record.and_then(phase))
}
