//! Rules that no compiler checks. Each finding says where, what, and the remedy.
//!
//! A rule is a pure function from texts to findings, so that its tests need no repository.

mod arrows;
mod dependencies;
mod sizes;
mod words;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use cargo_metadata::{DependencyKind, MetadataCommand};

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

fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let folder = |manifest: &cargo_metadata::camino::Utf8Path| {
        let folder = manifest.parent().unwrap_or(manifest);
        folder
            .strip_prefix(&metadata.workspace_root)
            .unwrap_or(folder)
            .to_string()
    };
    let dependency = |found: &cargo_metadata::Dependency| Dependency {
        name: found.name.clone(),
        alias: found
            .rename
            .as_ref()
            .unwrap_or(&found.name)
            .replace('-', "_"),
        internal: found.path.is_some(),
        for_tests: found.kind == DependencyKind::Development,
    };
    let package = |found: &cargo_metadata::Package| Package {
        name: found.name.to_string(),
        folder: folder(&found.manifest_path),
        dependencies: found.dependencies.iter().map(dependency).collect(),
    };
    Ok(metadata.packages.iter().map(package).collect())
}
