//! `tandem reinstate`: an old primary becomes a replica again because a named person says so.
//!
//! What it had acknowledged and the other site never got stays in the ledger; on the old primary
//! those keys are brought to what the other site holds. The agents do the work; this command
//! shows what is at stake, lends their role the powers of one repair, and watches.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use tandem_agent::people::{Ask, Made};
use tandem_agent::{Overview, Role};
use tandem_core::model::SiteId;
use tandem_core::planner::RequestKind;
use tandem_postgres::ledger::{self, Ledger};
use tandem_postgres::reinstate::lend;

use super::agent::USAGE;
use super::person::{
    Changing, Danger, Output, PARTIAL, REFUSED, Session, block_on, end, print_json,
};

/// The request ends by itself; agents that began go on.
const LIFE_S: u64 = 600;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  tandem reinstate aws --dry-run --reason \"aws is back\"
  tandem reinstate aws --reason \"aws is back\"
  tandem reinstate aws --full-copy --reason \"its slot is gone\"";

/// Arguments of `tandem reinstate`.
#[derive(clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    changing: Changing,
    /// The old primary
    site: SiteId,
    /// Why; kept in the history
    #[arg(long)]
    reason: String,
    /// Empty every table there and copy all rows again, instead of undoing what was lost
    #[arg(long)]
    full_copy: bool,
    /// How long to watch, in seconds; the agents go on without a watcher
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: u64,
}

/// What is printed for programs.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    site: SiteId,
    ledger: Option<&'a Ledger>,
    request: Option<&'a Made>,
    took_ms: Option<u64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let session = Session::open(&args.changing.common)?;
    block_on(perform(&session, args))
}

async fn perform(session: &Session, args: &Args) -> anyhow::Result<ExitCode> {
    let (site, changing) = (args.site, &args.changing);
    let Some(other) = session.config.other_site(site) else {
        return Err(end(
            USAGE,
            format!("there is no site `{site}` with a database"),
        ));
    };
    let overview = session.overview().await?;
    refuse_unfenced(session, &overview, args)?;
    let ledgers = ledger::list(&session.config, other).await?;
    let ledger = ledgers.iter().rev().find(|ledger| ledger.from == site);
    // An older failover's says nothing about this one.
    let ledger = ledger.filter(|_| !is_due(&overview, other));
    eprintln!("{}", stake(session, args, other, ledger));
    if changing.dry_run {
        return finish(session, args, ledger, None, None);
    }
    let token = changing.token(&session.config)?;
    changing.confirm(session, Danger::Severe)?;
    // A ledger that is still being written may hold something.
    if args.full_copy || ledger.is_none_or(|ledger| ledger.transactions > 0) {
        lend(&session.config, site).await?;
    }
    let kind = RequestKind::Reinstate {
        site,
        copy: args.full_copy,
    };
    let ask = Ask {
        kind,
        reason: args.reason.clone(),
        life_s: LIFE_S,
        epoch: None,
    };
    let made = session.request(None, &token, &ask).await?;
    let took = watch(session, args).await?;
    finish(session, args, ledger, Some(&made), took)
}

/// Only a fenced site comes back; to any other this would lend powers that nobody returns.
fn refuse_unfenced(session: &Session, overview: &Overview, args: &Args) -> anyhow::Result<()> {
    let site = args.site;
    let row = overview.sites.iter().find(|row| row.site == site);
    if row.and_then(|row| row.role) == Some(Role::Fenced) {
        return Ok(());
    }
    let english = format!(
        "refused: {site} is not fenced; only an old primary has something to come back from"
    );
    let korean =
        format!("거부됨: 차단된 사이트가 아닙니다({site}). 이전 주 사이트만 복귀할 수 있습니다");
    Err(end(REFUSED, session.say(&english, &korean)))
}

/// The ledger of the newest promotion at `other` is not written yet.
fn is_due(overview: &Overview, other: SiteId) -> bool {
    let mut answers = overview.agents.iter().filter(|answer| answer.site == other);
    answers.any(|answer| {
        let database = answer
            .status
            .as_ref()
            .and_then(|status| status.database.as_ref());
        database.is_some_and(|seen| seen.ledger_due.is_some())
    })
}

