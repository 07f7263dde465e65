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
mod world;

use std::fs;
use std::path::Path;
use std::process::Command;

use world::{Deeds, World};

#[test]
fn driver_process() {
    world::live_as_driver();
}

/// A copy of the fixture roots, with a file for what they do.
fn fixture() -> World {
    let roots = ["aws/dr", "gcp/dr", "global/cloudflare-lb"];
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/phases");
    for root in roots {
        let to = folder.path().join(root);
        fs::create_dir_all(&to).unwrap();
        fs::copy(from.join(root).join("main.tf"), to.join("main.tf")).unwrap();
    }
    let settings = "tandem-check.toml";
    fs::copy(from.join(settings), folder.path().join(settings)).unwrap();
    World::new(folder, roots.map(str::to_owned).to_vec(), vec![], lines)
}

/// How often each line stands in the world.
fn lines(folder: &Path) -> Deeds {
    let mut lines = Deeds::new();
    let text = fs::read_to_string(folder.join("world")).unwrap_or_default();
    for line in text.lines() {
        *lines.entry(line.to_owned()).or_default() += 1;
    }
    lines
}

#[test]
fn twenty_kills_change_nothing_about_the_end() {
    let (calm, killed) = (fixture(), fixture());
    world::twenty_kills_change_nothing(&calm, &killed);
    let done = killed.deeds();
    assert!(done.values().all(|times| *times == 1), "{done:?}");
    let made = done.keys().filter(|line| line.starts_with("created"));
    assert_eq!(
        made.count() * 2,
        done.len(),
        "what was made is gone: {done:?}"
    );
}

#[test]
fn both_clouds_at_once_end_the_same() {
    let world = fixture();
    let said = world.runs("apply", &[("SIDE_BY_SIDE", "1")]);
    assert!(
        said.contains("== aws/terraform-aws\n== gcp/terraform-gcp"),
        "{said}"
    );
    let again = world.runs("apply", &[]);
    assert!(!again.contains("to add"), "{again}");
    assert!(world.deeds().values().all(|times| *times == 1));
}

#[test]
fn a_failure_stops_with_its_fix_and_without_the_secret() {
    let world = fixture();
    let short = [("TF_VAR_rds_master_password", "Xq7-bad")];
    let status = world::ended(world.start("apply", &short), world::RUN_MAX);
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
    let world = fixture();
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
