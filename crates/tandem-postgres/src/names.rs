//! Which publication, slot and subscription belong to which site.
//!
//! The names of `tandem.toml` are those of the first direction (from
//! `first_primary` to the other site); the opposite direction carries the same
//! names with `_rev`. Both directions may exist at once, each at its own server.

use tandem_core::config::Config;
use tandem_core::model::SiteId;

use crate::error::Error;

/// The names that one site's database uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// This site.
    pub site: SiteId,
    /// The site that it replicates with.
    pub other: SiteId,
    /// The publication that this site offers.
    pub publication: String,
    /// The slot on this site that the other site reads.
    pub slot: String,
    /// The subscription on this site that feeds it.
    pub subscription: String,
    /// The publication of the other site.
    pub source_publication: String,
    /// The slot at the other site that feeds this one.
    pub source_slot: String,
}

impl Names {
    /// The names for `site`.
    ///
    /// # Errors
    /// If `site` is no data site of the configuration.
    pub fn of(config: &Config, site: SiteId) -> Result<Self, Error> {
        let other = config
            .other_site(site)
            .ok_or_else(|| Error::Configuration {
                key: format!("sites.{site}"),
                problem: "no such site; a database belongs to one of the two data sites".into(),
            })?;
        let database = &config.database;
        let ahead = (database.publication.clone(), database.slot.clone());
        let back = (
            format!("{}_rev", database.publication),
            reversed_slot(&database.slot),
        );
        let first = site == config.policy.first_primary;
        let (own, source) = if first { (ahead, back) } else { (back, ahead) };
        let subscription = match first {
            true => format!("{}_rev", database.subscription),
            false => database.subscription.clone(),
        };
        Ok(Self {
            site,
            other,
            publication: own.0,
            slot: own.1,
            subscription,
            source_publication: source.0,
            source_slot: source.1,
        })
    }
}

/// `crm_slot` becomes `crm_rev_slot`; a name without that ending gets `_rev`.
fn reversed_slot(slot: &str) -> String {
    match slot.strip_suffix("_slot") {
        Some(stem) => format!("{stem}_rev_slot"),
        None => format!("{slot}_rev"),
    }
}

#[cfg(test)]
mod tests {
    use super::reversed_slot;

    #[test]
    fn the_way_back_has_names_of_its_own() {
        assert_eq!(reversed_slot("crm_slot"), "crm_rev_slot");
        assert_eq!(reversed_slot("orders"), "orders_rev");
    }
}
