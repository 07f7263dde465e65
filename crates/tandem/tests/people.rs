//! The commands of a named person as they are typed, against real agents: exit codes, refusals,
//! languages, and that a secret is seen nowhere.
#![cfg(feature = "runtime")]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tandem_agent::{Agent, initialise};
use tandem_core::config::{AccessToken, Config};
use tandem_store::Memory;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const EXAMPLE: &str = include_str!("../../../docs/examples/tandem.toml");

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// One agent a site, without databases, over a store in memory.
struct World {
    folder: TempDir,
    /// Dropping it kills the agents at once.
    runtime: Option<Runtime>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = config(folder.path());
        let text = toml::to_string(&config).expect("plain TOML");
        fs::write(folder.path().join("tandem.toml"), &text).expect("writable");
        let config = Config::parse(&text).unwrap_or_else(|faults| panic!("{faults}"));
        let runtime = Runtime::new().expect("a runtime");
        let store = Memory::new();
        let aws = "aws".parse().expect("a site");
        let made = runtime.block_on(initialise(&store, &config, aws));
        made.expect("created");
        for name in ["aws-1", "gcp-1"] {
            let site = name[..3].parse().expect("a site");
            let (config, store) = (config.clone(), Arc::new(store.view()));
            let agent = runtime.block_on(Agent::start(config, site, name, store, None));
            let agent = agent.expect("the agent starts");
            runtime.spawn(agent.until(std::future::pending()));
        }
        Self {
            folder,
            runtime: Some(runtime),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("LANG", "C")
            .env_remove("LC_ALL")
            .env_remove("LC_MESSAGES")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("TANDEM_TOKEN_FILE")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("tandem runs")
    }

    /// Runs and expects an exit code; stdout and stderr as text.
    #[track_caller]
    fn ends(&self, words: &[&str], code: i32) -> (String, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.run(words);
        let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(status.code(), Some(code), "{words:?}\n{out}\n{err}");
        (out, err)
    }

    /// Makes kim's token as a person would, and keeps it where commands look.
    fn token(&self) -> String {
        let (token, said) = self.ends(&["token", "new", "kim", "--into", "."], 0);
        assert!(said.contains("[[access.tokens]]"), "{said}");
        let home = self.path(".config/tandem");
        fs::create_dir_all(&home).expect("a folder");
        secret(&home.join("crm-dr.token"), &token);
        token.trim().to_owned()
    }

    /// Waits until `tandem status -o json` satisfies `condition`.
    #[track_caller]
    fn until(&self, condition: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.run(&["status", "-o", "json"]);
            let found = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if condition(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "still {found:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
}

/// The documented example on this machine, without TLS, in which kim may ask.
fn config(folder: &Path) -> Config {
    let mut config = Config::parse(EXAMPLE).expect("the example is complete");
    config.tls = None;
    config.access.tokens = vec![AccessToken {
        name: "kim".into(),
        hash_file: folder.join("kim").display().to_string(),
    }];
    config.witness.store = "http://127.0.0.1:2379".into();
    for site in config.sites.values_mut() {
        site.store = "http://127.0.0.1:2379".into();
        site.gates.clear();
        site.agents.truncate(1);
    }
    let sites = config.sites.values_mut().map(|site| &mut site.agents);
    for agents in sites.chain([&mut config.witness.agents]) {
        for agent in agents {
            agent.listen = free_address();
            agent.address = agent.listen.clone();
            agent.relay_listen = agent.relay_listen.as_ref().map(|_| free_address());
            agent.state_dir = folder.join(&agent.name).display().to_string();
        }
    }
    config
}

/// A free port below those that the kernel gives to outgoing connections.
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 500 * 16).expect("below 8,000");
    loop {
        let step = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", 12_000 + step % 8_000);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

#[test]
fn a_pause_is_asked_for_by_name_seen_and_taken_back() {
    let world = World::start();
    let pause = ["pause", "--for", "2h", "--reason", "patching"];
    let confirmed = [&pause[..], &["--confirm", "crm-dr"]].concat();
    world.ends(&confirmed, 4);
    let token = world.token();
    let (_, said) = world.ends(&["token", "new", "kim", "--into", "."], 2);
    assert!(said.contains("--replace"), "{said}");
    let kept = fs::read_to_string(world.path("kim")).expect("a hash");
    assert!(kept.starts_with("sha256:") && !kept.contains(&token[7..]));

    let (_, said) = world.ends(&[&pause[..], &["--no-input"]].concat(), 2);
    assert!(
        said.contains("add --confirm crm-dr; nothing was changed"),
        "{said}"
    );
    world.ends(&[&pause[..], &["--confirm", "other"]].concat(), 2);
    world.ends(&[&pause[..], &["--dry-run"]].concat(), 0);
    world.ends(&["pause", "--for", "8d", "--reason", "x"], 2);
    let (out, _) = world.ends(&[&confirmed[..], &["-o", "json"]].concat(), 0);
    let made: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&made["schema"], &made["by"]),
        (&"tandem.request.v1".into(), &"kim".into())
    );

