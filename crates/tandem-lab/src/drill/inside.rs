//! Clients inside the sites: one write every so often at every door of each.
//!
//! They stand beside the processes they write to, so that no cut wire hides from them what a
//! cut-off site says to its own people. Each attempt is on its own and patient: an answer that a
//! frozen gate keeps back is awaited, since a late answer is just what the oracle looks for.
//! Sessions are used again when they lived, so that old ones and new ones are tried alike. A write
//! counts as sent when its session is there: one that a gate held and let through too late shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tandem_core::drill::inside::INSIDE_NUMBERS;
use tandem_core::drill::schedule::Due;
use tandem_core::drill::{Door, Inside, Kind, Origin, Request};
use tandem_core::model::{Mono, SiteId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::{self, Mark, Target};
use super::{Error, clock};

/// How long one client waits: longer than anything stays frozen in a drill.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long answers may still come when the load has ended.
const GRACE: Duration = Duration::from_secs(3);

/// Writes under way at one door; beyond it none is added.
const IN_FLIGHT_MAX: usize = 60;

/// Sessions that are being opened at one door, those that a gate holds included: logging in
/// costs a busy machine more than a write does.
const OPENING_MAX: usize = 4;

/// Numbers that one door may use.
const NUMBERS: u64 = 1 << 24;

const INSERT: &str = "INSERT INTO contact (request_id, name, email) VALUES ($1, 'Inside', 'inside@example.com') RETURNING origin::text";

/// How a door is written to.
#[derive(Debug, Clone)]
pub enum Way {
    /// Over HTTP.
    Application(String),
    /// As a session of the application's role, through a gate.
    Gate(Config),
    /// The same, past every gate.
    Database(Config),
}

impl Way {
    fn door(&self) -> Door {
        match self {
            Self::Application(_) => Door::Application,
            Self::Gate(_) => Door::Gate,
            Self::Database(_) => Door::Database,
        }
    }
}

/// Clients that write.
pub struct Running {
    log: Arc<Mutex<Vec<Inside>>>,
    stop: DropGuard,
    thread: JoinHandle<Result<(), Error>>,
}

/// Starts a client at every door; they go on until they are told to stop.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(
    doors: Vec<(String, Way)>,
    clouds: &BTreeMap<String, SiteId>,
    mark: &Mark,
    every: Duration,
) -> Result<Running, Error> {
    let (log, stop) = (Arc::default(), CancellationToken::new());
    let crew = Crew {
        log: Arc::clone(&log),
        stop: stop.clone(),
        over: CancellationToken::new(),
        clouds: clouds.clone(),
        mark: mark.clone(),
        every,
    };
    let thread = std::thread::Builder::new().name("inside".into());
    let thread = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.map_err(Error::Thread)?.block_on(crew.work(doors))
    });
    Ok(Running {
        log,
        stop: stop.drop_guard(),
        thread: thread.map_err(Error::Thread)?,
    })
}

