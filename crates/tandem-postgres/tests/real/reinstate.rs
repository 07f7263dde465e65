//! A killed primary's lost tail is kept, and the server comes back as a replica: row by row.

use std::collections::BTreeSet;

use tandem_core::database::Extent;
use tandem_core::model::Epoch;
use tandem_postgres::ledger::{self, Class, Entry};
use tandem_postgres::reinstate::lend;
use tandem_postgres::{Database, Error};
use tokio_postgres::Client;

use crate::world::{Mode, World, arm, assert_refused, barrier, insert, site_id};

/// Everything of both tables, in one text.
async fn image(world: &World, site: &str) -> String {
    let sql = "SELECT md5(string_agg(line, '|' ORDER BY line COLLATE \"C\")) FROM (
        SELECT 'c' || c::text AS line FROM public.contact c UNION ALL SELECT 'n' || n::text FROM public.note n) all_rows";
    let admin = world.server(site).admin().await;
    let row = admin.query_one(sql, &[]).await.expect("an image");
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.expect(sql);
}

async fn entries(world: &World) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut take = |entry| entries.push(entry);
    let read = ledger::changes(&world.config, site_id("gcp"), Epoch(2), &mut take);
    read.await.expect("a ledger");
    entries
}

/// aws wrote for a while, was cut, wrote on, and died; gcp opened and wrote too.
async fn diverged() -> (World, Database, Database, BTreeSet<String>) {
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
    run(
        &app,
        "INSERT INTO note (contact_id, body) SELECT id, 'first' FROM contact WHERE id <= 20 OR id BETWEEN 31 AND 60",
    )
    .await;
    barrier(&aws, &gcp, 1).await;
    for n in 0..150 {
        if n == 50 {
            world.relay.set(Mode::Cut);
        }
        let request = format!("late-{n:03}");
        insert(&app, &request).await.expect("a right");
        acknowledged.insert(request);
    }
    run(
        &app,
        "UPDATE contact SET name = 'lost' WHERE id BETWEEN 1 AND 40",
    )
    .await;
    run(&app, "DELETE FROM contact WHERE id BETWEEN 41 AND 60").await;
    run(
        &app,
        "UPDATE contact SET id = id + 900000 WHERE id BETWEEN 61 AND 65",
    )
    .await;
    aws.beat(Epoch(1)).await.expect("a heartbeat nobody hears");
    world.aws.kill();
    gcp.prepare_opening(Epoch(2), site_id("aws"))
        .await
        .expect("prepared");
    arm(&gcp, 2).await;
    let app = world.app("gcp").await;
    insert(&app, "gcp goes on").await.expect("a right");
    run(
        &app,
        "UPDATE contact SET name = 'newer' WHERE id BETWEEN 31 AND 50",
    )
    .await;
    run(&app, "DELETE FROM contact WHERE id BETWEEN 11 AND 12").await;
    run(
        &app,
        "UPDATE contact SET id = id + 800000 WHERE id BETWEEN 21 AND 22",
    )
    .await;
    (world, aws, gcp, acknowledged)
}

