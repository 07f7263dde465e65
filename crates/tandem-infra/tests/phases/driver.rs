//! The driver as a process of its own, with doubles where the clouds would be:
//! the test starts this binary again and kills it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tandem_infra::check::suppress::Settings;
use tandem_infra::cloud::{Answer, Cloud, Names, Question};
use tandem_infra::estate::Estate;
use tandem_infra::keys;
use tandem_infra::phases::facts::Given;
use tandem_infra::phases::journal::Journal;
use tandem_infra::phases::lock::{FileLock, RunLock};
use tandem_infra::phases::replication::{Ends, ReplicationPhase};
use tandem_infra::phases::run::{Asked, Driver, Person};
use tandem_infra::phases::step::Goal;
use tandem_infra::phases::terraform::{self, Terraform};
use tandem_infra::phases::tree::Tree;
use tandem_infra::phases::{Direction, Phase, Stop};
use tandem_infra::secret::Secrets;

/// Says yes to everything, and prints what it is told.
struct Agreeable;

impl Person for Agreeable {
    fn tell(&self, line: &str) {
        println!("{line}");
    }

    fn agrees(&self, asked: &Asked<'_>) -> bool {
        let Asked::Apply { shown, .. } = asked;
        println!("{shown}");
        true
    }
}

/// Every cloud is in best health.
struct Healthy;

impl Cloud for Healthy {
    fn ask(&self, question: Question, _: &Names) -> Answer {
        Answer::proven(format!("{question:?} answered"))
    }
}

/// Replication that only tells the world of itself. Like the real one it looks
/// before it acts, and is quick where nothing is left to do.
struct Told(PathBuf);

impl Told {
    fn act(&self, verb: &str, undone: &str) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let last = text.lines().rfind(|line| line.contains(" replication "));
        let there = last.is_some_and(|line| line.starts_with(verb));
        if !there && (verb == "created" || last.is_some_and(|line| line.starts_with(undone))) {
            std::thread::sleep(Duration::from_millis(300));
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&self.0)
                .unwrap();
            writeln!(file, "{verb} replication crm_subscription").unwrap();
        }
        vec![format!("{verb} crm_subscription")]
    }
}

impl ReplicationPhase for Told {
    fn set_up(&self, ends: &Ends) -> Result<Vec<String>, Stop> {
        assert_eq!(ends.cloud_sql_host, "10.23.0.3");
        Ok(self.act("created", "removed"))
    }

    fn take_away(&self, _: &Ends) -> Result<Vec<String>, Stop> {
        Ok(self.act("removed", "created"))
    }

    fn flows(&self, _: &Ends) -> Answer {
        Answer::proven("a row came through")
    }

    fn is_watched(&self, _: &Ends) -> Answer {
        Answer::proven("lag 0.8 s on both sides")
    }
}

/// One whole run in `folder`.
pub(crate) fn run(folder: &Path, direction: Direction) -> Result<(), Stop> {
    let tree = Tree::open(folder)?;
    let keys_folder = folder.join("keys");
    if direction == Direction::Apply {
        keys::ensure(&keys_folder, 2)?;
    }
    let lock = RunLock::take(&tree.run_lock(), &|line| println!("{line}"))?;
    let mut secrets = Secrets::from_environment(std::env::vars());
    for (name, key) in keys::as_variables(&keys_folder)?.iter() {
        secrets.insert(name, key.clone());
    }
    terraform::tidy(&tree, &secrets.redactor());
    let mut journal = Journal::open(&tree.journal())?;
    let say = |root: tandem_infra::phases::Root, line: &str| println!("{}: {line}", root.word());
    let terraform = Terraform {
        command: std::env::var("TERRAFORM").unwrap_or_else(|_| "terraform".to_owned()),
        tree: &tree,
        secrets: &secrets,
        lock: &lock,
        run: journal.last_run().map_or(1, |run| run.number),
        say: &say,
    };
    let today = jiff::civil::date(2026, 11, 22);
    let settings = Settings::read(&folder.join("tandem-check.toml"))?;
    let estate = Estate::read(folder, None, settings, today)?;
    let driver = Driver {
        terraform: &terraform,
        person: &Agreeable,
        cloud: &Healthy,
        replication: &Told(folder.join("world")),
        apply_lock: &FileLock::new(tree.own()),
        estate: &estate,
        given: Given::default(),
        keys: &keys_folder,
        side_by_side: std::env::var_os("SIDE_BY_SIDE").is_some(),
    };
    let goal = Goal {
        direction,
        phases: Phase::ALL.to_vec(),
    };
    driver.run(&mut journal, &goal)
}
