//! A whole lab: up, faults, reset, down. Real servers and the built binaries.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tandem_lab::lab::{ProcessState, folder_of};
use tandem_lab::links::Cut;
use tandem_lab::{Lab, LabOptions, ports};
use tokio::time::{Instant, sleep};

/// Generous, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the search for free ports begins; far from the default of people's labs.
const FIRST_BASE: u16 = 24_000;
/// More than one lab needs.
const SPAN: u16 = 100;

/// How many bases tests choose from.
const BASES: u16 = 40;

/// A base whose ports are free; each call in a process looks elsewhere, and so do processes.
fn free_base() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % u32::from(BASES)).expect("below 40");
    let turn = process + 20 * CALLS.fetch_add(1, Ordering::Relaxed);
    let mut bases = (0..20).map(|step| FIRST_BASE + SPAN * ((turn + step) % BASES));
    let free =
        |base: &u16| ports::taken(*base..*base + SPAN).is_empty() && !folder_of(*base).exists();
    bases.find(free).expect("some bases are free")
}

fn options() -> LabOptions {
    LabOptions {
        base_port: free_base(),
        ..LabOptions::default()
    }
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

fn state(lab: &Lab, process: &str) -> ProcessState {
    let status = lab.status();
    let found = status
        .processes
        .into_iter()
        .find(|found| found.name == process);
    found.expect("a process of the lab").state
}

fn mode(path: &Path) -> u32 {
    let about = std::fs::metadata(path).expect("the file is there");
    about.permissions().mode() & 0o777
}

async fn answers(url: &str) -> bool {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .build();
    let client = client.expect("a client");
    client
        .get(url)
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lab_comes_up_obeys_and_leaves_nothing() {
    let mut lab = Lab::start(options()).await.expect("the lab comes up");
    let endpoints = lab.endpoints().unwrap();
    let folder = endpoints.folder.clone();
    assert!(answers(&format!("{}/health", endpoints.edge)).await);
    assert!(lab.status().links.is_empty(), "all as at the start");
    assert_eq!(mode(&lab.status().token_file), 0o600, "the person's secret");
    assert_eq!(lab.status().token_file, endpoints.token_file);

    lab.freeze("aws.crm-1").await.unwrap();
    assert_eq!(state(&lab, "aws.crm-1"), ProcessState::Frozen);
    lab.thaw("aws.crm-1").await.unwrap();
    assert_eq!(state(&lab, "aws.crm-1"), ProcessState::Running);

    lab.kill_site("gcp").await.unwrap();
    let ended = |name: &str| matches!(state(&lab, name), ProcessState::Ended(_));
    for process in ["postgres", "redis", "etcd", "agent-1", "gate-2", "crm-1"] {
        assert!(ended(&format!("gcp.{process}")), "{process}");
    }
    assert_eq!(state(&lab, "aws.postgres"), ProcessState::Running);
    let edge = endpoints.edge.clone();
    eventually("the other cloud serves", async || {
        answers(&format!("{edge}/health")).await
    })
    .await;
    lab.start_site("gcp").await.unwrap();
    assert_eq!(state(&lab, "gcp.postgres"), ProcessState::Running);

    lab.link("aws-gcp").unwrap().cut(Cut::Drop).unwrap();
    assert_eq!(lab.status().links.len(), 2, "both ways");
    lab.isolate("gcp", Cut::Reset).unwrap();
    assert_eq!(lab.status().links.len(), 6, "both ways to three others");
    lab.heal_site("gcp").unwrap();
    assert!(lab.status().links.is_empty(), "mended");
    assert!(lab.isolate("mars", Cut::Drop).is_err());
    assert!(lab.restore_stores().await.is_err(), "no disk was copied");
    lab.isolate("aws", Cut::Drop).unwrap();
    assert!(lab.link("aws-mars").is_err());
    assert!(lab.kill("aws.nothing").await.is_err());

    lab.reset().await.expect("the lab comes up again");
    assert!(lab.status().links.is_empty(), "a reset mends");
    lab.stop().await.unwrap();
    assert!(!folder.exists());
    assert!(!answers(&format!("{edge}/health")).await);
}

#[tokio::test]
async fn all_faults_are_told_before_anything_starts() {
    let base_port = free_base();
    let taken = std::net::TcpListener::bind(("127.0.0.1", base_port + 3)).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let binaries = Some(empty.path().to_path_buf());
    let options = LabOptions {
        base_port,
        binaries,
        ..LabOptions::default()
    };
    let error = Lab::start(options)
        .await
        .err()
        .expect("refused")
        .to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    for wanted in ["`tandem`", "`tandem-gate`", "`tandem-edge`", "`crm`", &port] {
        assert!(error.contains(wanted), "{wanted} in {error}");
    }
    assert!(!folder_of(base_port).exists());
}
