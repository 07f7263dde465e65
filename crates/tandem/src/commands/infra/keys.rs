//! `tandem infra keys`.

use std::process::ExitCode;

use tandem_infra::keys;
use tandem_infra::phases::{Kind, Stop};

use super::Place;

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many tunnels get a key of ours; AWS makes the others
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=4))]
    tunnels: u8,
    /// Replace the key of this tunnel; its old file is kept beside it
    #[arg(long, value_name = "TUNNEL", value_parser = clap::value_parser!(u8).range(1..=4))]
    rotate: Option<u8>,
}

pub(super) fn run(place: &Place, args: &Args) -> Result<ExitCode, Stop> {
    let folder = place.key_folder()?;
    if let Some(tunnel) = args.rotate {
        let stamp = jiff::Zoned::now().strftime("%Y-%m-%dT%H%M%S").to_string();
        println!("{}", keys::rotate(&folder, tunnel, &stamp)?);
        println!(
            "`tandem infra apply --phase vpn` replaces this one tunnel; the other three carry on"
        );
        return Ok(ExitCode::SUCCESS);
    }
    for made in keys::ensure(&folder, args.tunnels)? {
        println!("{made}");
    }
    Ok(ExitCode::SUCCESS)
}

impl Place {
    /// The folder of the key files: outside of the tree, where the guide reads them.
    pub(super) fn key_folder(&self) -> Result<std::path::PathBuf, Stop> {
        let home = || std::env::var_os("HOME").map(Into::into);
        self.keys.clone().or_else(home).ok_or_else(|| {
            Stop::new(
                Kind::Usage,
                "no folder for the VPN keys",
                "name one with --keys DIR",
            )
        })
    }
}
