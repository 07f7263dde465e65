//! PostgreSQL through two pools: one that may write, one that only reads.
//!
//! Reads are cheap to repeat: short waits and a second try. Writes wait as long
//! as a client has patience for a connection that answered just now, are sent
//! once, and are never sent again: between "sent" and "answered" only the
//! server knows what happened.

use std::time::Duration;

use deadpool_postgres::{
    Client, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row, Statement};

use crate::settings::Settings;
use crate::trouble::Trouble;

/// Parameters of a statement.
pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One try of a read, connecting included. Two tries stay below the two seconds
/// after which most clients have given up.
const READ_TRY: Duration = Duration::from_millis(900);
const READ_TRIES: usize = 2;

/// How long a pooled connection may take to prove that it is alive.
const RECYCLE_WAIT: Duration = Duration::from_secs(1);

/// Pause between two tries to connect for a write.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// How many writes may wait or be under way; more are refused at once.
const WRITES_MAX: usize = 512;

/// The service's database, in this cloud or wherever its gates lead.
pub(crate) struct Database {
    read: Pool,
    write: Pool,
    writes: Semaphore,
    patience: Duration,
}

impl Database {
    /// Prepares both pools; connects to nothing yet.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let size = settings.pool_size;
        let read = pool(
            &settings.read_database,
            size,
            RecyclingMethod::Fast,
            READ_TRY,
        )?;
        let write = pool(
            &settings.write_database,
            size,
            RecyclingMethod::Verified,
            settings.patience,
        )?;
        Ok(Self {
            read,
            write,
            writes: Semaphore::new(WRITES_MAX),
            patience: settings.patience,
        })
    }

    /// The first column of every row, from the read pool.
    pub(crate) async fn read(
        &self,
        sql: &str,
        values: Parameters<'_>,
    ) -> Result<Vec<Value>, Trouble> {
        for _ in 0..READ_TRIES {
            match self.read_once(sql, values).await {
                Ok(rows) => return Ok(rows.iter().map(|row| row.get(0)).collect()),
                Err(Trouble::Lost | Trouble::Unreachable(_)) => forget_idle(&self.read),
                Err(other) => return Err(other),
            }
        }
        Err(Trouble::Unreachable("database"))
    }

    async fn read_once(&self, sql: &str, values: Parameters<'_>) -> Result<Vec<Row>, Trouble> {
        let deadline = Instant::now() + READ_TRY;
        let (client, statement) = ready(&self.read, sql, deadline).await?;
        let rows = timeout_at(deadline, client.query(&statement, values)).await;
        settled(client, rows)
    }

    /// The first column of the row that a writing statement returns, if it returns one.
    ///
    /// Everything up to the statement itself (waiting, connecting, preparing)
    /// is repeated until the patience ends, because nothing was sent yet.
    pub(crate) async fn write(
        &self,
        sql: &str,
        values: Parameters<'_>,
    ) -> Result<Option<Value>, Trouble> {
        let _place = self.writes.try_acquire().map_err(|_| Trouble::Busy)?;
        let deadline = Instant::now() + self.patience;
        let (client, statement) = loop {
            match ready(&self.write, sql, deadline).await {
                Ok(ready) => break ready,
                Err(Trouble::Unreachable(_)) if Instant::now() + CONNECT_PAUSE < deadline => {
                    forget_idle(&self.write);
                    sleep(CONNECT_PAUSE).await;
                }
                Err(trouble) => return Err(trouble),
            }
        };
        let row = timeout_at(deadline, client.query_opt(&statement, values)).await;
        Ok(settled(client, row)?.map(|row| row.get(0)))
    }
}

/// A connection of its own that proves every now and then that one statement
/// works. Its own, so that a full pool never looks like a dead database.
pub(crate) struct Probe {
    pool: Pool,
    sql: &'static str,
    wait: Duration,
}

impl Probe {
    /// A probe that runs `sql` at `config` and waits at most `wait`.
    pub(crate) fn new(
        config: &tokio_postgres::Config,
        sql: &'static str,
        wait: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            pool: pool(config, 1, RecyclingMethod::Fast, wait)?,
            sql,
            wait,
        })
    }

    /// Runs the statement once.
    pub(crate) async fn run(&self) -> Result<(), Trouble> {
        let deadline = Instant::now() + self.wait;
        let outcome = async {
            let (client, statement) = ready(&self.pool, self.sql, deadline).await?;
            let done = timeout_at(deadline, client.execute(&statement, &[])).await;
            settled(client, done)
        };
        let outcome = outcome.await.map(drop);
        if outcome.is_err() {
            forget_idle(&self.pool);
        }
        outcome
    }
}

fn pool(
    config: &tokio_postgres::Config,
    size: usize,
    recycling_method: RecyclingMethod,
    wait: Duration,
) -> anyhow::Result<Pool> {
    let manager = Manager::from_config(config.clone(), NoTls, ManagerConfig { recycling_method });
    let timeouts = Timeouts {
        wait: Some(wait),
        create: Some(wait),
        recycle: Some(RECYCLE_WAIT.min(wait)),
    };
    let builder = Pool::builder(manager).max_size(size).timeouts(timeouts);
    Ok(builder.runtime(Runtime::Tokio1).build()?)
}

/// A live connection with the statement prepared on it. Nothing was sent that
/// could change a row, so that any failure here may be tried again.
async fn ready(pool: &Pool, sql: &str, deadline: Instant) -> Result<(Client, Statement), Trouble> {
    let unreachable = Trouble::Unreachable("database");
    let Ok(Ok(client)) = timeout_at(deadline, pool.get()).await else {
        return Err(unreachable);
    };
    match timeout_at(deadline, client.prepare_cached(sql)).await {
        Ok(Ok(statement)) if !client.is_closed() => Ok((client, statement)),
        Ok(Err(error)) if error.as_db_error().is_some() => Err(prepare_refused(&error)),
        _ => {
            drop(Object::take(client));
            Err(unreachable)
        }
    }
}

/// A refused `Parse` changed nothing, whatever its code says. A server that is
/// going away is the same as one that is not there.
fn prepare_refused(error: &tokio_postgres::Error) -> Trouble {
    match Trouble::after_sending(error) {
        Trouble::Lost => Trouble::Unreachable("database"),
        refused => refused,
    }
}

/// Judges a sent statement, and throws away a connection that still owes an
/// answer: nobody else may read it.
fn settled<T>(
    client: Client,
    outcome: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
) -> Result<T, Trouble> {
    let trouble = match outcome {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => Trouble::after_sending(&error),
        Err(_) => Trouble::Lost,
    };
    if matches!(trouble, Trouble::Lost) {
        drop(Object::take(client));
    }
    Err(trouble)
}

/// One cut connection seldom comes alone: the next try shall not meet the
/// others one by one.
fn forget_idle(pool: &Pool) {
    pool.retain(|_, _| false);
}
