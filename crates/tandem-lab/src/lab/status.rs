//! What runs, and what the wires do.

use serde::{Deserialize, Serialize};

use super::layout::outside;
use super::{Lab, NetworkKind};
use crate::links::{Place, Shape};

/// One look at a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How its places are joined.
    pub network: NetworkKind,
    /// The first of its ports.
    pub base_port: u16,
    /// Its folder.
    pub folder: std::path::PathBuf,
    /// Where clients go.
    pub edge: String,
    /// `tandem.toml` as seen from outside.
    pub config: std::path::PathBuf,
    /// The access token of the lab's person; the file is the secret, its path is none.
    pub token_file: std::path::PathBuf,
    /// What a person types to confirm a dangerous change.
    pub cluster: String,
    /// Every process.
    pub processes: Vec<ProcessStatus>,
    /// Every wire that is not as it was at the start.
    pub links: Vec<LinkStatus>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its name in commands.
    pub name: String,
    /// What it does.
    pub state: ProcessState,
    /// Its number, while it lives.
    pub pid: Option<i32>,
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It is stopped by SIGSTOP.
    Frozen,
    /// It ended, in this way.
    Ended(String),
    /// It is just being started or stopped.
    Busy,
}

/// One direction between two places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Where bytes come from.
    pub from: Place,
    /// Where they go.
    pub to: Place,
    /// What happens to them.
    pub shape: Shape,
}

impl Lab {
    /// What runs, and what the wires do.
    pub fn status(&self) -> Status {
        let changed = |(from, to, shape): (Place, Place, Shape)| {
            let usual = super::wire_shape(&self.options, from, to);
            (shape != usual).then_some(LinkStatus { from, to, shape })
        };
        Status {
            network: self.layout.network,
            base_port: self.layout.base_port,
            folder: self.layout.folder.clone(),
            edge: self.layout.url(outside(), self.layout.edge),
            config: self.layout.config_file(outside()),
            token_file: self.layout.token_file(),
            cluster: self.layout.cluster(),
            processes: self
                .units
                .iter()
                .map(|(name, unit)| process(name, unit))
                .collect(),
            links: self
                .network
                .shapes()
                .into_iter()
                .filter_map(changed)
                .collect(),
        }
    }
}

fn process(name: &str, unit: &super::unit::Unit) -> ProcessStatus {
    let name = name.to_owned();
    let Ok(body) = unit.body.try_lock() else {
        return ProcessStatus {
            name,
            state: ProcessState::Busy,
            pid: None,
        };
    };
    let process = body.process();
    match process.exit() {
        Some(status) => ProcessStatus {
            name,
            state: ProcessState::Ended(status.to_string()),
            pid: None,
        },
        None => {
            let state = if process.is_frozen() {
                ProcessState::Frozen
            } else {
                ProcessState::Running
            };
            ProcessStatus {
                name,
                state,
                pid: Some(process.pid().as_raw_pid()),
            }
        }
    }
}