fn stake(session: &Session, args: &Args, other: SiteId, ledger: Option<&Ledger>) -> String {
    let site = args.site;
    let mut lines = vec![match ledger {
        None => session.say(
            &format!("no ledger for {site} stands at {other}: either nothing was lost, or it is still being written"),
            &format!("{other}에 {site}의 원장이 없습니다. 손실이 없거나 아직 작성 중입니다"),
        ),
        Some(found) => session.say(
            &format!(
                "ledger {}: {} transaction(s) of {site} with {} change(s) never reached {other}, {} need a look",
                found.epoch, found.transactions, found.changes, found.conflicts
            ),
            &format!(
                "원장 {}: {site}의 트랜잭션 {}건(변경 {}건)이 {other}에 전달되지 않았습니다. 확인 필요 {}건",
                found.epoch, found.transactions, found.changes, found.conflicts
            ),
        ),
    }];
    if let Some(problem) = ledger.and_then(|ledger| ledger.problem.as_ref()) {
        let english = format!("the lost writes could not be read: {problem}");
        let korean = format!("손실된 쓰기를 읽을 수 없었습니다: {problem}");
        lines.push(session.say(&english, &korean));
    }
    lines.push(match args.full_copy {
        true => session.say(
            &format!("every replicated table at {site} is emptied and copied again from {other}; no way back"),
            &format!("{site}의 모든 복제 테이블을 비우고 {other}에서 다시 복사합니다. 되돌릴 수 없습니다"),
        ),
        false => session.say(
            &format!("at {site} those rows become what {other} holds; they stay in the ledger (`tandem ledger show`)"),
            &format!("{site}의 해당 행은 {other}의 내용으로 바뀌며 원장에 남습니다(`tandem ledger show`)"),
        ),
    });
    lines.join("\n")
}

/// Waits until the site follows; how long that took, if it came to that.
async fn watch(session: &Session, args: &Args) -> anyhow::Result<Option<u64>> {
    let begun = Instant::now();
    let mut told = String::new();
    while begun.elapsed() < Duration::from_secs(args.wait) {
        let overview = session.overview().await?;
        let row = overview.sites.iter().find(|row| row.site == args.site);
        if row.and_then(|row| row.role) == Some(Role::Replica) {
            let took = begun.elapsed().as_millis();
            return Ok(Some(u64::try_from(took).unwrap_or(u64::MAX)));
        }
        let said = reason(session, &overview, args.site);
        if said != told {
            eprintln!("{said}");
            told = said;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(None)
}

fn reason(session: &Session, overview: &Overview, site: SiteId) -> String {
    let mut answers = overview.agents.iter().filter(|answer| answer.site == site);
    let report = answers.find_map(|answer| answer.status.as_ref()?.report.as_ref());
    report.map_or_else(
        || session.say("its agents do not answer", "에이전트가 응답하지 않습니다"),
        |report| session.say(&report.en, &report.ko),
    )
}

fn finish(
    session: &Session,
    args: &Args,
    ledger: Option<&Ledger>,
    request: Option<&Made>,
    took_ms: Option<u64>,
) -> anyhow::Result<ExitCode> {
    let site = args.site;
    if session.output == Output::Json {
        print_json(&Document {
            schema: "tandem.reinstate.v1",
            site,
            ledger,
            request,
            took_ms,
        })?;
    }
    match (request, took_ms) {
        (None, _) => Ok(ExitCode::SUCCESS),
        (Some(_), Some(ms)) => {
            let english = format!("{site} follows again after {ms} ms; `tandem verify` compares every row");
            let korean = format!("{site}이(가) {ms}ms 만에 다시 따라갑니다. `tandem verify`로 모든 행을 비교할 수 있습니다");
            eprintln!("{}", session.say(&english, &korean));
            Ok(ExitCode::SUCCESS)
        }
        (Some(_), None) => Err(end(
            PARTIAL,
            session.say(
                "it does not follow yet; the agents go on, see `tandem status` and `tandem history`",
                "아직 따라가지 않습니다. 에이전트가 계속 진행합니다. `tandem status`와 `tandem history`를 확인하십시오",
            ),
        )),
    }
}
