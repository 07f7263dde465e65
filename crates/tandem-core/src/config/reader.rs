//! Walks a parsed file along the register of keys and collects every fault on the way.
//!
//! The walk needs three things of a key: where it is, whether it must be there and what it may
//! be. It keeps each good value under its path, so that relations can be checked even when
//! another part of the file is broken.
//!
//! Invariant: a file without faults has a good value at every required key and no key beside
//! the register.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::Fault;
use super::keys::{KEYS, Key, Need};
use super::kind::{Given, Kind, excerpt, shown, wrong_type};
use crate::model::SiteId;

/// The good values of one file by their paths, and the faults of the others.
pub(super) struct Reading<'t> {
    text: &'t str,
    pub(super) values: BTreeMap<String, Value>,
    faults: Vec<(Option<usize>, Fault)>,
}

/// One good value.
pub(super) struct Value {
    pub(super) given: Given,
    pub(super) key: &'static Key,
    /// `None` if the register's default stands in.
    pub(super) line: Option<usize>,
}

/// A section being read: its path in this file, its path in the register, and its first line.
struct Section<'a> {
    path: &'a str,
    pattern: &'a str,
    line: usize,
}

impl Section<'_> {
    fn below(&self, name: &str) -> String {
        join(self.path, name)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_string()
    } else {
        format!("{path}.{name}")
    }
}

impl<'t> Reading<'t> {
    /// Reads a whole file. Text that is no TOML has only its syntax faults reported: what
    /// follows one cannot be trusted.
    pub(super) fn of(text: &'t str) -> Self {
        let mut reading = Self {
            text,
            values: BTreeMap::new(),
            faults: Vec::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            reading.section(
                table.get_ref(),
                &Section {
                    path: "",
                    pattern: "",
                    line: 1,
                },
            );
        } else {
            errors.iter().for_each(|error| reading.syntax_fault(error));
        }
        reading
    }

    fn syntax_fault(&mut self, error: &toml::de::Error) {
        let place = error.span().map(|span| position(self.text, span.start));
        let column = place.map_or(String::new(), |(_, column)| format!(" at column {column}"));
        let message = excerpt(error.message());
        let problem = format!("this is no TOML{column}: {message}");
        self.fault(
            place.map(|(line, _)| line),
            "",
            problem,
            "see https://toml.io for the syntax",
        );
    }

    pub(super) fn fault(
        &mut self,
        line: Option<usize>,
        key: &str,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (problem, fix) = (problem.into(), fix.into());
        let key = key.to_string();
        self.faults.push((line, Fault { key, problem, fix }));
    }

    /// The faults in the order of the file, each with its line; none if the file is good.
    pub(super) fn take_faults(&mut self) -> Vec<Fault> {
        let mut faults = core::mem::take(&mut self.faults);
        faults.sort_by_key(|(line, _)| *line);
        let placed = |(line, fault): (Option<usize>, Fault)| match line {
            Some(line) => Fault {
                problem: format!("{} (line {line})", fault.problem),
                ..fault
            },
            None => fault,
        };
        faults.into_iter().map(placed).collect()
    }

    fn line<T>(&self, spanned: &Spanned<T>) -> usize {
        position(self.text, spanned.span().start).0
    }

    fn section(&mut self, table: &DeTable<'_>, at: &Section<'_>) {
        for (name, value) in table {
            if !children(at.pattern).any(|key| key.name() == name.get_ref()) {
                self.unknown_key(name, value, at);
            }
        }
        for key in children(at.pattern) {
            match table.get(key.name()) {
                Some(value) => self.key(key, value, at),
                None => self.missing_key(key, at),
            }
        }
    }

    fn key(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>, at: &Section<'_>) {
        let path = at.below(key.name());
        let line = self.line(value);
        if key.need == Need::Absent {
            self.fault(
                Some(line),
                &path,
                format!("it must not be here: {}", key.why),
                "delete the line",
            );
            return;
        }
        match (key.kind, value.get_ref()) {
            (Kind::Table, DeValue::Table(table)) => {
                self.section(
                    table,
                    &Section {
                        path: &path,
                        pattern: key.path,
                        line,
                    },
                );
            }
            (Kind::Sites, DeValue::Table(table)) => self.sites(table, &path),
            (Kind::Tables { min }, DeValue::Array(list)) => {
                let members: Vec<_> = list.iter().collect();
                self.tables(
                    key,
                    &members,
                    min,
                    &Section {
                        path: &path,
                        pattern: key.path,
                        line,
                    },
                );
            }
            (Kind::Table | Kind::Sites | Kind::Tables { .. }, other) => {
                let problem = wrong_type(other, &key.kind.bounds());
                self.fault(
                    Some(line),
                    &path,
                    problem,
                    format!("write it as {}", header(key, &path)),
                );
            }
            (kind, scalar) => match kind.accept(scalar) {
                Ok(given) => self.keep(
                    path,
                    Value {
                        given,
                        key,
                        line: Some(line),
                    },
                ),
                Err(refusal) => self.fault(Some(line), &path, refusal.problem, refusal.fix),
            },
        }
    }

