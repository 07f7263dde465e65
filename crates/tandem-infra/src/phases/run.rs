//! The driver: looks at the journal, does the next step, writes it down.
//!
//! The loop is thin on purpose. What follows what is [`step::next`]; what goes
//! where is [`wiring`]; what a plan would lose is [`planned`]; what counts as
//! proven is [`checklist`]. Here are only the order "written before and after"
//! and the questions to the person.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::checklist::{self, Proven, Sources};
use super::facts::{self, Given};
use super::journal::{Event, Journal, Run};
use super::lock::ApplyLock;
use super::replication::{Ends, ReplicationPhase};
use super::step::{Direction, Goal, Next, Phase, Root, Step, Work, next};
use super::stop::{Kind, Stop};
use super::terraform::{SavedPlan, Terraform};
use super::wiring::{self, Outputs};
use crate::cloud::{Cloud, Verdict};
use crate::error::Error;
use crate::estate::Estate;
use crate::keys;
use crate::preflight;

/// How a run names itself in the apply lock; a number follows.
const RUN: &str = "run ";

/// What the driver asks a person.
pub enum Asked<'a> {
    /// Whether these plans may be applied.
    Apply {
        /// The plans in words.
        shown: &'a str,
        /// What would be lost with its data.
        losses: Vec<&'a str>,
    },
}

/// The person, or a script that answers for one.
pub trait Person: Sync {
    /// Shows a line.
    fn tell(&self, line: &str);

    /// Asks; `false` stops the run, which can go on later.
    fn agrees(&self, asked: &Asked<'_>) -> bool;
}

/// Everything that a run needs.
pub struct Driver<'a> {
    /// Terraform, with the tree, the secrets and the run lock.
    pub terraform: &'a Terraform<'a>,
    /// Who is asked.
    pub person: &'a dyn Person,
    /// The clouds.
    pub cloud: &'a dyn Cloud,
    /// Whoever replicates.
    pub replication: &'a dyn ReplicationPhase,
    /// No apply at the wrong time.
    pub apply_lock: &'a dyn ApplyLock,
    /// The files, as they were when the run began.
    pub estate: &'a Estate,
    /// What the environment gave.
    pub given: Given,
    /// Where the VPN keys are.
    pub keys: &'a Path,
    /// Whether both clouds may be changed at once.
    pub side_by_side: bool,
}

