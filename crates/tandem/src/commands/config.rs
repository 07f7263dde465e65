//! `tandem config`: explain every key of `tandem.toml`, check a file.
//!
//! Only words and tables here; the register of keys and every check live in the core.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use tandem_core::config::{self, Config, Entry, Key, Need, Origin};

/// Arguments of `tandem config`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print what keys mean, what they may be and why; with a file also their values
    Explain(Explain),
    /// Read a file and print all of its faults; exit code 2 if there are any
    Check {
        /// The file to check
        file: PathBuf,
    },
    /// Fill tandem.toml and the applications' environments out of Terraform's outputs
    FromTerraform(super::infra::config::Args),
}

#[derive(clap::Args)]
struct Explain {
    /// A key (`policy.authority.ttl_ms`), a section (`policy.exposure`) or a name (`ttl_ms`)
    key: Option<String>,
    /// Show the values of this file and where they come from
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

/// One explained key, as JSON prints it.
#[derive(Serialize)]
struct Row {
    key: String,
    meaning: &'static str,
    value: Option<String>,
    origin: String,
    unit: &'static str,
    bounds: String,
    why: &'static str,
}

/// What `-o json` prints; the name of its shape goes up when a field changes its meaning.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    keys: Vec<Row>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check { file } => Ok(check(&file)),
        Command::Explain(explain) => explain.run(),
        Command::FromTerraform(args) => super::infra::config::run(&args),
    }
}

fn check(file: &Path) -> ExitCode {
    match read(file).and_then(|text| Config::parse(&text).map_err(|faults| refuse(file, &faults))) {
        Ok(config) => {
            println!("{}: no faults ({})", file.display(), summary(&config));
            ExitCode::SUCCESS
        }
        Err(refused) => refused,
    }
}

fn summary(config: &Config) -> String {
    let sites: Vec<&str> = config.sites.keys().map(|name| name.as_str()).collect();
    let mode = format!("{:?}", config.policy.mode).to_lowercase();
    let sites = sites.join(" and ");
    format!("cluster {}, sites {sites}, mode {mode}", config.cluster)
}

fn refuse(file: &Path, faults: &config::Faults) -> ExitCode {
    eprintln!("{}: {faults}", file.display());
    ExitCode::from(2)
}

/// The text of a file; the exit code says that what was asked for cannot be read.
fn read(file: &Path) -> Result<String, ExitCode> {
    fs::read_to_string(file).map_err(|error| {
        eprintln!(
            "cannot read {}: {error}; name a tandem.toml that exists",
            file.display()
        );
        ExitCode::from(2)
    })
}

