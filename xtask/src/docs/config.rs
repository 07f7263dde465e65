//! The page of `tandem.toml`: a chapter for each section, a table row for each key.

use std::fmt::Write;

use tandem_core::config::{KEYS, Key, Need};

const HEAD: &str = "\
<!-- Generated from the register of keys by `cargo run -p xtask -- docs`; edit the register. -->
# `tandem.toml`

One file describes the whole cluster as seen from one place: the policy is the same everywhere,
addresses are as this place reaches them. Unknown keys are refused. A complete file is
[docs/examples/tandem.toml](../examples/tandem.toml); `tandem config check FILE` names all faults of
a file at once, `tandem config explain KEY` prints what stands here.

In the names, `*` is the name of a site and `[]` each member of a list.

## Relations

Checked when the file is read, beside the bounds of each key:

- `renew_ms + 2 * call_timeout_ms <= ttl_ms * (1 - drift) - cut_ms`: after a lost call there is time for a second one.
- `timeout_ms < probe_ms`, and `failures * probe_ms < ttl_ms`: the verdict is ready when the right to write ends.
- `bound_ms > 2 * heartbeat_ms + renew_ms`, and `bound_ms <= rpo_s`: reachable every day, and within the promise.
- There are exactly two sites; `first_primary` is one of them; the witness has another name.
- Names of agents and gates are unique, agents' addresses too; no two listeners of one place share an address.
- `verify-full` has a `ca_file`; agents of sites have a relay, those of the witness have none.
- The application's role is not the agents' or the subscription's; `automatic` needs one that is neither owner nor admin.
- `[tls]` is for all or for none: with it every `store` is `https`, without it `http`; access tokens need it wherever an agent listens beyond its machine; their names and files are unique.
";

pub(super) fn render() -> String {
    let mut page = HEAD.to_string();
    chapter(&mut page, "Top level", "", "");
    for section in KEYS.iter().filter(|key| key.is_section()) {
        chapter(
            &mut page,
            &format!("`{}`", below(section)),
            section.meaning,
            section.why,
        );
    }
    page
}

/// How the keys of a section begin.
fn below(section: &Key) -> String {
    match section.path {
        "sites" => "sites.*".to_string(),
        path if KEYS.iter().any(|key| key.parent() == format!("{path}[]")) => format!("{path}[]"),
        path => path.to_string(),
    }
}

fn chapter(page: &mut String, title: &str, meaning: &str, why: &str) {
    let parent = title.trim_matches('`');
    let parent = if parent == "Top level" { "" } else { parent };
    let keys: Vec<&Key> = KEYS
        .iter()
        .filter(|key| key.parent() == parent && !key.is_section())
        .collect();
    if keys.is_empty() {
        return;
    }
    writeln!(page, "\n## {title}\n").expect("strings take everything");
    if !meaning.is_empty() {
        writeln!(page, "{}\n", sentences(meaning, why)).expect("strings take everything");
    }
    page.push_str("| key | default | may be | meaning |\n|---|---|---|---|\n");
    for key in keys {
        page.push_str(&row(key));
    }
}

fn row(key: &Key) -> String {
    let default = match key.need {
        Need::Required => "required".to_string(),
        Need::Optional => "optional".to_string(),
        Need::Absent => "not allowed".to_string(),
        Need::Default(value) => format!("`{value}`"),
    };
    let unit = match key.unit() {
        "" => String::new(),
        unit => format!(", in {unit}"),
    };
    let meaning = sentences(key.meaning, key.why);
    format!(
        "| `{}` | {default} | {}{unit} | {meaning} |\n",
        key.name(),
        key.kind.bounds()
    )
}

fn sentences(meaning: &str, why: &str) -> String {
    let mut why = why.chars();
    match why.next() {
        None => format!("{meaning}."),
        Some(first) => format!("{meaning}. {}{}.", first.to_uppercase(), why.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_row() {
        let rows = render()
            .lines()
            .filter(|line| line.starts_with("| `"))
            .count();
        assert_eq!(rows, KEYS.iter().filter(|key| !key.is_section()).count());
    }
}
