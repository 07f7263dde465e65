//! What `tandem verify` costs and finds: planted differences under a writer, beside the usual md5 over
//! the whole table, in turns on the same two servers.
//!
//! `ROWS=10000000 RUNS=5 cargo run --release -p tandem-postgres --example bench-verify`
//!
//! Needs about 5 GB below `TMPDIR` for ten million rows. Trust the ratio: servers, writer and verifier
//! share the machine. Writes `target/bench/postgres-verify.json`, and fails if a bound does not hold.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/real/server.rs"]
mod server;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/real/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tandem_postgres::setup;
use tandem_postgres::verify::{self, Options, Report};
use tokio_postgres::Client;
use world::{World, wait_until};

const PEER: &str = "SELECT md5(string_agg(md5(t::text), '' ORDER BY id)) FROM public.account t";

/// What is planted at the replica: ten rows of each kind, on keys that the writer leaves alone.
const PLANTED: [&str; 10] = [
    "DELETE FROM public.account WHERE id = ANY ($1)",
    "DELETE FROM public.account WHERE id = ANY ($1) AND owner >= 0",
    "INSERT INTO public.account SELECT k + 1, 1, 1, 'extra', 1, now(), NULL FROM unnest($1::bigint[]) k",
    "INSERT INTO public.account SELECT -k, 1, 1, 'extra', 1, now(), NULL FROM unnest($1::bigint[]) k",
    "UPDATE public.account SET amount = amount + 0.01 WHERE id = ANY ($1)",
    "UPDATE public.account SET note = CASE WHEN note IS NULL THEN '' END WHERE id = ANY ($1)",
    "UPDATE public.account SET score = score * (1 + 2.3e-16::float8) WHERE id = ANY ($1)",
    "UPDATE public.account SET at = at + interval '1 microsecond' WHERE id = ANY ($1)",
    "UPDATE public.account SET name = name || ' ' WHERE id = ANY ($1)",
    "UPDATE public.account SET owner = -owner - 1 WHERE id = ANY ($1)",
];

fn number(name: &str, otherwise: i64) -> i64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (rows, runs) = (number("ROWS", 10_000_000), number("RUNS", 5));
    assert!(
        rows >= 100_000 && runs > 0,
        "at least 100,000 rows and one run"
    );
    let (started, load_before) = (
        shell("date -u +%FT%TZ"),
        shell("cut -d' ' -f1 /proc/loadavg"),
    );
    let world = loaded(rows).await;
    let (aws, gcp) = (surgeon(&world, "aws").await, surgeon(&world, "gcp").await);
    let planted = plant(&gcp, rows).await;
    println!(
        "{rows} rows replicated, {} differences planted",
        planted.len()
    );
    let over = Arc::new(AtomicBool::new(false));
    let (writes, applied) = (surgeon(&world, "aws").await, surgeon(&world, "gcp").await);
    let writer = tokio::spawn(write(writes, applied, rows, over.clone()));
    let (mut ours, mut theirs, mut worst) = (Vec::new(), Vec::new(), None);
    for run in 1..=runs {
        let report = verify::run(&world.config, &Options::default(), &mut |_| {})
            .await
            .unwrap();
        let counted = count(&report, &planted);
        ours.push(rate(rows, Duration::from_secs_f64(report.seconds)));
        let begun = Instant::now();
        let (a, b) = tokio::join!(aws.query_one(PEER, &[]), gcp.query_one(PEER, &[]));
        let (_, _) = (a.unwrap(), b.unwrap());
        theirs.push(rate(rows, begun.elapsed()));
        println!(
            "run {run}: verify {:.0} rows/s, md5 {:.0} rows/s; found {}, false alarms {}, unsettled {}",
            ours[ours.len() - 1],
            theirs[theirs.len() - 1],
            counted.found,
            counted.false_alarms,
            counted.unsettled
        );
        worst = Some(counted.worse(worst));
    }
    over.store(true, Ordering::Relaxed);
    println!(
        "the writer committed {} transactions meanwhile",
        writer.await.unwrap()
    );
    let figures = figures(&ours, &theirs, planted.len(), &worst.unwrap());
    save(&figures, &started, &load_before);
    let holds = figures.iter().all(|row| row["holds"] != json!(false));
    assert!(holds, "a bound does not hold: {figures:#?}");
}