impl Running {
    /// Stops the clients and gives every write; waits for the thread.
    ///
    /// # Errors
    /// If a client could not be made.
    pub fn finish(self) -> Result<Vec<Inside>, Error> {
        drop(self.stop);
        self.thread.join().map_err(|_| Error::ClientsPanicked)??;
        let mut all = std::mem::take(&mut *locked(&self.log));
        all.sort_by_key(|inside| inside.request.number);
        Ok(all)
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one push or one pop: a panic elsewhere leaves whole values behind.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all clients share.
struct Crew {
    log: Arc<Mutex<Vec<Inside>>>,
    /// No more writes are begun.
    stop: CancellationToken,
    /// Nobody waits for an answer any more.
    over: CancellationToken,
    clouds: BTreeMap<String, SiteId>,
    mark: Mark,
    every: Duration,
}

impl Crew {
    async fn work(self, doors: Vec<(String, Way)>) -> Result<(), Error> {
        let crew = Arc::new(self);
        let mut posts = JoinSet::new();
        for (index, (process, way)) in (0..).zip(doors) {
            let post = Post::new(&crew, process, way, INSIDE_NUMBERS + index * NUMBERS)?;
            posts.spawn(Arc::new(post).stand());
        }
        crew.stop.cancelled().await;
        let done = async { while posts.join_next().await.is_some() {} };
        if timeout(GRACE, done).await.is_err() {
            crew.over.cancel();
            while posts.join_next().await.is_some() {}
        }
        Ok(())
    }
}

/// One client at one door.
struct Post {
    crew: Arc<Crew>,
    process: String,
    door: Door,
    means: Means,
    first: u64,
}

/// What a client writes with.
enum Means {
    Http(reqwest::Client, Target),
    Sessions(Box<Sessions>),
}

/// Sessions at one door.
struct Sessions {
    config: Config,
    idle: Mutex<Vec<Client>>,
    opening: Semaphore,
}

impl Post {
    fn new(crew: &Arc<Crew>, process: String, way: Way, first: u64) -> Result<Self, Error> {
        let door = way.door();
        let means = match way {
            Way::Application(url) => Means::Http(
                client::http_client().map_err(Error::Client)?,
                Target {
                    url,
                    clouds: crew.clouds.clone(),
                    mark: crew.mark.clone(),
                    contacts: Vec::new(),
                },
            ),
            Way::Gate(config) | Way::Database(config) => Means::Sessions(Box::new(Sessions {
                config,
                idle: Mutex::new(Vec::new()),
                opening: Semaphore::new(OPENING_MAX),
            })),
        };
        let crew = Arc::clone(crew);
        Ok(Self {
            crew,
            process,
            door,
            means,
            first,
        })
    }

    async fn stand(self: Arc<Self>) {
        let mut ticks = interval(self.crew.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut attempts = JoinSet::new();
        for number in self.first..self.first + NUMBERS {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.crew.stop.cancelled() => break,
            }
            while attempts.try_join_next().is_some() {}
            if attempts.len() < IN_FLIGHT_MAX {
                attempts.spawn(Arc::clone(&self).attempt(number));
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    async fn attempt(self: Arc<Self>, number: u64) {
        let unsent = patient(number);
        let request = tokio::select! {
            request = self.write(unsent.clone()) => request,
            () = self.crew.over.cancelled() => Request {
                failure: Some("no answer by the end of the drill".into()),
                ..unsent
            },
        };
        locked(&self.crew.log).push(Inside {
            process: self.process.clone(),
            door: self.door,
            request,
        });
    }

    async fn write(&self, unsent: Request) -> Request {
        let sessions = match &self.means {
            Means::Http(http, target) => {
                let due = Due {
                    number: unsent.number,
                    offset: Duration::ZERO,
                    kind: Kind::Write,
                    draw: 0,
                };
                return client::perform(http, target, due, unsent).await;
            }
            Means::Sessions(sessions) => sessions,
        };
        let id = self.crew.mark.id(unsent.number);
        let mut request = unsent;
        match timeout(PATIENCE, sessions.insert(&id, &mut request.sent)).await {
            Ok(result) => settle(&mut request, result),
            Err(_) => request.failure = Some("no answer in time".into()),
        }
        request
    }
}

fn patient(number: u64) -> Request {
    let millis = u64::try_from(PATIENCE.as_millis()).expect("a minute");
    Request {
        number,
        kind: Kind::Write,
        intended: clock::now(),
        sent: None,
        answered: None,
        status: None,
        cloud: None,
        origin: None,
        failure: None,
        patience_ms: Some(millis),
    }
}

/// A refusal of the server counts like HTTP's 503; a broken session leaves the outcome open.
fn settle(request: &mut Request, result: Result<Option<String>, tokio_postgres::Error>) {
    request.answered = Some(clock::now());
    match result {
        Ok(origin) => {
            request.status = Some(201);
            request.origin = origin.and_then(|origin| origin.parse::<Origin>().ok());
        }
        Err(error) => {
            let said = error.as_db_error();
            request.status = said.map(|_| 503);
            request.failure = Some(said.map_or_else(
                || error.to_string(),
                |said| format!("{}: {}", said.code().code(), said.message()),
            ));
        }
    }
}

impl Sessions {
    /// One write; `sent` is set when it goes out on a session that is there.
    async fn insert(
        &self,
        id: &str,
        sent: &mut Option<Mono>,
    ) -> Result<Option<String>, tokio_postgres::Error> {
        let session = self.session().await?;
        *sent = Some(clock::now());
        let row = session.query_one(INSERT, &[&id]).await;
        if !session.is_closed() {
            locked(&self.idle).push(session);
        }
        row?.try_get(0)
    }

    /// One that lives, or a new one.
    async fn session(&self) -> Result<Client, tokio_postgres::Error> {
        if let Some(found) = self.found() {
            return Ok(found);
        }
        let _place = self.opening.acquire().await.expect("never closed");
        // Somebody may have given one back meanwhile.
        if let Some(found) = self.found() {
            return Ok(found);
        }
        let (session, connection) = self.config.connect(NoTls).await?;
        // Ends with the session.
        tokio::spawn(connection);
        Ok(session)
    }

    fn found(&self) -> Option<Client> {
        let mut idle = locked(&self.idle);
        idle.retain(|session| !session.is_closed());
        idle.pop()
    }
}

/// [`Running::finish`] without letting others wait.
pub(super) async fn ended(running: Running) -> Result<Vec<Inside>, Error> {
    let joined = tokio::task::spawn_blocking(|| running.finish()).await;
    joined.map_err(|_| Error::ClientsPanicked)?
}
