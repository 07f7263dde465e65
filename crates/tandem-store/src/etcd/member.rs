//! One member: its connection, and what a failed try proves.
//!
//! A connection that once failed to answer is thrown away, because one that
//! went silent (a cut link) may stay so for minutes while TCP backs off.

use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, TlsOptions};
use tandem_core::model::SiteId;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Member, Tls};
use crate::StoreError;

/// What a try that gave no answer proves.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing left this process.
    NotSent,
    /// The question may have arrived.
    NoAnswer,
    /// The member answered that it will not do it.
    Refused(String),
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotSent => Self::Unreachable,
            Failed::NoAnswer => Self::Unknown,
            Failed::Refused(why) => Self::Refused(why),
        }
    }
}

/// A member and the connection to it, if one is up.
pub(super) struct Connection {
    member: Member,
    tls: Option<Tls>,
    client: Mutex<Option<Client>>,
}

impl Connection {
    pub(super) fn new(member: Member, tls: Option<Tls>) -> Self {
        Self {
            member,
            tls,
            client: Mutex::new(None),
        }
    }

    pub(super) fn site(&self) -> SiteId {
        self.member.site
    }

    /// Asks this member once, within `bound`.
    pub(super) async fn attempt<T, F, Fut>(
        &self,
        bound: Duration,
        question: &F,
    ) -> Result<T, Failed>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        if bound.is_zero() {
            return Err(Failed::NotSent);
        }
        let connected = timeout(bound, self.connected()).await;
        let client = connected.ok().flatten().ok_or(Failed::NotSent)?;
        let failed = match timeout(bound, question(client)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => meaning(&error),
            Err(_elapsed) => Failed::NoAnswer,
        };
        tracing::debug!(member = %self.member.site, ?failed, "the store's member gave no answer");
        if !matches!(failed, Failed::Refused(_)) {
            self.client.lock().await.take();
        }
        Err(failed)
    }

    /// The client, after a connection was seen to open. etcd-client connects lazily, so
    /// without this look a dead member could not be told from a lost reply.
    async fn connected(&self) -> Option<Client> {
        let mut slot = self.client.lock().await;
        if slot.is_none() {
            let url = self.member.url.as_str();
            let address = url
                .split_once("://")
                .map_or(url, |(_, rest)| rest)
                .trim_end_matches('/');
            TcpStream::connect(address).await.ok()?;
            let connected = Client::connect([url], Some(self.options())).await;
            let noted = connected.inspect_err(
                |error| tracing::debug!(member = %self.member.site, %error, "no connection"),
            );
            *slot = noted.ok();
        }
        slot.clone()
    }

    fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::new().with_require_leader(true);
        let Some(tls) = &self.tls else {
            return options;
        };
        let name = format!("etcd-{}{}", self.member.site, tls.suffix);
        let tls = TlsOptions::new()
            .domain_name(name)
            .ca_certificate(Certificate::from_pem(&tls.ca))
            .identity(Identity::from_pem(&tls.certificate, &tls.key));
        options.with_tls(tls)
    }
}

/// gRPC status codes by which a server says that it did not and will not do it.
/// Everything else (unavailable, deadline exceeded, ...) may hide a committed change.
const REFUSALS: [i32; 6] = [
    3,  // invalid argument
    5,  // not found
    7,  // permission denied
    9,  // failed precondition
    11, // out of range
    16, // unauthenticated
];

fn meaning(error: &Error) -> Failed {
    match error {
        Error::GRpcStatus(status) if REFUSALS.contains(&i32::from(status.code())) => {
            Failed::Refused(status.message().to_owned())
        }
        Error::InvalidArgs(_) | Error::InvalidUri(_) => Failed::Refused(error.to_string()),
        _ => Failed::NoAnswer,
    }
}
