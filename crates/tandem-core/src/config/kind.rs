//! What a value may be: one closed list, each with its check and the words for its bounds.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use toml::de::DeValue;

use crate::model::SiteId;

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A section with fixed keys.
    Table,
    /// A section whose keys are names of sites.
    Sites,
    /// A list of sections with the same keys.
    Tables {
        /// The fewest members.
        min: usize,
    },
    /// A whole number.
    Whole {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The value of an HTTP header.
    Header,
    /// The name of a site or of the witness.
    Site,
    /// A name that stands in key paths, metric labels and DNS names unescaped.
    Label,
    /// A decimal above 0 and below 100, as text.
    Percent,
    /// A name of an object in PostgreSQL.
    PgName,
    /// One or more names of objects in PostgreSQL.
    PgNames,
    /// A name that PostgreSQL allows for a slot.
    SlotName,
    /// A place to listen at, as `ip:port`.
    Listen,
    /// A place to connect to, as `host:port`.
    Address,
    /// A place to speak HTTP to.
    Url,
    /// The name of a machine, no IP address.
    Host,
    /// An IP address.
    Ip,
    /// A file or a folder.
    Path,
}

/// A value that passed its check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    Whole(u64),
    Text(String),
    Texts(Vec<String>),
}

impl fmt::Display for Given {
    /// As TOML writes it. Texts that passed have no control characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted =
            |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Texts(texts) => {
                let texts: Vec<String> = texts.iter().map(quoted).collect();
                write!(f, "[{}]", texts.join(", "))
            }
        }
    }
}

/// Why a value did not pass: what is wrong, and what to write instead.
pub(super) struct Refusal {
    pub(super) problem: String,
    pub(super) fix: String,
}

/// The longest excerpt of a value that a message repeats, in characters.
const EXCERPT_MAX: usize = 60;

impl Kind {
    /// What may be written, for the reference page and for the fix of a fault.
    pub fn bounds(&self) -> String {
        let words = match self {
            Self::Whole { min, max } if min == max => return format!("the whole number {min}"),
            Self::Whole { min, max } => return format!("a whole number from {min} to {max}"),
            Self::Tables { min: 0 } => "a list of tables, may be empty",
            Self::Tables { min } => return format!("a list of tables, at least {min}"),
            Self::Choice(words) => return format!("one of {}", quoted(words)),
            Self::Table => "a table",
            Self::Sites => "a table for each of the two sites, named by it",
            Self::Header => "1 to 63 visible ASCII characters without spaces",
            Self::Site => "1 to 15 lowercase letters, digits or hyphens",
            Self::Label => "1 to 63 lowercase letters, digits or hyphens",
            Self::Percent => "text with a decimal above 0 and below 100, like \"99.99\"",
            Self::PgName => {
                "a PostgreSQL name of 1 to 63 bytes without quotes, backslashes or control characters"
            }
            Self::PgNames => "a list of at least one PostgreSQL name, each once",
            Self::SlotName => "1 to 63 lowercase letters, digits or underscores",
            Self::Listen => "an IP address and a port from 1 to 65535, like \"127.0.0.1:8400\"",
            Self::Address => {
                "a host and a port from 1 to 65535, like \"gcp-agent-1.internal:8400\""
            }
            Self::Url => "http:// or https:// with host and port, like \"http://10.30.0.5:2379\"",
            Self::Host => {
                "a DNS name like \"crm.abc.ap-northeast-2.rds.amazonaws.com\", no IP address"
            }
            Self::Ip => "an IP address like \"10.30.10.7\"",
            Self::Path => "a path, absolute or from the folder the program starts in",
        };
        words.to_string()
    }

    /// Checks one value.
    pub(super) fn accept(&self, value: &DeValue<'_>) -> Result<Given, Refusal> {
        match self {
            Self::Whole { min, max } => whole(value, *min, *max).map(Given::Whole),
            Self::PgNames => self.names(value).map(Given::Texts),
            _ => self.text(value).map(Given::Text),
        }
        .map_err(|problem| Refusal {
            fix: self.fix(value),
            problem,
        })
    }

