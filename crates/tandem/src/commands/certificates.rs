//! `tandem init certificates`: the cluster's authority, and a certificate for everybody.
//!
//! Makes what is missing and touches nothing that is there, so that it may be run again after a
//! new agent was added. Only `--renew` replaces, one name at a time.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tandem_core::config::Config;
use tandem_tls::{Authority, Program, programs};

use super::agent::{USAGE, read_config};

const EXAMPLES: &str = "\
Examples:
  tandem init certificates --into tls                  make what is missing in ./tls
  tandem init certificates --into tls --renew aws-1    replace one pair; the old one stays as .before
  tandem init certificates --into tls --host etcd-aws=10.30.10.20";

/// Arguments of `tandem init certificates`.
#[derive(clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration: it names everybody who needs a certificate
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// The folder for the files; made if it is missing
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    /// Replace the certificate and key of this one name
    #[arg(long, value_name = "NAME")]
    renew: Option<String>,
    /// A further host name or address in the certificate of NAME; may be repeated
    #[arg(long, value_name = "NAME=HOST", value_parser = further_host)]
    host: Vec<(String, String)>,
}

fn further_host(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() => {
            Ok((name.to_owned(), host.to_owned()))
        }
        _ => Err("write NAME=HOST, like etcd-aws=10.30.10.20".into()),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let mut programs = programs(&config);
    for (name, host) in &args.host {
        match programs.iter_mut().find(|program| program.name == *name) {
            Some(program) => program.hosts.push(host.clone()),
            None => return Ok(unknown(name, &programs)),
        }
    }
    let wanted = match &args.renew {
        None => None,
        Some(name) => match programs.iter().find(|program| program.name == *name) {
            Some(program) => Some(program),
            None => return Ok(unknown(name, &programs)),
        },
    };
    let (authority, made) = Authority::open(&args.into, &config.cluster)?;
    let folder = args.into.display();
    if made {
        println!("made   {folder}/ca.crt and ca.key");
    }
    match wanted {
        Some(program) => {
            authority.renew(program)?;
            println!(
                "renewed {folder}/{name}.crt and {name}.key; restart {name} to use them, then delete the two .before files",
                name = program.name
            );
        }
        None => provide(&authority, &programs, args)?,
    }
    if made {
        print!("{}", duties(&config));
    }
    Ok(ExitCode::SUCCESS)
}

fn provide(authority: &Authority, programs: &[Program], args: &Args) -> anyhow::Result<()> {
    let folder = args.into.display();
    for program in programs {
        let name = &program.name;
        let made = authority
            .provide(program)
            .with_context(|| format!("no certificate for {name}"))?;
        let verb = if made { "made  " } else { "kept  " };
        println!("{verb} {folder}/{name}.crt and {name}.key");
    }
    Ok(())
}

fn unknown(name: &str, programs: &[Program]) -> ExitCode {
    let names: Vec<_> = programs
        .iter()
        .map(|program| program.name.as_str())
        .collect();
    eprintln!(
        "error: nobody called `{name}` needs a certificate; use one of: {}",
        names.join(", ")
    );
    ExitCode::from(USAGE)
}

/// What goes where. Nothing here is a secret.
fn duties(config: &Config) -> String {
    let folder = config
        .tls
        .as_ref()
        .map_or("/etc/tandem/tls", |tls| tls.folder.as_str());
    let mut text = format!(
        "\nWhat goes where (keys keep mode 0600 and the owner that runs the program):\n\
         \x20 ca.crt             to every machine, as {folder}/ca.crt\n\
         \x20 NAME.crt NAME.key  to the machine of that agent, gate, etcd member or person only, into {folder}\n\
         \x20 ca.key             offline: whoever has it can pose as anybody; needed again for --renew\n\
         etcd members (client-cert-auth for clients and peers):\n"
    );
    let places = config.sites.keys().chain([&config.witness.name]);
    for site in places {
        let at = format!("{folder}/etcd-{site}");
        text.push_str(&format!(
            "  {site}: --cert-file={at}.crt --key-file={at}.key --trusted-ca-file={folder}/ca.crt --client-cert-auth\n\
             \x20         --peer-cert-file={at}.crt --peer-key-file={at}.key --peer-trusted-ca-file={folder}/ca.crt --peer-client-cert-auth\n"
        ));
    }
    text
}
