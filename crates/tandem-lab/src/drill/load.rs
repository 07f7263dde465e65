//! The load of outside clients: open loop, at the times of the timetable.
//!
//! The clients live on a thread and runtime of their own, so that whatever the
//! runner does (killing, waiting for disks) never delays a request. A slow
//! service does not slow the clients: the next request is due when the
//! timetable says so. In flight are at most as many as the deadline allows,
//! plus room; beyond it a request is written down as never sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::Client;
use tandem_core::drill::history::ANSWER_WITHIN;
use tandem_core::drill::schedule::{Due, timetable};
use tandem_core::drill::{Load, Request};
use tandem_core::model::Mono;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{self, Target};
use super::{Error, clock};

/// Separate clients, each with connections of its own, as far-away users have.
const CLIENTS: usize = 8;

/// What is in flight is bounded by rate times patience; twice that is never
/// reached by an open loop whose requests end at their deadline.
const IN_FLIGHT_FACTOR: u32 = 2;

/// How often the load looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(250);

/// A load that runs.
pub struct Running {
    shared: Arc<Shared>,
    started: Mono,
    thread: JoinHandle<Result<Duration, Error>>,
}

/// A load that has ended.
pub struct Ended {
    /// Every request, by number.
    pub requests: Vec<Request>,
    /// When the first was intended.
    pub started: Mono,
    /// When the last was intended, and its time had passed.
    pub ended: Mono,
    /// Processor time that the clients used.
    pub cpu: Duration,
}

#[derive(Default)]
struct Shared {
    log: Mutex<Vec<Request>>,
    stop: AtomicBool,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Vec<Request>> {
        // Each push is one step: a panic elsewhere leaves whole records behind.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the load; it ends by itself after `span`.
///
/// # Errors
/// If the thread cannot be started.
pub fn start(target: Target, load: Load, span: Duration, seed: u64) -> Result<Running, Error> {
    let shared = Arc::new(Shared::default());
    // The first request is due a moment later, when the thread runs for certain.
    let started = clock::now().after(Duration::from_millis(100));
    let inside = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("clients".into());
    let thread = thread
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .map_err(Error::Thread)?
                .block_on(drive(&inside, target, load, span, seed, started))
        })
        .map_err(Error::Thread)?;
    Ok(Running {
        shared,
        started,
        thread,
    })
}

impl Running {
    /// When the first request was intended.
    pub fn started(&self) -> Mono {
        self.started
    }

    /// The requests that ended since `seen` were seen, and the new count.
    pub fn ended_since(&self, seen: usize) -> (Vec<Request>, usize) {
        let log = self.shared.log();
        (log[seen.min(log.len())..].to_vec(), log.len())
    }

    /// Stops before the end.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Whether every request has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// The whole history; waits for the thread, so call it when
    /// [`Self::is_finished`] or from a thread that may wait.
    ///
    /// # Errors
    /// If the clients could not be made.
    pub fn finish(self) -> Result<Ended, Error> {
        let cpu = self.thread.join().map_err(|_| Error::ClientsPanicked)??;
        let mut requests = std::mem::take(&mut *self.shared.log());
        requests.sort_by_key(|request| request.number);
        let ended = requests.last().map_or(self.started, |last| last.intended);
        Ok(Ended {
            requests,
            started: self.started,
            ended,
            cpu,
        })
    }
}