impl Explain {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let keys: Vec<&'static Key> = match &self.key {
            Some(text) => config::matching(text).collect(),
            None => config::KEYS.iter().collect(),
        };
        if keys.is_empty() {
            let wanted = self.key.as_deref().unwrap_or_default();
            eprintln!("there is no key `{wanted}`; `tandem config explain` lists them all");
            return Ok(ExitCode::from(2));
        }
        let entries = match self.entries() {
            Ok(entries) => entries,
            Err(refused) => return Ok(refused),
        };
        let values = keys.iter().filter(|key| !key.is_section());
        let rows: Vec<Row> = values
            .flat_map(|key| rows(key, &entries, self.config.as_deref()))
            .collect();
        match self.output {
            Output::Json => print_json(rows)?,
            Output::Table => rows.iter().for_each(|row| print!("{row}")),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Explain {
    fn entries(&self) -> Result<Vec<Entry>, ExitCode> {
        let Some(file) = &self.config else {
            return Ok(Vec::new());
        };
        let mut entries = Config::entries(&read(file)?).map_err(|faults| refuse(file, &faults))?;
        // `sites.aws.store` asks for this one place, `store` for every place.
        let wanted = self.key.as_deref().unwrap_or_default();
        if entries
            .iter()
            .any(|entry| stands_below(&entry.path, wanted))
        {
            entries.retain(|entry| stands_below(&entry.path, wanted));
        }
        Ok(entries)
    }
}

/// Whether a path is `section` or stands in it.
fn stands_below(path: &str, section: &str) -> bool {
    let rest = path.strip_prefix(section);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// One row for each place of the file where the key stands, else one for the key itself.
fn rows(key: &'static Key, entries: &[Entry], file: Option<&Path>) -> Vec<Row> {
    let row = |path: &str, value, origin| Row {
        key: path.to_string(),
        meaning: key.meaning,
        value,
        origin,
        unit: key.unit(),
        bounds: key.kind.bounds(),
        why: key.why,
    };
    let found: Vec<Row> = entries
        .iter()
        .filter(|entry| entry.key.path == key.path)
        .map(|entry| {
            row(
                &entry.path,
                Some(entry.value.clone()),
                origin(entry.origin, file),
            )
        })
        .collect();
    if !found.is_empty() {
        return found;
    }
    let (value, origin) = match key.need {
        Need::Default(value) => (Some(value.to_string()), "default"),
        Need::Required => (None, "required"),
        Need::Optional => (None, "optional"),
        Need::Absent => (None, "not allowed"),
    };
    vec![row(key.path, value, origin.to_string())]
}

fn origin(origin: Origin, file: Option<&Path>) -> String {
    let name = file
        .map(|file| file.display().to_string())
        .unwrap_or_default();
    match origin {
        Origin::Line(line) => format!("{name}:{line}"),
        Origin::Default => "default".to_string(),
    }
}

fn print_json(keys: Vec<Row>) -> anyhow::Result<()> {
    let document = Document {
        schema: "tandem.config.explain.v1",
        keys,
    };
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self
            .value
            .as_deref()
            .map(|value| format!(" = {value}"))
            .unwrap_or_default();
        writeln!(f, "{}{value}  ({})", self.key, self.origin)?;
        writeln!(f, "    {}.", self.meaning)?;
        let unit = if self.unit.is_empty() {
            String::new()
        } else {
            format!(", in {}", self.unit)
        };
        writeln!(f, "    May be: {}{unit}.", self.bounds)?;
        if !self.why.is_empty() {
            writeln!(f, "    Why: {}.", self.why)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../docs/examples/tandem.toml");

    fn explained(path: &str, text: Option<&str>) -> Vec<String> {
        let entries = text.map(|text| Config::entries(text).expect("the example is good"));
        let file = Path::new("tandem.toml");
        let key = config::find(path).expect("a key");
        let rows = rows(key, &entries.unwrap_or_default(), Some(file));
        rows.iter().map(|row| row.to_string()).collect()
    }

    #[test]
    fn a_key_is_explained_without_a_file() {
        let expected = "policy.detection.failures = 3  (default)\n    \
            Failed probes in a row after which a site counts as lost.\n    \
            May be: a whole number from 1 to 100.\n    \
            Why: one proves nothing; many delay the verdict.\n";
        assert_eq!(explained("policy.detection.failures", None), [expected]);
        assert!(explained("policy.authority.ttl_ms", None)[0].contains("(required)"));
    }

    #[test]
    fn a_file_gives_values_and_lines() {
        let rows = explained("sites.*.agents[].name", Some(EXAMPLE));
        assert_eq!(rows.len(), 4);
        assert!(rows[0].starts_with("sites.aws.agents[0].name = \"aws-1\"  (tandem.toml:"));
    }

    #[test]
    fn a_section_holds_what_stands_below_it() {
        assert!(stands_below("sites.aws.agents[0].name", "sites.aws.agents"));
        assert!(stands_below("sites.aws.store", "sites.aws.store"));
        assert!(!stands_below("sites.aws.store", "sites.a"));
    }

    #[test]
    fn every_key_prints_as_json() {
        let keys: Vec<Row> = config::KEYS
            .iter()
            .flat_map(|key| rows(key, &[], None))
            .collect();
        let document = Document {
            schema: "tandem.config.explain.v1",
            keys,
        };
        let json = serde_json::to_value(&document).expect("plain data");
        assert!(
            json["keys"]
                .as_array()
                .is_some_and(|keys| keys.len() == config::KEYS.len())
        );
    }
}
