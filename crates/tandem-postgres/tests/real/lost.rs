//! A killed primary's lost tail is exactly what it had acknowledged and the survivor
//! never got.

use std::collections::BTreeSet;

use tandem_core::model::Epoch;
use tandem_postgres::{Error, lost};

use crate::world::{Mode, World, arm, assert_refused, barrier, insert, site_id};

#[tokio::test]
async fn the_lost_tail_is_the_difference_and_nothing_else() {
    let mut world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 1).await;
    let app = world.app("aws").await;
    let mut acknowledged = BTreeSet::new();
    for n in 0..200 {
        let request = format!("early-{n:03}");
        insert(&app, &request).await.expect("a right");
        acknowledged.insert(request);
    }
    barrier(&aws, &gcp, 1).await;
    for n in 0..300 {
        if n == 150 {
            world.relay.set(Mode::Cut);
        }
        let request = format!("late-{n:03}");
        insert(&app, &request).await.expect("a right");
        acknowledged.insert(request);
    }
    aws.beat(Epoch(1)).await.expect("a heartbeat nobody hears");
    world.aws.kill();

    let prepared = gcp
        .prepare_opening(Epoch(2), site_id("aws"))
        .await
        .expect("prepared");
    arm(&gcp, 2).await;
    insert(&world.app("gcp").await, "gcp goes on")
        .await
        .expect("a right");
    let survived: BTreeSet<_> = world.contacts("gcp").await.into_iter().collect();

    world.aws.run();
    let tail = lost::list(&world.config, site_id("aws"), prepared.boundary)
        .await
        .expect("a tail");
    let found: BTreeSet<_> = tail
        .iter()
        .flat_map(|transaction| &transaction.changes)
        .map(|change| {
            assert_eq!(
                (change.table.as_str(), change.op.as_str()),
                ("public.contact", "INSERT")
            );
            let (_, rest) = change
                .row
                .split_once("request_id[text]:'")
                .expect("a request");
            rest.split('\'').next().expect("a quoted text").to_owned()
        })
        .collect();
    let missing: BTreeSet<_> = acknowledged.difference(&survived).cloned().collect();
    assert!(
        missing.len() >= 150,
        "the relay was cut half way: {}",
        missing.len()
    );
    assert_eq!(found, missing);
    assert!(
        tail.iter()
            .all(|transaction| transaction.commit_end > prepared.boundary)
    );

    // Looking changed nothing, and the old primary refuses writes by a direct connection.
    let again = lost::list(&world.config, site_id("aws"), prepared.boundary)
        .await
        .expect("a tail");
    assert_eq!(again, tail);
    assert_refused(insert(&world.app("aws").await, "split brain").await);
}

#[tokio::test]
async fn a_site_without_its_slot_says_so() {
    let world = World::ready().await;
    let answer = lost::list(&world.config, site_id("gcp"), tandem_core::model::Lsn(0)).await;
    assert!(matches!(answer, Err(Error::Missing(_))), "{answer:?}");
}
