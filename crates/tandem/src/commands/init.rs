//! `tandem init`: creates the authority record of a new cluster, once; before it, certificates.

use std::path::PathBuf;
use std::process::ExitCode;

use tandem_agent::{InitError, connect_store, initialise};
use tandem_core::authority::Record;
use tandem_core::model::SiteId;

use tandem_tls::Credentials;

use super::agent::{USAGE, read_config};
use super::certificates;

/// Refused by a safety rule.
const REFUSED: u8 = 5;

/// Arguments of `tandem init`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// The site that opens in epoch 1; `policy.first_primary` if not given
    #[arg(long, value_name = "SITE")]
    first_primary: Option<SiteId>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make the cluster's certificate authority and everybody's certificates
    Certificates(certificates::Args),
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(Command::Certificates(args)) = args.command {
        return certificates::run(&args);
    }
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let first = args.first_primary.unwrap_or(config.policy.first_primary);
    let credentials = Credentials::of_person(&config)?;
    let store = connect_store(&config, first, credentials.as_ref());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(initialise(&store, &config, first)) {
        Ok(record) => {
            print(&record);
            Ok(ExitCode::SUCCESS)
        }
        Err(InitError::Exists {
            cluster,
            revision,
            value,
        }) => {
            eprintln!(
                "refused: the cluster `{cluster}` has an authority record already, written at revision {revision}:"
            );
            eprintln!("  {value}");
            eprintln!(
                "nothing was changed; a cluster is initialised once, agents go on with what they find"
            );
            Ok(ExitCode::from(REFUSED))
        }
        Err(error @ InitError::NoSuchSite(_)) => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(USAGE))
        }
        Err(error) => Err(error.into()),
    }
}

fn print(record: &Record) {
    println!("cluster        {}", record.identity.cluster);
    println!("store          {}", record.identity.store);
    println!("first primary  {}", record.site);
    println!("epoch          {}", record.epoch);
    println!(
        "The agents of {} open it for writes as soon as they run.",
        record.site
    );
}
