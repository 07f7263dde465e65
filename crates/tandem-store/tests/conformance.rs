//! One suite for every driver: what agents rely on, run against the in-memory
//! double and against real etcd. A driver that cannot be started here is
//! skipped with a printed reason.

mod support;

use std::time::Duration;

use support::Cluster;
use tandem_core::model::SiteId;
use tandem_store::{Beside, Change, Faults, Memory, Store, StoreError, Versioned};

fn site(name: &str) -> SiteId {
    name.parse().expect("a legal name")
}

fn revision(change: &Change) -> u64 {
    match change {
        Change::Committed { revision } => *revision,
        Change::Conflict { current } => panic!("conflict with {current:?}"),
    }
}

async fn read(store: &dyn Store, key: &str) -> Versioned {
    store.read(key).await.expect("readable").expect("present")
}

/// Every promise of [`Store`] that does not need a fault.
async fn conforms(store: &dyn Store) {
    creates_once(store).await;
    replaces_only_what_was_read(store).await;
    replaces_only_while_other_keys_hold(store).await;
    reads_prefixes_in_order(store).await;
    puts_whatever_is_there(store).await;
    tells_that_a_key_was_changed(store).await;
}

async fn creates_once(store: &dyn Store) {
    assert_eq!(store.read("/t/once").await, Ok(None));
    let made = revision(&store.create("/t/once", "first").await.expect("answered"));
    let found = read(store, "/t/once").await;
    assert_eq!(
        found,
        Versioned {
            value: "first".into(),
            mod_revision: made
        }
    );
    let again = store.create("/t/once", "second").await;
    assert_eq!(
        again,
        Ok(Change::Conflict {
            current: Some(found)
        })
    );
}

async fn replaces_only_while_other_keys_hold(store: &dyn Store) {
    store.create("/t/main", "one").await.expect("answered");
    store.create("/t/life", "mine").await.expect("answered");
    let one = read(store, "/t/main").await;
    for also in [("/t/life", "a twin's"), ("/t/absent", "mine")] {
        let beside = Beside {
            holds: &[also],
            writes: &[("/t/beside", "never")],
        };
        let refused = store.replace_with("/t/main", &one, beside, "two").await;
        let current = Some(one.clone());
        assert_eq!(refused, Ok(Change::Conflict { current }), "{also:?}");
    }
    assert_eq!(store.read("/t/beside").await, Ok(None));
    let beside = Beside {
        holds: &[("/t/life", "mine")],
        writes: &[("/t/beside", "once")],
    };
    let made = store.replace_with("/t/main", &one, beside, "two").await;
    assert!(matches!(made, Ok(Change::Committed { .. })), "{made:?}");
    let again = Beside {
        writes: &[("/t/beside", "twice")],
        ..beside
    };
    let late = store.replace_with("/t/main", &one, again, "three").await;
    assert!(matches!(late, Ok(Change::Conflict { .. })), "{late:?}");
    assert_eq!(read(store, "/t/main").await.value, "two");
    assert_eq!(read(store, "/t/beside").await.value, "once");
}

async fn replaces_only_what_was_read(store: &dyn Store) {
    let first = revision(&store.create("/t/cas", "one").await.expect("answered"));
    let one = Versioned {
        value: "one".into(),
        mod_revision: first,
    };
    let second = revision(
        &store
            .replace("/t/cas", &one, "two")
            .await
            .expect("answered"),
    );
    assert!(second > first);
    let two = read(store, "/t/cas").await;
    let conflict = Ok(Change::Conflict {
        current: Some(two.clone()),
    });

    assert_eq!(
        store.replace("/t/cas", &one, "late").await,
        conflict,
        "an old revision"
    );
    let other_store = Versioned {
        value: "other identity".into(),
        ..two.clone()
    };
    assert_eq!(
        store.replace("/t/cas", &other_store, "x").await,
        conflict,
        "same revision, other value"
    );
    let older = Versioned {
        mod_revision: first,
        ..two.clone()
    };
    assert_eq!(
        store.replace("/t/cas", &older, "x").await,
        conflict,
        "same value, other revision"
    );
    assert_eq!(read(store, "/t/cas").await, two);
    let absent = store.replace("/t/absent", &two, "x").await;
    assert_eq!(absent, Ok(Change::Conflict { current: None }));
}

