//! `tandem uninstall`: takes Tandem out of both databases; applications write on meanwhile.
//!
//! Asks the databases as their administrators; agents must be stopped before. It asks for the
//! cluster's name, since what it drops (guards, slots, the journal of promotions) is gone.

use std::process::ExitCode;

use tandem_postgres::uninstall::{self, Options};

use super::agent::{USAGE, read_config};
use super::person::{Answer, Common, Danger, block_on, end, language, say};
use super::steps::{Locks, show};

const EXAMPLES: &str = "\
Examples:
  tandem uninstall --dry-run                    every step: SQL, locks, how long
  tandem uninstall --keep-replication           plain replication stays, straight from the primary
  tandem uninstall --confirm crm-dr             nothing of Tandem stays

Before: `tandem guard remove`, applications straight to the primary, agents and gates stopped.
A run that was killed is finished by running it again.
Exit codes: 0 done, 1 failed, 2 refused or wrong usage, 6 a table never got its lock: run it again.";

/// Arguments of `tandem uninstall`.
#[derive(clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Leave plain logical replication behind, without the agents' relays and the heartbeat
    #[arg(long)]
    keep_replication: bool,
    /// Only print the steps: SQL, locks, how long
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    locks: Locks,
    #[command(flatten)]
    answer: Answer,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.common.config)? else {
        return Err(end(USAGE, "nothing was asked for"));
    };
    let options = Options {
        keep_replication: args.keep_replication,
        dry_run: args.dry_run,
        patience: args.locks.patience(),
    };
    let language = language(args.common.lang);
    let (english, korean) = match args.keep_replication {
        true => (KEPT, KEPT_KO),
        false => (GONE, GONE_KO),
    };
    eprintln!("{}", say(language, english, korean));
    if !args.dry_run {
        args.answer.ask(&config.cluster, language, Danger::Severe)?;
    }
    let mut tell = |line: &str| eprintln!("{line}");
    let work = async { Ok(uninstall::run(&config, &options, &mut tell).await?) };
    let report = block_on(work)?;
    let done = match args.keep_replication {
        true => {
            "read back: only plain replication and its role are left, and no guard stops a write"
        }
        false => {
            "read back: nothing of Tandem is left but what is named below, and no guard stops a write"
        }
    };
    show(&report.outcome, &report.left, args.common.output, done)
}

const GONE: &str = "\
what is lost: both databases stand alone. No replication, no failover, and the list of what a failed primary had
committed (`tandem ledger`) cannot be read any more. Applications may write at either site: point them at one.
Sequences of the replica stand where they stood: set them past what was copied before anybody writes there.";
const GONE_KO: &str = "\
잃는 것: 두 데이터베이스가 각각 독립합니다. 복제도 장애 조치도 없으며, 실패한 프라이머리가 커밋한 목록(`tandem ledger`)을
더는 읽을 수 없습니다. 애플리케이션이 양쪽에서 쓸 수 있으므로 한쪽만 가리키게 하십시오.
레플리카의 시퀀스는 복제되지 않으므로, 그곳에서 쓰기 전에 복사된 값보다 크게 설정하십시오.";
const KEPT: &str = "\
what is lost: replication goes on by itself, without failover and without a guard. An application that writes at the
replica breaks it: point applications at the primary only.";
const KEPT_KO: &str = "\
잃는 것: 복제는 계속되지만 장애 조치와 가드가 없습니다. 레플리카에 쓰는 애플리케이션은 복제를 깨뜨립니다. 프라이머리만 가리키게 하십시오.";