/// The table stands at aws before replication begins, so that its first copy carries it.
async fn loaded(rows: i64) -> World {
    let world = World::with_settings(&["max_wal_size = 512MB", "synchronous_commit = off"]).await;
    let gcp = world.gcp.admin().await;
    for setting in ["max_wal_size = '512MB'", "synchronous_commit = off"] {
        gcp.batch_execute(&format!("ALTER SYSTEM SET {setting}"))
            .await
            .unwrap();
    }
    gcp.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let load = format!(
        "CREATE TABLE public.account (id bigint PRIMARY KEY, owner int, amount numeric(12, 2), name text, score float8, at timestamptz, note text);
         INSERT INTO public.account SELECT 2 * n, n % 1000, (n % 100000) / 100.0, 'name ' || n, n / 7.0::float8,
             '2024-01-01 UTC'::timestamptz + n * interval '1 s', CASE WHEN n % 3 = 0 THEN 'note' END FROM generate_series(1, {rows}) n;
         CREATE TABLE public.pace (id int PRIMARY KEY, written bigint NOT NULL);
         INSERT INTO public.pace VALUES (1, 0);
         ALTER TABLE public.account OWNER TO crm_owner; ALTER TABLE public.pace OWNER TO crm_owner"
    );
    world.aws.admin().await.batch_execute(&load).await.unwrap();
    let options = setup::Options {
        dry_run: false,
        application_password_file: Some(world.app_file.clone()),
        copy_limit: Duration::from_secs(3600),
        offline: true,
        patience: tandem_postgres::steps::Patience::default(),
    };
    setup::run(&world.config, &options, &mut |_| {})
        .await
        .unwrap();
    // Both sites alike: the first reader would otherwise pay for the marks of the load.
    for site in [&world.aws, &world.gcp] {
        let admin = site.admin().await;
        admin
            .batch_execute("VACUUM (ANALYZE) public.account")
            .await
            .unwrap();
    }
    world
}

async fn surgeon(world: &World, site: &str) -> Client {
    let admin = world.server(site).admin().await;
    let settings = "SET session_replication_role = replica; SET work_mem = '64MB'";
    admin.batch_execute(settings).await.unwrap();
    admin
}

/// Plants ten differences of each kind; returns the keys that must be named.
async fn plant(gcp: &Client, rows: i64) -> BTreeSet<i64> {
    let mut expected = BTreeSet::new();
    for (kind, sql) in (0_i64..).zip(PLANTED) {
        // Multiples of 2000, which the writer never picks, all over the table.
        let place = |n: i64| ((n * 10 + kind) * (2 * rows / 100) / 2000 + 1) * 2000;
        let keys: Vec<i64> = (0..10).map(place).collect();
        let done = gcp.execute(sql, &[&keys]).await.unwrap();
        assert_eq!(done, 10, "{sql}");
        expected.extend(keys.iter().map(|key| match sql {
            sql if sql.contains("k + 1") => key + 1,
            sql if sql.contains("-k") => -key,
            _ => *key,
        }));
    }
    expected
}

