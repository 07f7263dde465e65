//! The in-database guard: arm it, close it, end the sessions it leaves behind.
//!
//! The guard's triggers read one lease row that ends by itself. Invariant: its end,
//! in the database's clock, never lies after the agent's deadline: it is *a reading
//! of the database's clock* + (deadline - the agent's clock *after* the reading
//! arrived), so transit time only shortens it.

use std::time::Duration;

use tandem_core::database::GuardSeen;
use tandem_core::model::{Epoch, Mono, SiteId};

use crate::clock::boot_time;
use crate::database::{Database, from_sql, to_sql};
use crate::error::Error;

/// The database's clock in microseconds since 1970.
const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// A newer epoch replaces the lease, the same epoch only extends it. A newer epoch
/// also needs the subscription stopped: a worker that still applies would collide
/// with what applications write.
const RENEW: &str = "
    UPDATE tandem_local.lease l
       SET epoch = $2::bigint, holder = $3::text, started = pg_postmaster_start_time(), closed = false,
           expires_at = CASE WHEN l.epoch = $2::bigint THEN greatest(l.expires_at, n.ends) ELSE n.ends END
      FROM (SELECT timestamptz 'epoch' + $4::bigint * interval '1 microsecond' AS ends) n
     WHERE l.site = $1::text AND (l.epoch < $2::bigint OR (l.epoch = $2::bigint AND NOT l.closed))
       AND (l.epoch = $2::bigint OR NOT EXISTS (
            SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
             WHERE s.subname = $5::text AND s.subenabled AND d.datname = current_database()))
    RETURNING l.epoch, greatest(0, floor(extract(epoch FROM l.expires_at - clock_timestamp()) * 1000))::bigint";

const CLOSE: &str = "
    UPDATE tandem_local.lease SET epoch = $2::bigint, holder = '', expires_at = 'epoch', closed = true
     WHERE site = $1::text AND epoch <= $2::bigint AND NOT (epoch = $2::bigint AND closed)";

/// Break-glass: open for a limited time in an epoch that no agent finds old. A worker that still
/// applies would collide with what applications write, so it must be stopped first.
const DISARM: &str = "
    UPDATE tandem_local.lease l
       SET epoch = greatest(l.epoch, $2::bigint), holder = $3::text, started = pg_postmaster_start_time(),
           closed = false, expires_at = clock_timestamp() + $4::bigint * interval '1 millisecond'
     WHERE l.site = $1::text AND NOT EXISTS (
            SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
             WHERE s.subname = $5::text AND s.subenabled AND d.datname = current_database())
    RETURNING l.epoch, greatest(0, floor(extract(epoch FROM l.expires_at - clock_timestamp()) * 1000))::bigint";

/// A holder that still has the right renews within a ttl; nobody else does.
const REARM: &str = "
    UPDATE tandem_local.lease SET expires_at = least(expires_at, clock_timestamp() + $2::bigint * interval '1 millisecond')
     WHERE site = $1::text";

const LEASE: &str = "SELECT epoch, closed FROM tandem_local.lease WHERE site = $1::text";

/// A session outside a transaction can only begin one whose snapshot shows the guard as it is now.
/// Where a state is not to be seen, the session is ended too.
const TERMINATE: &str = "
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE usename = $1::text::name AND datname = current_database() AND (state = 'idle' AND xact_start IS NULL) IS NOT TRUE";

/// The line that an administrator types on the day when nothing of Tandem runs: applications may
/// write at `site` for `life`, or until PostgreSQL restarts.
pub fn break_glass_sql(site: SiteId, life: Duration) -> String {
    format!(
        "UPDATE tandem_local.lease SET holder = 'break-glass', started = pg_postmaster_start_time(), closed = false, \
         expires_at = clock_timestamp() + interval '{} seconds' WHERE site = '{site}';",
        life.as_secs()
    )
}

