//! `tandem config from-terraform`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, Value};
use tandem_core::config::Config;
use tandem_infra::from_terraform::{self, Reach, Site, Stated};
use tandem_infra::phases::terraform::Terraform;
use tandem_infra::phases::wiring::{self, Outputs};
use tandem_infra::phases::{Kind, Root, Stop, run};

use super::Place;
use super::drive::Session;

/// What `tandem.toml` starts from where there is none.
const EXAMPLE: &str = include_str!("../../../../../docs/examples/tandem.toml");

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Where to write; an existing file is the base and is kept as FILE.before
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    out: PathBuf,
    /// Only print what would be written; no secret is shown
    #[arg(long)]
    dry_run: bool,
    /// The local gate that applications reach, as HOST:PORT; without it they go to the primary
    #[arg(long, value_name = "HOST:PORT")]
    gate: Option<String>,
    /// The local cache gateway that applications reach; without it they go to the local cache
    #[arg(long, value_name = "HOST")]
    cache: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    Ok(fill(args).unwrap_or_else(|stop| {
        eprintln!("error: {stop}");
        ExitCode::from(stop.kind.exit_code())
    }))
}

fn fill(args: &Args) -> Result<ExitCode, Stop> {
    let session = Session::open(&args.place)?;
    let lock = session.lock()?;
    let say = |_: Root, _: &str| ();
    let terraform = session.terraform(&session.secrets, &lock, 0, &say);
    let outputs = run::outputs(&terraform, &Root::ALL)?;
    let base = fs::read_to_string(&args.out).ok();
    let stated = stated(&session);
    let filled = from_terraform::fill(base.as_deref().unwrap_or(EXAMPLE), &outputs, &stated)
        .map_err(|problem| Stop::failed(problem, "then run this command again"))?;
    Config::parse(&filled.text).map_err(|faults| {
        Stop::new(
            Kind::Usage,
            format!("the filled file is refused: {faults}"),
            "put the base right",
        )
    })?;
    filled
        .filled
        .iter()
        .for_each(|line| println!("from Terraform  {line}"));
    filled
        .from_base
        .iter()
        .for_each(|line| println!("check           {line}"));
    if !args.dry_run {
        if base.is_some() {
            let before = args.out.with_extension("toml.before");
            fs::copy(&args.out, &before).map_err(|source| failed(&before, source))?;
        }
        fs::write(&args.out, &filled.text).map_err(|source| failed(&args.out, source))?;
        println!("wrote {}", args.out.display());
    }
    environments(args, &session, &terraform, &outputs)
}

fn stated(session: &Session) -> Stated {
    let (aws, gcp) = (&session.estate.aws, &session.estate.gcp);
    Stated {
        cluster: aws.text("cluster_name").ok(),
        database: aws.text("rds_database_name").ok(),
        aws_admin: aws.text("rds_master_username").ok(),
        gcp_admin: gcp.text("cloud_sql_user_name").ok(),
    }
}

/// Fills both clouds' application environments, into the secrets' folder.
fn environments(
    args: &Args,
    session: &Session,
    terraform: &Terraform<'_>,
    outputs: &Outputs,
) -> Result<ExitCode, Stop> {
    let reach = Reach {
        gate: args.gate.clone(),
        cache: args.cache.clone(),
    };
    let folder = args.place.secrets.as_ref();
    for (variable, root) in [
        ("app_env", Root::Aws),
        ("secret_manager_secret_data", Root::Gcp),
    ] {
        let given = session.secrets.find(variable);
        let given = given.and_then(|secret| serde_json::from_str(secret.reveal()).ok());
        let given: Map<String, Value> = given.unwrap_or_default();
        let site = site(session, terraform, outputs, root)?;
        let filled = from_terraform::environment(&given, &site, &reach);
        let keys: Vec<&str> = filled.keys().map(String::as_str).collect();
        println!("{variable}: {}", keys.join(", "));
        match folder {
            Some(folder) if !args.dry_run => {
                let path = folder.join(variable);
                let text = Value::Object(filled).to_string();
                write_private(&path, &text).map_err(|source| failed(&path, source))?;
                println!("wrote {} (mode 0600)", path.display());
            }
            _ => println!("not written: name a folder for secret files with --secrets DIR"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn site(
    session: &Session,
    terraform: &Terraform<'_>,
    outputs: &Outputs,
    root: Root,
) -> Result<Site, Stop> {
    let text = |root, name| wiring::text(outputs, root, name);
    let secret = |name: &str| {
        session
            .secrets
            .find(name)
            .map(|secret| secret.reveal().to_owned())
    };
    let aws = &session.estate.aws;
    // Both clouds' applications write to the primary; both read their own cache.
    let (redis, given, made) = match root {
        Root::Aws => (
            "redis_primary_endpoint",
            "elasticache_auth_token",
            "redis_auth_token",
        ),
        _ => (
            "memorystore_host",
            "memorystore_auth_string",
            "memorystore_auth_string",
        ),
    };
    let redis_password = match secret(given) {
        Some(password) => Some(password),
        None => terraform.secret_output(root, made)?,
    };
    Ok(Site {
        database: text(Root::Aws, "rds_endpoint")
            .unwrap_or_default()
            .split(':')
            .next()
            .unwrap_or_default()
            .to_owned(),
        database_port: text(Root::Aws, "rds_port")
            .and_then(|port| port.parse().ok())
            .unwrap_or(5432),
        name: aws
            .text("rds_database_name")
            .unwrap_or_else(|_| "crm".to_owned()),
        user: aws.text("rds_master_username").ok(),
        password: secret("rds_master_password"),
        redis: text(root, redis).unwrap_or_default(),
        redis_password,
    })
}

/// A complete private file, or the old one.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let unfinished = path.with_extension("new");
    let _ = fs::remove_file(&unfinished);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn failed(path: &Path, source: std::io::Error) -> Stop {
    let path = path.to_owned();
    Stop::from(tandem_infra::Error::Write { path, source })
}
