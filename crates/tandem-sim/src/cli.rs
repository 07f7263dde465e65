//! The command line.

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::Parser;
use tandem_core::mutation::Mutation;
use tandem_sim::fault::Kind;
use tandem_sim::model::{Bounds, SEARCHES, Search};
use tandem_sim::run::{self, Outcome, Tally};
use tandem_sim::world::Options;

/// Plays whole incidents of Tandem in virtual time and judges every event.
///
/// Every decision is made by the code that runs in production; stores, databases, links,
/// clocks and people are fakes that fail in every known way. The same seed is the same
/// incident, bit for bit, on every machine.
///
/// Exit code: 0 = no promise was broken, 1 = one was, 2 = the command was wrong.
#[derive(Debug, Parser)]
#[command(name = "tandem-sim", version, after_help = EXAMPLES)]
struct Arguments {
    /// Play one seed and print what happened: time, who, what, reason code.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,

    /// Play all seeds from A to below B on all cores and count broken promises.
    #[arg(long, value_name = "A..B", value_parser = range)]
    seeds: Option<(u64, u64)>,

    /// Try every schedule within stated bounds; without NAME all searches, one after the other.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "all", conflicts_with_all = ["seed", "seeds"])]
    model: Option<String>,

    /// With --model: give a search up after this many steps.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000_000,
        requires = "model"
    )]
    steps: usize,

    /// Leave out these faults of the seed, by their numbers in the transcript.
    #[arg(long, value_name = "N,N", value_delimiter = ',', requires = "seed")]
    without: Vec<u8>,

    /// Take one safety rule away (a build with `--features mutations`); `list` prints them.
    #[arg(long, value_name = "NAME")]
    mutation: Option<String>,

    /// With --seeds and --mutation: leave out faults until no more can go, print the shortest.
    #[arg(long, requires = "mutation")]
    shortest: bool,

    /// Print every kind of fault.
    #[arg(long)]
    faults: bool,

    /// Threads; as many as cores if absent.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  tandem-sim --seeds 0..10000                      play ten thousand incidents
  tandem-sim --seed 4711                           tell the story of one
  tandem-sim --seed 4711 --without 2,3             the same without two of its faults
  tandem-sim --model                               try every schedule within bounds
  tandem-sim --faults                              what can go wrong";

fn range(text: &str) -> Result<(u64, u64), String> {
    let parsed = text.split_once("..").and_then(|(from, to)| {
        let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (from < to).then_some((from, to))
    });
    parsed.ok_or_else(|| "write A..B with A below B, such as 0..10000".into())
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.faults {
        for kind in Kind::ALL {
            println!("{:<20}{}", kind.name(), kind.about());
        }
        return ExitCode::SUCCESS;
    }
    let mutation = match arguments.mutation.as_deref().map(mutation).transpose() {
        Ok(mutation) => mutation.flatten(),
        Err(said) => {
            eprintln!("{said}");
            return ExitCode::from(2);
        }
    };
    if arguments.mutation.as_deref() == Some("list") {
        return ExitCode::SUCCESS;
    }
    if let Some(name) = arguments.model {
        return model(&name, arguments.threads, arguments.steps, mutation);
    }
    match (arguments.seed, arguments.seeds) {
        (Some(seed), _) => replay(seed, arguments.without, mutation),
        (None, Some((from, to))) if arguments.shortest => shortest(from, to, mutation),
        (None, Some((from, to))) => many(from, to, arguments.threads, mutation),
        (None, None) => {
            eprintln!("nothing to do: give --seed N or --seeds A..B; --help tells more");
            ExitCode::from(2)
        }
    }
}

/// The rule of that name; none if the list was asked for.
fn mutation(name: &str) -> Result<Option<Mutation>, String> {
    if name == "list" {
        for mutation in Mutation::ALL {
            println!("{:<30}{}", mutation.name(), mutation.about());
        }
        return Ok(None);
    }
    if !cfg!(feature = "mutations") {
        return Err("this build keeps every rule; build with --features mutations".into());
    }
    let found = Mutation::ALL
        .iter()
        .find(|mutation| mutation.name() == name);
    let found =
        found.ok_or_else(|| format!("no such rule: {name}; --mutation list prints them"))?;
    Ok(Some(*found))
}

