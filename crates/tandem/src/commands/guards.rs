//! `tandem guard install|remove`: the guard goes on and comes off while applications write.
//!
//! Asks the databases as their administrators, not the agents. Removing takes the second fence
//! away, so it asks for the cluster's name and says what is lost.

use std::process::ExitCode;

use tandem_core::model::SiteId;
use tandem_postgres::guards::{self, Direction, Options};

use super::person::{Answer, Common, Danger, block_on, end, language, say};
use super::{
    agent::{USAGE, read_config},
    steps::{Locks, show},
};

#[derive(clap::Args)]
pub(super) struct Where {
    #[command(flatten)]
    common: Common,
    /// Only at this site; else at both
    #[arg(long, value_name = "SITE")]
    site: Option<SiteId>,
    /// Only this table, with its schema; may be repeated
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Only print the steps: SQL, locks, how long
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    locks: Locks,
}

#[derive(clap::Args)]
pub(super) struct Install {
    #[command(flatten)]
    place: Where,
    /// No application writes there now, so that a guard which refuses stops nobody
    #[arg(long)]
    offline: bool,
}

#[derive(clap::Args)]
pub(super) struct Remove {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    answer: Answer,
}

pub(super) fn install(args: &Install) -> anyhow::Result<ExitCode> {
    run(&args.place, Direction::Install, args.offline, None)
}

pub(super) fn remove(args: &Remove) -> anyhow::Result<ExitCode> {
    run(&args.place, Direction::Remove, false, Some(&args.answer))
}

fn run(
    place: &Where,
    direction: Direction,
    offline: bool,
    answer: Option<&Answer>,
) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&place.common.config)? else {
        return Err(end(USAGE, "nothing was asked for"));
    };
    let options = Options {
        direction,
        site: place.site,
        tables: place.tables.clone(),
        offline,
        dry_run: place.dry_run,
        patience: place.locks.patience(),
    };
    if let Some(answer) = answer {
        let language = language(place.common.lang);
        eprintln!("{}", say(language, LOST, LOST_KO));
        if !place.dry_run {
            answer.ask(&config.cluster, language, Danger::Severe)?;
        }
    }
    let mut tell = |line: &str| eprintln!("{line}");
    let work = async { Ok(guards::run(&config, &options, &mut tell).await?) };
    let outcome = block_on(work)?;
    let done = match direction {
        Direction::Install => "read back: every one of these tables is guarded",
        Direction::Remove => "read back: none of these tables is guarded",
    };
    show(&outcome, &[], place.common.output, done)
}

const LOST: &str = "\
what is lost: nothing inside the database stops an application any more. A session that does not pass the gate goes on
writing after its site lost the right, and both sites can acknowledge writes. The gates still close at their deadline.
undo: `tandem guard install`";
const LOST_KO: &str = "\
잃는 것: 데이터베이스 안에서 애플리케이션을 막는 장치가 없어집니다. 게이트를 거치지 않는 세션은 사이트가 쓰기 권한을 잃은 뒤에도
계속 쓰며, 두 사이트가 동시에 쓰기를 승인할 수 있습니다. 게이트는 여전히 기한에 닫힙니다.
되돌리기: `tandem guard install`";
