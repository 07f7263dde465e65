//! An application that writes all the time and never tries again: one refused write is a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tandem_core::model::{Epoch, SiteId};
use tandem_postgres::Database;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::world::{APP, World, in_seconds};

/// Two sessions that write single rows and short transactions over both tables.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    sessions: Vec<JoinHandle<Result<Duration, String>>>,
}

/// The application's role as it is before anything of Tandem.
pub(crate) async fn application(world: &World, site: &str) {
    let role = format!(
        "CREATE ROLE crm_app LOGIN PASSWORD '{}'; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO crm_app;
         GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO crm_app",
        APP.replace('\'', "''")
    );
    let admin = world.server(site).admin().await;
    admin.batch_execute(&role).await.expect("the application");
}

impl Traffic {
    pub(crate) async fn start(world: &World, site: &str) -> Self {
        let (stop, written) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut sessions = Vec::new();
        for _ in 0..2 {
            let app = world.app(site).await;
            let (stop, written) = (stop.clone(), written.clone());
            sessions.push(tokio::spawn(write(app, stop, written)));
        }
        let traffic = Self {
            stop,
            written,
            sessions,
        };
        traffic.goes_on().await;
        traffic
    }

    /// Waits for writes that began after now.
    pub(crate) async fn goes_on(&self) {
        let goal = self.written.load(Ordering::Relaxed) + 10;
        crate::world::wait_until("the application has written", || async {
            let over = self.sessions.iter().any(JoinHandle::is_finished);
            over || self.written.load(Ordering::Relaxed) >= goal
        })
        .await;
    }

    /// Ends and asserts that nothing was refused. Says how much was written.
    pub(crate) async fn end(self, what: &str) -> u64 {
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        let mut longest = Duration::ZERO;
        for session in self.sessions {
            let ended = session.await.expect("no panic");
            longest = longest.max(ended.unwrap_or_else(|error| panic!("{what}: {error}")));
        }
        let written = self.written.load(Ordering::Relaxed);
        println!("{what}: {written} transactions, 0 failed, the longest took {longest:?}");
        written
    }
}

async fn write(
    app: Client,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Result<Duration, String> {
    const ONE: &str = "INSERT INTO public.contact (request_id) VALUES ('one')";
    const BOTH: &str = "BEGIN; INSERT INTO public.contact (request_id) VALUES ('both'); INSERT INTO public.note (body) VALUES ('x'); COMMIT";
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        for sql in [ONE, BOTH] {
            let begun = Instant::now();
            let done = app.batch_execute(sql).await;
            done.map_err(|error| format!("{sql}: {error:?}"))?;
            longest = longest.max(begun.elapsed());
            written.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(longest)
}

/// What an agent does for the guard: renews it every second until dropped.
pub(crate) struct Renewal(JoinHandle<()>);

impl Renewal {
    pub(crate) async fn start(world: &World, site: &str, epoch: u64) -> Self {
        let database = world.database(site);
        renew(&database, epoch).await;
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                renew(&database, epoch).await;
            }
        }))
    }
}

async fn renew(database: &Database, epoch: u64) {
    let renewed = database
        .renew_guard(Epoch(epoch), "test", in_seconds(60))
        .await;
    renewed.expect("an open guard");
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until no agent is connected.
pub(crate) async fn agents_gone(world: &World) {
    for site in world.config.sites.keys() {
        quiet(world, *site).await;
    }
}

async fn quiet(world: &World, site: SiteId) {
    let admin = world.server(site.as_str()).admin().await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'tandem_agent'";
    crate::world::wait_until("the agents have gone", || async {
        let row = admin.query_one(sql, &[]).await.expect("a count");
        row.get::<_, i64>(0) == 0
    })
    .await;
}
