//! Two tiny clouds, an edge between them and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tandem_edge::{Chance, Edge, EdgeConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A whole test's patience; far more than any wait needs on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Random numbers that are the same in every run.
pub(crate) fn seeded(seed: u64) -> Chance {
    let numbers = Mutex::new(rand::rngs::StdRng::seed_from_u64(seed));
    Arc::new(move || numbers.lock().expect("no panic").next_u64())
}

/// A chance that never changes its mind.
pub(crate) fn fixed(number: u64) -> Chance {
    Arc::new(move || number)
}

/// Waits until `condition` holds.
pub(crate) async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "never: {what}"
    );
}

/// What an origin counts and how it behaves.
struct Behaviour {
    cloud: &'static str,
    health: AtomicU16,
    no_writes: AtomicBool,
    hung: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
}

/// An HTTP server that can misbehave at the level of bytes.
pub(crate) struct Origin {
    address: SocketAddr,
    behaviour: Arc<Behaviour>,
    task: JoinHandle<()>,
}

impl Origin {
    pub(crate) async fn start(cloud: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let behaviour = Arc::new(Behaviour {
            cloud,
            health: AtomicU16::new(200),
            no_writes: AtomicBool::new(false),
            hung: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&behaviour)));
        Self {
            address,
            behaviour,
            task,
        }
    }

    /// Closes the listener and every connection at once.
    pub(crate) async fn kill(&mut self) {
        self.task.abort();
        let ended = (&mut self.task).await;
        assert!(ended.is_err(), "it served until it was killed");
    }

    pub(crate) fn set_health(&self, status: u16) {
        self.behaviour.health.store(status, SeqCst);
    }

    pub(crate) fn refuse_writes(&self) {
        self.behaviour.no_writes.store(true, SeqCst);
    }

    pub(crate) fn hang_health(&self) {
        self.behaviour.hung.store(true, SeqCst);
    }

    pub(crate) fn reads(&self) -> u64 {
        self.behaviour.reads.load(SeqCst)
    }

    pub(crate) fn writes(&self) -> u64 {
        self.behaviour.writes.load(SeqCst)
    }
}

async fn accept(listener: TcpListener, behaviour: Arc<Behaviour>) {
    // The set ends its tasks when this one is aborted.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&behaviour)));
    }
}

