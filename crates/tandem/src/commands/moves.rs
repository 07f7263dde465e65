//! `tandem plan failover|switchover`, `tandem failover`, `tandem switchover`: the right moves to
//! another site because a named person says so.
//!
//! Each shows the plan first: the safety rules that pass and that do not, the expected time and
//! loss, and the way back. The planner of the *taking* site answers, since its rules count.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use tandem_agent::Overview;
use tandem_agent::people::{Ask, Made, PlanShown};
use tandem_core::authority::Exposure;
use tandem_core::model::SiteId;
use tandem_core::planner::{Language, RequestKind};

use super::person::{
    Changing, Common, Danger, Output, PARTIAL, REFUSED, Session, block_on, end, print_json, rules,
};

/// A request that moves the right ends by itself, whether it happened or not.
const LIFE_S: u64 = 600;

/// Between two looks while a move is under way.
const LOOK: Duration = Duration::from_millis(500);

const PLAN_EXAMPLES: &str = "\
Examples:
  tandem plan failover --to gcp
  tandem plan failover --to gcp --accept-loss -o json
  tandem plan switchover --to gcp";

const FAILOVER_EXAMPLES: &str = "\
Examples:
  tandem failover --to gcp --dry-run --reason \"aws is down\"
  tandem failover --to gcp --reason \"aws is down\"
  tandem failover --to gcp --accept-loss \"aws will not come back today\" --confirm crm-dr";

const SWITCHOVER_EXAMPLES: &str = "\
Examples:
  tandem switchover --to gcp --dry-run --reason \"maintenance\"
  tandem switchover --to gcp --reason \"maintenance in aws\"";

/// Arguments of `tandem plan`.
#[derive(clap::Args)]
#[command(before_help = PLAN_EXAMPLES)]
pub(crate) struct Plan {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// What a forced move would do now
    Failover(PlanArgs),
    /// What a planned move, which loses nothing, would do now
    Switchover(PlanArgs),
}

#[derive(clap::Args)]
struct PlanArgs {
    #[command(flatten)]
    common: Common,
    /// The site that takes over
    #[arg(long, value_name = "SITE")]
    to: SiteId,
    /// As if the loss of acknowledged writes was accepted
    #[arg(long)]
    accept_loss: bool,
}

/// Arguments of `tandem failover`.
#[derive(clap::Args)]
#[command(before_help = FAILOVER_EXAMPLES)]
pub(crate) struct Failover {
    #[command(flatten)]
    changing: Changing,
    /// The site that takes over
    #[arg(long, value_name = "SITE")]
    to: SiteId,
    /// Acknowledged writes may be lost, and why that is right; kept in the history
    #[arg(long, value_name = "REASON")]
    accept_loss: Option<String>,
    /// Why; kept in the history
    #[arg(long, required_unless_present = "accept_loss")]
    reason: Option<String>,
    /// How long to watch, in seconds; the request itself counts for ten minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=600))]
    wait: u64,
}

/// Arguments of `tandem switchover`.
#[derive(clap::Args)]
#[command(before_help = SWITCHOVER_EXAMPLES)]
pub(crate) struct Switchover {
    #[command(flatten)]
    changing: Changing,
    /// The site that takes over
    #[arg(long, value_name = "SITE")]
    to: SiteId,
    /// Why; kept in the history
    #[arg(long)]
    reason: String,
    /// How long to watch, in seconds; the request itself counts for ten minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=600))]
    wait: u64,
}

/// What is printed for programs.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    plan: &'a PlanShown,
    expected: Expected,
    request: Option<&'a Made>,
    took_ms: Option<u64>,
}

/// What a move is expected to cost, from the present lag and the policy's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Expected {
    /// Until writes pass again.
    rto_ms: u64,
    /// The age of the newest heartbeat that the taking site applied; absent if nobody knows.
    rpo_ms: Option<u64>,
    /// Whether `rpo_ms` is a bound and no measurement.
    bound_only: bool,
}

pub(crate) fn plan(args: &Plan) -> anyhow::Result<ExitCode> {
    let (args, switchover) = match &args.what {
        What::Failover(args) => (args, false),
        What::Switchover(args) => (args, true),
    };
    let session = Session::open(&args.common)?;
    let kind = kind(args.to, switchover, args.accept_loss);
    block_on(async {
        let (plan, expected) = look(&session, kind).await?;
        show(&session, kind, &plan, expected)?;
        Ok(if plan.possible {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(REFUSED)
        })
    })
}

