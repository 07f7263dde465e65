//! A lab of network namespaces: the kernel's own cuts, and a whole drill.
//!
//! Where a machine allows no namespaces the reason is printed and nothing is tried.

use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tandem_core::drill::Measure;
use tandem_core::drill::verdict::Result as Outcome;
use tandem_lab::drill::series::{self, Plan};
use tandem_lab::drill::{Stop, shelf};
use tandem_lab::lab::{NetworkKind, ProcessState, folder_of};
use tandem_lab::links::Cut;
use tandem_lab::namespaces::{Entrance, Stand};
use tandem_lab::{Lab, LabOptions};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Long enough for anything that does arrive on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough to believe that nothing arrives: a SYN is repeated after 1 s.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Set for the process behind the entrance: the base port of its lab.
const INSIDE: &str = "TANDEM_TEST_BASE";

/// Far from the bases of people and of other tests; ports need not be free in there.
fn free_base(first: u16) -> u16 {
    let turn = u16::try_from(std::process::id() % 40).expect("below 40");
    let mut bases = (0..40).map(|step| first + (turn + step) % 40 * 100);
    bases
        .find(|base| !folder_of(*base).exists())
        .expect("some bases are free")
}

/// Runs the test of this name in a process that stands where a lab of namespaces stands: itself
/// once more, behind an entrance.
fn standing<F: Future<Output = ()>>(name: &str, first: u16, test: impl FnOnce(u16, Stand) -> F) {
    if let Some(base) = std::env::var(INSIDE)
        .ok()
        .and_then(|base| base.parse().ok())
    {
        let stand = Stand::here().expect("started behind an entrance");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(test(base, stand));
    }
    let base = free_base(first);
    let entrance = match Entrance::open(base) {
        Ok(entrance) => entrance,
        Err(reason) => return eprintln!("not tried: {reason}"),
    };
    let mut inside = entrance.command(std::env::current_exe().expect("a test"));
    inside.args(["--exact", name, "--nocapture"]);
    let status = inside.env(INSIDE, base.to_string()).status();
    assert!(status.expect("nsenter runs").success(), "{name}");
    assert!(!namespaces().contains(&base.to_string()), "nothing is left");
    assert!(!folder_of(base).exists(), "nothing is left");
}

fn namespaces() -> String {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    listed.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn options(base_port: u16, stand: Stand) -> LabOptions {
    LabOptions {
        base_port,
        shape: stand.fitting(LabOptions::default().shape),
        stand: Some(stand),
        ..LabOptions::default()
    }
}

/// Connects from `from` to `port` of aws, as `Ok`, the kernel's refusal, or silence.
fn dial(base: u16, from: &str, port: u16) -> Result<(), String> {
    let script = format!("exec 3<>/dev/tcp/198.18.0.1/{port}");
    let bound = SILENCE.as_secs_f64().to_string();
    let name = format!("tandem-{base}-{from}");
    let output = Command::new("ip")
        .args([
            "netns", "exec", &name, "timeout", &bound, "bash", "-c", &script,
        ])
        .output()
        .expect("bash and coreutils are everywhere");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(124) => Err("silence".into()),
        _ => Err(said),
    }
}

#[test]
fn a_lab_of_namespaces_comes_up_obeys_and_leaves_nothing() {
    let name = "a_lab_of_namespaces_comes_up_obeys_and_leaves_nothing";
    standing(name, 40_000, async |base, stand| {
        let mut lab = Lab::start(options(base, stand)).await.expect("it comes up");
        assert_eq!(lab.status().network, NetworkKind::Namespaces);
        assert!(lab.status().links.is_empty(), "all as at the start");
        let at = lab.endpoints().expect("whole").sites[&"aws".parse().expect("a site")].clone();
        let postgres = (at.address, at.postgres_port);

        assert_eq!(dial(base, "gcp", at.postgres_port), Ok(()));
        let link = lab.link("aws-gcp").expect("a link");
        link.cut(Cut::Drop).expect("cut");
        assert_eq!(
            dial(base, "gcp", at.postgres_port),
            Err("silence".into()),
            "the SYN is lost"
        );
        assert_eq!(dial(base, "witness", at.postgres_port), Ok(()));
        let own = timeout(PATIENCE, TcpStream::connect(postgres)).await;
        own.expect("in time").expect("the lab reaches everybody");
        link.cut(Cut::Reset).expect("cut");
        let refused = dial(base, "gcp", at.postgres_port).expect_err("refused");
        assert!(refused.contains("refused"), "{refused}");
        assert_eq!(lab.status().links.len(), 2, "both ways");
        link.heal().expect("mended");
        assert_eq!(dial(base, "gcp", at.postgres_port), Ok(()));

        link.cut_towards("gcp".parse().expect("a place"), Cut::Drop)
            .expect("cut");
        assert_eq!(lab.status().links.len(), 1, "one way");
        assert_eq!(
            dial(base, "gcp", at.postgres_port),
            Err("silence".into()),
            "the answer is lost"
        );
        link.heal().expect("mended");
        link.capacity(Some(1_000_000)).expect("throttled");
        assert_eq!(dial(base, "gcp", at.postgres_port), Ok(()));

        lab.freeze("aws.crm-1").await.expect("frozen");
        lab.thaw("aws.crm-1").await.expect("thawed");
        lab.kill_site("gcp").await.expect("killed");
        lab.start_site("gcp").await.expect("started");
        lab.reset().await.expect("it comes up again");
        let status = lab.status();
        assert!(status.links.is_empty(), "a reset mends");
        let running = |state: &ProcessState| *state == ProcessState::Running;
        assert!(status.processes.iter().all(|found| running(&found.state)));
        lab.stop().await.expect("it ends");
    });
}

fn plan(folder: &Path, base_port: u16, stand: Stand) -> Plan {
    let mut drill = shelf::take("aws-outage").expect("a built-in drill");
    // Gentle and patient: this machine may be building something as well.
    drill.load.rate_per_s = 60;
    drill.abort.failed_percent_before = 100.0;
    drill.before_s = 3;
    drill.after_s = 30;
    Plan {
        drill,
        repeat: 1,
        seed: 1,
        patience: 100.0,
        folder: folder.to_path_buf(),
        base_port,
        stand: Some(stand),
        keep_lab: false,
        command: String::new(),
    }
}

#[test]
fn a_lost_cloud_is_survived_in_namespaces() {
    let name = "a_lost_cloud_is_survived_in_namespaces";
    standing(name, 44_000, async |base, stand| {
        let folder = tempfile::tempdir().expect("a folder");
        let plan = plan(folder.path(), base, stand);
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
        assert_eq!(report.run.network, NetworkKind::Namespaces);
        let value = |measure: Measure| report.values.get(&measure).copied();
        for measure in [
            Measure::MissingUnexplained,
            Measure::Duplicated,
            Measure::EpochViolations,
        ] {
            assert_eq!(value(measure), Some(0.0), "{}", measure.name());
        }
        assert_eq!(value(Measure::ReturnedFenced), Some(1.0));
        assert!(
            value(Measure::NewEpochWrites) >= Some(1.0),
            "the survivor took no write"
        );
    });
}