async fn tells_that_a_key_was_changed(store: &dyn Store) {
    const LONG: Duration = Duration::from_secs(10);
    let key = "/tandem/test/watched";
    let first = store.put(key, "one").await.expect("a store");
    let (told, written) = tokio::join!(store.wait_for_change(key, first, LONG), async {
        tokio::task::yield_now().await;
        store.put(key, "two").await
    });
    assert_eq!(told, Ok(true));
    // Also what was changed before the question, and nothing else.
    assert_eq!(store.wait_for_change(key, first, LONG).await, Ok(true));
    let last = written.expect("a store");
    store
        .put("/tandem/test/unwatched", "x")
        .await
        .expect("a store");
    let quiet = store.wait_for_change(key, last, Duration::from_millis(50));
    assert_eq!(quiet.await, Ok(false));
}

async fn reads_prefixes_in_order(store: &dyn Store) {
    for key in ["/t/list/b", "/t/list/a", "/t/listing"] {
        store.put(key, key).await.expect("answered");
    }
    let found = store.read_prefix("/t/list/").await.expect("answered");
    let keys: Vec<_> = found.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["/t/list/a", "/t/list/b"]);
    assert_eq!(found[1].versioned, read(store, "/t/list/b").await);
}

async fn puts_whatever_is_there(store: &dyn Store) {
    let first = store.put("/t/status", "1").await.expect("answered");
    let second = store.put("/t/status", "2").await.expect("answered");
    assert!(second > first);
    assert_eq!(
        read(store, "/t/status").await,
        Versioned {
            value: "2".into(),
            mod_revision: second
        }
    );
}

/// After a lost reply a caller that reads again finds out; a blind repetition conflicts.
async fn settles_after_a_lost_reply(store: &dyn Store, observer: &dyn Store) {
    assert_eq!(
        store.create("/t/lost", "mine").await,
        Err(StoreError::Unknown)
    );
    assert_eq!(read(observer, "/t/lost").await.value, "mine");
}

async fn moves_leadership(store: &dyn Store) {
    for target in ["gcp", "witness", "witness", "aws"] {
        store.move_leader_to(site(target)).await.expect("moved");
        support::eventually(Duration::from_secs(10), async || {
            store.leader().await == Ok(Some(site(target)))
        })
        .await;
    }
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&Memory::new()).await;
}

#[tokio::test]
async fn memory_moves_leadership() {
    let store = Memory::new();
    moves_leadership(&store).await;
    store.set_silent(site("gcp"), true);
    assert!(matches!(
        store.move_leader_to(site("gcp")).await,
        Err(StoreError::Refused(_))
    ));
}

#[tokio::test]
async fn memory_loses_replies_and_goes_away_on_order() {
    let store = Memory::new();
    let observer = store.view();
    store.set_faults(Faults {
        lost_replies: 1,
        ..Faults::default()
    });
    settles_after_a_lost_reply(&store, &observer).await;
    assert!(
        store
            .create("/t/lost", "again")
            .await
            .is_ok_and(|change| change
                == Change::Conflict {
                    current: Some(Versioned {
                        value: "mine".into(),
                        mod_revision: 2
                    })
                })
    );
    store.set_faults(Faults {
        unreachable: true,
        ..Faults::default()
    });
    assert_eq!(store.read("/t/lost").await, Err(StoreError::Unreachable));
    assert!(
        observer.read("/t/lost").await.is_ok(),
        "only one view is cut off"
    );
}

#[tokio::test]
async fn etcd_conforms() {
    let Some(cluster) = Cluster::start(&["aws"]).await else {
        return;
    };
    conforms(&cluster.store(&["aws"])).await;
}

#[tokio::test]
async fn etcd_tells_a_lost_reply_from_a_dead_member() {
    let Some(mut cluster) = Cluster::start(&["aws"]).await else {
        return;
    };
    let direct = cluster.store(&["aws"]);
    let deaf = cluster.store_behind(support::swallow_replies(cluster.address("aws")).await);
    settles_after_a_lost_reply(&deaf, &direct).await;

    cluster.kill("aws");
    support::eventually(Duration::from_secs(10), async || {
        direct.put("/t/dead", "x").await == Err(StoreError::Unreachable)
    })
    .await;
}

#[tokio::test]
async fn etcd_goes_on_while_one_of_three_is_frozen_and_moves_its_leader() {
    let sites = ["aws", "gcp", "witness"];
    let Some(cluster) = Cluster::start(&sites).await else {
        return;
    };
    let store = cluster.store(&sites);
    moves_leadership(&store).await;
    store.move_leader_to(site("witness")).await.expect("moved");
    cluster.freeze("aws");
    store
        .put("/t/frozen", "still")
        .await
        .expect("the next member answers");
    assert_eq!(read(&store, "/t/frozen").await.value, "still");
    assert!(matches!(
        store.move_leader_to(site("aws")).await,
        Err(StoreError::Refused(_))
    ));
}
