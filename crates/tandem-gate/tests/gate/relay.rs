//! What applications do all day: log in, query, copy, pipeline, large values.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use tandem_gate::roster::{Event, Port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::error::SqlState;

use crate::support::{code, config, connect, open_gate, postgres, wait_until};

#[tokio::test]
async fn an_ordinary_driver_works_through_the_gate() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let config = config(&gate, Port::Rw, &database);
    let mut client = connect(&config).await.unwrap();
    client
        .batch_execute("CREATE TEMP TABLE t (id int PRIMARY KEY, v text)")
        .await
        .unwrap();

    let rows = client
        .query("SELECT $1::int + 1, $2::text", &[&41, &"ä"])
        .await
        .unwrap();
    assert_eq!((rows[0].get(0), rows[0].get(1)), (42, "ä"));

    let transaction = client.transaction().await.unwrap();
    transaction
        .execute("INSERT INTO t VALUES (1, 'a')", &[])
        .await
        .unwrap();
    let twice = transaction
        .execute("INSERT INTO t VALUES (1, 'a')", &[])
        .await;
    assert_eq!(code(twice), Some(SqlState::UNIQUE_VIOLATION));
    transaction.rollback().await.unwrap();
    let count: i64 = client
        .query_one("SELECT count(*) FROM t", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_the_server_itself() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let mut config = config(&gate, Port::Rw, &database);
    config.password("wrong");
    assert_eq!(
        code(connect(&config).await),
        Some(SqlState::INVALID_PASSWORD)
    );
}

#[tokio::test]
async fn copy_goes_both_ways_and_the_session_is_idle_afterwards() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let client = connect(&config(&gate, Port::Rw, &database)).await.unwrap();
    client
        .batch_execute("CREATE TEMP TABLE t (id int, v text)")
        .await
        .unwrap();

    let mut sink = pin!(client.copy_in("COPY t FROM STDIN").await.unwrap());
    let line = "x".repeat(100);
    for chunk in 0..50 {
        let lines: String = (0..100)
            .map(|i| format!("{}\t{line}\n", chunk * 100 + i))
            .collect();
        sink.send(Bytes::from(lines)).await.unwrap();
    }
    assert_eq!(sink.as_mut().finish().await.unwrap(), 5000);

    let stream = client.copy_out("COPY t TO STDOUT").await.unwrap();
    let bytes: usize = stream
        .try_fold(0, |sum, b| future::ok(sum + b.len()))
        .await
        .unwrap();
    assert!(bytes > 500_000, "{bytes}");
    assert_idle(&gate).await;

    let mut sink = pin!(client.copy_in("COPY t FROM STDIN").await.unwrap());
    sink.send(Bytes::from("no number\t\n")).await.unwrap();
    assert_eq!(
        code(sink.as_mut().finish().await),
        Some(SqlState::INVALID_TEXT_REPRESENTATION)
    );
    client.query_one("SELECT 1", &[]).await.unwrap();
    assert_idle(&gate).await;
}

/// Waits until the gate shows its only session as standing between transactions.
async fn assert_idle(gate: &tandem_gate::Gate) {
    let row = Port::Rw as usize;
    wait_until("the session is idle", async || {
        gate.roster().sessions()[row] == [0, 1, 0, 0, 0]
    })
    .await;
}

#[tokio::test]
async fn large_values_and_deep_pipelines_pass() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let client = connect(&config(&gate, Port::Rw, &database)).await.unwrap();

    let large = "y".repeat(20_000_000);
    let back: String = client
        .query_one("SELECT $1::text", &[&large])
        .await
        .unwrap()
        .get(0);
    assert_eq!(back.len(), large.len());

    let statement = client.prepare("SELECT $1::int").await.unwrap();
    let asked = (0..2000).map(|number| {
        let (client, statement) = (&client, &statement);
        async move {
            client
                .query_one(statement, &[&number])
                .await
                .unwrap()
                .get::<_, i32>(0)
        }
    });
    let answers = future::join_all(asked).await;
    assert_eq!(answers, (0..2000).collect::<Vec<_>>());
    assert_idle(&gate).await;
}

#[tokio::test]
async fn notifications_arrive_without_a_question() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let config = config(&gate, Port::Rw, &database);
    let (client, mut connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let (heard, mut news) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                heard.send(note.payload().to_owned()).await.unwrap();
            }
        }
    });
    client.batch_execute("LISTEN gate_news").await.unwrap();
    let other = connect(&config).await.unwrap();
    other
        .batch_execute("NOTIFY gate_news, 'hello'")
        .await
        .unwrap();
    assert_eq!(news.recv().await.as_deref(), Some("hello"));
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_backend_along() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let client = connect(&config(&gate, Port::Ro, &database)).await.unwrap();
    let pid = crate::support::backend(&client).await;
    drop(client);
    crate::support::backend_ends(&database, pid).await;
    wait_until("the roster is empty", async || {
        gate.roster().sessions().iter().flatten().sum::<usize>() == 0
    })
    .await;
}

#[tokio::test]
async fn garbage_is_refused_and_the_gate_goes_on() {
    let database = postgres().await;
    let (_agent, gate) = open_gate(&database).await;
    let hello = [&[0x16, 3, 1, 2, 0][..], &[7; 600]].concat();
    for garbage in [
        &hello[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 5, 1],
        &[0, 0, 0, 8, 1, 2, 3, 4],
    ] {
        let mut stream = TcpStream::connect(gate.address(Port::Ro)).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        // The server, not the gate, refuses a protocol version it does not know.
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.first(), Some(&b'E'), "{garbage:?}");
    }
    // In the middle of a session, a length that no message has.
    let mut stream = TcpStream::connect(gate.address(Port::Ro)).await.unwrap();
    stream
        .write_all(b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0")
        .await
        .unwrap();
    stream.write_all(b"p\0\0\0\x01").await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(gate.roster().counted(Event::Malformed), 4);
    connect(&config(&gate, Port::Ro, &database)).await.unwrap();
}
