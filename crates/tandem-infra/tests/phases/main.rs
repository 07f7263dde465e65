//! Whole applies and destroys with the real Terraform, killed and resumed.
//!
//! The roots make nothing but lines in a world file, one when a resource is
//! made and one when it is taken away: what was done twice stands there twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests stop the test, as the tests do"
)]

mod driver;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tandem_infra::phases::Direction;
use tandem_infra::phases::journal::{Event, Journal};

const SECRETS: [(&str, &str); 3] = [
    ("TF_VAR_rds_master_password", "Xq7-sentinel-rds-password"),
    ("TF_VAR_cloud_sql_user_password", "Xq7-sentinel-cloud-sql"),
    ("TF_VAR_cloudflare_api_token", "Xq7-sentinel-cloudflare"),
];

/// Kills of each direction; twenty in all.
const KILLS: usize = 10;

/// The driver's life when this binary is started by a test; nothing otherwise.
#[test]
fn driver_process() {
    let Ok(folder) = std::env::var("DRIVER_FOLDER") else {
        return;
    };
    let direction = match std::env::var("DRIVER_DIRECTION").as_deref() {
        Ok("destroy") => Direction::Destroy,
        _ => Direction::Apply,
    };
    if let Err(stop) = driver::run(Path::new(&folder), direction) {
        println!("stopped: {stop}");
        std::process::exit(i32::from(stop.kind.exit_code()));
    }
    println!("all done");
}

/// A copy of the fixture roots with a world of its own.
struct World {
    folder: tempfile::TempDir,
    output: std::cell::RefCell<String>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/phases");
        for root in ["aws/dr", "gcp/dr", "global/cloudflare-lb"] {
            let to = folder.path().join(root);
            fs::create_dir_all(&to).unwrap();
            fs::copy(from.join(root).join("main.tf"), to.join("main.tf")).unwrap();
        }
        let settings = "tandem-check.toml";
        fs::copy(from.join(settings), folder.path().join(settings)).unwrap();
        Self {
            folder,
            output: std::cell::RefCell::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, direction: &str, extra: &[(&str, &str)]) -> Child {
        let said = fs::File::create(self.path("said")).unwrap();
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "driver_process", "--nocapture"])
            .env("DRIVER_FOLDER", self.folder.path())
            .env("DRIVER_DIRECTION", direction)
            .env("WORLD", self.path("world"))
            .envs(SECRETS)
            .envs(extra.iter().copied())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap()
    }

    /// What the last driver printed.
    fn said(&self) -> String {
        let said = fs::read_to_string(self.path("said")).unwrap_or_default();
        self.output.borrow_mut().push_str(&said);
        said
    }

    #[track_caller]
    fn runs(&self, direction: &str, extra: &[(&str, &str)]) -> String {
        let status = self.start(direction, extra).wait().unwrap();
        let said = self.said();
        assert!(
            status.success() && said.contains("all done"),
            "{status}: {said}"
        );
        said
    }

    /// Starts, kills after `delay`; false if the run had ended before.
    fn killed(&self, direction: &str, delay: Duration) -> bool {
        let mut child = self.start(direction, &[]);
        let until = Instant::now() + delay;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let status = child.wait().unwrap();
        let said = self.said();
        assert!(status.signal().is_some() || status.success(), "{said}");
        status.signal().is_some()
    }

    /// How often each line stands in the world.
    fn lines(&self) -> BTreeMap<String, usize> {
        let mut lines = BTreeMap::new();
        for line in fs::read_to_string(self.path("world"))
            .unwrap_or_default()
            .lines()
        {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
        lines
    }

    /// Outputs and addresses of all roots, as Terraform tells them.
    fn end_state(&self) -> String {
        let terraform = std::env::var("TERRAFORM").unwrap_or_else(|_| "terraform".to_owned());
        let mut all = String::new();
        for root in ["aws/dr", "gcp/dr", "global/cloudflare-lb"] {
            for arguments in [&["state", "list"][..], &["output"]] {
                let mut command = Command::new(&terraform);
                command.current_dir(self.path(root)).args(arguments);
                let output = command.output().expect("terraform runs");
                all.push_str(&String::from_utf8_lossy(&output.stdout));
            }
            let wires = self.path(root).join("tandem.auto.tfvars.json");
            all.push_str(&fs::read_to_string(wires).unwrap_or_default());
        }
        all
    }

    /// Everything that is kept or shown, for the search of secrets.
    fn kept(&self) -> String {
        let mut all = self.output.borrow().clone() + &self.end_state();
        let mut open = vec![self.path(".tandem")];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else {
                    all.push_str(&entry.path().display().to_string());
                    all.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap()));
                }
            }
        }
        all
    }

    fn secrets(&self) -> Vec<String> {
        let given = SECRETS.iter().map(|(_, secret)| (*secret).to_owned());
        let keys = (1..=2).filter_map(|tunnel| {
            let path = tandem_infra::keys::file_of(&self.path("keys"), tunnel);
            Some(fs::read_to_string(path).ok()?.trim().to_owned())
        });
        given.chain(keys).collect()
    }
}

