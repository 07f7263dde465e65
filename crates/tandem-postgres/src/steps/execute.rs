//! Takes the steps of a plan, each bounded in time, as the administrators of both servers.
//!
//! Steps that need a lock of the application's tables take turns (see `patience`); every other
//! step succeeds or ends the command. Passwords are filled in here and never shown.
//!
//! Invariant: a step that failed has changed nothing, so the next run plans it again.

use std::time::{Duration, Instant};

use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio_postgres::error::SqlState;

use super::patience::{blocked, holders, is_contention, list, writers};
use super::{Action, Blocked, Patience, Step, Way, schema};
use crate::connect::Target;
use crate::error::Error;
use crate::names::Names;
use crate::session::Session;
use crate::setup::{Pair, script};

/// A step that changes the catalog of a busy server.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Until what was committed has been applied at the other site.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(300);
/// Until the reader of a slot has gone: a cut connection is noticed after `wal_sender_timeout`.
const READER_LIMIT: Duration = Duration::from_secs(10);
/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(100);

const POSITION: &str = "SELECT pg_current_wal_lsn()::text";
const APPLIED: &str = "
    SELECT confirmed_flush_lsn >= $2::text::pg_lsn, pg_wal_lsn_diff($2::text::pg_lsn, confirmed_flush_lsn)::bigint, active
      FROM pg_replication_slots WHERE slot_name = $1::text AND database = current_database()";
const READER: &str = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1::text AND database = current_database()";
const END_READER: &str = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1::text AND active_pid IS NOT NULL";
const DROP_SLOT: &str = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1::text";
/// The server's half of a subscription that is being made names itself after it.
const END_MAKER: &str = "
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE backend_type = 'walsender' AND application_name = $1::text";

/// Both administrators' connections.
pub(crate) struct Executor<'a> {
    config: &'a Config,
    pair: &'a Pair,
    patience: Patience,
    primary: Session,
    replica: Session,
    /// The copy runs without the relays, which are put in when it is done.
    direct: bool,
}

impl<'a> Executor<'a> {
    pub(crate) async fn new(
        config: &'a Config,
        pair: &'a Pair,
        patience: Patience,
    ) -> Result<Self, Error> {
        let primary = open(config, pair.primary.site, patience).await?;
        let replica = open(config, pair.replica.site, patience).await?;
        Ok(Self {
            config,
            pair,
            patience,
            primary,
            replica,
            direct: false,
        })
    }

    /// Takes every step in order; neighbours that need locks take turns. Returns those that never
    /// got their lock.
    pub(crate) async fn take_all(
        &mut self,
        steps: &[Step],
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<Blocked>, Error> {
        let mut left = Vec::new();
        for group in steps.chunk_by(|one, next| one.lock.is_some() && next.lock.is_some()) {
            left.extend(self.take_turns(group, say).await?);
        }
        Ok(left)
    }

    /// The subscription was made without the relays, as no agent answered.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    pub(crate) fn replica(&self) -> &Session {
        &self.replica
    }

