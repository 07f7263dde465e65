//! One look at the record for those who must not disturb a change of the primary.

use tandem_core::config::Config;
use tandem_store::{Store, StoreError};
use tandem_tls::Credentials;

use crate::right::chain;
use crate::store::{Keys, connect};

/// The phase in the authority record, in its stored word; `None` before `tandem init`.
///
/// # Errors
/// If the person's certificates cannot be used, or the store does not answer.
pub async fn authority_phase(config: &Config) -> Result<Option<String>, StoreError> {
    let credentials =
        Credentials::of_person(config).map_err(|error| StoreError::Refused(chain(&error)))?;
    let store = connect(config, config.policy.first_primary, credentials.as_ref());
    let found = store.read(&Keys::of(&config.cluster).authority()).await?;
    let record = found.and_then(|found| serde_json::from_str(&found.value).ok());
    let phase = |record: serde_json::Value| Some(record.get("phase")?.as_str()?.to_owned());
    Ok(record.and_then(phase))
}
