//! A real etcd that asks every client for a certificate: the driver shows its own and expects the
//! member's by name; strangers are refused.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tandem_core::config::{Config, Tls as Files};
use tandem_store::{Change, Etcd, Member, Store, StoreError, Timing, Tls};
use tandem_tls::{Authority, Credentials, name_of, programs};
use tempfile::TempDir;
use tokio::time::Instant;

const EXAMPLE: &str = include_str!("../../../docs/examples/tandem.toml");

/// Generous: this is about who is let in, not about speed.
const TIMING: Timing = Timing {
    call: Duration::from_secs(15),
    attempt: Duration::from_secs(3),
};

/// Certificates of one cluster.
fn certificates(folder: &Path) -> Config {
    let mut config = Config::parse(EXAMPLE).expect("the example is complete");
    let (authority, _) = Authority::open(folder, &config.cluster).expect("made");
    for program in programs(&config) {
        authority.provide(&program).expect("made");
    }
    config.tls = Some(Files {
        ca_file: folder.join("ca.crt").display().to_string(),
        folder: folder.display().to_string(),
        client: "operator".into(),
    });
    config
}

fn tls(config: &Config, program: &str) -> Tls {
    let credentials = Credentials::of(config, program).expect("good files");
    let [ca, certificate, key] = credentials.expect("not plain").pem().clone();
    Tls {
        ca,
        certificate,
        key,
        suffix: name_of(&config.cluster, ""),
    }
}

/// One member with client-cert-auth; dead when the test ends.
struct Server {
    process: Child,
    client: SocketAddr,
    _data: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may be gone already; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(files: &Path) -> Option<Self> {
        let known = Command::new("etcd")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if known.is_err() {
            eprintln!("skipped: no `etcd` on the PATH");
            return None;
        }
        let (client, peer) = (free(), free());
        let data = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| files.join(name).display().to_string();
        let process = Command::new("etcd")
            .args(["--name", "aws", "--data-dir"])
            .arg(data.path())
            .args(["--listen-client-urls", &format!("https://{client}")])
            .args(["--advertise-client-urls", &format!("https://{client}")])
            .args(["--listen-peer-urls", &format!("https://{peer}")])
            .args(["--initial-advertise-peer-urls", &format!("https://{peer}")])
            .args(["--initial-cluster", &format!("aws=https://{peer}")])
            .args(["--cert-file", &file("etcd-aws.crt")])
            .args(["--key-file", &file("etcd-aws.key")])
            .args(["--trusted-ca-file", &file("ca.crt"), "--client-cert-auth"])
            .args(["--peer-cert-file", &file("etcd-aws.crt")])
            .args(["--peer-key-file", &file("etcd-aws.key")])
            .args(["--peer-trusted-ca-file", &file("ca.crt")])
            .arg("--peer-client-cert-auth")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts");
        Some(Self {
            process,
            client,
            _data: data,
        })
    }

    fn member(&self, site: &str) -> Vec<Member> {
        vec![Member {
            site: site.parse().expect("a legal name"),
            url: format!("https://{}", self.client),
        }]
    }
}

/// A port below those of outgoing connections, so that nobody gets it by chance.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 500) * 16;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + u16::try_from(first).expect("below 8,000") + step % 8_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

async fn until_ready(store: &Etcd) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.read("/ready").await.is_err() {
        assert!(Instant::now() < deadline, "etcd does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn only_the_clusters_own_clients_and_members_are_believed() {
    let (ours, theirs) = (
        tempfile::tempdir().expect("a temporary folder"),
        tempfile::tempdir().expect("a temporary folder"),
    );
    let (config, other) = (certificates(ours.path()), certificates(theirs.path()));
    let Some(server) = Server::start(ours.path()) else {
        return;
    };
    let store = Etcd::secured(server.member("aws"), TIMING, tls(&config, "aws-1"));
    until_ready(&store).await;
    let made = store.create("/t/secured", "yes").await;
    assert!(matches!(made, Ok(Change::Committed { .. })), "{made:?}");
    let person = Etcd::secured(server.member("aws"), TIMING, tls(&config, "operator"));
    let found = person.read("/t/secured").await.expect("answered");
    assert_eq!(found.map(|found| found.value), Some("yes".to_owned()));

    let refused = |answer: Result<_, StoreError>| {
        assert!(
            matches!(answer, Err(StoreError::Unknown | StoreError::Unreachable)),
            "{answer:?}"
        );
    };
    let stranger = Etcd::secured(server.member("aws"), TIMING, tls(&other, "aws-1"));
    refused(stranger.read("/t/secured").await);
    let foreign_client = Tls {
        ca: tls(&config, "aws-1").ca,
        ..tls(&other, "aws-1")
    };
    let foreign = Etcd::secured(server.member("aws"), TIMING, foreign_client);
    refused(foreign.read("/t/secured").await);
    let posing = Etcd::secured(server.member("gcp"), TIMING, tls(&config, "aws-1"));
    refused(posing.read("/t/secured").await);
    let plain = Etcd::new(server.member("aws"), TIMING);
    refused(plain.read("/t/secured").await);
}
