//! `tandem ledger`: what a failed primary had acknowledged and the survivor never got.
//!
//! Values are masked unless a person asks for them; an export is for that person alone (mode
//! 0600), or encrypted to a public key. What was erased stays listed, without its rows.

mod export;

use std::io::{BufWriter, IntoInnerError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use tandem_core::config::Config;
use tandem_core::model::{Epoch, SiteId};
use tandem_postgres::ledger::{self, Entry, Ledger};
use tandem_postgres::tail::{Op, Row};
use tempfile::NamedTempFile;

use super::agent::{USAGE, read_config};
use super::person::{Output, block_on, end, print_json};
use export::{Format, document, masked, shown_key, write};

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
    whole_or_not_at_all(to, |file| match recipient {
        None => write(file, &ledger, &entries, format),
        Some(recipient) => {
            let one: [&dyn age::Recipient; 1] = [&recipient];
            let encryptor = age::Encryptor::with_recipients(one.into_iter())?;
            let sealed = write(encryptor.wrap_output(file)?, &ledger, &entries, format)?;
            Ok(sealed.finish()?)
        }
    })
    .with_context(|| format!("{} cannot be made", to.display()))?;
    println!(
        "{} change(s) of ledger {epoch} in {}",
        entries.len(),
        to.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// A new file (mode 0600) that stands under its name only when everything in it is on the disk.
fn whole_or_not_at_all(
    to: &Path,
    fill: impl FnOnce(BufWriter<NamedTempFile>) -> anyhow::Result<BufWriter<NamedTempFile>>,
) -> anyhow::Result<()> {
    let folder = to
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let filled = fill(BufWriter::new(NamedTempFile::new_in(folder)?))?;
    let file = filled.into_inner().map_err(IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(to)?;
    Ok(())
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
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_failed_export_leaves_nothing_and_none_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("lost.sql");
        let full = whole_or_not_at_all(&to, |_| anyhow::bail!("no room"));
        assert!(full.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let one = |mut file: BufWriter<NamedTempFile>| {
            writeln!(file, "one")?;
            Ok(file)
        };
        whole_or_not_at_all(&to, one).unwrap();
        assert!(whole_or_not_at_all(&to, Ok).is_err());
        assert_eq!(fs::read_to_string(&to).unwrap(), "one\n");
        let mode = fs::metadata(&to).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
