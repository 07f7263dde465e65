//! One service with its servers, all on free ports, all gone with the test.

pub(crate) mod wire;

use std::process::Stdio;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use tandem_lab::servers::{Postgres, PostgresOptions, Redis, RedisOptions};
use tokio::process::{Child, Command};

use self::wire::Wire;

/// A whole test's patience; far more than any wait needs on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service, its servers, and the wire between it and PostgreSQL.
pub(crate) struct Service {
    pub(crate) wire: Wire,
    postgres: Postgres,
    _redis: Redis,
    _process: Child,
    client: Client,
    url: String,
}

impl Service {
    /// Starts everything and waits until it is ready; `None` without servers.
    pub(crate) async fn start() -> Option<Self> {
        let started = tokio::join!(
            Postgres::start(PostgresOptions::default()),
            Redis::start(RedisOptions::default()),
        );
        let (postgres, redis) = match started {
            (Ok(postgres), Ok(redis)) => (postgres, redis),
            (Err(missing @ tandem_lab::Error::Missing { .. }), _)
            | (_, Err(missing @ tandem_lab::Error::Missing { .. })) => {
                eprintln!("skipped: {missing}");
                return None;
            }
            (Err(error), _) | (_, Err(error)) => panic!("{error}"),
        };
        run(&postgres, "postgres", "CREATE ROLE crm_owner NOLOGIN").await;
        run(
            &postgres,
            "postgres",
            "CREATE ROLE crm_app LOGIN PASSWORD 'secret'",
        )
        .await;
        run(&postgres, "postgres", "CREATE DATABASE crm").await;
        run(&postgres, "crm", include_str!("../../schema.sql")).await;
        let wire = Wire::start(postgres.port()).await;
        let port = tandem_lab::ports::free_port().expect("a free port");
        let process = service(port, &wire, &redis);
        let client = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("plain");
        let url = format!("http://127.0.0.1:{port}");
        let service = Self {
            wire,
            postgres,
            _redis: redis,
            _process: process,
            client,
            url,
        };
        service.until_healthy().await;
        Some(service)
    }

    async fn until_healthy(&self) {
        let waiting = async {
            loop {
                let answer = self.client.get(format!("{}/health", self.url)).send().await;
                let healthy = match answer {
                    Ok(answer) => answer
                        .json::<Value>()
                        .await
                        .is_ok_and(|health| works(&health)),
                    Err(_) => false,
                };
                if healthy {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
            "never healthy"
        );
    }

    /// One request; checks the header that every answer carries.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("it answers");
        assert_eq!(answer.headers()["x-cloud-provider"], "AWS");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Runs SQL as the superuser.
    pub(crate) async fn sql(&self, sql: &str) {
        run(&self.postgres, "crm", sql).await;
    }

    /// How many rows each request left, in the order of the requests' names, as
    /// soon as `requests` of them have left any.
    pub(crate) async fn rows_per_request(&self, requests: usize) -> Vec<i64> {
        let client = connect(&self.postgres, "crm").await;
        let counts = "SELECT count(*) FROM contact GROUP BY request_id ORDER BY request_id";
        let counting = async {
            loop {
                let rows = client.query(counts, &[]).await.expect("counted");
                if rows.len() >= requests {
                    return rows.iter().map(|row| row.get(0)).collect();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, counting)
            .await
            .expect("all requests left a row")
    }
}

fn works(health: &Value) -> bool {
    ["reads", "writes", "sessions"]
        .iter()
        .all(|part| health[part]["state"] == "works")
}

fn service(port: u16, wire: &Wire, redis: &Redis) -> Child {
    let database = format!("postgres://{}/crm", wire.address());
    Command::new(env!("CARGO_BIN_EXE_crm"))
        .env("LISTEN", format!("127.0.0.1:{port}"))
        .env("CLOUD_PROVIDER", "AWS")
        .env("DATABASE_URL", &database)
        .env("DATABASE_READ_URL", &database)
        .env("DATABASE_USERNAME", "crm_app")
        .env("DATABASE_PASSWORD", "secret")
        .env("REDIS_HOST", format!("127.0.0.1:{}", redis.port()))
        .env("REDIS_PASSWORD", redis.password())
        .env("PATIENCE_MS", "20000")
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary was built")
}

async fn connect(postgres: &Postgres, database: &str) -> tokio_postgres::Client {
    let config = postgres.connect_config(database);
    let (client, connection) = config
        .connect(tokio_postgres::NoTls)
        .await
        .expect("it answers");
    tokio::spawn(connection);
    client
}

async fn run(postgres: &Postgres, database: &str, sql: &str) {
    let client = connect(postgres, database).await;
    client.batch_execute(sql).await.expect("legal");
}
