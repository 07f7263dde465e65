//! The arrows between the crates are those that ARCHITECTURE.md draws.
//!
//! The page has one table between two marks; each row names a crate, what it uses, and what only
//! its tests use. A new arrow is thus a decision that somebody reads, not a line in a manifest.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Package};

pub(super) const PAGE_PATH: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- arrows -->";
const END: &str = "<!-- /arrows -->";

#[derive(Debug, Default, PartialEq, Eq)]
struct Arrows {
    uses: BTreeSet<String>,
    tests_use: BTreeSet<String>,
}

pub(super) fn check(packages: &[Package], page: &str) -> Vec<Finding> {
    let Some(mut drawn) = drawn(page) else {
        let problem = format!("there is no table between {BEGIN} and {END}");
        return vec![Finding::new(
            PAGE_PATH,
            problem,
            "put the table of crates between these two marks",
        )];
    };
    let mut findings = Vec::new();
    for package in packages {
        let real = real(package);
        match drawn.remove(&package.name) {
            Some(arrows) if arrows == real => {}
            Some(_) => findings.push(Finding::new(
                PAGE_PATH,
                format!(
                    "the arrows of `{}` differ from its Cargo.toml",
                    package.name
                ),
                format!(
                    "remove the dependency, or draw what it is: {}",
                    row(&package.name, &real)
                ),
            )),
            None => findings.push(Finding::new(
                PAGE_PATH,
                format!("the table has no row for `{}`", package.name),
                format!("add: {}", row(&package.name, &real)),
            )),
        }
    }
    let gone = drawn.into_keys().map(|name| {
        Finding::new(
            PAGE_PATH,
            format!("`{name}` is no crate of the workspace"),
            "delete its row of the table",
        )
    });
    findings.extend(gone);
    findings
}

fn real(package: &Package) -> Arrows {
    let mut arrows = Arrows::default();
    for found in package.dependencies.iter().filter(|found| found.internal) {
        let side = if found.for_tests {
            &mut arrows.tests_use
        } else {
            &mut arrows.uses
        };
        side.insert(found.name.clone());
    }
    arrows
}

fn row(name: &str, arrows: &Arrows) -> String {
    format!(
        "| `{name}` | {} | {} |",
        cell(&arrows.uses),
        cell(&arrows.tests_use)
    )
}

fn cell(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "-".to_string();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The rows of the table; `None` without the marks.
fn drawn(page: &str) -> Option<BTreeMap<String, Arrows>> {
    let (_, rest) = page.split_once(BEGIN)?;
    let (table, _) = rest.split_once(END)?;
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    Some(rows.filter_map(parse_row).collect())
}

fn parse_row(line: &str) -> Option<(String, Arrows)> {
    let mut cells = line.trim_matches('|').split('|').map(quoted);
    let name = cells.next()?.into_iter().next()?;
    let (uses, tests_use) = (cells.next()?, cells.next().unwrap_or_default());
    Some((name, Arrows { uses, tests_use }))
}

/// The names in backquotes.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Dependency;

    fn package(name: &str, uses: &[&str], tests_use: &[&str]) -> Package {
        let dependency = |for_tests: bool| {
            move |name: &&str| Dependency {
                name: name.to_string(),
                alias: String::new(),
                internal: true,
                for_tests,
            }
        };
        let tests = tests_use.iter().map(dependency(true));
        let dependencies = uses.iter().map(dependency(false)).chain(tests).collect();
        Package {
            name: name.to_string(),
            folder: String::new(),
            dependencies,
        }
    }

    const PAGE: &str = "text | `no` |\n<!-- arrows -->\n| crate | uses | tests use |\n|---|---|---|\n\
        | `core` | - | - |\n| `gate` | `core` | `lab` |\n<!-- /arrows -->\n| `after` | - | - |\n";

    #[test]
    fn the_drawn_arrows_pass() {
        let packages = [
            package("core", &[], &[]),
            package("gate", &["core"], &["lab"]),
        ];
        assert_eq!(check(&packages, PAGE), []);
    }

    #[test]
    fn a_new_arrow_a_new_crate_and_a_lost_crate_are_found() {
        let packages = [
            package("gate", &["core", "store"], &[]),
            package("edge", &["core"], &[]),
        ];
        let remedies: Vec<String> = check(&packages, PAGE)
            .into_iter()
            .map(|found| found.remedy)
            .collect();
        assert_eq!(
            remedies,
            [
                "remove the dependency, or draw what it is: | `gate` | `core`, `store` | - |",
                "add: | `edge` | `core` | - |",
                "delete its row of the table",
            ]
        );
    }

    #[test]
    fn a_page_without_marks_is_found() {
        assert_eq!(check(&[], "no table").len(), 1);
    }
}
