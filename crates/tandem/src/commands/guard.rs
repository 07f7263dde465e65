//! `tandem guard`: what stands inside a database, and break-glass for it.
//!
//! `install` and `remove` (in `guards`) put its triggers on and take them off.
//! Disarming lets applications write at one site for a limited time, whatever agents know. Its
//! author stands in the book of requests, automation is paused meanwhile, and it ends by itself.
//! The printed SQL line does the same on the day when nothing of Tandem runs.

use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;
use tandem_agent::people::{Ask, RequestShown, RequestsShown};
use tandem_agent::{Overview, Role};
use tandem_core::model::{Epoch, SiteId};
use tandem_core::planner::RequestKind;
use tandem_postgres::{Database, break_glass_sql};

use super::guards::{self, Install, Remove};
use super::person::{
    Changing, Common, Danger, Output, REFUSED, Session, block_on, end, left, print_json, span,
};
use super::requests::line;

/// The life of a printed line.
const SQL_LIFE: Duration = Duration::from_secs(3_600);

const EXAMPLES: &str = "\
Examples:
  tandem guard status
  tandem guard disarm --site gcp --for 1h --reason \"agents cannot start, ticket 4711\"
  tandem guard arm --site gcp
  tandem guard install --dry-run          which tables get a guard: SQL, locks, how long
  tandem guard install --site aws         once an agent of aws holds the right to write
  tandem guard remove --table public.note --confirm crm-dr
  tandem guard sql --site gcp             the line for the day when nothing of Tandem runs";

/// Arguments of `tandem guard`.
#[derive(clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "one value in the life of a process"
)]
enum Verb {
    /// Show the guard of each database, and who disarmed it
    Status(Common),
    /// Guard tables, one at a time, while applications write; refused while a guard would refuse
    Install(Install),
    /// Take guards off tables, one at a time; nothing inside the database stops a write any more
    Remove(Remove),
    /// Let applications write at one site for a limited time; automation is paused meanwhile
    Disarm(Disarm),
    /// End that: the guard obeys the right to write again
    Arm(Arm),
    /// Print the SQL line for an administrator; asks nobody and changes nothing
    Sql {
        /// The site
        #[arg(long, value_name = "SITE")]
        site: SiteId,
    },
}

#[derive(clap::Args)]
struct Disarm {
    #[command(flatten)]
    changing: Changing,
    /// The site whose applications shall write
    #[arg(long, value_name = "SITE")]
    site: SiteId,
    /// How long, like 30m or 1h
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    life_s: u64,
    /// Why; kept in the history
    #[arg(long)]
    reason: String,
    /// The other site may be writing too, and why that is right; both histories will differ
    #[arg(long, value_name = "REASON")]
    accept_two_writers: Option<String>,
}

#[derive(clap::Args)]
struct Arm {
    #[command(flatten)]
    changing: Changing,
    /// The site
    #[arg(long, value_name = "SITE")]
    site: SiteId,
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    sites: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    site: SiteId,
    /// The epoch that the guard was last armed for; absent if its database was not seen.
    epoch: Option<Epoch>,
    /// How long it lets applications write, in milliseconds.
    remaining_ms: Option<u64>,
    /// Who disarmed it.
    disarmed: Option<RequestShown>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Status(common) => status(common),
        Verb::Install(args) => guards::install(args),
        Verb::Remove(args) => guards::remove(args),
        Verb::Disarm(args) => disarm(args),
        Verb::Arm(args) => arm(args),
        Verb::Sql { site } => {
            println!("{}", break_glass_sql(*site, SQL_LIFE));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn status(common: &Common) -> anyhow::Result<ExitCode> {
    let session = Session::open(common)?;
    let overview = block_on(session.overview())?;
    let sites: Vec<Row> = session
        .config
        .sites
        .keys()
        .map(|site| row(*site, &overview))
        .collect();
    match session.output {
        Output::Json => print_json(&Document {
            schema: "tandem.guard.v1",
            sites,
        })?,
        Output::Table => print!("{}", table(&session, &sites)),
    }
    Ok(ExitCode::SUCCESS)
}

fn row(site: SiteId, overview: &Overview) -> Row {
    let answers = overview.agents.iter().filter(|answer| answer.site == site);
    let statuses = answers.filter_map(|answer| answer.status.as_ref());
    let guards = statuses.filter_map(|status| status.database.as_ref()?.guard);
    let guard = guards.max_by_key(|guard| (guard.epoch, guard.remaining_ms));
    let disarmed = overview
        .requests
        .iter()
        .find(|request| request.kind == RequestKind::DisarmGuard { site });
    Row {
        site,
        epoch: guard.map(|guard| guard.epoch),
        remaining_ms: guard.map(|guard| guard.remaining_ms),
        disarmed: disarmed.cloned(),
    }
}

fn table(session: &Session, rows: &[Row]) -> String {
    let mut table = Table::new();
    let open = session.say("OPEN FOR", "열린 시간");
    let by = session.say("DISARMED", "해제");
    table.load_style(presets::NOTHING).set_header([
        "SITE".to_owned(),
        "EPOCH".to_owned(),
        open,
        by,
    ]);
    for row in rows {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            row.site.to_string(),
            shown(row.epoch.map(|epoch| epoch.to_string())),
            shown(row.remaining_ms.filter(|ms| *ms > 0).map(left)),
            shown(
                row.disarmed
                    .as_ref()
                    .map(|request| line(request, session.language)),
            ),
        ]);
    }
    let text = table.to_string();
    let lines = text.lines().map(|line| line.trim().to_owned() + "\n");
    lines.collect()
}

