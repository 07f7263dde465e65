//! One installation that a driver builds and takes away, killed at random points on the way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tandem_infra::phases::Direction;
use tandem_infra::phases::journal::{Event, Journal};

use crate::driver;

pub(crate) const SECRETS: [(&str, &str); 3] = [
    ("TF_VAR_rds_master_password", "Xq7-sentinel-rds-password"),
    ("TF_VAR_cloud_sql_user_password", "Xq7-sentinel-cloud-sql"),
    ("TF_VAR_cloudflare_api_token", "Xq7-sentinel-cloudflare"),
];

/// Kills of each direction; twenty in all.
pub(crate) const KILLS: usize = 10;
/// Starts of each direction at most; a kill misses a run that has ended before.
const TRIES_MAX: usize = 4 * KILLS;
/// A run that takes longer hangs: the whole estate takes minutes.
pub(crate) const RUN_MAX: Duration = Duration::from_secs(1_800);

/// The driver's life when this binary is started by a test; nothing otherwise.
pub(crate) fn live_as_driver() {
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

/// How often each thing was made, changed and taken away.
pub(crate) type Deeds = BTreeMap<String, usize>;

/// A tree of roots in a folder of its own.
pub(crate) struct World {
    folder: tempfile::TempDir,
    /// From the folder.
    roots: Vec<String>,
    /// What its processes need beside the secrets.
    environment: Vec<(&'static str, String)>,
    deeds: Box<dyn Fn(&Path) -> Deeds>,
    output: RefCell<String>,
}

impl World {
    pub(crate) fn new(
        folder: tempfile::TempDir,
        roots: Vec<String>,
        environment: Vec<(&'static str, String)>,
        deeds: impl Fn(&Path) -> Deeds + 'static,
    ) -> Self {
        Self {
            folder,
            roots,
            environment,
            deeds: Box::new(deeds),
            output: RefCell::default(),
        }
    }

    pub(crate) fn deeds(&self) -> Deeds {
        (self.deeds)(self.folder.path())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&self, direction: &str, extra: &[(&str, &str)]) -> Child {
        let said = fs::File::create(self.path("said")).unwrap();
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "driver_process", "--nocapture"])
            .env("DRIVER_FOLDER", self.folder.path())
            .env("DRIVER_DIRECTION", direction)
            .env("WORLD", self.path("world"))
            .envs(SECRETS)
            .envs(self.environment.iter().cloned())
            .envs(extra.iter().copied())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap()
    }

    /// What the last driver printed.
    pub(crate) fn said(&self) -> String {
        let said = fs::read_to_string(self.path("said")).unwrap_or_default();
        self.output.borrow_mut().push_str(&said);
        said
    }

    #[track_caller]
    pub(crate) fn runs(&self, direction: &str, extra: &[(&str, &str)]) -> String {
        let status = ended(self.start(direction, extra), RUN_MAX);
        let said = self.said();
        assert!(
            status.success() && said.contains("all done"),
            "{status}: {said}"
        );
        said
    }

    /// Starts, kills after `delay`; false if the run had ended before.
    pub(crate) fn killed(&self, direction: &str, delay: Duration) -> bool {
        let status = ended(self.start(direction, &[]), delay);
        let said = self.said();
        assert!(status.signal().is_some() || status.success(), "{said}");
        status.signal().is_some()
    }

    /// Outputs and addresses of all roots while they stand, as Terraform tells them.
    pub(crate) fn end_state(&self) -> String {
        let mut all = String::new();
        for root in &self.roots {
            let listed = self.told(root, &["state", "list"]);
            let outputs = self.told(root, &["output"]);
            assert!(listed.contains('.'), "{root} has no resources: {listed}");
            assert!(outputs.contains(" = "), "{root} has no outputs: {outputs}");
            all.push_str(&(listed + &outputs));
            let wires = self.path(root).join("tandem.auto.tfvars.json");
            all.push_str(&fs::read_to_string(wires).unwrap_or_default());
        }
        all
    }

    fn told(&self, root: &str, arguments: &[&str]) -> String {
        let terraform = std::env::var("TERRAFORM").unwrap_or_else(|_| "terraform".to_owned());
        let mut command = Command::new(terraform);
        command.current_dir(self.path(root)).args(arguments);
        command.envs(self.environment.iter().cloned());
        let output = command.output().expect("terraform runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{root}: {arguments:?} failed: {said}"
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Everything that is kept or was shown, for the search of secrets.
    pub(crate) fn kept(&self) -> String {
        let mut all = self.output.borrow().clone();
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

/// How a run ended, by itself or killed after `limit`.
pub(crate) fn ended(mut child: Child, limit: Duration) -> ExitStatus {
    let until = Instant::now() + limit;
    while Instant::now() < until && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    child.wait().unwrap()
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

/// Kills a direction ten times at random points, then lets it end.
fn kill_and_resume(world: &World, direction: &str, whole: Duration, chance: &mut Chance) {
    // Long enough to get on, short enough that ten find it still at work on a machine that is twice
    // as quick as in the calm run.
    let (mut kills, mut tries, mut longest) = (0, 0, whole / 12);
    while kills < KILLS && tries < TRIES_MAX {
        tries += 1;
        if world.killed(direction, chance.below(longest)) {
            kills += 1;
        } else {
            // It had ended: less is left to do than the calm run had.
            longest /= 2;
        }
    }
    world.runs(direction, &[]);
    println!("{direction}: {kills} kills of {tries} hit");
    assert_eq!(kills, KILLS, "kills that hit in {tries} tries");
}

/// Builds and takes away `calm` in one go and `killed` with twenty kills: both end the same, do the
/// same, and show no secret.
pub(crate) fn twenty_kills_change_nothing(calm: &World, killed: &World) {
    let since = Instant::now();
    calm.runs("apply", &[]);
    let up_takes = since.elapsed();
    let (expected, up) = (calm.end_state(), calm.deeds());
    let since = Instant::now();
    calm.runs("destroy", &[]);
    let down_takes = since.elapsed();
    let down = calm.deeds();
    calm.runs("destroy", &[]);
    assert_eq!(calm.deeds(), down, "what is gone is not made again");

    let seed = 0x5EED_0006;
    println!("seed {seed:#x}, a calm apply took {up_takes:?}, a destroy {down_takes:?}");
    let mut chance = Chance(seed);
    let stop = AtomicBool::new(false);
    let folder = killed.path("");
    let mut shown = String::new();
    std::thread::scope(|scope| {
        // A failed assertion must end the watcher too, or the scope would wait for ever.
        let ending = Ending(&stop);
        let watcher = scope.spawn(|| watch_processes(&stop, &folder));
        kill_and_resume(killed, "apply", up_takes, &mut chance);
        // Searched for secrets too: both are empty once all is taken away.
        shown = killed.end_state();
        assert_eq!(shown, expected);
        assert_eq!(killed.deeds(), up, "made as often as without kills");
        kill_and_resume(killed, "destroy", down_takes, &mut chance);
        assert_eq!(killed.deeds(), down, "taken away as often as without kills");
        drop(ending);
        let seen = watcher.join().unwrap();
        assert!(seen.is_empty(), "secrets in the process list: {seen:?}");
    });
    no_step_is_done_twice(killed);
    let (kept, secrets) = (killed.kept(), killed.secrets());
    assert_eq!(secrets.len(), SECRETS.len() + 2, "all are looked for");
    for secret in secrets {
        assert!(!kept.contains(&secret), "a secret is kept");
        assert!(!shown.contains(&secret), "a secret is shown");
    }
}

/// What was killed was resumed, never given up for a run that begins anew.
fn no_step_is_done_twice(world: &World) {
    let journal = Journal::open(&world.path(".tandem/journal.jsonl")).unwrap();
    let (mut done, mut finished) = (BTreeMap::new(), 0);
    for entry in journal.entries() {
        match &entry.event {
            Event::Done { step, .. } => *done.entry((entry.run, *step)).or_insert(0) += 1,
            Event::Finished => finished += 1,
            _ => {}
        }
    }
    let runs = journal.last_run().unwrap().number;
    assert!(runs >= 2, "one run up, one down at least");
    assert_eq!(finished, runs, "every run was ended");
    assert!(
        done.len() > 20 && done.values().all(|times| *times == 1),
        "{done:?}"
    );
}
