//! The guard as an application meets it, by direct connections that pass no gate.

use std::time::Duration;

use tandem_core::model::Epoch;
use tandem_postgres::{Error, boot_time, break_glass_sql};

use crate::world::{World, arm, assert_refused, in_seconds, insert, wait_until};

async fn remaining(database: &tandem_postgres::Database) -> u64 {
    database
        .observe()
        .await
        .expect("a look")
        .guard
        .expect("a lease")
        .remaining_ms
}

#[tokio::test]
async fn writes_pass_only_while_the_lease_lasts() {
    let world = World::ready().await;
    let aws = world.database("aws");
    let app = world.app("aws").await;
    assert_refused(insert(&app, "before any right").await);
    app.query("SELECT * FROM public.contact", &[])
        .await
        .expect("reads always pass");

    let open = world.app("aws").await;
    let held = world.app("aws").await;
    // Long enough for three inserts on a busy machine.
    let short = boot_time().after(Duration::from_secs(5));
    let armed = aws
        .renew_guard(Epoch(1), "aws-1", short)
        .await
        .expect("armed");
    assert!(
        armed.epoch == Epoch(1) && armed.remaining_ms <= 5000,
        "never past the deadline: {armed:?}"
    );
    insert(&app, "within").await.expect("a right");
    open.batch_execute("BEGIN").await.expect("a transaction");
    insert(&open, "open at the end").await.expect("a right");
    held.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await
        .expect("a transaction");
    insert(&held, "snapshot of the right")
        .await
        .expect("a right");
    wait_until("the lease has ended", || async {
        remaining(&aws).await == 0
    })
    .await;

    assert_refused(insert(&app, "after").await);
    assert_refused(open.batch_execute("COMMIT").await);
    assert_refused(held.batch_execute("COMMIT").await);
    // Even the superuser meets it, and TRUNCATE too.
    let admin = world.aws.admin().await;
    assert_refused(admin.batch_execute("TRUNCATE public.contact CASCADE").await);
    assert_eq!(world.contacts("aws").await, ["within"]);
}

#[tokio::test]
async fn cascades_and_savepoints_work_under_the_guard() {
    let world = World::ready().await;
    let aws = world.database("aws");
    arm(&aws, 1).await;
    let app = world.app("aws").await;
    let id = insert(&app, "parent").await.expect("a right");
    let note = "INSERT INTO public.note (contact_id, body) VALUES ($1, 'x')";
    app.execute(note, &[&id]).await.expect("a right");
    app.execute("DELETE FROM public.contact WHERE id = $1", &[&id])
        .await
        .expect("a cascade");

    app.batch_execute("BEGIN; SAVEPOINT s")
        .await
        .expect("a savepoint");
    insert(&app, "undone").await.expect("a right");
    app.batch_execute("ROLLBACK TO s").await.expect("undone");
    insert(&app, "kept").await.expect("a right");
    aws.close_guard(Epoch(1)).await.expect("closed");
    assert_refused(app.batch_execute("COMMIT").await);
    assert!(world.contacts("aws").await.is_empty());
}

#[tokio::test]
async fn only_a_newer_epoch_opens_a_closed_guard() {
    let world = World::ready().await;
    let aws = world.database("aws");
    arm(&aws, 2).await;
    let older = aws.renew_guard(Epoch(1), "late", in_seconds(60)).await;
    assert!(
        matches!(
            older,
            Err(Error::StaleEpoch {
                found: Epoch(2),
                ..
            })
        ),
        "{older:?}"
    );
    let shorter = aws
        .renew_guard(Epoch(2), "twin", in_seconds(1))
        .await
        .expect("the same epoch");
    assert!(
        shorter.remaining_ms > 30_000,
        "never shortened: {shorter:?}"
    );

    aws.close_guard(Epoch(2)).await.expect("closed");
    aws.close_guard(Epoch(2)).await.expect("closed already");
    let app = world.app("aws").await;
    assert_refused(insert(&app, "closed").await);
    let again = aws.renew_guard(Epoch(2), "late", in_seconds(60)).await;
    assert!(
        matches!(again, Err(Error::GuardClosed { epoch: Epoch(2) })),
        "{again:?}"
    );
    arm(&aws, 3).await;
    insert(&app, "open").await.expect("a right");
    let late = aws.close_guard(Epoch(2)).await;
    assert!(matches!(late, Err(Error::StaleEpoch { .. })), "{late:?}");
    insert(&app, "still open").await.expect("a right");
}