async fn drive(
    shared: &Arc<Shared>,
    target: Target,
    load: Load,
    span: Duration,
    seed: u64,
    started: Mono,
) -> Result<Duration, Error> {
    let clients: Result<Vec<Client>, _> = (0..CLIENTS).map(|_| client::http_client()).collect();
    let clients = clients.map_err(Error::Client)?;
    let target = Arc::new(target);
    let room = Arc::new(Semaphore::new(in_flight_max(load)));
    let mut tasks = JoinSet::new();
    for due in timetable(load, span, seed) {
        let intended = started.after(due.offset);
        if !wait_for(shared, intended).await {
            break;
        }
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            shared.log().push(crowded(due, intended));
            continue;
        };
        let http = clients[chosen(due)].clone();
        let (shared, target) = (Arc::clone(shared), Arc::clone(&target));
        tasks.spawn(async move {
            let request = client::perform(&http, &target, due, client::unsent(due, intended)).await;
            shared.log().push(request);
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
    Ok(clock::thread_cpu())
}

fn in_flight_max(load: Load) -> usize {
    let seconds = u32::try_from(ANSWER_WITHIN.as_secs()).expect("a few seconds");
    usize::try_from(load.rate_per_s * seconds * IN_FLIGHT_FACTOR).expect("fits")
}

fn chosen(due: Due) -> usize {
    usize::try_from(due.draw >> 32).expect("32 bits fit") % CLIENTS
}

/// Waits for `moment`; false if the load shall stop.
async fn wait_for(shared: &Shared, moment: Mono) -> bool {
    loop {
        if shared.stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = clock::now().until(moment);
        if left.is_zero() {
            return true;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

fn crowded(due: Due, intended: Mono) -> Request {
    let failure = Some("the client had no room for more requests under way".to_owned());
    Request {
        failure,
        ..client::unsent(due, intended)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::Json;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::{get, post};
    use tandem_core::drill::{Kind, Outcome};
    use tokio::sync::watch;

    use super::super::client::Mark;
    use super::*;

    const LOAD: Load = Load {
        rate_per_s: 200,
        write_percent: 30,
    };

    /// A service that answers at once, or holds every answer while `holds` is set.
    async fn service(holds: watch::Receiver<bool>) -> String {
        let write = |State(mut holds): State<watch::Receiver<bool>>| async move {
            let _ = holds.wait_for(|held| !held).await;
            let row = serde_json::json!({ "id": 1, "origin": "aws/1" });
            (
                StatusCode::CREATED,
                [("x-cloud-provider", "AWS")],
                Json(row),
            )
                .into_response()
        };
        let read = || async { ([("x-cloud-provider", "AWS")], "{}") };
        let router = axum::Router::new()
            .route("/contacts", post(write))
            .route("/contacts/{id}", get(read))
            .route("/health", get(read))
            .with_state(holds);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn target(url: String) -> Target {
        let clouds = BTreeMap::from([("AWS".to_owned(), "aws".parse().expect("a site"))]);
        Target {
            url,
            clouds,
            mark: Mark::random(),
            contacts: vec![1, 2, 3],
        }
    }

    async fn finish(running: Running) -> Ended {
        tokio::task::spawn_blocking(|| running.finish())
            .await
            .expect("no panic")
            .expect("clients")
    }

    #[tokio::test]
    async fn a_good_service_succeeds_and_rows_tell_their_origin() {
        let (_keep, holds) = watch::channel(false);
        let running = start(
            target(service(holds).await),
            LOAD,
            Duration::from_secs(1),
            1,
        )
        .expect("a load");
        let ended = finish(running).await;
        assert_eq!(ended.requests.len(), 200);
        assert!(
            ended
                .requests
                .windows(2)
                .all(|pair| pair[0].number + 1 == pair[1].number)
        );
        for request in ended.requests.iter().filter(|r| r.succeeded()) {
            assert_eq!(
                request.cloud.map(|site| site.to_string()).as_deref(),
                Some("aws")
            );
            assert_eq!(request.origin.is_some(), request.kind == Kind::Write);
        }
        assert!(
            ended
                .requests
                .iter()
                .any(|r| r.kind == Kind::Head && r.status == Some(200))
        );
    }

    #[tokio::test]
    async fn a_stalled_service_does_not_stop_the_timetable() {
        let (_keep, holds) = watch::channel(true);
        let running = start(
            target(service(holds).await),
            LOAD,
            Duration::from_secs(3),
            1,
        )
        .expect("a load");
        let ended = finish(running).await;
        assert_eq!(ended.requests.len(), 600);
        assert!(
            ended.requests.iter().all(|r| r.sent.is_some()),
            "none was left out"
        );
        let writes = || ended.requests.iter().filter(|r| r.kind == Kind::Write);
        assert!(writes().all(|write| write.outcome() == Outcome::Unknown));
    }

    #[tokio::test]
    async fn a_dead_service_is_told_by_its_cause() {
        let running = start(
            target("http://127.0.0.1:1".into()),
            LOAD,
            Duration::from_millis(50),
            1,
        );
        let ended = finish(running.expect("a load")).await;
        let failure = ended.requests[0].failure.clone().expect("a failure");
        assert!(failure.to_lowercase().contains("refused"), "{failure}");
    }
}
