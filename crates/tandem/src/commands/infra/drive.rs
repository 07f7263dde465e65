//! `tandem infra plan`, `apply`, `destroy`: builds the driver and lets it run.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use tandem_infra::cloud::Shell;
use tandem_infra::estate::Estate;
use tandem_infra::keys;
use tandem_infra::phases::facts::Given;
use tandem_infra::phases::journal::Journal;
use tandem_infra::phases::lock::{ApplyLock, RunLock};
use tandem_infra::phases::replication::ReplicationPhase;
use tandem_infra::phases::run::{self, Driver};
use tandem_infra::phases::step::Goal;
use tandem_infra::phases::terraform::{self, Terraform};
use tandem_infra::phases::tree::Tree;
use tandem_infra::phases::{Direction, Kind, Phase, Root, Stop};
use tandem_infra::secret::{Secret, Secrets};

use super::person::Terminal;
use super::{Change, Place, runtime};

#[derive(clap::Args)]
pub(super) struct PlanArgs {
    /// Only this phase; may be given more than once
    #[arg(long, value_name = "PHASE")]
    phase: Vec<Phase>,
    /// Plan a destroy
    #[arg(long)]
    destroy: bool,
}

/// Everything that every verb opens.
pub(super) struct Session {
    pub(super) tree: Tree,
    pub(super) estate: Estate,
    pub(super) secrets: Secrets,
    pub(super) given: Given,
    pub(super) keys: PathBuf,
    pub(super) cloud: Shell,
    pub(super) replication: Box<dyn ReplicationPhase>,
    pub(super) apply_lock: Box<dyn ApplyLock>,
    pub(super) command: String,
}

impl Session {
    pub(super) fn open(place: &Place) -> Result<Self, Stop> {
        let tree = Tree::open(&place.infra)?;
        let estate = place.estate()?;
        let keys_folder = place.key_folder()?;
        let given = given();
        let secrets = place.secrets()?;
        let token = secrets.find("cloudflare_api_token").cloned();
        Ok(Self {
            apply_lock: runtime::apply_lock(&place.config, tree.own()),
            replication: runtime::replication(&place.config),
            cloud: Shell {
                cloudflare_token: token,
            },
            command: place.terraform.clone(),
            keys: keys_folder,
            tree,
            estate,
            secrets,
            given,
        })
    }

    /// The secrets with the VPN keys, which the prepare phase may just have made.
    fn all_secrets(&self) -> Result<Secrets, Stop> {
        let mut secrets = self.secrets.clone();
        for (name, key) in keys::as_variables(&self.keys)?.iter() {
            if secrets.find(name).is_none() {
                secrets.insert(name, key.clone());
            }
        }
        Ok(secrets)
    }

    pub(super) fn terraform<'a>(
        &'a self,
        secrets: &'a Secrets,
        lock: &'a RunLock,
        number: u64,
        say: &'a (dyn Fn(Root, &str) + Sync),
    ) -> Terraform<'a> {
        Terraform {
            command: self.command.clone(),
            tree: &self.tree,
            secrets,
            lock,
            run: number,
            say,
        }
    }

    pub(super) fn lock(&self) -> Result<RunLock, Stop> {
        RunLock::take(&self.tree.run_lock(), &|line| eprintln!("{line}"))
    }
}

/// What only the process's environment says.
fn given() -> Given {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let names =
        std::env::vars().filter_map(|(name, _)| Some(name.strip_prefix("TF_VAR_")?.to_owned()));
    Given {
        account_id: set("CLOUDFLARE_ACCOUNT_ID"),
        zone_id: set("CLOUDFLARE_ZONE_ID"),
        certificate_arn: set("ACM_CERTIFICATE_ARN"),
        variables: names.collect::<BTreeSet<String>>(),
    }
}

/// The guide's names in the environment, and the variables that take them.
const FROM_ENVIRONMENT: [(&str, &str); 4] = [
    ("CLOUDFLARE_API_TOKEN", "cloudflare_api_token"),
    ("CLOUDFLARE_ACCOUNT_ID", "cloudflare_account_id"),
    ("CLOUDFLARE_ZONE_ID", "cloudflare_zone_id"),
    ("ACM_CERTIFICATE_ARN", "acm_certificate_arn"),
];

impl Place {
    pub(super) fn estate(&self) -> Result<Estate, Stop> {
        let today = jiff::Zoned::now().date();
        let settings = self.infra.join(tandem_infra::check::suppress::FILE_NAME);
        let settings = if settings.is_file() {
            tandem_infra::check::suppress::Settings::read(&settings)?
        } else {
            tandem_infra::check::suppress::Settings::default()
        };
        let config = Some(self.config.as_path()).filter(|path| path.is_file());
        Ok(Estate::read(&self.infra, config, settings, today)?)
    }

