//! Two clouds and a witness on one machine, as processes.
//!
//! [`Lab::start`] brings everything up in stages (databases, caches and stores;
//! agents; gates; applications and the edge) and returns when the service can be used. All
//! that one place says to another goes over links that can be bent and cut.
//!
//! **Invariant:** a lab owns one folder, one range of ports and the processes
//! that it started, and nothing else; [`Lab::stop`] leaves nothing of them, and after a
//! `kill -9` the next start of the same base port, or [`sweep`], does.

mod check;
mod endpoints;
mod faults;
mod files;
mod layout;
mod link;
mod network;
mod prepare;
mod ready;
mod roster;
mod start;
mod status;
mod template;
mod unit;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::links::{Place, Shape};
use crate::namespaces::Stand;
use crate::process::strike_all;
use crate::{Error, Result};
use check::Programs;
use layout::{Layout, outside};
use network::Network;
use roster::Roster;
use unit::{Kind, STAGES, Unit};

pub use endpoints::{Endpoints, GateEndpoints, SiteEndpoints};
pub use link::Link;
pub use network::NetworkKind;
pub use status::{LinkStatus, ProcessState, ProcessStatus, Status};

/// The base port if none is given.
pub const BASE_PORT: u16 = 21_000;
/// The lowest and the highest base port: no root's ports, and room for the rest.
const BASE_PORTS: std::ops::RangeInclusive<u16> = 1_024..=60_000;
/// How long a killed process may take to disappear.
const DEATH_BOUND: Duration = Duration::from_secs(20);
/// Set to keep the folder of a lab that could not start.
const KEEP: &str = "TANDEM_LAB_KEEP";

/// Told what starts, what is waited for and why.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// How to start a lab.
#[derive(Clone)]
pub struct LabOptions {
    /// The first of its ports; two labs need bases at least 100 apart.
    pub base_port: u16,
    /// Its folder; one in the folder for temporary files, named after the base port, if not given.
    pub folder: Option<PathBuf>,
    /// Where our own binaries are; beside the running one if not given.
    pub binaries: Option<PathBuf>,
    /// What the wires between sites and witness do.
    pub shape: Shape,
    /// Drives the jitter of userland wires.
    pub seed: u64,
    /// Where this process stands, for a lab whose places are network namespaces; without it the
    /// lab's network is of userland wires.
    pub stand: Option<Stand>,
    /// Told what starts, what is waited for and why.
    pub progress: Progress,
}

impl Default for LabOptions {
    fn default() -> Self {
        let shape = Shape {
            delay: Duration::from_millis(2),
            jitter: Duration::from_millis(1),
            ..Shape::default()
        };
        Self {
            base_port: BASE_PORT,
            folder: None,
            binaries: None,
            shape,
            seed: 1,
            stand: None,
            progress: Arc::new(|line| tracing::info!("{line}")),
        }
    }
}

/// The folder of the lab with this base port.
pub fn folder_of(base_port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("tandem-lab-{base_port}"))
}

/// Cleans up what a dead lab left in `folder`; says whether there was anything.
///
/// # Errors
/// [`Error::Refused`] if the lab runs, or if the folder is no lab's.
pub fn sweep(folder: &Path) -> Result<bool> {
    roster::sweep(folder)
}

/// A running lab. Dropping it kills everything and removes its folder.
pub struct Lab {
    // Dropped first: processes, then wires, then the folder's lock.
    units: BTreeMap<String, Arc<Unit>>,
    network: Network,
    layout: Layout,
    programs: Programs,
    options: LabOptions,
    roster: Roster,
    is_up: bool,
}

impl Lab {
    /// Checks, starts and furnishes everything; returns when both clouds serve through the
    /// edge, the first primary is open for writes and replication has caught up.
    ///
    /// # Errors
    /// [`Error::Refused`] with all faults before anything is started; later the first
    /// process that died, with the end of its log, or the step that took too long.
    pub async fn start(options: LabOptions) -> Result<Self> {
        let mut lab = Self::open(options).await?;
        lab.bring_up().await?;
        lab.is_up = true;
        Ok(lab)
    }

    /// Everything but the processes.
    async fn open(options: LabOptions) -> Result<Self> {
        if !BASE_PORTS.contains(&options.base_port) {
            let (base, bounds) = (options.base_port, BASE_PORTS);
            let fault = format!(
                "--base-port {base}: write {} to {}",
                bounds.start(),
                bounds.end()
            );
            return Err(Error::Refused(vec![fault]));
        }
        let folder = options
            .folder
            .clone()
            .unwrap_or_else(|| folder_of(options.base_port));
        let kind = NetworkKind::of(options.stand.as_ref());
        let layout = Layout::new(&folder, options.base_port, kind);
        if sweep(&folder)? {
            (options.progress)("cleaned up what an earlier lab had left");
        }
        let own = options
            .binaries
            .clone()
            .map_or_else(check::own_folder, Ok)?;
        let programs = check::check(&layout, &own)?;
        if let Some(stand) = &options.stand {
            stand.expect(&options.shape)?;
        }
        let roster = Roster::open(&layout)?;
        let network = Network::open(&layout, &options).await;
        let network = network.inspect_err(|_| {
            // What stays is cleaned up by the next start.
            let _ = roster.remove();
        })?;
        Ok(Self {
            units: BTreeMap::new(),
            network,
            layout,
            programs,
            options,
            roster,
            is_up: false,
        })
    }

    /// Where everything is.
    ///
    /// # Errors
    /// [`Error::File`] if the lab's folder was damaged.
    pub fn endpoints(&self) -> Result<Endpoints> {
        self.layout.describe()
    }

