//! Turning a replica into a database that may be opened: stop, record, prepare.
//!
//! The order is the safety: receiving has ended before the boundary is recorded, and
//! boundary, sequences, reverse publication and reverse slot are durable *before* the
//! guard may open. Each sub-step is journaled in `tandem_local.promotion` and safe to
//! repeat, so an agent may die anywhere and its twin goes on. Only the last commit waits
//! for the disk: WAL is flushed in order, so it takes all earlier ones along, and a crash
//! before it leaves a beginning that is simply repeated.
//!
//! Invariant: only one agent prepares at a time (an advisory lock of the session, which
//! PostgreSQL drops with the connection).
//! Refused: one transaction for everything. A slot cannot be made in a transaction that
//! has written, and waiting for the apply worker inside one would hold its locks.

use std::time::{Duration, Instant};

use tandem_core::database::Prepared;
use tandem_core::model::{Epoch, Lsn, SiteId};

use crate::database::{Database, from_sql, to_sql};
use crate::error::Error;
use crate::session::Session;

/// How long a busy worker may go on applying what it has received before it is told to
/// stop: what it applies now is not lost. With the relay cut nothing new arrives.
const DRAIN: Duration = Duration::from_millis(500);
/// How long a busy worker may take to leave by itself; it looks for the order between
/// transactions only. One that waits for data is ended at once, since it would sleep on
/// for a second, or inside half a transaction for `wal_receiver_timeout`.
const LEAVE: Duration = Duration::from_secs(1);
/// How long a terminated worker may take; beyond it the server itself is ill.
const GONE: Duration = Duration::from_secs(5);
/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(5);
/// How long to wait for the site's other agent.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
/// `tandem` in ASCII: the advisory lock of everything that turns a database round.
const LOCK: i64 = 0x7461_6e64_656d;

const SUBSCRIPTION: &str = "
    SELECT s.subenabled, (SELECT count(*) FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.pid IS NOT NULL),
           (SELECT count(*) FROM pg_stat_subscription w JOIN pg_stat_activity a ON a.pid = w.pid WHERE w.subid = s.oid
               AND NOT (a.wait_event IS NOT NULL AND lower(a.wait_event) SIMILAR TO 'logicalapplymain|libpqwalreceiver%')),
           (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = s.oid AND r.srsubstate = 'r'),
           (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = s.oid)
      FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
     WHERE s.subname = $1::text AND d.datname = current_database()";

/// A site that opened since its last recorded boundary has rows of its own.
const DIVERGED: &str = "
    SELECT EXISTS (SELECT FROM tandem_local.promotion p JOIN tandem_local.lease l ON l.site = $1::text
                    WHERE p.boundary IS NOT NULL AND l.epoch >= p.epoch)";
/// Receiving on makes the boundary of a preparation that never opened untrue.
const FORGET: &str = "
    UPDATE tandem_local.promotion p
       SET boundary = NULL, boundary_at = NULL, sequences_at = NULL, slot_at = NULL, prepared_at = NULL
      FROM tandem_local.lease l WHERE l.site = $1::text AND p.epoch > l.epoch";

const NEWEST: &str = "SELECT coalesce(max(epoch), 0) FROM tandem_local.promotion";
const BEGIN: &str = "
    INSERT INTO tandem_local.promotion (epoch, from_site) VALUES ($1::bigint, $2::text) ON CONFLICT DO NOTHING";
const JOURNAL: &str = "
    SELECT boundary::text, sequences_at IS NOT NULL, slot_at IS NOT NULL, prepared_at IS NOT NULL,
           (SELECT max(epoch) FROM tandem_local.promotion)
      FROM tandem_local.promotion WHERE epoch = $1::bigint";
const BOUNDARY: &str = "
    UPDATE tandem_local.promotion SET boundary = tandem_local.applied_to(), boundary_at = clock_timestamp()
     WHERE epoch = $1::bigint AND boundary IS NULL";
const SEQUENCES: &str = "
    WITH moved AS (SELECT tandem_local.advance_sequences(
        coalesce((SELECT h.seqs FROM tandem.heartbeat h WHERE h.site = $2::text), '{}')) AS n)
    UPDATE tandem_local.promotion SET sequences_at = clock_timestamp() FROM moved
     WHERE epoch = $1::bigint RETURNING moved.n";