    fn keep(&mut self, path: String, value: Value) {
        let earlier = self.values.insert(path, value);
        assert!(
            earlier.is_none(),
            "the parser refuses a key that stands twice"
        );
    }

    fn sites(&mut self, table: &DeTable<'_>, path: &str) {
        for (name, value) in table {
            let (path, line) = (join(path, name.get_ref()), self.line(name));
            if let Err(error) = name.get_ref().parse::<SiteId>() {
                self.fault(Some(line), &path, error.to_string(), "rename the table");
            }
            match value.get_ref() {
                DeValue::Table(site) => {
                    self.section(
                        site,
                        &Section {
                            path: &path,
                            pattern: "sites.*",
                            line,
                        },
                    );
                }
                other => {
                    let fix = format!("write the site as a table [{path}]");
                    self.fault(Some(line), &path, wrong_type(other, "a table"), fix);
                }
            }
        }
    }

    fn tables(
        &mut self,
        key: &Key,
        members: &[&Spanned<DeValue<'_>>],
        min: usize,
        at: &Section<'_>,
    ) {
        if members.len() < min {
            let fix = format!("add one as {}", header(key, at.path));
            self.fault(
                Some(at.line),
                at.path,
                format!("at least {min} must be there"),
                fix,
            );
        }
        for (number, member) in members.iter().enumerate() {
            let path = format!("{}[{number}]", at.path);
            let line = self.line(member);
            match member.get_ref() {
                DeValue::Table(table) => {
                    self.section(
                        table,
                        &Section {
                            path: &path,
                            pattern: at.pattern,
                            line,
                        },
                    );
                }
                other => {
                    let fix = format!("write it as {}", header(key, at.path));
                    self.fault(Some(line), &path, wrong_type(other, "a table"), fix);
                }
            }
        }
    }

    fn missing_key(&mut self, key: &'static Key, at: &Section<'_>) {
        let path = at.below(key.name());
        match key.need {
            Need::Absent | Need::Optional => {}
            Need::Default(text) => {
                let value = DeValue::parse(text).expect("a test parses every default");
                if let Ok(given) = key.kind.accept(value.get_ref()) {
                    self.keep(
                        path,
                        Value {
                            given,
                            key,
                            line: None,
                        },
                    );
                }
            }
            // A section of defaults only may be left out as a whole.
            Need::Required if key.kind == Kind::Table && !demands(key) => {
                let empty = DeTable::new();
                self.section(
                    &empty,
                    &Section {
                        path: &path,
                        pattern: key.path,
                        line: at.line,
                    },
                );
            }
            Need::Required => {
                let line = (at.line > 1).then_some(at.line);
                let (problem, fix) = if key.is_section() {
                    (
                        "it is missing",
                        format!("add {} with {}", header(key, &path), key.kind.bounds()),
                    )
                } else {
                    (
                        "it is missing",
                        format!("add `{} = ...`: {}", key.name(), key.kind.bounds()),
                    )
                };
                self.fault(line, &path, problem, fix);
            }
        }
    }

    fn unknown_key(
        &mut self,
        name: &Spanned<alloc::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        at: &Section<'_>,
    ) {
        let name_text = excerpt(name.get_ref());
        let given = shown(value.get_ref());
        let given = if given.is_empty() {
            given
        } else {
            format!(" (here {given})")
        };
        let problem = format!("there is no such key{given}");
        self.fault(
            Some(self.line(name)),
            &at.below(&name_text),
            problem,
            suggestion(name.get_ref(), at),
        );
    }
}

fn children(pattern: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.is_child_of(pattern))
}

/// Whether a section has a key without which the file is refused.
fn demands(section: &Key) -> bool {
    children(section.path).any(|key| key.need == Need::Required)
}

fn header(key: &Key, path: &str) -> String {
    match key.kind {
        Kind::Tables { .. } => format!("[[{path}]]"),
        Kind::Sites => format!("[{path}.NAME]"),
        _ => format!("[{path}]"),
    }
}

/// The key that was meant: the nearest name in this section, else the same name elsewhere.
fn suggestion(name: &str, at: &Section<'_>) -> String {
    let allowed = |key: &&Key| key.need != Need::Absent;
    let near = children(at.pattern)
        .filter(allowed)
        .map(|key| (distance(name, key.name()), key));
    if let Some((_, key)) = near
        .filter(|(far, _)| *far <= 1 + name.len() / 3)
        .min_by_key(|(far, _)| *far)
    {
        return format!("did you mean `{}`?", key.name());
    }
    if let Some(key) = KEYS.iter().filter(allowed).find(|key| key.name() == name) {
        return format!("`{name}` belongs to {}", key.parent());
    }
    let known: Vec<&str> = children(at.pattern)
        .filter(allowed)
        .map(Key::name)
        .collect();
    format!("delete it; the keys here are: {}", known.join(", "))
}

/// Edits between two names (Levenshtein). Long names are only compared at their beginning:
/// no key is longer, and the work stays bounded.
fn distance(left: &str, right: &str) -> usize {
    const COMPARED_MAX: usize = 40;
    let right: Vec<char> = right.chars().take(COMPARED_MAX).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().take(COMPARED_MAX).enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

/// Line and column of a byte, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}
