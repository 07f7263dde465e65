//! The lab as a drill sees it: doors, people to ask, and an axe.
//!
//! The one place where drills know the lab's interface. It decides nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tandem_core::config::Config as Cluster;
use tandem_core::drill::Action;
use tandem_core::drill::action::CutHow;
use tandem_core::drill::observed::Told;
use tandem_core::model::SiteId;
use tandem_core::wire::Writer;
use tokio_postgres::Config;

use super::command::{LIST, own_command, told};
use super::inside::Way;
use super::observe::Watched;
use super::{Error, circumstances, client, databases, journal, migration, person};
use crate::lab::{Endpoints, Lab, NetworkKind, SiteEndpoints};
use crate::links::{Cut, Shape};
use crate::servers::{Binaries, SUPERUSER};

/// How long one question to an agent or a gate may take.
const ANSWER: Duration = Duration::from_secs(2);

/// A lab and where everything of it is.
pub struct Stage {
    lab: Lab,
    endpoints: Endpoints,
    cluster: Cluster,
}

impl Stage {
    /// Looks round in a lab that runs.
    ///
    /// # Errors
    /// If the lab's own configuration cannot be read.
    pub fn new(lab: Lab) -> Result<Self, Error> {
        let endpoints = lab.endpoints()?;
        let text = read(&endpoints.config)?;
        let cluster =
            Cluster::parse(&text).map_err(|faults| Error::NotReady(faults.to_string()))?;
        Ok(Self {
            lab,
            endpoints,
            cluster,
        })
    }

    /// Back to the prepared copy, for the next run.
    ///
    /// # Errors
    /// As `Lab::reset`.
    pub async fn reset(self) -> Result<Self, Error> {
        let mut lab = self.lab;
        lab.reset().await?;
        Self::new(lab)
    }

    /// Ends the lab.
    ///
    /// # Errors
    /// As `Lab::stop`.
    pub async fn stop(self) -> Result<(), Error> {
        Ok(self.lab.stop().await?)
    }

    /// The service as clients reach it.
    pub(super) fn edge(&self) -> String {
        self.endpoints.edge.clone()
    }

    /// What `X-Cloud-Provider` says for which site.
    pub(super) fn clouds(&self) -> BTreeMap<String, SiteId> {
        self.endpoints
            .sites
            .iter()
            .map(|(site, at)| (at.cloud.clone(), *site))
            .collect()
    }

    /// The first instance of a site's application, directly.
    pub(super) fn crm(&self, site: SiteId) -> String {
        self.site(site)
            .crms
            .values()
            .next()
            .cloned()
            .unwrap_or_default()
    }

    /// Whom to watch.
    pub(super) fn watched(&self) -> Watched {
        let sites = || self.endpoints.sites.values();
        let mut agents: BTreeMap<String, String> =
            sites().flat_map(|site| site.agents.clone()).collect();
        agents.insert(
            format!("{}.agent-1", self.endpoints.witness),
            self.endpoints.witness_agent.clone(),
        );
        let gates = sites()
            .flat_map(|site| &site.gates)
            .map(|(name, gate)| (name.clone(), gate.admin.clone()));
        let pool = |site: &SiteId| {
            let admin = &self.endpoints.edge_admin;
            (
                *site,
                format!("{admin}/client/v4/accounts/lab/load_balancers/pools/{site}/health"),
            )
        };
        Watched {
            agents,
            gates: gates.collect(),
            pools: self.endpoints.sites.keys().map(pool).collect(),
        }
    }