impl Driver<'_> {
    /// Runs or resumes until nothing is left.
    ///
    /// # Errors
    /// At the first failure, with its fix; the journal holds what is done.
    pub fn run(&self, journal: &mut Journal, goal: &Goal) -> Result<(), Stop> {
        let run = begin(journal, goal)?;
        self.take_apply_lock(run.number, goal.direction)?;
        let ended = self.work_off(journal, goal, run.number, run.done);
        self.apply_lock.give_back()?;
        ended
    }

    /// A lock that a killed run left is ours: the run lock proves that its
    /// driver is gone.
    fn take_apply_lock(&self, number: u64, direction: Direction) -> Result<(), Stop> {
        let holder = self.apply_lock.holder()?;
        if holder.is_some_and(|holder| holder.by.starts_with(RUN)) {
            self.apply_lock.give_back()?;
        }
        let reason = format!("tandem infra {direction}");
        self.apply_lock.take(&format!("{RUN}{number}"), &reason)
    }

    fn work_off(
        &self,
        journal: &mut Journal,
        goal: &Goal,
        number: u64,
        mut done: BTreeSet<Step>,
    ) -> Result<(), Stop> {
        while let Next::Work(steps) = next(goal, &done, self.side_by_side) {
            let steps = self.group(steps);
            for step in &steps {
                self.person.tell(&format!("== {step}"));
                journal.append(number, Event::Started(*step))?;
            }
            match self.work(&steps, goal.direction) {
                Ok(evidence) => write_done(journal, number, &steps, evidence, &mut done)?,
                Err(stop) => {
                    let (step, problem) = (steps[0], stop.problem.clone());
                    journal.append(number, Event::Failed { step, problem })?;
                    return Err(stop);
                }
            }
        }
        Ok(journal.append(number, Event::Finished)?)
    }

    /// Side by side only Terraform steps: the others are short, and one message
    /// after the other is easier to read.
    fn group(&self, mut steps: Vec<Step>) -> Vec<Step> {
        if steps
            .iter()
            .all(|step| matches!(step.work, Work::Terraform(_)))
        {
            return steps;
        }
        steps.truncate(1);
        steps
    }

    fn work(&self, steps: &[Step], direction: Direction) -> Result<Vec<String>, Stop> {
        let step = steps[0];
        match step.work {
            Work::Terraform(_) => self.change(steps, direction),
            Work::Keys => self.make_keys(),
            Work::Preflight => self.preflight(),
            Work::Replicate => self.replicate(direction),
            Work::Verify => self.verify(step.phase, direction),
        }
    }

    fn make_keys(&self) -> Result<Vec<String>, Stop> {
        let made = keys::ensure(self.keys, 2)?;
        Ok(made.iter().map(ToString::to_string).collect())
    }

    fn preflight(&self) -> Result<Vec<String>, Stop> {
        let inputs = preflight::Inputs {
            estate: self.estate,
            terraform: &self.terraform.command,
            keys: self.keys,
            secrets: self.terraform.secrets,
            given: &self.given,
        };
        let report = preflight::run(&inputs, Some(self.cloud));
        if report.faults.is_empty() {
            return Ok(report.proven);
        }
        Err(Stop::new(
            report.kind(),
            report.to_string().trim_end(),
            "put all of it right, then run the same command again; nothing was changed",
        ))
    }

    fn replicate(&self, direction: Direction) -> Result<Vec<String>, Stop> {
        let outputs = self.outputs(&[Root::Aws, Root::Gcp])?;
        let gone = |root: &Root| outputs.get(root).is_some_and(Map::is_empty);
        if direction == Direction::Destroy && [Root::Aws, Root::Gcp].iter().all(gone) {
            return Ok(vec!["both databases are gone already".to_owned()]);
        }
        let ends = Ends::of(&outputs)?;
        match direction {
            Direction::Apply => self.replication.set_up(&ends),
            Direction::Destroy => self.replication.take_away(&ends),
        }
    }

    /// Plans, asks once, applies: one root, or both clouds' at once.
    fn change(&self, steps: &[Step], direction: Direction) -> Result<Vec<String>, Stop> {
        let mut due = Vec::new();
        for step in steps {
            if is_due(self.terraform, step, direction)? {
                due.push(*step);
            }
        }
        if due.is_empty() {
            return Ok(vec![NOTHING_STANDS.to_owned()]);
        }
        let steps = due.as_slice();
        let mut givers: Vec<Root> = Vec::new();
        if direction == Direction::Apply {
            let of = |step: &Step| wiring::givers(root_of(step), step.phase);
            givers.extend(steps.iter().flat_map(of));
        }
        let outputs = self.outputs(&givers)?;
        for step in steps {
            self.wire(step, direction, &outputs)?;
        }
        let plans = at_once(steps, |step| {
            let root = root_of(step);
            // Taking the VPN away is a change of both roots, not their end.
            let whole = direction == Direction::Destroy && step.phase != Phase::Vpn;
            self.terraform.plan(root, whole, None)
        })?;
        let plans: Vec<SavedPlan> = plans
            .into_iter()
            .filter(|plan| !plan.planned.is_empty())
            .collect();
        if !plans.is_empty() {
            self.ask(&plans)?;
            at_once(&plans, |plan| self.terraform.apply(plan))?;
        }
        let told = |plan: &SavedPlan| format!("{}: {}", plan.root().word(), plan.planned.summary());
        let evidence: Vec<String> = plans.iter().map(told).collect();
        if evidence.is_empty() {
            return Ok(vec!["nothing to change".to_owned()]);
        }
        Ok(evidence)
    }

    fn ask(&self, plans: &[SavedPlan]) -> Result<(), Stop> {
        let shown: String = plans
            .iter()
            .map(|plan| plan.planned.render(plan.root().word()))
            .collect();
        let losses = plans
            .iter()
            .flat_map(|plan| plan.planned.losses())
            .collect();
        let asked = Asked::Apply {
            shown: &shown,
            losses,
        };
        if self.person.agrees(&asked) {
            return Ok(());
        }
        Err(Stop::refused(
            "not applied: nobody agreed to the plan",
            "run the same command again when you agree; it goes on here",
        ))
    }

    /// Writes what the root gets from other phases; secrets never come here.
    fn wire(&self, step: &Step, direction: Direction, outputs: &Outputs) -> Result<(), Stop> {
        let root = root_of(step);
        let path = self.terraform.tree.wires(root);
        let present = present_wires(&path);
        let inputs = wiring::inputs(root, step.phase, direction, outputs, &present);
        let mut inputs = inputs.map_err(|lacking| lacking_stop(&lacking))?;
        if root == Root::Certificates && self.given.certificate_arn.is_some() {
            inputs.insert("enable_acm_certificate".to_owned(), false.into());
        }
        if inputs.is_empty() || inputs == present {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&inputs).expect("inputs are plain data");
        replace(&path, &format!("{text}\n"))
            .map_err(|source| Stop::from(Error::Write { path, source }))
    }

    fn outputs(&self, roots: &[Root]) -> Result<Outputs, Stop> {
        outputs(self.terraform, roots)
    }

    fn verify(&self, phase: Phase, direction: Direction) -> Result<Vec<String>, Stop> {
        match direction {
            Direction::Destroy => self.verify_gone(phase),
            Direction::Apply => self.verify_stands(phase),
        }
    }

    fn verify_gone(&self, phase: Phase) -> Result<Vec<String>, Stop> {
        let Some(root) = Root::ALL.into_iter().find(|root| root.phase() == phase) else {
            return Ok(vec!["taken away".to_owned()]);
        };
        if !self.terraform.tree.folder(root).is_dir() {
            return Ok(vec!["there is no such root".to_owned()]);
        }
        let left = self.terraform.addresses(root)?;
        if left.is_empty() {
            return Ok(vec![format!("the state of {} is empty", root.word())]);
        }
        Err(Stop::failed(
            format!(
                "{} resources are left in {}: {}",
                left.len(),
                root.word(),
                left.join(", ")
            ),
            "run the same command again; deletion protection must be off first",
        ))
    }

    fn verify_stands(&self, phase: Phase) -> Result<Vec<String>, Stop> {
        let outputs = self.outputs(proven_by(phase))?;
        if let Some(root) = Root::ALL.into_iter().find(|root| root.phase() == phase) {
            let missing = wiring::missing(root, &outputs);
            if !missing.is_empty() {
                return Err(Stop::failed(
                    format!("{} gives no output {}", root.word(), missing.join(", ")),
                    "add the outputs to outputs.tf: later phases need them",
                ));
            }
        }
        let sources = Sources {
            cloud: self.cloud,
            replication: self.replication,
            names: facts::names(self.estate, &outputs, &self.given),
            outputs: &outputs,
            keys: self.keys,
        };
        judge(&checklist::prove(&sources, Some(phase)))
    }
}