/// Looks at the process list until told to stop; returns secrets that it saw.
fn watch_processes(stop: &AtomicBool, folder: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let keys = (1..=2).filter_map(|tunnel| {
            let path = tandem_infra::keys::file_of(&folder.join("keys"), tunnel);
            Some(fs::read_to_string(path).ok()?.trim().to_owned())
        });
        let secrets: Vec<String> = keys
            .chain(SECRETS.iter().map(|(_, secret)| (*secret).to_owned()))
            .collect();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(line) = fs::read(entry.path().join("cmdline")) else {
                continue;
            };
            let line = String::from_utf8_lossy(&line).into_owned();
            if secrets.iter().any(|secret| line.contains(secret.as_str())) {
                seen.push(line);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    seen
}

/// A small generator, so that a failing run can be repeated by its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        bound * u32::try_from(self.0 % 1_000).unwrap() / 1_000
    }
}

/// Says that it is over when it is dropped.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Kills a direction at random points, then lets it end.
fn kill_and_resume(world: &World, direction: &str, whole: Duration, chance: &mut Chance) -> usize {
    let mut kills = 0;
    for _ in 0..KILLS {
        // Long enough to get on, short enough that most of ten find it still at work.
        let hit = world.killed(direction, chance.below(whole / 6));
        kills += usize::from(hit);
    }
    world.runs(direction, &[]);
    kills
}

#[test]
fn twenty_kills_change_nothing_about_the_end() {
    let calm = World::new();
    let since = Instant::now();
    calm.runs("apply", &[]);
    let whole = since.elapsed();
    let expected = calm.end_state();
    let up = calm.lines();
    assert!(up.values().all(|times| *times == 1), "{up:?}");

    let seed = 0x5EED_0006;
    println!("seed {seed:#x}, a calm apply took {whole:?}");
    let mut chance = Chance(seed);
    let world = World::new();
    let stop = AtomicBool::new(false);
    let folder = world.path("");
    std::thread::scope(|scope| {
        // A failed assertion must end the watcher too, or the scope would wait for ever.
        let ending = Ending(&stop);
        let watcher = scope.spawn(|| watch_processes(&stop, &folder));
        let kills = kill_and_resume(&world, "apply", whole, &mut chance);
        assert_eq!(world.end_state(), expected);
        assert_eq!(world.lines(), up, "made once each");
        assert!(kills >= KILLS / 2, "{kills} kills hit");
        let kills = kill_and_resume(&world, "destroy", whole, &mut chance);
        assert!(kills >= KILLS / 2, "{kills} kills hit");
        let down = world.lines();
        assert!(down.values().all(|times| *times == 1), "{down:?}");
        assert_eq!(down.len(), 2 * up.len(), "taken away once each: {down:?}");
        drop(ending);
        let seen = watcher.join().unwrap();
        assert!(seen.is_empty(), "secrets in the process list: {seen:?}");
    });
    no_step_is_done_twice(&world);
    let kept = world.kept();
    for secret in world.secrets() {
        assert!(!kept.contains(&secret), "a secret is kept or shown");
    }
}

fn no_step_is_done_twice(world: &World) {
    let journal = Journal::open(&world.path(".tandem/journal.jsonl")).unwrap();
    let mut done = BTreeMap::new();
    for entry in journal.entries() {
        if let Event::Done { step, .. } = &entry.event {
            *done.entry((entry.run, *step)).or_insert(0) += 1;
        }
    }
    assert_eq!(
        journal.last_run().unwrap().number,
        2,
        "one run up, one down"
    );
    assert!(
        done.len() > 20 && done.values().all(|times| *times == 1),
        "{done:?}"
    );
}

#[test]
fn both_clouds_at_once_end_the_same() {
    let world = World::new();
    let said = world.runs("apply", &[("SIDE_BY_SIDE", "1")]);
    assert!(
        said.contains("== aws/terraform-aws\n== gcp/terraform-gcp"),
        "{said}"
    );
    let again = world.runs("apply", &[]);
    assert!(!again.contains("to add"), "{again}");
    assert!(world.lines().values().all(|times| *times == 1));
}

#[test]
fn a_failure_stops_with_its_fix_and_without_the_secret() {
    let world = World::new();
    let short = [("TF_VAR_rds_master_password", "Xq7-bad")];
    let status = world.start("apply", &short).wait().unwrap();
    let said = world.said();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("rds_master_password needs 8 characters"),
        "{said}"
    );
    assert!(said.contains("fix: put right what it says"), "{said}");
    assert!(!world.kept().contains("Xq7-bad"));
    // Put right, it goes on and does not make the keys again.
    let said = world.runs("apply", &[]);
    assert!(!said.contains("== prepare/keys"), "{said}");
}

#[test]
fn everything_that_is_missing_is_told_before_anything_is_made() {
    let world = World::new();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "driver_process", "--nocapture"]);
    child.env("DRIVER_FOLDER", world.path(""));
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    for name in [
        "rds_master_password",
        "cloud_sql_user_password",
        "cloudflare_api_token",
    ] {
        assert!(said.contains(&format!("({name})")), "{said}");
    }
    assert!(!world.path("world").exists() && !world.path("aws/dr/.terraform").exists());
}
