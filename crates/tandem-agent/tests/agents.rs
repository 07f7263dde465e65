//! Whole agents against the store's double and databases in memory: every task is real,
//! only the servers are not.

mod people;
mod support;

use std::time::{Duration, Instant};

use support::{World, eventually, site};
use tandem_agent::{JournalEntry, Overview, Role, Status, initialise};
use tandem_core::authority::{Exposure, Memory as Remembered, Phase, Record};
use tandem_core::config::Mode;
use tandem_core::model::Epoch;
use tandem_core::planner::{Book, RequestKind};
use tandem_core::wire::Writer;
use tandem_store::{Faults, Memory, Store};

async fn initialised() -> World {
    let world = World::new();
    let made = initialise(&world.store, &world.config, site("aws")).await;
    assert_eq!(made.expect("created").site, site("aws"));
    world
}

fn may_write(status: &Status) -> bool {
    status.remaining_ms > 0
}

fn exposure(status: &Status) -> Option<Exposure> {
    status
        .authority
        .as_ref()
        .map(|authority| authority.exposure)
}

async fn record(store: &Memory) -> Record {
    let found = store
        .read("/tandem/crm-dr/authority")
        .await
        .expect("readable")
        .expect("present");
    serde_json::from_str(&found.value).expect("a record")
}

#[tokio::test]
async fn a_lost_primary_is_replaced_and_a_record_is_made_once() {
    let mut world = initialised().await;
    assert!(
        initialise(&world.store, &world.config, site("gcp"))
            .await
            .is_err()
    );
    for agent in ["aws-1", "gcp-1", "witness-1"] {
        world.start(agent, world.store.view()).await;
    }
    let aws = world
        .until("aws-1", |status| {
            may_write(status) && exposure(status) == Some(Exposure::Bounded)
        })
        .await;
    assert_eq!((aws.role, aws.epoch), (Role::Primary, Epoch(1)));
    world
        .until("gcp-1", |status| {
            status.role == Role::Replica && status.relay_open
        })
        .await;
    let knows = (false, Some(site("aws")), true);
    eventually(async || {
        let writer: Option<Writer> = world.ask("gcp-1", "/v1/writer").await;
        writer.map(|found| (found.may_write, found.writer, found.writer_fresh)) == Some(knows)
    })
    .await;

    world.kill("aws");
    let gcp = world.until("gcp-1", may_write).await;
    assert_eq!(
        (gcp.role, gcp.epoch, gcp.relay_open),
        (Role::Primary, Epoch(2), false)
    );
    assert_eq!(exposure(&gcp), Some(Exposure::Unbounded));
    let steps = world.gcp.log();
    let order = ["stop receiving", "prepare 2 after aws", "arm 2"];
    assert!(steps.ends_with(&order.map(String::from)), "{steps:?}");
    eventually(async || {
        let bound = Duration::from_secs(5);
        let overview = Overview::ask(&world.config, None, bound)
            .await
            .expect("legal names");
        (overview.writer, overview.reached()) == (Some(site("gcp")), (2, 3))
    })
    .await;
    eventually(async || told_in_the_journal(&world, "Claim").await).await;
}

async fn told_in_the_journal(world: &World, words: &str) -> bool {
    let entries = world
        .store
        .read_prefix("/tandem/crm-dr/journal/gcp-1/")
        .await
        .expect("readable");
    entries.iter().any(|entry| {
        let entry: JournalEntry = serde_json::from_str(&entry.versioned.value).expect("an entry");
        entry.text.contains(words)
    })
}

#[tokio::test]
async fn a_lost_reply_is_read_again_and_a_conflict_is_repeated() {
    let mut world = initialised().await;
    let view = world.store.view();
    view.set_faults(Faults {
        lost_replies: 9,
        ..Faults::default()
    });
    world.start("aws-1", view.clone()).await;
    world.start("gcp-1", world.store.view()).await;
    world.until("aws-1", may_write).await;
    for _ in 0..3 {
        view.set_faults(Faults {
            lost_replies: 3,
            ..Faults::default()
        });
        let before = record(&world.store).await.beat;
        world
            .until("aws-1", |status| {
                may_write(status)
                    && status
                        .authority
                        .as_ref()
                        .is_some_and(|found| found.beat > before + 3)
            })
            .await;
    }
    assert_eq!(record(&world.store).await.epoch, Epoch(1));
}

#[tokio::test]
async fn a_store_behind_the_memory_is_refused() {
    let mut world = initialised().await;
    let identity = record(&world.store).await.identity;
    let remembered = Remembered {
        identity,
        revision: 900,
        epoch: Epoch(4),
    };
    let folder = world.state_dir("aws-1");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = serde_json::to_string(&remembered).expect("plain data");
    std::fs::write(folder.join("memory.json"), &text).expect("writable");

    world.start("aws-1", world.store.view()).await;
    let aws = world
        .until("aws-1", |status| {
            status
                .report
                .as_ref()
                .is_some_and(|report| report.code == "TDM-1002")
        })
        .await;
    assert_eq!((aws.remaining_ms, aws.epoch), (0, Epoch(4)));
    assert_eq!(record(&world.store).await.beat, 0, "nothing was renewed");
    assert_eq!(
        std::fs::read_to_string(folder.join("memory.json")).expect("kept"),
        text
    );
}

#[tokio::test]
async fn a_frozen_database_does_not_delay_renewals() {
    let mut world = initialised().await;
    world.start("aws-1", world.store.view()).await;
    world.start("gcp-1", world.store.view()).await;
    world.until("aws-1", may_write).await;
    world.aws.freeze();
    let before = record(&world.store).await.beat;
    world
        .until("aws-1", |status| {
            let renewed = status
                .authority
                .as_ref()
                .is_some_and(|found| found.beat > before + 5 && found.fresh);
            renewed && status.database.is_none()
        })
        .await;
    assert_eq!(record(&world.store).await.epoch, Epoch(1));
}

