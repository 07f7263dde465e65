//! Generated reference pages: the code is the source, the page a print of it.
//!
//! A new page is one more row in [`PAGES`] with a function that renders it; writing, comparing
//! and the test come by themselves.

mod config;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

/// One generated page.
struct Page {
    /// From the root.
    path: &'static str,
    render: fn() -> String,
}

const PAGES: &[Page] = &[
    Page {
        path: "docs/reference/config.md",
        render: config::render,
    },
    Page {
        path: "docs/reference/checks.md",
        render: tandem_infra::docs::checks_markdown,
    },
];

/// Writes every page that is not up to date.
pub(crate) fn write(root: &Path) -> anyhow::Result<ExitCode> {
    for page in stale(root) {
        let path = root.join(page.path);
        fs::write(&path, (page.render)())
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", page.path);
    }
    Ok(ExitCode::SUCCESS)
}

/// Names every page that is not up to date.
pub(crate) fn check(root: &Path) -> anyhow::Result<ExitCode> {
    let stale: Vec<&Page> = stale(root).collect();
    for page in &stale {
        println!(
            "{}: not what the code says\n    remedy: cargo run -p xtask -- docs",
            page.path
        );
    }
    Ok(if stale.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn stale(root: &Path) -> impl Iterator<Item = &'static Page> {
    PAGES.iter().filter(|page| {
        let present = fs::read_to_string(root.join(page.path));
        !present.is_ok_and(|text| text == (page.render)())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_what_the_code_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask stands in the root");
        let stale: Vec<&str> = stale(root).map(|page| page.path).collect();
        assert!(
            stale.is_empty(),
            "{stale:?} differ; write them with: cargo run -p xtask -- docs"
        );
    }
}
