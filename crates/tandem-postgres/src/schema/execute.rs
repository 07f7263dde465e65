//! Takes the steps of a plan, each bounded, each safe to repeat.
//!
//! A lock is asked for briefly and again: whoever waits for a strong lock makes everybody behind
//! it wait too, so a wait of [`Options::lock_timeout`] is the longest that traffic is held up.
//!
//! Invariant: before each step the direction of replication is looked at again; when the right to
//! write has moved, the run ends, and the next one goes on in the new direction.

use std::time::{Duration, Instant};

use tandem_core::config::Config;
use tokio_postgres::error::SqlState;

use super::look::{Connections, View, ask};
use super::plan::{Action, Deed, Side, Step};
use super::reading::Name;
use super::{Options, script, shape};
use crate::error::Error;
use crate::session::Session;

/// How often a wait looks.
const POLL: Duration = Duration::from_millis(100);

/// Whether the reader of a slot has applied, and has on disk, all up to a position.
const CONFIRMED: &str = "SELECT coalesce(max(confirmed_flush_lsn) >= $2::text::pg_lsn, false), coalesce(max(confirmed_flush_lsn)::text, 'nothing')
      FROM pg_replication_slots WHERE slot_name = $1::text";

/// One run at a time, whatever the file.
const TURN: &str = "SELECT pg_try_advisory_lock(hashtextextended('tandem schema', 0))";

/// An interrupted run's server process may still finish its statement.
const TURN_LIMIT: Duration = Duration::from_secs(30);

/// A short question.
const QUESTION_LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Executor<'a> {
    pub(super) config: &'a Config,
    pub(super) options: &'a Options,
    pub(super) migration: &'a str,
    pub(super) connections: &'a Connections,
    pub(super) view: &'a View,
}

