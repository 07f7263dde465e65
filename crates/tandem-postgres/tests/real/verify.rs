//! Rows that differ are found, rows that are on their way are not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tandem_postgres::setup::Outcome;
use tandem_postgres::verify::{self, Kind, Method, Options, Report, TableReport, Verdict};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::world::{Mode, World, wait_until};

const TABLES: &str = "
    CREATE TYPE public.mood AS ENUM ('low', 'high', 'mid');
    CREATE TABLE public.kinds (id bigint PRIMARY KEY, small int2, n numeric, f float8, t text, b bytea, j jsonb, at timestamptz,
        numbers int[], feeling public.mood, flag bool, u uuid, v varchar(20), c char(6), d date, o oid, real4 float4, span interval,
        doubled bigint GENERATED ALWAYS AS (id * 2) STORED);
    INSERT INTO public.kinds SELECT i, i % 100, i / 8.0, i / 7.0::float8, 'text ' || i, decode(md5(i::text), 'hex'),
        jsonb_build_object('i', i, 'a', jsonb_build_array(i, NULL)), '2024-01-01 UTC'::timestamptz + i * interval '1.000001 s', ARRAY[i, NULL, -i],
        (ARRAY['low', 'high', 'mid'])[1 + i % 3]::public.mood, i % 2 = 0, md5(i::text)::uuid, 'v' || i, 'c' || i % 1000, date '2024-01-01' + i, i, i / 3.0::float4,
        i * interval '1 minute' FROM generate_series(1, 3000) i;
    CREATE TABLE public.pair (region text, code text, value int, wide text, PRIMARY KEY (region, code));
    INSERT INTO public.pair SELECT 'r' || i % 7, 'Ä-' || md5(i::text), i, repeat(md5(i::text), 200) FROM generate_series(1, 500) i;
    CREATE TABLE public.journal (line text);
    ALTER TABLE public.journal REPLICA IDENTITY FULL;
    INSERT INTO public.journal SELECT 'line ' || i FROM generate_series(1, 300) i;
    CREATE TABLE public.parted (id int PRIMARY KEY, body text) PARTITION BY RANGE (id);
    CREATE TABLE public.parted_low PARTITION OF public.parted FOR VALUES FROM (0) TO (100);
    CREATE TABLE public.parted_high PARTITION OF public.parted FOR VALUES FROM (100) TO (1000);
    INSERT INTO public.parted SELECT i, 'body ' || i FROM generate_series(1, 300) i;
    CREATE TABLE public.moods (feeling public.mood PRIMARY KEY, words text);
    INSERT INTO public.moods VALUES ('low', 'a'), ('high', 'b');
    CREATE TABLE public.pace (writer int PRIMARY KEY, written bigint NOT NULL);
    INSERT INTO public.pace SELECT i, 0 FROM generate_series(0, 9) i;
    CREATE TABLE public.\"Odd \"\"name\" (\"Key, column\" text PRIMARY KEY, \"select\" text);
    INSERT INTO public.\"Odd \"\"name\" SELECT E'k\\n{\"' || i, 'x' FROM generate_series(1, 50) i;";

const OWNERS: &str = "DO $$ DECLARE t regclass; BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO crm_owner', t); END LOOP; END $$;
    ALTER TYPE public.mood OWNER TO crm_owner";

async fn world(tables: &str) -> World {
    let world = World::bare().await;
    let admin = world.aws.admin().await;
    admin.batch_execute(tables).await.expect("tables");
    admin.batch_execute(OWNERS).await.expect("owners");
    match world.set_up(false).await {
        Outcome::Done(_) => world,
        other => panic!("{other:?}"),
    }
}

/// The superuser of a site, past triggers and the guard.
async fn surgeon(world: &World, site: &str) -> Client {
    let admin = world.server(site).admin().await;
    admin
        .batch_execute("SET session_replication_role = replica")
        .await
        .expect("a superuser");
    admin
}

