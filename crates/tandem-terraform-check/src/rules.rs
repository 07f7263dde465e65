//! Value rules: what the clouds refuse and no schema tells.
//!
//! Intuition: a schema knows that a port is a number; only the cloud knows that 70000 is none. The
//! rules are a table (`rules.json`); a few that need arithmetic are functions named by it.
//! Invariant: a rule speaks only when every value it looks at is known; doubt passes, because a
//! false refusal would teach people to ignore the true ones.

use std::fmt;

use regex::Regex;
use rmpv::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::Error;
use crate::schema::Provider;
use crate::value::{from_json, is_unknown, member, number};
use crate::wire;

mod arithmetic;

/// Where in a value: `settings[0].tier`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Place(Vec<wire::Selector>);

impl Place {
    /// A member of this place.
    pub fn member(&self, name: &str) -> Self {
        self.with(wire::Selector::Attribute(name.into()))
    }

    /// An element of this place.
    pub fn index(&self, at: usize) -> Self {
        self.with(wire::Selector::Index(i64::try_from(at).unwrap_or(i64::MAX)))
    }

    fn with(&self, selector: wire::Selector) -> Self {
        let mut steps = self.0.clone();
        steps.push(selector);
        Self(steps)
    }

    /// As a diagnostic carries it.
    pub fn to_wire(&self) -> wire::Path {
        let step = |selector: &wire::Selector| wire::Step {
            selector: Some(selector.clone()),
        };
        wire::Path {
            steps: self.0.iter().map(step).collect(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, selector) in self.0.iter().enumerate() {
            match selector {
                wire::Selector::Index(index) => write!(f, "[{index}]")?,
                wire::Selector::Attribute(name) | wire::Selector::Key(name) => {
                    write!(f, "{}{name}", if at == 0 { "" } else { "." })?;
                }
            }
        }
        Ok(())
    }
}

/// Something that a provider would refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Complaint {
    /// The kind of fault.
    pub summary: &'static str,
    /// What, and what is right.
    pub detail: String,
    /// Where.
    pub place: Place,
}

/// One row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The resource type.
    on: String,
    /// A nested block: the rule holds for each element, and paths begin there.
    #[serde(default, rename = "in")]
    within: Option<String>,
    /// The rule holds only where all of these are true.
    #[serde(default)]
    when: Vec<Condition>,
    must: Condition,
    /// What to tell people: what is right, not only what is wrong.
    say: String,
}

/// A path and what is asked of its value.
#[derive(Debug, Clone, Deserialize)]
struct Condition {
    /// Dotted, through nested blocks; every value found is looked at.
    #[serde(default)]
    path: String,
    #[serde(flatten)]
    test: Test,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Test {
    /// Given at all: not null, not empty.
    Set(bool),
    /// Equal to this.
    Is(Json),
    /// One of these.
    In(Vec<Json>),
    /// Text that matches; absent passes.
    Matches(Pattern),
    /// Text that does not match; absent passes.
    Lacks(Pattern),
    /// A number within both bounds; absent passes.
    Between([f64; 2]),
    /// Length of a text or a list within both bounds; absent passes.
    Length([usize; 2]),
    /// How many of these siblings are set.
    Count {
        /// Their paths.
        of: Vec<String>,
        /// At least and at most.
        between: [usize; 2],
    },
    /// One of the functions in [`arithmetic`].
    Function(String),
}

#[derive(Debug, Clone)]
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Regex::new(&text)
            .map(Pattern)
            .map_err(serde::de::Error::custom)
    }
}

/// The table.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Rules(Vec<Rule>);

/// The table that is committed beside this crate.
pub fn committed() -> Result<Rules, Error> {
    serde_json::from_str(include_str!("../rules.json")).map_err(|source| Error::Data {
        what: "rules.json".into(),
        source,
    })
}

impl Rules {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Refuses rules for what no schema has.
    pub fn check_names(&self, providers: &[Provider]) -> Result<(), Error> {
        for rule in &self.0 {
            let found = providers
                .iter()
                .find_map(|p| p.resource_schemas.get(&rule.on));
            let block = &found.ok_or_else(|| rule.dangling(""))?.block;
            let unknown = rule.paths().into_iter().find(|path| !block.knows(path));
            if let Some(path) = unknown {
                return Err(rule.dangling(&path));
            }
            if let Test::Function(name) = &rule.must.test
                && arithmetic::find(name).is_none()
            {
                return Err(Error::Rule {
                    on: rule.on.clone(),
                    problem: format!("no function is called {name}"),
                });
            }
        }
        Ok(())
    }

    /// What a provider would refuse in this configuration.
    pub fn check(&self, kind: &str, config: &Value) -> Vec<Complaint> {
        let mine = self.0.iter().filter(|rule| rule.on == kind);
        mine.flat_map(|rule| rule.check(config)).collect()
    }
}

impl Rule {
    fn dangling(&self, path: &str) -> Error {
        Error::Dangling {
            file: "rules.json",
            what: format!("{} {path}", self.on).trim_end().into(),
        }
    }

