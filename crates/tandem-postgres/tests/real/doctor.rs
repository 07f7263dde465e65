//! The doctor: each check is broken on purpose and named, and nothing is ever written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tandem_core::model::Epoch;
use tandem_postgres::doctor::{self, Level, Login, Probe, Report, Verdict};
use tandem_postgres::setup::Outcome;

use crate::server::ADMIN;
use crate::world::{Mode, World, arm, barrier, insert, site_id, wait_until};

/// A reload of settings, or a worker that starts again.
const LIMIT: Duration = Duration::from_secs(30);

/// Every check that found something.
fn named(report: &Report) -> BTreeSet<&'static str> {
    let bad = report
        .checks
        .iter()
        .filter(|outcome| !outcome.findings.is_empty());
    bad.map(|outcome| outcome.check).collect()
}

async fn examine(world: &World) -> Report {
    let logins = Login::administrators(&world.config);
    doctor::run(&world.config, &logins, Probe::Account)
        .await
        .expect("a report")
}

/// Examines until exactly `wanted` is named: reloads and workers take their time.
async fn expect(world: &World, case: &str, wanted: &[&str]) {
    let wanted: BTreeSet<_> = wanted.iter().copied().collect();
    let begun = Instant::now();
    loop {
        let report = examine(world).await;
        let found = named(&report);
        if found == wanted {
            return;
        }
        let findings: Vec<_> = report
            .checks
            .iter()
            .flat_map(|outcome| &outcome.findings)
            .collect();
        assert!(
            begun.elapsed() < LIMIT,
            "{case}: {findings:#?}, not {wanted:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn at(world: &World, site: &str, statements: &str) {
    let admin = world.server(site).admin().await;
    // One by one: some of them may not stand in a transaction.
    for statement in statements
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        let done = admin.batch_execute(statement).await;
        done.unwrap_or_else(|error| panic!("{site}: {statement}: {error:?}"));
    }
}

/// Where, how it is broken, how it is mended, what must be named.
type Break = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const BREAKS: &[Break] = &[
    ("aws", "ALTER ROLE crm_app SUPERUSER", "ALTER ROLE crm_app NOSUPERUSER", &["application-powers"]),
    ("aws", "GRANT crm_owner TO crm_app", "REVOKE crm_owner FROM crm_app", &["application-powers"]),
    (
        "gcp",
        "CREATE ROLE cloudsqlsuperuser; GRANT cloudsqlsuperuser TO crm_app",
        "DROP ROLE cloudsqlsuperuser",
        &["application-powers"],
    ),
    (
        "aws",
        "GRANT SET ON PARAMETER session_replication_role TO crm_app",
        "REVOKE SET ON PARAMETER session_replication_role FROM crm_app",
        &["application-powers"],
    ),
    ("aws", "ALTER TABLE public.note OWNER TO crm_app", "ALTER TABLE public.note OWNER TO crm_owner", &["table-owners"]),
    (
        "aws",
        "ALTER TABLE public.note REPLICA IDENTITY NOTHING",
        "ALTER TABLE public.note REPLICA IDENTITY DEFAULT",
        &["replica-identity"],
    ),
    (
        "gcp",
        "CREATE TRIGGER twice BEFORE UPDATE ON public.note FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
         ALTER TABLE public.note ENABLE ALWAYS TRIGGER twice",
        "DROP TRIGGER twice ON public.note",
        &["apply-triggers"],
    ),
    (
        "aws",
        "CREATE UNLOGGED TABLE public.scratch (id int PRIMARY KEY); GRANT SELECT ON public.scratch TO tandem_repl",
        "DROP TABLE public.scratch",
        &["unlogged-tables"],
    ),
    ("aws", "CREATE MATERIALIZED VIEW public.totals AS SELECT 1", "DROP MATERIALIZED VIEW public.totals", &["materialized-views"]),
    ("aws", "SELECT lo_create(4711)", "SELECT lo_unlink(4711)", &["large-objects"]),
    ("aws", "SELECT setval('public.note_id_seq', 2000000000)", "SELECT setval('public.note_id_seq', 1)", &["sequence-headroom"]),
    ("gcp", "ALTER DATABASE crm SET extra_float_digits = 0", "ALTER DATABASE crm RESET extra_float_digits", &["text-settings"]),
    ("aws", "CREATE EXTENSION pg_trgm", "DROP EXTENSION pg_trgm", &["extensions"]),
    ("aws", "ALTER TABLE public.note ADD w int", "ALTER TABLE public.note DROP w", &["tables-match"]),
    ("gcp", "ALTER TABLE public.note ALTER id TYPE bigint", "ALTER TABLE public.note ALTER id TYPE int", &["tables-match"]),
    (
        "aws",
        "SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')",
        "SELECT pg_drop_replication_slot('cdc')",
        &["foreign-slots"],
    ),
    (
        "aws",
        "ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf()",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'; SELECT pg_reload_conf()",
        &["slot-cap"],
    ),
    (
        "aws",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '128MB'; SELECT pg_reload_conf()",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'; SELECT pg_reload_conf()",
        &["slot-headroom"],
    ),
    (
        "gcp",
        "ALTER SYSTEM SET wal_receiver_timeout = '60s'; SELECT pg_reload_conf()",
        "ALTER SYSTEM SET wal_receiver_timeout = '5s'; SELECT pg_reload_conf()",
        &["receiver-timeout"],
    ),
    (
        "gcp",
        "UPDATE tandem_local.version SET fingerprint = fingerprint || '-'",
        "UPDATE tandem_local.version SET fingerprint = rtrim(fingerprint, '-')",
        &["objects"],
    ),
    ("gcp", "REVOKE pg_monitor FROM tandem_agent", "GRANT pg_monitor TO tandem_agent", &["agent-role"]),
    ("aws", "ALTER ROLE tandem_agent SUPERUSER", "ALTER ROLE tandem_agent NOSUPERUSER", &["agent-role"]),
    (
        "gcp",
        "ALTER ROLE tandem_repl NOREPLICATION",
        "ALTER ROLE tandem_repl REPLICATION",
        &["replication-connection", "replication-role"],
    ),
    (
        "gcp",
        "ALTER ROLE tandem_repl PASSWORD 'forgotten'",
        r"ALTER ROLE tandem_repl PASSWORD 'repl''s \ secret'",
        &["replication-connection"],
    ),
    ("aws", "REVOKE SELECT ON public.note FROM tandem_repl", "GRANT SELECT ON public.note TO tandem_repl", &["grants"]),
    (
        "gcp",
        "ALTER FUNCTION tandem_local.applied_to() OWNER TO tandem_agent",
        "ALTER FUNCTION tandem_local.applied_to() OWNER TO postgres",
        &["boundary"],
    ),
    ("aws", "ALTER TABLE public.note DISABLE TRIGGER tandem_guard", "ALTER TABLE public.note ENABLE TRIGGER tandem_guard", &["guard"]),
    (
        "gcp",
        "ALTER TABLE public.note ENABLE ALWAYS TRIGGER tandem_guard",
        "ALTER TABLE public.note ENABLE TRIGGER tandem_guard",
        &["guard"],
    ),
    (
        "aws",
        "DELETE FROM tandem.heartbeat WHERE site = 'gcp'",
        "INSERT INTO tandem.heartbeat (site, epoch, seq) VALUES ('gcp', 0, 0)",
        &["heartbeat-rows"],
    ),
    (
        "aws",
        "ALTER PUBLICATION crm_replication DROP TABLE public.note",
        "ALTER PUBLICATION crm_replication ADD TABLE public.note",
        &["publication"],
    ),
    (
        "gcp",
        "ALTER SUBSCRIPTION crm_subscription DISABLE",
        "ALTER SUBSCRIPTION crm_subscription ENABLE",
        &["subscription"],
    ),
    (
        "gcp",
        "DELETE FROM pg_subscription_rel WHERE srrelid = 'public.note'::regclass",
        "ALTER SUBSCRIPTION crm_subscription REFRESH PUBLICATION WITH (copy_data = false)",
        &["subscribed-tables"],
    ),
    (
        "aws",
        "DROP PUBLICATION crm_replication; CREATE PUBLICATION crm_replication FOR ALL TABLES",
        "DROP PUBLICATION crm_replication; CREATE PUBLICATION crm_replication FOR TABLE public.contact, public.note, tandem.heartbeat",
        &["all-tables"],
    ),
];

#[tokio::test]
async fn each_check_names_what_is_broken_and_nothing_else() {
    let world = World::ready().await;
    expect(&world, "untouched", &[]).await;
    for (site, harm, cure, wanted) in BREAKS {
        at(&world, site, harm).await;
        expect(&world, harm, wanted).await;
        at(&world, site, cure).await;
        expect(&world, cure, &[]).await;
    }

    world.relay.set(Mode::Cut);
    expect(&world, "no way to the primary", &["slot", "subscription"]).await;
    world.relay.set(Mode::Forward);
    wait_until("the subscription is back", || async {
        named(&examine(&world).await).is_subset(&["subscription"].into())
    })
    .await;

    at(&world, "gcp", "ALTER SUBSCRIPTION crm_subscription DISABLE").await;
    wait_until("the slot is free", || async {
        let admin = world.aws.admin().await;
        admin
            .execute("SELECT pg_drop_replication_slot('crm_slot')", &[])
            .await
            .is_ok()
    })
    .await;
    expect(&world, "the slot is gone", &["slot", "subscription"]).await;
}

#[tokio::test]
async fn settings_that_need_a_restart_are_named_before_anything_is_set_up() {
    let world = World::with_settings(&[
        "wal_level = replica",
        "max_prepared_transactions = 4",
        "max_replication_slots = 2",
        "max_wal_senders = 2",
        "max_logical_replication_workers = 2",
        "track_commit_timestamp = off",
    ])
    .await;
    let report = examine(&world).await;
    let restart = [
        "wal-level",
        "prepared-transactions",
        "slots-free",
        "senders",
        "workers",
        "commit-timestamps",
    ];
    for check in restart {
        let outcome = report
            .checks
            .iter()
            .find(|outcome| outcome.check == check)
            .expect(check);
        let sites: Vec<_> = outcome
            .findings
            .iter()
            .map(|finding| finding.site)
            .collect();
        assert_eq!(sites, [site_id("aws")], "{check}");
    }
    let mut wanted = BTreeSet::from(restart);
    wanted.insert("application-exists");
    assert_eq!(named(&report), wanted);
    let skipped: Vec<_> = report
        .checks
        .iter()
        .filter(|outcome| outcome.result == Verdict::Skipped)
        .map(|outcome| outcome.check)
        .collect();
    assert!(
        skipped.contains(&"guard") && skipped.contains(&"replication-connection"),
        "{skipped:?}"
    );
    assert_eq!(report.verdict(), Verdict::Refusal);
}

#[tokio::test]
async fn databases_of_another_encoding_and_servers_without_tls_are_named() {
    let mut world = World::bare().await;
    let maintenance = world.gcp.connect("postgres", ADMIN, "postgres").await;
    for statement in [
        "DROP DATABASE crm",
        "CREATE DATABASE crm TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
        "ALTER SYSTEM SET ssl = off",
        "SELECT pg_reload_conf()",
    ] {
        maintenance.batch_execute(statement).await.expect(statement);
    }
    wait_until("TLS is refused", || async {
        named(&examine(&world).await).contains("reachable")
    })
    .await;
    let gcp = world.config.sites.get_mut(&site_id("gcp")).expect("gcp");
    gcp.postgres.login_ca_file = None;
    expect(
        &world,
        "plain text",
        &["application-exists", "collation", "encoding", "ssl"],
    )
    .await;
}

#[tokio::test]
async fn a_silent_server_is_a_finding_and_the_other_one_is_still_examined() {
    let mut world = World::ready().await;
    world.gcp.kill();
    let report = examine(&world).await;
    let reachable = &report.checks[0];
    assert_eq!(
        (reachable.check, reachable.result),
        ("reachable", Verdict::Refusal)
    );
    assert_eq!(reachable.findings[0].site, site_id("gcp"));
    let result = |check: &str| {
        report
            .checks
            .iter()
            .find(|outcome| outcome.check == check)
            .expect(check)
            .result
    };
    assert_eq!(
        (result("wal-level"), result("agent-role")),
        (Verdict::Holds, Verdict::Holds)
    );
    assert_eq!(
        (result("slot"), result("tables-match")),
        (Verdict::Skipped, Verdict::Skipped)
    );
}

#[tokio::test]
async fn a_member_of_pg_monitor_is_enough_and_nothing_is_written() {
    let world = World::ready().await;
    let password = world.app_file.clone();
    for site in ["aws", "gcp"] {
        at(
            &world,
            site,
            "CREATE ROLE watcher LOGIN PASSWORD 'app''s secret'",
        )
        .await;
    }
    let login = || Login {
        role: "watcher".into(),
        password_file: password.clone(),
    };
    let logins: BTreeMap<_, _> = ["aws", "gcp"].map(|site| (site_id(site), login())).into();
    let examine = || async {
        doctor::run(&world.config, &logins, Probe::Account)
            .await
            .expect("a report")
    };
    let poor = named(&examine().await);
    assert_eq!(
        poor,
        BTreeSet::from(["objects", "sequence-headroom", "visible"])
    );
    for site in ["aws", "gcp"] {
        at(&world, site, "GRANT pg_monitor TO watcher").await;
    }
    let rich = examine().await;
    assert_eq!(named(&rich), BTreeSet::from(["sequence-headroom"]));
    assert_eq!(rich.verdict(), Verdict::Warning);
    let may: Vec<_> = rich.sites[0]
        .account
        .iter()
        .filter(|right| right.answer == "yes")
        .map(|right| right.fact.as_str())
        .collect();
    assert_eq!(may, ["see statistics of others (pg_monitor)"]);

    let admin = world.aws.admin().await;
    admin
        .batch_execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
        .await
        .expect("a slot");
    let counters = "SELECT md5(string_agg(t::text, ',' ORDER BY relid)) FROM (SELECT relid, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables) t";
    let before: String = admin
        .query_one(counters, &[])
        .await
        .expect("counters")
        .get(0);
    for _ in 0..3 {
        examine().await;
    }
    let changes = "SELECT count(*) FROM pg_logical_slot_peek_changes('watch', NULL, NULL)";
    let count: i64 = admin.query_one(changes, &[]).await.expect("a count").get(0);
    assert_eq!(count, 0, "no transaction of anybody wrote anything");
    let after: String = admin
        .query_one(counters, &[])
        .await
        .expect("counters")
        .get(0);
    assert_eq!(before, after);
}

#[tokio::test]
async fn after_a_promotion_nobody_is_told_to_enable_or_drop_what_is_left() {
    let world = World::ready().await;
    let (aws, gcp) = (world.database("aws"), world.database("gcp"));
    arm(&aws, 1).await;
    barrier(&aws, &gcp, 1).await;
    gcp.prepare_opening(Epoch(2), site_id("aws"))
        .await
        .expect("prepared");
    arm(&gcp, 2).await;
    let report = examine(&world).await;
    assert_eq!(named(&report), BTreeSet::from(["subscription"]));
    let outcome = report
        .checks
        .iter()
        .find(|outcome| outcome.check == "subscription")
        .expect("it");
    let [finding] = &outcome.findings[..] else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (finding.site, finding.level),
        (site_id("gcp"), Level::Refusal)
    );
    assert!(
        finding.problem.contains("epoch 2") && finding.fix.contains("do not enable or drop"),
        "{finding}"
    );
}

