//! Real etcd for tests: free ports, own folders, dead when the test ends.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tandem_core::model::SiteId;
use tandem_store::{Etcd, Member, Store, Timing};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// Generous, since the machine may be busy: these tests are about answers, not about speed.
const TIMING: Timing = Timing {
    call: Duration::from_secs(15),
    attempt: Duration::from_secs(3),
};

/// Real etcd members on loopback.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
}

struct Node {
    site: SiteId,
    client: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        // The process may be gone already; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Cluster {
    /// Starts one member a name and waits until they answer; `None` (with a printed reason)
    /// without etcd.
    pub(crate) async fn start(names: &[&str]) -> Option<Self> {
        let version = Command::new("etcd")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if version.is_err() {
            eprintln!("skipped: no `etcd` on the PATH");
            return None;
        }
        let ports: Vec<_> = names.iter().map(|_| (free_port(), free_port())).collect();
        let peers: Vec<_> = names
            .iter()
            .zip(&ports)
            .map(|(name, (_, peer))| format!("{name}=http://{peer}"))
            .collect();
        let nodes = names
            .iter()
            .zip(&ports)
            .map(|(name, (client, peer))| Node::start(name, *client, *peer, &peers.join(",")));
        let cluster = Self {
            nodes: nodes.collect(),
        };
        let store = cluster.store(names);
        eventually(Duration::from_secs(60), async || {
            store.read("/ready").await.is_ok()
        })
        .await;
        Some(cluster)
    }

    /// A driver that asks the members of `names` in this order.
    pub(crate) fn store(&self, names: &[&str]) -> Etcd {
        let member = |name: &&str| {
            let node = self.node(name);
            Member {
                site: node.site,
                url: format!("http://{}", node.client),
            }
        };
        Etcd::new(names.iter().map(member).collect(), TIMING)
    }

    /// A driver that reaches `aws` through `address` and gives up soon.
    pub(crate) fn store_behind(&self, address: SocketAddr) -> Etcd {
        let member = Member {
            site: self.node("aws").site,
            url: format!("http://{address}"),
        };
        Etcd::new(
            vec![member],
            Timing {
                attempt: Duration::from_secs(2),
                ..TIMING
            },
        )
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.node(name).client
    }

    pub(crate) fn kill(&mut self, name: &str) {
        self.nodes.retain(|node| node.site.as_str() != name);
    }

    pub(crate) fn freeze(&self, name: &str) {
        let pid = rustix::process::Pid::from_child(&self.node(name).process);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("our own child");
    }

    fn node(&self, name: &str) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.site.as_str() == name)
            .expect("a started member")
    }
}

impl Node {
    fn start(name: &str, client: SocketAddr, peer: SocketAddr, cluster: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = Command::new("etcd")
            .arg("--name")
            .arg(name)
            .arg("--data-dir")
            .arg(folder.path())
            .args(["--listen-client-urls", &format!("http://{client}")])
            .args(["--advertise-client-urls", &format!("http://{client}")])
            .args(["--listen-peer-urls", &format!("http://{peer}")])
            .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
            .args(["--initial-cluster", cluster, "--pre-vote=true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts");
        Self {
            site: name.parse().expect("a legal name"),
            client,
            process,
            _folder: folder,
        }
    }
}

/// A free port below those that the kernel gives to outgoing connections, so that nobody gets it
/// by chance before etcd listens; different in every process.
fn free_port() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(64);
    loop {
        let step = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(12_000 + step % 8_000).expect("below 20,000");
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("bound");
        }
    }
}

/// Waits until `condition` holds, asking again and again; fails at the deadline.
pub(crate) async fn eventually(bound: Duration, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + bound;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {bound:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A relay to `server` that passes questions on and keeps every answer
/// to itself.
pub(crate) async fn swallow_replies(server: SocketAddr) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = tokio::net::TcpStream::connect(server)
                .await
                .expect("etcd is up");
            let (mut from_client, to_client) = client.into_split();
            let (mut from_server, mut to_server) = upstream.into_split();
            tokio::spawn(async move {
                // Ends when either side closes.
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                let _ = to_server.shutdown().await;
            });
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while from_server
                    .read(&mut buffer)
                    .await
                    .is_ok_and(|read| read > 0)
                {}
                drop(to_client);
            });
        }
    });
    address
}
