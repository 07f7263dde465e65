//! The edge between real sockets: tiny origins on one side, a client on the other.

mod world;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use world::{Origin, World, fixed, seeded, wait_until};

#[tokio::test]
async fn requests_are_shared_by_weight_and_name_their_cloud() {
    let world = World::start(seeded(7), |_| {}).await;
    let mut shares = BTreeMap::new();
    for _ in 0..1_000 {
        let answer = world.send(Method::GET, "/contacts").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.cloud, answer.body, "the header is the origin's own");
        *shares.entry(answer.cloud).or_insert(0) += 1;
    }
    // Four standard deviations of 1,000 fair coins are 63.
    assert!(
        shares.values().all(|count| (437..=563).contains(count)),
        "{shares:?}"
    );
    assert_eq!(shares.len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn head_has_a_header_and_no_body() {
    let world = World::start(seeded(1), |_| {}).await;
    for path in ["/contacts", "/missing"] {
        let answer = world.send(Method::HEAD, path).await;
        assert_eq!(answer.status, if path == "/missing" { 404 } else { 200 });
        assert!(["AWS", "GCP"].contains(&answer.cloud.as_str()));
        assert_eq!(answer.body, "");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_killed_origin_costs_no_request_that_reads() {
    let mut world = World::start(seeded(3), |_| {}).await;
    world.aws.kill().await;
    for _ in 0..200 {
        let answer = world.send(Method::GET, "/contacts").await;
        assert_eq!((answer.status, answer.cloud.as_str()), (200, "GCP"));
    }
    wait_until("aws is unhealthy", async || !world.healthy("aws").await).await;
    // Nothing was sent to it, so that even writes go to the other cloud.
    for _ in 0..20 {
        let answer = world.send(Method::POST, "/contacts").await;
        assert_eq!((answer.status, answer.cloud.as_str()), (200, "GCP"));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_refused_write_goes_elsewhere_even_before_anybody_noticed() {
    // Chance always says aws; without passive ejection only probes could know.
    let mut world = World::start(fixed(0), |config| {
        config["passive_ejection"] = json!(false);
        config["probes"] = json!({ "interval_ms": 3_600_000, "timeout_ms": 1_000 });
    })
    .await;
    world.aws.kill().await;
    for _ in 0..5 {
        let answer = world.send(Method::POST, "/contacts").await;
        assert_eq!((answer.status, answer.cloud.as_str()), (200, "GCP"));
    }
    assert_eq!(world.gcp.writes(), 5);
    assert!(
        world
            .metrics()
            .await
            .contains(r#"retries_total{pool="aws",why="never_sent"} 5"#)
    );
    world.stop().await;
}

#[tokio::test]
async fn writes_go_where_an_application_says_that_they_work_and_reads_stay() {
    // Chance always says aws, which can only read.
    let world = World::start(fixed(0), |config| {
        config["writes_header"] = json!("x-writes");
    })
    .await;
    world.aws.refuse_writes();
    wait_until("writes avoid aws", async || {
        world.send(Method::POST, "/contacts").await.cloud == "GCP"
    })
    .await;
    let answer = world.send(Method::GET, "/contacts").await;
    assert_eq!((answer.status, answer.cloud.as_str()), (200, "AWS"));
    // Where nobody can write, a request still finds an origin.
    world.gcp.refuse_writes();
    wait_until("nobody writes", async || {
        world.send(Method::POST, "/contacts").await.cloud == "AWS"
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn a_write_that_was_received_is_never_sent_again() {
    let world = World::start(fixed(0), |_| {}).await;
    let answer = world.send(Method::POST, "/hang-up").await;
    assert_eq!((answer.status, answer.cloud.as_str()), (520, "AWS"));
    assert_eq!((world.aws.writes(), world.gcp.writes()), (1, 0));
    let answer = world.send(Method::PUT, "/hang-up").await;
    assert_eq!(answer.status, 520);
    assert_eq!((world.aws.writes(), world.gcp.writes()), (2, 0));
    world.stop().await;
}

#[tokio::test]
async fn a_read_that_broke_off_is_tried_in_the_other_cloud() {
    let world = World::start(fixed(0), |_| {}).await;
    let answer = world.send(Method::GET, "/hang-up-at-aws").await;
    assert_eq!((answer.status, answer.cloud.as_str()), (200, "GCP"));
    assert!(
        world
            .metrics()
            .await
            .contains(r#"retries_total{pool="aws",why="safe"} 1"#)
    );
    world.stop().await;
}

#[tokio::test]
async fn a_silent_origin_uses_up_only_a_part_of_a_readers_patience() {
    let world = World::start(fixed(0), |config| {
        config["timeouts"] =
            json!({ "connect_ms": 5_000, "safe_answer_ms": 300, "answer_ms": 2_000 });
    })
    .await;
    let answer = world.send(Method::GET, "/silent-at-aws").await;
    assert_eq!((answer.status, answer.cloud.as_str()), (200, "GCP"));
    let answer = world.send(Method::POST, "/silent-at-aws").await;
    assert_eq!((answer.status, answer.cloud.as_str()), (524, "AWS"));
    world.stop().await;
}

#[tokio::test]
async fn an_unhealthy_pool_gets_nothing_and_comes_back() {
    let world = World::start(seeded(5), |_| {}).await;
    world.aws.set_health(503);
    wait_until("aws is unhealthy", async || !world.healthy("aws").await).await;
    let before = world.aws.reads();
    for _ in 0..50 {
        assert_eq!(world.send(Method::GET, "/contacts").await.cloud, "GCP");
    }
    assert_eq!(world.aws.reads(), before);
    world.aws.set_health(200);
    wait_until("aws is healthy", async || world.healthy("aws").await).await;
    wait_until("aws gets requests", async || {
        world.send(Method::GET, "/contacts").await.cloud == "AWS"
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn without_a_healthy_pool_the_fallback_gets_the_requests() {
    let world = World::start(seeded(5), |_| {}).await;
    world.aws.set_health(503);
    world.gcp.set_health(503);
    wait_until("both are unhealthy", async || {
        !world.healthy("aws").await && !world.healthy("gcp").await
    })
    .await;
    for _ in 0..20 {
        let answer = world.send(Method::GET, "/contacts").await;
        assert_eq!((answer.status, answer.cloud.as_str()), (200, "AWS"));
    }
    world.stop().await;
}

#[tokio::test]
async fn answers_of_the_edge_itself_name_the_cloud_too() {
    let mut world = World::start(seeded(5), |_| {}).await;
    world.aws.kill().await;
    world.gcp.kill().await;
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let head = method == Method::HEAD;
        let answer = world.send(method, "/contacts").await;
        assert_eq!(answer.status, 521);
        assert!(
            ["AWS", "GCP"].contains(&answer.cloud.as_str()),
            "{}",
            answer.cloud
        );
        assert_eq!(answer.body.is_empty(), head);
    }
    for pool in ["aws", "gcp"] {
        world.patch_pool(pool, &json!({ "enabled": false })).await;
    }
    let answer = world.send(Method::GET, "/contacts").await;
    assert_eq!((answer.status, answer.cloud.as_str()), (530, "AWS"));
    assert_eq!(answer.body, "error code: 1016\n");
    world.stop().await;
}

#[tokio::test]
async fn the_admin_api_speaks_as_cloudflare_does() {
    let world = World::start(seeded(5), |_| {}).await;
    let pools = world.admin("accounts/a/load_balancers/pools").await;
    assert_eq!(pools["success"], true);
    assert_eq!(pools["result"][1]["id"], "gcp");
    assert_eq!(pools["result_info"]["total_count"], 2);
    let balancers = world.admin("zones/z/load_balancers").await;
    assert_eq!(balancers["result"][0]["fallback_pool"], "aws");
    let health = world
        .admin("accounts/a/load_balancers/pools/gcp/health")
        .await;
    assert_eq!(health["result"]["pop_health"]["healthy"], true);
    let missing = world.admin("accounts/a/load_balancers/pools/azure").await;
    assert_eq!(missing["success"], false);

    let patched = world.patch_pool("aws", &json!({ "enabled": false })).await;
    assert_eq!(patched["result"]["enabled"], false);
    for _ in 0..20 {
        assert_eq!(world.send(Method::GET, "/contacts").await.cloud, "GCP");
    }
    let refused = world.patch_pool("aws", &json!({ "weight": 1 })).await;
    assert_eq!(refused["success"], false);
    world.patch_pool("aws", &json!({ "enabled": true })).await;
    wait_until("aws is probed again", async || world.healthy("aws").await).await;
    world.stop().await;
}

#[tokio::test]
async fn a_hung_origin_does_not_delay_the_probes_of_another() {
    let world = World::start(seeded(5), |_| {}).await;
    world.aws.hang_health();
    wait_until("aws is unhealthy", async || !world.healthy("aws").await).await;
    world.gcp.set_health(500);
    wait_until("gcp is unhealthy", async || !world.healthy("gcp").await).await;
    world.stop().await;
}

#[tokio::test]
async fn the_process_ends_soon_after_sigterm() {
    let (aws, gcp) = (Origin::start("AWS").await, Origin::start("GCP").await);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("edge.json");
    std::fs::write(&file, world::config(&aws, &gcp).to_string()).expect("written");
    let mut edge = tokio::process::Command::new(env!("CARGO_BIN_EXE_tandem-edge"))
        .arg("--config")
        .arg(&file)
        .env("RUST_LOG", "info")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary was built");
    let listen = world::address_in_log(edge.stderr.take().expect("piped")).await;
    // An idle connection that is kept must not hold up the end.
    let client = reqwest::Client::new();
    let answer = client
        .get(format!("http://{listen}/contacts"))
        .send()
        .await
        .expect("serves");
    assert_eq!(answer.status(), 200);
    let id = rustix::process::Pid::from_raw(edge.id().expect("runs").cast_signed());
    let id = id.expect("not zero");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("ours");
    let ended = tokio::time::timeout(Duration::from_secs(10), edge.wait()).await;
    assert!(ended.expect("in time").expect("waited for").success());
}

#[test]
fn a_faulty_configuration_is_refused_with_all_its_faults() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("edge.json");
    std::fs::write(&file, r#"{"listen": 1, "speed": 2}"#).expect("written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tandem-edge"))
        .arg("--config")
        .arg(&file)
        .output()
        .expect("the binary was built");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for key in [
        "listen:",
        "speed:",
        "admin_listen:",
        "pools:",
        "load_balancer:",
    ] {
        assert!(told.contains(key), "{key} in {told}");
    }
}