#[tokio::test]
async fn the_ledger_is_the_difference_and_the_way_back_copies_nothing() {
    let (mut world, aws, gcp, acknowledged) = diverged().await;
    let survived: BTreeSet<_> = world.contacts("gcp").await.into_iter().collect();
    world.relay.set(Mode::Forward);
    world.aws.run();

    // Nothing is changed before the ledger stands, and nothing at all unless a person asks.
    let early = aws.reinstate(&world.config, Epoch(2), Extent::Attach).await;
    assert!(
        matches!(early, Err(Error::LedgerMissing { .. })),
        "{early:?}"
    );
    let lost = ledger::collect(&world.config, site_id("gcp"))
        .await
        .expect("collected");
    assert_eq!(
        ledger::collect(&world.config, site_id("gcp"))
            .await
            .expect("again"),
        None
    );
    let unasked = aws.reinstate(&world.config, Epoch(2), Extent::Attach).await;
    assert!(
        matches!(unasked, Err(Error::LostWrites { lost: n }) if Some(n) == lost),
        "{unasked:?}"
    );
    assert_eq!(
        aws.observe().await.expect("a look").lost,
        lost.map(|n| n as u32)
    );
    let unlent = aws.reinstate(&world.config, Epoch(2), Extent::Repair).await;
    assert!(matches!(unlent, Err(Error::Query { .. })), "{unlent:?}");

    // Every lost write is in the ledger, and nothing else is.
    let listed = ledger::list(&world.config, site_id("gcp"))
        .await
        .expect("a list");
    assert_eq!(
        (listed.len(), listed[0].epoch, Some(listed[0].transactions)),
        (1, Epoch(2), lost)
    );
    let entries = entries(&world).await;
    assert_eq!(entries.len() as u64, listed[0].changes);
    let inserted: BTreeSet<String> = entries
        .iter()
        .filter(|entry| entry.change.op == tandem_postgres::tail::Op::Insert)
        .filter_map(|entry| Some(entry.change.row.get("request_id")?.as_str()?.to_owned()))
        .collect();
    let deleted_at_gcp = BTreeSet::from(["early-010".to_owned(), "early-011".to_owned()]);
    let missing: BTreeSet<_> = acknowledged.difference(&survived).cloned().collect();
    assert!(missing.len() >= 100, "{}", missing.len());
    assert_eq!(
        inserted,
        missing.difference(&deleted_at_gcp).cloned().collect()
    );
    let of = |class| entries.iter().filter(|entry| entry.class == class).count();
    // 31..=40 updated and 41..=50 deleted at aws were changed at gcp; 11, 12, 21, 22 are gone there.
    assert_eq!(
        (
            of(Class::ChangedSince),
            of(Class::RemovedSince),
            of(Class::ExistsSince)
        ),
        (20, 4, 0)
    );

    // Meanwhile somebody writes into the fenced server, past its guard: a row that is everywhere,
    // and one that only the lost tail knows.
    let admin = world.aws.admin().await;
    let past = "SET session_replication_role = replica; UPDATE public.contact SET name = 'by hand' WHERE id = 70 OR request_id = 'late-140'";
    run(&admin, past).await;

    // With the person's word and the lent powers it follows; twins do not disturb each other.
    lend(&world.config, site_id("aws")).await.expect("lent");
    let twin = world.database("aws");
    let (one, two) = tokio::join!(
        aws.reinstate(&world.config, Epoch(2), Extent::Repair),
        twin.reinstate(&world.config, Epoch(2), Extent::Repair)
    );
    one.expect("reinstated");
    two.expect("reinstated");
    let grown = self::entries(&world).await;
    assert_eq!(grown[..entries.len()], entries, "what stood there stays");
    let by_hand = &grown[entries.len()..];
    assert_eq!(by_hand.len(), 2, "what was written since is added");
    for entry in by_hand {
        assert_eq!(entry.change.row["name"], "by hand");
        assert_eq!(entry.class, Class::Mergeable, "judged by the whole tail");
    }
    let app = world.app("gcp").await;
    for n in 0..50 {
        insert(&app, &format!("after-{n}")).await.expect("a right");
    }
    barrier(&gcp, &aws, 2).await;
    assert_eq!(image(&world, "aws").await, image(&world, "gcp").await);
    let seen = aws.observe().await.expect("a look");
    let subscription = seen.subscription.expect("a subscription");
    assert!(
        subscription.enabled && subscription.tables_ready == subscription.tables_total,
        "{seen:?}"
    );
    assert!(seen.prepared.is_none() && seen.slot.is_none(), "{seen:?}");
    assert_refused(insert(&world.app("aws").await, "split brain").await);
    let powers = "SELECT has_function_privilege('tandem_agent', p.oid, 'EXECUTE') FROM pg_proc p WHERE p.proname = 'repair'";
    let lent: bool = world
        .aws
        .admin()
        .await
        .query_one(powers, &[])
        .await
        .expect("a look")
        .get(0);
    assert!(!lent, "the powers are returned");

    // An agent that died right after the site followed: the next one tidies up.
    let admin = world.aws.admin().await;
    run(
        &admin,
        "UPDATE tandem_local.reinstatement SET done_at = NULL",
    )
    .await;
    run(
        &admin,
        "SELECT pg_create_logical_replication_slot('crm_slot', 'pgoutput')",
    )
    .await;
    assert!(aws.observe().await.expect("a look").unfinished);
    let again = aws.reinstate(&world.config, Epoch(2), Extent::Attach).await;
    again.expect("tidied up");
    let seen = aws.observe().await.expect("a look");
    assert!(!seen.unfinished && seen.slot.is_none(), "{seen:?}");
    assert!(seen.subscription.is_some_and(|found| found.enabled));

    // The rows are kept as long as the settings say, or until a person removes them.
    let survivor = world.gcp.admin().await;
    let aged =
        "UPDATE tandem_local.ledger SET collected_at = collected_at - interval '30 days 1 hour'";
    run(&survivor, aged).await;
    for (days, due) in [(0, None), (30, Some(Epoch(2))), (31, None)] {
        assert_eq!(ledger_expired(&world, days).await, due, "{days} days");
    }
    let gone = ledger::erase(&world.config, site_id("gcp"), Epoch(2), "kim").await;
    assert_eq!(gone.expect("erased"), Some(listed[0].changes + 2));
    assert!(
        ledger::list(&world.config, site_id("gcp"))
            .await
            .expect("a list")[0]
            .erased
    );
    assert_eq!(ledger_expired(&world, 30).await, None);
}

