//! `tandem infra import`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use tandem_infra::import::{blocks, matches};
use tandem_infra::phases::{Kind, Root, Stop};
use tandem_infra::read::{PLAN_BYTES_MAX, read_bounded};

use super::Place;
use super::drive::Session;

#[derive(clap::Args)]
pub(super) struct Args {
    /// `terraform show -json` of the state that was made by hand
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Which root takes it over
    #[arg(long, value_enum)]
    root: Cloud,
    /// The root uses that very state: print moved blocks instead of import blocks
    #[arg(long)]
    same_state: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Cloud {
    Aws,
    Gcp,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<ExitCode, Stop> {
    let text = read_bounded(&args.from, PLAN_BYTES_MAX)?;
    let old: Value = serde_json::from_str(&text).map_err(|error| {
        let problem = format!("{} is no JSON: {error}", args.from.display());
        Stop::new(
            Kind::Usage,
            problem,
            "write it with `terraform show -json > FILE`",
        )
    })?;
    let session = Session::open(place)?;
    let lock = session.lock()?;
    let say = |_: Root, _: &str| ();
    let terraform = session.terraform(&session.secrets, &lock, 0, &say);
    let root = match args.root {
        Cloud::Aws => Root::Aws,
        Cloud::Gcp => Root::Gcp,
    };
    let plan = terraform.plan_as_json(root)?;
    let found = matches(&old, &plan);
    print!("{}", blocks(&found, args.same_state));
    eprintln!(
        "{} resources matched; put the blocks into imports.tf of {} and plan",
        found.matched.len(),
        root.folder()
    );
    if found.left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Stop::refused(
        format!(
            "these stand and have no place in the plan: {}",
            found.left.join(", ")
        ),
        "set the variables to their names, or switch the module off and give their ids (create_... = false)",
    ))
}
