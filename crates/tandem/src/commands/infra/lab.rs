//! `tandem infra vpn-lab`.

use std::process::ExitCode;

use serde_json::json;
use tandem_infra::phases::{Root, Stop};
use tandem_infra::vpn_lab::compare::compare;
use tandem_infra::vpn_lab::halves::{Halves, example};
use tandem_infra::vpn_lab::{Named, bench, run};

use super::Place;
use super::drive::Session;

/// In part: compared, but not built.
const SKIPPED: u8 = 6;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The guide's values instead of what is applied
    #[arg(long)]
    example: bool,
    /// Also inject nine mistakes and demand that each is named
    #[arg(long)]
    mistakes: bool,
    /// Print the measurements as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<ExitCode, Stop> {
    let halves = if args.example {
        example()
    } else {
        applied(place)?
    };
    let differences = compare(&halves);
    if !differences.is_empty() {
        return Err(wrong("the halves do not mirror each other", &differences));
    }
    eprintln!("compared: both halves mirror each other");
    if let Some(why) = bench::obstacle() {
        println!("skipped: the link was compared but not built: {why}");
        return Ok(ExitCode::from(SKIPPED));
    }
    let say = |line: &str| eprintln!("{line}");
    let since = std::time::Instant::now();
    let healthy =
        run::healthy(&halves, &say).map_err(|named| wrong("the link does not come up", &named))?;
    let injected = if args.mistakes {
        run::mistakes(&halves, &say).map_err(|why| Stop::failed(why, "run it again"))?
    } else {
        Vec::new()
    };
    let whole_ms = since.elapsed().as_millis();
    let missed = injected
        .iter()
        .filter(|injected| injected.named.is_none())
        .count();
    if args.json {
        println!(
            "{:#}",
            json!({"schema": "tandem.infra.vpn-lab.v1", "healthy": healthy, "injected": injected, "whole_ms": whole_ms})
        );
    } else {
        println!(
            "up in {} ms, dead tunnel left in {} ms, dead interface in {} ms, whole run {whole_ms} ms",
            healthy.up_ms, healthy.tunnel_lost_ms, healthy.interface_lost_ms
        );
    }
    let good = missed == 0 && healthy.silent_pairs.is_empty();
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn wrong(title: &str, named: &[Named]) -> Stop {
    let lines: Vec<String> = named.iter().map(ToString::to_string).collect();
    Stop::failed(
        format!("{title}:\n  {}", lines.join("\n  ")),
        "put it right in the module that holds the setting, apply phase vpn, run the lab again",
    )
}

fn applied(place: &Place) -> Result<Halves, Stop> {
    let session = Session::open(place)?;
    let lock = session.lock()?;
    let say = |_: Root, _: &str| ();
    let terraform = session.terraform(&session.secrets, &lock, 0, &say);
    let (aws, gcp) = (terraform.state(Root::Aws)?, terraform.state(Root::Gcp)?);
    Halves::read(&aws, &gcp).map_err(|lacking| {
        let fix = "tandem infra apply --phase vpn; or look at the guide's values with --example";
        Stop::failed(format!("the link is not applied: {lacking}"), fix)
    })
}