fn options() -> Options {
    Options {
        chunk_rows: 250,
        wait_max: Duration::from_secs(30),
        ..Options::default()
    }
}

async fn compare(world: &World, options: &Options) -> Report {
    verify::run(&world.config, options, &mut |_| {})
        .await
        .expect("a report")
}

fn table<'r>(report: &'r Report, name: &str) -> &'r TableReport {
    let found = report.tables.iter().find(|table| table.table == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:#?}"))
}

/// Every difference as `table key kind columns`.
fn found(report: &Report) -> BTreeSet<String> {
    let tables = report.tables.iter();
    let lines = tables.flat_map(|table| {
        table.differences.iter().map(|difference| {
            let key: Vec<_> = difference.key.values().cloned().collect();
            let kind = difference.kind;
            format!(
                "{} {} {kind:?} {}",
                table.table,
                key.join("/"),
                difference.columns.join(",")
            )
            .trim_end()
            .to_owned()
        })
    });
    lines.collect()
}

#[tokio::test]
async fn equal_databases_are_equal_and_each_table_is_compared_its_own_way() {
    let world = world(TABLES).await;
    let gcp = surgeon(&world, "gcp").await;
    // Another order of columns, and one that only the replica has.
    let reorder = "ALTER TABLE public.kinds RENAME small TO old; ALTER TABLE public.kinds ADD small int2;
        UPDATE public.kinds SET small = old; ALTER TABLE public.kinds DROP COLUMN old; ALTER TABLE public.kinds ADD note text DEFAULT 'local'";
    gcp.batch_execute(reorder).await.expect("another order");
    let report = compare(&world, &options()).await;
    assert_eq!(report.verdict, Verdict::Equal, "{report:#?}");
    let methods: Vec<_> = report
        .tables
        .iter()
        .map(|table| (table.table.as_str(), table.method, table.rows))
        .collect();
    assert_eq!(
        methods,
        [
            ("public.Odd \"name", Method::Ranges, 50),
            ("public.contact", Method::Ranges, 0),
            ("public.journal", Method::Whole, 300),
            ("public.kinds", Method::Ranges, 3000),
            ("public.moods", Method::KeyHash, 2),
            ("public.note", Method::Ranges, 0),
            ("public.pace", Method::Ranges, 10),
            ("public.pair", Method::Ranges, 500),
            ("public.parted_high", Method::Ranges, 201),
            ("public.parted_low", Method::Ranges, 99),
        ]
    );
    assert!(table(&report, "public.kinds").ranges > 5, "{report:#?}");
}

