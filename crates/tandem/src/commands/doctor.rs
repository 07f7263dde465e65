//! `tandem doctor`: can these two servers be a pair that survives the loss of one? Read-only.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tandem_postgres::doctor::{self, Level, Login, Outcome, Probe, Report, Step, Verdict};

use super::agent::{USAGE, read_config};
use super::person::Output;

/// The page on which every check is explained.
const PAGE: &str = "docs/reference/doctor.md";

/// Arguments of `tandem doctor`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tandem doctor                                       as the administrators of tandem.toml
  tandem doctor --role watcher --password-file pw     as a member of pg_monitor, at both sites
  tandem doctor -o json                               for programs (schema tandem.doctor.v1)
  tandem doctor --probe-cloud -o json                 records what this account really allows
  tandem doctor --print-sql                           what would be asked; connects nowhere

Nothing is written: sessions are read-only, and no statement runs longer than 5 s.
Exit codes: 0 everything holds, 3 warnings, 1 something must be changed, 2 usage.")]
pub(crate) struct Args {
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// Ask as this role instead of the administrators; pg_monitor is enough
    #[arg(long, requires = "password_file")]
    role: Option<String>,
    /// File with its password; SITE=FILE where the sites differ
    #[arg(long, value_name = "[SITE=]FILE", requires = "role")]
    password_file: Vec<String>,
    /// Also show the checks that hold
    #[arg(long)]
    all: bool,
    /// Also ask, without trying it, what the provider lets this account do
    #[arg(long)]
    probe_cloud: bool,
    /// Only print the statements
    #[arg(long)]
    print_sql: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let probe = match args.probe_cloud {
        true => Probe::Account,
        false => Probe::Checks,
    };
    if args.print_sql {
        for statement in doctor::statements(probe) {
            println!("{};\n", statement.trim_end());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let logins = match logins(&config, args) {
        Ok(logins) => logins,
        Err(problem) => {
            eprintln!("error: {problem}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(doctor::run(&config, &logins, probe))?;
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Table => print_report(&report, args.all),
    }
    Ok(ExitCode::from(match report.verdict() {
        Verdict::Holds | Verdict::Skipped => 0,
        Verdict::Warning => 3,
        Verdict::Refusal => 1,
    }))
}

/// Who asks where: the administrators, or one role with a file for all sites or one each.
fn logins(config: &Config, args: &Args) -> Result<BTreeMap<SiteId, Login>, String> {
    let Some(role) = &args.role else {
        return Ok(Login::administrators(config));
    };
    let mut logins = BTreeMap::new();
    for given in &args.password_file {
        let (sites, file) = match given.split_once('=') {
            Some((site, file)) => (vec![known_site(config, site)?], file),
            None => (config.sites.keys().copied().collect(), given.as_str()),
        };
        for site in sites {
            let (role, password_file) = (role.clone(), file.to_owned());
            logins.insert(
                site,
                Login {
                    role,
                    password_file,
                },
            );
        }
    }
    Ok(logins)
}

fn known_site(config: &Config, name: &str) -> Result<SiteId, String> {
    let site = name.parse::<SiteId>().ok();
    site.filter(|site| config.sites.contains_key(site))
        .ok_or_else(|| {
            let known: Vec<_> = config.sites.keys().map(ToString::to_string).collect();
            format!(
                "--password-file: no site `{name}`; there are {}",
                known.join(" and ")
            )
        })
}

fn print_report(report: &Report, all: bool) {
    for site in &report.sites {
        match (site.version, site.provider, &site.role) {
            (Some(version), Some(provider), Some(role)) => {
                let (major, minor) = (version / 10_000, version % 10_000);
                let set_up = if site.set_up {
                    "set up"
                } else {
                    "not set up yet"
                };
                println!(
                    "{}: PostgreSQL {major}.{minor}, {provider}, asked as {role}, {set_up}",
                    site.site
                );
            }
            _ => println!("{}: no answer", site.site),
        }
        for right in &site.account {
            println!("  {}: {}", right.fact, right.answer);
        }
    }
    println!();
    for outcome in &report.checks {
        print_outcome(outcome, all);
    }
    if !report.path.is_empty() {
        print_path(&report.path);
    }
    let count = |verdict| {
        report
            .checks
            .iter()
            .filter(|outcome| outcome.result == verdict)
            .count()
    };
    println!(
        "{} checks: {} hold, {} to change, {} warnings, {} skipped; {PAGE} explains each",
        report.checks.len(),
        count(Verdict::Holds),
        count(Verdict::Refusal),
        count(Verdict::Warning),
        count(Verdict::Skipped),
    );
}

fn print_outcome(outcome: &Outcome, all: bool) {
    let mark = match outcome.result {
        Verdict::Holds => "ok     ",
        Verdict::Skipped => "skipped",
        Verdict::Warning => "warning",
        Verdict::Refusal => "CHANGE ",
    };
    if all || !outcome.findings.is_empty() {
        println!("{mark} {}: {}", outcome.check, outcome.title);
    }
    for finding in &outcome.findings {
        let level = match finding.level {
            Level::Warning => "warning",
            Level::Refusal => "change",
        };
        println!("        {}: {}", finding.site, finding.problem);
        println!("          {level}: {}", finding.fix);
    }
}

fn print_path(path: &[Step]) {
    println!("The way to the right state; no data is copied again:");
    for (number, step) in (1..).zip(path) {
        match (&step.site, &step.sql) {
            (Some(site), Some(sql)) => println!("  {number}. {site}: {}\n     {sql};", step.what),
            _ => println!("  {number}. {}", step.what),
        }
    }
    println!();
}
