//! `tandem infra` as a person or a pipeline calls it: exit codes, files, and
//! what is refused before anything is changed. Whole applies are tested in
//! `tandem-infra`.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests stop the test, as the tests do"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The three roots without resources, in a folder of their own.
fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for root in ["aws/dr", "gcp/dr", "global/cloudflare-lb"] {
        fs::create_dir_all(folder.path().join(root)).unwrap();
    }
    let aws = "variable \"cluster_name\" {\n  default = \"crm-dr\"\n}\nvariable \"rds_master_password\" {\n  sensitive = true\n}\n";
    fs::write(folder.path().join("aws/dr/main.tf"), aws).unwrap();
    folder
}

/// Runs and returns the exit code and both streams.
fn infra(folder: &Path, words: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .arg("infra")
        .args(words)
        .args(["--infra", ".", "--keys", "keys"])
        .current_dir(folder)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let both = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(both).unwrap(),
    )
}

#[test]
fn keys_are_made_once_and_kept() {
    let folder = tree();
    let (code, said) = infra(folder.path(), &["keys"], &[]);
    assert_eq!(code, 0, "{said}");
    let path = folder.path().join("keys/vpn_tunnel1_key.txt");
    let key = fs::read_to_string(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (code, said) = infra(folder.path(), &["keys"], &[]);
    assert_eq!((code, fs::read_to_string(&path).unwrap()), (0, key.clone()));
    assert!(
        said.contains("kept") && !said.contains(key.trim()),
        "{said}"
    );
}

#[test]
fn preflight_names_all_faults_at_once_and_changes_nothing() {
    let folder = tree();
    fs::write(
        folder.path().join("aws/dr/terraform.tfvars"),
        "vpc_cidr = \"10.20.0.0/16\"\nenable_vpn = true\nenable_vpn = true\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("gcp/dr/terraform.tfvars"),
        "subnet_ip_cidr_range = \"10.20.0.0/20\"\n",
    )
    .unwrap();
    let (code, said) = infra(folder.path(), &["preflight", "--offline"], &[]);
    assert_eq!(code, 2, "{said}");
    for part in [
        "overlaps",
        "set in line 2 and again",
        "(rds_master_password)",
        "vpn_tunnel2_key.txt",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!folder.path().join("aws/dr/.terraform").exists());
}

#[test]
fn a_phase_without_its_inputs_says_which_phase_gives_them() {
    let folder = tree();
    let (code, said) = infra(folder.path(), &["apply", "--phase", "lb", "--yes"], &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no output alb_dns_name, lb_ip yet"), "{said}");
    assert!(said.contains("tandem infra apply --phase aws"), "{said}");
    let (code, said) = infra(folder.path(), &["apply", "--phase", "nine"], &[]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("prepare, aws, gcp, vpn, replication, lb"),
        "{said}"
    );
}

#[test]
fn the_lock_refuses_an_apply_until_it_is_given_back() {
    let folder = tree();
    let (code, _) = infra(
        folder.path(),
        &["lock", "--by", "kim", "--reason", "audit"],
        &[],
    );
    assert_eq!(code, 0);
    let (code, said) = infra(folder.path(), &["apply", "--phase", "lb", "--yes"], &[]);
    assert_eq!(code, 5, "{said}");
    assert!(
        said.contains("kim") && said.contains("audit") && said.contains("fix:"),
        "{said}"
    );
    let (code, said) = infra(folder.path(), &["unlock"], &[]);
    assert!(code == 0 && said.contains("kim"), "{said}");
    let (code, said) = infra(folder.path(), &["apply", "--phase", "lb", "--yes"], &[]);
    assert_eq!(code, 1, "{said}");
}

#[test]
fn a_folder_without_roots_is_a_wrong_request() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = infra(folder.path(), &["status"], &[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--infra DIR"), "{said}");
}
