//! The servers start, answer, survive a kill and die with their handles. Real binaries.

use tandem_lab::servers::{Etcd, EtcdOptions, Postgres, PostgresOptions, Redis, RedisOptions};
use tokio_postgres::NoTls;

async fn ask(postgres: &Postgres, query: &str) -> String {
    let (client, connection) = postgres
        .connect_config("postgres")
        .connect(NoTls)
        .await
        .expect("the server answers");
    let driver = tokio::spawn(connection);
    let row = client
        .query_one(query, &[])
        .await
        .expect("the server answers");
    driver.abort();
    row.get(0)
}

fn alive(pid: rustix::process::Pid) -> bool {
    tandem_lab::process::birth(pid).is_some()
}

#[tokio::test]
async fn postgres_keeps_its_rows_through_kill_9() {
    let mut postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let (client, connection) = postgres
        .connect_config("postgres")
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("CREATE TABLE t AS SELECT 'kept' AS word")
        .await
        .unwrap();

    let family = postgres.family();
    assert!(family.len() > 3, "postmaster and children: {family:?}");
    postgres.kill().await.unwrap();
    assert!(postgres.family().is_empty());
    postgres.start_again().await.unwrap();

    assert_eq!(ask(&postgres, "SELECT word FROM t").await, "kept");
    assert_eq!(ask(&postgres, "SHOW wal_level").await, "logical");
    assert_eq!(ask(&postgres, "SHOW ssl").await, "on");
    postgres.freeze().unwrap();
    postgres.thaw().unwrap();
    assert_eq!(ask(&postgres, "SELECT word FROM t").await, "kept");

    let (folder, pid) = (postgres.folder().to_path_buf(), postgres.process().pid());
    postgres.stop().await.unwrap();
    postgres.start_again().await.unwrap();
    drop(postgres);
    assert!(!folder.exists());
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_postgres_that_dies_shows_why() {
    let settings = vec![("max_connections".into(), "no number".into())];
    let options = PostgresOptions {
        settings,
        ..Default::default()
    };
    let error = Postgres::start(options)
        .await
        .err()
        .expect("it cannot start")
        .to_string();
    assert!(error.contains("max_connections"), "{error}");
}

#[tokio::test]
async fn redis_starts_again_after_a_kill() {
    let mut redis = Redis::start(RedisOptions::default()).await.unwrap();
    redis.kill().await.unwrap();
    redis.start_again().await.unwrap();
    redis.stop().await.unwrap();
    assert!(redis.family().is_empty());
}

#[tokio::test]
async fn etcd_starts_again_after_a_kill() {
    let mut etcd = Etcd::start(EtcdOptions::default()).await.unwrap();
    etcd.kill().await.unwrap();
    etcd.start_again().await.unwrap();
    etcd.healthy(std::time::Duration::from_secs(60))
        .await
        .unwrap();
}
