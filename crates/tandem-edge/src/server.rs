//! Starting and stopping: listeners, probes, proxy, admin API.
//!
//! Everything runs on the caller's tokio runtime. Pingora's own server is not
//! used: it blocks a thread, and its stop sleeps a fixed grace period. Here a
//! stop closes the listeners, lets answers under way finish for a moment, and
//! is done in less than a second.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::Service as _;
use pingora_proxy::http_proxy_service_with_name;
use tandem_core::traffic::retry::TRIES_MAX;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::admin;
use crate::config::EdgeConfig;
use crate::prober;
use crate::proxy::Proxy;
use crate::state::{Chance, State};

/// How long a stop waits for answers under way.
const STOP_WAIT: Duration = Duration::from_millis(700);

/// How often a stop looks whether they are done.
const STOP_LOOK: Duration = Duration::from_millis(10);

/// Idle connections kept to all origins together; more are closed after use.
const ORIGIN_CONNECTIONS_MAX: usize = 512;

/// Why an edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The client for probes cannot be built.
    #[error("cannot prepare probes")]
    Probes(#[source] reqwest::Error),
}

/// A running edge. Dropping it stops it at once; [`Edge::stop`] is kinder.
pub struct Edge {
    state: Arc<State>,
    listen: SocketAddr,
    admin_listen: SocketAddr,
    stop: watch::Sender<bool>,
    proxy: JoinSet<()>,
    helpers: JoinSet<()>,
}

impl Edge {
    /// Starts all parts on the current runtime.
    pub fn start(config: EdgeConfig, chance: Chance) -> Result<Self, StartError> {
        let (listener, listen) = bind(config.listen)?;
        let (admin, admin_listen) = bind(config.admin_listen)?;
        let state = Arc::new(State::new(config, chance));
        let (stop, stopping) = watch::channel(false);
        let mut helpers = prober::start(&state).map_err(StartError::Probes)?;
        let admin =
            tokio::net::TcpListener::from_std(admin).map_err(|source| StartError::Listen {
                address: admin_listen,
                source,
            })?;
        let router = admin::router(Arc::clone(&state));
        helpers.spawn(async move {
            if let Err(error) = axum::serve(admin, router).await {
                tracing::error!(%error, "the admin API ended");
            }
        });
        let mut proxy = JoinSet::new();
        proxy.spawn(serve(Arc::clone(&state), listener, listen, stopping));
        Ok(Self {
            state,
            listen,
            admin_listen,
            stop,
            proxy,
            helpers,
        })
    }

    /// Where clients connect.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where the admin API listens.
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    /// Stops: no new requests, a moment for those under way, then the end.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + STOP_WAIT;
        self.stop.send_replace(true);
        self.helpers.abort_all();
        if timeout(STOP_WAIT, self.proxy.join_next()).await.is_err() {
            tracing::debug!("the listener did not close in time");
        }
        while self.state.metrics.in_flight() > 0 && Instant::now() < deadline {
            sleep(STOP_LOOK).await;
        }
    }
}

async fn serve(
    state: Arc<State>,
    listener: TcpListener,
    listen: SocketAddr,
    stopping: watch::Receiver<bool>,
) {
    let conf = ServerConf {
        max_retries: TRIES_MAX,
        upstream_keepalive_pool_size: ORIGIN_CONNECTIONS_MAX,
        ..ServerConf::default()
    };
    let mut service = http_proxy_service_with_name(&Arc::new(conf), Proxy::new(state), "edge");
    service.add_tcp(&listen.to_string());
    let mut fds = Fds::new();
    fds.add(listen.to_string(), listener.into_raw_fd());
    let fds: ListenFds = Arc::new(fds.into());
    service.start_service(Some(fds), stopping, 1).await;
}

/// Binds here, so that a taken address is an error and not a panic later on.
fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = || -> std::io::Result<_> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound().map_err(|source| StartError::Listen { address, source })
}
