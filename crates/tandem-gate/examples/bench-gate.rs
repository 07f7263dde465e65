//! What the gate costs: the same pgbench load directly, through one gate, through two gates, and
//! through HAProxy and PgBouncer where they are installed, in turns on one machine.
//!
//! `cargo run --release -p tandem-gate --example bench-gate [-- ROUNDS SECONDS CLIENTS]`
//!
//! Trust the ratios of one run, not the absolute numbers: load, gate and database share the machine.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use tandem_core::model::{Epoch, SiteId};
use tandem_core::wire::Remaining;
use tandem_gate::roster::Port;
use tandem_gate::settings::{AgentAt, Bounds};
use tandem_gate::{Gate, Settings};
use tandem_lab::ports::free_port;
use tandem_lab::servers::{Postgres, PostgresBinaries, PostgresOptions, SUPERUSER};
use tokio::net::TcpListener;

/// Long enough for the right to write never to end during a run.
const HOUR: Duration = Duration::from_secs(3600);

struct Options {
    rounds: usize,
    seconds: u32,
    clients: u32,
}

/// A proxy of the system, killed at the end.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|n| n.parse::<u32>().expect("a number"));
    let options = Options {
        rounds: numbers.next().unwrap_or(5) as usize,
        seconds: numbers.next().unwrap_or(5),
        clients: numbers.next().unwrap_or(8),
    };
    let database = Postgres::start(PostgresOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    pgbench(&database, database.port(), &["-i", "-q", "-s", "5"]).await;

    let writer: SiteId = "gcp".parse().unwrap();
    let near = gate("gcp", writer, database.port(), Vec::new()).await;
    let peer = near.address(Port::Peer).to_string();
    let far = gate("aws", writer, database.port(), vec![peer]).await;
    let mut ways = vec![
        ("direct", database.port()),
        ("gate", near.address(Port::Rw).port()),
        ("two gates", far.address(Port::Rw).port()),
    ];
    let mut peers = Vec::new();
    for (name, config) in [("haproxy", haproxy as MakeConfig), ("pgbouncer", pgbouncer)] {
        let port = free_port().unwrap();
        if let Some(child) = start(name, &config(&database, port), folder.path()) {
            peers.push(child);
            ways.push((name, port));
        }
    }
    measure(&options, &database, &ways).await;
}

/// Runs every load over every way, round by round, and prints the medians.
async fn measure(options: &Options, database: &Postgres, ways: &[(&str, u16)]) {
    let (seconds, clients) = (options.seconds.to_string(), options.clients.to_string());
    let loads: [(&str, Vec<&str>); 3] = [
        ("read", vec!["-S", "-c", &clients, "-T", &seconds]),
        (
            "read, prepared",
            vec!["-S", "-M", "prepared", "-c", &clients, "-T", &seconds],
        ),
        ("write", vec!["-N", "-c", &clients, "-T", &seconds]),
    ];
    for (load, arguments) in &loads {
        let mut tps: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for _ in 0..options.rounds {
            for (way, port) in ways {
                let output =
                    pgbench(database, *port, &[&["-n"], arguments.as_slice()].concat()).await;
                tps.entry(way)
                    .or_default()
                    .push(transactions_per_second(&output));
            }
        }
        let median = |way: &str| {
            let mut all = tps[way].clone();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        for (way, _) in ways {
            let (own, direct) = (median(way), median("direct"));
            let latency = f64::from(options.clients) * 1000.0 / own;
            println!(
                "{load:15} {way:10} {own:9.0} tps {latency:7.3} ms {:5.2} of direct",
                own / direct
            );
        }
    }
}

async fn pgbench(database: &Postgres, port: u16, arguments: &[&str]) -> String {
    let program = PostgresBinaries::find()
        .unwrap()
        .postgres
        .with_file_name("pgbench");
    let mut command = tokio::process::Command::new(program);
    command
        .args(["-h", "127.0.0.1", "-U", SUPERUSER, "-p", &port.to_string()])
        .args(arguments);
    command
        .arg("postgres")
        .env("PGPASSWORD", database.superuser_password());
    let output = command.output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn transactions_per_second(output: &str) -> f64 {
    let line = output.lines().find_map(|line| line.strip_prefix("tps = "));
    line.and_then(|rest| rest.split(' ').next())
        .expect("pgbench says it")
        .parse()
        .unwrap()
}

/// A gate at `site` whose agent says that `writer` may write.
async fn gate(site: &str, writer: SiteId, database: u16, peers: Vec<String>) -> Gate {
    let site: SiteId = site.parse().unwrap();
    let any = || "127.0.0.1:0".to_owned();
    let gate = Gate::start(Settings {
        name: format!("{site}-gate-1"),
        site,
        rw_listen: any(),
        ro_listen: any(),
        peer_listen: any(),
        admin_listen: any(),
        database: format!("127.0.0.1:{database}"),
        agents: vec![
            AgentAt::new("agent", &agent(site, writer).await, None, Bounds::SERVICE).unwrap(),
        ],
        peers,
        remaining_max: HOUR,
        bounds: Bounds::SERVICE,
    });
    gate.await.unwrap()
}

async fn agent(site: SiteId, writer: SiteId) -> String {
    let remaining = if site == writer { HOUR } else { Duration::ZERO };
    let answer = Remaining {
        agent: format!("{site}-1"),
        site,
        epoch: Epoch(1),
        remaining_ms: u64::try_from(remaining.as_millis()).unwrap(),
        writer: Some(writer),
        writer_fresh: true,
        writer_works: true,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().route("/v1/remaining", get(async || Json(answer)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

type MakeConfig = fn(&Postgres, u16) -> String;

fn haproxy(database: &Postgres, port: u16) -> String {
    let database = database.port();
    format!(
        "defaults\n mode tcp\n timeout connect 1s\n timeout client 1h\n timeout server 1h\n\
         listen db\n bind 127.0.0.1:{port}\n server one 127.0.0.1:{database}\n"
    )
}

fn pgbouncer(database: &Postgres, port: u16) -> String {
    let (database, password) = (database.port(), database.superuser_password());
    format!(
        "[databases]\npostgres = host=127.0.0.1 port={database} user={SUPERUSER} password={password}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
         pool_mode = session\nunix_socket_dir =\nlogfile = /dev/null\n"
    )
}

/// Starts a proxy with its configuration; `None`, said in words, if it is not installed.
fn start(program: &str, config: &str, folder: &Path) -> Option<Peer> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(program);
    std::fs::write(&path, config).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(program);
    if program == "haproxy" {
        command.arg("-f");
    }
    let spawned = command
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("{program} is not installed: left out");
        return None;
    };
    // A configuration that it refuses (PgBouncer refuses root) ends it at once.
    std::thread::sleep(Duration::from_millis(500));
    if child.try_wait().unwrap().is_some() {
        println!("{program} does not start: left out");
        return None;
    }
    Some(Peer(child))
}
