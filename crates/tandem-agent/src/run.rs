//! One agent, put together: its tasks, from the configuration to the clean stop.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tandem_core::config::{Agent as Settings, Config};
use tandem_core::model::SiteId;
use tandem_store::Store;
use tandem_tls::{Credentials, Listener, Peer, TlsError};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::act::Hand;
use crate::database::{Database, Postgres};
use crate::desk::{self, Desk};
use crate::drive::{Drive, Hands};
use crate::journal::Journal;
use crate::leader::Lead;
use crate::memory::{MemoryError, MemoryFile};
use crate::observe::OtherLook;
use crate::promise::Asker;
use crate::relay::Relay;
use crate::right::Right;
use crate::state::Shared;
use crate::{api, observe, probe, promise, store};

/// Why an agent could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration does not name this agent.
    #[error("tandem.toml names no agent `{name}` at site `{site}`")]
    NotNamed {
        /// The agent.
        name: String,
        /// The site.
        site: SiteId,
    },
    /// An address cannot be listened on.
    #[error("the agent cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its memory is not usable.
    #[error("the agent's memory is not usable")]
    Memory(#[from] MemoryError),
    /// Its database is not configured well.
    #[error("the site's database cannot be used")]
    Database(#[from] tandem_postgres::Error),
    /// Its certificate and key are not usable.
    #[error("the agent's certificates are not usable")]
    Tls(#[from] TlsError),
    /// A task ended that never ends: a bug. The process stops, so that its right runs out.
    #[error("a task of the agent ended unexpectedly")]
    TaskEnded,
}

/// Runs the agent `name` of `site` until `stop`.
///
/// # Errors
/// If it cannot start, or a task of it died.
pub async fn run(
    config: Config,
    site: SiteId,
    name: &str,
    stop: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let credentials = Credentials::of(&config, name)?;
    let store: Arc<dyn Store> = Arc::new(store::connect(&config, site, credentials.as_ref()));
    let database: Option<Arc<dyn Database>> = match config.sites.contains_key(&site) {
        true => Some(Arc::new(Postgres::new(&config, site, name)?)),
        false => None,
    };
    let agent = Agent::start(config, site, name, store, database).await?;
    agent.until(stop).await
}

/// A running agent.
pub struct Agent {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    address: SocketAddr,
    _stop_relay: DropGuard,
}

impl Agent {
    /// Starts every task of the agent. `database` is absent at the witness.
    ///
    /// # Errors
    /// If an address is taken, or the memory is damaged.
    pub async fn start(
        config: Config,
        site: SiteId,
        name: &str,
        store: Arc<dyn Store>,
        database: Option<Arc<dyn Database>>,
    ) -> Result<Self, AgentError> {
        let settings = settings(&config, site, name)?.clone();
        let credentials = Credentials::of(&config, name)?;
        let memory = MemoryFile::open(Path::new(&settings.state_dir))?;
        let stop = CancellationToken::new();
        let relay = start_relay(&config, site, &settings, &stop).await?;
        let listener = TcpListener::bind(&settings.listen).await;
        let listener = listener.map_err(|source| listen_error(&settings.listen, source))?;
        let address = listener
            .local_addr()
            .map_err(|source| listen_error(&settings.listen, source))?;
        let listener = Listener::new(listener, credentials.as_ref())
            .map_err(|source| listen_error(&settings.listen, source))?;
        if credentials.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "this agent answers everybody in the clear: add [tls]");
        }
        let shared = Shared::new(name.to_owned(), config, site, relay, memory.last().cloned());
        let mut agent = Self {
            shared: Arc::new(shared),
            tasks: JoinSet::new(),
            address,
            _stop_relay: stop.drop_guard(),
        };
        tracing::info!(%site, name, %address, "the agent starts");
        let journal = agent.spawn_journal(&store);
        agent.spawn_api(listener, &store, &journal);
        agent.spawn_watchers(&store, credentials.as_ref())?;
        let promisers = probe::agents(
            &agent.shared.config,
            agent.shared.place.other,
            credentials.as_ref(),
            agent.shared.config.policy.authority.call_timeout(),
        )?;
        agent.spawn_loop(&store, memory, database, (journal, promisers));
        Ok(agent)
    }

    /// Where its HTTP API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until `stop`, or until a task dies: then the process must end, so that the right to
    /// write runs out by itself.
    ///
    /// # Errors
    /// [`AgentError::TaskEnded`] if a task died.
    pub async fn until(mut self, stop: impl Future<Output = ()>) -> Result<(), AgentError> {
        tokio::select! {
            () = stop => {
                tracing::info!("the agent stops");
                self.tasks.shutdown().await;
                Ok(())
            }
            ended = self.tasks.join_next() => {
                tracing::error!(?ended, "a task ended that never ends; the agent stops");
                Err(AgentError::TaskEnded)
            }
        }
    }

    fn spawn_journal(&mut self, store: &Arc<dyn Store>) -> Journal {
        let shared = &self.shared;
        let (journal, writer) =
            Journal::new(Arc::clone(store), &shared.config.cluster, &shared.name);
        self.tasks.spawn(writer.run());
        journal
    }

    fn spawn_api(&mut self, listener: Listener, store: &Arc<dyn Store>, journal: &Journal) {
        let shared = &self.shared;
        let desk = Desk::new(Arc::clone(shared), Arc::clone(store), journal.clone());
        let routes = api::router(Arc::clone(shared))
            .merge(promise::router(Arc::clone(shared)))
            .merge(desk::routes(desk));
        self.tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the HTTP API ended");
            }
        });
    }

    /// Probes of every other place, and what agents tell each other through the store.
    fn spawn_watchers(
        &mut self,
        store: &Arc<dyn Store>,
        credentials: Option<&Credentials>,
    ) -> Result<(), AgentError> {
        let config = &self.shared.config;
        let places = config.sites.keys().copied().chain([config.witness.name]);
        for place in places.filter(|place| *place != self.shared.place.site) {
            let bound = Duration::from_millis(config.policy.detection.timeout_ms);
            let agents = probe::agents(config, place, credentials, bound)?;
            self.tasks
                .spawn(probe::watch(Arc::clone(&self.shared), agents, place));
        }
        self.tasks
            .spawn(observe::peers(Arc::clone(&self.shared), Arc::clone(store)));
        self.tasks.spawn(observe::publish(
            Arc::clone(&self.shared),
            Arc::clone(store),
        ));
        self.tasks
            .spawn(observe::people(Arc::clone(&self.shared), Arc::clone(store)));
        Ok(())
    }

    fn spawn_loop(
        &mut self,
        store: &Arc<dyn Store>,
        memory: MemoryFile,
        database: Option<Arc<dyn Database>>,
        (journal, promisers): (Journal, Vec<Peer>),
    ) {
        let shared = &self.shared;
        let (right, orders) = mpsc::channel(1);
        let keeper = Right::new(
            Arc::clone(shared),
            Arc::clone(store),
            memory,
            journal.clone(),
        );
        self.tasks.spawn(keeper.run(orders));
        let lead = Lead::default();
        self.tasks
            .spawn(lead.clone().run(Arc::clone(store), shared.place.witness));
        let (asker, rounds) = Asker::new(Arc::clone(shared), promisers);
        self.tasks.spawn(rounds.run());
        let other = OtherLook::default();
        let database = database.map(|database| {
            let shared = Arc::clone(&self.shared);
            let look = other.clone().run(shared, Arc::clone(&database));
            self.tasks.spawn(look);
            self.spawn_hands(&database, &journal)
        });
        let hands = Hands {
            right,
            database,
            asker,
            other,
            lead,
        };
        self.tasks
            .spawn(Drive::new(Arc::clone(&self.shared), hands, journal).run());
    }

    fn spawn_hands(&mut self, database: &Arc<dyn Database>, journal: &Journal) -> [Hand; 3] {
        self.tasks.spawn(observe::database(
            Arc::clone(&self.shared),
            Arc::clone(database),
        ));
        let mut hand = || {
            let (hand, worker) = Hand::new(
                Arc::clone(&self.shared),
                Arc::clone(database),
                journal.clone(),
            );
            self.tasks.spawn(worker.run());
            hand
        };
        [hand(), hand(), hand()]
    }
}