pub(crate) const DROP_SLOT: &str = "
    SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
     WHERE slot_name = $1::text AND database = current_database()";
pub(crate) const MAKE_SLOT: &str =
    "SELECT (pg_create_logical_replication_slot($1::text::name, 'pgoutput')).lsn::text";
const SLOT_MADE: &str =
    "UPDATE tandem_local.promotion SET slot_at = clock_timestamp() WHERE epoch = $1::bigint";
/// Waits for the disk, unlike the statements before it.
const PREPARED: &str = "
    WITH flushed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'local', true))
    UPDATE tandem_local.promotion SET prepared_at = clock_timestamp() FROM flushed
     WHERE epoch = $1::bigint AND prepared_at IS NULL";

/// The journal's row of one epoch.
struct Journal {
    boundary: Option<Lsn>,
    sequences: bool,
    slot: bool,
    prepared: bool,
    newest: Epoch,
}

impl Database {
    /// Stops receiving from the other site and waits until nothing is applied any more;
    /// a worker that stays is terminated. Nothing happens if there is no subscription.
    ///
    /// # Errors
    /// [`Error::StillReceiving`] if even a terminated worker stays.
    pub async fn stop_receiving(&self) -> Result<(), Error> {
        let lane = self.steps.lock().await;
        let session = lane.session().await?;
        self.stop(&session, lane.limit()).await
    }

    /// Receives again, after a suspicion that proved wrong or a claim that failed; `epoch` is the
    /// newest that the caller knows.
    ///
    /// A preparation that was never opened is forgotten: its boundary is no longer true.
    ///
    /// # Errors
    /// [`Error::Diverged`] if this site was opened since it stopped, [`Error::StaleEpoch`] if it
    /// is prepared for a newer epoch: the other agent is about to open it.
    pub async fn resume_receiving(&self, epoch: Epoch) -> Result<(), Error> {
        let lane = self.steps.lock().await;
        let (session, limit) = (lane.session().await?, lane.limit());
        lock(&session, limit).await?;
        let result = self.resume(&session, limit, epoch).await;
        unlock(&session, limit).await;
        result
    }

    /// Prepares this database for writes in `epoch`, after `from_site` lost its right:
    /// stops receiving, records the boundary, advances the sequences, and makes the
    /// reverse publication and slot. Ends with a durable [`Prepared`]; opens nothing.
    ///
    /// A site that takes its own right back (`from_site` is this site) keeps everything
    /// as it is; its boundary is 0/0.
    ///
    /// # Errors
    /// [`Error::Busy`] while the other agent prepares, [`Error::StaleEpoch`] behind a newer
    /// preparation, [`Error::NotReady`] and [`Error::BoundaryUnknown`] on a replica that
    /// was never complete.
    pub async fn prepare_opening(
        &self,
        epoch: Epoch,
        from_site: SiteId,
    ) -> Result<Prepared, Error> {
        let lane = self.steps.lock().await;
        let (session, limit) = (lane.session().await?, lane.limit());
        lock(&session, limit).await?;
        let result = self.prepare(&session, limit, epoch, from_site).await;
        unlock(&session, limit).await;
        result
    }

    async fn resume(&self, session: &Session, limit: Duration, epoch: Epoch) -> Result<(), Error> {
        match self.subscription(session, limit).await? {
            Some(seen) if !seen.enabled => {}
            _ => return Ok(()),
        }
        let site = self.names.site;
        if session
            .row("resume", limit, DIVERGED, &[&site.as_str()])
            .await?
            .get(0)
        {
            return Err(Error::Diverged);
        }
        let newest = session.row("journal", limit, NEWEST, &[]).await?;
        let found = Epoch(from_sql(newest.get(0)));
        if found > epoch {
            return Err(Error::StaleEpoch {
                asked: epoch,
                found,
            });
        }
        session
            .rows("journal", limit, FORGET, &[&site.as_str()])
            .await?;
        let sql = "SELECT tandem_local.resume_receiving()";
        session.rows("resume", limit, sql, &[]).await.map(drop)
    }

