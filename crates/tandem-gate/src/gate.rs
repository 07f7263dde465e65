//! A running gate: four listeners, the keeper, and an orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::admin;
use crate::keeper::{self, Keeper};
use crate::protocol::refusal::{Refusal, TOO_MANY};
use crate::roster::{Port, Roster};
use crate::session::{self, Shared};
use crate::settings::{SESSIONS_MAX, Settings};

/// After a failed accept (no more file descriptors) the port rests this long.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Between two looks at the number of sessions for the log.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// What stops a gate from starting.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A port cannot be opened.
    #[error("cannot listen on {address} for the {port} port")]
    Listen {
        /// Which port.
        port: &'static str,
        /// The address of the configuration.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A running gate.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    sessions: TaskTracker,
    addresses: [SocketAddr; 3],
    admin: SocketAddr,
}

impl Gate {
    /// Opens every port and begins to serve.
    ///
    /// # Errors
    /// A port that cannot be opened.
    pub async fn start(settings: Settings) -> Result<Self, GateError> {
        let (rw, rw_address) = listen("rw", &settings.rw_listen).await?;
        let (ro, ro_address) = listen("ro", &settings.ro_listen).await?;
        let (peer, peer_address) = listen("peer", &settings.peer_listen).await?;
        let (admin, admin_address) = listen("admin", &settings.admin_listen).await?;
        let stop = CancellationToken::new();
        let agents = settings.agents.len();
        let keeper = Arc::new(Keeper::new(settings.site, agents, settings.remaining_max));
        keeper::start(&keeper, &settings, &stop);
        let shared = Arc::new(Shared::new(settings, keeper, stop));
        let sessions = TaskTracker::new();
        for (port, listener) in [(Port::Rw, rw), (Port::Ro, ro), (Port::Peer, peer)] {
            tokio::spawn(accept(
                Arc::clone(&shared),
                sessions.clone(),
                port,
                listener,
            ));
        }
        tokio::spawn(admin::serve(Arc::clone(&shared), admin));
        let count = log_counts(Arc::clone(&shared));
        tokio::spawn(shared.stop.clone().run_until_cancelled_owned(count));
        let addresses = [rw_address, ro_address, peer_address];
        info!(rw = %rw_address, ro = %ro_address, peer = %peer_address, admin = %admin_address, "gate serves");
        Ok(Self {
            shared,
            sessions,
            addresses,
            admin: admin_address,
        })
    }

    /// Where `port` listens.
    pub fn address(&self, port: Port) -> SocketAddr {
        self.addresses[port as usize]
    }

    /// Where the admin HTTP listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The keeper of the right to write.
    pub fn keeper(&self) -> &Keeper {
        &self.shared.keeper
    }

    /// Who is connected and what was counted.
    pub fn roster(&self) -> &Roster {
        &self.shared.roster
    }

    /// Stops accepting, ends the sessions between messages and returns when all have ended, or
    /// after the time that the slowest may take.
    pub async fn stop(self) {
        let open = self.sessions.len();
        info!(sessions = open, "gate stops");
        self.shared.stop.cancel();
        self.sessions.close();
        let bounds = &self.shared.settings.bounds;
        let all = bounds.drain + bounds.farewell + Duration::from_millis(100);
        if tokio::time::timeout(all, self.sessions.wait())
            .await
            .is_err()
        {
            warn!(
                sessions = self.sessions.len(),
                "sessions outlived the gate's stop"
            );
        }
    }
}

async fn listen(port: &'static str, address: &str) -> Result<(TcpListener, SocketAddr), GateError> {
    let error = |source| GateError::Listen {
        port,
        address: address.to_owned(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let local = listener.local_addr().map_err(error)?;
    Ok((listener, local))
}

async fn accept(shared: Arc<Shared>, sessions: TaskTracker, port: Port, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(SESSIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((client, _)) => admit(&shared, &sessions, port, client, &places),
            Err(error) => {
                warn!(port = port.name(), %error, "cannot accept");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Says how many sessions there are, when their number has changed.
async fn log_counts(shared: Arc<Shared>) {
    let mut last = [0; 3];
    loop {
        tokio::time::sleep(COUNT_EVERY).await;
        let now = shared
            .roster
            .sessions()
            .map(|row| row.iter().sum::<usize>());
        if now != last {
            let [rw, ro, peer] = now;
            info!(rw, ro, peer, held = shared.roster.held(), "sessions");
            last = now;
        }
    }
}

fn admit(
    shared: &Arc<Shared>,
    sessions: &TaskTracker,
    port: Port,
    client: TcpStream,
    places: &Arc<Semaphore>,
) {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        let message = format!("this gate carries {SESSIONS_MAX} sessions already");
        return session::turn_away(&client, &Refusal::new(TOO_MANY, message));
    };
    let session = session::serve(Arc::clone(shared), port, client);
    sessions.spawn(async move {
        session.await;
        drop(place);
    });
}