    /// Does what a step says.
    ///
    /// # Errors
    /// If there is no such process or link, or it does not obey.
    pub(super) async fn perform(&self, action: &Action) -> Result<Option<Told>, Error> {
        let lab = &self.lab;
        match action {
            Action::KillSite { site } => lab.kill_site(site.as_str()).await?,
            Action::StartSite { site } => lab.start_site(site.as_str()).await?,
            Action::KillProcess { process } => lab.kill(process).await?,
            Action::StartProcess { process } => lab.start_process(process).await?,
            Action::StopProcess { process } => lab.stop_process(process).await?,
            Action::RestartProcess { process } => lab.restart_process(process).await?,
            Action::Freeze { process } => lab.freeze(process).await?,
            Action::Thaw { process } => lab.thaw(process).await?,
            Action::SlowLink {
                link,
                bytes_per_second,
            } => lab
                .link(link)?
                .capacity((*bytes_per_second > 0).then_some(*bytes_per_second))?,
            Action::HealLink { link } => lab.link(link)?.heal()?,
            Action::CutLink { link, how, towards } => match towards {
                Some(place) => lab.link(link)?.cut_towards(*place, cut(*how))?,
                None => lab.link(link)?.cut(cut(*how))?,
            },
            Action::Isolate { site, how } => lab.isolate(site.as_str(), cut(*how))?,
            Action::HealSite { site } => self.heal_site(*site)?,
            Action::MoveLeader { to } => lab.move_leader(to.as_str()).await?,
            Action::CopyStores {} => lab.copy_stores().await?,
            Action::RestoreStores {} => lab.restore_stores().await?,
            Action::RestartWithClock { process, ahead_s } => {
                lab.restart_with_clock(process, *ahead_s).await?;
            }
            Action::Switchover { .. } | Action::Failover { .. } | Action::Reinstate { .. } => {
                return person::ask(self, action).await.map(Some);
            }
            Action::SchemaApply { file, sql, first } => {
                return migration::take(self, file, sql, *first).await.map(Some);
            }
            Action::WaitReplicating { from, to } => {
                return databases::replicating(self, *from, *to).await.map(Some);
            }
            Action::Sql { site, sql, wait } => {
                return databases::run(self, *site, sql, *wait).await.map(Some);
            }
            Action::AsApplication {
                site,
                sql,
                past_gates,
                expect,
            } => {
                let told = databases::as_application(self, *site, sql, *past_gates, *expect).await;
                return Ok(Some(told));
            }
            Action::LargeTransaction { from, to, rows } => {
                return databases::large_transaction(self, (*from, *to), *rows)
                    .await
                    .map(Some);
            }
        }
        Ok(None)
    }

    /// The lab itself, for what only one step needs.
    pub(super) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The agents of a site by their processes' names.
    pub(super) fn agents(&self, site: SiteId) -> impl Iterator<Item = &String> {
        self.site(site).agents.keys()
    }

    /// `tandem.toml` as a person outside reads it.
    pub(super) fn config_file(&self) -> String {
        self.endpoints.config.display().to_string()
    }

    /// Where a drill's own files are.
    pub(super) fn folder(&self) -> &Path {
        &self.endpoints.folder
    }

    /// The access token of the lab's person.
    pub(super) fn token_file(&self) -> String {
        self.endpoints.token_file.display().to_string()
    }

    /// The cluster's name.
    pub(super) fn cluster(&self) -> &str {
        &self.cluster.cluster
    }

    /// Mends every link of a place.
    ///
    /// # Errors
    /// As `Lab::heal_site`.
    pub(super) fn heal_site(&self, site: SiteId) -> Result<(), Error> {
        Ok(self.lab.heal_site(site.as_str())?)
    }

    /// Starts every process of a site again.
    ///
    /// # Errors
    /// As `Lab::start_site`.
    pub(super) async fn start_site(&self, site: SiteId) -> Result<(), Error> {
        Ok(self.lab.start_site(site.as_str()).await?)
    }

    /// The site's database as its administrator.
    pub(super) fn administrator(&self, site: SiteId) -> Config {
        let at = self.site(site);
        // A file that cannot be read shows itself as a refused password.
        let password = fs::read_to_string(&at.superuser_password_file).unwrap_or_default();
        let mut config = self.door(at, at.postgres_port);
        config.user(SUPERUSER).password(password.trim_end());
        config
    }

    /// The site's database as the application, past every gate.
    pub(super) fn direct(&self, site: SiteId) -> Config {
        let at = self.site(site);
        self.door(at, at.postgres_port)
    }

