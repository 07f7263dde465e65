//! `tandem ledger`: what a failed primary had acknowledged and the survivor never got.
//!
//! Values are masked unless a person asks for them; an export is for that person alone (mode
//! 0600), or encrypted to a public key. What was erased stays listed, without its rows.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use tandem_core::config::Config;
use tandem_core::model::{Epoch, SiteId};
use tandem_postgres::ledger::{self, Entry, Ledger};
use tandem_postgres::tail::{Op, Row};

use super::agent::{USAGE, read_config};
use super::person::{Output, block_on, end, print_json};

const EXAMPLES: &str = "\
Examples:
  tandem ledger list
  tandem ledger show 4                                     values masked
  tandem ledger show 4 --reveal -o json
  tandem ledger export 4 --format sql --to lost.sql        mode 0600
  tandem ledger export 4 --format jsonl --to lost.age --recipient age1...
  tandem ledger erase 4 --by kim --confirm crm";

/// Arguments of `tandem ledger`.
#[derive(clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The configuration as seen from this place
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "tandem.toml"
    )]
    config: PathBuf,
    /// The form of the answer
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    output: Output,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Every ledger of both sites
    List,
    /// The changes of one ledger; values are masked
    Show {
        /// The ledger's number: the epoch for which the survivor was prepared
        ledger: u64,
        /// Show values too
        #[arg(long)]
        reveal: bool,
    },
    /// Write a ledger with its values into a file that only you may read
    Export {
        /// The ledger's number
        ledger: u64,
        /// What is written
        #[arg(long, value_enum)]
        format: Format,
        /// The file; it must not exist
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Encrypt to this age public key
        #[arg(long, value_name = "AGE1...")]
        recipient: Option<String>,
    },
    /// Remove the rows of a ledger for good
    Erase {
        /// The ledger's number; or all that are older than --older-than
        #[arg(required_unless_present = "older_than")]
        ledger: Option<u64>,
        /// Every ledger written more than so many days ago
        #[arg(long, value_name = "DAYS", conflicts_with = "ledger")]
        older_than: Option<u32>,
        /// Who; kept with the empty ledger
        #[arg(long)]
        by: String,
        /// The cluster's name
        #[arg(long, value_name = "CLUSTER")]
        confirm: String,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A JSON document a line
    Jsonl,
    /// Statements for the survivor: mergeable ones ready, conflicts as comments
    Sql,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    block_on(async {
        match &args.verb {
            Verb::List => list(&config, args.output).await,
            Verb::Show { ledger, reveal } => {
                show(&config, Epoch(*ledger), *reveal, args.output).await
            }
            Verb::Export {
                ledger,
                format,
                to,
                recipient,
            } => export(&config, Epoch(*ledger), *format, to, recipient.as_deref()).await,
            Verb::Erase {
                ledger,
                older_than,
                by,
                confirm,
            } => {
                if *confirm != *config.cluster {
                    let said = format!(
                        "--confirm names `{confirm}`, this cluster is `{}`",
                        config.cluster
                    );
                    return Err(end(USAGE, said));
                }
                erase(&config, ledger.map(Epoch), *older_than, by).await
            }
        }
    })
}

/// Every ledger with the site where it stands; a silent site is told.
async fn every(config: &Config) -> anyhow::Result<Vec<(SiteId, Ledger)>> {
    let mut found = Vec::new();
    let mut silent = Vec::new();
    for site in config.sites.keys() {
        match ledger::list(config, *site).await {
            Ok(ledgers) => found.extend(ledgers.into_iter().map(|ledger| (*site, ledger))),
            Err(error) => silent.push((*site, error)),
        }
    }
    if silent.len() == config.sites.len()
        && let Some((site, error)) = silent.pop()
    {
        return Err(error).with_context(|| format!("ledgers of {site}"));
    }
    for (site, error) in silent {
        eprintln!("{site} does not answer, its ledgers are not listed: {error}");
    }
    found.sort_by_key(|(_, ledger)| ledger.epoch);
    Ok(found)
}

