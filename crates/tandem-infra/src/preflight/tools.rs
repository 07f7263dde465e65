//! The tools on this machine and their versions.

use std::process::Command;

use super::{Fault, Report};

/// The oldest Terraform whose language the modules use, and the oldest OpenTofu.
const OLDEST: (u32, u32) = (1, 5);

/// Adds a fault for each tool that is missing or too old.
pub(super) fn check(terraform: &str, others: &[&str], report: &mut Report) {
    let fix =
        "install Terraform >= 1.5 or OpenTofu >= 1.6, or name it with --terraform or TERRAFORM";
    match version(terraform) {
        None => report
            .faults
            .push(Fault::new(terraform, "cannot be run", fix)),
        Some(found) if found < OLDEST => {
            let problem = format!("version {}.{} is too old", found.0, found.1);
            report.faults.push(Fault::new(terraform, problem, fix));
        }
        Some((major, minor)) => report.proven.push(format!("{terraform} {major}.{minor}")),
    }
    for tool in others {
        let ran = Command::new(tool).arg("--version").output();
        if !ran.is_ok_and(|output| output.status.success()) {
            let fix = format!("install {tool}; every proof asks the cloud through it");
            report.faults.push(Fault::new(*tool, "cannot be run", fix));
        }
    }
}

fn version(terraform: &str) -> Option<(u32, u32)> {
    let output = Command::new(terraform)
        .args(["version", "-json"])
        .env("CHECKPOINT_DISABLE", "1")
        .output();
    let json: serde_json::Value = serde_json::from_slice(&output.ok()?.stdout).ok()?;
    parse(json.get("terraform_version")?.as_str()?)
}

fn parse(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
