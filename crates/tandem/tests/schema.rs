//! `tandem schema lint` as a pipeline calls it: exit codes, and data on stdout only.
//! Plans and their steps are tested against real servers in `tandem-postgres`.

#![cfg(feature = "runtime")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests stop the test, as the tests do"
)]

use std::fs;
use std::process::Command;

/// Lints a file of this text in a folder without configuration: exit code and stdout.
fn lint(text: &str, words: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("up.sql"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["schema", "lint", "up.sql"]).args(words);
    let output = command.current_dir(folder.path()).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn the_exit_code_says_how_bad_it_is() {
    for (text, code) in [
        ("ALTER TABLE a ADD COLUMN x int", 0),
        ("ALTER TABLE a ADD COLUMN b bigint REFERENCES b", 0),
        ("TRUNCATE a", 3),
        ("ALTER TABLE a RENAME TO b", 1),
        ("-- tandem: allow truncate in the quiet hour\nTRUNCATE a", 0),
    ] {
        assert_eq!(lint(text, &[]).0, code, "{text}");
    }
    assert_eq!(lint("", &["missing.sql"]).0, 2);
    let concurrent = "CREATE INDEX CONCURRENTLY i ON a (x)";
    assert_eq!(lint(concurrent, &[]).0, 0);
    assert_eq!(lint(concurrent, &["--wrapped"]).0, 1);
}

#[test]
fn a_finding_names_file_line_rule_reason_and_way_out() {
    let text = "\n\nALTER TABLE a RENAME TO b;";
    let (_, table) = lint(text, &[]);
    assert!(table.starts_with("up.sql:3: FAULT rename: "), "{table}");
    let (_, json) = lint(text, &["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "tandem.schema-lint.v1");
    let found = &json["findings"][0];
    assert_eq!(
        (found["line"].as_u64(), found["rule"].as_str()),
        (Some(3), Some("rename"))
    );
    for part in ["why", "fix", "what", "file", "level"] {
        assert!(
            found[part].as_str().is_some_and(|text| !text.is_empty()),
            "{part}"
        );
    }
}
