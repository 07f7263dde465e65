//! The offline commands as a person or a pipeline calls them: exit codes, and
//! data on stdout only.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests stop the test, as the tests do"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tandem-infra/tests/fixtures")
        .join(name)
}

/// Runs `tandem` in a folder without files of its own.
fn tandem(words: &[&str], installation: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(words).current_dir(env!("CARGO_TARGET_TMPDIR"));
    if let Some(name) = installation {
        command
            .arg("--infra")
            .arg(fixture(name))
            .args(["--today", "2026-11-22"]);
    }
    command.output().unwrap()
}

#[track_caller]
fn ends(words: &[&str], installation: Option<&str>, code: i32) -> String {
    let output = tandem(words, installation);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn check_says_by_its_exit_code_how_bad_it_is() {
    ends(&["check"], Some("guide"), 1);
    ends(&["check"], Some("corrected"), 0);
    let warned = ends(
        &["check", "--assume", "cloudflare_plan=enterprise"],
        Some("corrected"),
        0,
    );
    assert!(warned.contains("0 errors, 0 warnings"), "{warned}");
    let json = ends(&["check", "-o", "json"], Some("guide"), 1);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "tandem.check.v1");
}

#[test]
fn cost_fails_over_the_budget_with_its_own_code() {
    let settled = "eks_support=standard,gke_nodes=total";
    let words = |budget| ["cost", "--assume", settled, "--fail-over-budget", budget];
    let table = ends(&words("6606.72"), Some("guide"), 0);
    assert!(table.contains("6,606.72"), "{table}");
    ends(&words("6606.71"), Some("guide"), 7);
    for format in ["json", "csv", "html", "markdown"] {
        let text = ends(&["cost", "-o", format], Some("guide"), 0);
        assert!(text.contains("EKS"), "{format}: {text}");
    }
    ends(&["cost", "explain", "gke-nodes"], Some("guide"), 0);
    ends(&["cost", "savings"], Some("guide"), 0);
}

#[test]
fn wrong_questions_are_answered_with_the_way_out() {
    let nowhere = tandem(&["check", "--infra", "nowhere"], None);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("--infra DIR"));
    let misspelt = tandem(&["check", "explain", "detect-worstcase"], None);
    assert!(String::from_utf8_lossy(&misspelt.stderr).contains("`detect-worst-case`"));
    let rate = tandem(&["cost", "--krw", "1300"], Some("guide"));
    assert!(String::from_utf8_lossy(&rate.stderr).contains("RATE@YYYY-MM-DD"));
    let assumed = tandem(&["cost", "--assume", "gke_nodes=both"], Some("guide"));
    assert!(String::from_utf8_lossy(&assumed.stderr).contains("per_zone, total"));
}

#[test]
fn slo_repeats_with_the_same_seed() {
    let words = ["slo", "simulate", "--years", "1000", "--seed", "7"];
    assert_eq!(ends(&words, None, 0), ends(&words, None, 0));
    assert!(ends(&["slo", "budget"], None, 0).contains("52.56 min"));
    assert!(ends(&["slo", "composite"], None, 0).contains("99.979"));
}
