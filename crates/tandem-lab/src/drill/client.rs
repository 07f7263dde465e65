//! One outside client: sends one request and writes down how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method};
use serde::Deserialize;
use tandem_core::drill::schedule::Due;
use tandem_core::drill::{Kind, Origin, Request};
use tandem_core::model::{Mono, SiteId};

use super::clock;

/// The header that tells which cloud answered.
pub(crate) const CLOUD_HEADER: &str = "x-cloud-provider";

/// Where and as whom the clients speak.
#[derive(Debug, Clone)]
pub struct Target {
    /// The service's address, without a slash at the end.
    pub url: String,
    /// What `X-Cloud-Provider` says for which site.
    pub clouds: BTreeMap<String, SiteId>,
    /// The run's mark in each written row.
    pub mark: Mark,
    /// Contacts that both sites have; reads ask for these.
    pub contacts: Vec<i64>,
}

/// The run's mark in each written row: `drill-<run>-<number>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// A mark that no other run has.
    pub fn random() -> Self {
        Self(format!("drill-{:016x}-", rand::random::<u64>()))
    }

    /// What every `request_id` of the run begins with.
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// The `request_id` of one write.
    pub fn id(&self, number: u64) -> String {
        format!("{}{number}", self.0)
    }

    /// The write's number, if the row is of this run.
    pub fn number(&self, request_id: &str) -> Option<u64> {
        request_id.strip_prefix(&self.0)?.parse().ok()
    }
}

/// What matters of a contact's row.
#[derive(Debug, Deserialize)]
pub(crate) struct Contact {
    pub(crate) id: i64,
    #[serde(default)]
    pub(crate) origin: Option<String>,
}

/// An HTTP client as a browser far away has one: keep-alive connections, no
/// retries, no cleverness.
pub(crate) fn http_client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(30))
        .build()
}

/// Sends what is due and waits no longer than its client would.
pub(crate) async fn perform(
    http: &Client,
    target: &Target,
    due: Due,
    mut request: Request,
) -> Request {
    let sent = clock::now();
    let patience = sent.until(request.deadline());
    request.sent = Some(sent);
    match tokio::time::timeout(patience, exchange(http, target, due)).await {
        Ok(Ok(answer)) => fill(&mut request, &answer),
        Ok(Err(error)) => {
            request.answered = Some(clock::now());
            request.failure = Some(cause(&error));
        }
        Err(_) => request.failure = Some("no answer in time".to_owned()),
    }
    request
}

/// The record of a request that was never sent.
pub(crate) fn unsent(due: Due, intended: Mono) -> Request {
    Request {
        number: due.number,
        kind: due.kind,
        intended,
        sent: None,
        answered: None,
        status: None,
        cloud: None,
        origin: None,
        failure: None,
        patience_ms: None,
    }
}

struct Answer {
    status: u16,
    cloud: Option<SiteId>,
    origin: Option<Origin>,
    arrived: Mono,
}

async fn exchange(http: &Client, target: &Target, due: Due) -> reqwest::Result<Answer> {
    let response = builder(http, target, due).send().await?;
    let status = response.status().as_u16();
    let cloud = cloud(response.headers(), &target.clouds);
    let body = response.bytes().await?;
    let arrived = clock::now();
    let contact = (due.kind == Kind::Write).then(|| serde_json::from_slice::<Contact>(&body).ok());
    let origin = contact
        .flatten()
        .and_then(|contact| contact.origin?.parse().ok());
    Ok(Answer {
        status,
        cloud,
        origin,
        arrived,
    })
}

fn builder(http: &Client, target: &Target, due: Due) -> reqwest::RequestBuilder {
    match due.kind {
        Kind::Read => http.get(format!(
            "{}/contacts/{}",
            target.url,
            chosen(&target.contacts, due.draw)
        )),
        Kind::Head => http.request(Method::HEAD, format!("{}/health", target.url)),
        Kind::Write => http
            .post(format!("{}/contacts", target.url))
            .header(CONTENT_TYPE, "application/json")
            .body(new_contact(&target.mark.id(due.number), due.number)),
    }
}

/// The JSON of a new contact.
pub(crate) fn new_contact(request_id: &str, number: u64) -> String {
    serde_json::json!({
        "request_id": request_id,
        "name": format!("Contact {number}"),
        "email": format!("contact{number}@example.com"),
        "note": "written by a drill",
    })
    .to_string()
}

fn chosen(contacts: &[i64], draw: u64) -> i64 {
    let count = u64::try_from(contacts.len().max(1)).expect("a count fits");
    let index = usize::try_from(draw % count).expect("smaller than a length");
    contacts.get(index).copied().unwrap_or(1)
}

/// The site that the answer names; `None` if the header is absent, twice there
/// or says something that no site of the lab says.
fn cloud(headers: &HeaderMap, clouds: &BTreeMap<String, SiteId>) -> Option<SiteId> {
    let mut values = headers.get_all(CLOUD_HEADER).iter();
    let first = values.next()?.to_str().ok()?;
    values
        .next()
        .is_none()
        .then(|| clouds.get(first).copied())
        .flatten()
}

fn fill(request: &mut Request, answer: &Answer) {
    request.answered = Some(answer.arrived);
    request.status = Some(answer.status);
    request.cloud = answer.cloud;
    request.origin = answer.origin;
    if !(200..300).contains(&answer.status) {
        request.failure = Some(format!("HTTP {}", answer.status));
    }
}

/// The innermost cause: `connection refused` says more than `error sending request`.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_number_only_their_own_rows() {
        let mark = Mark::random();
        assert_eq!(mark.number(&mark.id(42)), Some(42));
        assert_eq!(mark.number("drill-0-42"), None);
        assert_eq!(mark.number(&format!("{}x", mark.id(4))), None);
        assert_ne!(Mark::random(), Mark::random());
    }

    #[test]
    fn an_absent_double_or_unknown_header_names_no_cloud() {
        let aws: SiteId = "aws".parse().expect("a site");
        let clouds = BTreeMap::from([("AWS".to_owned(), aws)]);
        let mut headers = HeaderMap::new();
        assert_eq!(cloud(&headers, &clouds), None);
        headers.insert(CLOUD_HEADER, "AWS".parse().expect("a value"));
        assert_eq!(cloud(&headers, &clouds), Some(aws));
        headers.append(CLOUD_HEADER, "AWS".parse().expect("a value"));
        assert_eq!(cloud(&headers, &clouds), None);
        headers.insert(CLOUD_HEADER, "aws".parse().expect("a value"));
        assert_eq!(cloud(&headers, &clouds), None);
    }
}
