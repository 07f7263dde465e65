//! When the lab is up: what a user of the service would see, and nothing less.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio_postgres::NoTls;

use super::files::{APPLICATION_ROLE, DATABASE, cloud};
use super::layout::{Layout, outside, place, witness};
use crate::links::Place;
use crate::wait::{Look, until};
use crate::{Result, http};

/// How long electing a leader may take.
const LEADER_BOUND: Duration = Duration::from_secs(60);
/// How long the first opening may take: a ttl for the agents, a hold in each gate, probes.
const OPEN_BOUND: Duration = Duration::from_secs(90);

/// Makes the witness's member of etcd the leader: with the leader at a site, a cut
/// link between the sites would stop renewals.
pub(crate) async fn witness_leads(layout: &Layout) -> Result<()> {
    leads(layout, witness()).await
}

/// Makes the member of etcd at `place` the leader.
pub(crate) async fn leads(layout: &Layout, place: Place) -> Result<()> {
    let stores: Vec<_> = layout
        .members()
        .map(|at| layout.store(at).client.socket())
        .collect();
    let own = layout.store(place).client.socket();
    let goal = format!("a leader at {place}");
    until("etcd", &goal, LEADER_BOUND, || async {
        let Some((member, leader)) = roles(own).await else {
            return Ok(Look::Waiting(format!("{place}'s member does not answer")));
        };
        if member == leader {
            return Ok(Look::Ready(()));
        }
        for store in &stores {
            // Only the leader can hand over; the others refuse.
            let order = format!(r#"{{"targetID":"{member}"}}"#);
            let _ = http::post(*store, "/v3/maintenance/transfer-leadership", &order).await;
        }
        Ok(Look::Waiting(format!(
            "member {leader} leads, not {member}"
        )))
    })
    .await
}

/// The ids of the asked member and of the leader it knows.
async fn roles(store: SocketAddr) -> Option<(String, String)> {
    let answer = http::post(store, "/v3/maintenance/status", "{}")
        .await
        .ok()?;
    let status: Value = serde_json::from_str(&answer.body).ok()?;
    let member = status["header"]["member_id"].as_str()?.to_owned();
    Some((member, status["leader"].as_str()?.to_owned()))
}

/// Waits until every gate of the first primary may write.
pub(crate) async fn open_for_writes(layout: &Layout) -> Result<()> {
    for gate in &layout.sites[&place("aws")].gates {
        let admin = gate.admin.socket();
        until(&gate.name, "the right to write", OPEN_BOUND, || async {
            Ok(match http::get(admin, "/v1/writer").await {
                Ok(answer) if answer.status == 200 => Look::Ready(()),
                Ok(answer) => Look::Waiting(answer.body),
                Err(error) => Look::Waiting(error.to_string()),
            })
        })
        .await?;
    }
    Ok(())
}

/// Waits until a write session through every gate of both sites reaches the primary.
pub(crate) async fn writes_pass(layout: &Layout) -> Result<()> {
    let password = layout.secret("application")?;
    let gates = layout.sites.values().flat_map(|site| &site.gates);
    for gate in gates {
        let mut config = tokio_postgres::Config::new();
        config.host(gate.peer.host.address.to_string());
        config.port(gate.rw).dbname(DATABASE);
        config.user(APPLICATION_ROLE).password(&password);
        until(&gate.name, "a write session", OPEN_BOUND, || async {
            Ok(match try_write(&config).await {
                Ok(()) => Look::Ready(()),
                Err(error) => Look::Waiting(told(&error)),
            })
        })
        .await?;
    }
    Ok(())
}

/// A write that passes every check and leaves no row.
async fn try_write(config: &tokio_postgres::Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let tried = client
        .batch_execute(
            "BEGIN;
             INSERT INTO public.contact (request_id, name, email) VALUES ('lab-ready', 'lab', 'lab@localhost');
             ROLLBACK",
        )
        .await;
    driver.abort();
    tried
}

fn told(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// Waits until both clouds have answered through the edge, which chooses at random.
pub(crate) async fn edge_serves(layout: &Layout) -> Result<()> {
    let edge = layout.host(outside()).at(layout.edge);
    for site in layout.sites.keys() {
        let header = format!("x-cloud-provider: {}", cloud(*site).to_lowercase());
        let goal = format!("an answer of {site}");
        until("edge", &goal, OPEN_BOUND, || async {
            Ok(match http::get(edge, "/health").await {
                Ok(answer) if answer.status == 200 && answer.head.contains(&header) => {
                    Look::Ready(())
                }
                Ok(answer) => Look::Waiting(format!("status {}\n{}", answer.status, answer.body)),
                Err(error) => Look::Waiting(error.to_string()),
            })
        })
        .await?;
    }
    Ok(())
}