fn settings<'a>(config: &'a Config, site: SiteId, name: &str) -> Result<&'a Settings, AgentError> {
    let named = config.agents(site).iter().find(|agent| agent.name == name);
    named.ok_or_else(|| AgentError::NotNamed {
        name: name.to_owned(),
        site,
    })
}

/// The relay of a data site leads to the other site's database.
async fn start_relay(
    config: &Config,
    site: SiteId,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<Relay, AgentError> {
    let other = config
        .other_site(site)
        .and_then(|other| config.sites.get(&other));
    let (Some(other), Some(listen)) = (other, &settings.relay_listen) else {
        return Ok(Relay::unconnected());
    };
    let host = other
        .postgres
        .address
        .as_ref()
        .unwrap_or(&other.postgres.host);
    let upstream = format!("{host}:{}", other.postgres.port);
    let started = Relay::start(listen, upstream, stop.clone()).await;
    let (relay, _) = started.map_err(|source| listen_error(listen, source))?;
    // A subscription that is to be made needs the relay before any plan knows of it. One that
    // was stopped is disabled in the database, so nothing flows before the first plan cuts.
    relay.open();
    Ok(relay)
}

fn listen_error(address: &str, source: io::Error) -> AgentError {
    AgentError::Listen {
        address: address.to_owned(),
        source,
    }
}
