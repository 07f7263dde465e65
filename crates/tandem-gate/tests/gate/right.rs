//! The right to write ends: sessions are cut, reads go on, nothing passes late.

use std::sync::Arc;

use tandem_gate::Gate;
use tandem_gate::roster::{Event, Port};
use tandem_lab::servers::Postgres;
use tokio::net::TcpListener;
use tokio_postgres::error::SqlState;

use crate::support::{
    Agent, HOUR, backend, backend_ends, code, config, connect, open_gate, postgres, settings,
    wait_until,
};

#[tokio::test]
async fn at_the_deadline_no_session_hears_of_its_write_and_reads_go_on() {
    let database = postgres().await;
    let (agent, gate) = open_gate(&database).await;
    let setup = connect(&database.connect_config("postgres")).await.unwrap();
    setup
        .batch_execute("CREATE TABLE deadline (v text)")
        .await
        .unwrap();
    let rw = config(&gate, Port::Rw, &database);
    let (idle, writing) = (connect(&rw).await.unwrap(), connect(&rw).await.unwrap());
    let reading = connect(&config(&gate, Port::Ro, &database)).await.unwrap();
    let pid = backend(&idle).await;
    let sql = "INSERT INTO deadline SELECT 'late' FROM pg_sleep(600)";
    let busy = backend(&writing).await;
    let write = tokio::spawn(async move { writing.execute(sql, &[]).await });
    wait_until("the write runs", async || {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query = $1";
        setup
            .query_one(running, &[&sql])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 1
    })
    .await;
    // The last word of the agents: 300 ms; then silence.
    agent.say("aws", 7, Some("aws"), 300);
    wait_until("the gate heard it", async || {
        gate.keeper().view(tandem_gate::clock::now()).answers[0]
            .is_some_and(|a| a.deadline.since(a.asked).as_millis() == 300)
    })
    .await;
    agent.fall_silent();

    assert_eq!(code(write.await.unwrap()), Some(SqlState::ADMIN_SHUTDOWN));
    backend_ends(&database, pid).await;
    backend_ends(&database, busy).await;
    wait_until("the idle client noticed", async || idle.is_closed()).await;
    assert_eq!(gate.roster().counted(Event::CutRight), 2);
    reading
        .query_one("SELECT count(*) FROM deadline", &[])
        .await
        .unwrap();
    connect(&config(&gate, Port::Ro, &database)).await.unwrap();
}

#[tokio::test]
async fn agents_take_turns_and_one_is_enough() {
    let database = postgres().await;
    let (first, second) = (Agent::start().await, Agent::start().await);
    first.say("aws", 7, Some("aws"), HOUR);
    let gate = Gate::start(settings("aws", &[&first, &second], database.port()))
        .await
        .unwrap();
    let client = connect(&config(&gate, Port::Rw, &database)).await.unwrap();
    second.say("aws", 7, Some("aws"), HOUR);
    wait_until("both were heard", async || {
        gate.keeper()
            .view(tandem_gate::clock::now())
            .answers
            .iter()
            .all(Option::is_some)
    })
    .await;
    // Its last word: nothing any more. The other one's word counts.
    first.say("aws", 7, Some("aws"), 0);
    wait_until("the first changed its mind", async || {
        gate.keeper().view(tandem_gate::clock::now()).answers[0]
            .is_some_and(|a| a.deadline == a.asked)
    })
    .await;
    client.query_one("SELECT 1", &[]).await.unwrap();
    second.say("aws", 8, None, 0);
    wait_until("the session was cut", async || client.is_closed()).await;
}

/// Two sites, the database at gcp; aws's gate first tries a peer that is not there.
struct TwoSites {
    aws_agent: Agent,
    gcp_agent: Agent,
    aws: Gate,
    gcp: Gate,
    database: Arc<Postgres>,
}

async fn two_sites() -> TwoSites {
    let database = postgres().await;
    let (aws_agent, gcp_agent) = (Agent::start().await, Agent::start().await);
    aws_agent.say("aws", 8, Some("gcp"), 0);
    gcp_agent.say("gcp", 8, Some("gcp"), HOUR);
    let gcp = Gate::start(settings("gcp", &[&gcp_agent], database.port()))
        .await
        .unwrap();
    let vacant = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    // aws has no database: a session that goes wrong fails.
    let mut aws = settings("aws", &[&aws_agent], vacant.port());
    aws.peers = vec![vacant.to_string(), gcp.address(Port::Peer).to_string()];
    let aws = Gate::start(aws).await.unwrap();
    TwoSites {
        aws_agent,
        gcp_agent,
        aws,
        gcp,
        database,
    }
}

#[tokio::test]
async fn write_sessions_go_to_the_other_site_and_end_with_its_right() {
    let two = two_sites().await;
    let rw = config(&two.aws, Port::Rw, &two.database);
    let client = connect(&rw).await.unwrap();
    let pid = backend(&client).await;
    let sleeping = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(600)").await });
    wait_until("the primary's gate carries it", async || {
        two.gcp.roster().sessions()[Port::Peer as usize]
            .iter()
            .sum::<usize>()
            == 1
    })
    .await;
    two.gcp_agent.say("gcp", 9, None, 0);
    assert_eq!(
        code(sleeping.await.unwrap()),
        Some(SqlState::ADMIN_SHUTDOWN)
    );
    assert_eq!(two.gcp.roster().counted(Event::CutRight), 1);
    backend_ends(&two.database, pid).await;
    // The remote gate still believes in gcp: it holds and tries, and proceeds when gcp writes again.
    let waiting = tokio::spawn(async move { connect(&rw).await });
    wait_until("it waits", async || two.aws.roster().held() == 1).await;
    two.gcp_agent.say("gcp", 9, Some("gcp"), HOUR);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn sessions_to_a_site_that_is_no_longer_the_writer_are_closed_by_the_remote_gate() {
    let two = two_sites().await;
    let client = connect(&config(&two.aws, Port::Rw, &two.database))
        .await
        .unwrap();
    // No agent at all: the way stays.
    two.aws_agent.fall_silent();
    client.query_one("SELECT 1", &[]).await.unwrap();
    two.aws_agent.say("aws", 9, None, 0);
    wait_until("the session was cut", async || client.is_closed()).await;
    assert_eq!(two.aws.roster().counted(Event::CutRight), 1);
    assert_eq!(two.gcp.roster().counted(Event::CutRight), 0);
}

#[tokio::test]
async fn the_peer_port_never_forwards() {
    let two = two_sites().await;
    let refused = connect(&config(&two.aws, Port::Peer, &two.database)).await;
    assert_eq!(code(refused), Some(SqlState::CANNOT_CONNECT_NOW));
    assert_eq!(two.gcp.roster().counted(Event::Opened), 0);
}
