//! One run of one drill: prepare, load, break, look, judge, write evidence.
//!
//! The runner owns no clock of recovery: it writes down when it broke what, and
//! the clients write down what they saw. A run that cannot be carried out is
//! *aborted*, which is neither passed nor failed, and breaks nothing more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tandem_core::drill::curves::{buckets, quantile};
use tandem_core::drill::observed::{Injected, Observed, Told};
use tandem_core::drill::timing::Window;
use tandem_core::drill::{Action, Drill, Inside, Request, Step, Verdict};
use tandem_core::model::Mono;
use tokio::task::JoinHandle;

use super::client::{Mark, Target};
use super::evidence::{self, Client, Decision, Machine, Report, Run, SCHEMA};
use super::observe::{Heard, Watching};
use super::progress::{Meter, Progress, Tell};
use super::stage::Stage;
use super::{
    Error, Stop, aftermath, circumstances, clock, crash, inside, load, observe, prepare, visibility,
};

/// How often the live line is drawn.
const DRAW: Duration = Duration::from_millis(250);

/// Width of a bucket of the curves.
const BUCKET: Duration = Duration::from_millis(500);

/// What a person chose for a run.
#[derive(Debug, Clone)]
pub struct Order {
    /// The experiment.
    pub drill: Drill,
    /// Which run of how many, from 1.
    pub number: u32,
    /// The seed of the timetable.
    pub seed: u64,
    /// Bounds on time are multiplied by this.
    pub patience: f64,
    /// Where the evidence goes.
    pub folder: PathBuf,
    /// The command that repeats the run.
    pub command: String,
}

/// Everything that a load phase showed.
struct Ridden {
    ended: load::Ended,
    inside: Vec<Inside>,
    injected: Vec<Injected>,
    aborted: Option<String>,
    seen: Option<visibility::Seen>,
}

/// Runs one drill on a lab that runs, and writes its evidence.
///
/// # Errors
/// If the runner itself fails or is interrupted; a service that fails is a verdict.
pub async fn run(
    stage: &Stage,
    order: &Order,
    tell: Tell<'_>,
    stop: &Stop,
) -> Result<Report, Error> {
    let machine = circumstances::machine();
    let wall = circumstances::wall();
    let begun = circumstances::wall_seconds();
    let work = ride(stage, order, tell);
    let (observed, ridden, heard) = tokio::select! {
        done = work => done?,
        () = stop.cancelled() => return Err(Error::Interrupted),
    };
    let mut report = report(stage, order, &observed, &ridden, &heard, machine, wall)?;
    report.journal = stage.journal(begun).await;
    evidence::keep_logs(&order.folder, stage.logs())?;
    evidence::write(&order.folder, &report, &observed.requests, &observed.inside)?;
    Ok(report)
}

async fn ride(
    stage: &Stage,
    order: &Order,
    tell: Tell<'_>,
) -> Result<(Observed, Ridden, Heard), Error> {
    let drill = &order.drill;
    let contacts = prepare::ready(stage, drill, tell).await?;
    let mark = Mark::random();
    let target = Target {
        url: stage.edge(),
        clouds: stage.clouds(),
        mark: mark.clone(),
        contacts,
    };
    let watching = observe::start(stage.watched())?;
    let ridden = under_load(stage, order, target, &watching, tell).await?;
    let mut observed = Observed {
        started: ridden.ended.started,
        ended: ridden.ended.ended,
        injected: ridden.injected.clone(),
        requests: ridden.ended.requests.clone(),
        inside: ridden.inside.clone(),
        ..Observed::default()
    };
    if let Some(seen) = &ridden.seen {
        observed.visible_after = seen.after.clone();
        observed.not_visible = seen.never + seen.unwritten;
    }
    if ridden.aborted.is_none() {
        aftermath::look(stage, drill, &mark, &watching, &mut observed, tell).await?;
    }
    let heard = finish(watching).await?;
    let fault = observed.fault();
    observed.writers = heard.writers.clone();
    if let Some(fault) = fault {
        observed.agents = heard.marks(fault, &drill.scope);
        observed.pool_unhealthy = heard.pool_unhealthy(fault, &drill.scope);
    }
    Ok((observed, ridden, heard))
}

async fn finish(watching: Watching) -> Result<Heard, Error> {
    let joined = tokio::task::spawn_blocking(|| watching.finish()).await;
    joined.map_err(|_| Error::ClientsPanicked)?
}