/// What is said of a step that is not due.
const NOTHING_STANDS: &str = "there is no such root, or nothing of it stands: nothing to change";

/// Whether a step has something to work on. Taking the VPN away applies the sites without it, which
/// would make a site that is gone already.
fn is_due(terraform: &Terraform<'_>, step: &Step, direction: Direction) -> Result<bool, Stop> {
    let root = root_of(step);
    if !terraform.tree.folder(root).is_dir() {
        return Ok(false);
    }
    let applies = direction == Direction::Destroy && step.phase == Phase::Vpn;
    Ok(!applies || !terraform.is_empty(root)?)
}

/// What a root got from other phases before.
fn present_wires(path: &Path) -> Map<String, Value> {
    let text = std::fs::read_to_string(path).ok();
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// What one Terraform step would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// For a person.
    pub text: String,
    /// Whether it would change anything.
    pub changes: bool,
}

/// Plans every Terraform step of `phases` without changing a file of the roots.
/// A step that waits for another phase says so.
///
/// # Errors
/// If Terraform refuses a plan.
pub fn preview(
    terraform: &Terraform<'_>,
    direction: Direction,
    phases: &[Phase],
) -> Result<Vec<Preview>, Stop> {
    let goal = Goal {
        direction,
        phases: phases.to_vec(),
    };
    let steps = goal.steps().into_iter();
    let known = outputs(terraform, &Root::ALL)?;
    steps
        .filter(|step| matches!(step.work, Work::Terraform(_)))
        .map(|step| preview_step(terraform, direction, &known, &step))
        .collect()
}

fn preview_step(
    terraform: &Terraform<'_>,
    direction: Direction,
    known: &Outputs,
    step: &Step,
) -> Result<Preview, Stop> {
    let root = root_of(step);
    let title = format!("{} ({})", step.phase, root.folder());
    if !is_due(terraform, step, direction)? {
        return Ok(Preview {
            text: format!("{title}: {NOTHING_STANDS}\n"),
            changes: false,
        });
    }
    let present = present_wires(&terraform.tree.wires(root));
    let inputs = match wiring::inputs(root, step.phase, direction, known, &present) {
        Ok(inputs) => inputs,
        Err(lacking) => {
            let waits = lacking_stop(&lacking);
            let text = format!("{title}: waits: {}; first {}\n", waits.problem, waits.fix);
            return Ok(Preview {
                text,
                changes: true,
            });
        }
    };
    let path = terraform.tree.own().join("preview.tfvars.json");
    let text = serde_json::Value::Object(inputs).to_string();
    replace(&path, &text).map_err(|source| {
        let path = path.clone();
        Stop::from(Error::Write { path, source })
    })?;
    let whole = direction == Direction::Destroy && step.phase != Phase::Vpn;
    let plan = terraform.plan(root, whole, Some(&path))?;
    Ok(Preview {
        text: plan.planned.render(&title),
        changes: !plan.planned.is_empty(),
    })
}