/// Serves requests without a body, or with a `content-length` below one read.
async fn serve(mut stream: TcpStream, behaviour: Arc<Behaviour>) {
    let mut bytes = Vec::new();
    loop {
        let Some(request) = read_request(&mut stream, &mut bytes).await else {
            return;
        };
        let mut words = request.split_whitespace();
        let method = words.next().expect("a method").to_owned();
        let path = words.next().expect("a path").to_owned();
        let Some(answer) = behaviour.answer(&method, &path).await else {
            return;
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_owned();
            let length = head
                .lines()
                .filter_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .next()
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                bytes.drain(..end + 4 + length);
                return Some(head);
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

impl Behaviour {
    /// The answer, or `None` to hang up.
    async fn answer(&self, method: &str, path: &str) -> Option<String> {
        let status = match path {
            "/health" if self.hung.load(SeqCst) => std::future::pending().await,
            "/health" => return Some(self.page(method, self.health.load(SeqCst))),
            "/missing" => 404,
            _ => 200,
        };
        let counter = if method == "GET" || method == "HEAD" {
            &self.reads
        } else {
            &self.writes
        };
        counter.fetch_add(1, SeqCst);
        let at_aws = self.cloud == "AWS";
        match path {
            "/hang-up" => None,
            "/hang-up-at-aws" if at_aws => None,
            "/silent-at-aws" if at_aws => std::future::pending().await,
            _ => Some(self.page(method, status)),
        }
    }

    fn page(&self, method: &str, status: u16) -> String {
        let (cloud, length) = (self.cloud, self.cloud.len());
        let body = if method == "HEAD" { "" } else { cloud };
        let writes = if self.no_writes.load(SeqCst) {
            "fails"
        } else {
            "works"
        };
        format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nx-cloud-provider: {cloud}\r\nx-writes: {writes}\r\n\r\n{body}"
        )
    }
}

/// The configuration of an edge over two origins, all ports free ones.
pub(crate) fn config(aws: &Origin, gcp: &Origin) -> Value {
    let pool = |id: &str, origin: &Origin| {
        json!({ "id": id, "name": id, "cloud": id.to_uppercase(), "monitor": "health",
                "origins": [{ "name": format!("{id}-1"), "address": "127.0.0.1",
                              "port": origin.address.port() }] })
    };
    json!({
        "listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0",
        // Far longer than an idle machine needs: a busy one must not flip an origin.
        "probes": { "interval_ms": 200, "timeout_ms": 190 },
        "timeouts": { "connect_ms": 5_000 },
        "monitors": [{ "id": "health", "path": "/health", "expected_codes": "200", "retries": 0,
                       "consecutive_up": 1, "consecutive_down": 3 }],
        "pools": [pool("aws", aws), pool("gcp", gcp)],
        "load_balancer": {
            "name": "crm.example.com", "default_pools": ["aws", "gcp"], "fallback_pool": "aws",
            "steering_policy": "random",
            "random_steering": { "pool_weights": { "aws": 0.5, "gcp": 0.5 } },
            "adaptive_routing": { "failover_across_pools": true },
        },
    })
}

/// What the client saw.
pub(crate) struct Answer {
    pub status: u16,
    pub cloud: String,
    pub body: String,
}

/// Two origins, an edge, a client.
pub(crate) struct World {
    pub aws: Origin,
    pub gcp: Origin,
    edge: Edge,
    client: Client,
}

impl World {
    /// Starts all and waits until both pools are healthy.
    pub(crate) async fn start(chance: Chance, change: impl FnOnce(&mut Value)) -> Self {
        let (aws, gcp) = (Origin::start("AWS").await, Origin::start("GCP").await);
        let mut config = config(&aws, &gcp);
        change(&mut config);
        let config = EdgeConfig::parse(&config.to_string()).expect("without fault");
        let edge = Edge::start(config, chance).expect("free ports");
        let client = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("plain");
        let world = Self {
            aws,
            gcp,
            edge,
            client,
        };
        wait_until("both pools are healthy", async || {
            world.healthy("aws").await && world.healthy("gcp").await
        })
        .await;
        world
    }

    pub(crate) async fn send(&self, method: Method, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.edge.listen());
        let mut request = self.client.request(method.clone(), url);
        if method == Method::POST || method == Method::PUT {
            request = request.body("a body");
        }
        let answer = request.send().await.expect("the edge answers");
        let cloud = answer
            .headers()
            .get("x-cloud-provider")
            .expect("on every answer");
        let cloud = cloud.to_str().expect("text").to_owned();
        let status = answer.status().as_u16();
        Answer {
            status,
            cloud,
            body: answer.text().await.expect("whole"),
        }
    }

    pub(crate) async fn admin(&self, path: &str) -> Value {
        let url = format!("http://{}/client/v4/{path}", self.edge.admin_listen());
        self.client
            .get(url)
            .send()
            .await
            .expect("answers")
            .json()
            .await
            .expect("JSON")
    }

    pub(crate) async fn patch_pool(&self, pool: &str, body: &Value) -> Value {
        let admin = self.edge.admin_listen();
        let url = format!("http://{admin}/client/v4/accounts/a/load_balancers/pools/{pool}");
        self.client
            .patch(url)
            .json(body)
            .send()
            .await
            .expect("answers")
            .json()
            .await
            .expect("JSON")
    }

    pub(crate) async fn healthy(&self, pool: &str) -> bool {
        let health = self
            .admin(&format!("accounts/a/load_balancers/pools/{pool}/health"))
            .await;
        health["result"]["pop_health"]["healthy"] == true
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.edge.admin_listen());
        self.client
            .get(url)
            .send()
            .await
            .expect("answers")
            .text()
            .await
            .expect("text")
    }

    pub(crate) async fn stop(self) {
        self.edge.stop().await;
    }
}

/// The address that a started edge logs; the log is read on so that it never blocks.
pub(crate) async fn address_in_log(
    log: impl tokio::io::AsyncRead + Unpin + Send + 'static,
) -> SocketAddr {
    let mut lines = BufReader::new(log).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.expect("readable") {
            let start = line.find("127.0.0.1:").filter(|_| line.contains("serving"));
            if let Some(start) = start {
                let address = line[start..].split_whitespace().next().expect("not empty");
                return address
                    .trim_end_matches('\u{1b}')
                    .parse()
                    .expect("an address");
            }
        }
        panic!("the log ended");
    };
    let address = tokio::time::timeout(PATIENCE, found)
        .await
        .expect("in time");
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    address
}