async fn under_load(
    stage: &Stage,
    order: &Order,
    target: Target,
    watching: &Watching,
    tell: Tell<'_>,
) -> Result<Ridden, Error> {
    let drill = &order.drill;
    let span = drill.before() + drill.after();
    let insiders = insiders(stage, drill, &target)?;
    let running = StopOnDrop(Some(load::start(target, drill.load, span, order.seed)?));
    let probes = Probes::start(stage, drill);
    let fault_at = running.started().after(drill.before());
    let mut watch = Watch {
        running: &running,
        watching,
        fault_at,
        end: running.started().after(span),
        meter: Meter::default(),
        seen: 0,
        all: Vec::new(),
        tell,
    };
    tell(&Progress::Phase(format!(
        "load: {} requests/s, {} % writes; the first fault comes in {} s",
        drill.load.rate_per_s, drill.load.write_percent, drill.before_s
    )));
    watch.until(fault_at).await;
    let aborted = unwell(drill, &watch.all);
    let mut injected = Vec::new();
    if aborted.is_some() {
        running.stop();
    } else {
        inject(stage, order, &mut watch, &mut injected).await?;
        watch.until_finished().await;
    }
    let seen = probes.finish().await?;
    let ended = running.finish().await?;
    let inside = match insiders {
        Some(insiders) => inside::ended(insiders).await?,
        None => Vec::new(),
    };
    Ok(Ridden {
        ended,
        inside,
        injected,
        aborted,
        seen,
    })
}

/// Clients inside the sites, if the drill asks for them.
fn insiders(
    stage: &Stage,
    drill: &Drill,
    target: &Target,
) -> Result<Option<inside::Running>, Error> {
    let Some(asked) = drill.inside else {
        return Ok(None);
    };
    let every = Duration::from_millis(asked.every_ms);
    inside::start(stage.doors(), &target.clouds, &target.mark, every).map(Some)
}

/// Why nothing shall be broken now, if so.
fn unwell(drill: &Drill, before: &[Request]) -> Option<String> {
    let failed = before.iter().filter(|request| !request.succeeded()).count();
    let share = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let percent = share(failed) * 100.0 / share(before.len().max(1));
    let limit = drill.abort.failed_percent_before;
    (before.is_empty() || percent > limit).then(|| {
        format!("{percent:.1} % of {} requests failed before the fault; more than {limit} % means that the service is not well, so nothing was broken", before.len())
    })
}

async fn inject(
    stage: &Stage,
    order: &Order,
    watch: &mut Watch<'_>,
    injected: &mut Vec<Injected>,
) -> Result<(), Error> {
    let drill = &order.drill;
    for Step {
        at_ms,
        action,
        crash,
    } in &drill.steps
    {
        let due = watch.fault_at.after(Duration::from_millis(*at_ms));
        watch.until(due).await;
        let from = clock::now();
        let told = match crash {
            None => stage.perform(action).await?,
            Some(crash) => {
                let moment = crash.moment(order.number);
                Some(crash::during(stage, action, moment, crash.away()).await?)
            }
        };
        let window = Window {
            from,
            to: clock::now(),
        };
        (watch.tell)(&Progress::Fault(line(action, told.as_ref())));
        injected.push(Injected {
            action: action.clone(),
            window,
            told,
        });
    }
    Ok(())
}

/// What was done, and how it ended if that could be otherwise.
fn line(action: &Action, told: Option<&Told>) -> String {
    match told {
        None => action.to_string(),
        Some(told) if told.as_expected => format!("{action}: {}", told.said),
        Some(told) => format!("{action}: NOT AS EXPECTED: {}", told.said),
    }
}

/// Draws the live line while time passes.
struct Watch<'a> {
    running: &'a StopOnDrop,
    watching: &'a Watching,
    fault_at: Mono,
    end: Mono,
    meter: Meter,
    seen: usize,
    all: Vec<Request>,
    tell: Tell<'a>,
}

impl Watch<'_> {
    async fn until(&mut self, moment: Mono) {
        loop {
            let left = clock::now().until(moment);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(DRAW)).await;
            self.draw();
        }
    }

    async fn until_finished(&mut self) {
        while !self.running.is_finished() {
            tokio::time::sleep(DRAW).await;
            self.draw();
        }
    }

    fn draw(&mut self) {
        let (requests, seen) = self.running.ended_since(self.seen);
        let now = clock::now();
        self.meter.take(&requests, now);
        self.seen = seen;
        self.all.extend(requests);
        let mut live = self.meter.live();
        live.at_s = now.since(self.fault_at).as_secs_f64() - self.fault_at.since(now).as_secs_f64();
        live.left_s = now.until(self.end).as_secs_f64();
        live.writer = self.watching.writer();
        (self.tell)(&Progress::Live(live));
    }
}

