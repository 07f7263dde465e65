//! `tandem doctor`: whether two servers can be, and still are, a pair that survives the loss of one.
//!
//! Look, then judge: one statement a server (`sql/facts.sql`) and one attempt to open a
//! replication connection; everything after that is a pure function of the answers.
//! A check is a refusal (a promotion would fail or lose rows) or a warning; each
//! names what was found and the fix.
//!
//! Invariant: nothing is written. Sessions are read-only with a statement timeout
//! ([`STATEMENT_LIMIT`]); a member of `pg_monitor` may ask all of it.
//!
//! [`tandem replication setup`](crate::setup) asks the same checks of [`FITNESS`] before it
//! changes anything. Those of [`SOUNDNESS`] need what setup made.
//!
//! Not looked at from here: the way from server to server, which only they can go.

mod check;
mod dial;
mod fitness;
mod guide;
mod soundness;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tandem_core::config::{Config, Postgres};
use tandem_core::model::SiteId;
use tokio_postgres::Row;

pub(crate) use check::{Case, Check, Findings, Look, Server, judge};
pub use check::{Finding, Level};
pub(crate) use fitness::{APPLICATION_EXISTS, FITNESS};
pub use guide::Step;
pub(crate) use soundness::SOUNDNESS;

use crate::connect::Target;
use crate::error::{Error, sentence};
use crate::facts::{self, Facts, Provider};
use crate::names::Names;
use crate::setup::Pair;

/// No statement of the doctor runs longer.
pub const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// The first release whose catalog [`facts::SQL`] can read.
const VERSION_MIN: i32 = 150_000;

/// Who asks at one site.
#[derive(Debug, Clone)]
pub struct Login {
    /// A role that may log in; a member of `pg_monitor` sees all but sequences.
    pub role: String,
    /// File with its password.
    pub password_file: String,
}

impl Login {
    /// The administrators of `tandem.toml`.
    pub fn administrators(config: &Config) -> BTreeMap<SiteId, Self> {
        let sites = config.sites.iter();
        let login = |place: &Postgres| Self {
            role: place.admin_role.clone(),
            password_file: place.admin_password_file.clone(),
        };
        sites
            .map(|(site, found)| (*site, login(&found.postgres)))
            .collect()
    }
}

/// How much is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Probe {
    /// What the checks need.
    #[default]
    Checks,
    /// Also what the provider lets this account do.
    Account,
}

/// Everything the doctor found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `tandem.doctor.v1`.
    pub schema: &'static str,
    /// Each site, as far as it answered.
    pub sites: Vec<SiteLook>,
    /// Each check, in the order of the reference page.
    pub checks: Vec<Outcome>,
    /// How to get from what stands there to the right state without copying data again; empty if
    /// nothing was recognised that setup cannot take over by itself.
    pub path: Vec<Step>,
}

/// One site, in short.
#[derive(Debug, Clone, Serialize)]
pub struct SiteLook {
    /// The site.
    pub site: SiteId,
    /// `server_version_num`, if the server answered.
    pub version: Option<u32>,
    /// Whose PostgreSQL it is.
    pub provider: Option<Provider>,
    /// Who asked.
    pub role: Option<String>,
    /// Whether Tandem was set up there.
    pub set_up: bool,
    /// What this account may do; only if it was probed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub account: Vec<Right>,
}

/// One right that providers hand out differently, asked without using it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Right {
    /// What it allows.
    pub fact: String,
    /// `yes`, `no`, a value with its context and source, or `unverified`: SQL cannot tell.
    pub answer: String,
}

/// One check and what it found.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Its name.
    pub check: &'static str,
    /// What must hold.
    pub title: &'static str,
    /// How it ended.
    pub result: Verdict,
    /// What was found, at each site.
    pub findings: Vec<Finding>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It needs a server that did not answer, or what setup has not made yet.
    Skipped,
    /// Something should be changed.
    Warning,
    /// Something must be changed.
    Refusal,
}

impl Report {
    /// The worst verdict.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.checks.iter().map(|outcome| outcome.result);
        verdicts.max().unwrap_or(Verdict::Skipped)
    }
}

/// Every check, with what must hold: for the reference page and for help.
pub fn checks() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = [(REACHABLE, REACHABLE_TITLE), (dial::ID, dial::TITLE)];
    let listed = FITNESS.iter().chain(SOUNDNESS);
    own.into_iter()
        .chain(listed.map(|check| (check.id, check.title)))
}

/// What is asked of a server, for somebody who wants to read it first.
pub fn statements(probe: Probe) -> Vec<&'static str> {
    let always = [facts::SQL, facts::OBJECTS_KNOWN_SQL, facts::OBJECTS_SQL];
    match probe {
        Probe::Checks => [VERSION_SQL].into_iter().chain(always).collect(),
        Probe::Account => [VERSION_SQL, PROBE_SQL].into_iter().chain(always).collect(),
    }
}

const PROBE_SQL: &str = include_str!("../sql/probe.sql");
const VERSION_SQL: &str = "SELECT current_setting('server_version_num')::int4";
const REACHABLE: &str = "reachable";
const REACHABLE_TITLE: &str = "both servers answer";