fn disarm(args: &Disarm) -> anyhow::Result<ExitCode> {
    let (changing, site) = (&args.changing, args.site);
    let session = Session::open(&changing.common)?;
    let database = Database::new(&session.config, site)?;
    block_on(async {
        let overview = session.overview().await?;
        refuse_two_writers(&session, args, &overview)?;
        let life = left(args.life_s * 1_000);
        let english = format!(
            "applications may write at {site} for {life}, whatever agents know; automation is paused meanwhile; undo: `tandem guard arm --site {site}`\nif nothing of Tandem runs, an administrator of that database types:\n  {}",
            break_glass_sql(site, SQL_LIFE)
        );
        let korean = format!(
            "{life} 동안 에이전트와 무관하게 쓰기 허용: {site}. 그동안 자동화는 중지됩니다. 되돌리기: `tandem guard arm --site {site}`\nTandem이 전혀 실행되지 않을 때는 데이터베이스 관리자가 입력합니다:\n  {}",
            break_glass_sql(site, SQL_LIFE)
        );
        eprintln!("{}", session.say(&english, &korean));
        if changing.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        let token = changing.token(&session.config)?;
        changing.confirm(&session, Danger::Severe)?;
        let reason = match &args.accept_two_writers {
            Some(accepted) => format!("{}; two writers accepted: {accepted}", args.reason),
            None => args.reason.clone(),
        };
        let ask = Ask {
            kind: RequestKind::DisarmGuard { site },
            reason,
            life_s: args.life_s,
            epoch: None,
        };
        let made = session.request(None, &token, &ask).await?;
        let epochs = overview.sites.iter().filter_map(|row| row.epoch);
        let epoch = epochs.max().unwrap_or_default();
        let life = Duration::from_secs(args.life_s);
        let opened = database.disarm_guard(epoch, &made.by, life).await;
        if let Err(error) = opened {
            // The book must not speak of a guard that is still armed.
            session.take_back(&token, made.id).await?;
            return Err(error.into());
        }
        match session.output {
            Output::Json => print_json(&made)?,
            Output::Table => println!("{}", session.say("disarmed", "가드가 해제되었습니다")),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// One writer: the other site must not hold a right that is fresh.
fn refuse_two_writers(session: &Session, args: &Disarm, overview: &Overview) -> anyhow::Result<()> {
    let site = args.site;
    let other = overview.sites.iter().find(|row| {
        row.site != site && row.role == Some(Role::Primary) && row.remaining_ms > Some(0)
    });
    let Some(other) = other.filter(|_| args.accept_two_writers.is_none()) else {
        return Ok(());
    };
    let other = other.site;
    let english = format!(
        "refused: one-writer: {other} holds a fresh right to write, so both would write and the histories would differ\n  lifted by: `tandem switchover --to {site}`, or --accept-two-writers \"reason\""
    );
    let korean = format!(
        "거부됨: one-writer: 쓰기 권한이 유효한 사이트가 이미 있습니다({other}). 두 사이트가 동시에 쓰게 됩니다\n  해제 방법: `tandem switchover --to {site}` 또는 --accept-two-writers \"사유\""
    );
    Err(end(REFUSED, session.say(&english, &korean)))
}

fn arm(args: &Arm) -> anyhow::Result<ExitCode> {
    let (changing, site) = (&args.changing, args.site);
    let session = Session::open(&changing.common)?;
    let database = Database::new(&session.config, site)?;
    block_on(async {
        let open: RequestsShown = session.ask(None, "/v1/requests").await?;
        let mut ours = open.requests;
        ours.retain(|request| request.kind == RequestKind::DisarmGuard { site });
        for request in &ours {
            eprintln!("{}", line(request, session.language));
        }
        let english = format!("the guard of {site} obeys the right to write again, within a ttl");
        let korean = format!("TTL 안에 가드가 다시 쓰기 권한을 따릅니다: {site}");
        eprintln!("{}", session.say(&english, &korean));
        if changing.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        let token = changing.token(&session.config)?;
        changing.confirm(&session, Danger::Moderate)?;
        // First the guard, then the book: automation starts only when the guard is armed.
        database.rearm_guard().await?;
        for request in &ours {
            session.take_back(&token, request.id).await?;
        }
        println!("{}", session.say("armed", "가드가 다시 작동합니다"));
        Ok(ExitCode::SUCCESS)
    })
}
