//! `tandem infra preflight`, `status`, `verify`, `outputs`, `lock`, `unlock`.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde_json::json;
use tandem_infra::cloud::{Cloud, Verdict};
use tandem_infra::phases::checklist::{self, Proven, Sources};
use tandem_infra::phases::journal::Journal;
use tandem_infra::phases::step::{Next, next};
use tandem_infra::phases::wiring::Outputs;
use tandem_infra::phases::{Phase, Root, Stop, facts, run};
use tandem_infra::preflight;

use super::Place;
use super::drive::Session;

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Form {
    #[default]
    Table,
    Json,
}

#[derive(clap::Args)]
pub(super) struct PreflightArgs {
    /// Ask no cloud: files, keys, secrets and tools only
    #[arg(long)]
    offline: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

#[derive(clap::Args)]
pub(super) struct StatusArgs {
    /// Prove every row of the guide's checklist now
    #[arg(long)]
    checklist: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    /// The phase
    #[arg(long)]
    phase: Phase,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

#[derive(clap::Args)]
pub(super) struct OutputArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

pub(super) fn preflight(place: &Place, args: &PreflightArgs) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    let inputs = preflight::Inputs {
        estate: &session.estate,
        terraform: &session.command,
        keys: &session.keys,
        secrets: &session.secrets,
        given: &session.given,
    };
    let cloud: Option<&dyn Cloud> = (!args.offline).then_some(&session.cloud);
    let report = preflight::run(&inputs, cloud);
    match args.output {
        Form::Json => {
            let document = json!({"schema": "tandem.infra.preflight.v1", "faults": report.faults,
                "warnings": report.warnings, "proven": report.proven});
            println!("{document:#}");
        }
        Form::Table => {
            report
                .proven
                .iter()
                .for_each(|line| println!("ok       {line}"));
            report
                .warnings
                .iter()
                .for_each(|fault| println!("warning  {fault}"));
            report
                .faults
                .iter()
                .for_each(|fault| println!("FAULT    {fault}"));
            println!(
                "{} fault(s), {} warning(s)",
                report.faults.len(),
                report.warnings.len()
            );
        }
    }
    if report.faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(report.kind().exit_code()))
}

pub(super) fn status(place: &Place, args: &StatusArgs) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    if !args.checklist {
        return progress(&session, args.output);
    }
    let rows = prove(&session, None)?;
    print_rows(&rows, args.output);
    Ok(exit_of(&rows))
}

/// What the journal says: which steps are done, what comes next.
fn progress(session: &Session, output: Form) -> Result<ExitCode, Stop> {
    let journal = Journal::open(&session.tree.journal())?;
    let Some(run) = journal.last_run() else {
        println!("nothing was applied from here yet; begin with `tandem infra preflight`");
        return Ok(ExitCode::SUCCESS);
    };
    let steps = run.goal.steps();
    let next = match next(&run.goal, &run.done, false) {
        Next::Work(steps) if !run.ended => Some(steps[0].to_string()),
        _ => None,
    };
    let done = |step| {
        if run.done.contains(step) {
            "done"
        } else {
            "open"
        }
    };
    if matches!(output, Form::Json) {
        let steps: Vec<_> = steps
            .iter()
            .map(|step| json!({"step": step.to_string(), "state": done(step)}))
            .collect();
        println!(
            "{:#}",
            json!({"schema": "tandem.infra.status.v1", "run": run.number,
            "direction": run.goal.direction, "steps": steps, "next": next})
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("run {}: {}", run.number, run.goal.direction);
    steps
        .iter()
        .for_each(|step| println!("  {}  {step}", done(step)));
    match next {
        Some(step) => println!(
            "goes on with {step}: `tandem infra {}` again",
            run.goal.direction
        ),
        None => println!("nothing is left to do"),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn verify(place: &Place, args: &VerifyArgs) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    let rows = prove(&session, Some(args.phase))?;
    print_rows(&rows, args.output);
    Ok(exit_of(&rows))
}

fn prove(session: &Session, phase: Option<Phase>) -> Result<Vec<Proven>, Stop> {
    let outputs = read_outputs(session)?;
    let sources = Sources {
        cloud: &session.cloud,
        replication: session.replication.as_ref(),
        names: facts::names(&session.estate, &outputs, &session.given),
        outputs: &outputs,
        keys: &session.keys,
    };
    Ok(checklist::prove(&sources, phase))
}

fn exit_of(rows: &[Proven]) -> ExitCode {
    let any = |verdict| rows.iter().any(|row| row.verdict == verdict);
    ExitCode::from(match (any(Verdict::Failed), any(Verdict::Unknown)) {
        (true, _) => 1,
        (false, true) => 6,
        (false, false) => 0,
    })
}

fn print_rows(rows: &[Proven], output: Form) {
    if matches!(output, Form::Json) {
        println!(
            "{:#}",
            json!({"schema": "tandem.infra.checklist.v1", "rows": rows})
        );
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        let word = match row.verdict {
            Verdict::Proven => "proven",
            Verdict::Failed => "FAILED",
            Verdict::Unknown => "cannot tell",
        };
        let seen = if row.fix.is_empty() {
            row.evidence.clone()
        } else {
            format!("{}\nfix: {}", row.evidence, row.fix)
        };
        let at = row.at.strftime("%H:%M:%SZ").to_string();
        table.add_row([word, row.phase.word(), row.title, &seen, &at]);
    }
    println!("{table}");
    let proven = rows
        .iter()
        .filter(|row| row.verdict == Verdict::Proven)
        .count();
    println!("{proven} of {} rows are proven", rows.len());
}

fn read_outputs(session: &Session) -> Result<Outputs, Stop> {
    let lock = session.lock()?;
    let say = |_: Root, _: &str| ();
    let terraform = session.terraform(&session.secrets, &lock, 0, &say);
    run::outputs(&terraform, &Root::ALL)
}

pub(super) fn outputs(place: &Place, args: &OutputArgs) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    let outputs = read_outputs(&session)?;
    if matches!(args.output, Form::Json) {
        let of: serde_json::Map<_, _> = outputs
            .iter()
            .map(|(root, values)| (root.word().to_owned(), values.clone().into()))
            .collect();
        println!(
            "{:#}",
            json!({"schema": "tandem.infra.outputs.v1", "outputs": of})
        );
        return Ok(ExitCode::SUCCESS);
    }
    for (root, values) in &outputs {
        for (name, value) in values {
            println!("{}.{name} = {value}", root.word());
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn lock(place: &Place, by: &str, reason: &str) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    session.apply_lock.take(by, reason)?;
    println!("no apply until `tandem infra unlock`");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn unlock(place: &Place) -> Result<ExitCode, Stop> {
    let session = Session::open(place)?;
    match session.apply_lock.give_back()? {
        Some(holder) => println!("unlocked; it was held by {holder}"),
        None => println!("it was not locked"),
    }
    Ok(ExitCode::SUCCESS)
}