#[tokio::test]
async fn a_restart_closes_the_guard_until_it_is_renewed() {
    let mut world = World::ready().await;
    let aws = world.database("aws");
    arm(&aws, 1).await;
    world.aws.kill();
    world.aws.run();
    let app = world.app("aws").await;
    assert_refused(insert(&app, "after the restart").await);
    wait_until("the handle has reconnected", || async {
        aws.observe().await.is_ok()
    })
    .await;
    assert_eq!(remaining(&aws).await, 0);
    arm(&aws, 1).await;
    insert(&app, "renewed").await.expect("a right");
    let origin = app
        .query_one("SELECT tandem_local.origin()", &[])
        .await
        .expect("an origin");
    assert_eq!(origin.get::<_, String>(0), "aws/1");
}

#[tokio::test]
async fn transactions_of_the_application_end_and_only_those() {
    let world = World::ready().await;
    let aws = world.database("aws");
    let (idle, busy) = (world.app("aws").await, world.app("aws").await);
    busy.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .await
        .expect("a snapshot from before the closing");
    let ended = aws.end_application_transactions().await.expect("allowed");
    assert_eq!(ended, 1);
    // PostgreSQL only signals the backend; it ends when it notices.
    wait_until("the transaction is over", || async {
        busy.simple_query("SELECT 1").await.is_err()
    })
    .await;
    wait_until("nothing is left to end", || async {
        aws.end_application_transactions().await.expect("allowed") == 0
    })
    .await;
    idle.simple_query("SELECT 1").await.expect("a reader stays");
}

#[tokio::test]
async fn the_agent_holds_no_power_over_rows() {
    let world = World::ready().await;
    let agent = world
        .aws
        .connect("tandem_agent", "agent's secret", "crm")
        .await;
    for forbidden in [
        "SELECT * FROM public.contact",
        "DELETE FROM public.contact",
        "ALTER TABLE public.contact DISABLE TRIGGER tandem_guard",
        "SELECT subconninfo FROM pg_subscription",
        "CREATE ROLE another",
    ] {
        let error = agent.batch_execute(forbidden).await.expect_err(forbidden);
        assert_eq!(
            error.code().map(|code| code.code()),
            Some("42501"),
            "{forbidden}"
        );
    }
    let app = world.app("aws").await;
    for function in [
        "stop_receiving()",
        "resume_receiving()",
        "end_receiver()",
        "publish()",
        "advance_sequences('{}')",
    ] {
        let call = format!("SELECT tandem_local.{function}");
        let error = app.batch_execute(&call).await.expect_err(function);
        assert_eq!(
            error.code().map(|code| code.code()),
            Some("42501"),
            "{function}"
        );
    }
}

#[tokio::test]
async fn break_glass_opens_for_a_time_and_arming_ends_it() {
    let world = World::ready().await;
    let (aws, app) = (world.database("aws"), world.app("aws").await);
    arm(&aws, 3).await;
    aws.close_guard(Epoch(3)).await.expect("closed");
    assert_refused(insert(&app, "closed for good").await);

    let life = Duration::from_secs(600);
    let opened = aws.disarm_guard(Epoch(3), "kim", life).await;
    let opened = opened.expect("disarmed");
    assert!(
        opened.epoch == Epoch(3) && opened.remaining_ms > 300_000,
        "{opened:?}"
    );
    insert(&app, "by break-glass").await.expect("disarmed");
    aws.renew_guard(Epoch(3), "aws-1", in_seconds(1))
        .await
        .expect("the same epoch");
    assert!(remaining(&aws).await > 300_000, "agents do not shorten it");
    let sql = "SELECT holder FROM tandem_local.lease";
    let admin = world.aws.admin().await;
    let holder: String = admin.query_one(sql, &[]).await.expect("a row").get(0);
    assert_eq!(holder, "aws-1");

    aws.rearm_guard().await.expect("armed");
    wait_until("the lease has ended", || async {
        remaining(&aws).await == 0
    })
    .await;
    assert_refused(insert(&app, "armed again").await);

    let line = break_glass_sql("aws".parse().expect("a site"), life);
    admin.batch_execute(&line).await.expect("the printed line");
    insert(&app, "by the printed line").await.expect("disarmed");
    let contacts = world.contacts("aws").await;
    assert_eq!(contacts, ["by break-glass", "by the printed line"]);

    let gcp = world.database("gcp");
    let receiving = gcp.disarm_guard(Epoch(3), "kim", life).await;
    assert!(
        matches!(receiving, Err(Error::StillReceiving)),
        "{receiving:?}"
    );
}
