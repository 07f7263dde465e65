//! Agents that say what the test wants, gates on free ports, one PostgreSQL for all tests.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use tandem_core::model::{Epoch, SiteId};
use tandem_core::wire::Remaining;
use tandem_gate::roster::Port;
use tandem_gate::settings::{AgentAt, Bounds};
use tandem_gate::{Gate, Settings};
use tandem_lab::servers::{Postgres, PostgresOptions};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

/// How long a test waits for anything; far above what is needed, since machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough for a right to write never to end during a test.
pub(crate) const HOUR: u64 = 3_600_000;

/// The server that all tests share; started by the first, killed with the last.
pub(crate) async fn postgres() -> Arc<Postgres> {
    static SHARED: tokio::sync::Mutex<Weak<Postgres>> = tokio::sync::Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = Arc::new(own_postgres().await);
    *shared = Arc::downgrade(&started);
    started
}

/// A server for a test that stops it.
pub(crate) async fn own_postgres() -> Postgres {
    Postgres::start(PostgresOptions::default())
        .await
        .expect("a PostgreSQL can be started")
}

/// An agent that says what the test wants.
pub(crate) struct Agent {
    address: String,
    says: Arc<Mutex<Option<Remaining>>>,
}

impl Agent {
    /// An agent of `site` that does not answer properly yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let says: Arc<Mutex<Option<Remaining>>> = Arc::default();
        let router = Router::new()
            .route("/v1/remaining", get(remaining))
            .with_state(Arc::clone(&says));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, says }
    }

    /// From now on: at `site`, in `epoch`, `writer` may write; this site for `remaining_ms`.
    pub(crate) fn say(&self, site: &str, epoch: u64, writer: Option<&str>, remaining_ms: u64) {
        *self.says.lock().unwrap() = Some(Remaining {
            agent: format!("{site}-1"),
            site: self::site(site),
            epoch: Epoch(epoch),
            remaining_ms,
            writer: writer.map(self::site),
            writer_fresh: writer.is_some(),
            writer_works: true,
        });
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on errors only.
    pub(crate) fn fall_silent(&self) {
        *self.says.lock().unwrap() = None;
    }
}

async fn remaining(
    State(says): State<Arc<Mutex<Option<Remaining>>>>,
) -> Result<Json<Remaining>, StatusCode> {
    says.lock()
        .unwrap()
        .clone()
        .map(Json)
        .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn site(name: &str) -> SiteId {
    name.parse().unwrap()
}

/// Settings of a gate at `site` on free ports.
pub(crate) fn settings(site: &str, agents: &[&Agent], database: u16) -> Settings {
    let any = || "127.0.0.1:0".to_owned();
    Settings {
        name: format!("{site}-gate-1"),
        site: self::site(site),
        rw_listen: any(),
        ro_listen: any(),
        peer_listen: any(),
        admin_listen: any(),
        database: format!("127.0.0.1:{database}"),
        agents: agents
            .iter()
            .map(|agent| AgentAt::new("agent", &agent.address, None, Bounds::SERVICE).unwrap())
            .collect(),
        peers: Vec::new(),
        remaining_max: Duration::from_millis(HOUR),
        bounds: Bounds {
            hold: PATIENCE,
            ..Bounds::SERVICE
        },
    }
}

/// An agent that says that `aws` may write, and a gate there that knows it.
pub(crate) async fn open_gate(database: &Postgres) -> (Agent, Gate) {
    let agent = Agent::start().await;
    agent.say("aws", 7, Some("aws"), HOUR);
    let gate = Gate::start(settings("aws", &[&agent], database.port()))
        .await
        .unwrap();
    (agent, gate)
}

/// How to connect to a gate's port as the database's superuser.
pub(crate) fn config(gate: &Gate, port: Port, database: &Postgres) -> Config {
    through(gate.address(port).port(), database)
}

/// How to connect to a gate's port number as the database's superuser.
pub(crate) fn through(port: u16, database: &Postgres) -> Config {
    let config = database.connect_config("postgres");
    let mut through = Config::new();
    through
        .host("127.0.0.1")
        .port(port)
        .user(config.get_user().unwrap())
        .password(config.get_password().unwrap())
        .dbname("postgres");
    through
}

/// A session; its connection runs beside the test.
pub(crate) async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The SQLSTATE of a result that must be an error from the server or the gate.
pub(crate) fn code<T>(result: Result<T, Error>) -> Option<SqlState> {
    result.err().expect("it must fail").code().cloned()
}

/// Looks until `holds`, within [`PATIENCE`].
pub(crate) async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A session's backend, by its process id as the server sees it.
pub(crate) async fn backend(client: &Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0)
}

/// Waits until the server has no such backend.
pub(crate) async fn backend_ends(database: &Postgres, pid: i32) {
    let client = connect(&database.connect_config("postgres")).await.unwrap();
    let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
    wait_until("the backend has ended", async || {
        client.query_one(gone, &[&pid]).await.unwrap().get(0)
    })
    .await;
}