    /// How its places are joined.
    pub fn network(&self) -> NetworkKind {
        self.layout.network
    }

    /// What the links between sites and witness do at the start.
    pub fn usual_shape(&self) -> Shape {
        self.options.shape
    }

    /// The link between two places, as in `aws-gcp`.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none of that name.
    pub fn link(&self, name: &str) -> Result<Link<'_>> {
        Link::find(&self.network, name)
    }

    /// Kills every process of a place at once, as a power loss does.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such place; [`Error::TooLate`] if one does not die.
    pub async fn kill_site(&self, site: &str) -> Result<()> {
        strike_units(&self.units_at(site)?).await
    }

    /// Starts every process of a place that does not run.
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub async fn start_site(&self, site: &str) -> Result<()> {
        let units = self.units_at(site)?;
        for stage in STAGES {
            let staged = units.iter().filter(|unit| stage.contains(&unit.slot.kind));
            try_join_all(staged.map(|unit| self.start_unit(unit))).await?;
        }
        Ok(())
    }

    /// Kills one process and its children.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such process; [`Error::TooLate`] if it does not die.
    pub async fn kill(&self, process: &str) -> Result<()> {
        strike_units(&[self.unit(process)?]).await
    }

    /// Starts one process if it does not run, and waits until it answers.
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub async fn start_process(&self, process: &str) -> Result<()> {
        let unit = self.unit(process)?;
        self.start_unit(&unit).await
    }

    /// Stops one process cleanly.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such process; [`Error::TooLate`] if it does not end.
    pub async fn stop_process(&self, process: &str) -> Result<()> {
        self.unit(process)?.lock().await.stop().await
    }

    /// Stops one process cleanly and starts it again.
    ///
    /// # Errors
    /// As [`Lab::stop_process`] and [`Lab::start_process`].
    pub async fn restart_process(&self, process: &str) -> Result<()> {
        self.stop_process(process).await?;
        self.start_process(process).await
    }

    /// Stops one process and its children without telling them (SIGSTOP).
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such process.
    pub async fn freeze(&self, process: &str) -> Result<()> {
        let unit = self.unit(process)?;
        let body = unit.lock().await;
        // A frozen child does not notice the death of its parent: it must be on the roster.
        self.roster.enter(process, &body.process().family())?;
        body.process().freeze()
    }

    /// Lets a frozen process go on (SIGCONT).
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such process.
    pub async fn thaw(&self, process: &str) -> Result<()> {
        self.unit(process)?.lock().await.process().thaw()
    }

    /// Kills everything, throws all data away and starts from the prepared copy.
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub async fn reset(&mut self) -> Result<()> {
        self.is_up = false;
        self.end_all().await?;
        self.units.clear();
        self.network.set_usual(&self.options)?;
        self.throw_data_away()?;
        self.bring_up().await?;
        self.is_up = true;
        Ok(())
    }

    /// Kills everything and removes the lab's folder.
    ///
    /// # Errors
    /// [`Error::TooLate`] if a process does not die, [`Error::File`] if the folder stays.
    pub async fn stop(mut self) -> Result<()> {
        self.end_all().await?;
        self.units.clear();
        self.network.remove()?;
        self.roster.remove()
    }

    fn unit(&self, process: &str) -> Result<Arc<Unit>> {
        self.units.get(process).cloned().ok_or_else(|| {
            let names = self.units.keys().cloned().collect::<Vec<_>>().join(", ");
            Error::Refused(vec![format!(
                "there is no process `{process}`; use one of: {names}"
            )])
        })
    }

    fn units_at(&self, place: &str) -> Result<Vec<Arc<Unit>>> {
        let here =
            |unit: &&Arc<Unit>| unit.slot.at.as_str() == place && unit.slot.kind != Kind::Edge;
        let found: Vec<_> = self.units.values().filter(here).cloned().collect();
        if found.is_empty() {
            let fault = format!("there is no site `{place}`; use aws, gcp or witness");
            return Err(Error::Refused(vec![fault]));
        }
        Ok(found)
    }

    async fn start_unit(&self, unit: &Unit) -> Result<()> {
        let mut body = unit.lock().await;
        body.start_again().await?;
        self.note(unit.slot.at, unit.slot.kind, body.process())
    }

    async fn end_all(&self) -> Result<()> {
        strike_units(&self.units.values().cloned().collect::<Vec<_>>()).await
    }

    fn throw_data_away(&self) -> Result<()> {
        let folders = ["aws", "gcp", "witness", "outside", "secrets", "logs"];
        for folder in folders
            .map(|name| self.layout.file(name))
            .iter()
            .chain([&self.layout.memory])
        {
            if folder.exists() {
                fs::remove_dir_all(folder).map_err(Error::file("remove", folder))?;
            }
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Kills them; then nobody writes into the folder any more.
        self.units.clear();
        // What stays is cleaned up by the next start.
        let _ = self.network.remove();
        if self.is_up || std::env::var_os(KEEP).is_none() {
            let _ = self.roster.remove();
        }
    }
}

/// Kills the processes of all `units` at once and waits until they are gone.
async fn strike_units(units: &[Arc<Unit>]) -> Result<()> {
    let mut bodies = Vec::new();
    for unit in units {
        bodies.push(unit.lock().await);
    }
    let processes: Vec<_> = bodies.iter().map(|body| body.process()).collect();
    strike_all(&processes)?;
    try_join_all(processes.iter().map(|process| process.ended(DEATH_BOUND))).await?;
    Ok(())
}

/// Clients are near both sites; only sites and witness are apart.
fn wire_shape(options: &LabOptions, from: Place, to: Place) -> Shape {
    if from == outside() || to == outside() {
        Shape::default()
    } else {
        options.shape
    }
}
