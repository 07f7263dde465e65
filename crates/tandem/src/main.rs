//! `tandem`: every command a person types.
//!
//! Each command is a module of `commands` with its own `Args` and `run`; this
//! file only routes and turns errors into exit codes.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps a service alive on two clouds at once, and proves it.
#[derive(Parser)]
#[command(name = "tandem", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "one value in the life of a process"
)]
enum Command {
    /// Explain every key of tandem.toml, or check a file
    Config(commands::config::Args),
    /// Compute offline what the configuration really promises
    Check(commands::check::Args),
    /// Price the environments, by item and by scenario
    Cost(commands::cost::Args),
    /// Build, prove and take away the infrastructure, phase by phase
    Infra(commands::infra::Args),
    /// Availability arithmetic
    Slo(commands::slo::Args),
    /// Run one agent (the site's daemon)
    #[cfg(feature = "runtime")]
    Agent(commands::agent::Args),
    /// Create the authority record of a new cluster
    #[cfg(feature = "runtime")]
    Init(commands::init::Args),
    /// Access tokens of named persons
    #[cfg(feature = "runtime")]
    Token(commands::token::Args),
    /// Show sites, roles, epoch, exposure, lag and what Tandem is waiting for
    #[cfg(feature = "runtime")]
    Status(commands::status::Args),
    /// Show who asked for what and what agents did, newest first
    #[cfg(feature = "runtime")]
    History(commands::history::Args),
    /// Stop automatic promotions for a limited time
    #[cfg(feature = "runtime")]
    Pause(commands::requests::Pause),
    /// Take back what was paused, approved or asked for
    #[cfg(feature = "runtime")]
    Resume(commands::requests::Resume),
    /// Let the promotion that waits for a person happen
    #[cfg(feature = "runtime")]
    Approve(commands::requests::Approve),
    /// Say that the last promotion was looked at: the next may come within the hour
    #[cfg(feature = "runtime")]
    Acknowledge(commands::requests::Acknowledge),
    /// Show what a failover or switchover would do now
    #[cfg(feature = "runtime")]
    Plan(commands::moves::Plan),
    /// Move the right to write by force
    #[cfg(feature = "runtime")]
    Failover(commands::moves::Failover),
    /// Move the right to write as planned, losing nothing
    #[cfg(feature = "runtime")]
    Switchover(commands::moves::Switchover),
    /// Make an old primary a replica again
    #[cfg(feature = "runtime")]
    Reinstate(commands::reinstate::Args),
    /// What a failed primary had acknowledged and the survivor never got
    #[cfg(feature = "runtime")]
    Ledger(commands::ledger::Args),
    /// The guard inside a database: put it on, take it off, break-glass
    #[cfg(feature = "runtime")]
    Guard(commands::guard::Args),
    /// Ask both databases, read-only, what stands in the way of surviving the loss of one
    #[cfg(feature = "runtime")]
    Doctor(commands::doctor::Args),
    /// Set up and watch PostgreSQL replication
    #[cfg(feature = "runtime")]
    Replication(commands::replication::Args),
    /// Take Tandem out of both databases while applications write
    #[cfg(feature = "runtime")]
    Uninstall(commands::uninstall::Args),
    /// Prove that both databases hold the same rows, while traffic runs; read-only
    #[cfg(feature = "runtime")]
    Verify(commands::verify::Args),
    /// Change tables of a replicated pair, each statement at the right site first
    #[cfg(feature = "runtime")]
    Schema(commands::schema::Args),
    /// Two clouds on one machine
    #[cfg(feature = "runtime")]
    Lab(commands::lab::Args),
    /// Break something on purpose and measure
    #[cfg(feature = "runtime")]
    Drill(commands::drill::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Config(args) => commands::config::run(args),
        Command::Check(args) => commands::check::run(args),
        Command::Cost(args) => commands::cost::run(args),
        Command::Infra(args) => commands::infra::run(args),
        Command::Slo(args) => commands::slo::run(args),
        #[cfg(feature = "runtime")]
        Command::Agent(args) => commands::agent::run(args),
        #[cfg(feature = "runtime")]
        Command::Init(args) => commands::init::run(args),
        #[cfg(feature = "runtime")]
        Command::Token(args) => commands::token::run(args),
        #[cfg(feature = "runtime")]
        Command::Status(args) => commands::status::run(args),
        #[cfg(feature = "runtime")]
        Command::History(args) => commands::history::run(&args),
        #[cfg(feature = "runtime")]
        Command::Pause(args) => commands::requests::pause(&args),
        #[cfg(feature = "runtime")]
        Command::Resume(args) => commands::requests::resume(&args),
        #[cfg(feature = "runtime")]
        Command::Approve(args) => commands::requests::approve(&args),
        #[cfg(feature = "runtime")]
        Command::Acknowledge(args) => commands::requests::acknowledge(&args),
        #[cfg(feature = "runtime")]
        Command::Plan(args) => commands::moves::plan(&args),
        #[cfg(feature = "runtime")]
        Command::Failover(args) => commands::moves::failover(&args),
        #[cfg(feature = "runtime")]
        Command::Switchover(args) => commands::moves::switchover(&args),
        #[cfg(feature = "runtime")]
        Command::Reinstate(args) => commands::reinstate::run(&args),
        #[cfg(feature = "runtime")]
        Command::Ledger(args) => commands::ledger::run(&args),
        #[cfg(feature = "runtime")]
        Command::Guard(args) => commands::guard::run(&args),
        #[cfg(feature = "runtime")]
        Command::Doctor(args) => commands::doctor::run(&args),
        #[cfg(feature = "runtime")]
        Command::Replication(args) => commands::replication::run(args),
        #[cfg(feature = "runtime")]
        Command::Uninstall(args) => commands::uninstall::run(&args),
        #[cfg(feature = "runtime")]
        Command::Verify(args) => commands::verify::run(args),
        #[cfg(feature = "runtime")]
        Command::Schema(args) => commands::schema::run(args),
        #[cfg(feature = "runtime")]
        Command::Lab(args) => commands::lab::run(args),
        #[cfg(feature = "runtime")]
        Command::Drill(args) => commands::drill::run(args),
    };
    result.unwrap_or_else(|error| {
        #[cfg(feature = "runtime")]
        if let Some(ended) = error.downcast_ref::<commands::person::Ended>() {
            eprintln!("{ended}");
            return ExitCode::from(ended.code);
        }
        eprintln!("error: {error:#}");
        ExitCode::from(1)
    })
}