    async fn prepare(
        &self,
        session: &Session,
        limit: Duration,
        epoch: Epoch,
        from_site: SiteId,
    ) -> Result<Prepared, Error> {
        let number = to_sql(epoch);
        session
            .rows("journal", limit, BEGIN, &[&number, &from_site.as_str()])
            .await?;
        let journal = read_journal(session, limit, epoch).await?;
        if journal.newest > epoch {
            return Err(Error::StaleEpoch {
                asked: epoch,
                found: journal.newest,
            });
        }
        if journal.prepared {
            let boundary = journal.boundary.unwrap_or_default();
            return Ok(Prepared { epoch, boundary });
        }
        let mut boundary = Lsn(0);
        if from_site != self.names.site {
            boundary = self
                .record_boundary(session, limit, epoch, journal.boundary)
                .await?;
            self.advance_sequences(session, limit, epoch, from_site, journal.sequences)
                .await?;
            self.make_way_back(session, limit, epoch, journal.slot)
                .await?;
        }
        session.rows("journal", limit, PREPARED, &[&number]).await?;
        tracing::info!(%epoch, %from_site, %boundary, "prepared for opening");
        Ok(Prepared { epoch, boundary })
    }

    /// Ends receiving and notes how far it came. The note is flushed after every applied
    /// commit before it, so the boundary never runs ahead of the disk.
    async fn record_boundary(
        &self,
        session: &Session,
        limit: Duration,
        epoch: Epoch,
        known: Option<Lsn>,
    ) -> Result<Lsn, Error> {
        self.stop(session, limit).await?;
        if let Some(boundary) = known {
            return Ok(boundary);
        }
        if let Some(seen) = self.subscription(session, limit).await?
            && seen.ready < seen.total
        {
            return Err(Error::NotReady {
                ready: seen.ready,
                total: seen.total,
            });
        }
        session
            .rows("boundary", limit, BOUNDARY, &[&to_sql(epoch)])
            .await?;
        read_journal(session, limit, epoch)
            .await?
            .boundary
            .ok_or(Error::BoundaryUnknown)
    }

    async fn advance_sequences(
        &self,
        session: &Session,
        limit: Duration,
        epoch: Epoch,
        from_site: SiteId,
        done: bool,
    ) -> Result<(), Error> {
        if !done {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&to_sql(epoch), &from_site.as_str()];
            session.rows("sequences", limit, SEQUENCES, &values).await?;
        }
        Ok(())
    }

    /// Publication and slot for the way back, while nobody writes here yet. A slot of an
    /// earlier preparation is made anew: it would send back what was received since.
    async fn make_way_back(
        &self,
        session: &Session,
        limit: Duration,
        epoch: Epoch,
        done: bool,
    ) -> Result<(), Error> {
        session
            .rows("publication", limit, "SELECT tandem_local.publish()", &[])
            .await?;
        if done {
            return Ok(());
        }
        session
            .rows("old slot", limit, DROP_SLOT, &[&self.names.slot])
            .await?;
        session
            .rows("slot", limit, MAKE_SLOT, &[&self.names.slot])
            .await?;
        session
            .rows("journal", limit, SLOT_MADE, &[&to_sql(epoch)])
            .await
            .map(drop)
    }

    pub(crate) async fn stop(&self, session: &Session, limit: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        let mut terminated = false;
        loop {
            let Some(seen) = self.subscription(session, limit).await? else {
                return Ok(());
            };
            match next(&seen, begun.elapsed(), terminated) {
                Next::Stopped => return Ok(()),
                Next::GiveUp => return Err(Error::StillReceiving),
                Next::Wait => tokio::time::sleep(POLL).await,
                Next::Disable => {
                    let sql = "SELECT tandem_local.stop_receiving()";
                    session.rows("stop receiving", limit, sql, &[]).await?;
                }
                Next::Terminate => {
                    let sql = "SELECT tandem_local.end_receiver()";
                    session.rows("end of receiver", limit, sql, &[]).await?;
                    terminated = true;
                }
            }
        }
    }

    async fn subscription(
        &self,
        session: &Session,
        limit: Duration,
    ) -> Result<Option<Receiving>, Error> {
        let name = &self.names.subscription;
        let rows = session
            .rows("subscription", limit, SUBSCRIPTION, &[name])
            .await?;
        Ok(rows.first().map(|row| Receiving {
            enabled: row.get(0),
            workers: row.get(1),
            busy: row.get(2),
            ready: row.get(3),
            total: row.get(4),
        }))
    }
}