fn replay(seed: u64, without: Vec<u8>, mutation: Option<Mutation>) -> ExitCode {
    run::take_away(mutation);
    let options = Options {
        seed,
        without,
        transcript: true,
    };
    let outcome = run::one(&options);
    for line in &outcome.transcript {
        println!("{line}");
    }
    println!("{} events, digest {:016x}", outcome.events, outcome.digest);
    verdict(&outcome)
}

fn verdict(outcome: &Outcome) -> ExitCode {
    match &outcome.violation {
        Some(broken) => {
            println!("BROKEN {}: {}", broken.invariant, broken.what);
            ExitCode::FAILURE
        }
        None => {
            println!("no promise was broken");
            ExitCode::SUCCESS
        }
    }
}

fn model(name: &str, threads: Option<usize>, steps: usize, mutation: Option<Mutation>) -> ExitCode {
    let chosen = |bounds: &&Bounds| name == "all" || bounds.name == name;
    let mut searches = SEARCHES.iter().filter(chosen).peekable();
    if searches.peek().is_none() {
        let names: Vec<&str> = SEARCHES.iter().map(|bounds| bounds.name).collect();
        eprintln!("no such search: {name}; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let (mut states, mut whole, mut broken) = (0, 0, 0);
    for bounds in searches {
        let begun = Instant::now();
        let found = Search::new(*bounds, mutation).run(threads.unwrap_or_else(cores), steps);
        println!("{}", found.shown(bounds));
        let seconds = begun.elapsed().as_secs_f64();
        println!("{:<14} {seconds:.1} s: {}", "", bounds.about);
        if !found.complete && found.broken.is_none() {
            println!("{:<14} given up before every state was visited", "");
        }
        states += found.states;
        whole += usize::from(found.complete);
        let dull = found.complete && !found.unreached.is_empty();
        broken += usize::from(dull || found.broken.is_some());
    }
    println!("{states} states; {whole} searches visited every state, {broken} failed");
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn many(from: u64, to: u64, threads: Option<usize>, mutation: Option<Mutation>) -> ExitCode {
    let begun = Instant::now();
    let tally = run::many(from, to, threads.unwrap_or_else(cores), mutation);
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    tell(&tally, seconds, mutation);
    println!("{} seeds, {} violations", tally.seeds, tally.violations);
    if tally.violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display only")]
fn tell(tally: &Tally, seconds: f64, mutation: Option<Mutation>) {
    let rule = mutation.map_or(String::new(), |rule| format!(" --mutation {}", rule.name()));
    for outcome in &tally.kept {
        if let Some(broken) = &outcome.violation {
            println!(
                "seed {}: {} {}",
                outcome.seed, broken.invariant, broken.what
            );
            println!("  replay: tandem-sim{rule} --seed {}", outcome.seed);
        }
    }
    let reached: Vec<String> = tally
        .reached
        .counts()
        .iter()
        .map(|(name, seeds)| format!("{name} {seeds}"))
        .collect();
    println!("seeds with: {}", reached.join(", "));
    println!(
        "{} events, {:.0} a seed; {seconds:.1} s, {:.0} seeds/s, {:.0} events/s",
        tally.events,
        tally.events as f64 / tally.seeds as f64,
        tally.seeds as f64 / seconds,
        tally.events as f64 / seconds,
    );
}

fn shortest(from: u64, to: u64, mutation: Option<Mutation>) -> ExitCode {
    const WANTED: usize = 20;
    let Some(options) = run::shortest(from, to, mutation, WANTED) else {
        println!("not caught in seeds {from}..{to}");
        return ExitCode::SUCCESS;
    };
    let without: Vec<String> = options.without.iter().map(u8::to_string).collect();
    let seed = options.seed;
    let told = replay(seed, options.without, mutation);
    println!(
        "the shortest found: --seed {seed} --without {}",
        without.join(",")
    );
    told
}
