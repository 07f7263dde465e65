//! Rules that no compiler checks. Each finding says where, what, and the remedy.
//!
//! A rule is a pure function from texts to findings, so that its tests need no repository.

mod arrows;
mod dependencies;
mod sizes;
mod words;

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::tree::{self, File};

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    place: String,
    problem: String,
    remedy: String,
}

impl Finding {
    fn new(
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}\n    remedy: {}",
            self.place, self.problem, self.remedy
        )
    }
}

/// A crate of the workspace, as far as the rules look at it.
struct Package {
    name: String,
    /// Its folder, from the root.
    folder: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    /// What the sources call it.
    alias: String,
    /// Of another crate of this workspace.
    internal: bool,
    for_tests: bool,
}

/// Runs every rule over the repository and prints what it finds.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let files = tree::files(root)?;
    let packages = packages(root)?;
    let ratchet = sizes::Ratchet::parse(text_of(&files, sizes::RATCHET_PATH)?)?;
    let mut findings = dependencies::check(&packages, &files);
    findings.extend(arrows::check(
        &packages,
        text_of(&files, arrows::PAGE_PATH)?,
    ));
    findings.extend(sizes::check(&files, &ratchet));
    findings.extend(words::check(&files));
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "rules: {} files, {} crates, {} findings",
        files.len(),
        packages.len(),
        findings.len()
    );
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn text_of<'f>(files: &'f [File], path: &str) -> anyhow::Result<&'f str> {
    let file = files.iter().find(|file| file.path == path);
    file.map(|file| file.text.as_str())
        .with_context(|| format!("{path} is missing"))
}

/// The crates, as `cargo metadata` tells them. Its output is read as plain JSON: the library for
/// it would switch on features that nothing else here uses, and so build the world twice.
fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["metadata", "--format-version=1", "--no-deps"]);
    let output = command.output().context("cargo metadata")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        complaint.trim()
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let top = format!("{}/", text(&metadata["workspace_root"]));
    Ok(list(&metadata["packages"])
        .map(|found| package(found, &top))
        .collect())
}

fn package(found: &Value, top: &str) -> Package {
    let manifest = text(&found["manifest_path"]);
    let folder = manifest
        .strip_prefix(top)
        .unwrap_or(manifest)
        .trim_end_matches("/Cargo.toml");
    Package {
        name: text(&found["name"]).to_string(),
        folder: folder.to_string(),
        dependencies: list(&found["dependencies"]).map(dependency).collect(),
    }
}

fn dependency(found: &Value) -> Dependency {
    let name = text(&found["name"]);
    Dependency {
        name: name.to_string(),
        alias: found["rename"].as_str().unwrap_or(name).replace('-', "_"),
        internal: found["path"].is_string(),
        for_tests: text(&found["kind"]) == "dev",
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