/// The roots whose outputs the proof of a phase speaks of.
fn proven_by(phase: Phase) -> &'static [Root] {
    match phase {
        Phase::Prepare => &[Root::Certificates],
        Phase::Lb => &[],
        Phase::Aws => &[Root::Aws],
        Phase::Gcp => &[Root::Gcp],
        Phase::Vpn | Phase::Replication => &[Root::Aws, Root::Gcp],
    }
}

/// The outputs of these roots, as far as they were initialised.
///
/// # Errors
/// If Terraform refuses.
pub fn outputs(terraform: &Terraform<'_>, roots: &[Root]) -> Result<Outputs, Stop> {
    let mut outputs = Outputs::new();
    for &root in roots {
        // A root without providers and backend has no folder of Terraform's.
        let folder = terraform.tree.folder(root);
        let marks = [".terraform", "terraform.tfstate"];
        if marks.iter().any(|mark| folder.join(mark).exists()) {
            outputs.insert(root, terraform.outputs(root)?);
        }
    }
    Ok(outputs)
}

/// Evidence of a phase, or everything that is not proven.
///
/// # Errors
/// With all rows that are not proven at once.
pub fn judge(rows: &[Proven]) -> Result<Vec<String>, Stop> {
    let open: Vec<&Proven> = rows
        .iter()
        .filter(|row| row.verdict != Verdict::Proven)
        .collect();
    if open.is_empty() {
        return Ok(rows
            .iter()
            .map(|row| format!("{}: {}", row.title, row.evidence))
            .collect());
    }
    let line = |row: &&Proven| {
        let how = if row.verdict == Verdict::Failed {
            "failed"
        } else {
            "cannot tell"
        };
        format!(
            "{} / {}: {how}: {}\n    fix: {}",
            row.phase, row.title, row.evidence, row.fix
        )
    };
    let lines: Vec<String> = open.iter().map(line).collect();
    let problem = format!(
        "{} of {} rows are not proven:\n  {}",
        open.len(),
        rows.len(),
        lines.join("\n  ")
    );
    let unknown = open.iter().all(|row| row.verdict == Verdict::Unknown);
    let kind = if unknown { Kind::Partial } else { Kind::Failed };
    Err(Stop::new(
        kind,
        problem,
        "then run the same command again: it goes on with this proof",
    ))
}

fn root_of(step: &Step) -> Root {
    match step.work {
        Work::Terraform(root) => root,
        _ => unreachable!("only Terraform steps change roots"),
    }
}

/// Does the same for one or two things; two at the same time. The first fault
/// is told after both have ended.
fn at_once<T: Sync, R: Send>(
    things: &[T],
    act: impl Fn(&T) -> Result<R, Stop> + Sync,
) -> Result<Vec<R>, Stop> {
    if let [one] = things {
        return Ok(vec![act(one)?]);
    }
    let act = &act;
    std::thread::scope(|scope| {
        let threads: Vec<_> = things
            .iter()
            .map(|thing| scope.spawn(move || act(thing)))
            .collect();
        let ended: Vec<Result<R, Stop>> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect();
        ended.into_iter().collect()
    })
}

fn lacking_stop(lacking: &[wiring::Lacking]) -> Stop {
    let phases: BTreeSet<Phase> = lacking.iter().map(|found| found.phase).collect();
    let outputs: Vec<&str> = lacking.iter().map(|found| found.output).collect();
    let fixes: Vec<String> = phases
        .iter()
        .map(|phase| format!("tandem infra apply --phase {phase}"))
        .collect();
    Stop::failed(
        format!("no output {} yet", outputs.join(", ")),
        format!("{}, then the same command again", fixes.join(", ")),
    )
}

/// Writes a file complete or not at all.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let unfinished = path.with_extension("new");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

fn begin(journal: &mut Journal, goal: &Goal) -> Result<Run, Stop> {
    if let Some(run) = journal.last_run().filter(|run| !run.ended) {
        if run.goal == *goal {
            journal.append(run.number, Event::Resumed)?;
            return Ok(run);
        }
        // Another goal: what was done stands, what was open is planned anew.
        journal.append(run.number, Event::Abandoned)?;
    }
    let number = journal.last_run().map_or(1, |run| run.number + 1);
    journal.append(number, Event::Began(goal.clone()))?;
    Ok(Run {
        number,
        goal: goal.clone(),
        done: BTreeSet::new(),
        ended: false,
    })
}

fn write_done(
    journal: &mut Journal,
    run: u64,
    steps: &[Step],
    evidence: Vec<String>,
    done: &mut BTreeSet<Step>,
) -> Result<(), Stop> {
    for step in steps {
        let evidence = evidence.clone();
        journal.append(
            run,
            Event::Done {
                step: *step,
                evidence,
            },
        )?;
        done.insert(*step);
    }
    Ok(())
}