#[tokio::test]
async fn every_kind_of_difference_is_found_and_nothing_else() {
    let world = world(TABLES).await;
    let gcp = surgeon(&world, "gcp").await;
    // What differs, and how it is made; each line is one row.
    let kinds = [
        ("small", "small + 1"),
        ("n", "n + 0.001"),
        ("n", "(n::text || '0')::numeric"),
        ("n", "-n"),
        ("n", "NULL"),
        ("n", "'NaN'"),
        ("f", "f + 1e-12"),
        ("f", "NULL"),
        ("t", "t || ' '"),
        ("t", "''"),
        ("t", "NULL"),
        ("b", "b || '\\x00'"),
        ("j", "j || '{\"i\": null}'"),
        ("at", "at + interval '1 microsecond'"),
        ("numbers", "numbers || 1"),
        ("numbers", "array_replace(numbers, NULL, 0)"),
        (
            "feeling",
            "CASE feeling WHEN 'low' THEN 'mid' ELSE 'low' END::public.mood",
        ),
        ("flag", "NOT flag"),
        ("flag", "NULL"),
        ("u", "gen_random_uuid()"),
        ("v", "v || 'x'"),
        ("c", "'z'"),
        ("d", "d + 1"),
        ("o", "4294967295"),
        ("real4", "real4 + 0.5"),
        ("span", "span + interval '1 month - 30 days'"),
    ];
    let mut expected = BTreeSet::new();
    for (id, (column, value)) in (1000..).step_by(7).zip(kinds) {
        gcp.batch_execute(&format!(
            "UPDATE public.kinds SET {column} = {value} WHERE id = {id}"
        ))
        .await
        .expect(value);
        expected.insert(format!("public.kinds {id} Different {column}"));
    }
    let more = [
        (
            "DELETE FROM public.kinds WHERE id = 1",
            "public.kinds 1 Missing",
        ),
        (
            "DELETE FROM public.kinds WHERE id = 3000",
            "public.kinds 3000 Missing",
        ),
        (
            "INSERT INTO public.kinds (id) VALUES (-5)",
            "public.kinds -5 Extra",
        ),
        (
            "INSERT INTO public.kinds (id) VALUES (9000000000)",
            "public.kinds 9000000000 Extra",
        ),
        (
            "UPDATE public.kinds SET f = '-0' WHERE id = 2",
            "public.kinds 2 Different f",
        ),
        (
            "UPDATE public.kinds SET at = 'infinity', t = 'x' WHERE id = 3",
            "public.kinds 3 Different at,t",
        ),
        (
            "UPDATE public.pair SET wide = wide || '!' WHERE code = 'Ä-' || md5('77')",
            "public.pair Ä-28dd2c7955ce926456240b2ff0100bde/r0 Different wide",
        ),
        (
            "INSERT INTO public.pair VALUES ('', '', 1, '')",
            "public.pair / Extra",
        ),
        (
            "UPDATE public.parted SET body = 'other' WHERE id = 250",
            "public.parted_high 250 Different body",
        ),
        (
            "UPDATE public.moods SET words = 'c' WHERE feeling = 'high'",
            "public.moods high Different words",
        ),
        (
            "DELETE FROM public.\"Odd \"\"name\" WHERE \"select\" = 'x' AND \"Key, column\" = E'k\\n{\"7'",
            "public.Odd \"name k\n{\"7 Missing",
        ),
    ];
    for (sql, line) in more {
        gcp.batch_execute(sql).await.expect(sql);
        expected.insert(line.to_owned());
    }
    surgeon(&world, "aws")
        .await
        .batch_execute("UPDATE public.kinds SET f = 0 WHERE id = 2")
        .await
        .expect("zero");
    wait_until("the zero arrives", || async {
        gcp.query_one(
            "SELECT f = 0 AND f::text = '0' FROM public.kinds WHERE id = 2",
            &[],
        )
        .await
        .expect("a row")
        .get(0)
    })
    .await;
    gcp.batch_execute("UPDATE public.kinds SET f = '-0' WHERE id = 2; DELETE FROM public.journal WHERE line = 'line 9'").await.expect("planted");

    for jobs in [1, 3] {
        let report = compare(&world, &Options { jobs, ..options() }).await;
        let named = found(&report);
        let odd: Vec<_> = named.symmetric_difference(&expected).collect();
        assert!(odd.is_empty(), "{odd:#?}\n{report:#?}");
        assert_eq!(report.verdict, Verdict::Different);
        let journal = table(&report, "public.journal");
        assert_eq!(
            (journal.verdict, journal.differences.len()),
            (Verdict::Different, 0),
            "{journal:?}"
        );
        assert!(report.tables.iter().all(|table| table.unsettled.is_empty()));
    }
    check_repair(&world, &gcp).await;
}

/// The plan mends what it names, and stays silent about values unless it was asked.
async fn check_repair(world: &World, gcp: &Client) {
    let masked = verify::repair_plan(&compare(world, &options()).await);
    assert!(
        !masked.contains("INSERT")
            && masked.contains("DELETE FROM \"public\".\"kinds\" WHERE \"id\" = '-5';"),
        "{masked}"
    );
    let revealed = compare(
        world,
        &Options {
            reveal: true,
            ..options()
        },
    )
    .await;
    let plan = verify::repair_plan(&revealed);
    gcp.batch_execute(&plan)
        .await
        .unwrap_or_else(|error| panic!("{error:?}\n{plan}"));
    let after = compare(
        world,
        &Options {
            tables: vec!["public.kinds".into(), "public.pair".into()],
            ..options()
        },
    )
    .await;
    assert_eq!(after.verdict, Verdict::Equal, "{after:#?}\n{plan}");
}

