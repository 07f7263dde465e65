//! A series: one drill, run again and again, each run with evidence of its own.
//!
//! Runs lie in `run-001`, `run-002`, ... of the series' folder. A run counts when
//! its report is there; a series that was interrupted goes on at the first run
//! that is missing, with the seed that this run would have had.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_core::drill::Drill;
use tandem_core::drill::schedule::scrambled;
use tandem_core::model::SiteId;

use super::evidence::{self, Report};
use super::progress::{Progress, Tell};
use super::runner::{self, Order};
use super::stage::Stage;
use super::{Error, Stop};
use crate::lab::{Lab, LabOptions};
use crate::namespaces::Stand;

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The experiment.
    pub drill: Drill,
    /// How many runs.
    pub repeat: u32,
    /// The seed of the series; each run draws its own from it.
    pub seed: u64,
    /// Bounds on time are multiplied by this.
    pub patience: f64,
    /// The series' folder.
    pub folder: PathBuf,
    /// The lab's first port.
    pub base_port: u16,
    /// Where this process stands, for a lab of network namespaces.
    pub stand: Option<Stand>,
    /// Leave the lab running after the last run, until a person ends it.
    pub keep_lab: bool,
    /// The command that repeats the series.
    pub command: String,
}

impl Plan {
    /// The folder of one run.
    pub fn run_folder(&self, number: u32) -> PathBuf {
        self.folder.join(format!("run-{number:03}"))
    }

    /// The seed of one run.
    pub fn run_seed(&self, number: u32) -> u64 {
        if number == 1 {
            self.seed
        } else {
            scrambled(self.seed ^ scrambled(u64::from(number)))
        }
    }

    pub(super) fn order(&self, number: u32) -> Order {
        Order {
            drill: self.drill.clone(),
            number,
            seed: self.run_seed(number),
            patience: self.patience,
            folder: self.run_folder(number),
            command: self.command.clone(),
        }
    }
}

/// A lab for drills, started when it is first needed.
pub struct Theatre {
    base_port: u16,
    stand: Option<Stand>,
    stage: Option<Stage>,
    fresh: bool,
}

impl Theatre {
    /// No lab yet; with `stand` it will be one of network namespaces.
    pub fn new(base_port: u16, stand: Option<Stand>) -> Self {
        Self {
            base_port,
            stand,
            stage: None,
            fresh: false,
        }
    }

    /// One run on a fresh lab.
    ///
    /// # Errors
    /// As [`runner::run`], or if the lab cannot be started.
    pub async fn run(
        &mut self,
        order: &Order,
        tell: Tell<'_>,
        stop: &Stop,
    ) -> Result<Report, Error> {
        self.prepare(order, tell, stop).await?;
        let stage = self.stage.as_ref().expect("just prepared");
        stage.knows(&sites(&order.drill))?;
        self.fresh = false;
        runner::run(stage, order, tell, stop).await
    }

    async fn prepare(&mut self, order: &Order, tell: Tell<'_>, stop: &Stop) -> Result<(), Error> {
        if self.fresh {
            return Ok(());
        }
        let stage = self.stage.take();
        tell(&Progress::Phase(format!(
            "run {}: {} the lab",
            order.number,
            if stage.is_some() {
                "resetting"
            } else {
                "starting"
            }
        )));
        let options = options(self.base_port, self.stand.clone());
        let fresh = async {
            match stage {
                Some(stage) => stage.reset().await,
                None => Stage::new(Lab::start(options).await?),
            }
        };
        // Dropping a lab that is starting kills it and removes its folder.
        self.stage = Some(tokio::select! {
            stage = fresh => stage?,
            () = stop.cancelled() => return Err(Error::Interrupted),
        });
        self.fresh = true;
        Ok(())
    }

    /// Ends the lab, if there is one.
    ///
    /// # Errors
    /// As `Lab::stop`.
    pub async fn close(&mut self) -> Result<(), Error> {
        match self.stage.take() {
            Some(stage) => stage.stop().await,
            None => Ok(()),
        }
    }
}

fn options(base_port: u16, stand: Option<Stand>) -> LabOptions {
    let usual = LabOptions::default().shape;
    LabOptions {
        base_port,
        shape: stand.as_ref().map_or(usual, |stand| stand.fitting(usual)),
        stand,
        progress: Arc::new(|line: &str| eprintln!("  {line}")),
        ..LabOptions::default()
    }
}

/// Every site that the drill names.
fn sites(drill: &Drill) -> Vec<SiteId> {
    let seen = drill
        .visibility
        .iter()
        .flat_map(|seen| [seen.from, seen.to]);
    drill
        .scope
        .iter()
        .copied()
        .chain([drill.primary])
        .chain(seen)
        .collect()
}

/// Runs what is missing of a series; gives every report, old and new.
///
/// # Errors
/// The first error of the runner; evidence of earlier runs stays.
pub async fn run(plan: &Plan, tell: Tell<'_>, stop: &Stop) -> Result<Vec<Report>, Error> {
    let mut theatre = Theatre::new(plan.base_port, plan.stand.clone());
    let result = runs(plan, &mut theatre, tell, stop).await;
    if plan.keep_lab && theatre.stage.is_some() && result.is_ok() {
        tell(&Progress::Phase(format!(
            "the lab stays up on ports from {}; Ctrl-C ends it",
            plan.base_port
        )));
        stop.cancelled().await;
    }
    let closed = theatre.close().await;
    let reports = result?;
    closed.map(|()| reports)
}

async fn runs(
    plan: &Plan,
    theatre: &mut Theatre,
    tell: Tell<'_>,
    stop: &Stop,
) -> Result<Vec<Report>, Error> {
    let mut reports = Vec::new();
    for number in 1..=plan.repeat {
        let report = match evidence::read(&plan.run_folder(number))? {
            Some(report) => report,
            None => theatre.run(&plan.order(number), tell, stop).await?,
        };
        reports.push(report);
    }
    Ok(reports)
}

/// The newest series below `folder`, to go on with.
pub fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::shelf;

    #[test]
    fn each_run_has_a_folder_and_a_seed_of_its_own_that_do_not_change() {
        let plan = Plan {
            drill: shelf::take("normal").expect("a drill"),
            repeat: 3,
            seed: 7,
            patience: 1.0,
            folder: PathBuf::from("evidence"),
            base_port: 21_000,
            stand: None,
            keep_lab: false,
            command: String::new(),
        };
        assert_eq!(plan.run_seed(1), 7);
        assert_eq!(plan.run_seed(2), plan.clone().run_seed(2));
        assert_ne!(plan.run_seed(2), plan.run_seed(3));
        assert_eq!(plan.run_folder(12), PathBuf::from("evidence/run-012"));
    }

    #[test]
    fn the_newest_series_is_the_last_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(newest(folder.path()), None);
        for name in ["20260101-120000", "20260201-080000"] {
            fs::create_dir(folder.path().join(name)).expect("made");
        }
        assert_eq!(
            newest(folder.path()),
            Some(folder.path().join("20260201-080000"))
        );
    }
}
