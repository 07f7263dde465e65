//! `tandem infra`: the six phases from one command.
//!
//! Only words here: what follows what, what is lost and what is proven is
//! decided in `tandem-infra`.

pub(crate) mod config;
mod drive;
mod import;
mod keys;
mod lab;
mod person;
mod runtime;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use tandem_infra::phases::{Phase, Stop};

/// Arguments of `tandem infra`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem infra keys                        the VPN keys, in a form that AWS accepts
  tandem infra preflight                   everything that would fail later, at once
  tandem infra plan                        what an apply would change
  tandem infra apply                       all phases, with a question before each change
  tandem infra apply --phase vpn           one phase
  tandem infra status --checklist          the 22 rows of the guide, each proven now
  tandem infra destroy --confirm crm-dr    everything, in the reverse order

A run that stopped or was killed goes on where it was: the same command again.
Secrets come from TF_VAR_NAME, from files of --secrets DIR, and from CLOUDFLARE_API_TOKEN.

Exit codes: 0 done, 1 failed, 2 wrong request, 3 changes found (plan), 4 not authorised,
5 refused, 6 in part, 130 interrupted.")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Place,
}

/// Where files and tools are.
#[derive(clap::Args, Clone)]
pub(crate) struct Place {
    /// Folder with aws/, gcp/ and global/, directly or below environments/
    #[arg(long, global = true, value_name = "DIR", default_value = "terraform")]
    infra: PathBuf,
    /// Folder of vpn_tunnel1_key.txt and vpn_tunnel2_key.txt; by default the home folder
    #[arg(long, global = true, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Folder of secret files, each named as its Terraform variable
    #[arg(long, global = true, value_name = "DIR")]
    secrets: Option<PathBuf>,
    /// terraform, tofu, or the path of either
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        env = "TERRAFORM",
        default_value = "terraform"
    )]
    terraform: String,
    /// The policy, for replication and for the apply lock in etcd
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "tandem.toml"
    )]
    config: PathBuf,
}

/// Which phases, and who agrees.
#[derive(clap::Args, Clone)]
pub(crate) struct Change {
    /// Only this phase; may be given more than once
    #[arg(long, value_name = "PHASE")]
    phase: Vec<Phase>,
    /// Agree to plans that lose nothing
    #[arg(long)]
    yes: bool,
    /// Agree to a plan that loses databases, caches or clusters: the AWS cluster's name
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Never ask; refuse instead
    #[arg(long)]
    no_input: bool,
    /// Change both clouds at once
    #[arg(long)]
    side_by_side: bool,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make or rotate the VPN tunnels' pre-shared keys
    Keys(keys::Args),
    /// Find everything that an apply would trip over, before anything is changed
    Preflight(show::PreflightArgs),
    /// Show what an apply or a destroy would change
    Plan(drive::PlanArgs),
    /// Build the phases, or go on where a run stopped
    Apply(Change),
    /// Take the phases away, in the reverse order
    Destroy(Change),
    /// Show what is done and, with --checklist, what is proven
    Status(show::StatusArgs),
    /// Prove one phase, whoever applied it
    Verify(show::VerifyArgs),
    /// Show the outputs that are no secrets
    Outputs(show::OutputArgs),
    /// Build the private link of the applied state in network namespaces and break it
    VpnLab(lab::Args),
    /// Print import or moved blocks for what was made by hand
    Import(import::Args),
    /// Refuse applies until `unlock`
    Lock {
        /// Why; whoever is refused reads it
        #[arg(long)]
        reason: String,
        /// Your name
        #[arg(long, env = "USER", default_value = "somebody")]
        by: String,
    },
    /// Allow applies again
    Unlock,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let place = args.place;
    let result = match args.verb {
        Verb::Keys(args) => keys::run(&place, &args),
        Verb::Preflight(args) => show::preflight(&place, &args),
        Verb::Plan(args) => drive::plan(&place, &args),
        Verb::Apply(change) => drive::apply(&place, &change),
        Verb::Destroy(change) => drive::destroy(&place, &change),
        Verb::Status(args) => show::status(&place, &args),
        Verb::Verify(args) => show::verify(&place, &args),
        Verb::Outputs(args) => show::outputs(&place, &args),
        Verb::VpnLab(args) => lab::run(&place, &args),
        Verb::Import(args) => import::run(&place, &args),
        Verb::Lock { reason, by } => show::lock(&place, &by, &reason),
        Verb::Unlock => show::unlock(&place),
    };
    Ok(result.unwrap_or_else(|stop: Stop| {
        eprintln!("error: {stop}");
        ExitCode::from(stop.kind.exit_code())
    }))
}
