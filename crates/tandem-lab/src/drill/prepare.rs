//! Before the load: is the service well, and are there contacts to read?
//!
//! The reads of a drill ask for contacts that *both* sites have, so that a
//! replica which is a moment behind is not counted as an outage.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tandem_core::drill::Drill;
use tandem_core::model::SiteId;

use super::client::{self, CLOUD_HEADER, Contact, Mark};
use super::progress::{Progress, Tell};
use super::stage::Stage;
use super::{Error, clock, databases};

/// Contacts to read from.
const CONTACTS: u64 = 40;

/// How long the service may take to be well; generous, for busy machines.
const READY: Duration = Duration::from_secs(120);

/// How long between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Waits until the primary is the one that the drill starts from, both clouds
/// answer with their right name, and contacts are readable at both; gives these.
///
/// # Errors
/// [`Error::NotReady`] with what was seen last.
pub(super) async fn ready(stage: &Stage, drill: &Drill, tell: Tell<'_>) -> Result<Vec<i64>, Error> {
    let http = client::http_client().map_err(Error::Client)?;
    tell(&Progress::Phase(
        "waiting until both clouds answer with their name".into(),
    ));
    for (name, site) in stage.clouds() {
        until("a right X-Cloud-Provider", async || {
            names_itself(&http, &stage.crm(site), &name).await
        })
        .await?;
    }
    until("both clouds behind the edge", async || {
        both_behind_edge(stage, &http).await
    })
    .await?;
    for statement in &drill.setup {
        let told = databases::run(stage, statement.site, &statement.sql, true).await?;
        if !told.as_expected {
            let (site, said) = (statement.site, told.said);
            return Err(Error::NotReady(format!(
                "the setup at {site} failed: {said}"
            )));
        }
    }
    tell(&Progress::Phase(format!(
        "writing {CONTACTS} contacts and waiting until both clouds show them"
    )));
    let mark = Mark::random();
    let mut contacts = Vec::new();
    for number in 0..CONTACTS {
        let created = until("a written contact", async || {
            create(&http, &stage.edge(), &mark, number).await
        });
        let (id, origin) = created.await?;
        if origin != drill.primary.to_string() {
            return Err(Error::NotReady(format!(
                "{origin} takes the writes, the drill starts from {}",
                drill.primary
            )));
        }
        contacts.push(id);
    }
    for site in stage.clouds().into_values() {
        shown(stage, &http, site, &contacts).await?;
    }
    Ok(contacts)
}

async fn shown(stage: &Stage, http: &Client, site: SiteId, contacts: &[i64]) -> Result<(), Error> {
    for id in contacts {
        let url = format!("{}/contacts/{id}", stage.crm(site));
        until("replication", async || {
            let answer = http
                .get(&url)
                .timeout(ANSWER)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            let good = answer.status().is_success();
            good.then_some(()).ok_or(format!(
                "{site} answers {} for contact {id}",
                answer.status()
            ))
        })
        .await?;
    }
    Ok(())
}

/// GET and HEAD of an instance say the name of its cloud.
async fn names_itself(http: &Client, crm: &str, name: &str) -> Result<(), String> {
    for request in [
        http.get(format!("{crm}/health")),
        http.head(format!("{crm}/health")),
    ] {
        let answer = request
            .timeout(ANSWER)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let told = answer
            .headers()
            .get(CLOUD_HEADER)
            .and_then(|value| value.to_str().ok());
        if told != Some(name) {
            return Err(format!("{crm} says {told:?} and not {name}"));
        }
        if !answer.status().is_success() {
            return Err(format!("{crm}/health answers {}", answer.status()));
        }
    }
    Ok(())
}

/// A few answers in a row of the edge must come from both clouds.
async fn both_behind_edge(stage: &Stage, http: &Client) -> Result<(), String> {
    let mut named = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let url = format!("{}/health", stage.edge());
        let answer = http
            .get(url)
            .timeout(ANSWER)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        if let Some(name) = answer
            .headers()
            .get(CLOUD_HEADER)
            .and_then(|value| value.to_str().ok())
        {
            named.insert(name.to_owned());
        }
    }
    let missing: Vec<String> = stage
        .clouds()
        .into_keys()
        .filter(|name| !named.contains(name))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("no answer from {}", missing.join(", ")))
    }
}

async fn create(
    http: &Client,
    edge: &str,
    mark: &Mark,
    number: u64,
) -> Result<(i64, String), String> {
    let request = http
        .post(format!("{edge}/contacts"))
        .timeout(ANSWER)
        .header(CONTENT_TYPE, "application/json")
        .body(client::new_contact(&mark.id(number), number));
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.text().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("{status}: {body}"));
    }
    let contact: Contact = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    let origin = contact.origin.unwrap_or_default();
    Ok((
        contact.id,
        origin.split('/').next().unwrap_or_default().to_owned(),
    ))
}

async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, Error> {
    let begun = clock::now();
    loop {
        match look().await {
            Ok(value) => return Ok(value),
            Err(last) if clock::now().since(begun) > READY => {
                return Err(Error::NotReady(format!(
                    "no {what} within {} s: {last}",
                    READY.as_secs()
                )));
            }
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}
