//! From subscriber to a database that takes writes, step by step.

use std::time::Instant;

use tandem_core::database::DatabaseSeen;
use tandem_core::model::{Epoch, Lsn};
use tandem_postgres::{Database, Error, tail};

use crate::world::{
    Mode, World, arm, assert_refused, barrier, in_seconds, insert, site_id, wait_until,
};

async fn look(database: &Database) -> DatabaseSeen {
    database.observe().await.expect("a look")
}

#[tokio::test]
async fn a_replica_becomes_primary_in_steps_that_observe_shows() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    let from = site_id("aws");

    let seen = look(&gcp).await;
    let subscription = seen.subscription.expect("a subscription");
    assert!(
        subscription.enabled && seen.applied.is_none() && seen.prepared.is_none(),
        "{seen:?}"
    );
    assert_eq!(
        (subscription.tables_ready, subscription.tables_total),
        (3, 3)
    );
    wait_until("the slot is read", || async {
        look(&aws).await.slot.is_some_and(|slot| slot.active)
    })
    .await;

    // Apply is not stopped by the replica's closed guard.
    arm(&aws, 1).await;
    let app = world.app("aws").await;
    let mut last = 0;
    for n in 0..20 {
        last = insert(&app, &format!("aws-{n:02}")).await.expect("a right");
    }
    barrier(&aws, &gcp, 1).await;
    let seen = look(&gcp).await;
    assert!(
        seen.subscription
            .is_some_and(|found| found.worker && found.origin.is_some()),
        "{seen:?}"
    );
    assert!(
        seen.applied
            .is_some_and(|beat| beat.epoch == Epoch(1) && beat.site == from),
        "{seen:?}"
    );
    assert_eq!(world.contacts("gcp").await.len(), 20);

    // A database that receives is not opened.
    let opened = gcp.renew_guard(Epoch(2), "gcp-1", in_seconds(60)).await;
    assert!(matches!(opened, Err(Error::StillReceiving)), "{opened:?}");

    gcp.stop_receiving().await.expect("stopped");
    let stopped = look(&gcp).await.subscription.expect("a subscription");
    assert!(!stopped.enabled && !stopped.worker, "{stopped:?}");
    gcp.resume_receiving(Epoch(1)).await.expect("resumed");
    wait_until("the worker runs again", || async {
        look(&gcp)
            .await
            .subscription
            .is_some_and(|found| found.enabled && found.worker)
    })
    .await;

    let twin = world.database("gcp");
    let (one, two) = tokio::join!(
        gcp.prepare_opening(Epoch(2), from),
        twin.prepare_opening(Epoch(2), from)
    );
    let prepared = one.expect("prepared");
    assert_eq!(prepared, two.expect("prepared by the twin"));
    let seen = look(&gcp).await;
    assert_eq!(seen.prepared, Some(prepared));
    assert_eq!(
        seen.subscription.and_then(|found| found.origin),
        Some(prepared.boundary)
    );
    assert!(
        seen.slot.is_some_and(|slot| !slot.active && !slot.lost),
        "{seen:?}"
    );
    assert_eq!(
        gcp.prepare_opening(Epoch(2), from).await.expect("again"),
        prepared
    );
    let older = gcp.prepare_opening(Epoch(1), from).await;
    assert!(matches!(older, Err(Error::StaleEpoch { .. })), "{older:?}");

    let app = world.app("gcp").await;
    assert_refused(insert(&app, "too early").await);
    arm(&gcp, 2).await;
    let first = insert(&app, "gcp-00").await.expect("a right");
    assert!(
        first > last + 1000,
        "{first} is past anything aws can have given out ({last})"
    );
    let note = "INSERT INTO public.note (body) VALUES ('x') RETURNING id";
    let id: i32 = app.query_one(note, &[]).await.expect("a right").get(0);
    assert!(id > 1000, "also for a sequence that was never used: {id}");
    gcp.beat(Epoch(2)).await.expect("a heartbeat");
    let resumed = gcp.resume_receiving(Epoch(2)).await;
    assert!(matches!(resumed, Err(Error::Diverged)), "{resumed:?}");

    // Everything written since the opening waits in the reverse slot for the old primary.
    let back = tail::read(&world.config, site_id("gcp"), Lsn(0))
        .await
        .expect("the way back");
    let back = back.lost;
    let rows: Vec<_> = back.iter().flat_map(|found| &found.changes).collect();
    assert_eq!(rows.len(), 2, "{back:?}");
    let request = rows[0]
        .row
        .get("request_id")
        .and_then(|value| value.as_str());
    assert_eq!(request, Some("gcp-00"), "{rows:?}");
}

