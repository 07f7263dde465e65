//! The service with a real PostgreSQL and a real Redis, and a wire that breaks.

mod real;

use real::{Service, wire::Mood};
use reqwest::Method;
use serde_json::{Value, json};

fn ada(request: &str) -> Value {
    json!({ "request_id": request, "name": "Ada", "email": "ada@example.com" })
}

#[tokio::test]
async fn contacts_and_sessions_are_kept() {
    let Some(service) = Service::start().await else {
        return;
    };
    let (status, created) = service
        .send(Method::POST, "/contacts", Some(ada("r1")))
        .await;
    assert_eq!(status, 201, "{created}");
    let path = format!("/contacts/{}", created["id"]);
    assert_eq!(service.send(Method::GET, &path, None).await, (200, created));

    let bob = json!({ "name": "Bob", "email": "bob@example.com", "note": "new" });
    let (status, replaced) = service.send(Method::PUT, &path, Some(bob)).await;
    assert_eq!(
        (status, &replaced["name"], &replaced["request_id"]),
        (200, &json!("Bob"), &json!("r1"))
    );
    let (status, listed) = service.send(Method::GET, "/contacts?limit=1", None).await;
    assert_eq!((status, listed), (200, json!([replaced])));

    let nobody = json!({ "request_id": "r2", "name": "", "email": "a@b" });
    assert_eq!(
        service
            .send(Method::POST, "/contacts", Some(nobody))
            .await
            .0,
        422
    );
    assert_eq!(service.send(Method::GET, "/contacts/99", None).await.0, 404);

    let (status, session) = service
        .send(Method::POST, "/sessions", Some(json!({ "user": 1 })))
        .await;
    assert_eq!(status, 201, "{session}");
    let path = format!("/sessions/{}", session["token"].as_str().expect("text"));
    let (status, kept) = service.send(Method::GET, &path, None).await;
    assert_eq!((status, &kept["data"]), (200, &json!({ "user": 1 })));
    assert_eq!(service.send(Method::GET, "/health", None).await.0, 200);
}

#[tokio::test]
async fn columns_of_an_operator_are_seen() {
    let Some(service) = Service::start().await else {
        return;
    };
    service
        .send(Method::POST, "/contacts", Some(ada("r1")))
        .await;
    service
        .sql("ALTER TABLE contact ADD COLUMN origin text DEFAULT 'aws/1'")
        .await;
    let (_, row) = service
        .send(Method::POST, "/contacts", Some(ada("r2")))
        .await;
    assert_eq!(row["origin"], "aws/1");
}

#[tokio::test]
async fn connections_that_were_cut_while_idle_cost_nothing() {
    let Some(service) = Service::start().await else {
        return;
    };
    for round in 0..5 {
        let request = format!("r{round}");
        assert_eq!(
            service
                .send(Method::POST, "/contacts", Some(ada(&request)))
                .await
                .0,
            201
        );
        service.wire.cut_all();
        assert_eq!(service.send(Method::GET, "/contacts", None).await.0, 200);
        service.wire.cut_all();
    }
    assert_eq!(service.rows_per_request(5).await, [1; 5]);
}

#[tokio::test]
async fn a_write_waits_for_a_database_that_comes_back() {
    let Some(service) = Service::start().await else {
        return;
    };
    service.wire.change(Mood::Refusing);
    let later = async {
        service.wire.refused(3).await;
        service.wire.change(Mood::Carrying);
    };
    let write = service.send(Method::POST, "/contacts", Some(ada("r1")));
    let ((status, told), ()) = tokio::join!(write, later);
    assert_eq!(status, 201, "{told}");
    assert_eq!(service.rows_per_request(1).await, [1]);
}

#[tokio::test]
async fn a_statement_whose_answer_was_lost_is_not_sent_again() {
    let Some(service) = Service::start().await else {
        return;
    };
    // So that the statement is prepared and only its execution is left to lose.
    assert_eq!(
        service
            .send(Method::POST, "/contacts", Some(ada("r1")))
            .await
            .0,
        201
    );
    service.wire.change(Mood::LosingAnswers);
    let (status, told) = service
        .send(Method::POST, "/contacts", Some(ada("r2")))
        .await;
    assert_eq!(
        (status, &told["outcome"]),
        (503, &json!("unknown")),
        "{told}"
    );
    service.wire.change(Mood::Carrying);
    assert_eq!(
        service
            .send(Method::POST, "/contacts", Some(ada("r3")))
            .await
            .0,
        201
    );
    assert_eq!(service.rows_per_request(3).await, [1, 1, 1]);
}