    fn fix(&self, value: &DeValue<'_>) -> String {
        let unquoted = match (self, value) {
            (Self::Whole { .. }, DeValue::String(text)) => text.parse::<u64>().ok(),
            _ => None,
        };
        match unquoted {
            Some(number) => format!("write {number} without quotes: {}", self.bounds()),
            None => format!("write {}", self.bounds()),
        }
    }

    fn text(&self, value: &DeValue<'_>) -> Result<String, String> {
        let text = value.as_str().ok_or_else(|| wrong_type(value, "text"))?;
        let legal = !text.chars().any(char::is_control) && self.admits(text);
        if legal {
            Ok(text.to_string())
        } else {
            Err(format!("{} does not fit", shown(value)))
        }
    }

    fn names(&self, value: &DeValue<'_>) -> Result<Vec<String>, String> {
        let list = value
            .as_array()
            .ok_or_else(|| wrong_type(value, "a list"))?;
        let mut names = Vec::new();
        for member in list.iter() {
            let name = Self::PgName.text(member.get_ref())?;
            if names.contains(&name) {
                return Err(format!("`{name}` stands there twice"));
            }
            names.push(name);
        }
        if names.is_empty() {
            Err(String::from("the list is empty"))
        } else {
            Ok(names)
        }
    }

    fn admits(&self, text: &str) -> bool {
        match self {
            Self::Choice(words) => words.contains(&text),
            Self::Header => is_header(text),
            Self::Site => text.parse::<SiteId>().is_ok(),
            Self::Label => is_label(text),
            Self::Percent => is_percent(text),
            Self::PgName => is_pg_name(text),
            Self::SlotName => is_slot_name(text),
            Self::Listen => text
                .parse::<SocketAddr>()
                .is_ok_and(|address| address.port() != 0),
            Self::Address => is_address(text),
            Self::Url => is_url(text),
            Self::Host => is_host(text),
            Self::Ip => text.parse::<IpAddr>().is_ok(),
            _ => !text.trim().is_empty(),
        }
    }
}

fn whole(value: &DeValue<'_>, min: u64, max: u64) -> Result<u64, String> {
    let digits = value
        .as_integer()
        .ok_or_else(|| wrong_type(value, "a whole number"))?;
    let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
    match number.filter(|number| (min..=max).contains(number)) {
        Some(number) => Ok(number),
        None => Err(format!("{} is out of range", shown(value))),
    }
}

pub(super) fn wrong_type(value: &DeValue<'_>, expected: &str) -> String {
    let found = match value.type_str() {
        "string" => "text",
        "integer" => "a whole number",
        "float" => "a decimal",
        "boolean" => "true or false",
        "datetime" => "a date",
        "array" => "a list",
        _ => "a table",
    };
    match shown(value) {
        excerpt if excerpt.is_empty() => format!("it is {found}, not {expected}"),
        excerpt => format!("{excerpt} is {found}, not {expected}"),
    }
}

/// The value as a message repeats it: in backquotes, cut, empty for lists and tables.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    let text = match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => return String::new(),
    };
    format!("`{}`", excerpt(&text))
}

pub(super) fn excerpt(text: &str) -> String {
    if text.chars().count() <= EXCERPT_MAX {
        return text.to_string();
    }
    let head: String = text.chars().take(EXCERPT_MAX).collect();
    format!("{head}...")
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    words.join(", ")
}

fn is_header(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_label(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(legal)
}

fn is_slot_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(legal)
}

fn is_pg_name(text: &str) -> bool {
    (1..=63).contains(&text.len()) && !text.contains(['"', '\'', '\\'])
}

fn is_percent(text: &str) -> bool {
    let (before, after) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, max| {
        (1..=max).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let positive = text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    digits(before, 2) && digits(after, 9) && positive
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone would be read as an IPv4 address.
    let last_is_number = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(label) && !last_is_number
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let port_fits = !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port != 0);
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(inner) => inner.parse::<core::net::Ipv6Addr>().is_ok(),
        None => is_host(host) || host.parse::<core::net::Ipv4Addr>().is_ok(),
    };
    port_fits && host_fits
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| is_address(rest.strip_suffix('/').unwrap_or(rest)))
}
