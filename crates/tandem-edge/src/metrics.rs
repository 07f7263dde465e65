//! Counters, and their page in Prometheus' text format.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tandem_core::traffic::health::Status;
use tandem_core::traffic::model::Pool;
use tandem_core::traffic::retry::Progress;

use crate::state::Seen;

/// Status codes 100 to 999; 0 to 99 stand for "no answer reached the client".
const CODES: usize = 1_000;

/// Counters of one edge.
pub(crate) struct Metrics {
    pools: Vec<PoolCounters>,
    /// Answered without any pool.
    homeless: PoolCounters,
    in_flight: AtomicU64,
}

struct PoolCounters {
    id: String,
    answers: Vec<AtomicU64>,
    retries_never_sent: AtomicU64,
    retries_safe: AtomicU64,
    ejections: AtomicU64,
}

impl PoolCounters {
    fn new(id: String) -> Self {
        Self {
            id,
            answers: (0..CODES).map(|_| AtomicU64::new(0)).collect(),
            retries_never_sent: AtomicU64::new(0),
            retries_safe: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// All zero.
    pub(crate) fn new(ids: Vec<String>) -> Self {
        Self {
            pools: ids.into_iter().map(PoolCounters::new).collect(),
            homeless: PoolCounters::new("none".to_owned()),
            in_flight: AtomicU64::new(0),
        }
    }

    /// A request came in.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A request is over.
    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// A request of `pool` was answered with `status`; 0 = the client saw none.
    pub(crate) fn count_answer(&self, pool: Option<usize>, status: u16) {
        let counters = pool.map_or(&self.homeless, |pool| &self.pools[pool]);
        counters.answers[usize::from(status).min(CODES - 1)].fetch_add(1, Relaxed);
    }

    /// A request that failed in `pool` is tried again.
    pub(crate) fn count_retry(&self, pool: usize, progress: Progress) {
        let counters = &self.pools[pool];
        let counter = match progress {
            Progress::NeverSent => &counters.retries_never_sent,
            Progress::MaybeSent | Progress::Answering => &counters.retries_safe,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// An origin of `pool` became unhealthy.
    pub(crate) fn count_ejection(&self, pool: usize) {
        self.pools[pool].ejections.fetch_add(1, Relaxed);
    }

    /// The page.
    pub(crate) fn page<'a>(&self, pools: impl Iterator<Item = (&'a Pool, &'a [Seen])>) -> String {
        let mut page = Page(String::new());
        page.head(
            "tandem_edge_requests_total",
            "counter",
            "answered requests; status 0 = none seen",
        );
        for pool in self.pools.iter().chain([&self.homeless]) {
            for (status, count) in pool.answers.iter().enumerate() {
                page.answers(&pool.id, status, count.load(Relaxed));
            }
        }
        page.head(
            "tandem_edge_retries_total",
            "counter",
            "requests tried again elsewhere",
        );
        for pool in &self.pools {
            for (why, count) in [
                ("never_sent", &pool.retries_never_sent),
                ("safe", &pool.retries_safe),
            ] {
                let labels = format!("pool=\"{}\",why=\"{why}\"", pool.id);
                page.line("tandem_edge_retries_total", &labels, count.load(Relaxed));
            }
        }
        page.head(
            "tandem_edge_ejections_total",
            "counter",
            "times an origin became unhealthy",
        );
        for pool in &self.pools {
            let labels = format!("pool=\"{}\"", pool.id);
            page.line(
                "tandem_edge_ejections_total",
                &labels,
                pool.ejections.load(Relaxed),
            );
        }
        page.head(
            "tandem_edge_origin_healthy",
            "gauge",
            "1 = the origin is believed healthy",
        );
        for (pool, seen) in pools {
            for (origin, seen) in pool.origins.iter().zip(seen) {
                let labels = format!("pool=\"{}\",origin=\"{}\"", pool.id, origin.name);
                let healthy = seen.health.status() == Status::Healthy;
                page.line("tandem_edge_origin_healthy", &labels, u64::from(healthy));
            }
        }
        page.head(
            "tandem_edge_requests_in_flight",
            "gauge",
            "requests under way",
        );
        page.line("tandem_edge_requests_in_flight", "", self.in_flight());
        page.0
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("memory takes it");
    }

    fn line(&mut self, name: &str, labels: &str, value: u64) {
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        writeln!(self.0, "{name}{labels} {value}").expect("memory takes it");
    }

    fn answers(&mut self, pool: &str, status: usize, count: u64) {
        if count > 0 {
            let labels = format!("pool=\"{pool}\",status=\"{status}\"");
            self.line("tandem_edge_requests_total", &labels, count);
        }
    }
}