#[tokio::test]
async fn a_preparation_that_never_opened_is_made_anew() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 1).await;
    barrier(&aws, &gcp, 1).await;
    let first = gcp
        .prepare_opening(Epoch(2), site_id("aws"))
        .await
        .expect("prepared");
    let stale = gcp.resume_receiving(Epoch(1)).await;
    assert!(matches!(stale, Err(Error::StaleEpoch { .. })), "{stale:?}");
    gcp.resume_receiving(Epoch(3))
        .await
        .expect("the claim failed");
    assert_eq!(
        look(&gcp).await.prepared,
        None,
        "its boundary is no longer true"
    );
    arm(&aws, 3).await;
    insert(&world.app("aws").await, "meanwhile")
        .await
        .expect("a right");
    barrier(&aws, &gcp, 3).await;
    let second = gcp
        .prepare_opening(Epoch(4), site_id("aws"))
        .await
        .expect("prepared");
    assert!(second.boundary > first.boundary);
    let back = tail::read(&world.config, site_id("gcp"), Lsn(0))
        .await
        .expect("the way back");
    assert!(
        back.lost.is_empty(),
        "received rows do not travel back: {back:?}"
    );
    let late = gcp.prepare_opening(Epoch(3), site_id("aws")).await;
    assert!(matches!(late, Err(Error::StaleEpoch { .. })), "{late:?}");
}

#[tokio::test]
async fn a_site_that_takes_its_own_right_back_keeps_everything() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 1).await;
    barrier(&aws, &gcp, 1).await;
    let prepared = aws
        .prepare_opening(Epoch(2), site_id("aws"))
        .await
        .expect("prepared");
    assert_eq!(prepared.boundary, Lsn(0));
    arm(&aws, 2).await;
    insert(&world.app("aws").await, "goes on")
        .await
        .expect("a right");
    barrier(&aws, &gcp, 2).await;
    assert_eq!(world.contacts("gcp").await, ["goes on"]);
    let old = aws.beat(Epoch(1)).await;
    assert!(
        matches!(
            old,
            Err(Error::StaleEpoch {
                found: Epoch(2),
                ..
            })
        ),
        "{old:?}"
    );
}

#[tokio::test]
async fn a_worker_inside_a_silent_transaction_is_ended() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 1).await;
    barrier(&aws, &gcp, 1).await;
    let big = "INSERT INTO public.contact (request_id, name) SELECT 'big-' || n, repeat('x', 500) FROM generate_series(1, 100000) n";
    let app = world.app("aws").await;
    app.batch_execute(big).await.expect("a right");
    let inside = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'logical replication worker' AND backend_xid IS NOT NULL)";
    let admin = world.gcp.admin().await;
    wait_until("the worker is inside the transaction", || async {
        admin
            .query_one(inside, &[])
            .await
            .is_ok_and(|row| row.get(0))
    })
    .await;
    world.relay.set(Mode::Silent);
    gcp.stop_receiving().await.expect("the worker is ended");
    let seen = look(&gcp).await.subscription.expect("a subscription");
    assert!(!seen.enabled && !seen.worker);
    assert!(
        world.contacts("gcp").await.is_empty(),
        "half a transaction is none"
    );
    gcp.prepare_opening(Epoch(2), site_id("aws"))
        .await
        .expect("prepared");
}

/// Prints how long the SQL of a promotion takes; the numbers go into the measurements.
#[tokio::test]
async fn the_sql_of_a_promotion_is_measured() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    let mut times = Vec::new();
    for round in 0..7 {
        let epoch = 1 + 2 * round;
        arm(&aws, epoch).await;
        insert(&world.app("aws").await, &format!("round-{round}"))
            .await
            .expect("a right");
        barrier(&aws, &gcp, epoch).await;
        wait_until("the worker runs", || async {
            look(&gcp).await.subscription.is_some_and(|s| s.worker)
        })
        .await;
        let begun = Instant::now();
        gcp.prepare_opening(Epoch(epoch + 1), site_id("aws"))
            .await
            .expect("prepared");
        times.push(begun.elapsed());
        gcp.resume_receiving(Epoch(epoch + 1))
            .await
            .expect("the claim failed");
    }
    times.sort();
    println!(
        "preparation for opening: median {:?}, all {times:?}",
        times[times.len() / 2]
    );
    let mut looks = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        look(&gcp).await;
        looks.push(begun.elapsed());
    }
    looks.sort();
    println!("observe: median {:?}, longest {:?}", looks[25], looks[49]);
}
