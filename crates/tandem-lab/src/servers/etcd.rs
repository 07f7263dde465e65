//! One real etcd member.
//!
//! A member of several is given the names and peer addresses of all; each
//! member advertises one peer address, and whoever wants a wire between two
//! members puts it behind that address. Its data lie in memory where there is
//! a memory file system: a starved fsync would move the leader.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::net::TcpStream;

use super::folder::Folder;
use super::{START_BOUND, STOP_BOUND, binaries, with_port};
use crate::ports::free_port;
use crate::process::{Host, Launch, Process};
use crate::wait::{Look, until};
use crate::{Result, http};

/// How to start one.
#[derive(Debug, Clone, Default)]
pub struct EtcdOptions {
    /// Its name in messages; the member's name if not given.
    pub name: Option<String>,
    /// The member's name; `default` if not given.
    pub member: Option<String>,
    /// Its folder; a temporary one if not given.
    pub folder: Option<PathBuf>,
    /// Where its data lie; in its folder if not given.
    pub data: Option<PathBuf>,
    /// Its client port; a free one if not given.
    pub port: Option<u16>,
    /// Its peer port; a free one if not given.
    pub peer_port: Option<u16>,
    /// The peer address that others use, as `host:port`; its own if not given.
    pub advertised_peer: Option<String>,
    /// All members and their advertised peer addresses; itself alone if empty.
    pub cluster: Vec<(String, String)>,
    /// Its log file; in its folder if not given.
    pub log: Option<PathBuf>,
    /// Where in the network; on loopback if not given.
    pub on: Host,
}

/// A running member. Dropping it kills it.
pub struct Etcd {
    process: Process,
    launch: Launch,
    port: u16,
    peer_port: u16,
    folder: Folder,
}

impl Etcd {
    /// Starts it and waits until it is healthy, which a member of several is only
    /// once a majority runs: start them together.
    ///
    /// # Errors
    /// [`crate::Error::Missing`], [`crate::Error::Died`] with the end of its log,
    /// [`crate::Error::TooLate`].
    pub async fn start(options: EtcdOptions) -> Result<Self> {
        let started = Self::launch(options).await?;
        healthy(&started.process, started.client(), START_BOUND).await?;
        Ok(started)
    }

    /// Starts it and waits only until it listens for its peers.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn launch(options: EtcdOptions) -> Result<Self> {
        let folder = Folder::open(options.folder.clone(), "etcd")?;
        let (process, launch, port, peer_port) =
            with_port(options.port, |port| first_launch(&options, &folder, port)).await?;
        Ok(Self {
            process,
            launch,
            port,
            peer_port,
            folder,
        })
    }

    /// Its client port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its client address, as configuration files want it.
    pub fn url(&self) -> String {
        format!("http://{}", self.client())
    }

    fn client(&self) -> SocketAddr {
        self.launch.on.at(self.port)
    }

    /// The process, for its log and its number.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until it is healthy: it knows a leader and commits.
    ///
    /// # Errors
    /// [`crate::Error::Died`], [`crate::Error::TooLate`] after `bound`.
    pub async fn healthy(&self, bound: Duration) -> Result<()> {
        healthy(&self.process, self.client(), bound).await
    }

    /// Kills it.
    ///
    /// # Errors
    /// [`crate::Error::Process`], [`crate::Error::TooLate`].
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts it with the same ports and data after [`Self::kill`] or [`Self::stop`]; it is
    /// healthy once a majority runs.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = listen(&self.launch, self.peer_port).await?;
        Ok(())
    }

    /// Stops it cleanly.
    ///
    /// # Errors
    /// [`crate::Error::TooLate`] if it does not stop.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        self.process.ended(STOP_BOUND).await.map(|_| ())
    }

    /// The process, for one strike at a whole site.
    pub fn family(&self) -> Vec<Pid> {
        self.process.family()
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// [`crate::Error::Process`].
    pub fn freeze(&self) -> Result<()> {
        self.process.freeze()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// [`crate::Error::Process`].
    pub fn thaw(&self) -> Result<()> {
        self.process.thaw()
    }
}

fn member(options: &EtcdOptions) -> &str {
    options.member.as_deref().unwrap_or("default")
}

async fn first_launch(
    options: &EtcdOptions,
    folder: &Folder,
    port: u16,
) -> Result<(Process, Launch, u16, u16)> {
    let peer = options.peer_port.map_or_else(free_port, Ok)?;
    let launch = Launch {
        name: options
            .name
            .clone()
            .unwrap_or_else(|| member(options).into()),
        program: binaries::etcd()?,
        args: arguments(options, folder, port, peer),
        env: vec![
            (
                "ETCD_UNSUPPORTED_ARCH".into(),
                std::env::consts::ARCH.into(),
            ),
            // Its peers stand beside it, whatever the machine's way to the world is.
            ("NO_PROXY".into(), "*".into()),
        ],
        folder: folder.path().to_path_buf(),
        log: options
            .log
            .clone()
            .unwrap_or_else(|| folder.join("etcd.log")),
        user: None,
        on: options.on.clone(),
    };
    let process = listen(&launch, peer).await?;
    Ok((process, launch, port, peer))
}

fn arguments(options: &EtcdOptions, folder: &Folder, port: u16, peer: u16) -> Vec<String> {
    let name = member(options);
    let url = |address: &str| format!("http://{address}");
    let own = options.on.at(peer).to_string();
    let advertised = options.advertised_peer.as_ref().unwrap_or(&own);
    let alone = [(name.to_owned(), advertised.clone())];
    let cluster = if options.cluster.is_empty() {
        &alone[..]
    } else {
        &options.cluster
    };
    let cluster: Vec<_> = cluster
        .iter()
        .map(|(name, at)| format!("{name}={}", url(at)))
        .collect();
    let data = options.data.clone().unwrap_or_else(|| folder.join("data"));
    let client = url(&options.on.at(port).to_string());
    let pairs = [
        ("name", name.to_owned()),
        ("data-dir", data.display().to_string()),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("listen-peer-urls", url(&own)),
        ("initial-advertise-peer-urls", url(advertised)),
        ("initial-cluster", cluster.join(",")),
        ("pre-vote", "true".into()),
        ("heartbeat-interval", "100".into()),
        ("election-timeout", "1000".into()),
    ];
    pairs
        .into_iter()
        .map(|(key, value)| format!("--{key}={value}"))
        .collect()
}

/// Starts the member and waits until its peer port answers: no leader is needed for that.
async fn listen(launch: &Launch, peer: u16) -> Result<Process> {
    let process = launch.start()?;
    let peer = launch.on.at(peer);
    until(&launch.name, "its peer port", START_BOUND, || async {
        process.expect_alive("starting")?;
        Ok(match TcpStream::connect(peer).await {
            Ok(_) => Look::Ready(()),
            Err(error) => Look::Waiting(error.to_string()),
        })
    })
    .await?;
    Ok(process)
}

async fn healthy(process: &Process, client: SocketAddr, bound: Duration) -> Result<()> {
    until(process.name(), "health", bound, || async {
        process.expect_alive("starting")?;
        Ok(match http::get(client, "/health").await {
            Ok(answer) if answer.body.contains(r#""health":"true""#) => Look::Ready(()),
            Ok(answer) => Look::Waiting(answer.body),
            Err(error) => Look::Waiting(error.to_string()),
        })
    })
    .await
}
