//! The admin HTTP, and the orderly end.

use tandem_core::model::Epoch;
use tandem_core::wire::Writer;
use tandem_gate::Gate;
use tandem_gate::roster::Port;

use crate::support::{
    Agent, HOUR, config, connect, open_gate, postgres, settings, site, wait_until,
};

async fn ask(gate: &Gate, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", gate.admin_address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn it_says_who_may_write() {
    let agent = Agent::start().await;
    let gate = Gate::start(settings("aws", &[&agent], 1)).await.unwrap();
    let (status, _) = ask(&gate, "/v1/writer").await;
    assert_eq!(status, 503);

    let mut routes = gate.keeper().routes();
    routes.mark_unchanged();
    agent.say("aws", 7, Some("aws"), HOUR);
    routes.changed().await.unwrap();
    let (status, text) = ask(&gate, "/v1/writer").await;
    let writer: Writer = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, writer.may_write, writer.epoch),
        (200, true, Epoch(7))
    );

    agent.say("aws", 8, Some("gcp"), 0);
    routes.changed().await.unwrap();
    let (status, text) = ask(&gate, "/v1/writer").await;
    let writer: Writer = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, writer.may_write, writer.epoch),
        (503, false, Epoch(8))
    );
    assert_eq!(
        (writer.writer, writer.writer_fresh),
        (Some(site("gcp")), true)
    );
}

#[tokio::test]
async fn status_and_metrics_show_the_sessions() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let client = connect(&config(&gate, Port::Rw, &database)).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    wait_until("the transaction is seen", async || {
        let (_, text) = ask(&gate, "/v1/status").await;
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        status["sessions"]["rw"]["in_transaction"] == 1 && status["route"] == "here"
    })
    .await;
    let (_, text) = ask(&gate, "/metrics").await;
    for line in [
        "tandem_gate_sessions{port=\"rw\",activity=\"in_transaction\"} 1",
        "tandem_gate_route{to=\"here\"} 1",
        "tandem_gate_epoch 7",
        "tandem_gate_session_events_total{event=\"opened\"} 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    assert_eq!(ask(&gate, "/livez").await.0, 200);
}

#[tokio::test]
async fn a_stopping_gate_ends_its_sessions_between_transactions() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let rw = config(&gate, Port::Rw, &database);
    let (idle, open) = (connect(&rw).await.unwrap(), connect(&rw).await.unwrap());
    open.batch_execute("BEGIN").await.unwrap();
    let address = gate.address(Port::Rw);
    let stopped = tokio::spawn(gate.stop());
    wait_until("the idle session ended", async || idle.is_closed()).await;
    stopped.await.unwrap();
    assert!(open.batch_execute("COMMIT").await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
