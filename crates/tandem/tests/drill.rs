//! `tandem drill` as people type it, as far as it needs no lab.
#![cfg(feature = "runtime")]

use std::process::{Command, Output};

fn tandem(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(args).output().expect("tandem runs")
}

#[test]
fn bad_input_ends_with_two_and_says_what_would_be_good() {
    let check = |args: &[&str], told: &str| {
        let output = tandem(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(told), "{args:?}: {said}");
    };
    check(&["drill", "run", "aws-outag"], "aws-outage");
    check(
        &["drill", "run", "normal", "--after-s", "0"],
        "after_s: write 1 to",
    );
    check(
        &["drill", "run", "rolling-restart", "--after-s", "3"],
        "lies after the end of the load",
    );
    check(
        &["drill", "run", "normal", "--patience", "0.5"],
        "write 1 or more",
    );
}

#[test]
fn the_list_reads_as_json() {
    let output = tandem(&["drill", "list", "-o", "json"]);
    assert!(output.status.success());
    let drills: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(drills.iter().any(|drill| drill["id"] == "aws-outage"));
}