    /// The ports at which the site's gates take sessions that other gates forward.
    pub(super) fn peer_doors(&self, site: SiteId) -> Vec<(String, Config)> {
        let gates = self
            .cluster
            .sites
            .get(&site)
            .map(|site| site.gates.as_slice())
            .unwrap_or_default();
        let port = |address: &str| {
            address
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok())
        };
        let door = |gate: &tandem_core::config::Gate| {
            Some((
                format!("peer port of {}", gate.name),
                self.door(self.site(site), port(&gate.peer_listen)?),
            ))
        };
        gates.iter().filter_map(door).collect()
    }

    /// The ports at which the site's gates take its application's write sessions.
    pub(super) fn write_doors(&self, site: SiteId) -> Vec<(String, Config)> {
        let at = self.site(site);
        at.gates
            .iter()
            .map(|(name, gate)| (name.clone(), self.door(at, gate.rw_port)))
            .collect()
    }

    fn door(&self, at: &SiteEndpoints, port: u16) -> Config {
        let mut config = Config::new();
        config
            .host(at.address.to_string())
            .port(port)
            .dbname(&self.endpoints.database);
        config
            .user(&self.endpoints.application_role)
            .password(&self.endpoints.application_password);
        config.connect_timeout(ANSWER);
        config
    }

    fn site(&self, site: SiteId) -> &SiteEndpoints {
        self.endpoints
            .sites
            .get(&site)
            .expect("drills name sites of the lab; checked before the load")
    }

    /// Whether the lab has every site that the drill names.
    ///
    /// # Errors
    /// [`Error::NotReady`] with the unknown ones.
    pub(super) fn knows(&self, sites: &[SiteId]) -> Result<(), Error> {
        let unknown: Vec<&SiteId> = sites
            .iter()
            .filter(|site| !self.endpoints.sites.contains_key(site))
            .filter(|site| **site != self.endpoints.witness)
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Error::NotReady(format!("the lab has no site {unknown:?}")))
        }
    }

    /// Every door of every site, for clients inside.
    pub(super) fn doors(&self) -> Vec<(String, Way)> {
        let mut doors = Vec::new();
        for (site, at) in &self.endpoints.sites {
            let crms = at.crms.iter();
            doors.extend(crms.map(|(name, url)| (name.clone(), Way::Application(url.clone()))));
            let gates = self.write_doors(*site).into_iter();
            doors.extend(gates.map(|(name, door)| (name, Way::Gate(door))));
            doors.push((
                format!("{site}.postgres"),
                Way::Database(self.direct(*site)),
            ));
        }
        doors
    }

    /// What every agent gives as its reason, by its code.
    pub(super) async fn reasons(&self) -> BTreeMap<String, String> {
        #[derive(Deserialize)]
        struct Status {
            report: Option<Report>,
        }
        #[derive(Deserialize)]
        struct Report {
            code: String,
        }
        let mut reasons = BTreeMap::new();
        for (agent, url) in self.watched().agents {
            let status = ask::<Status>(format!("{url}/v1/status")).await;
            let report = status.and_then(|status| status.report);
            reasons.insert(agent, report.map_or_else(|| "nothing".into(), |r| r.code));
        }
        reasons
    }

    /// What each agent of the site says that its site is.
    pub(super) async fn roles(&self, site: SiteId) -> BTreeMap<String, String> {
        #[derive(Deserialize)]
        struct Status {
            role: String,
        }
        let mut roles = BTreeMap::new();
        for (agent, url) in &self.site(site).agents {
            let role = ask::<Status>(format!("{url}/v1/status"))
                .await
                .map(|status| status.role);
            roles.insert(agent.clone(), role.unwrap_or_else(|| "nothing".to_owned()));
        }
        roles
    }

    /// How many gates of the site say that the site may write.
    pub(super) async fn gates_that_may_write(&self, site: SiteId) -> usize {
        let mut open = 0;
        for gate in self.site(site).gates.values() {
            let writer = ask::<Writer>(format!("{}/v1/writer", gate.admin)).await;
            open += usize::from(writer.is_some_and(|writer| writer.may_write));
        }
        open
    }

    /// The rows of the ledger that was written for the promotion of `epoch`; absent until then.
    ///
    /// # Errors
    /// If a command fails, or the failed primary's log could not be read.
    pub(super) async fn ledger(&self, epoch: u64) -> Result<Option<Vec<serde_json::Value>>, Error> {
        let config = self.config_file();
        let list = ["ledger", "list", "-o", "json", "--config", &config];
        let said = answer(&list).await?;
        let ledgers = said["ledgers"].as_array().cloned().unwrap_or_default();
        let ours = |found: &&serde_json::Value| found["ledger"]["epoch"].as_u64() == Some(epoch);
        let Some(found) = ledgers.iter().find(ours) else {
            return Ok(None);
        };
        if let Some(problem) = found["ledger"]["problem"].as_str() {
            return Err(Error::NotReady(format!("ledger {epoch}: {problem}")));
        }
        let epoch = epoch.to_string();
        let show = [
            "ledger", "show", &epoch, "--reveal", "-o", "json", "--config", &config,
        ];
        let said = answer(&show).await?;
        Ok(said["changes"].as_array().cloned())
    }

    /// What agents wrote down since `since` (seconds since 1970).
    pub(super) async fn journal(&self, since: u64) -> Vec<journal::Entry> {
        let stores: Vec<String> = self
            .endpoints
            .sites
            .values()
            .map(|site| site.store.clone())
            .collect();
        journal::read(&stores, &self.cluster.cluster, since).await
    }

    /// Where every process of the lab writes its log.
    pub(super) fn logs(&self) -> &Path {
        &self.endpoints.logs
    }

    /// Versions of servers and of our own binaries.
    pub(super) fn versions(&self) -> BTreeMap<String, String> {
        let (commit, dirty) = circumstances::commit();
        let own = format!(
            "{} ({commit}{})",
            env!("CARGO_PKG_VERSION"),
            if dirty { ", changed since" } else { "" }
        );
        let mut versions = BTreeMap::from([("Tandem".to_owned(), own)]);
        if let Ok(found) = Binaries::find() {
            let servers = [
                ("PostgreSQL", found.postgres.postgres),
                ("Redis", found.redis),
                ("etcd", found.etcd),
            ];
            let told = servers.map(|(name, program)| (name.to_owned(), version(&program)));
            versions.extend(told);
        }
        versions
    }

    /// Configuration files by name, secrets masked.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn configuration(&self) -> Result<BTreeMap<String, String>, Error> {
        let files = [
            (
                "tandem.toml (as seen from outside)",
                self.endpoints.config.clone(),
            ),
            ("edge.json", self.endpoints.folder.join("outside/edge.json")),
        ];
        let shown = |(name, path): (&str, PathBuf)| {
            Ok((name.to_owned(), circumstances::masked(&read(&path)?)))
        };
        files.into_iter().map(shown).collect()
    }

    /// What joins the places.
    pub(super) fn network(&self) -> NetworkKind {
        self.lab.network()
    }

    /// How the links are made, and what they do at the start.
    pub(super) fn links(&self) -> String {
        let Shape { delay, jitter, .. } = self.lab.usual_shape();
        let made = match self.network() {
            NetworkKind::Userland => {
                "userland wires on loopback, which accept a connection even when they are cut"
            }
            NetworkKind::Namespaces => {
                "a network namespace for each place, cut by dropping or refusing packets"
            }
        };
        let late = if (delay + jitter).is_zero() {
            "no delay".to_owned()
        } else {
            let [delay, jitter] = [delay, jitter].map(|span| span.as_secs_f64() * 1_000.0);
            format!(
                "{delay} ms and up to {jitter} ms of jitter between sites and witness, none to clients"
            )
        };
        format!("{made}; {late}")
    }
}

fn cut(how: CutHow) -> Cut {
    match how {
        CutHow::Drop => Cut::Drop,
        CutHow::Reset => Cut::Reset,
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file("read", path))
}

async fn ask<T: for<'a> Deserialize<'a>>(url: String) -> Option<T> {
    let http = client::http_client().ok()?;
    http.get(url)
        .timeout(ANSWER)
        .send()
        .await
        .ok()?
        .json()
        .await
        .ok()
}

/// What a command says to programs.
async fn answer(args: &[&str]) -> Result<serde_json::Value, Error> {
    let output = own_command(args, LIST).await?;
    let said = told(args, output)?;
    serde_json::from_slice(&said).map_err(|error| Error::Command {
        command: format!("tandem {}", args.join(" ")),
        said: error.to_string(),
    })
}

fn version(program: &Path) -> String {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
