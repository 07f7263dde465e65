//! What people ask of agents: tokens, requests in force, what they stop, who may connect.

use std::path::Path;
use std::time::Duration;

use tandem_agent::people::{History, Made, PlanShown, Refusal, RequestsShown};
use tandem_agent::{ModeShown, Overview, Role, initialise, tokens};
use tandem_core::config::{AccessToken, Tls};
use tandem_core::model::Epoch;
use tandem_tls::{Answer, Authority, Credentials, Peer, programs};

use super::support::{World, eventually, site};
use super::{initialised, may_write};

const BOUND: Duration = Duration::from_secs(20);

/// A world in which `kim` may ask for changes; and kim's token.
async fn with_kim() -> (World, String) {
    let mut world = World::new();
    let token = tokens::make();
    let file = world.state_dir("kim.hash");
    std::fs::write(&file, tokens::hash_line(&token)).expect("writable");
    world.config.access.tokens = vec![AccessToken {
        name: "kim".into(),
        hash_file: file.display().to_string(),
    }];
    let made = initialise(&world.store, &world.config, site("aws")).await;
    made.expect("created");
    (world, token)
}

fn peer(world: &World, agent: &str) -> Peer {
    let at = site(agent.split_once('-').expect("site-number").0);
    let mut agents = world.config.agents(at).iter();
    let found = agents.find(|found| found.name == agent).expect("named");
    Peer::new(agent, &found.address, None, BOUND).expect("a legal name")
}

async fn post(peer: &Peer, token: Option<&str>, body: serde_json::Value) -> Answer {
    peer.post("/v1/requests", token, &body)
        .await
        .expect("an answer")
}

fn pause() -> serde_json::Value {
    serde_json::json!({ "kind": "pause", "reason": "patching", "life_s": 3_600, "by": "somebody" })
}

#[tokio::test]
async fn only_a_named_person_asks_and_is_named() {
    let (mut world, token) = with_kim().await;
    world.start("aws-1", world.store.view()).await;
    let agent = peer(&world, "aws-1");
    let stranger = tokens::make();
    for nobody in [None, Some(""), Some(stranger.as_str())] {
        assert_eq!(
            post(&agent, nobody, pause()).await.status,
            401,
            "{nobody:?}"
        );
    }
    assert_eq!(
        agent
            .delete("/v1/requests/1", None)
            .await
            .expect("an answer")
            .status,
        401
    );
    let nonsense = serde_json::json!({ "kind": "pause", "reason": " ", "life_s": 3_600 });
    assert_eq!(post(&agent, Some(&token), nonsense).await.status, 400);
    let endless = serde_json::json!({ "kind": "pause", "reason": "x", "life_s": 1_000_000 });
    assert_eq!(post(&agent, Some(&token), endless).await.status, 400);

    let answer = post(&agent, Some(&token), pause()).await;
    let made: Made = answer.json().expect("a request");
    assert_eq!((answer.status, made.by.as_str()), (201, "kim"));
    let status = world
        .until("aws-1", |status| status.mode == ModeShown::Paused)
        .await;
    assert_eq!(status.requests.len(), 1);
    let open: RequestsShown = agent.ask("/v1/requests").await.expect("a list");
    assert_eq!(
        (open.requests[0].by.as_str(), open.requests[0].id),
        ("kim", made.id)
    );

    let path = format!("/v1/requests/{}", made.id);
    let gone = async || {
        agent
            .delete(&path, Some(&token))
            .await
            .expect("an answer")
            .status
    };
    assert_eq!((gone().await, gone().await), (204, 404));
    world
        .until("aws-1", |status| status.mode == ModeShown::Automatic)
        .await;
    eventually(async || {
        let history: History = agent.ask("/v1/history").await.expect("a history");
        let told = |words: &str| {
            history
                .entries
                .iter()
                .any(|entry| entry.text.contains(words))
        };
        let text = serde_json::to_string(&history).expect("plain data");
        assert!(!text.contains(&token), "a token is never kept");
        told("request 1 by kim: pause automation (patching)") && told("request 1 taken back by kim")
    })
    .await;
}