    fn paths(&self) -> Vec<String> {
        let prefix = self
            .within
            .as_ref()
            .map_or(String::new(), |block| format!("{block}."));
        let conditions = self.when.iter().chain([&self.must]);
        let mut paths: Vec<String> = self.within.iter().cloned().collect();
        for condition in conditions {
            match &condition.test {
                Test::Count { of, .. } => {
                    paths.extend(of.iter().map(|path| format!("{prefix}{path}")));
                }
                _ if condition.path.is_empty() => {}
                _ => paths.push(format!("{prefix}{}", condition.path)),
            }
        }
        paths
    }

    fn check(&self, config: &Value) -> Vec<Complaint> {
        let scopes = match &self.within {
            None => vec![(Place::default(), config)],
            Some(block) => reach(config, block, &Place::default()),
        };
        let broken = scopes.into_iter().filter(|(_, scope)| {
            let applies = matches!(scope, Value::Map(_))
                && self.when.iter().all(|when| when.holds(scope) == Some(true));
            applies && self.must.holds(scope) == Some(false)
        });
        broken
            .map(|(place, scope)| self.complaint(&place, scope))
            .collect()
    }

    fn complaint(&self, place: &Place, scope: &Value) -> Complaint {
        let found = reach(scope, &self.must.path, place).into_iter().next();
        let place = found.map_or_else(|| place.clone(), |(place, _)| place);
        Complaint {
            summary: "Value refused",
            detail: format!("{} {place}: {}", self.on, self.say),
            place,
        }
    }
}

impl Condition {
    /// None: a value that matters is not known yet.
    fn holds(&self, scope: &Value) -> Option<bool> {
        match &self.test {
            Test::Count { of, between } => count(scope, of, *between),
            Test::Function(name) => arithmetic::find(name)?(scope, &self.path),
            test => {
                let mut all = Some(true);
                for (_, value) in reach(scope, &self.path, &Place::default()) {
                    match test.holds(value) {
                        Some(false) => return Some(false),
                        None => all = None,
                        Some(true) => {}
                    }
                }
                all
            }
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> Option<bool> {
        let given = is_set(value);
        match self {
            Self::Set(expected) => return given.map(|given| given == *expected),
            Self::Is(expected) => return given.map(|_| equal(value, expected)),
            Self::In(expected) => {
                return given.map(|_| expected.iter().any(|one| equal(value, one)));
            }
            _ => {}
        }
        if !given? {
            return Some(true);
        }
        match self {
            Self::Matches(pattern) => Some(pattern.0.is_match(value.as_str()?)),
            Self::Lacks(pattern) => Some(!pattern.0.is_match(value.as_str()?)),
            Self::Between([low, high]) => {
                number(value).map(|number| (*low..=*high).contains(&number))
            }
            Self::Length([low, high]) => {
                length(value).map(|length| (*low..=*high).contains(&length))
            }
            _ => None,
        }
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.as_str()?.chars().count()),
        Value::Array(elements) => Some(elements.len()),
        Value::Map(members) => Some(members.len()),
        _ => None,
    }
}

/// Given: not null and not empty, which older providers cannot tell apart. None: unknown.
fn is_set(value: &Value) -> Option<bool> {
    match value {
        Value::Ext(..) => None,
        Value::Nil => Some(false),
        Value::String(text) => Some(text.as_str() != Some("")),
        Value::Array(elements) => Some(!elements.is_empty()),
        Value::Map(members) => Some(!members.is_empty()),
        _ => Some(true),
    }
}

fn equal(value: &Value, expected: &Json) -> bool {
    match (number(value), expected.as_f64()) {
        (Some(value), Some(expected)) => (value - expected).abs() < f64::EPSILON,
        _ => *value == from_json(expected),
    }
}

fn count(scope: &Value, of: &[String], [low, high]: [usize; 2]) -> Option<bool> {
    let (mut set, mut open) = (0, 0);
    for path in of {
        let states = reach(scope, path, &Place::default());
        match states
            .iter()
            .map(|(_, value)| is_set(value))
            .max()
            .flatten()
        {
            Some(true) => set += 1,
            Some(false) => {}
            None if states.is_empty() => {}
            None => open += 1,
        }
    }
    if set > high || set + open < low {
        return Some(false);
    }
    (open == 0).then_some(true)
}

/// All values at a dotted path, through every element of nested blocks; null where one is absent.
fn reach<'a>(value: &'a Value, path: &str, place: &Place) -> Vec<(Place, &'a Value)> {
    if path.is_empty() {
        return vec![(place.clone(), value)];
    }
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let place = place.member(name);
    let inner = member(value, name);
    match inner {
        // Elements of a block; an attribute's list is one value.
        Value::Array(elements) if is_block(elements) => {
            let each = elements.iter().enumerate();
            each.flat_map(|(at, element)| reach(element, rest, &place.index(at)))
                .collect()
        }
        inner => {
            if rest.is_empty() || is_unknown(inner) {
                vec![(place, inner)]
            } else {
                reach(inner, rest, &place)
            }
        }
    }
}

fn is_block(elements: &[Value]) -> bool {
    !elements.is_empty()
        && elements
            .iter()
            .all(|element| matches!(element, Value::Map(_)))
}

#[cfg(test)]
mod tests;
