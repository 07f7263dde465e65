//! Whole drills with real processes: lose a cloud that had lost its wire before, cut one off
//! with its clients in it, bring the store back from an old disk, move the writes as a person;
//! and account for every acknowledged write. Only what may never happen is judged here; how long it took is a matter
//! of `make demo` and of the benchmarks.

use std::path::Path;
use std::time::Duration;

use tandem_core::drill::Measure;
use tandem_core::drill::verdict::Result as Outcome;
use tandem_lab::drill::evidence::Report;
use tandem_lab::drill::series::{self, Plan};
use tandem_lab::drill::{Stop, shelf};
use tandem_lab::lab::folder_of;
use tandem_lab::ports;
use tokio::sync::Mutex;

/// Far from the bases of people and of the lab's own tests.
const BASES: std::ops::Range<u16> = 290..320;

fn free_base() -> u16 {
    let turn = u16::try_from(std::process::id() % 30).expect("below 30");
    let mut bases = (0..30).map(|step| (BASES.start + (turn + step) % 30) * 100);
    let free =
        |base: &u16| ports::taken(*base..*base + 100).is_empty() && !folder_of(*base).exists();
    bases.find(free).expect("some bases are free")
}

/// One lab at a time: two would make each other late.
static STAGE: Mutex<()> = Mutex::const_new(());

fn plan(name: &str, after_s: u32, folder: &Path) -> Plan {
    let mut drill = shelf::take(name).expect("a built-in drill");
    // Gentle and patient: this machine may be building something as well.
    drill.load.rate_per_s = 60;
    drill.abort.failed_percent_before = 100.0;
    drill.before_s = 3;
    drill.after_s = after_s;
    Plan {
        drill,
        repeat: 1,
        seed: 1,
        patience: 100.0,
        folder: folder.to_path_buf(),
        base_port: free_base(),
        stand: None,
        keep_lab: false,
        command: String::new(),
    }
}

/// Runs it to the end; what may never happen must not have happened.
async fn run(plan: &Plan) -> Report {
    let tell = |progress: &_| eprintln!("{progress:?}");
    let reports = series::run(plan, &tell, &Stop::new()).await.expect("a run");
    let report = reports.into_iter().next().expect("one run");
    assert_ne!(
        report.verdict.result,
        Outcome::Aborted,
        "{:?}",
        report.verdict.aborted
    );
    for measure in [
        Measure::MissingUnexplained,
        Measure::Duplicated,
        Measure::Foreign,
        Measure::Relabelled,
        Measure::EpochViolations,
        Measure::LateAcknowledgements,
    ] {
        assert_eq!(value(&report, measure), Some(0.0), "{}", measure.name());
    }
    report
}

fn value(report: &Report, measure: Measure) -> Option<f64> {
    report.values.get(&measure).copied()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_cut_off_with_its_clients_is_no_second_writer() {
    let _alone = STAGE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let report = run(&plan("aws-isolated", 40, folder.path())).await;
    let inside = value(&report, Measure::IsolatedAcknowledged);
    assert!(inside >= Some(1.0), "nobody wrote in the cut-off site");
    assert!(value(&report, Measure::NewEpochWrites) >= Some(1.0));
    for measure in [Measure::ReturnedFenced, Measure::RefusedDirect] {
        assert_eq!(value(&report, measure), Some(1.0), "{}", measure.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_moves_the_writes_and_nothing_is_lost() {
    let _alone = STAGE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = plan("switchover", 25, folder.path());
    plan.drill.steps.truncate(1);
    let report = run(&plan).await;
    for (measure, expected) in [
        (Measure::StepsFailed, 0.0),
        (Measure::Missing, 0.0),
        (Measure::Promotions, 1.0),
    ] {
        assert_eq!(
            value(&report, measure),
            Some(expected),
            "{}",
            measure.name()
        );
    }
    assert_eq!(report.moves.len(), 1);
    assert!(report.moves[0].pause.is_some(), "writes went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_an_older_disk_is_refused_by_everybody() {
    let _alone = STAGE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let report = run(&plan("etcd-restored", 20, folder.path())).await;
    assert_eq!(value(&report, Measure::StoreRefused), Some(1.0));
    assert_eq!(value(&report, Measure::Promotions), Some(0.0));
    assert_eq!(value(&report, Measure::Missing), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_of_a_lost_cloud_is_accounted_for() {
    let _alone = STAGE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan("aws-outage-lagging", 45, folder.path());
    let report = run(&plan).await;
    assert_eq!(value(&report, Measure::ReturnedFenced), Some(1.0));
    assert!(
        value(&report, Measure::NewEpochWrites) >= Some(1.0),
        "the survivor took no write"
    );
    assert_eq!(
        report.oracle.missing_found(),
        u64::try_from(report.oracle.missing.len()).expect("fits")
    );
    assert!(
        report.oracle.rpo <= Duration::from_secs(5),
        "{:?}",
        report.oracle.rpo
    );
    resumed(&plan, &report).await;
    assert!(
        !folder_of(plan.base_port).exists(),
        "nothing is left behind"
    );
}

/// A finished series is read, not run again.
async fn resumed(plan: &Plan, first: &Report) {
    let again = series::run(plan, &|progress| panic!("{progress:?}"), &Stop::new()).await;
    let again = again.expect("the same report");
    assert_eq!(again.len(), 1);
    assert_eq!(
        (&again[0].run, &again[0].oracle),
        (&first.run, &first.oracle)
    );
}