/// Looks at both servers and judges.
///
/// # Errors
/// If the configuration or a password file cannot be used; a server that does not answer is a
/// finding, no error.
pub async fn run(
    config: &Config,
    logins: &BTreeMap<SiteId, Login>,
    probe: Probe,
) -> Result<Report, Error> {
    let pair = Pair::of(config)?;
    let (primary, replica) = tokio::join!(
        look(config, &pair.primary, logins, probe),
        look(config, &pair.replica, logins, probe)
    );
    let (primary, replica) = (primary?, replica?);
    let mut checks = vec![reachable(&[&primary, &replica])];
    checks.push(dial::outcome(config, &[&primary, &replica]).await?);
    let case = Case {
        config,
        primary: primary.server(config),
        replica: replica.server(config),
    };
    checks.extend(
        FITNESS
            .iter()
            .chain(SOUNDNESS)
            .map(|check| outcome(check, &case)),
    );
    Ok(Report {
        schema: "tandem.doctor.v1",
        sites: vec![primary.short(), replica.short()],
        path: guide::path(&case),
        checks,
    })
}

/// One server as far as it answered.
struct Glance<'a> {
    names: &'a Names,
    version: Option<u32>,
    facts: Option<Facts>,
    account: Vec<Right>,
    problem: Option<Finding>,
}

impl Glance<'_> {
    fn server<'b>(&'b self, config: &'b Config) -> Option<Server<'b>> {
        let facts = self.facts.as_ref()?;
        Some(Server {
            config,
            names: self.names,
            facts,
        })
    }

    /// Asks as much as the server's version allows.
    async fn ask(&mut self, config: &Config, target: &Target, probe: Probe) -> Result<(), Error> {
        let session = target.open().await?;
        let version = session
            .row("version", STATEMENT_LIMIT, VERSION_SQL, &[])
            .await?;
        let number: i32 = version.get(0);
        self.version = u32::try_from(number).ok();
        if number < VERSION_MIN {
            return Ok(());
        }
        if probe == Probe::Account {
            let rows = session
                .rows("probe", STATEMENT_LIMIT, PROBE_SQL, &[])
                .await?;
            let right = |row: &Row| Right {
                fact: row.get(0),
                answer: row.get(1),
            };
            self.account = rows.iter().map(right).collect();
        }
        self.facts = Some(facts::read(config, self.names, &session).await?);
        Ok(())
    }

    fn short(&self) -> SiteLook {
        SiteLook {
            site: self.names.site,
            version: self.version,
            provider: self.facts.as_ref().map(|facts| facts.provider),
            role: self.facts.as_ref().map(|facts| facts.reader.clone()),
            set_up: self.facts.as_ref().is_some_and(Facts::is_set_up),
            account: self.account.clone(),
        }
    }
}

async fn look<'a>(
    config: &Config,
    names: &'a Names,
    logins: &BTreeMap<SiteId, Login>,
    probe: Probe,
) -> Result<Glance<'a>, Error> {
    let mut look = Glance {
        names,
        version: None,
        facts: None,
        account: Vec::new(),
        problem: None,
    };
    let target = target(config, names, logins)?;
    match look.ask(config, &target, probe).await {
        Ok(()) => {}
        Err(error) => {
            let fix = match error {
                Error::Connect { .. } => {
                    "name a role that may log in with --role and --password-file, and let this machine reach the server"
                }
                _ => {
                    "the server was reached and did not answer this statement; see `tandem doctor --print-sql` and its log"
                }
            };
            look.problem = Some(Finding {
                site: names.site,
                check: REACHABLE,
                level: Level::Refusal,
                problem: sentence(&error),
                fix: fix.into(),
            });
        }
    }
    if look.version.is_some() && look.facts.is_none() && look.problem.is_none() {
        look.problem = Some(fitness::unsupported(names.site, look.version));
    }
    Ok(look)
}

fn target(
    config: &Config,
    names: &Names,
    logins: &BTreeMap<SiteId, Login>,
) -> Result<Target, Error> {
    let login = logins
        .get(&names.site)
        .ok_or_else(|| Error::Configuration {
            key: "--password-file".into(),
            problem: format!("site {} needs one", names.site),
        })?;
    let options = format!(
        "-c default_transaction_read_only=on -c statement_timeout={} -c lock_timeout=1000 -c search_path=pg_catalog",
        STATEMENT_LIMIT.as_millis()
    );
    Ok(Target::new(config, names.site, &login.role, &login.password_file)?.with_options(&options))
}

fn reachable(looks: &[&Glance<'_>]) -> Outcome {
    let findings: Vec<_> = looks
        .iter()
        .filter_map(|look| look.problem.clone())
        .collect();
    Outcome {
        check: REACHABLE,
        title: REACHABLE_TITLE,
        result: worst(&findings),
        findings,
    }
}

fn outcome(check: &'static Check, case: &Case<'_>) -> Outcome {
    let answer = judge(check, case);
    let result = answer.as_deref().map_or(Verdict::Skipped, worst);
    Outcome {
        check: check.id,
        title: check.title,
        result,
        findings: answer.unwrap_or_default(),
    }
}

fn worst(findings: &[Finding]) -> Verdict {
    let verdicts = findings.iter().map(|finding| match finding.level {
        Level::Warning => Verdict::Warning,
        Level::Refusal => Verdict::Refusal,
    });
    verdicts.max().unwrap_or(Verdict::Holds)
}