impl Database {
    /// Break-glass: lets application writes pass for `life` whatever agents know. `by` is the
    /// named person. Agents of the same epoch never shorten it.
    ///
    /// # Errors
    /// [`Error::StillReceiving`] if the subscription that feeds this site is enabled.
    pub async fn disarm_guard(
        &self,
        epoch: Epoch,
        by: &str,
        life: Duration,
    ) -> Result<GuardSeen, Error> {
        let site = self.names.site;
        let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let holder = format!("break-glass: {by}");
        let rows = self
            .quick
            .rows(
                "guard disarming",
                DISARM,
                &[
                    &site.as_str(),
                    &to_sql(epoch),
                    &holder,
                    &life,
                    &self.names.subscription,
                ],
            )
            .await?;
        let row = rows.first().ok_or(Error::StillReceiving)?;
        Ok(GuardSeen {
            epoch: Epoch(from_sql(row.get(0))),
            remaining_ms: from_sql(row.get(1)),
        })
    }

    /// Ends break-glass: the lease ends within a ttl unless a holder of the right renews it.
    ///
    /// # Errors
    /// If the database cannot be reached in time.
    pub async fn rearm_guard(&self) -> Result<(), Error> {
        let site = self.names.site;
        let ttl = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&site.as_str(), &ttl];
        self.quick.rows("guard arming", REARM, &values).await?;
        Ok(())
    }

    /// Lets application writes pass until `deadline` (this machine's CLOCK_BOOTTIME) in
    /// `epoch`. Never shortens a lease of the same epoch.
    ///
    /// # Errors
    /// [`Error::StaleEpoch`] and [`Error::GuardClosed`] if the database has moved on,
    /// [`Error::StillReceiving`] if a new epoch would open a subscriber that receives.
    pub async fn renew_guard(
        &self,
        epoch: Epoch,
        holder: &str,
        deadline: Mono,
    ) -> Result<GuardSeen, Error> {
        let reading: i64 = self.quick.row("guard clock", CLOCK, &[]).await?.get(0);
        let left = boot_time().until(deadline);
        let ends = reading.saturating_add(i64::try_from(left.as_micros()).unwrap_or(0));
        let site = self.names.site;
        let rows = self
            .quick
            .rows(
                "guard renewal",
                RENEW,
                &[
                    &site.as_str(),
                    &to_sql(epoch),
                    &holder,
                    &ends,
                    &self.names.subscription,
                ],
            )
            .await?;
        match rows.first() {
            Some(row) => Ok(GuardSeen {
                epoch: Epoch(from_sql(row.get(0))),
                remaining_ms: from_sql(row.get(1)),
            }),
            None => Err(self.why_not_renewed(epoch).await?),
        }
    }

    /// Closes the guard for `epoch` and every older one, **for good**: only a newer
    /// epoch arms it again. A site that lost its right need not call this, since the
    /// lease ends by itself; and it is no fence, since running transactions may commit
    /// until the old end.
    ///
    /// # Errors
    /// [`Error::StaleEpoch`] if the guard was armed for a newer epoch.
    pub async fn close_guard(&self, epoch: Epoch) -> Result<(), Error> {
        let site = self.names.site;
        self.quick
            .rows("guard closing", CLOSE, &[&site.as_str(), &to_sql(epoch)])
            .await?;
        let (found, _) = self.lease().await?;
        if found > epoch {
            return Err(Error::StaleEpoch {
                asked: epoch,
                found,
            });
        }
        Ok(())
    }

    /// Ends every session of the application role that is in a transaction, and says how many there
    /// were: with the guard closed, none but these can still commit a write. Pools of readers
    /// stay connected.
    ///
    /// # Errors
    /// If the server refuses, for example since the role is a superuser.
    pub async fn end_application_transactions(&self) -> Result<u64, Error> {
        let row = self
            .quick
            .row("ending sessions", TERMINATE, &[&self.application_role])
            .await?;
        Ok(from_sql(row.get(0)))
    }

    async fn lease(&self) -> Result<(Epoch, bool), Error> {
        let site = self.names.site;
        let row = self.quick.row("guard", LEASE, &[&site.as_str()]).await?;
        Ok((Epoch(from_sql(row.get(0))), row.get(1)))
    }

    async fn why_not_renewed(&self, asked: Epoch) -> Result<Error, Error> {
        let (found, closed) = self.lease().await?;
        Ok(match found.cmp(&asked) {
            std::cmp::Ordering::Greater => Error::StaleEpoch { asked, found },
            std::cmp::Ordering::Equal if closed => Error::GuardClosed { epoch: asked },
            _ => Error::StillReceiving,
        })
    }
}