    fn secrets(&self) -> Result<Secrets, Stop> {
        let mut secrets = Secrets::from_environment(std::env::vars());
        if let Some(folder) = &self.secrets {
            secrets.add_folder(folder)?;
        }
        for (name, variable) in FROM_ENVIRONMENT {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            if let Some(value) = value.filter(|_| secrets.find(variable).is_none()) {
                secrets.insert(variable, Secret::new(value));
            }
        }
        Ok(secrets)
    }
}

pub(super) fn apply(place: &Place, change: &Change) -> Result<ExitCode, Stop> {
    change_phases(place, change, Direction::Apply)
}

pub(super) fn destroy(place: &Place, change: &Change) -> Result<ExitCode, Stop> {
    change_phases(place, change, Direction::Destroy)
}

fn change_phases(place: &Place, change: &Change, direction: Direction) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    let lock = session.lock()?;
    // Keys first: the secrets of this run hold them, so that no log can.
    if direction == Direction::Apply && wanted(&change.phase).contains(&Phase::Prepare) {
        keys::ensure(&session.keys, 2)?;
    }
    let mut secrets = session.all_secrets()?;
    if direction == Direction::Destroy && wanted(&change.phase).contains(&Phase::Vpn) {
        lend_google_token(&mut secrets);
    }
    terraform::tidy(&session.tree, &secrets.redactor());
    let mut journal = Journal::open(&session.tree.journal())?;
    let say = |root: Root, line: &str| eprintln!("{}: {line}", root.word());
    let number = journal.last_run().map_or(1, |run| run.number);
    let terraform = session.terraform(&secrets, &lock, number, &say);
    let cluster = session
        .estate
        .aws
        .text("cluster_name")
        .unwrap_or_else(|_| "crm-dr".to_owned());
    let goal = Goal {
        direction,
        phases: wanted(&change.phase),
    };
    let driver = Driver {
        terraform: &terraform,
        person: &Terminal::new(change, &cluster),
        cloud: &session.cloud,
        replication: session.replication.as_ref(),
        apply_lock: session.apply_lock.as_ref(),
        estate: &session.estate,
        given: session.given.clone(),
        keys: &session.keys,
        side_by_side: change.side_by_side,
    };
    driver.run(&mut journal, &goal)?;
    println!("{direction} of {}: done", words(&goal.phases));
    Ok(ExitCode::SUCCESS)
}

/// Without the VPN the AWS root asks Google for nothing, so it has no
/// credentials of its own for the one apply that takes GCP's half away.
fn lend_google_token(secrets: &mut Secrets) {
    const NAME: &str = "gcp_access_token";
    let asked = std::process::Command::new("gcloud")
        .args(["auth", "print-access-token", "--quiet"])
        .output();
    let token = asked.ok().filter(|output| output.status.success());
    let token = token.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    if let Some(token) = token.filter(|token| secrets.find(NAME).is_none() && !token.is_empty()) {
        secrets.insert(NAME, Secret::new(token));
    }
}

fn wanted(given: &[Phase]) -> Vec<Phase> {
    let chosen = |phase: &Phase| given.is_empty() || given.contains(phase);
    Phase::ALL.into_iter().filter(chosen).collect()
}

fn words(phases: &[Phase]) -> String {
    let words: Vec<&str> = phases.iter().map(|phase| phase.word()).collect();
    words.join(", ")
}

/// Roots in the order of the phases; the VPN plans AWS's root with the VPN on.
pub(super) fn plan(place: &Place, args: &PlanArgs) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    let lock = session.lock()?;
    let secrets = session.all_secrets()?;
    terraform::tidy(&session.tree, &secrets.redactor());
    let say = |_: Root, _: &str| ();
    let terraform = session.terraform(&secrets, &lock, 0, &say);
    let direction = if args.destroy {
        Direction::Destroy
    } else {
        Direction::Apply
    };
    let previews = run::preview(&terraform, direction, &wanted(&args.phase))?;
    let mut changed = false;
    for preview in &previews {
        print!("{}", preview.text);
        changed |= preview.changes;
    }
    if previews.is_empty() {
        return Err(Stop::new(
            Kind::Usage,
            "these phases have no plan of Terraform",
            "choose aws, gcp, vpn or lb",
        ));
    }
    Ok(ExitCode::from(if changed { 3 } else { 0 }))
}
