//! Every dependency is used: its name stands in a source of the crate that asks for it.
//!
//! A word search, not a build: it can overlook an unused dependency whose name is also an
//! ordinary word of the code, and never blames one that is used.

use super::{Finding, Package};
use crate::tree::File;

/// Dependencies that no source names, with the reason why they stay.
const KEPT: &[(&str, &str)] = &[];

pub(super) fn check(packages: &[Package], files: &[File]) -> Vec<Finding> {
    packages
        .iter()
        .flat_map(|package| unused(package, files))
        .collect()
}

fn unused(package: &Package, files: &[File]) -> Vec<Finding> {
    let prefix = format!("{}/", package.folder);
    let own = |file: &&File| file.is_rust() && file.path.starts_with(&prefix);
    let sources: Vec<&File> = files.iter().filter(own).collect();
    let used = |alias: &str| sources.iter().any(|file| names(&file.text, alias));
    let kept = |name: &str| KEPT.iter().any(|(kept, _)| *kept == name);
    let idle = package
        .dependencies
        .iter()
        .filter(|found| !used(&found.alias) && !kept(&found.name));
    idle.map(|found| {
        let kind = if found.for_tests {
            "dev-dependency"
        } else {
            "dependency"
        };
        let problem = format!(
            "no source of {} names the {kind} `{}`",
            package.name, found.name
        );
        Finding::new(format!("{prefix}Cargo.toml"), problem, "delete its line")
    })
    .collect()
}

/// Whether `text` has `word` as a whole identifier.
fn names(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Dependency;

    fn package(dependencies: &[&str]) -> Package {
        let dependency = |name: &&str| Dependency {
            name: name.to_string(),
            alias: name.replace('-', "_"),
            internal: false,
            for_tests: false,
        };
        let dependencies = dependencies.iter().map(dependency).collect();
        Package {
            name: "one".to_string(),
            folder: "crates/one".to_string(),
            dependencies,
        }
    }

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_string(),
            text: text.to_string(),
        }
    }

    #[test]
    fn a_dependency_that_no_source_names_is_found() {
        let files = [
            file(
                "crates/one/src/lib.rs",
                "use tokio_util::sync; let serde_jsonx = 1;",
            ),
            file("crates/two/src/lib.rs", "use serde_json::Value;"),
            file("crates/one/README.md", "serde_json"),
        ];
        let found = check(&[package(&["tokio-util", "serde_json", "tokio"])], &files);
        let problems: Vec<&str> = found
            .iter()
            .map(|finding| finding.problem.as_str())
            .collect();
        assert_eq!(
            problems,
            [
                "no source of one names the dependency `serde_json`",
                "no source of one names the dependency `tokio`"
            ]
        );
    }
}