pub(crate) fn failover(args: &Failover) -> anyhow::Result<ExitCode> {
    let kind = kind(args.to, false, args.accept_loss.is_some());
    let reason = args.accept_loss.as_ref().or(args.reason.as_ref());
    let reason = reason.map_or("", String::as_str);
    perform(&args.changing, kind, reason, args.wait)
}

pub(crate) fn switchover(args: &Switchover) -> anyhow::Result<ExitCode> {
    let kind = kind(args.to, true, false);
    perform(&args.changing, kind, &args.reason, args.wait)
}

fn kind(to: SiteId, switchover: bool, accept_loss: bool) -> RequestKind {
    if switchover {
        RequestKind::Switchover { to }
    } else {
        RequestKind::Failover { to, accept_loss }
    }
}

fn target(kind: RequestKind) -> SiteId {
    kind.target().expect("a move has a target")
}

/// The taking site's plan, and what it would cost.
async fn look(session: &Session, kind: RequestKind) -> anyhow::Result<(PlanShown, Expected)> {
    let to = target(kind);
    let overview = session.overview().await?;
    let path = match kind {
        RequestKind::Failover { accept_loss, .. } => {
            format!("/v1/plan?failover={to}&accept_loss={accept_loss}")
        }
        _ => format!("/v1/plan?switchover={to}"),
    };
    let plan: PlanShown = session.ask(Some(to), &path).await?;
    let expected = expected(session, kind, &plan, &overview);
    Ok((plan, expected))
}

fn expected(
    session: &Session,
    kind: RequestKind,
    plan: &PlanShown,
    overview: &Overview,
) -> Expected {
    let timing = session.config.policy.authority;
    // A holder that lives renews until it sees the request: then a whole count is ahead.
    let count = match overview.writer {
        Some(_) => timing.ttl_ms,
        None => plan.wait_ms,
    };
    // One loop of the agents, and the gates' next question.
    let rto_ms = count + timing.renew_ms + 250;
    let lag = overview.sites.iter().find(|row| row.site == target(kind));
    let lag = lag.and_then(|row| row.lag_ms);
    let statuses = overview
        .agents
        .iter()
        .filter_map(|answer| answer.status.as_ref());
    let mut exposures = statuses.filter_map(|status| Some(status.authority.as_ref()?.exposure));
    let bounded = exposures.all(|exposure| exposure == Exposure::Bounded);
    let bound = session.config.policy.exposure.bound_ms;
    let rpo_ms = match (kind, lag) {
        (RequestKind::Switchover { .. }, _) => Some(0),
        (_, Some(lag)) => Some(lag),
        (_, None) => bounded.then_some(bound),
    };
    Expected {
        rto_ms,
        rpo_ms,
        bound_only: lag.is_none() && rpo_ms.is_some_and(|rpo| rpo > 0),
    }
}

fn show(
    session: &Session,
    kind: RequestKind,
    plan: &PlanShown,
    expected: Expected,
) -> anyhow::Result<()> {
    if session.output == Output::Json {
        return print_json(&Document {
            schema: "tandem.move.v1",
            plan,
            expected,
            request: None,
            took_ms: None,
        });
    }
    print!("{}", picture(session.language, kind, plan, expected));
    Ok(())
}

