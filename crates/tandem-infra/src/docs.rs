//! Reference pages generated from the tables, so that they cannot drift.

use std::fmt::Write as _;

use crate::assume::{ASSUMPTIONS, Kind};
use crate::check::{RULES, Rule, Topic};

/// The text of `docs/reference/checks.md`.
pub fn checks_markdown() -> String {
    let mut out = String::from(HEAD);
    let mut topic = None;
    for rule in RULES.iter().copied() {
        if topic != Some(rule.topic) {
            topic = Some(rule.topic);
            let _ = writeln!(out, "\n## {}", heading(rule.topic));
        }
        section(&mut out, rule);
    }
    assumptions(&mut out);
    out
}

const HEAD: &str = "<!-- Generated from the rule table of tandem-infra by `cargo run -p xtask -- docs`; do not edit. -->

# Rules of `tandem check`

Each rule is computed offline from the Terraform environments and `tandem.toml`. It either holds, is broken, or
cannot tell because something is missing. `tandem check explain ID` prints the same text; how to accept a finding for
a while stands in [the guide](../guides/check-and-cost.md).

Severities: **error** = a promise is broken or a tool will refuse (exit code 1) · **warning** = will hurt one day (exit
code 3) · **info** = worth knowing (exit code 0).
";

fn heading(topic: Topic) -> String {
    let text = topic.heading();
    let (first, rest) = text.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

fn section(out: &mut String, rule: &Rule) {
    let severity = format!("{:?}", rule.severity).to_lowercase();
    let _ = writeln!(out, "\n### `{}`\n", rule.id);
    let _ = writeln!(out, "**{severity}** · must hold: {}\n", rule.title);
    let _ = writeln!(out, "{}\n", rule.why);
    let _ = writeln!(out, "- Formula: `{}`", rule.formula.replace('`', "'"));
    let _ = writeln!(out, "- Source: {}", escaped(rule.source));
    let _ = writeln!(out, "- Remedy: {}", escaped(rule.remedy));
}

/// Characters that Markdown would read as HTML.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}

fn assumptions(out: &mut String) {
    let _ = writeln!(out, "\n## Assumptions\n");
    let _ = writeln!(
        out,
        "What the files leave open is stated, not guessed in silence: `--assume KEY=VALUE,...` or `[assume]` in `tandem-check.toml`.\n"
    );
    let _ = writeln!(
        out,
        "| key | default | may be | meaning |\n|---|---|---|---|"
    );
    for assumption in ASSUMPTIONS {
        let kind = match assumption.kind {
            Kind::Word(words) => words.join(", "),
            Kind::Number(low, high) => format!("{low} to {high}"),
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {kind} | {} |",
            assumption.key, assumption.default, assumption.meaning
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_is_complete_and_named_once() {
        let mut ids = BTreeSet::new();
        for rule in RULES.iter() {
            assert!(ids.insert(rule.id), "{} stands twice", rule.id);
            for text in [rule.title, rule.why, rule.formula, rule.source, rule.remedy] {
                assert!(text.len() > 5, "{} lacks a text", rule.id);
            }
        }
    }

    /// Regenerate with `cargo run -p xtask -- docs`, or with
    /// `TANDEM_WRITE_DOCS=1 cargo test -p tandem-infra the_reference_page`.
    #[test]
    fn the_reference_page_is_current() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/checks.md");
        if std::env::var_os("TANDEM_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, checks_markdown()).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == checks_markdown(),
            "docs/reference/checks.md is stale: run `cargo run -p xtask -- docs`"
        );
    }
}