    let seen = world.until(|status| status["mode"] == "paused");
    assert_eq!(seen["requests"][0]["by"], "kim");
    let (table, _) = world.ends(&["status"], 6);
    assert!(
        table.contains("mode paused") && table.contains("request 1: pause, by kim"),
        "{table}"
    );
    let (korean, _) = world.ends(&["status", "--lang", "ko"], 6);
    assert!(korean.contains("요청 1: 일시 중지"), "{korean}");
    let (_, said) = world.ends(&["resume", "--confirm", "crm-dr"], 0);
    assert!(said.contains("patching"), "{said}");
    world.until(|status| status["mode"] == "confirm");
    let (history, _) = world.ends(&["history"], 0);
    assert!(
        history.contains("request 1 by kim: pause automation (patching)"),
        "{history}"
    );
    assert!(!history.contains(&token));
}

#[test]
fn a_refusal_names_what_was_seen_and_ends_with_five() {
    let world = World::start();
    world.token();
    world.until(|status| {
        let knows = |site: usize| status["sites"][site]["epoch"] == 1;
        status["mode"] == "confirm" && knows(0) && knows(1)
    });
    let (out, _) = world.ends(&["plan", "failover", "--to", "gcp"], 5);
    assert!(
        out.contains("verdict: refused") && out.contains("TDM-1"),
        "{out}"
    );
    let (out, _) = world.ends(&["plan", "failover", "--to", "gcp", "-o", "json"], 5);
    let plan: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&plan["schema"], &plan["plan"]["possible"]),
        (&"tandem.move.v1".into(), &false.into())
    );
    let failover = [
        "failover",
        "--to",
        "gcp",
        "--reason",
        "aws is down",
        "--confirm",
        "crm-dr",
    ];
    let (_, said) = world.ends(&failover, 5);
    assert!(said.contains("nothing was changed"), "{said}");
    let (_, said) = world.ends(&["plan", "failover", "--to", "aws"], 5);
    assert!(
        said.contains("aws holds the right to write already"),
        "{said}"
    );
    world.ends(&["failover", "--to", "gcp"], 2);
    let (out, _) = world.ends(&["guard", "status", "-o", "json"], 0);
    assert!(out.contains("tandem.guard.v1"), "{out}");
    let (line, _) = world.ends(&["guard", "sql", "--site", "gcp"], 0);
    assert!(line.starts_with("UPDATE tandem_local.lease SET") && line.contains("site = 'gcp';"));
}

