//! A whole drill with real processes: lose a cloud that had lost its wire before,
//! and account for every acknowledged write. Only what may never happen is judged
//! here; how long it took is a matter of `make demo` and of the benchmark.

use std::path::Path;
use std::time::Duration;

use tandem_core::drill::Measure;
use tandem_core::drill::verdict::Result as Outcome;
use tandem_lab::drill::series::{self, Plan};
use tandem_lab::drill::{Stop, evidence, shelf};
use tandem_lab::lab::folder_of;
use tandem_lab::ports;

/// Far from the bases of people and of the lab's own tests.
const BASES: std::ops::Range<u16> = 290..320;

fn free_base() -> u16 {
    let turn = u16::try_from(std::process::id() % 30).expect("below 30");
    let mut bases = (0..30).map(|step| (BASES.start + (turn + step) % 30) * 100);
    let free =
        |base: &u16| ports::taken(*base..*base + 100).is_empty() && !folder_of(*base).exists();
    bases.find(free).expect("some bases are free")
}

fn plan(folder: &Path) -> Plan {
    let mut drill = shelf::take("aws-outage-lagging").expect("a built-in drill");
    // Gentle and patient: this machine may be building something as well.
    drill.load.rate_per_s = 60;
    drill.abort.failed_percent_before = 100.0;
    drill.before_s = 3;
    drill.after_s = 45;
    Plan {
        drill,
        repeat: 1,
        seed: 1,
        patience: 100.0,
        folder: folder.to_path_buf(),
        base_port: free_base(),
        keep_lab: false,
        command: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_of_a_lost_cloud_is_accounted_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path());
    let tell = |progress: &_| eprintln!("{progress:?}");
    let reports = series::run(&plan, &tell, &Stop::new())
        .await
        .expect("a run");
    let report = &reports[0];
    assert_ne!(
        report.verdict.result,
        Outcome::Aborted,
        "{:?}",
        report.verdict.aborted
    );
    let value = |measure: Measure| report.values.get(&measure).copied();
    for measure in [
        Measure::MissingUnexplained,
        Measure::Duplicated,
        Measure::Foreign,
        Measure::Relabelled,
        Measure::EpochViolations,
    ] {
        assert_eq!(value(measure), Some(0.0), "{}", measure.name());
    }
    assert_eq!(value(Measure::ReturnedFenced), Some(1.0));
    assert!(
        value(Measure::NewEpochWrites) >= Some(1.0),
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
    resumed(&plan, report).await;
    assert!(
        !folder_of(plan.base_port).exists(),
        "nothing is left behind"
    );
}

/// A finished series is read, not run again.
async fn resumed(plan: &Plan, first: &evidence::Report) {
    let again = series::run(plan, &|progress| panic!("{progress:?}"), &Stop::new()).await;
    let again = again.expect("the same report");
    assert_eq!(again.len(), 1);
    assert_eq!(
        (&again[0].run, &again[0].oracle),
        (&first.run, &first.oracle)
    );
}