/// The survivor's disk is full as soon as `room` changes of a ledger are written, or never.
async fn fill_disk(world: &World, room: Option<u32>) {
    let sql = match room {
        Some(room) => format!(
            "CREATE OR REPLACE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF (SELECT count(*) FROM tandem_local.ledger_change) >= {room} THEN
                     RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER full_disk AFTER INSERT ON tandem_local.ledger_change FOR EACH ROW EXECUTE FUNCTION public.full()"
        ),
        None => "DROP TRIGGER full_disk ON tandem_local.ledger_change".to_owned(),
    };
    run(&world.gcp.admin().await, &sql).await;
}

#[tokio::test]
async fn without_room_for_the_ledger_no_row_is_changed() {
    let (mut world, aws, _, _) = diverged().await;
    world.relay.set(Mode::Forward);
    world.aws.run();
    lend(&world.config, site_id("aws")).await.expect("lent");
    let before = image(&world, "aws").await;
    let ledgers = async || {
        ledger::list(&world.config, site_id("gcp"))
            .await
            .expect("a list")
    };

    fill_disk(&world, Some(100)).await;
    let kept = ledger::collect(&world.config, site_id("gcp")).await;
    let text = kept.expect_err("no room").to_string();
    assert!(text.contains("ledger"), "{text}");
    assert!(ledgers().await.is_empty(), "a ledger that exists is whole");
    let early = aws.reinstate(&world.config, Epoch(2), Extent::Repair).await;
    assert!(
        matches!(early, Err(Error::LedgerMissing { .. })),
        "{early:?}"
    );
    assert_eq!(image(&world, "aws").await, before);

    // It was written, and what came later finds no room.
    fill_disk(&world, None).await;
    let collected = ledger::collect(&world.config, site_id("gcp")).await;
    assert!(collected.expect("collected").is_some());
    let whole = ledgers().await;
    let past = "SET session_replication_role = replica; UPDATE public.contact SET name = 'by hand' WHERE id = 70";
    run(&world.aws.admin().await, past).await;
    let before = image(&world, "aws").await;
    fill_disk(&world, Some(1)).await;
    let grown = aws.reinstate(&world.config, Epoch(2), Extent::Repair).await;
    assert!(matches!(grown, Err(Error::Query { .. })), "{grown:?}");
    assert_eq!(
        (image(&world, "aws").await, ledgers().await),
        (before, whole)
    );

    fill_disk(&world, None).await;
    let again = aws.reinstate(&world.config, Epoch(2), Extent::Repair).await;
    again.expect("reinstated once there is room");
}