impl Executor<'_> {
    /// Makes the journal where it is missing.
    pub(super) async fn prepare(&self) -> Result<(), Error> {
        for session in [&self.connections.primary, &self.connections.replica] {
            run(
                session,
                "journal of schema changes",
                &script::journal(),
                QUESTION_LIMIT,
            )
            .await?;
        }
        Ok(())
    }

    pub(super) async fn take(&self, step: &Step) -> Result<(), Error> {
        self.check_direction().await?;
        let session = self.session(step);
        match &step.action {
            Action::Statement(deed) => self.statement(session, step, deed).await,
            Action::Alone { deed, index } => self.alone(session, step, deed, index.as_ref()).await,
            Action::Rows(deed) => self.rows(step, deed).await,
            Action::Plain(sql) => {
                self.patiently(session, &step.to_string(), &self.plain(sql))
                    .await
            }
            Action::CatchUp => self.catch_up().await,
            Action::Ready => self.ready().await,
        }
    }

    fn session(&self, step: &Step) -> &Session {
        match step.site == self.view.sides.primary.names.site {
            true => &self.connections.primary,
            false => &self.connections.replica,
        }
    }

    /// REFRESH PUBLICATION refuses a transaction, so the limit is the session's here.
    fn plain(&self, sql: &str) -> Vec<String> {
        vec![
            format!(
                "SET lock_timeout = {}",
                self.options.lock_timeout.as_millis()
            ),
            sql.to_owned(),
        ]
    }

    async fn statement(&self, session: &Session, step: &Step, deed: &Deed) -> Result<(), Error> {
        let sql = self.transaction(deed);
        self.patiently(session, &step.to_string(), &[sql]).await
    }

    fn transaction(&self, deed: &Deed) -> String {
        script::transaction(
            self.config,
            self.migration,
            deed,
            self.options.lock_timeout,
            self.view.application_writes,
        )
    }

    /// Nobody waits behind such a statement, so it may wait as long as it takes.
    async fn alone(
        &self,
        session: &Session,
        step: &Step,
        deed: &Deed,
        index: Option<&Name>,
    ) -> Result<(), Error> {
        let (what, limit) = (step.to_string(), self.options.step_limit);
        run(session, &what, "SET lock_timeout = 0", limit).await?;
        for part in script::surroundings(self.config, deed.as_administrator, "") {
            run(session, &what, &part, limit).await?;
        }
        if let Some(index) = index.filter(|index| self.is_half_built(step, index)) {
            run(session, &what, &script::drop_index(index), limit).await?;
        }
        let result = run(session, &what, &deed.sql, limit).await;
        for part in ["SET ROLE NONE", "SET search_path = pg_catalog"] {
            run(session, &what, part, QUESTION_LIMIT).await?;
        }
        result?;
        let mark = script::mark(self.migration, &deed.mark, &deed.sql, "done");
        run(
            session,
            &what,
            &format!("BEGIN; {mark} COMMIT"),
            QUESTION_LIMIT,
        )
        .await
    }

    fn is_half_built(&self, step: &Step, index: &Name) -> bool {
        let sides = &self.view.sides;
        let side = if step.site == sides.primary.names.site {
            &sides.primary
        } else {
            &sides.replica
        };
        side.shape.index(index).is_some_and(|found| !found.valid)
    }

    /// The replica hears of it first: after a failover in between it knows to ask a person.
    async fn rows(&self, step: &Step, deed: &Deed) -> Result<(), Error> {
        let announce = |state| {
            let mark = script::mark(self.migration, &deed.mark, &deed.sql, state);
            format!("BEGIN; {mark} COMMIT")
        };
        let what = step.to_string();
        run(
            &self.connections.replica,
            &what,
            &announce("begun"),
            QUESTION_LIMIT,
        )
        .await?;
        self.patiently(&self.connections.primary, &what, &[self.transaction(deed)])
            .await?;
        run(
            &self.connections.replica,
            &what,
            &announce("done"),
            QUESTION_LIMIT,
        )
        .await
    }

    /// Tries again while a lock is not granted, with pauses in which traffic passes.
    async fn patiently(
        &self,
        session: &Session,
        what: &str,
        parts: &[String],
    ) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let Err(error) = self.parts(session, what, parts).await else {
                return Ok(());
            };
            if !is_locked(&error) || begun.elapsed() > self.options.lock_limit {
                return Err(error);
            }
            run(session, what, "ROLLBACK", QUESTION_LIMIT).await?;
            tracing::info!(%what, "somebody holds the table; trying again");
            tokio::time::sleep(self.options.lock_timeout).await;
        }
    }

    async fn parts(&self, session: &Session, what: &str, parts: &[String]) -> Result<(), Error> {
        for part in parts {
            run(session, what, part, self.options.step_limit).await?;
        }
        Ok(())
    }

    async fn check_direction(&self) -> Result<(), Error> {
        let sides = &self.view.sides;
        let ask = |side: &Side, session| ask_receives(self.config, side.clone(), session);
        let (primary, replica) = tokio::try_join!(
            ask(&sides.primary, &self.connections.primary),
            ask(&sides.replica, &self.connections.replica)
        )?;
        match (primary, replica) {
            (false, true) => Ok(()),
            _ => Err(Error::DirectionChanged {
                from: sides.primary.names.site,
                to: sides.replica.names.site,
            }),
        }
    }

    /// Everything that the primary has written is applied at the replica.
    async fn catch_up(&self) -> Result<(), Error> {
        let (primary, slot) = (
            &self.connections.primary,
            &self.view.sides.primary.names.slot,
        );
        let row = primary
            .row(
                "position",
                QUESTION_LIMIT,
                "SELECT pg_current_wal_flush_lsn()::text",
                &[],
            )
            .await?;
        let target: String = row.get(0);
        let begun = Instant::now();
        loop {
            let row = primary
                .row("position", QUESTION_LIMIT, CONFIRMED, &[slot, &target])
                .await?;
            if row.get(0) {
                return Ok(());
            }
            let confirmed: String = row.get(1);
            if begun.elapsed() > self.options.catch_up_limit {
                return Err(Error::Unfinished {
                    what: "the wait for the replica",
                    limit: self.options.catch_up_limit,
                    state: format!(
                        "it has confirmed {confirmed} of {target}; see `tandem replication status`"
                    ),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ready(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let site = ask(
                self.config,
                &self.view.sides.replica.names,
                &self.connections.replica,
            )
            .await?;
            let subscription = site.subscription.unwrap_or_default();
            if subscription.unready.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > self.options.step_limit {
                return Err(Error::Unfinished {
                    what: "the copy of the new tables",
                    limit: self.options.step_limit,
                    state: format!(
                        "waiting for {}; {} failures so far",
                        subscription.unready.join(", "),
                        subscription.errors
                    ),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What still differs when everything is done.
    pub(super) async fn remaining(&self) -> Result<Vec<shape::Difference>, Error> {
        let sides = &self.view.sides;
        let (primary, replica) = tokio::try_join!(
            shape::read(self.config, &self.connections.primary),
            shape::read(self.config, &self.connections.replica)
        )?;
        Ok(shape::compare(
            (sides.primary.names.site, &primary),
            (sides.replica.names.site, &replica),
        ))
    }
}

async fn ask_receives(config: &Config, side: Side, session: &Session) -> Result<bool, Error> {
    Ok(ask(config, &side.names, session).await?.receives())
}

/// Waits until no other run works on this server; the turn ends with the session.
pub(super) async fn take_turn(session: &Session) -> Result<(), Error> {
    let begun = Instant::now();
    while !session
        .row("turn", QUESTION_LIMIT, TURN, &[])
        .await?
        .get::<_, bool>(0)
    {
        if begun.elapsed() > TURN_LIMIT {
            return Err(Error::Unfinished {
                what: "the wait for another schema change",
                limit: TURN_LIMIT,
                state: "it still runs; see pg_stat_activity".into(),
            });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn is_locked(error: &Error) -> bool {
    let locked = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    matches!(error, Error::Query { source, .. } if source.code().is_some_and(|code| locked.contains(code)))
}

async fn run(session: &Session, what: &str, sql: &str, limit: Duration) -> Result<(), Error> {
    match tokio::time::timeout(limit, session.client().batch_execute(sql)).await {
        Ok(answer) => answer.map_err(|source| Error::query(what, source)),
        Err(_) => Err(Error::Unfinished {
            what: "a step of the schema change",
            limit,
            state: what.to_owned(),
        }),
    }
}
