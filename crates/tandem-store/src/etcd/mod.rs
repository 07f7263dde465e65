//! The etcd driver.
//!
//! One client per member, asked in the order given (the local one first), a
//! short try each, so that a silent member costs 0.3 s and not the whole call.
//! A conditional change may safely be sent to the next member after a lost
//! reply: both copies compare the same `mod_revision`, so at most one commits
//! and a definite answer to the second settles the first.
//!
//! Refused: etcd-client's own balancing over all endpoints. It picks by load,
//! and we want the nearest member that answers.

mod member;

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{
    Client, Compare, CompareOp, Error, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse,
    TxnResponse, WatchOptions,
};
use tandem_core::model::SiteId;
use tokio::time::{Instant, timeout};

use self::member::{Connection, Failed};
use crate::{Beside, Change, Entry, PREFIX_ENTRIES_MAX, Store, StoreError, Versioned};

/// One member of the etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The site where it runs.
    pub site: SiteId,
    /// Its client address, `http://host:port`.
    pub url: String,
}

/// Bounds of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The whole call, over all members.
    pub call: Duration,
    /// One try at one member. Three tries fit into the default call of 1 s.
    pub attempt: Duration,
}

impl Timing {
    /// Tries of 300 ms (design section 2), shorter if the call is shorter than three of them.
    pub fn of_call(call: Duration) -> Self {
        Self {
            call,
            attempt: (call / 3).min(Duration::from_millis(300)),
        }
    }
}

/// What members and this client show each other, as PEM.
#[derive(Clone)]
pub struct Tls {
    /// The certificate of the cluster's authority.
    pub ca: String,
    /// This client's certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// What follows the site in the name that a member's certificate must carry:
    /// `etcd-SITE` + suffix. The address says nothing about who answers there.
    pub suffix: String,
}

/// A [`Store`] over real etcd members (3.4 or later).
pub struct Etcd {
    members: Vec<Connection>,
    timing: Timing,
}

impl Etcd {
    /// A driver that asks `members` in this order. Connects at the first call.
    pub fn new(members: Vec<Member>, timing: Timing) -> Self {
        Self::with(members, timing, None)
    }

    /// The same with mutual TLS.
    pub fn secured(members: Vec<Member>, timing: Timing, tls: Tls) -> Self {
        Self::with(members, timing, Some(tls))
    }

    fn with(members: Vec<Member>, timing: Timing, tls: Option<Tls>) -> Self {
        let connection = |member| Connection::new(member, tls.clone());
        let members = members.into_iter().map(connection).collect();
        Self { members, timing }
    }

    /// Asks one member after the other until one gives a definite answer.
    async fn ask<T, F, Fut>(&self, question: F) -> Result<T, StoreError>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + self.timing.call;
        let mut sent = false;
        for member in &self.members {
            let left = deadline.saturating_duration_since(Instant::now());
            match member
                .attempt(left.min(self.timing.attempt), &question)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(Failed::NotSent) => {}
                Err(Failed::NoAnswer) => sent = true,
                Err(Failed::Refused(why)) => return Err(StoreError::Refused(why)),
            }
        }
        Err(if sent {
            StoreError::Unknown
        } else {
            StoreError::Unreachable
        })
    }

    async fn change(&self, txn: Txn) -> Result<Change, StoreError> {
        let answer = self
            .ask(|mut client| {
                let txn = txn.clone();
                async move { client.txn(txn).await }
            })
            .await?;
        change_of(&answer)
    }

    /// Own id and leader's id of each member that answers, with its place in the list.
    async fn roles(&self) -> Vec<(usize, u64, u64)> {
        let mut roles = Vec::new();
        for (place, member) in self.members.iter().enumerate() {
            let status = |mut client: Client| async move { client.status().await };
            if let Ok(status) = member.attempt(self.timing.attempt, &status).await {
                let own = status.header().map_or(0, |header| header.member_id());
                roles.push((place, own, status.leader()));
            }
        }
        roles
    }
}

#[async_trait]
impl Store for Etcd {
    async fn read(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let answer = self
            .ask(|mut client| async move { client.get(key, None).await })
            .await?;
        answer.kvs().first().map(versioned).transpose()
    }

    async fn read_prefix(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let limit = i64::try_from(PREFIX_ENTRIES_MAX).expect("a small constant");
        let options = GetOptions::new().with_prefix().with_limit(limit);
        let answer = self
            .ask(|mut client| {
                let options = options.clone();
                async move { client.get(prefix, Some(options)).await }
            })
            .await?;
        answer.kvs().iter().map(entry).collect()
    }

    async fn create(&self, key: &str, value: &str) -> Result<Change, StoreError> {
        let absent = Compare::create_revision(key, CompareOp::Equal, 0);
        self.change(guarded(key, vec![absent], &[(key, value)]))
            .await
    }

    async fn replace(
        &self,
        key: &str,
        expected: &Versioned,
        value: &str,
    ) -> Result<Change, StoreError> {
        self.replace_with(key, expected, Beside::default(), value)
            .await
    }