/// What the survivor's agents see of a ledger that is kept for `days`.
async fn ledger_expired(world: &World, days: u32) -> Option<Epoch> {
    let mut config = world.config.clone();
    config.database.ledger_keep_days = days;
    let database = Database::new(&config, site_id("gcp")).expect("a site");
    database.observe().await.expect("a look").ledger_expired
}

#[tokio::test]
async fn there_and_back_again_without_a_person() {
    let world = World::ready().await;
    let databases = [world.database("aws"), world.database("gcp")];
    let names = ["aws", "gcp"];
    arm(&databases[0], 1).await;
    for epoch in 2..=5_u64 {
        let (from, to) = ((epoch as usize) % 2, (epoch as usize + 1) % 2);
        let (source, target) = (&databases[from], &databases[to]);
        insert(&world.app(names[from]).await, &format!("before {epoch}"))
            .await
            .expect("a right");
        source.close_guard(Epoch(epoch - 1)).await.expect("closed");
        barrier(source, target, epoch - 1).await;
        target
            .prepare_opening(Epoch(epoch), site_id(names[from]))
            .await
            .expect("prepared");
        arm(target, epoch).await;
        insert(&world.app(names[to]).await, &format!("after {epoch}"))
            .await
            .expect("a right");
        let diverged = source.observe().await.expect("a look");
        assert!(
            diverged.diverged || diverged.subscription.is_none(),
            "{diverged:?}"
        );
        let lost = ledger::collect(&world.config, site_id(names[to])).await;
        assert_eq!(lost.expect("collected"), Some(0));
        source
            .reinstate(&world.config, Epoch(epoch), Extent::Attach)
            .await
            .expect("follows");
        barrier(target, source, epoch).await;
        assert!(!source.observe().await.expect("a look").diverged);
        assert_eq!(image(&world, "aws").await, image(&world, "gcp").await);
    }
    assert_eq!(world.contacts("aws").await.len(), 8);
}

#[tokio::test]
async fn a_full_copy_is_the_way_out_when_the_slot_is_gone() {
    let (mut world, aws, gcp, _) = diverged().await;
    world.relay.set(Mode::Forward);
    world.aws.run();
    let drop = "SELECT pg_drop_replication_slot('crm_slot')";
    run(&world.aws.admin().await, drop).await;
    ledger::collect(&world.config, site_id("gcp"))
        .await
        .expect("noted");
    let listed = ledger::list(&world.config, site_id("gcp"))
        .await
        .expect("a list");
    assert!(
        listed[0]
            .problem
            .as_ref()
            .is_some_and(|why| why.contains("crm_slot")),
        "{listed:?}"
    );
    lend(&world.config, site_id("aws")).await.expect("lent");
    let partly = aws.reinstate(&world.config, Epoch(2), Extent::Repair).await;
    assert!(
        matches!(partly, Err(Error::CopyNeeded { .. })),
        "{partly:?}"
    );
    aws.reinstate(&world.config, Epoch(2), Extent::Copy)
        .await
        .expect("copied");
    insert(&world.app("gcp").await, "while it copies")
        .await
        .expect("a right");
    crate::world::wait_until("every table is copied", || async {
        let seen = aws.observe().await.expect("a look");
        seen.subscription
            .is_some_and(|found| found.tables_ready == found.tables_total)
    })
    .await;
    barrier(&gcp, &aws, 2).await;
    assert_eq!(image(&world, "aws").await, image(&world, "gcp").await);
}

#[tokio::test]
async fn a_site_that_may_write_or_saw_a_newer_epoch_is_left_alone() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 3).await;
    let open = aws.reinstate(&world.config, Epoch(3), Extent::Repair).await;
    assert!(matches!(open, Err(Error::StillOpen { .. })), "{open:?}");
    let older = aws.reinstate(&world.config, Epoch(2), Extent::Repair).await;
    assert!(matches!(older, Err(Error::StaleEpoch { .. })), "{older:?}");
    gcp.stop_receiving().await.expect("stopped");
    gcp.resume_receiving(Epoch(3)).await.expect("resumed");
}