#[tokio::test]
async fn a_pause_holds_a_promotion_back_until_it_is_taken_back() {
    let (mut world, token) = with_kim().await;
    for agent in ["aws-1", "gcp-1", "witness-1"] {
        world.start(agent, world.store.view()).await;
    }
    world.until("aws-1", may_write).await;
    world
        .until("gcp-1", |status| {
            status.role == Role::Replica && status.relay_open
        })
        .await;
    let witness = peer(&world, "witness-1");
    assert_eq!(post(&witness, Some(&token), pause()).await.status, 201);
    world
        .until("gcp-1", |status| status.mode == ModeShown::Paused)
        .await;
    world.kill("aws");
    let held = world
        .until("gcp-1", |status| {
            let report = status.report.as_ref();
            let code = report.is_some_and(|report| report.code == "TDM-1206");
            let ended = status
                .authority
                .as_ref()
                .is_some_and(|found| found.expiry_left_ms == 0);
            code && ended
        })
        .await;
    let report = held.report.expect("a report");
    assert_eq!(
        (held.epoch, report.en.as_str()),
        (Epoch(1), "no promotion: automation is paused")
    );
    let gcp = peer(&world, "gcp-1");
    let plan: PlanShown = gcp.ask("/v1/plan").await.expect("a plan");
    let rule = plan
        .rules
        .iter()
        .find(|rule| !rule.passed)
        .expect("one failed");
    assert_eq!(
        (plan.possible, rule.lift_en.as_str()),
        (false, "`tandem resume`")
    );

    let gone = gcp.delete("/v1/requests/1", Some(&token)).await;
    assert_eq!(gone.expect("an answer").status, 204);
    let promoted = world.until("gcp-1", may_write).await;
    assert_eq!(promoted.epoch, Epoch(2));
}

#[tokio::test]
async fn misplaced_and_stale_moves_are_refused_with_a_reason() {
    let (mut world, token) = with_kim().await;
    for agent in ["aws-1", "gcp-1"] {
        world.start(agent, world.store.view()).await;
    }
    world.until("aws-1", may_write).await;
    world
        .until("gcp-1", |status| status.role == Role::Replica)
        .await;
    let (aws, gcp) = (peer(&world, "aws-1"), peer(&world, "gcp-1"));
    let to = |to: &str, epoch: u64| serde_json::json!({ "kind": "failover", "to": to, "accept_loss": false, "reason": "x", "life_s": 60, "epoch": epoch });
    let told = |answer: &Answer| answer.json::<Refusal>().expect("a refusal").en;
    let misdirected = post(&aws, Some(&token), to("gcp", 1)).await;
    assert_eq!(misdirected.status, 421, "{}", told(&misdirected));
    let held = post(&aws, Some(&token), to("aws", 1)).await;
    assert_eq!(
        (held.status, told(&held).as_str()),
        (409, "aws holds the right to write already")
    );
    let stale = post(&gcp, Some(&token), to("gcp", 9)).await;
    assert_eq!(stale.status, 409);
    assert!(
        told(&stale).starts_with("the plan is stale: the epoch is 1 now"),
        "{}",
        told(&stale)
    );
    let nowhere = post(&gcp, Some(&token), to("azure", 1)).await;
    assert_eq!(nowhere.status, 400, "{}", told(&nowhere));
    let open: RequestsShown = gcp.ask("/v1/requests").await.expect("a list");
    assert!(open.requests.is_empty(), "nothing was written: {open:?}");
}

/// The certificates of the world's cluster, in `folder`.
fn certificates(world: &mut World, folder: &Path) {
    let (authority, _) = Authority::open(folder, &world.config.cluster).expect("made");
    for program in programs(&world.config) {
        authority.provide(&program).expect("made");
    }
    world.config.tls = Some(Tls {
        ca_file: folder.join("ca.crt").display().to_string(),
        folder: folder.display().to_string(),
        client: "operator".into(),
    });
}

#[tokio::test]
async fn agents_with_certificates_speak_to_the_clusters_own_only() {
    let mut world = initialised().await;
    let (ours, theirs) = (world.state_dir("tls"), world.state_dir("strangers"));
    certificates(&mut world, &theirs);
    let stranger = Credentials::of_person(&world.config).expect("good files");
    certificates(&mut world, &ours);
    let person = Credentials::of_person(&world.config).expect("good files");
    for agent in ["aws-1", "gcp-1", "witness-1"] {
        world.start(agent, world.store.view()).await;
    }
    let ask = async |credentials: Option<&Credentials>| {
        let overview = Overview::ask(&world.config, credentials, BOUND).await;
        overview.expect("legal names")
    };
    // The agents reach each other too: a bounded right needs the peer's answers.
    eventually(async || {
        let overview = ask(person.as_ref()).await;
        (overview.writer, overview.reached().0) == (Some(site("aws")), 3)
    })
    .await;
    assert_eq!(
        ask(stranger.as_ref()).await.reached().0,
        0,
        "another authority"
    );
    assert_eq!(ask(None).await.reached().0, 0, "no certificate");
}
