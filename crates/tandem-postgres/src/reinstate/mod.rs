//! The way back of an old primary: it becomes a replica again without a full copy.
//!
//! Intuition: both sides were equal at the boundary. What the old primary wrote above it is
//! in the ledger; undo exactly those keys to what the survivor holds, then let the survivor's
//! own slot, made before it took its first write, send everything since.
//!
//! Order, each step journaled in `tandem_local.reinstatement` and safe to repeat: ledger
//! durable at the survivor, rows repaired (one transaction, with its note), subscription made
//! (one transaction, with its note; nothing is copied), old slot dropped, lent powers returned.
//! The point of no return is the repair: before it, this site can still be looked at as it failed.
//!
//! Invariant: a database that has seen a newer epoch than the record is left alone, since then
//! the record is an old copy. Refused: `pg_rewind` and re-cloning, which need the server's files
//! or hours; deciding by itself what becomes of lost writes.

mod repair;

use std::cmp::Ordering;
use std::time::Duration;

use tandem_core::config::Config;
use tandem_core::database::Extent;
use tandem_core::model::{Epoch, Lsn, SiteId};
use tokio_postgres::types::ToSql;

use crate::connect::{Target, place, read_secret};
use crate::database::{Database, from_sql, to_sql};
use crate::error::Error;
use crate::ledger::{self, count, reader};
use crate::promotion::{DROP_SLOT, MAKE_SLOT, lock, unlock};
use crate::session::{Commit, Lane, Session};
use crate::tail::{self, LostTransaction, Tail};
use repair::{refuse_unrepairable, touched};

/// One statement of a repair over some thousand rows.
const LIMIT: Duration = Duration::from_secs(60);

const OWN: &str = "
    SELECT l.epoch, NOT l.closed AND l.started = pg_postmaster_start_time() AND l.expires_at > clock_timestamp(),
           (SELECT coalesce(max(p.epoch), 0) FROM tandem_local.promotion p)
      FROM tandem_local.lease l WHERE l.site = $1::text FOR UPDATE OF l";
const SURVIVOR: &str = "
    SELECT p.epoch, p.boundary::text, g.epoch IS NOT NULL, g.transactions, g.problem,
           (SELECT k.wal_status FROM pg_replication_slots k WHERE k.slot_name = $2::text AND k.database = current_database())
      FROM tandem_local.promotion p LEFT JOIN tandem_local.ledger g ON g.epoch = p.epoch
     WHERE p.from_site = $1::text AND p.boundary IS NOT NULL AND p.prepared_at IS NOT NULL ORDER BY p.epoch DESC LIMIT 1";
const BEGIN: &str =
    "INSERT INTO tandem_local.reinstatement (epoch) VALUES ($1::bigint) ON CONFLICT DO NOTHING";
/// A repair counts only if no lease was open since: what was written then is in no ledger.
const JOURNAL: &str = "
    SELECT coalesce(r.repaired_at > l.expires_at, false), r.followed_at IS NOT NULL, r.done_at IS NOT NULL
      FROM tandem_local.reinstatement r, tandem_local.lease l WHERE r.epoch = $1::bigint AND l.site = $2::text";
const REPAIRED: &str = "
    UPDATE tandem_local.reinstatement SET repaired_at = clock_timestamp(), lost = $2::bigint WHERE epoch = $1::bigint";
/// The next statement carries a password.
const HUSH: &str = "SELECT tandem_local.hush()";
const FOLLOW: &str = "SELECT tandem_local.follow($1::text, $2::boolean)";
const FOLLOWED: &str = "
    WITH forgotten AS (DELETE FROM tandem_local.promotion)
    UPDATE tandem_local.reinstatement SET followed_at = clock_timestamp() WHERE epoch = $1::bigint";
const DONE: &str = "
    WITH returned AS MATERIALIZED (SELECT tandem_local.return_powers())
    UPDATE tandem_local.reinstatement SET done_at = clock_timestamp() FROM returned
     WHERE epoch <= $1::bigint AND done_at IS NULL";
