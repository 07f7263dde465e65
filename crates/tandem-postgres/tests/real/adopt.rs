//! Adoption: setup, guards on and guards off, while an application writes and is never refused.

use std::time::Duration;

use tandem_postgres::Error;
use tandem_postgres::guards::{self, Direction, Options};
use tandem_postgres::setup::{self, Outcome, Patience};
use tandem_postgres::steps::Step;
use tokio_postgres::Client;

use crate::server::ADMIN;
use crate::traffic::{Renewal, Traffic, application};
use crate::world::{World, barrier, insert, site_id, wait_until};

/// Two short attempts: enough for a lock that nobody gives up.
const HASTY: Patience = Patience {
    lock_timeout: Duration::from_millis(200),
    rounds: 2,
};

fn options(direction: Direction, site: Option<&str>) -> Options {
    Options {
        direction,
        site: site.map(site_id),
        tables: Vec::new(),
        offline: false,
        dry_run: false,
        patience: Patience::default(),
    }
}

async fn guards(world: &World, options: &Options) -> Outcome {
    let done = guards::run(&world.config, options, &mut |_: &str| {}).await;
    done.expect("an answer")
}

async fn guarded(world: &World, site: &str) -> Vec<String> {
    let admin = world.server(site).admin().await;
    let sql = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'tandem_guard' AND tgenabled = 'O' ORDER BY 1";
    let rows = admin.query(sql, &[]).await.expect("triggers");
    rows.iter().map(|row| row.get(0)).collect()
}

/// A batch job that has written into `note` and does not end.
async fn batch(world: &World, site: &str, sql: &str) -> Client {
    let job = world.server(site).connect("postgres", ADMIN, "crm").await;
    let begin = format!("SET application_name = 'billing-batch'; BEGIN; {sql}");
    job.batch_execute(&begin).await.expect("a long transaction");
    job
}

