//! Setup: once does everything, twice does nothing, and faults come all at once.

use std::process::Command;

use tandem_postgres::setup::Outcome;
use tandem_postgres::{Error, status};

use crate::server::{ADMIN, Server};
use crate::world::{World, arm, barrier, insert, wait_until};

/// Everything but rows: roles with their password verifiers, schema, rights, sequences.
fn catalog(server: &Server) -> String {
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(server.program(program));
        command
            .env("PGPASSWORD", ADMIN)
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p"]);
        let done = command
            .arg(server.port.to_string())
            .args(arguments)
            .output()
            .expect(program);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).expect("text")
    };
    let text = run("pg_dumpall", &["--globals-only"]) + &run("pg_dump", &["-d", "crm"]);
    // Newer dumps carry a random key against injected commands.
    text.lines()
        .filter(|line| !line.contains("restrict"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn setup_does_everything_once_and_nothing_twice() {
    let world = World::bare().await;
    let admin = world.aws.admin().await;
    admin
        .batch_execute("INSERT INTO public.contact (request_id) SELECT 'old-' || n FROM generate_series(1, 1000) n")
        .await
        .expect("rows");

    let before = catalog(&world.aws) + &catalog(&world.gcp);
    let Outcome::Planned(planned) = world.set_up(true).await else {
        panic!("a plan")
    };
    assert_eq!(
        before,
        catalog(&world.aws) + &catalog(&world.gcp),
        "a dry run changes nothing"
    );

    let Outcome::Done(done) = world.set_up(false).await else {
        panic!("done")
    };
    assert_eq!(planned, done, "the dry run told the truth");
    assert_eq!(world.contacts("gcp").await.len(), 1000);

    let watcher = "SELECT pg_create_logical_replication_slot('watch', 'test_decoding')";
    admin.batch_execute(watcher).await.expect("a slot");
    let before = catalog(&world.aws) + &catalog(&world.gcp);
    let Outcome::Done(again) = world.set_up(false).await else {
        panic!("done")
    };
    assert!(again.is_empty(), "{again:?}");
    assert_eq!(before, catalog(&world.aws) + &catalog(&world.gcp));
    let changes = "SELECT count(*) FROM pg_logical_slot_peek_changes('watch', NULL, NULL, 'skip-empty-xacts', '1')";
    let count: i64 = admin.query_one(changes, &[]).await.expect("a count").get(0);
    assert_eq!(count, 0, "no row of anybody was written");
    admin
        .batch_execute("SELECT pg_drop_replication_slot('watch')")
        .await
        .expect("dropped");
}

#[tokio::test]
async fn a_new_table_is_taken_in_by_the_next_run() {
    let world = World::ready().await;
    let table = "CREATE TABLE public.added (id int PRIMARY KEY, v text); ALTER TABLE public.added OWNER TO crm_owner";
    for server in [&world.gcp, &world.aws] {
        server
            .admin()
            .await
            .batch_execute(table)
            .await
            .expect("a table");
    }
    let Outcome::Done(steps) = world.set_up(false).await else {
        panic!("done")
    };
    let said: Vec<_> = steps.iter().map(ToString::to_string).collect();
    assert!(
        said.contains(&"aws: publish public.added in crm_replication".to_owned()),
        "{said:?}"
    );
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 1).await;
    world
        .aws
        .admin()
        .await
        .batch_execute("INSERT INTO public.added VALUES (1, 'x')")
        .await
        .expect("a row");
    barrier(&aws, &gcp, 1).await;
    let admin = world.gcp.admin().await;
    let row = admin
        .query_one("SELECT v FROM public.added", &[])
        .await
        .expect("the row");
    assert_eq!(row.get::<_, String>(0), "x");
    let seen = (
        aws.observe().await.expect("a look"),
        gcp.observe().await.expect("a look"),
    );
    assert_eq!(seen.0.schema_hash, seen.1.schema_hash);
    world
        .gcp
        .admin()
        .await
        .batch_execute("ALTER TABLE public.added ADD w int")
        .await
        .expect("altered");
    assert_ne!(
        gcp.observe().await.expect("a look").schema_hash,
        seen.0.schema_hash
    );
}

#[tokio::test]
async fn all_faults_are_told_at_once_and_nothing_is_changed() {
    let world = World::with_settings(&[
        "wal_level = replica",
        "max_prepared_transactions = 4",
        "max_slot_wal_keep_size = -1",
    ])
    .await;
    let admin = world.aws.admin().await;
    admin
        .batch_execute("CREATE TABLE public.keyless (v int)")
        .await
        .expect("a table");
    let gcp = world.gcp.admin().await;
    let table = "CREATE TABLE public.contact (id bigint PRIMARY KEY, request_id varchar(9)); INSERT INTO public.contact VALUES (1)";
    gcp.batch_execute(table).await.expect("a table");
    let before = catalog(&world.aws) + &catalog(&world.gcp);
    let Outcome::Refused(faults) = world.set_up(false).await else {
        panic!("refused")
    };
    let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let said = said.join("\n");
    for expected in [
        "aws: wal_level is replica",
        "aws: max_prepared_transactions is 4",
        "aws: max_slot_wal_keep_size is not set",
        "aws: table public.keyless has no primary key",
        "gcp: table public.contact already holds rows",
        "gcp: column public.contact.name is missing",
        "gcp: column public.contact.request_id is character varying(9), not text",
        "gcp: table public.note is missing",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    assert_eq!(before, catalog(&world.aws) + &catalog(&world.gcp));
}

#[tokio::test]
async fn status_shows_the_direction_and_its_lag() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 1).await;
    insert(&world.app("aws").await, "one").await.expect("a row");
    barrier(&aws, &gcp, 1).await;
    let found = status::read(&world.config).await.expect("a status");
    assert_eq!(found.directions.len(), 1);
    let ahead = &found.directions[0];
    assert_eq!(ahead.state, status::State::Streaming, "{found:?}");
    let slot = ahead.slot.as_ref().expect("a slot");
    assert_eq!(slot.slot_name, "crm_slot");
    assert!(slot.active && slot.headroom_bytes.is_some() && slot.restart_lsn.is_some());
    assert!(ahead.lag_ms.is_some() && ahead.lag_bytes.is_some());
    assert!(
        ahead
            .subscription
            .as_ref()
            .is_some_and(|found| found.received_lsn.is_some())
    );
}

