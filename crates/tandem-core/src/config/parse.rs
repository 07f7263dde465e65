//! From the text of a file to a [`Config`], or to all of its faults.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::faults::{Fault, Faults};
use super::keys::Key;
use super::kind::Given;
use super::reader::{Reading, Value};
use super::{Config, relations};

/// The longest file that is read: a hundred times a complete one.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// One key of one file, for `tandem config explain`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Path in this file, with names and numbers (`sites.aws.agents[0].listen`).
    pub path: String,
    /// The value as TOML.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What the key means.
    pub key: &'static Key,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This line of the file, from 1.
    Line(usize),
    /// The register's default.
    Default,
}

impl Config {
    /// Reads the text of a `tandem.toml`.
    ///
    /// # Errors
    /// All faults at once: unknown keys, wrong types, values out of range and broken
    /// relations, each with key path and fix, in the order of the file.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        let reading = read(text)?;
        let mut table: toml::Table = toml::from_str(text).map_err(|error| disagreement(&error))?;
        for (path, value) in &reading.values {
            if value.line.is_none() {
                insert(&mut table, path, value.as_toml());
            }
        }
        table.try_into().map_err(|error| disagreement(&error))
    }

    /// Every key of a file with its value and origin, in the order of the register.
    ///
    /// # Errors
    /// The same as [`Config::parse`].
    pub fn entries(text: &str) -> Result<Vec<Entry>, Faults> {
        let reading = read(text)?;
        let entry = |(path, value): (String, Value)| Entry {
            path,
            value: value.given.to_string(),
            origin: value.line.map_or(Origin::Default, Origin::Line),
            key: value.key,
        };
        let mut entries: Vec<Entry> = reading.values.into_iter().map(entry).collect();
        let rank = |entry: &Entry| {
            super::KEYS
                .iter()
                .position(|key| key.path == entry.key.path)
        };
        entries.sort_by_key(rank);
        Ok(entries)
    }
}

fn read(text: &str) -> Result<Reading<'_>, Faults> {
    if text.len() > FILE_BYTES_MAX {
        let problem = format!("the file has {} bytes", text.len());
        let fix = format!("at most {FILE_BYTES_MAX} bytes are read; is this the right file?");
        return Err(Faults(alloc::vec![Fault {
            key: String::new(),
            problem,
            fix
        }]));
    }
    let mut reading = Reading::of(text);
    relations::check(&mut reading);
    let faults = reading.take_faults();
    if faults.is_empty() {
        Ok(reading)
    } else {
        Err(Faults(faults))
    }
}

/// The register accepted a file that the types refuse: a fault of ours, told instead of hidden.
fn disagreement(error: &toml::de::Error) -> Faults {
    let problem = format!(
        "the types refuse what the register of keys accepts: {}",
        error.message()
    );
    let fix = String::from("this is a fault of Tandem itself; please report it with the file");
    Faults(alloc::vec![Fault {
        key: String::new(),
        problem,
        fix
    }])
}

impl Value {
    fn as_toml(&self) -> toml::Value {
        match &self.given {
            Given::Whole(number) => i64::try_from(*number).map_or_else(
                |_| toml::Value::String(number.to_string()),
                toml::Value::Integer,
            ),
            Given::Text(text) => toml::Value::String(text.clone()),
            Given::Texts(texts) => texts
                .iter()
                .cloned()
                .map(toml::Value::String)
                .collect::<Vec<_>>()
                .into(),
        }
    }
}

/// Puts a default at its path. Defaults stand in plain sections only, never in lists.
fn insert(table: &mut toml::Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => _ = table.insert(path.to_string(), value),
        Some((section, rest)) => {
            let below = table
                .entry(section)
                .or_insert_with(|| toml::Table::new().into());
            if let toml::Value::Table(below) = below {
                insert(below, rest, value);
            }
        }
    }
}