/// What the guide builds: FOR ALL TABLES, a slot made by hand, the application as the owner.
#[tokio::test]
async fn the_printed_path_leads_from_the_guides_installation_to_tandems_without_a_copy() {
    let mut world = World::bare().await;
    let tables = "CREATE TABLE public.contact (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, request_id text NOT NULL, name text);
        CREATE TABLE public.note (id serial PRIMARY KEY, contact_id bigint REFERENCES public.contact ON DELETE CASCADE, body text)";
    at(&world, "gcp", tables).await;
    for site in ["aws", "gcp"] {
        at(&world, site, "CREATE ROLE crmadmin LOGIN PASSWORD 'app''s secret'; ALTER TABLE public.contact OWNER TO crmadmin; ALTER TABLE public.note OWNER TO crmadmin").await;
    }
    at(
        &world,
        "aws",
        "INSERT INTO public.contact (request_id) SELECT 'old-' || n FROM generate_series(1, 500) n",
    )
    .await;
    at(&world, "aws", "CREATE PUBLICATION crm_replication FOR ALL TABLES; SELECT pg_create_logical_replication_slot('crm_slot', 'pgoutput')").await;
    let subscribe = format!(
        "CREATE SUBSCRIPTION crm_subscription CONNECTION 'host=127.0.0.1 port={} dbname=crm user=postgres password=''admin\\''s secret''' PUBLICATION crm_replication WITH (create_slot = false, slot_name = 'crm_slot')",
        world.aws.port
    );
    let done = world.gcp.admin().await.batch_execute(&subscribe).await;
    done.expect("a subscription");
    wait_until("the guide's copy is whole", || async {
        world.contacts("gcp").await.len() == 500
    })
    .await;

    // A table that came later, and that nobody took in: a list with `copy_data = false` would lose its rows.
    for site in ["gcp", "aws"] {
        at(
            &world,
            site,
            "CREATE TABLE public.late (id int PRIMARY KEY)",
        )
        .await;
    }
    at(&world, "aws", "INSERT INTO public.late VALUES (1)").await;
    world.config.database.application_role = "crmadmin".into();
    let report = examine(&world).await;
    let found = named(&report);
    assert!(
        found.contains("all-tables") && found.contains("table-owners"),
        "{found:?}"
    );
    let first = report.path[0].sql.as_ref().expect("a statement");
    assert_eq!(
        first,
        "ALTER SUBSCRIPTION \"crm_subscription\" REFRESH PUBLICATION"
    );
    at(&world, "gcp", first).await;
    wait_until("the late table is copied", || async {
        let path = examine(&world).await.path;
        path[0]
            .sql
            .as_ref()
            .is_some_and(|sql| sql.starts_with("CREATE PUBLICATION"))
    })
    .await;
    let report = examine(&world).await;
    for step in &report.path {
        let (Some(site), Some(sql)) = (step.site, &step.sql) else {
            continue;
        };
        let admin = world.server(site.as_str()).admin().await;
        let waits = [
            ("<position>", "pg_current_wal_lsn()"),
            ("<transaction>", "pg_snapshot_xmax(pg_current_snapshot())"),
        ];
        if let Some((mark, now)) = waits.into_iter().find(|(mark, _)| sql.contains(mark)) {
            let now: String = admin
                .query_one(&format!("SELECT {now}::text"), &[])
                .await
                .expect("a value")
                .get(0);
            let sql = sql.replace(mark, &now);
            wait_until("the old publication is behind us", || async {
                admin.query_one(&sql, &[]).await.expect("an answer").get(0)
            })
            .await;
        } else {
            admin
                .batch_execute(sql)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
        at(
            &world,
            "aws",
            "INSERT INTO public.contact (request_id) VALUES ('meanwhile')",
        )
        .await;
    }
    world.config.database.publication = "crm_replication_tables".into();
    world.config.database.application_role = "crm_app".into();
    let Outcome::Done(steps) = world.set_up(false).await else {
        panic!("done")
    };
    assert!(!steps.is_empty());
    arm(&world.database("aws"), 1).await;
    insert(&world.app("aws").await, "through the guard")
        .await
        .expect("a row");
    wait_until("both sites have every row", || async {
        world.contacts("gcp").await == world.contacts("aws").await
    })
    .await;
    // Statistics are told a moment later.
    let once = "SELECT n_tup_ins = (SELECT count(*) FROM public.contact) FROM pg_stat_user_tables WHERE relid = 'public.contact'::regclass";
    let replica = world.gcp.admin().await;
    wait_until("every row came once", || async {
        replica
            .query_one(once, &[])
            .await
            .expect("an answer")
            .get(0)
    })
    .await;
    expect(&world, "after the path", &[]).await;
}

#[test]
fn every_check_stands_on_the_reference_page() {
    let page = include_str!("../../../../docs/reference/doctor.md");
    for (id, title) in doctor::checks() {
        assert!(
            page.contains(&format!("| `{id}` | {title} |")),
            "`{id}` | {title}"
        );
    }
}