/// Rule 9: without the store the primary goes on while every agent of the peer promises, and
/// stops when one of them is gone.
#[tokio::test]
async fn promises_carry_the_primary_while_the_store_is_silent() {
    let mut world = initialised().await;
    let views = [world.store.view(), world.store.view()];
    world.start("aws-1", views[0].clone()).await;
    world.start("gcp-1", views[1].clone()).await;
    world.until("aws-1", may_write).await;
    // Nobody promises for an epoch that it has not seen open.
    world.until("gcp-1", sees_open).await;
    let silent = Faults {
        unreachable: true,
        ..Faults::default()
    };
    let silenced = Instant::now();
    for view in &views {
        view.set_faults(silent.clone());
    }
    // No renewal lasts so long.
    let ttl = world.config.policy.authority.ttl();
    let carried = |status: &Status| may_write(status) && silenced.elapsed() > ttl * 2;
    world.until("aws-1", carried).await;
    world.kill("gcp");
    world.until("aws-1", |status| !may_write(status)).await;
    views[0].set_faults(Faults::default());
    let back = world.until("aws-1", may_write).await;
    assert_eq!(back.epoch, Epoch(1));
}

fn sees_open(status: &Status) -> bool {
    let phase = status.authority.as_ref().map(|found| found.phase);
    phase == Some(Phase::Open)
}

async fn request(world: &World, kind: RequestKind) {
    let mut book = Book::default();
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = u64::try_from(since_1970.expect("after 1970").as_millis()).expect("small");
    let said = ("kim".into(), "a test".into());
    book.add(kind, said, Epoch(1), now_ms, Duration::from_secs(600))
        .expect("a good request");
    let text = serde_json::to_string(&book).expect("plain data");
    let put = world.store.put("/tandem/crm-dr/requests", &text).await;
    put.expect("the store answers");
}

/// Rule 10, both halves: the source closes, fences and hands over; the target opens behind the
/// barrier.
#[tokio::test]
async fn a_requested_switchover_moves_the_right() {
    let mut world = initialised().await;
    for agent in ["aws-1", "gcp-1", "witness-1"] {
        world.start(agent, world.store.view()).await;
    }
    world
        .until("aws-1", |status| {
            may_write(status) && exposure(status) == Some(Exposure::Bounded)
        })
        .await;
    request(&world, RequestKind::Switchover { to: site("gcp") }).await;
    let gcp = world.until("gcp-1", may_write).await;
    assert_eq!((gcp.role, gcp.epoch), (Role::Primary, Epoch(2)));
    let steps = world.aws.log();
    let closed = steps.iter().position(|step| step == "close 1");
    let (_, after) = steps.split_at(closed.expect("closed"));
    assert_eq!(after[1], "end sessions", "{steps:?}");
    assert!(!after.iter().any(|step| step == "arm 1"), "{steps:?}");
    let aws = world
        .until("aws-1", |status| status.role == Role::Fenced)
        .await;
    assert_eq!((aws.remaining_ms, aws.epoch), (0, Epoch(2)));
    assert_eq!(record(&world.store).await.fence, None);
}

#[tokio::test]
async fn a_ledger_that_was_kept_long_enough_is_erased_where_it_stands() {
    let mut world = initialised().await;
    for agent in ["aws-1", "gcp-1", "witness-1"] {
        world.start(agent, world.store.view()).await;
    }
    world.until("aws-1", may_write).await;
    world.gcp.expire_ledger(Epoch(1));
    let erased = "erase ledger 1".to_owned();
    eventually(async || world.gcp.log().contains(&erased)).await;
    assert!(!world.aws.log().contains(&erased));
}

#[tokio::test]
async fn in_confirm_mode_a_named_person_approves() {
    let mut world = initialised().await;
    world.config.policy.mode = Mode::Confirm;
    for agent in ["aws-1", "gcp-1", "witness-1"] {
        world.start(agent, world.store.view()).await;
    }
    world
        .until("aws-1", |status| {
            may_write(status) && exposure(status) == Some(Exposure::Bounded)
        })
        .await;
    world.kill("aws");
    let waits = |status: &Status| {
        let report = status.report.as_ref();
        let failed = |rule: &tandem_core::planner::Rule| !rule.passed;
        report.is_some_and(|report| report.rules.iter().filter(|rule| failed(rule)).count() == 1)
    };
    world.until("gcp-1", waits).await;
    assert_eq!(record(&world.store).await.epoch, Epoch(1));
    request(&world, RequestKind::Approve).await;
    let gcp = world.until("gcp-1", may_write).await;
    assert_eq!(gcp.epoch, Epoch(2));
    let counted = world.store.read("/tandem/crm-dr/promotions").await;
    assert_eq!(counted, Ok(None), "only automatic promotions count");
}

/// A record that an older build wrote rises when every agent reads the newer shape.
#[tokio::test]
async fn the_record_rises_to_what_every_agent_reads() {
    let mut world = initialised().await;
    let mut old = record(&world.store).await;
    old.version = 1;
    let text = serde_json::to_string(&old).expect("plain data");
    let put = world.store.put("/tandem/crm-dr/authority", &text).await;
    put.expect("the store answers");
    world.start("aws-1", world.store.view()).await;
    world.start("gcp-1", world.store.view()).await;
    world.until("aws-1", may_write).await;
    assert_eq!(
        record(&world.store).await.version,
        1,
        "the witness is silent"
    );
    world.start("witness-1", world.store.view()).await;
    eventually(async || record(&world.store).await.version == 2).await;
    world.until("aws-1", may_write).await;
}