    async fn take_turns(
        &mut self,
        group: &[Step],
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Vec<Blocked>, Error> {
        let mut waiting: Vec<&Step> = group.iter().collect();
        for round in 0..self.patience.rounds {
            if round > 0 {
                let pause = self.patience.pause(round - 1);
                let count = waiting.len();
                say(&format!(
                    "{count} step(s) wait for locks; again in {pause:?}"
                ));
                tokio::time::sleep(pause).await;
            }
            let mut next = Vec::new();
            for step in waiting {
                say(&step.to_string());
                match self.take(step).await {
                    Ok(()) => {}
                    Err(error) if is_contention(&error) && round + 1 < self.patience.rounds => {
                        next.push(step);
                    }
                    Err(error) if is_contention(&error) && step.lock.is_some() => next.push(step),
                    Err(error) => return Err(error),
                }
            }
            waiting = next;
            if waiting.is_empty() {
                return Ok(Vec::new());
            }
        }
        self.name_holders(&waiting).await
    }

    async fn name_holders(&self, waiting: &[&Step]) -> Result<Vec<Blocked>, Error> {
        let mut named = Vec::new();
        for step in waiting {
            if let Some(lock) = &step.lock {
                let held_by = holders(self.session(step.site), lock).await?;
                named.push(blocked(step, lock, self.patience.rounds, held_by));
            }
        }
        Ok(named)
    }

    async fn take(&mut self, step: &Step) -> Result<(), Error> {
        let session = self.session(step.site);
        match &step.action {
            Action::Sql => run(session, &step.what, &step.sql).await,
            Action::Role {
                name,
                exists,
                attributes,
                password_file,
            } => {
                let clause = password_file.as_deref().map(script::password_clause);
                let clause = clause.transpose()?.unwrap_or_default();
                let sql = script::role(name, *exists, attributes, &clause);
                run(session, &step.what, &sql).await
            }
            Action::CopySchema => {
                schema::copy(self.config, self.pair.primary.site, self.pair.replica.site).await
            }
            Action::Subscribe(limit) => self.subscribe(&step.what, *limit).await,
            Action::Connect(way) => self.connect(step.site, *way).await,
            Action::CatchUp => catch_up(session, &self.names(step.site).slot).await,
            Action::DropSlot(slot) => drop_slot(session, slot).await,
            Action::DropRole(role) => drop_role(session, &step.what, role, &step.sql).await,
        }
    }

    fn session(&self, site: SiteId) -> &Session {
        if site == self.pair.primary.site {
            &self.primary
        } else {
            &self.replica
        }
    }

    fn names(&self, site: SiteId) -> &Names {
        if site == self.pair.primary.site {
            &self.pair.primary
        } else {
            &self.pair.replica
        }
    }

    /// Through the relays if an agent runs already; else straight, for the copy only.
    async fn subscribe(&mut self, what: &str, limit: Duration) -> Result<(), Error> {
        match self.subscribe_by(what, Way::Relays, limit).await {
            Err(Error::Query { source, .. })
                if source.code() == Some(&SqlState::CONNECTION_FAILURE) =>
            {
                tracing::debug!("no relay answers yet; copying straight from the primary");
                self.subscribe_by(what, Way::Straight, limit).await?;
                self.direct = true;
                Ok(())
            }
            result => result,
        }
    }

    /// A slot begins when every transaction that has written has ended. If one does not, the
    /// half-made slot is taken back, else it would hold WAL for nobody.
    async fn subscribe_by(&self, what: &str, way: Way, limit: Duration) -> Result<(), Error> {
        let names = &self.pair.replica;
        let conninfo = script::conninfo_by(self.config, names, way, script::Secret::Read)?;
        let bound = format!("SET statement_timeout = {}", limit.as_millis());
        run(&self.replica, what, &bound).await?;
        let made = run(&self.replica, what, &script::subscribe(names, &conninfo)).await;
        let reset = run(&self.replica, what, "RESET statement_timeout").await;
        match made {
            Err(Error::Query { source, .. })
                if source.code() == Some(&SqlState::QUERY_CANCELED) =>
            {
                let open = writers(&self.primary).await?;
                let name: &str = &names.subscription;
                self.primary
                    .rows("unfinished slot", STEP_LIMIT, END_MAKER, &[&name])
                    .await?;
                Err(Error::Unfinished {
                    what: "the new slot, which waits for open transactions,",
                    limit,
                    state: format!("end these or run setup again later: {}", list(&open)),
                })
            }
            made => made.and(reset),
        }
    }

    pub(crate) async fn connect(&self, site: SiteId, way: Way) -> Result<(), Error> {
        let names = self.names(site);
        let conninfo = script::conninfo_by(self.config, names, way, script::Secret::Read)?;
        let sql = script::reconnect(names, &conninfo);
        run(self.session(site), "connection of the subscription", &sql).await
    }
}

async fn open(config: &Config, site: SiteId, patience: Patience) -> Result<Session, Error> {
    let options = format!(
        "-c search_path=pg_catalog -c lock_timeout={} -c statement_timeout={}",
        patience.lock_timeout.as_millis(),
        (STEP_LIMIT - Duration::from_secs(5)).as_millis()
    );
    let session = Target::admin(config, site)?
        .with_options(&options)
        .open()
        .await?;
    // The connection string of a subscription holds a password; a server log must not. Autovacuum
    // gives way when the deadlock detector looks, which must be before the time-out.
    let detector = patience.lock_timeout.as_millis() / 2;
    for set in [
        "log_statement = 'none'".to_owned(),
        "log_min_error_statement = 'panic'".to_owned(),
        "log_min_duration_statement = -1".to_owned(),
        format!("deadlock_timeout = {}", detector.max(1)),
    ] {
        let done = session.client().batch_execute(&format!("SET {set}")).await;
        if done.is_err() {
            tracing::debug!(%site, "the administrator may not SET {set}");
        }
    }
    Ok(session)
}

async fn run(session: &Session, what: &str, sql: &str) -> Result<(), Error> {
    match tokio::time::timeout(STEP_LIMIT, session.client().batch_execute(sql)).await {
        Ok(answer) => answer.map_err(|source| Error::query(what, source)),
        Err(_) => Err(Error::Unfinished {
            what: "a step",
            limit: STEP_LIMIT,
            state: what.to_owned(),
        }),
    }
}

async fn catch_up(session: &Session, slot: &str) -> Result<(), Error> {
    let begun = Instant::now();
    let row = session.row("position", STEP_LIMIT, POSITION, &[]).await?;
    let goal: String = row.get(0);
    loop {
        let rows = session
            .rows("applied position", STEP_LIMIT, APPLIED, &[&slot, &goal])
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| Error::Missing(format!("slot {slot}")))?;
        if row.get::<_, Option<bool>>(0) == Some(true) {
            return Ok(());
        }
        if begun.elapsed() > CATCH_UP_LIMIT {
            let (bytes, active): (Option<i64>, bool) = (row.get(1), row.get(2));
            return Err(Error::Unfinished {
                what: "catching up",
                limit: CATCH_UP_LIMIT,
                state: format!(
                    "slot {slot} is {} bytes behind, read by somebody: {active}",
                    bytes.unwrap_or(0)
                ),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A reader that stays past its time has lost its subscription and is ended.
async fn drop_slot(session: &Session, slot: &str) -> Result<(), Error> {
    let begun = Instant::now();
    let mut ended = false;
    loop {
        let rows = session
            .rows("reader of a slot", STEP_LIMIT, READER, &[&slot])
            .await?;
        let Some(row) = rows.first() else {
            return Ok(());
        };
        if row.get::<_, Option<i32>>(0).is_none() {
            let dropped = session.rows("slot", STEP_LIMIT, DROP_SLOT, &[&slot]).await;
            return dropped.map(drop);
        }
        if begun.elapsed() > READER_LIMIT && !ended {
            session
                .rows("end of a reader", STEP_LIMIT, END_READER, &[&slot])
                .await?;
            ended = true;
        }
        if begun.elapsed() > 2 * READER_LIMIT {
            return Err(Error::Unfinished {
                what: "the end of a slot's reader",
                limit: 2 * READER_LIMIT,
                state: format!("somebody else reads slot {slot}"),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What still needs the role is not ours to judge: the role stays.
async fn drop_role(session: &Session, what: &str, role: &str, sql: &str) -> Result<(), Error> {
    match run(session, what, sql).await {
        Err(Error::Query { source, .. })
            if source.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) =>
        {
            let detail = source.as_db_error().and_then(|error| error.detail());
            tracing::info!(role, detail, "the role stays: something else needs it");
            Ok(())
        }
        result => result,
    }
}
