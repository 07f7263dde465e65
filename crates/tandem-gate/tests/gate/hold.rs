//! New sessions while there is nowhere to go: held, led on, or refused in words.

use std::time::Duration;

use tandem_gate::Gate;
use tandem_gate::roster::{Event, Port};
use tokio_postgres::error::SqlState;

use crate::support::{
    Agent, HOUR, code, config, connect, own_postgres, postgres, settings, wait_until,
};

#[tokio::test]
async fn a_held_session_proceeds_when_a_primary_is_known() {
    let database = postgres().await;
    let agent = Agent::start().await;
    agent.say("aws", 7, None, 0);
    let gate = Gate::start(settings("aws", &[&agent], database.port()))
        .await
        .unwrap();
    let rw = config(&gate, Port::Rw, &database);
    let waiting = tokio::spawn(async move { connect(&rw).await });
    wait_until("the session is held", async || gate.roster().held() == 1).await;
    agent.say("aws", 8, Some("aws"), HOUR);
    let client = waiting.await.unwrap().unwrap();
    client.query_one("SELECT 1", &[]).await.unwrap();
    assert_eq!(gate.roster().held(), 0);
}

#[tokio::test]
async fn a_session_is_refused_in_words_when_no_primary_comes() {
    let database = postgres().await;
    let agent = Agent::start().await;
    let mut settings = settings("aws", &[&agent], database.port());
    settings.bounds.hold = Duration::from_millis(200);
    let gate = Gate::start(settings).await.unwrap();
    let error = connect(&config(&gate, Port::Rw, &database))
        .await
        .err()
        .unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!(*error.code(), SqlState::CANNOT_CONNECT_NOW);
    assert_eq!(
        error.message(),
        "no primary can be reached now (waited 200 ms): no agent of this site has answered yet"
    );
    assert_eq!(gate.roster().counted(Event::Refused), 1);
    // Reads need no agent.
    connect(&config(&gate, Port::Ro, &database)).await.unwrap();
}

#[tokio::test]
async fn a_held_client_that_leaves_gives_its_place_back() {
    let database = postgres().await;
    let agent = Agent::start().await;
    let gate = Gate::start(settings("aws", &[&agent], database.port()))
        .await
        .unwrap();
    let rw = config(&gate, Port::Rw, &database);
    let waiting = tokio::spawn(async move { connect(&rw).await });
    wait_until("the session is held", async || gate.roster().held() == 1).await;
    waiting.abort();
    wait_until("the place is free", async || gate.roster().held() == 0).await;
}

#[tokio::test]
async fn sessions_wait_for_a_database_that_starts_again() {
    let mut database = own_postgres().await;
    let agent = Agent::start().await;
    agent.say("aws", 7, Some("aws"), HOUR);
    let mut settings = settings("aws", &[&agent], database.port());
    settings.bounds.hold_read = Duration::from_millis(200);
    let gate = Gate::start(settings).await.unwrap();
    let rw = config(&gate, Port::Rw, &database);
    let before = connect(&rw).await.unwrap();
    database.kill().await.unwrap();
    wait_until("the client noticed", async || before.is_closed()).await;
    let waiting = tokio::spawn(async move { connect(&rw).await });
    wait_until("the session is held", async || gate.roster().held() == 1).await;
    let refused = connect(&config(&gate, Port::Ro, &database)).await;
    assert_eq!(code(refused), Some(SqlState::CANNOT_CONNECT_NOW));
    database.start_again().await.unwrap();
    waiting
        .await
        .unwrap()
        .unwrap()
        .query_one("SELECT 1", &[])
        .await
        .unwrap();
}
