//! What people do with ledgers: list, read, erase. A ledger stands at the site that survived.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tandem_core::config::Config;
use tandem_core::model::{Epoch, Lsn, SiteId};
use tokio_postgres::types::Json;

use super::classify::Class;
use super::collect::alone;
use crate::connect::Target;
use crate::database::{from_sql, to_sql};
use crate::error::Error;
use crate::session::{Commit, Lane};
use crate::tail::Change;

/// A person waits for the answer.
const LIMIT: Duration = Duration::from_secs(30);

const LIST: &str = "
    SELECT jsonb_build_object('epoch', g.epoch, 'from', g.from_site, 'boundary', g.boundary, 'transactions', g.transactions,
               'changes', g.changes, 'conflicts', (SELECT count(*) FROM tandem_local.ledger_change c
                                                    WHERE c.epoch = g.epoch AND c.class <> 'mergeable'),
               'problem', g.problem, 'collected_us', (extract(epoch FROM g.collected_at) * 1000000)::bigint,
               'erased', g.erased_at IS NOT NULL)
      FROM tandem_local.ledger g ORDER BY g.epoch";
const CHANGES: &str = "
    SELECT jsonb_build_object('n', c.n, 'xid', c.xid, 'commit_end', c.commit_end, 'class', c.class, 'change', c.change,
               'committed_us', (extract(epoch FROM c.committed_at) * 1000000)::bigint)
      FROM tandem_local.ledger_change c WHERE c.epoch = $1::bigint AND c.n >= $2::bigint ORDER BY c.n LIMIT 1000";
const ERASE: &str = "
    WITH gone AS (DELETE FROM tandem_local.ledger_change WHERE epoch = $1::bigint)
    UPDATE tandem_local.ledger SET erased_at = clock_timestamp(), erased_by = $2::text
     WHERE epoch = $1::bigint RETURNING changes";

/// One ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The epoch for which the survivor was prepared; names the ledger.
    pub epoch: Epoch,
    /// The site that failed.
    pub from: SiteId,
    /// The position up to which the survivor had everything.
    pub boundary: Lsn,
    /// Transactions above it.
    pub transactions: u64,
    /// Their changes of rows.
    pub changes: u64,
    /// How many of them a person must look at.
    pub conflicts: u64,
    /// Why the tail could not be read, if it could not.
    pub problem: Option<String>,
    /// When it was written, in microseconds since 1970.
    pub collected_us: i64,
    /// A person removed the rows.
    pub erased: bool,
}

/// One lost change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the order of commits.
    pub n: u64,
    /// The transaction's number at the failed primary.
    pub xid: u64,
    /// The end of its commit record.
    pub commit_end: Lsn,
    /// When it committed, by the failed primary's clock.
    pub committed_at: Timestamp,
    /// What may become of it.
    pub class: Class,
    /// The change.
    pub change: Change,
}

#[derive(Deserialize)]
struct Stored {
    n: u64,
    xid: u64,
    commit_end: Lsn,
    class: Class,
    change: Change,
    committed_us: i64,
}

/// All ledgers of `site`, oldest first.
///
/// # Errors
/// If the database does not answer or was not set up.
pub async fn list(config: &Config, site: SiteId) -> Result<Vec<Ledger>, Error> {
    let rows = lane(config, site)?.rows("ledger", LIST, &[]).await?;
    let read = |row: &tokio_postgres::Row| {
        let Json(ledger) = row
            .try_get(0)
            .map_err(|source| Error::query("ledger", source))?;
        Ok(ledger)
    };
    rows.iter().map(read).collect()
}

/// Hands every change of one ledger to `take`, in the order of commits.
///
/// # Errors
/// If the database does not answer.
pub async fn changes(
    config: &Config,
    site: SiteId,
    epoch: Epoch,
    take: &mut (dyn FnMut(Entry) + Send),
) -> Result<(), Error> {
    let lane = lane(config, site)?;
    let mut next = 0_i64;
    loop {
        let rows = lane
            .rows("ledger", CHANGES, &[&to_sql(epoch), &next])
            .await?;
        for row in &rows {
            let Json(stored) = row
                .try_get::<_, Json<Stored>>(0)
                .map_err(|source| Error::query("ledger", source))?;
            next = i64::try_from(stored.n)
                .unwrap_or(i64::MAX)
                .saturating_add(1);
            take(stored.entry());
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

impl Stored {
    fn entry(self) -> Entry {
        Entry {
            n: self.n,
            xid: self.xid,
            commit_end: self.commit_end,
            committed_at: Timestamp::from_microsecond(self.committed_us).unwrap_or_default(),
            class: self.class,
            change: self.change,
        }
    }
}

/// Removes the rows of one ledger for good and notes who did it; says how many there were,
/// none if there is no such ledger.
///
/// # Errors
/// [`Error::Busy`] while somebody adds to a ledger; otherwise if the database does not answer.
pub async fn erase(
    config: &Config,
    site: SiteId,
    epoch: Epoch,
    by: &str,
) -> Result<Option<u64>, Error> {
    let lane = lane(config, site)?;
    let session = alone(&lane).await?;
    let rows = session
        .rows("ledger", LIMIT, ERASE, &[&to_sql(epoch), &by])
        .await?;
    Ok(rows.first().map(|row| from_sql(row.get(0))))
}

fn lane(config: &Config, site: SiteId) -> Result<Lane, Error> {
    let target = Target::agent(config, site)?;
    Ok(Lane::new(&target, site, LIMIT, Commit::Flushed))
}
