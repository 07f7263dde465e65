//! How long a row written at one site takes to be seen at the other.
//!
//! Each probe writes through the CRM of the one site and reads through the CRM
//! of the other, as the guide's third test does; the clock runs from the
//! acknowledgement to the first answer that shows the row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tokio::task::JoinSet;

use super::client::{self, Contact, Mark};
use super::{Error, clock};

/// A row that is not seen by then is counted as never seen.
const GIVE_UP: Duration = Duration::from_secs(10);

/// How often the other site is asked: the error of one figure.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// The most probes under way; beyond it one is left out.
const IN_FLIGHT_MAX: usize = 64;

/// What the probes found.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// From acknowledgement to first sight.
    pub after: Vec<Duration>,
    /// Rows that were never seen.
    pub never: u64,
    /// Rows that could not be written.
    pub unwritten: u64,
}

/// Probes until `stop` is set.
///
/// # Errors
/// If the client cannot be made.
pub async fn probe(
    from: String,
    to: String,
    every: Duration,
    stop: Arc<AtomicBool>,
) -> Result<Seen, Error> {
    let http = client::http_client().map_err(Error::Client)?;
    let mark = Mark::random();
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut probes = JoinSet::new();
    let mut seen = Seen::default();
    for number in 0.. {
        ticks.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        while let Some(ended) = probes.try_join_next() {
            seen.count(ended.unwrap_or(Probe::Unwritten));
        }
        if probes.len() < IN_FLIGHT_MAX {
            probes.spawn(one(
                http.clone(),
                from.clone(),
                to.clone(),
                mark.id(number),
                number,
            ));
        }
    }
    for ended in probes.join_all().await {
        seen.count(ended);
    }
    Ok(seen)
}

#[derive(Clone, Copy)]
enum Probe {
    After(Duration),
    Never,
    Unwritten,
}

impl Seen {
    fn count(&mut self, probe: Probe) {
        match probe {
            Probe::After(span) => self.after.push(span),
            Probe::Never => self.never += 1,
            Probe::Unwritten => self.unwritten += 1,
        }
    }
}

async fn one(http: Client, from: String, to: String, request_id: String, number: u64) -> Probe {
    let Some(id) = write(&http, &from, &request_id, number).await else {
        return Probe::Unwritten;
    };
    let acknowledged = clock::now();
    let url = format!("{to}/contacts/{id}");
    while clock::now().since(acknowledged) < GIVE_UP {
        let answer = http.get(&url).timeout(GIVE_UP).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Probe::After(clock::now().since(acknowledged));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Probe::Never
}

async fn write(http: &Client, from: &str, request_id: &str, number: u64) -> Option<i64> {
    let request = http
        .post(format!("{from}/contacts"))
        .timeout(GIVE_UP)
        .header(CONTENT_TYPE, "application/json")
        .body(client::new_contact(request_id, number));
    let answer = request.send().await.ok()?.error_for_status().ok()?;
    answer
        .json::<Contact>()
        .await
        .ok()
        .map(|contact| contact.id)
}