#[tokio::test]
async fn a_limit_ends_the_search_and_a_table_that_is_not_published_is_a_fault() {
    let world = world(TABLES).await;
    surgeon(&world, "gcp")
        .await
        .batch_execute("DELETE FROM public.kinds")
        .await
        .expect("gone");
    let only = |name: &str| Options {
        tables: vec![name.into()],
        limit_differences: 20,
        ..options()
    };
    let report = compare(&world, &only("public.kinds")).await;
    let kinds = table(&report, "public.kinds");
    assert_eq!((report.tables.len(), kinds.differences.len()), (1, 20));
    assert!(
        kinds
            .differences
            .iter()
            .all(|found| found.kind == Kind::Missing)
    );
    assert!(
        kinds
            .note
            .as_ref()
            .is_some_and(|note| note.contains("20 differences")),
        "{kinds:?}"
    );
    let fault = verify::run(&world.config, &only("kinds"), &mut |_| {})
        .await
        .unwrap_err();
    assert!(fault.to_string().contains("public.kinds"), "{fault}");
}

/// Writers that go on until they are dropped.
struct Traffic {
    over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    writers: Vec<JoinHandle<()>>,
}

impl Traffic {
    async fn start(world: &World, statements: &[&str]) -> Self {
        let (over, written) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut writers = Vec::new();
        for (writer, statement) in statements.iter().enumerate() {
            let (aws, gcp) = (surgeon(world, "aws").await, surgeon(world, "gcp").await);
            let count =
                format!("UPDATE public.pace SET written = written + 1 WHERE writer = {writer}");
            let statement = format!("BEGIN; {statement}; {count}; COMMIT");
            let (over, written) = (over.clone(), written.clone());
            writers.push(tokio::spawn(async move {
                for n in 1.. {
                    aws.batch_execute(&statement).await.expect("a write");
                    written.fetch_add(1, Ordering::Relaxed);
                    keep_pace(&gcp, writer, n).await;
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }));
        }
        Self {
            over,
            written,
            writers,
        }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    async fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.expect("a writer");
        }
    }
}

/// One worker applies what many write: without a pause the replica would fall behind for ever.
async fn keep_pace(gcp: &Client, writer: usize, written: i64) {
    if written % 20 == 0 {
        let sql = format!(
            "SELECT written >= {} FROM public.pace WHERE writer = {writer}",
            written - 50
        );
        wait_until("the replica keeps up", || async {
            gcp.query_one(&sql, &[]).await.expect("a pace").get(0)
        })
        .await;
    }
}