/// The plan for people.
fn picture(language: Language, kind: RequestKind, plan: &PlanShown, expected: Expected) -> String {
    let seconds = |ms: u64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
    let pick = |english: String, korean: String| super::person::say(language, &english, &korean);
    let words = super::requests::words(kind, language);
    let epoch = plan.epoch;
    let rto = seconds(expected.rto_ms);
    let rpo = match (expected.rpo_ms, expected.bound_only) {
        (Some(rpo), false) => seconds(rpo),
        (Some(rpo), true) => pick(
            format!("up to {}", seconds(rpo)),
            format!("최대 {}", seconds(rpo)),
        ),
        (None, _) => pick(
            "not known: the primary went on alone".into(),
            "알 수 없음: 주 사이트가 혼자 계속함".into(),
        ),
    };
    let verdict = if plan.possible {
        pick("possible".into(), "가능".into())
    } else {
        pick("refused".into(), "거부됨".into())
    };
    let old = plan
        .writer
        .map_or_else(|| "-".to_owned(), |site| site.to_string());
    let undo = match kind {
        RequestKind::Switchover { .. } => format!("tandem switchover --to {old}"),
        _ => pick(
            format!("none at once: reinstate {old}, then `tandem switchover --to {old}`"),
            format!("즉시 되돌릴 수 없음: {old} 복귀(reinstate) 후 `tandem switchover --to {old}`"),
        ),
    };
    let report = pick(plan.report.en.clone(), plan.report.ko.clone());
    let rows = [
        (
            pick("plan".into(), "계획".into()),
            format!("{words} ({}, epoch {epoch})", plan.agent),
        ),
        (pick("verdict".into(), "판정".into()), verdict),
        (
            pick("why".into(), "이유".into()),
            format!("{}  {report}", plan.report.code),
        ),
        (
            pick("expected".into(), "예상".into()),
            format!("RTO {rto}, RPO {rpo}"),
        ),
        (pick("undo".into(), "되돌리기".into()), undo),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if !plan.rules.is_empty() {
        text.push_str(&format!("{}\n", rules(plan, language)));
    }
    text
}

fn perform(
    changing: &Changing,
    kind: RequestKind,
    reason: &str,
    wait: u64,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(&changing.common)?;
    block_on(async {
        let (plan, expected) = look(&session, kind).await?;
        if session.output == Output::Table || changing.dry_run || !plan.possible {
            show(&session, kind, &plan, expected)?;
        }
        if !plan.possible {
            let said = session.say(
                "refused; nothing was changed",
                "거부됨. 변경하지 않았습니다",
            );
            return Err(end(REFUSED, said));
        }
        if changing.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        let token = changing.token(&session.config)?;
        changing.confirm(&session, Danger::Severe)?;
        let ask = Ask {
            kind,
            reason: reason.to_owned(),
            life_s: LIFE_S,
            epoch: Some(plan.epoch),
        };
        let asked = Instant::now();
        let made = session.request(Some(target(kind)), &token, &ask).await?;
        let arrived = watch(&session, target(kind), Duration::from_secs(wait)).await?;
        let took_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        finish(
            &session,
            kind,
            &plan,
            expected,
            &made,
            arrived.then_some(took_ms),
        )
    })
}

/// Watches until `to` writes, and tells each new step. False when the time is over.
async fn watch(session: &Session, to: SiteId, bound: Duration) -> anyhow::Result<bool> {
    let deadline = Instant::now() + bound;
    let mut told = String::new();
    loop {
        let overview = session.overview().await?;
        if overview.writer == Some(to) {
            return Ok(true);
        }
        let row = overview.sites.iter().find(|row| row.site == to);
        if let Some(report) = row.and_then(|row| row.report.as_ref())
            && report.code != told
        {
            eprintln!("{}  {}", report.code, session.say(&report.en, &report.ko));
            told.clone_from(&report.code);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn finish(
    session: &Session,
    kind: RequestKind,
    plan: &PlanShown,
    expected: Expected,
    made: &Made,
    took_ms: Option<u64>,
) -> anyhow::Result<ExitCode> {
    let to = target(kind);
    if session.output == Output::Json {
        print_json(&Document {
            schema: "tandem.move.v1",
            plan,
            expected,
            request: Some(made),
            took_ms,
        })?;
    }
    let Some(took) = took_ms else {
        let id = made.id;
        let english = format!(
            "{to} does not write yet; request {id} stays in force for ten minutes, `tandem resume` takes it back"
        );
        let korean = format!(
            "아직 쓰기를 시작하지 않은 사이트: {to}. 요청 {id}은(는) 10분 동안 유효하며 `tandem resume`으로 취소할 수 있습니다"
        );
        return Err(end(PARTIAL, session.say(&english, &korean)));
    };
    if session.output == Output::Table {
        let seconds = format!("{}.{} s", took / 1_000, took % 1_000 / 100);
        let english = format!("{to} writes; it took {seconds} from the request");
        let korean = format!("쓰기 시작: {to}. 요청부터 {seconds} 걸렸습니다");
        println!("{}", session.say(&english, &korean));
    }
    Ok(ExitCode::SUCCESS)
}