#[test]
fn a_secret_stands_in_a_file_of_ones_own_and_in_no_process_list() {
    let world = World::start();
    let token = world.token();
    let file = world.path("open.token");
    fs::write(&file, &token).expect("writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    let shown = file.display().to_string();
    let words = [
        "pause",
        "--for",
        "1h",
        "--reason",
        "x",
        "--confirm",
        "crm-dr",
        "--token-file",
    ];
    let (_, said) = world.ends(&[&words[..], &[shown.as_str()]].concat(), 4);
    assert!(
        said.contains("chmod 0600") && !said.contains(&token),
        "{said}"
    );
    secret(&file, "tandem_stranger");
    world.ends(&[&words[..], &[shown.as_str()]].concat(), 4);

    // From stdin: the command waits for the token, and meanwhile everybody may look.
    let mut command = world.command(&[&words[..], &["-"]].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tandem runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(token.as_bytes()).expect("a reader");
    for part in ["cmdline", "environ"] {
        let seen = fs::read(format!("/proc/{}/{part}", child.id())).expect("our child");
        assert!(!String::from_utf8_lossy(&seen).contains(&token), "{part}");
    }
    drop(stdin);
    let output = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains(&token) && !String::from_utf8_lossy(&output.stdout).contains(&token));
}

#[test]
fn help_begins_with_examples() {
    let world = Command::new(env!("CARGO_BIN_EXE_tandem"));
    let program = world.get_program().to_owned();
    for words in [
        &["pause"][..],
        &["resume"],
        &["approve"],
        &["acknowledge"],
        &["plan"],
        &["failover"],
        &["switchover"],
        &["guard"],
        &["uninstall"],
        &["history"],
        &["status"],
        &["token", "new"],
        &["init", "certificates"],
    ] {
        let output = Command::new(&program)
            .args(words)
            .arg("--help")
            .output()
            .expect("tandem runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.starts_with("Examples:\n  tandem "),
            "{words:?}: {text}"
        );
    }
}

#[test]
fn certificates_are_made_once_and_say_where_they_go() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("tandem.toml"), EXAMPLE).expect("writable");
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["init", "certificates", "--into", "tls"])
            .args(words)
            .current_dir(folder.path())
            .output()
            .expect("tandem runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text, said)
    };
    let (code, text, said) = run(&["--host", "etcd-aws=store.example.com"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(text.contains("ca.key             offline"), "{text}");
    assert!(
        text.contains("aws: --cert-file=/etc/tandem/tls/etcd-aws.crt"),
        "{text}"
    );
    let key = folder.path().join("tls/aws-1.key");
    let before = fs::read(&key).expect("made");
    let (code, text, _) = run(&[]);
    assert_eq!((code, text.contains("made  ")), (Some(0), false), "{text}");
    assert_eq!(fs::read(&key).expect("kept"), before);
    let (code, text, _) = run(&["--renew", "aws-1"]);
    assert_eq!(code, Some(0), "{text}");
    assert_ne!(fs::read(&key).expect("renewed"), before);
    let (code, _, said) = run(&["--renew", "aws-9"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("use one of: etcd-aws, aws-1"), "{said}");
}

#[test]
fn taking_protection_away_asks_for_the_clusters_name() {
    let world = World::start();
    for words in [
        &["guard", "remove"][..],
        &["uninstall"],
        &["uninstall", "--keep-replication"],
    ] {
        let (_, said) = world.ends(words, 2);
        assert!(
            said.contains("what is lost:") && said.contains("add --confirm crm-dr"),
            "{said}"
        );
        let wrong = [words, &["--confirm", "other"]].concat();
        let (_, said) = world.ends(&wrong, 2);
        assert!(
            said.contains("--confirm names `other`") && said.contains("nothing was changed"),
            "{said}"
        );
    }
    let korean = [&["uninstall", "--lang", "ko"][..]].concat();
    assert!(world.ends(&korean, 2).1.contains("잃는 것:"));
    for span in ["2m", "0s", "fast"] {
        let (_, said) = world.ends(&["guard", "install", "--lock-timeout", span], 2);
        assert!(said.contains("like 500ms or 1s"), "{said}");
    }
}