#[tokio::test]
async fn the_agent_notices_a_missing_setup_and_the_wrong_site() {
    let world = World::bare().await;
    let admin = world.aws.admin().await;
    admin
        .batch_execute("CREATE ROLE tandem_agent LOGIN PASSWORD 'agent''s secret'")
        .await
        .expect("a role");
    let answer = world.database("aws").observe().await;
    assert!(matches!(answer, Err(Error::NotSetUp { .. })), "{answer:?}");

    world.set_up(false).await;
    // With TLS the certificate tells it already.
    let mut swapped = world.config.clone();
    let aws = swapped.sites.get_mut(&crate::world::site_id("aws"));
    let place = &mut aws.expect("aws").postgres;
    place.port = world.gcp.port;
    place.login_ca_file = None;
    let wrong =
        tandem_postgres::Database::new(&swapped, crate::world::site_id("aws")).expect("a handle");
    let answer = wrong.observe().await;
    assert!(matches!(answer, Err(Error::WrongSite { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_lost_connection_comes_back_by_itself() {
    let mut world = World::ready().await;
    let aws = world.database("aws");
    aws.observe().await.expect("a look");
    world.aws.kill();
    aws.observe().await.expect_err("the server is dead");
    world.aws.run();
    wait_until("the handle has reconnected", || async {
        aws.observe().await.is_ok()
    })
    .await;
}
