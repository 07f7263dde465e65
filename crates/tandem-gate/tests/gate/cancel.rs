//! Cancel requests reach the backend wherever it lives.

use tandem_gate::Gate;
use tandem_gate::roster::{Event, Port};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use crate::support::{
    Agent, HOUR, code, config, connect, open_gate, postgres, settings, wait_until,
};

/// Starts a long statement and cancels it through the same gate.
async fn check(config: &Config) {
    let client = connect(config).await.unwrap();
    let token = client.cancel_token();
    let sleeping = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(600)").await });
    wait_until("the statement was cancelled", async || {
        token.cancel_query(NoTls).await.unwrap();
        sleeping.is_finished()
    })
    .await;
    assert_eq!(
        code(sleeping.await.unwrap()),
        Some(SqlState::QUERY_CANCELED)
    );
}

#[tokio::test]
async fn a_statement_is_cancelled_at_the_local_database() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    check(&config(&gate, Port::Rw, &database)).await;
    check(&config(&gate, Port::Ro, &database)).await;
    wait_until("the gate has counted both", async || {
        gate.roster().counted(Event::Cancelled) >= 2
    })
    .await;
}

#[tokio::test]
async fn a_statement_is_cancelled_at_the_other_site() {
    let database = postgres().await;
    let (aws_agent, gcp_agent) = (Agent::start().await, Agent::start().await);
    aws_agent.say("aws", 8, Some("gcp"), 0);
    gcp_agent.say("gcp", 8, Some("gcp"), HOUR);
    let gcp = Gate::start(settings("gcp", &[&gcp_agent], database.port()))
        .await
        .unwrap();
    let mut aws = settings("aws", &[&aws_agent], 1);
    aws.peers = vec![gcp.address(Port::Peer).to_string()];
    let aws = Gate::start(aws).await.unwrap();
    check(&config(&aws, Port::Rw, &database)).await;
    wait_until("the primary's gate has counted it", async || {
        gcp.roster().counted(Event::Cancelled) >= 1
    })
    .await;
}

#[tokio::test]
async fn a_gate_that_does_not_know_the_key_asks_where_sessions_go_now() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let direct = connect(&database.connect_config("postgres")).await.unwrap();
    // The token of a session that this gate never saw, asked of this gate.
    let token = direct.cancel_token();
    let stream = tokio::net::TcpStream::connect(gate.address(Port::Rw))
        .await
        .unwrap();
    let sleeping = tokio::spawn(async move { direct.batch_execute("SELECT pg_sleep(600)").await });
    let asking = connect(&database.connect_config("postgres")).await.unwrap();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND application_name = ''";
    wait_until("the statement runs", async || {
        asking
            .query_one(running, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            >= 1
    })
    .await;
    token.cancel_query_raw(stream, NoTls).await.unwrap();
    assert_eq!(
        code(sleeping.await.unwrap()),
        Some(SqlState::QUERY_CANCELED)
    );
}