async fn find(config: &Config, epoch: Epoch) -> anyhow::Result<(SiteId, Ledger)> {
    let found = every(config).await?;
    let known: Vec<_> = found
        .iter()
        .map(|(_, ledger)| ledger.epoch.to_string())
        .collect();
    let ours = found.into_iter().find(|(_, ledger)| ledger.epoch == epoch);
    ours.ok_or_else(|| {
        end(
            USAGE,
            format!(
                "there is no ledger {epoch}; there are: {}",
                known.join(", ")
            ),
        )
    })
}

async fn list(config: &Config, output: Output) -> anyhow::Result<ExitCode> {
    let found = every(config).await?;
    if output == Output::Json {
        let ledgers: Vec<_> = found
            .iter()
            .map(|(site, ledger)| json!({ "at": site, "ledger": ledger }))
            .collect();
        print_json(&json!({ "schema": "tandem.ledgers.v1", "ledgers": ledgers }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        println!("no ledger; there was no promotion whose old primary came back");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    let header = [
        "LEDGER",
        "FROM",
        "AT",
        "TRANSACTIONS",
        "CHANGES",
        "CONFLICTS",
        "STATE",
    ];
    table.load_style(presets::NOTHING).set_header(header);
    for (site, ledger) in &found {
        let state = match (&ledger.problem, ledger.erased) {
            (Some(problem), _) => format!("not readable: {problem}"),
            (None, true) => "erased".into(),
            (None, false) => "kept".into(),
        };
        let cells = [
            ledger.epoch.to_string(),
            ledger.from.to_string(),
            site.to_string(),
        ];
        let counts = [ledger.transactions, ledger.changes, ledger.conflicts].map(|n| n.to_string());
        table.add_row(cells.into_iter().chain(counts).chain([state]));
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

async fn entries(config: &Config, site: SiteId, epoch: Epoch) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut take = |entry| entries.push(entry);
    ledger::changes(config, site, epoch, &mut take).await?;
    Ok(entries)
}

async fn show(
    config: &Config,
    epoch: Epoch,
    reveal: bool,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (site, ledger) = find(config, epoch).await?;
    let entries = entries(config, site, epoch).await?;
    let documents = entries.iter().map(|entry| document(entry, reveal));
    if output == Output::Json {
        let changes: Vec<Value> = documents.collect();
        print_json(&json!({
            "schema": "tandem.ledger.v1", "at": site, "ledger": ledger, "masked": !reveal, "changes": changes,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for entry in &entries {
        let row = if entry.change.op == Op::Delete {
            Row::new()
        } else {
            masked(&entry.change.row, reveal)
        };
        println!(
            "{} {} {:<14} {} {} {} {}",
            entry.commit_end,
            entry.committed_at,
            entry.class.to_string(),
            entry.change.op,
            entry.change.table,
            pairs(&shown_key(&entry.change.key, reveal)),
            pairs(&row)
        );
    }
    println!(
        "{} transaction(s), {} change(s) of {}",
        ledger.transactions,
        entries.len(),
        ledger.from
    );
    Ok(ExitCode::SUCCESS)
}

fn pairs(row: &Row) -> String {
    let pair = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    };
    row.iter().map(pair).collect::<Vec<_>>().join(" ")
}

fn document(entry: &Entry, reveal: bool) -> Value {
    json!({
        "n": entry.n, "xid": entry.xid, "commit_end": entry.commit_end, "committed_at": entry.committed_at.to_string(),
        "class": entry.class, "op": entry.change.op, "table": entry.change.table.to_string(),
        "key": shown_key(&entry.change.key, reveal), "row": masked(&entry.change.row, reveal),
        "unchanged": entry.change.unchanged,
    })
}

/// Numbers and UUIDs name a row and say nothing about a person; other keys are masked.
fn shown_key(key: &Row, reveal: bool) -> Row {
    let plain = |text: &str| {
        let uuid = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        uuid || text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    };
    mask(key, |value| reveal || value.as_str().is_some_and(plain))
}

fn masked(row: &Row, reveal: bool) -> Row {
    mask(row, |_| reveal)
}

fn mask(row: &Row, open: impl Fn(&Value) -> bool) -> Row {
    let one = |(name, value): (&String, &Value)| {
        let shown = value.is_null() || open(value);
        (
            name.clone(),
            if shown { value.clone() } else { "***".into() },
        )
    };
    row.iter().map(one).collect()
}

async fn export(
    config: &Config,
    epoch: Epoch,
    format: Format,
    to: &Path,
    recipient: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let recipient = recipient
        .map(|text| text.parse::<age::x25519::Recipient>())
        .transpose()
        .map_err(|error| {
            end(
                USAGE,
                format!("--recipient: {error}; write an age public key, age1..."),
            )
        })?;
    let (site, ledger) = find(config, epoch).await?;
    let entries = entries(config, site, epoch).await?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to);
    let file = BufWriter::new(file.with_context(|| format!("{} cannot be made", to.display()))?);
    match recipient {
        None => write(file, &ledger, &entries, format)?.flush()?,
        Some(recipient) => {
            let one: [&dyn age::Recipient; 1] = [&recipient];
            let encryptor = age::Encryptor::with_recipients(one.into_iter())?;
            let sealed = write(encryptor.wrap_output(file)?, &ledger, &entries, format)?;
            sealed.finish()?.flush()?;
        }
    }
    println!(
        "{} change(s) of ledger {epoch} in {}",
        entries.len(),
        to.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn write<W: Write>(
    mut to: W,
    ledger: &Ledger,
    entries: &[Entry],
    format: Format,
) -> anyhow::Result<W> {
    match format {
        Format::Jsonl => {
            for entry in entries {
                writeln!(to, "{}", document(entry, true))?;
            }
        }
        Format::Sql => {
            writeln!(
                to,
                "-- Ledger {} of {}: apply as an ordinary user at the present primary.",
                ledger.epoch, ledger.from
            )?;
            writeln!(
                to,
                "-- The classes are as of its writing: look whether a row was changed since."
            )?;
            writeln!(to, "BEGIN;")?;
            for entry in entries {
                // A comment ends at either kind of line end, wherever a value brings one.
                let line = statement(entry).replace(['\n', '\r'], "\n-- ");
                match entry.class.is_conflict() {
                    true => writeln!(to, "-- {}: {line}", entry.class)?,
                    false => writeln!(to, "{}", statement(entry))?,
                }
            }
            writeln!(to, "COMMIT;")?;
        }
    }
    Ok(to)
}

/// The change as a statement. An UPDATE writes only what the log holds of the row.
fn statement(entry: &Entry) -> String {
    let change = &entry.change;
    let (table, key) = (&change.table, matches(&change.key));
    match change.op {
        Op::Insert => {
            let names: Vec<_> = change.row.keys().map(|name| ident(name)).collect();
            let values: Vec<_> = change.row.values().map(literal).collect();
            format!(
                "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE VALUES ({});",
                names.join(", "),
                values.join(", ")
            )
        }
        Op::Update => {
            // A key that stays is not written: an identity column takes no value.
            let moved = change
                .row
                .iter()
                .filter(|(name, value)| change.key.get(*name) != Some(*value));
            let set = moved.map(|(name, value)| format!("{} = {}", ident(name), literal(value)));
            format!(
                "UPDATE {table} SET {} WHERE {key};",
                set.collect::<Vec<_>>().join(", ")
            )
        }
        Op::Delete => format!("DELETE FROM {table} WHERE {key};"),
        Op::Truncate => format!("TRUNCATE {table};"),
    }
}

fn matches(key: &Row) -> String {
    let one = |(name, value): (&String, &Value)| match value {
        Value::Null => format!("{} IS NULL", ident(name)),
        value => format!("{} = {}", ident(name), literal(value)),
    };
    key.iter().map(one).collect::<Vec<_>>().join(" AND ")
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal; the server reads it as the column's type.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\\') => {
            format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
        }
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        _ => "NULL".into(),
    }
}

async fn erase(
    config: &Config,
    one: Option<Epoch>,
    older_than: Option<u32>,
    by: &str,
) -> anyhow::Result<ExitCode> {
    let limit = older_than.map(|days| {
        let now = jiff::Timestamp::now().as_microsecond();
        now - i64::from(days) * 86_400_000_000
    });
    let chosen = |ledger: &Ledger| match limit {
        Some(limit) => ledger.collected_us < limit && !ledger.erased,
        None => Some(ledger.epoch) == one,
    };
    let found = every(config).await?;
    let chosen: Vec<_> = found.iter().filter(|(_, ledger)| chosen(ledger)).collect();
    if let (true, Some(epoch)) = (chosen.is_empty(), one) {
        return Err(end(USAGE, format!("there is no ledger {epoch}")));
    }
    for (site, ledger) in &chosen {
        let gone = ledger::erase(config, *site, ledger.epoch, by)
            .await?
            .unwrap_or(0);
        println!("ledger {}: {gone} change(s) erased for good", ledger.epoch);
    }
    println!("{} ledger(s) erased", chosen.len());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_core::model::Lsn;
    use tandem_postgres::ledger::Class;
    use tandem_postgres::tail::{Change, Table};

    fn row(pairs: &[(&str, Value)]) -> Row {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    fn entry(op: Op, class: Class) -> Entry {
        Entry {
            n: 0,
            xid: 7,
            commit_end: Lsn(9),
            committed_at: jiff::Timestamp::UNIX_EPOCH,
            class,
            change: Change {
                table: Table {
                    schema: "public".into(),
                    name: "contact".into(),
                },
                op,
                key: row(&[("id", "1".into())]),
                row: row(&[
                    ("id", "1".into()),
                    ("name", "it's".into()),
                    ("note", Value::Null),
                ]),
                unchanged: Vec::new(),
                keyless: false,
            },
        }
    }

    #[test]
    fn values_are_masked_and_keys_that_are_numbers_are_not() {
        let shown = document(&entry(Op::Insert, Class::Mergeable), false);
        assert_eq!(shown["row"]["name"], "***");
        assert_eq!(
            (&shown["row"]["note"], &shown["key"]["id"]),
            (&Value::Null, &"1".into())
        );
        let key = row(&[("email", "kim@example.com".into())]);
        assert_eq!(shown_key(&key, false)["email"], "***");
        assert_eq!(shown_key(&key, true)["email"], "kim@example.com");
    }

    #[test]
    fn statements_quote_what_they_hold_and_conflicts_are_comments() {
        let sql = |op| statement(&entry(op, Class::Mergeable));
        assert_eq!(
            sql(Op::Update),
            r#"UPDATE public.contact SET "name" = 'it''s', "note" = NULL WHERE "id" = '1';"#
        );
        assert_eq!(
            sql(Op::Delete),
            r#"DELETE FROM public.contact WHERE "id" = '1';"#
        );
        assert_eq!(literal(&r"a\'".into()), r"E'a\\'''");
        let ledger = Ledger {
            epoch: Epoch(2),
            from: "aws".parse().expect("a site"),
            boundary: Lsn(1),
            transactions: 1,
            changes: 1,
            conflicts: 1,
            problem: None,
            collected_us: 0,
            erased: false,
        };
        let written = write(
            Vec::new(),
            &ledger,
            &[entry(Op::Delete, Class::ChangedSince)],
            Format::Sql,
        );
        let text = String::from_utf8(written.expect("written")).expect("text");
        assert!(text.contains("-- changed-since: DELETE"), "{text}");
        let mut sly = entry(Op::Insert, Class::ExistsSince);
        sly.change.row = row(&[("note", "x\rDROP TABLE contact; --".into())]);
        let written = write(Vec::new(), &ledger, &[sly], Format::Sql).expect("written");
        let text = String::from_utf8(written).expect("text");
        let bare = text
            .split(['\n', '\r'])
            .find(|line| line.starts_with("DROP"));
        assert_eq!(bare, None, "{text}");
    }
}
