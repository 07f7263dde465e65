//! Leaving: everything of Tandem goes while an application writes, killed or not, both ways round.

use std::time::Duration;

use tandem_core::model::Epoch;
use tandem_postgres::setup::Outcome;
use tandem_postgres::steps::Patience;
use tandem_postgres::uninstall::{self, Options, Report};
use tokio::sync::Notify;

use crate::traffic::{Renewal, Traffic, agents_gone};
use crate::world::{Mode, World, arm, insert, site_id, wait_until};

fn options(keep_replication: bool) -> Options {
    Options {
        keep_replication,
        dry_run: false,
        patience: Patience::default(),
    }
}

async fn uninstall(world: &World, keep: bool) -> Report {
    let mut said = Vec::new();
    let done = uninstall::run(&world.config, &options(keep), &mut |line: &str| {
        said.push(line.to_owned());
    })
    .await;
    done.unwrap_or_else(|error| panic!("{error:?}\n{said:#?}"))
}

#[track_caller]
fn done(report: &Report) -> usize {
    match &report.outcome {
        Outcome::Done(steps) => steps.len(),
        other => panic!("{other:?}"),
    }
}

/// Everything at `site` that Tandem brings, by kind and name.
async fn traces(world: &World, site: &str) -> Vec<String> {
    let sql = "
        SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE 'tandem%'
        UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'tandem%'
        UNION ALL SELECT 'trigger on ' || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE 'tandem%'
        UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE proname LIKE 'tandem%'
        UNION ALL SELECT 'subscription ' || subname FROM pg_subscription
        UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots
        UNION ALL SELECT 'publication ' || pubname FROM pg_publication
        UNION ALL SELECT 'default privileges' FROM pg_default_acl WHERE array_to_string(defaclacl, ' ') LIKE '%tandem%'
        UNION ALL SELECT 'rights on ' || oid::regclass FROM pg_class WHERE array_to_string(relacl, ' ') LIKE '%tandem%'
        ORDER BY 1";
    let admin = world.server(site).admin().await;
    let rows = admin.query(sql, &[]).await.expect("traces");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn nothing_is_left(world: &World) {
    for site in ["aws", "gcp"] {
        assert_eq!(traces(world, site).await, Vec::<String>::new(), "{site}");
    }
}

/// Set up, with a lease that dead agents left open.
async fn armed() -> World {
    let world = World::ready().await;
    arm(&world.database("aws"), 1).await;
    agents_gone(&world).await;
    world
}

/// gcp was promoted, and aws follows it.
async fn reversed() -> World {
    let world = armed().await;
    {
        let (aws, gcp) = (world.database("aws"), world.database("gcp"));
        crate::world::barrier(&aws, &gcp, 1).await;
        aws.close_guard(Epoch(1)).await.expect("closed");
        let prepared = gcp.prepare_opening(Epoch(2), site_id("aws")).await;
        prepared.expect("prepared");
        // As a connection string wants it, inside a text of SQL.
        let password = r"''repl\''s \\ secret''";
        let follow = format!(
            "CREATE SUBSCRIPTION crm_subscription_rev CONNECTION 'host=127.0.0.1 port={} dbname=crm user=tandem_repl password={password}'
             PUBLICATION crm_replication_rev WITH (slot_name = 'crm_rev_slot', create_slot = false, copy_data = false)",
            world.gcp.port
        );
        let admin = world.aws.admin().await;
        admin.batch_execute(&follow).await.expect("aws follows");
        arm(&gcp, 2).await;
    }
    agents_gone(&world).await;
    world
}

/// A row that is written at `from` arrives at `to`.
async fn flows(world: &World, from: &str, to: &str, request: &str) {
    insert(&world.app(from).await, request)
        .await
        .expect("no guard");
    wait_until("the row arrives", || async {
        world
            .contacts(to)
            .await
            .iter()
            .any(|found| found == request)
    })
    .await;
}

#[tokio::test]
async fn everything_goes_while_the_application_writes() {
    let world = armed().await;
    let traffic = Traffic::start(&world, "aws").await;
    let mut plan = options(false);
    plan.dry_run = true;
    let before = (traces(&world, "aws").await, traces(&world, "gcp").await);
    let planned = uninstall::run(&world.config, &plan, &mut |_: &str| {}).await;
    let planned = planned.expect("a plan").outcome;
    assert_eq!(
        before,
        (traces(&world, "aws").await, traces(&world, "gcp").await)
    );

    let report = uninstall(&world, false).await;
    match (planned, &report.outcome) {
        (Outcome::Planned(planned), Outcome::Done(taken)) => assert_eq!(&planned, taken),
        other => panic!("{other:?}"),
    }
    assert!(report.left.is_empty(), "{report:?}");
    traffic.end("uninstall").await;
    nothing_is_left(&world).await;
    assert_eq!(done(&uninstall(&world, false).await), 0, "nothing twice");
    // What was copied stays, and both stand alone. Sequences are not replicated: a number of its own.
    let alone = "INSERT INTO public.contact (id, request_id) VALUES (1000000000, 'alone')";
    world
        .app("gcp")
        .await
        .batch_execute(alone)
        .await
        .expect("free");
}

#[tokio::test]
async fn plain_replication_can_stay_and_go_later() {
    let world = armed().await;
    let traffic = Traffic::start(&world, "aws").await;
    done(&uninstall(&world, true).await);
    traffic.end("uninstall that keeps replication").await;
    world.relay.set(Mode::Cut);
    flows(&world, "aws", "gcp", "without relays").await;
    assert_eq!(
        traces(&world, "gcp").await,
        [
            "default privileges",
            "rights on contact",
            "rights on note",
            "role tandem_repl",
            "subscription crm_subscription"
        ]
    );
    let aws = traces(&world, "aws").await;
    for kept in [
        "publication crm_replication",
        "role tandem_repl",
        "slot crm_slot",
    ] {
        assert!(aws.iter().any(|line| line == kept), "{aws:?}");
    }
    assert!(
        !aws.iter()
            .any(|line| line.contains("agent") || line.starts_with("schema")),
        "{aws:?}"
    );
    assert_eq!(done(&uninstall(&world, true).await), 0, "nothing twice");
    done(&uninstall(&world, false).await);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn the_other_way_round_is_left_the_same() {
    let world = reversed().await;
    flows(&world, "gcp", "aws", "reversed").await;
    let traffic = Traffic::start(&world, "gcp").await;
    done(&uninstall(&world, true).await);
    flows(&world, "gcp", "aws", "kept").await;
    let gcp = traces(&world, "gcp").await;
    assert!(
        gcp.contains(&"slot crm_rev_slot".to_owned())
            && !gcp.iter().any(|line| line.starts_with("subscription")),
        "{gcp:?}"
    );
    let aws = traces(&world, "aws").await;
    assert!(
        aws.contains(&"subscription crm_subscription_rev".to_owned())
            && !aws.iter().any(|line| line.starts_with("slot")),
        "{aws:?}"
    );
    done(&uninstall(&world, false).await);
    traffic.end("uninstall at gcp").await;
    nothing_is_left(&world).await;
}

/// Runs until the second step begins, then is gone without a word. Says whether it came to its end.
async fn killed(world: &World, keep: bool) -> bool {
    let (begun, options) = (Notify::new(), options(keep));
    let mut steps = 0;
    let mut say = |_: &str| {
        steps += 1;
        if steps == 2 {
            begun.notify_one();
        }
    };
    tokio::select! {
        ended = uninstall::run(&world.config, &options, &mut say) => {
            let report = ended.expect("an answer");
            done(&report) <= 1
        }
        () = begun.notified() => false,
    }
}

#[tokio::test]
async fn a_run_killed_at_each_step_is_finished_by_the_next() {
    for keep in [true, false] {
        let world = armed().await;
        let traffic = Traffic::start(&world, "aws").await;
        let mut runs = 1;
        while !killed(&world, keep).await {
            runs += 1;
            assert!(runs < 60, "each run takes a step");
            // What the dead run had sent may still be running.
            agents_gone(&world).await;
        }
        assert!(runs > 10, "killed {runs} times");
        traffic.end("uninstall, killed at each step").await;
        if keep {
            flows(&world, "aws", "gcp", "kept").await;
            assert_eq!(done(&uninstall(&world, true).await), 0);
        } else {
            nothing_is_left(&world).await;
        }
    }
}

#[tokio::test]
async fn what_would_end_half_way_is_refused_before_anything_is_changed() {
    let mut world = World::ready().await;
    let agent = Renewal::start(&world, "aws", 1).await;
    let before = traces(&world, "aws").await;
    let problems = |report: Report| match report.outcome {
        Outcome::Refused(faults) => faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
        other => panic!("{other:?}"),
    };
    let said = problems(uninstall(&world, false).await);
    assert!(
        said.contains("aws: 1 session(s) of the agents' role")
            && said.contains("stop the agents first"),
        "{said}"
    );
    assert!(
        said.contains("aws: the right to write is being renewed"),
        "{said}"
    );
    drop(agent);
    agents_gone(&world).await;

    let admin = world.aws.admin().await;
    let column = "ALTER TABLE public.contact ADD COLUMN origin text DEFAULT tandem_local.origin()";
    admin.batch_execute(column).await.expect("a column");
    let said = problems(uninstall(&world, false).await);
    assert!(
        said.contains("default value for column origin of table public.contact"),
        "{said}"
    );
    let free = "ALTER TABLE public.contact ALTER COLUMN origin DROP DEFAULT";
    admin.batch_execute(free).await.expect("free");

    world.gcp.kill();
    let said = problems(uninstall(&world, false).await);
    assert!(
        said.starts_with("gcp: no connection to PostgreSQL"),
        "{said}"
    );
    assert_eq!(before, traces(&world, "aws").await);
    world.gcp.run();
    done(&uninstall(&world, false).await);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_guard_that_cannot_come_off_stops_the_rest() {
    let world = armed().await;
    let job = world.aws.admin().await;
    let hold = "SET application_name = 'billing-batch'; BEGIN; SELECT FROM public.note";
    job.batch_execute(hold).await.expect("a long transaction");
    let mut hasty = options(false);
    hasty.patience = Patience {
        lock_timeout: Duration::from_millis(200),
        rounds: 2,
    };
    let report = uninstall::run(&world.config, &hasty, &mut |_: &str| {}).await;
    match report.expect("an answer").outcome {
        Outcome::Partial(taken, blocked) => {
            assert_eq!((taken.len(), blocked.len()), (3, 1));
            assert!(
                blocked[0].to_string().contains("billing-batch"),
                "{blocked:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    let aws = traces(&world, "aws").await;
    assert!(aws.contains(&"schema tandem_local".to_owned()), "{aws:?}");
    job.batch_execute("COMMIT").await.expect("the job ends");
    done(&uninstall(&world, false).await);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn roles_that_were_there_before_stay() {
    let world = World::bare().await;
    let role = "CREATE ROLE tandem_repl LOGIN REPLICATION PASSWORD 'other'";
    world
        .aws
        .admin()
        .await
        .batch_execute(role)
        .await
        .expect("a role");
    world.set_up(false).await;
    let report = uninstall(&world, false).await;
    assert_eq!(
        report.left,
        ["aws: role tandem_repl stays: it was there before `tandem replication setup`"]
    );
    assert_eq!(traces(&world, "aws").await, ["role tandem_repl"]);
    assert_eq!(done(&uninstall(&world, false).await), 0, "nothing twice");
}