/// Writes all over the table and on hot rows, never faster than the replica applies.
async fn write(aws: Client, gcp: Client, rows: i64, over: Arc<AtomicBool>) -> i64 {
    let sql = format!(
        "BEGIN;
         UPDATE public.account SET amount = amount + 1, at = clock_timestamp()
          WHERE id = (SELECT 2 * (1 + floor(random() * {rows})::bigint)) AND id % 2000 <> 0;
         UPDATE public.account SET score = score + 1 WHERE id IN (2, 4, 6);
         INSERT INTO public.account SELECT 2 * ({rows} + 1 + written), 1, 1, 'new', 1, now(), NULL FROM public.pace;
         UPDATE public.pace SET written = written + 1;
         COMMIT"
    );
    let mut written = 0;
    while !over.load(Ordering::Relaxed) {
        aws.batch_execute(&sql).await.unwrap();
        written += 1;
        if written % 50 == 0 {
            let pace = format!("SELECT written >= {written} - 200 FROM public.pace");
            wait_until("the replica keeps up", || async {
                gcp.query_one(&pace, &[]).await.unwrap().get(0)
            })
            .await;
        }
    }
    written
}

/// What one run found; over several runs the worst of each.
struct Counted {
    found: usize,
    false_alarms: usize,
    unsettled: usize,
}

impl Counted {
    fn worse(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        Self {
            found: self.found.min(other.found),
            false_alarms: self.false_alarms.max(other.false_alarms),
            unsettled: self.unsettled.max(other.unsettled),
        }
    }
}

fn count(report: &Report, planted: &BTreeSet<i64>) -> Counted {
    let mut counted = Counted {
        found: 0,
        false_alarms: 0,
        unsettled: 0,
    };
    for table in &report.tables {
        counted.unsettled += table.unsettled.len() + usize::from(table.note.is_some());
        for difference in &table.differences {
            let key = difference.key.get("id").and_then(|key| key.parse().ok());
            let known = key.is_some_and(|key: i64| planted.contains(&key));
            match known && table.table == "public.account" {
                true => counted.found += 1,
                false => counted.false_alarms += 1,
            }
        }
    }
    counted
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn rate(rows: i64, time: Duration) -> f64 {
    rows as f64 / time.as_secs_f64()
}

fn figures(ours: &[f64], theirs: &[f64], planted: usize, counted: &Counted) -> Vec<Value> {
    let runs = ours.len();
    let exact = |id: &str, value: usize, must: Option<usize>| {
        json!({ "id": id, "value": value, "unit": "rows", "runs": runs, "min": value, "max": value,
            "must": must.map(|must| format!("== {must}")), "holds": must.map(|must| value == must), "peer": null })
    };
    let (low, middle, high) = spread(ours);
    let peer = spread(theirs).1;
    println!(
        "verify {middle:.0} rows/s, md5 over the table {peer:.0} rows/s: {:.1} times as fast",
        middle / peer
    );
    vec![
        json!({ "id": "verify.rate.p50", "value": middle, "unit": "rows/s", "runs": runs, "min": low, "max": high,
            "must": null, "holds": null,
            "peer": { "name": "md5(string_agg(md5(t::text), '' ORDER BY id)), both sites at once", "value": peer } }),
        exact("verify.found.min", counted.found, Some(planted)),
        exact("verify.false_alarms.max", counted.false_alarms, Some(0)),
        exact("verify.unsettled.max", counted.unsettled, None),
    ]
}

/// Smallest, median, largest.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (
        sorted[0],
        sorted[sorted.len() / 2],
        sorted[sorted.len() - 1],
    )
}

fn save(rows: &[Value], started: &str, load_before: &str) {
    let bench = json!({
        "bench": "postgres-verify",
        "commit": shell("git rev-parse HEAD"),
        "dirty": !shell("git status --porcelain").is_empty(),
        "started": started,
        "machine": {
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "memory_bytes": shell("awk '/MemTotal/ {printf \"%.0f\", $2 * 1024}' /proc/meminfo").parse::<u64>().unwrap_or(0),
            "cpu": shell("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1"),
            "load_before": load_before.parse::<f64>().unwrap_or(0.0),
        },
        "rows": rows,
    });
    let text = serde_json::to_string_pretty(&bench).unwrap();
    std::fs::create_dir_all("target/bench").unwrap();
    std::fs::write("target/bench/postgres-verify.json", text).unwrap();
}

fn shell(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