/// The subscription that feeds this site, as a preparation needs it.
struct Receiving {
    enabled: bool,
    workers: i64,
    /// Workers that do something else than wait for the publisher.
    busy: i64,
    ready: i64,
    total: i64,
}

/// What stopping does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Wait,
    Disable,
    Terminate,
    Stopped,
    GiveUp,
}

fn next(seen: &Receiving, waited: Duration, terminated: bool) -> Next {
    match seen {
        _ if waited > GONE => Next::GiveUp,
        Receiving {
            enabled: true,
            busy,
            ..
        } if *busy > 0 && waited < DRAIN => Next::Wait,
        Receiving { enabled: true, .. } => Next::Disable,
        Receiving { workers: 0, .. } => Next::Stopped,
        Receiving { busy: 0, .. } if !terminated => Next::Terminate,
        _ if waited > LEAVE && !terminated => Next::Terminate,
        _ => Next::Wait,
    }
}

pub(crate) async fn lock(session: &Session, limit: Duration) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        let sql = "SELECT pg_try_advisory_lock($1::bigint)";
        if session.row("lock", limit, sql, &[&LOCK]).await?.get(0) {
            return Ok(());
        }
        if begun.elapsed() > LOCK_LIMIT {
            return Err(Error::Busy);
        }
        tokio::time::sleep(POLL).await;
    }
}

pub(crate) async fn unlock(session: &Session, limit: Duration) {
    let sql = "SELECT pg_advisory_unlock($1::bigint)";
    // A failed unlock means a dead connection, which unlocks too.
    let _ = session.rows("unlock", limit, sql, &[&LOCK]).await;
}

async fn read_journal(session: &Session, limit: Duration, epoch: Epoch) -> Result<Journal, Error> {
    let row = session
        .row("journal", limit, JOURNAL, &[&to_sql(epoch)])
        .await?;
    let boundary: Option<String> = row.get(0);
    let malformed = |text: &String| Error::Malformed {
        what: "journal",
        text: text.clone(),
    };
    Ok(Journal {
        boundary: boundary
            .map(|text| text.parse().map_err(|_| malformed(&text)))
            .transpose()?,
        sequences: row.get(1),
        slot: row.get(2),
        prepared: row.get(3),
        newest: Epoch(from_sql(row.get(4))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiving(enabled: bool, workers: i64, busy: i64) -> Receiving {
        Receiving {
            enabled,
            workers,
            busy,
            ready: 3,
            total: 3,
        }
    }

    #[test]
    fn a_worker_applies_what_it_has_and_an_idle_one_is_ended_at_once() {
        let ms = Duration::from_millis;
        assert_eq!(next(&receiving(true, 1, 1), ms(0), false), Next::Wait);
        assert_eq!(next(&receiving(true, 1, 1), DRAIN, false), Next::Disable);
        assert_eq!(next(&receiving(true, 1, 0), ms(0), false), Next::Disable);
        assert_eq!(next(&receiving(true, 0, 0), ms(0), false), Next::Disable);
        assert_eq!(next(&receiving(false, 1, 0), ms(0), false), Next::Terminate);
        assert_eq!(next(&receiving(false, 1, 1), ms(0), false), Next::Wait);
        assert_eq!(
            next(&receiving(false, 1, 1), LEAVE + ms(1), false),
            Next::Terminate
        );
        assert_eq!(next(&receiving(false, 1, 0), LEAVE, true), Next::Wait);
        assert_eq!(next(&receiving(false, 0, 0), ms(0), true), Next::Stopped);
        assert_eq!(
            next(&receiving(false, 1, 0), GONE + ms(1), true),
            Next::GiveUp
        );
    }
}