const LOST: &str =
    "UPDATE tandem_local.reinstatement SET lost = $2::bigint WHERE epoch = $1::bigint";

/// The survivor, as far as the way back needs it.
struct Survivor {
    /// The epoch it was prepared for in place of this site.
    epoch: Epoch,
    boundary: Lsn,
    ledger: Option<Kept>,
    /// The state of the slot that waits for this site; absent if there is none.
    slot: Option<String>,
}

impl Survivor {
    /// The ledger says why the tail could not be read.
    fn noted(&self) -> bool {
        let kept = self.ledger.as_ref();
        kept.is_some_and(|kept| kept.problem.is_some())
    }
}

struct Kept {
    transactions: u64,
    problem: Option<String>,
}

/// How far an earlier run came.
struct Journal {
    repaired: bool,
    followed: bool,
    done: bool,
}

/// Lends the agent's role at `site` the powers of one repair, as the administrator.
///
/// # Errors
/// If the administrator cannot log in or may not grant.
pub async fn lend(config: &Config, site: SiteId) -> Result<(), Error> {
    let role = tail::ident(&config.database.agent_role);
    let sql = format!(
        "GRANT EXECUTE ON FUNCTION tandem_local.repair(text, text, text[], jsonb, text[], jsonb), \
         tandem_local.empty_tables() TO {role}"
    );
    let session = Target::admin(config, site)?.open().await?;
    let lent = session.client().batch_execute(&sql).await;
    lent.map_err(|source| Error::query("lending the powers of a repair", source))
}

impl Database {
    /// Makes this site a replica of the other one again; `epoch` is the newest that the caller
    /// knows, held open by the other site. Safe to repeat after a crash anywhere.
    ///
    /// # Errors
    /// [`Error::LostWrites`] if rows would have to be changed and nobody asked for it,
    /// [`Error::LedgerMissing`] until the survivor keeps the ledger, [`Error::CopyNeeded`] if the
    /// slot or the log behind it is gone, [`Error::StillOpen`] and [`Error::StaleEpoch`] if this
    /// site is no old primary of that epoch, [`Error::Busy`] while the other agent works.
    pub async fn reinstate(
        &self,
        config: &Config,
        epoch: Epoch,
        extent: Extent,
    ) -> Result<(), Error> {
        let options = "-c lock_timeout=10000 -c statement_timeout=60000 -c synchronous_commit=local -c search_path=pg_catalog \
                       -c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=postgres -c bytea_output=hex";
        let session = Target::agent(config, self.names.site)?
            .with_options(options)
            .open()
            .await?;
        lock(&session, LIMIT).await?;
        let way = WayBack {
            config,
            database: self,
            session: &session,
        };
        let result = way.walk(epoch, extent).await;
        unlock(&session, LIMIT).await;
        result
    }
}

struct WayBack<'a> {
    config: &'a Config,
    database: &'a Database,
    session: &'a Session,
}