fn said(steps: &[Step]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_database_with_traffic_is_set_up_and_guarded_without_a_refused_write() {
    let world = World::bare().await;
    application(&world, "aws").await;
    let traffic = Traffic::start(&world, "aws").await;
    match world.set_up_with(world.options(false, false)).await {
        Outcome::Done(steps) => assert!(!steps.is_empty()),
        other => panic!("{other:?}"),
    }
    assert!(
        guarded(&world, "aws").await.is_empty(),
        "nobody holds the right yet"
    );
    assert_eq!(guarded(&world, "gcp").await, ["contact", "note"]);
    match world.set_up_with(world.options(false, false)).await {
        Outcome::Done(steps) => assert!(steps.is_empty(), "{steps:?}"),
        other => panic!("{other:?}"),
    }

    let Outcome::Refused(faults) = guards(&world, &options(Direction::Install, None)).await else {
        panic!("a guard would have refused every write")
    };
    assert!(
        faults[0].problem.contains("no agent holds the right"),
        "{faults:?}"
    );
    let agent = Renewal::start(&world, "aws", 1).await;
    let Outcome::Done(steps) = guards(&world, &options(Direction::Install, None)).await else {
        panic!("installed")
    };
    assert_eq!(
        said(&steps),
        [
            "aws: guard table public.contact",
            "aws: guard table public.note"
        ]
    );
    assert_eq!(guarded(&world, "aws").await, ["contact", "note"]);
    traffic.goes_on().await;

    let mut one = options(Direction::Remove, Some("aws"));
    one.tables = vec!["public.note".into()];
    assert!(matches!(guards(&world, &one).await, Outcome::Done(steps) if steps.len() == 1));
    assert_eq!(guarded(&world, "aws").await, ["contact"]);
    let all = options(Direction::Remove, None);
    assert!(matches!(guards(&world, &all).await, Outcome::Done(steps) if steps.len() == 3));
    drop(agent);
    traffic.end("setup, guards on, guards off").await;

    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    barrier(&aws, &gcp, 1).await;
    assert_eq!(world.contacts("aws").await, world.contacts("gcp").await);
}

#[tokio::test]
async fn a_table_that_is_never_free_is_named_and_the_next_run_goes_on_there() {
    let world = World::bare().await;
    application(&world, "aws").await;
    world.set_up_with(world.options(false, false)).await;
    let agent = Renewal::start(&world, "aws", 1).await;
    let traffic = Traffic::start(&world, "aws").await;
    let job = batch(
        &world,
        "aws",
        "INSERT INTO public.note (body) VALUES ('secret')",
    )
    .await;

    let mut install = options(Direction::Install, Some("aws"));
    install.patience = HASTY;
    let Outcome::Partial(taken, blocked) = guards(&world, &install).await else {
        panic!("one table is never free")
    };
    assert_eq!(said(&taken), ["aws: guard table public.contact"]);
    assert_eq!(blocked.len(), 1, "{blocked:?}");
    let holders = &blocked[0].held_by;
    assert!(holders.iter().any(
        |held| held.application_name == "billing-batch" && held.state == "idle in transaction"
    ));
    let sentence = blocked[0].to_string();
    assert!(
        sentence.contains("no SHARE ROW EXCLUSIVE lock on public.note in 2 attempts"),
        "{sentence}"
    );
    assert!(
        sentence.contains("billing-batch") && !sentence.contains("secret"),
        "{sentence}"
    );

    job.batch_execute("COMMIT").await.expect("the job ends");
    install.patience = Patience::default();
    let Outcome::Done(rest) = guards(&world, &install).await else {
        panic!("free again")
    };
    assert_eq!(said(&rest), ["aws: guard table public.note"]);
    traffic.end("one table blocked").await;
    drop(agent);
}

#[tokio::test]
async fn setup_names_what_it_waits_for_and_goes_on_in_the_next_run() {
    let world = World::bare().await;
    application(&world, "aws").await;
    let job = batch(
        &world,
        "aws",
        "INSERT INTO public.note (body) VALUES ('secret')",
    )
    .await;
    let mut hasty = world.options(false, false);
    hasty.copy_limit = Duration::from_secs(2);
    let error = setup::run(&world.config, &hasty, &mut |_: &str| {}).await;
    let error = error.expect_err("a slot waits for open transactions");
    assert!(matches!(error, Error::Unfinished { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(
        sentence.contains("billing-batch") && !sentence.contains("secret"),
        "{sentence}"
    );
    let admin = world.aws.admin().await;
    wait_until("the half-made slot has gone", || async {
        let slots = admin.query("SELECT FROM pg_replication_slots", &[]).await;
        slots.expect("slots").is_empty()
    })
    .await;
    job.batch_execute("COMMIT").await.expect("the job ends");
    assert!(matches!(
        world.set_up_with(world.options(false, false)).await,
        Outcome::Done(_)
    ));

    // A table under maintenance is left out; the others are published.
    let tables = "CREATE TABLE public.added (id int PRIMARY KEY); CREATE TABLE public.busy (id int PRIMARY KEY);
        ALTER TABLE public.added OWNER TO crm_owner; ALTER TABLE public.busy OWNER TO crm_owner";
    for server in [&world.gcp, &world.aws] {
        let admin = server.admin().await;
        admin.batch_execute(tables).await.expect("tables");
    }
    let job = batch(&world, "aws", "LOCK TABLE public.busy IN SHARE MODE").await;
    let mut hasty = world.options(false, false);
    hasty.patience = HASTY;
    let Outcome::Partial(taken, blocked) = world.set_up_with(hasty).await else {
        panic!("one table is never free")
    };
    let published = "aws: publish public.added in crm_replication".to_owned();
    assert!(said(&taken).contains(&published), "{taken:?}");
    assert_eq!(blocked[0].lock.table, "public.busy");
    job.batch_execute("COMMIT").await.expect("the job ends");
    let Outcome::Done(rest) = world.set_up_with(world.options(false, false)).await else {
        panic!("free again")
    };
    assert!(
        said(&rest).contains(&"aws: publish public.busy in crm_replication".to_owned()),
        "{rest:?}"
    );
}

#[tokio::test]
async fn a_plan_shows_sql_and_locks_and_no_password() {
    let world = World::bare().await;
    let Outcome::Planned(steps) = world.set_up(true).await else {
        panic!("a plan")
    };
    let find = |what: &str| {
        let found = steps.iter().find(|step| step.to_string() == what);
        found.unwrap_or_else(|| panic!("{what} in {steps:?}"))
    };
    let guard = find("aws: guard table public.note");
    assert!(
        guard
            .sql
            .starts_with("CREATE OR REPLACE TRIGGER tandem_guard")
    );
    let lock = guard.lock.as_ref().expect("a lock");
    assert_eq!(
        (lock.mode.to_string().as_str(), lock.blocks),
        ("SHARE ROW EXCLUSIVE", "writes")
    );
    let copy = find("gcp: create subscription crm_subscription with slot crm_slot");
    assert!(
        copy.lasts.contains("20 MB/s") && copy.sql.contains("password=''***''"),
        "{}",
        copy.sql
    );
    let role = find("aws: create role crm_app");
    assert!(role.sql.contains("PASSWORD '***'"), "{}", role.sql);
    for secret in ["s secret", "\\ secret", "SCRAM"] {
        let shown = steps.iter().find(|step| step.sql.contains(secret));
        assert!(shown.is_none(), "{secret} in {shown:?}");
    }
}

#[tokio::test]
async fn offline_says_that_nobody_writes() {
    let world = World::bare().await;
    world.set_up_with(world.options(false, false)).await;
    let mut offline = options(Direction::Install, Some("aws"));
    offline.offline = true;
    assert!(matches!(guards(&world, &offline).await, Outcome::Done(steps) if steps.len() == 2));
    crate::world::assert_refused(insert(&world.app("aws").await, "no right").await);
}