const HEAVY: [&str; 5] = [
    // Hot rows, changed all the time.
    "UPDATE public.kinds SET n = coalesce(n, 0) + 1 WHERE id IN (5, 6, 7)",
    // Rows that come and go under the same key.
    "DELETE FROM public.kinds WHERE id = 8; INSERT INTO public.kinds (id, t) VALUES (8, random()::text)",
    // New rows at the end, old ones anywhere.
    "INSERT INTO public.contact (request_id) SELECT md5(random()::text) FROM generate_series(1, 20)",
    "UPDATE public.kinds SET t = md5(random()::text), at = clock_timestamp() WHERE id = 10 + floor(random() * 2990)",
    "UPDATE public.pair SET value = value + 1 WHERE code = 'Ä-' || md5((1 + floor(random() * 500))::int::text)",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_heavy_traffic_nothing_is_called_different() {
    let world = world(TABLES).await;
    let traffic = Traffic::start(&world, &HEAVY).await;
    for run in 0..4 {
        let before = traffic.written();
        let report = compare(&world, &options()).await;
        assert_eq!(found(&report), BTreeSet::new(), "run {run}: {report:#?}");
        assert_ne!(report.verdict, Verdict::Different);
        assert!(
            report
                .tables
                .iter()
                .all(|table| table.note.is_none() || table.method == Method::Whole),
            "{report:#?}"
        );
        assert!(traffic.written() > before, "the writers go on");
    }
    // A planted difference stands out from all of that.
    let gcp = surgeon(&world, "gcp").await;
    gcp.batch_execute("INSERT INTO public.kinds (id) VALUES (-1); DELETE FROM public.kinds WHERE id = 9; UPDATE public.kinds SET flag = NULL WHERE id = 4")
        .await
        .expect("planted");
    let report = compare(&world, &options()).await;
    let expected = [
        "public.kinds -1 Extra",
        "public.kinds 4 Different flag",
        "public.kinds 9 Missing",
    ];
    assert_eq!(
        found(&report),
        expected.map(str::to_owned).into(),
        "{report:#?}"
    );
    traffic.stop().await;
    let healed = compare(
        &world,
        &Options {
            tables: vec!["public.contact".into()],
            ..options()
        },
    )
    .await;
    assert_eq!(healed.verdict, Verdict::Equal, "{healed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_row_that_the_replica_lacks_is_unsettled_not_different() {
    let world = world(TABLES).await;
    surgeon(&world, "gcp")
        .await
        .batch_execute("DELETE FROM public.kinds WHERE id = 5")
        .await
        .expect("planted");
    let traffic = Traffic::start(&world, &HEAVY[..1]).await;
    let report = compare(
        &world,
        &Options {
            tables: vec!["public.kinds".into()],
            ..options()
        },
    )
    .await;
    traffic.stop().await;
    let kinds = table(&report, "public.kinds");
    if kinds.differences.is_empty() {
        assert_eq!(kinds.verdict, Verdict::Unsettled);
        let row = &kinds.unsettled[0];
        assert_eq!(
            (kinds.unsettled.len(), row.at_primary, row.at_replica),
            (1, row.looks, 0),
            "{kinds:#?}"
        );
    } else {
        assert_eq!(
            found(&report),
            ["public.kinds 5 Missing".to_owned()].into(),
            "the writer paused"
        );
    }
}

#[tokio::test]
async fn a_replica_that_lags_is_late_not_different() {
    let world = world(TABLES).await;
    let aws = surgeon(&world, "aws").await;
    let gcp = surgeon(&world, "gcp").await;
    world.relay.set(Mode::Silent);
    aws.batch_execute(
        "UPDATE public.kinds SET t = 'new' WHERE id % 10 = 0; INSERT INTO public.contact (request_id) VALUES ('late'); INSERT INTO public.journal VALUES ('late')",
    )
    .await
    .expect("written");
    let patient = Options {
        wait_max: Duration::from_secs(2),
        ..options()
    };
    let report = compare(&world, &patient).await;
    assert_eq!(
        (report.verdict, found(&report)),
        (Verdict::Unsettled, BTreeSet::new()),
        "{report:#?}"
    );
    for name in ["public.kinds", "public.contact", "public.journal"] {
        let late = table(&report, name);
        assert!(
            late.note
                .as_ref()
                .is_some_and(|note| note.contains("did not apply")),
            "{late:?}"
        );
    }
    assert_eq!(
        table(&report, "public.pair").verdict,
        Verdict::Equal,
        "nothing happened there"
    );
    world.relay.set(Mode::Forward);
    wait_until("the late rows arrive", || async {
        gcp.query_one("SELECT count(*) = 1 FROM public.contact", &[])
            .await
            .expect("a count")
            .get(0)
    })
    .await;
    let report = compare(&world, &options()).await;
    assert_eq!(report.verdict, Verdict::Equal, "{report:#?}");
}