    async fn replace_with(
        &self,
        key: &str,
        expected: &Versioned,
        beside: Beside<'_>,
        value: &str,
    ) -> Result<Change, StoreError> {
        let revision = i64::try_from(expected.mod_revision)
            .map_err(|_| StoreError::Refused("revision out of range".into()))?;
        let mut same = vec![
            Compare::mod_revision(key, CompareOp::Equal, revision),
            Compare::value(key, CompareOp::Equal, expected.value.as_str()),
        ];
        let others = beside.holds.iter();
        same.extend(others.map(|(key, value)| Compare::value(*key, CompareOp::Equal, *value)));
        let mut writes = vec![(key, value)];
        writes.extend(beside.writes);
        self.change(guarded(key, same, &writes)).await
    }

    async fn put(&self, key: &str, value: &str) -> Result<u64, StoreError> {
        let answer = self
            .ask(|mut client| async move { client.put(key, value, None).await })
            .await?;
        revision_of(answer.header().map(|header| header.revision()))
    }

    async fn wait_for_change(
        &self,
        key: &str,
        after: u64,
        bound: Duration,
    ) -> Result<bool, StoreError> {
        let next = i64::try_from(after).unwrap_or(i64::MAX).saturating_add(1);
        let options = WatchOptions::new().with_start_revision(next);
        let mut answers = self
            .ask(|mut client| {
                let options = options.clone();
                async move { client.watch(key, Some(options)).await }
            })
            .await?;
        let changed = async {
            loop {
                match answers.message().await {
                    // A watch that the server ends has missed something.
                    Ok(Some(told)) if told.canceled() || !told.events().is_empty() => {
                        return Ok(true);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return Err(StoreError::Unknown),
                }
            }
        };
        timeout(bound, changed).await.unwrap_or(Ok(false))
    }

    async fn leader(&self) -> Result<Option<SiteId>, StoreError> {
        let roles = self.roles().await;
        if roles.is_empty() {
            return Err(StoreError::Unreachable);
        }
        let leader = roles.iter().find(|(_, own, leader)| own == leader);
        Ok(leader.map(|(place, ..)| self.members[*place].site()))
    }

    async fn move_leader_to(&self, site: SiteId) -> Result<(), StoreError> {
        let roles = self.roles().await;
        let at_site = |place: usize| self.members[place].site() == site;
        let (_, target, leader) = *roles
            .iter()
            .find(|(place, ..)| at_site(*place))
            .ok_or_else(|| StoreError::Refused(format!("the member at {site} does not answer")))?;
        if target == leader {
            return Ok(());
        }
        let (place, ..) = *roles
            .iter()
            .find(|(_, own, leader)| own == leader)
            .ok_or_else(|| StoreError::Refused("the leader cannot be reached from here".into()))?;
        let order = |mut client: Client| async move { client.move_leader(target).await };
        let answer = self.members[place].attempt(self.timing.call, &order).await;
        answer.map(drop).map_err(StoreError::from)
    }
}

/// `writes` if `conditions` hold; otherwise what `key` holds instead.
fn guarded(key: &str, conditions: Vec<Compare>, writes: &[(&str, &str)]) -> Txn {
    let puts = writes.iter();
    let puts: Vec<_> = puts
        .map(|(key, value)| TxnOp::put(*key, *value, None))
        .collect();
    Txn::new()
        .when(conditions)
        .and_then(puts)
        .or_else([TxnOp::get(key, None)])
}

fn change_of(answer: &TxnResponse) -> Result<Change, StoreError> {
    if answer.succeeded() {
        let revision = revision_of(answer.header().map(|header| header.revision()))?;
        return Ok(Change::Committed { revision });
    }
    let current = answer
        .op_responses()
        .into_iter()
        .find_map(|response| match response {
            TxnOpResponse::Get(found) => found.kvs().first().map(versioned),
            _ => None,
        });
    Ok(Change::Conflict {
        current: current.transpose()?,
    })
}

fn entry(pair: &KeyValue) -> Result<Entry, StoreError> {
    let key = pair.key_str().map_err(not_text)?.to_owned();
    Ok(Entry {
        key,
        versioned: versioned(pair)?,
    })
}

fn versioned(pair: &KeyValue) -> Result<Versioned, StoreError> {
    let value = pair.value_str().map_err(not_text)?.to_owned();
    let mod_revision = revision_of(Some(pair.mod_revision()))?;
    Ok(Versioned {
        value,
        mod_revision,
    })
}

/// A stranger's bytes under our prefix.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err asks for"
)]
fn not_text(error: Error) -> StoreError {
    StoreError::Refused(format!("a key or value is no text: {error}"))
}

/// Every answer of etcd carries a revision; one without it is no answer.
fn revision_of(revision: Option<i64>) -> Result<u64, StoreError> {
    revision
        .and_then(|number| u64::try_from(number).ok())
        .ok_or(StoreError::Unknown)
}