/// A load that stops when its run is given up.
struct StopOnDrop(Option<load::Running>);

impl std::ops::Deref for StopOnDrop {
    type Target = load::Running;

    fn deref(&self) -> &load::Running {
        self.0
            .as_ref()
            .expect("taken only by `finish`, which consumes it")
    }
}

impl StopOnDrop {
    async fn finish(mut self) -> Result<load::Ended, Error> {
        let running = self.0.take().expect("taken once");
        let joined = tokio::task::spawn_blocking(|| running.finish()).await;
        joined.map_err(|_| Error::ClientsPanicked)?
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.stop();
        }
    }
}

/// The visibility probes, if the drill asks for them.
struct Probes {
    stop: Arc<AtomicBool>,
    task: Option<JoinHandle<Result<visibility::Seen, Error>>>,
}

impl Probes {
    fn start(stage: &Stage, drill: &Drill) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = drill.visibility.map(|asked| {
            let every = Duration::from_millis(asked.every_ms);
            let (from, to) = (stage.crm(asked.from), stage.crm(asked.to));
            tokio::spawn(visibility::probe(from, to, every, Arc::clone(&stop)))
        });
        Self { stop, task }
    }

    async fn finish(mut self) -> Result<Option<visibility::Seen>, Error> {
        self.stop.store(true, Ordering::Relaxed);
        match self.task.take() {
            Some(task) => task.await.map_err(|_| Error::ClientsPanicked)?.map(Some),
            None => Ok(None),
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn report(
    stage: &Stage,
    order: &Order,
    observed: &Observed,
    ridden: &Ridden,
    heard: &Heard,
    machine: Machine,
    wall: String,
) -> Result<Report, Error> {
    let drill = &order.drill;
    let values = observed.values(drill);
    let verdict = match &ridden.aborted {
        Some(reason) => Verdict::aborted(reason.clone()),
        None => Verdict::judge(drill, &values, order.patience),
    };
    Ok(Report {
        schema: SCHEMA.to_owned(),
        drill: drill.clone(),
        run: Run {
            number: order.number,
            seed: order.seed,
            started: wall,
            finished: circumstances::wall(),
            patience: order.patience,
            network: stage.network(),
            links: stage.links(),
            command: order.command.clone(),
        },
        verdict,
        values,
        timing: observed.timing(),
        oracle: observed.oracle(),
        injected: observed.injected.clone(),
        moves: observed.moves(),
        findings: observed.findings.clone(),
        doors: evidence::doors(&observed.inside),
        decisions: decisions(heard),
        journal: Vec::new(),
        writers: heard.writers.clone(),
        started: observed.started,
        ended: observed.ended,
        bucket_ms: u64::try_from(BUCKET.as_millis()).expect("half a second"),
        buckets: buckets(&observed.requests, observed.started, observed.ended, BUCKET),
        failures: failures(&observed.requests),
        client: client(&observed.requests, ridden.ended.cpu),
        versions: stage.versions(),
        configuration: stage.configuration()?,
        machine,
        unproven: circumstances::unproven(stage.network()),
    })
}

fn decisions(heard: &Heard) -> Vec<Decision> {
    let told = heard.sightings.iter().filter_map(|seen| {
        let report = seen.report.clone()?;
        Some(Decision {
            at: seen.at,
            agent: seen.agent.clone(),
            site: seen.site,
            epoch: seen.epoch,
            role: seen.role.clone(),
            down: seen.down.clone(),
            code: report.code,
            en: report.en,
            ko: report.ko,
            rules: report.rules,
        })
    });
    told.collect()
}

fn failures(requests: &[Request]) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for request in requests.iter().filter(|request| !request.succeeded()) {
        let words = request
            .failure
            .clone()
            .unwrap_or_else(|| "answered too late".to_owned());
        *counted
            .entry(format!("{}: {words}", request.kind.as_str()))
            .or_default() += 1;
    }
    counted
}

fn client(requests: &[Request], cpu: Duration) -> Client {
    let mut late: Vec<Duration> = requests
        .iter()
        .filter_map(|request| Some(request.sent?.since(request.intended)))
        .collect();
    let ms = |span: Option<Duration>| span.unwrap_or_default().as_secs_f64() * 1_000.0;
    Client {
        cpu_s: cpu.as_secs_f64(),
        late_p99_ms: ms(quantile(&mut late, 990)),
        late_max_ms: ms(quantile(&mut late, 1_000)),
    }
}
