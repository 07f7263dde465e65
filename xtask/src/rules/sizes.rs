//! Files and functions stay short enough to be read at once.
//!
//! What is too long today stands in a ratchet list with its length and may only shrink. A test's
//! functions are not measured: a table of cases may be long.

use anyhow::Context;

use super::Finding;
use crate::tree::File;

pub(super) const RATCHET_PATH: &str = "xtask/ratchet.txt";
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// What is too long and known: `path lines` or `path::function lines`, one a line.
pub(super) struct Ratchet(Vec<(String, usize)>);

impl Ratchet {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entry = |line: &str| {
            let (place, length) = line.split_once(' ')?;
            Some((place.to_string(), length.parse().ok()?))
        };
        let entry = |line| {
            entry(line).with_context(|| format!("{RATCHET_PATH}: `{line}` is not `place lines`"))
        };
        lines.map(entry).collect::<anyhow::Result<_>>().map(Self)
    }

    fn allows(&self, place: &str) -> usize {
        self.0
            .iter()
            .find(|(known, _)| known == place)
            .map_or(0, |(_, lines)| *lines)
    }
}

pub(super) fn check(files: &[File], ratchet: &Ratchet) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut long = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push((file.path.clone(), lines, "part it where its ideas part"));
        }
        let functions = functions(file)
            .into_iter()
            .filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        let remedy = "give its steps names of their own";
        long.extend(
            functions.map(|(name, lines)| (format!("{}::{name}", file.path), lines, remedy)),
        );
    }
    for (place, lines, remedy) in &long {
        if *lines > ratchet.allows(place) {
            findings.push(Finding::new(
                place,
                format!("{lines} lines are too many to read at once"),
                *remedy,
            ));
        }
    }
    for (place, lines) in &ratchet.0 {
        let now = long
            .iter()
            .find(|(known, ..)| known == place)
            .map_or(0, |(_, lines, _)| *lines);
        if now < *lines {
            let remedy = if now == 0 {
                "delete its line".to_string()
            } else {
                format!("write {now}")
            };
            findings.push(Finding::new(
                RATCHET_PATH,
                format!("`{place}` has shrunk below {lines}"),
                remedy,
            ));
        }
    }
    findings
}

/// Names and lengths of the functions of a file, without those of its tests.
fn functions(file: &File) -> Vec<(String, usize)> {
    if file.path.contains("/tests/") || file.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let code = blank(&file.text);
    let code = code
        .find("#[cfg(test)]\nmod ")
        .map_or(code.as_str(), |tests| &code[..tests]);
    let starts = code.match_indices("fn ").filter(|(at, _)| {
        let before = code[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    });
    starts.filter_map(|(at, _)| function(&code[at..])).collect()
}

/// Name and length of the function that `code` begins with; `None` without a body.
fn function(code: &str) -> Option<(String, usize)> {
    let name: String = code["fn ".len()..]
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let (mut depth, mut brackets) = (0_usize, 0_isize);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if depth == 0 && brackets == 0 => return None,
            '{' => depth += 1,
            '}' if depth == 1 => return Some((name, code[..at].matches('\n').count() + 1)),
            '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        // A closure's or a type's bracket that closes before `fn` has ended it: a type, no function.
        if brackets < 0 {
            return None;
        }
    }
    None
}

/// The text with comments, strings and characters blanked out; lines stay where they are.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match literal_length(rest, out.chars().next_back()) {
            0 => {
                out.push(c);
                c.len_utf8()
            }
            length => {
                out.extend(
                    rest[..length]
                        .chars()
                        .map(|c| if c == '\n' { '\n' } else { ' ' }),
                );
                length
            }
        };
        rest = &rest[length..];
    }
    out
}

/// Bytes of the comment, string or character that `text` begins with; 0 for code.
fn literal_length(text: &str, before: Option<char>) -> usize {
    let until = |end: &str, from: usize| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until("*/", 2);
    }
    if text.starts_with("r\"") && !in_word {
        return until("\"", 2);
    }
    if text.starts_with("r#") && !in_word {
        let hashes = text[1..].chars().take_while(|c| *c == '#').count();
        let raw = text[1 + hashes..].starts_with('"');
        return if raw {
            until(&format!("\"{}", "#".repeat(hashes)), 2 + hashes)
        } else {
            0
        };
    }
    if text.starts_with('"') {
        return escaped_length(text, '"');
    }
    // 'a' and '\n' are characters, 'a without a second quote is a lifetime.
    let is_char =
        text.starts_with("'\\") || text.starts_with('\'') && text.chars().nth(2) == Some('\'');
    if is_char {
        escaped_length(text, '\'')
    } else {
        0
    }
}

/// Bytes up to and with the quote that closes the one at the beginning.
fn escaped_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: String) -> File {
        File {
            path: path.to_string(),
            text,
        }
    }

    #[test]
    fn functions_are_measured_with_their_braces() {
        let text = "const X: &str = \"fn no() {\";\n// fn no() {\nfn one(a: [u8; 3]) -> char {\n    '{'\n}\n\
            trait T { fn bare(&self); }\nstruct S { call: fn (u8) }\n\
            impl<'a> S {\n    pub(crate) fn two(&self) {\n        if x {\n            y(r#\"}\"\"#)\n        }\n    }\n}\n\
            #[cfg(test)]\nmod tests {\n    fn three() {\n    }\n}\n";
        let found = functions(&file("src/a.rs", text.to_string()));
        assert_eq!(found, [("one".to_string(), 3), ("two".to_string(), 5)]);
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let body = "    step();\n".repeat(FUNCTION_LINES_MAX);
        let files = [
            file("src/long.rs", "\n".repeat(FILE_LINES_MAX + 1)),
            file("src/function.rs", format!("fn all() {{\n{body}}}\n")),
            file(
                "crates/one/tests/table.rs",
                format!("fn all() {{\n{body}}}\n"),
            ),
        ];
        let none = Ratchet(Vec::new());
        let places = |ratchet: &Ratchet| {
            check(&files, ratchet)
                .into_iter()
                .map(|found| found.place)
                .collect::<Vec<_>>()
        };
        assert_eq!(places(&none), ["src/long.rs", "src/function.rs::all"]);
        let known = Ratchet::parse("# known\nsrc/long.rs 801\nsrc/function.rs::all 72\n");
        assert_eq!(places(&known.expect("well formed")), [""; 0]);
    }

    #[test]
    fn what_has_shrunk_leaves_the_list() {
        let known = Ratchet::parse("src/a.rs 900\n").expect("well formed");
        let found = check(&[file("src/a.rs", "\n".repeat(850))], &known);
        assert_eq!(
            found,
            [Finding::new(
                RATCHET_PATH,
                "`src/a.rs` has shrunk below 900",
                "write 850"
            )]
        );
        assert!(Ratchet::parse("src/a.rs\n").is_err());
    }
}
