//! The fifth phase, as this crate sees it: a seam, because what replicates
//! databases is no part of what describes infrastructure.

use super::stop::{Kind, Stop};
use super::wiring::{self, Outputs};
use crate::cloud::Answer;
use crate::phases::Root;

/// Where the databases are, out of the outputs of both clouds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// RDS's endpoint name (not its address, which moves).
    pub rds_host: String,
    /// RDS's port.
    pub rds_port: u16,
    /// Cloud SQL's private address.
    pub cloud_sql_host: String,
}

impl Ends {
    /// Reads the outputs.
    ///
    /// # Errors
    /// If a phase has not given them yet.
    pub fn of(outputs: &Outputs) -> Result<Self, Stop> {
        let rds = wiring::text(outputs, Root::Aws, "rds_endpoint");
        let cloud_sql = wiring::text(outputs, Root::Gcp, "cloud_sql_private_ip");
        let (Some(rds), Some(cloud_sql_host)) = (rds, cloud_sql) else {
            return Err(Stop::failed(
                "the databases' addresses are not known",
                "tandem infra apply --phase aws, then --phase gcp",
            ));
        };
        // The provider's own endpoint holds the port behind a colon.
        let given = wiring::text(outputs, Root::Aws, "rds_port");
        let given = given.as_deref().unwrap_or("5432");
        let (host, port) = rds.split_once(':').unwrap_or((&rds, given));
        Ok(Self {
            rds_host: host.to_owned(),
            rds_port: port.parse().unwrap_or(5432),
            cloud_sql_host,
        })
    }
}

/// Whoever sets replication up and knows how it does.
pub trait ReplicationPhase: Sync {
    /// Sets replication up; run again, it changes nothing. Returns its evidence.
    ///
    /// # Errors
    /// If something stands in the way, with the fix.
    fn set_up(&self, ends: &Ends) -> Result<Vec<String>, Stop>;

    /// Takes publication, slot and subscription away; run again, it changes nothing.
    ///
    /// # Errors
    /// If something stands in the way, with the fix.
    fn take_away(&self, ends: &Ends) -> Result<Vec<String>, Stop>;

    /// Whether rows flow.
    fn flows(&self, ends: &Ends) -> Answer;

    /// Whether the lag is watched on both sides.
    fn is_watched(&self, ends: &Ends) -> Answer;
}

/// In a build without the runtime, the phase says so and stops.
pub struct NotBuilt;

const NOT_BUILT: &str =
    "this `tandem` was built without the runtime part, which sets replication up";
const NOT_BUILT_FIX: &str =
    "use a full build for this phase, or leave it out: --phase NAME applies one phase alone";

impl ReplicationPhase for NotBuilt {
    fn set_up(&self, _: &Ends) -> Result<Vec<String>, Stop> {
        Err(Stop::new(Kind::Failed, NOT_BUILT, NOT_BUILT_FIX))
    }

    fn take_away(&self, _: &Ends) -> Result<Vec<String>, Stop> {
        Err(Stop::new(Kind::Failed, NOT_BUILT, NOT_BUILT_FIX))
    }

    fn flows(&self, _: &Ends) -> Answer {
        Answer::unknown(NOT_BUILT, NOT_BUILT_FIX)
    }

    fn is_watched(&self, _: &Ends) -> Answer {
        Answer::unknown(NOT_BUILT, NOT_BUILT_FIX)
    }
}