impl WayBack<'_> {
    async fn walk(&self, epoch: Epoch, extent: Extent) -> Result<(), Error> {
        let names = &self.database.names;
        self.refuse_open(epoch).await?;
        let other = self.other()?;
        let survivor = survivor(&other, names.site, &names.source_slot).await?;
        let key = to_sql(survivor.epoch);
        self.session.rows("journal", LIMIT, BEGIN, &[&key]).await?;
        let journal = self.journal(survivor.epoch).await?;
        if journal.done {
            return Ok(());
        }
        if !journal.followed {
            self.database.stop(self.session, LIMIT).await?;
            tracing::info!(%epoch, "way back: receives from nobody");
            if !journal.repaired {
                self.set_aside(&survivor, (epoch, extent)).await?;
            }
            self.follow(&other, &survivor, (epoch, extent)).await?;
        }
        self.session
            .rows("old slot", LIMIT, DROP_SLOT, &[&names.slot])
            .await?;
        self.session.rows("journal", LIMIT, DONE, &[&key]).await?;
        tracing::info!(%epoch, from = %names.other, "follows the other site again");
        Ok(())
    }

    fn other(&self) -> Result<Lane, Error> {
        let site = self.database.names.other;
        let target = Target::agent(self.config, site)?;
        Ok(Lane::new(&target, site, LIMIT, Commit::Flushed))
    }

    async fn refuse_open(&self, epoch: Epoch) -> Result<(), Error> {
        let site = self.database.names.site;
        let row = self
            .session
            .row("guard", LIMIT, OWN, &[&site.as_str()])
            .await?;
        let (lease, prepared) = (Epoch(from_sql(row.get(0))), Epoch(from_sql(row.get(2))));
        let found = lease.max(prepared);
        if found > epoch {
            return Err(Error::StaleEpoch {
                asked: epoch,
                found,
            });
        }
        match row.get(1) {
            true => Err(Error::StillOpen { site }),
            false => Ok(()),
        }
    }

    async fn journal(&self, epoch: Epoch) -> Result<Journal, Error> {
        let site = self.database.names.site;
        let row = self
            .session
            .row("journal", LIMIT, JOURNAL, &[&to_sql(epoch), &site.as_str()])
            .await?;
        Ok(Journal {
            repaired: row.get(0),
            followed: row.get(1),
            done: row.get(2),
        })
    }

    /// Brings every key of the lost tail to what the survivor holds, once the ledger has it.
    async fn set_aside(
        &self,
        survivor: &Survivor,
        (epoch, extent): (Epoch, Extent),
    ) -> Result<(), Error> {
        let names = &self.database.names;
        let Some(kept) = &survivor.ledger else {
            let epoch = survivor.epoch;
            return Err(Error::LedgerMissing { epoch, lost: 0 });
        };
        let tail = tail::read(self.config, names.site, survivor.boundary).await;
        let tail = match (tail, extent) {
            // What cannot be read any more was noted in the ledger as such.
            (Err(Error::Missing(_) | Error::Malformed { .. }), Extent::Copy)
                if survivor.noted() =>
            {
                return Ok(());
            }
            (Err(Error::Missing(what)), _) => {
                let why = format!("{what} does not exist");
                return Err(Error::CopyNeeded { why });
            }
            (tail, _) => tail?,
        };
        let lost = tail.lost.len() as u64;
        match kept.transactions.cmp(&lost) {
            Ordering::Less => self.add_to_ledger(survivor, &tail).await?,
            Ordering::Greater if extent != Extent::Copy => {
                return Err(copy_needed(
                    "this server holds less than its ledger: it was restored, or lost some of its log",
                ));
            }
            _ => {}
        }
        if lost == 0 || extent == Extent::Copy {
            return Ok(());
        }
        if extent == Extent::Attach {
            let values: [&(dyn ToSql + Sync); 2] =
                [&to_sql(survivor.epoch), &count(tail.lost.len())];
            self.session.rows("journal", LIMIT, LOST, &values).await?;
            return Err(Error::LostWrites { lost });
        }
        self.repair(survivor.epoch, epoch, &tail.lost).await
    }

    /// Somebody wrote into this server after its ledger was written, or it could not be read then;
    /// nothing is repaired before all of it stands there.
    async fn add_to_ledger(&self, survivor: &Survivor, tail: &Tail) -> Result<(), Error> {
        let names = &self.database.names;
        let epoch = survivor.epoch;
        ledger::extend(self.config, names.other, epoch, tail).await?;
        let other = self.other()?;
        let now = self::survivor(&other, names.site, &names.source_slot).await?;
        let lost = tail.lost.len() as u64;
        match now.ledger {
            Some(kept) if now.epoch == epoch && kept.transactions == lost => Ok(()),
            _ => Err(Error::LedgerMissing { epoch, lost }),
        }
    }

    async fn repair(
        &self,
        promoted: Epoch,
        epoch: Epoch,
        lost: &[LostTransaction],
    ) -> Result<(), Error> {
        let failed = |source| Error::query("repair", source);
        refuse_unrepairable(lost)?;
        let reader = reader(self.config, self.database.names.other).await?;
        let work = touched(lost);
        let client = self.session.client();
        client.batch_execute("BEGIN").await.map_err(failed)?;
        // Nobody opens this site before the repair stands.
        self.refuse_open(epoch).await?;
        for (table, keys) in &work {
            self.repair_table(&reader, table, keys).await?;
        }
        let lost = count(lost.len());
        self.session
            .rows("journal", LIMIT, REPAIRED, &[&to_sql(promoted), &lost])
            .await?;
        client.batch_execute("COMMIT").await.map_err(failed)?;
        tracing::info!(%epoch, transactions = lost, "way back: repaired what it had alone");
        Ok(())
    }

    /// The subscription, from the slot that has waited since before the survivor's first write.
    async fn follow(
        &self,
        other: &Lane,
        survivor: &Survivor,
        (epoch, extent): (Epoch, Extent),
    ) -> Result<(), Error> {
        let failed = |source| Error::query("following", source);
        let copy = extent == Extent::Copy;
        match survivor.slot.as_deref() {
            Some("lost") | None if copy => self.new_slot(other).await?,
            Some("lost") => {
                return Err(copy_needed(
                    "the slot that waited for this site lost its log",
                ));
            }
            None => return Err(copy_needed("no slot waits for this site")),
            Some(_) => {}
        }
        let source = place(self.config, self.database.names.other)?;
        let password = read_secret(&source.replication_password_file)?;
        let client = self.session.client();
        client.batch_execute("BEGIN").await.map_err(failed)?;
        // Nobody opens this site before it follows.
        self.refuse_open(epoch).await?;
        if copy {
            // The heartbeats are copied like everything else.
            let sql =
                "WITH beats AS (DELETE FROM tandem.heartbeat) SELECT tandem_local.empty_tables()";
            self.session.rows("emptying", LIMIT, sql, &[]).await?;
        }
        self.session.rows("following", LIMIT, HUSH, &[]).await?;
        self.session
            .rows("following", LIMIT, FOLLOW, &[&password, &copy])
            .await?;
        self.session
            .rows("journal", LIMIT, FOLLOWED, &[&to_sql(survivor.epoch)])
            .await?;
        client.batch_execute("COMMIT").await.map_err(failed)?;
        tracing::info!(%epoch, "way back: the subscription follows");
        Ok(())
    }

    /// The subscriber makes its own slot, as `CREATE SUBSCRIPTION` would.
    async fn new_slot(&self, other: &Lane) -> Result<(), Error> {
        let slot = &self.database.names.source_slot;
        other.rows("old slot", DROP_SLOT, &[slot]).await?;
        other.rows("slot", MAKE_SLOT, &[slot]).await.map(drop)
    }
}

fn copy_needed(why: &str) -> Error {
    Error::CopyNeeded {
        why: why.to_owned(),
    }
}

async fn survivor(other: &Lane, site: SiteId, slot: &str) -> Result<Survivor, Error> {
    let rows = other
        .rows("survivor", SURVIVOR, &[&site.as_str(), &slot])
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::Missing(format!("a promotion in place of {site}")))?;
    let position = |text: String| {
        text.parse::<Lsn>().map_err(|_| Error::Malformed {
            what: "survivor",
            text,
        })
    };
    let kept = row.get::<_, bool>(2).then(|| Kept {
        transactions: from_sql(row.get(3)),
        problem: row.get(4),
    });
    if let Some(problem) = kept.as_ref().and_then(|kept| kept.problem.as_deref()) {
        tracing::warn!(problem, "the ledger could not be read when it was due");
    }
    Ok(Survivor {
        epoch: Epoch(from_sql(row.get(0))),
        boundary: position(row.get(1))?,
        ledger: kept,
        slot: row.get(5),
    })
}
