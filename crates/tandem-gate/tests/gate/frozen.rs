//! The binary itself: frozen over its deadline, stopped by SIGTERM, refused configurations.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tandem_gate::clock;
use tandem_lab::ports::free_port;
use tandem_lab::servers::Postgres;
use tempfile::TempDir;
use tokio_postgres::Config;

use crate::support::{Agent, HOUR, backend, connect, postgres, through, wait_until};

/// A running `tandem-gate`, killed with the test.
struct Process {
    child: Child,
    config: Config,
    _folder: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(agent: &Agent, database: &Postgres) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tandem.toml");
        let rw = free_port().unwrap();
        std::fs::write(&path, example(agent, rw, database.port())).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tandem-gate"))
            .args(["--site", "aws", "--name", "aws-gate-1", "--config"])
            .arg(&path)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let config = through(rw, database);
        Self {
            child,
            config,
            _folder: folder,
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Every thread stands still. SIGSTOP alone promises that only for a moment later: until the
    /// thread that takes the signal has run, the others go on and may ask the agent once more.
    fn is_stopped(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .map(|task| task.unwrap().path().join("stat"))
            .all(|stat| {
                let text = std::fs::read_to_string(stat).unwrap_or_default();
                // The state follows the name in brackets (proc(5)).
                let state = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
                state.starts_with('T')
            })
    }

    async fn ended(&mut self) -> ExitStatus {
        wait_until("the gate has ended", async || {
            self.child.try_wait().unwrap().is_some()
        })
        .await;
        self.child.wait().unwrap()
    }
}

/// The documented example, with the first gate of aws on this machine.
fn example(agent: &Agent, rw: u16, database: u16) -> String {
    let example = include_str!("../../../../docs/examples/tandem.toml");
    let replaced = [
        ("\"10.30.10.31:6432\"", format!("\"127.0.0.1:{rw}\"")),
        (
            "\"10.30.10.31:6433\"",
            format!("\"127.0.0.1:{}\"", free_port().unwrap()),
        ),
        (
            "listen = \"10.30.10.31:6434\"",
            format!("listen = \"127.0.0.1:{}\"", free_port().unwrap()),
        ),
        (
            "listen = \"10.30.10.31:6435\"",
            format!("listen = \"127.0.0.1:{}\"", free_port().unwrap()),
        ),
        (
            "\naddress = \"10.30.10.21:8400\"",
            format!("\naddress = \"{}\"", agent.address()),
        ),
        (
            "\nport = 5432\nreplication_sslmode = \"verify-full\"",
            format!(
                "\naddress = \"127.0.0.1\"\nport = {database}\nreplication_sslmode = \"verify-full\""
            ),
        ),
    ];
    let from = example.find("[tls]").expect("a section");
    let to = example.find("[database]").expect("the next section");
    let plain = format!("{}{}", &example[..from], &example[to..]).replace("https://", "http://");
    replaced.iter().fold(plain, |text, (old, new)| {
        assert!(text.contains(old), "the example no longer has {old}");
        text.replacen(old, new, 1)
    })
}

#[tokio::test]
async fn a_gate_frozen_over_a_failover_and_back_lets_nothing_old_pass() {
    let database = postgres().await;
    let watcher = connect(&database.connect_config("postgres")).await.unwrap();
    watcher
        .batch_execute("CREATE TABLE frozen (v text); SELECT pg_advisory_lock(77)")
        .await
        .unwrap();
    let agent = Agent::start().await;
    let right = Duration::from_millis(4000);
    agent.say("aws", 7, Some("aws"), 4000);
    let gate = Process::start(&agent, &database);
    let mut client = None;
    wait_until("the gate carries sessions", async || {
        client = connect(&gate.config).await.ok();
        client.is_some()
    })
    .await;
    let client = client.expect("waited for");
    let pid = backend(&client).await;
    let sql = "INSERT INTO frozen SELECT 'late' FROM pg_advisory_lock(77)";
    let write = tokio::spawn(async move { client.batch_execute(sql).await });
    wait_until("the write runs", async || {
        let running = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND query = $2)";
        watcher
            .query_one(running, &[&pid, &sql])
            .await
            .unwrap()
            .get(0)
    })
    .await;

    gate.signal(Signal::STOP);
    wait_until("the gate stands still", async || gate.is_stopped()).await;
    let frozen = clock::now();
    watcher
        .query_one("SELECT pg_advisory_unlock(77)", &[])
        .await
        .unwrap();
    // The database acknowledges; the answer waits in the frozen gate's socket.
    wait_until(
        "the write is committed and the right has ended",
        async || {
            let row = watcher
                .query_one("SELECT count(*) FROM frozen", &[])
                .await
                .unwrap();
            row.get::<_, i64>(0) == 1 && clock::now() > frozen.after(right)
        },
    )
    .await;
    // Meanwhile the other site had epoch 8, and this site has the right again.
    agent.say("aws", 9, Some("aws"), HOUR);
    gate.signal(Signal::CONT);
    assert!(
        write.await.unwrap().is_err(),
        "an acknowledgement of epoch 7 passed in epoch 9"
    );
    connect(&gate.config).await.unwrap();
}

#[tokio::test]
async fn sigterm_ends_it_cleanly() {
    let database = postgres().await;
    let agent = Agent::start().await;
    agent.say("aws", 7, Some("aws"), HOUR);
    let mut gate = Process::start(&agent, &database);
    let mut client = None;
    wait_until("the gate carries sessions", async || {
        client = connect(&gate.config).await.ok();
        client.is_some()
    })
    .await;
    gate.signal(Signal::TERM);
    assert!(gate.ended().await.success());
    assert!(client.expect("waited for").is_closed());
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_refused_with_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tandem.toml");
    std::fs::write(&path, "version = 1\nunknown = 2\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tandem-gate"))
        .args(["--site", "aws", "--name", "aws-gate-1", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("unknown"), "{text}");
}
