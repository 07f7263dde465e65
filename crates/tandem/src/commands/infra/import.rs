//! `tandem infra import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tandem_infra::import::{blocks, matches, replaced};
use tandem_infra::phases::{Kind, Root, Stop};
use tandem_infra::read::{PLAN_BYTES_MAX, read_bounded};

use super::Place;
use super::drive::Session;

#[derive(clap::Args)]
pub(super) struct Args {
    /// `terraform show -json` of the state that was made by hand
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    from: Option<PathBuf>,
    /// Which root takes it over
    #[arg(long, value_enum)]
    root: Cloud,
    /// The root uses that very state: print moved blocks instead of import blocks
    #[arg(long)]
    same_state: bool,
    /// Plan with the blocks in place, and tell what would be replaced and which variable keeps it
    #[arg(long, conflicts_with_all = ["from", "same_state"])]
    check: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Cloud {
    Aws,
    Gcp,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<ExitCode, Stop> {
    let root = match args.root {
        Cloud::Aws => Root::Aws,
        Cloud::Gcp => Root::Gcp,
    };
    let old = args.from.as_deref().map(read_state).transpose()?;
    let session = Session::open(place)?;
    let lock = session.lock()?;
    let say = |_: Root, _: &str| ();
    let terraform = session.terraform(&session.secrets, &lock, 0, &say);
    let plan = terraform.plan_as_json(root)?;
    match old {
        Some(old) => print_blocks(&old, &plan, root, args.same_state),
        None => check(&plan),
    }
}

fn read_state(path: &Path) -> Result<Value, Stop> {
    let text = read_bounded(path, PLAN_BYTES_MAX)?;
    serde_json::from_str(&text).map_err(|error| {
        let problem = format!("{} is no JSON: {error}", path.display());
        Stop::new(
            Kind::Usage,
            problem,
            "write it with `terraform show -json > FILE`",
        )
    })
}

fn print_blocks(old: &Value, plan: &Value, root: Root, same_state: bool) -> Result<ExitCode, Stop> {
    let found = matches(old, plan);
    print!("{}", blocks(&found, same_state));
    eprintln!(
        "{} resources matched; put the blocks into imports.tf of {}, then `tandem infra import --root {} --check`",
        found.matched.len(),
        root.folder(),
        root.word()
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

fn check(plan: &Value) -> Result<ExitCode, Stop> {
    let lost = replaced(plan);
    for one in &lost {
        println!("{one}");
    }
    if lost.is_empty() {
        println!("nothing would be destroyed or replaced");
        return Ok(ExitCode::SUCCESS);
    }
    Err(Stop::refused(
        format!("{} resources would be destroyed or replaced", lost.len()),
        "set the variables named above to what stands, then the same command again",
    ))
}
