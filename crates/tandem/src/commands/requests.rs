//! `tandem pause`, `resume`, `approve`, `acknowledge`: what a named person may ask for without
//! moving the right at once.

use std::process::ExitCode;

use tandem_agent::people::{Ask, Made, RequestShown, RequestsShown};
use tandem_core::planner::{Language, RequestKind};

use super::person::{
    Changing, Danger, Output, Session, block_on, end, left, print_json, say, span,
};

/// How long an approval counts: longer than any count, short enough to be about this failure.
const APPROVAL_S: u64 = 1_800;

/// How long an acknowledgement counts: as long as the hour that it lifts.
const ACKNOWLEDGEMENT_S: u64 = 3_600;

const PAUSE_EXAMPLES: &str = "\
Examples:
  tandem pause --for 2h --reason \"network works, ticket 4711\"
  tandem pause --for 30m --reason \"upgrade\" --confirm crm-dr";

const RESUME_EXAMPLES: &str = "\
Examples:
  tandem resume
  tandem resume --dry-run";

const APPROVE_EXAMPLES: &str = "\
Examples:
  tandem approve --reason \"aws has told us that the region is down\"
  tandem approve --dry-run --reason \"what would happen\"";

const ACKNOWLEDGE_EXAMPLES: &str = "\
Examples:
  tandem acknowledge --reason \"looked at the failover of 10:14, cause repaired\"";

/// Arguments of `tandem pause`.
#[derive(clap::Args)]
#[command(before_help = PAUSE_EXAMPLES)]
pub(crate) struct Pause {
    #[command(flatten)]
    changing: Changing,
    /// How long, like 30m or 2h; automation goes on by itself afterwards
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    life_s: u64,
    /// Why; kept in the history
    #[arg(long)]
    reason: String,
}

/// Arguments of `tandem resume`.
#[derive(clap::Args)]
#[command(before_help = RESUME_EXAMPLES)]
pub(crate) struct Resume {
    #[command(flatten)]
    changing: Changing,
}

/// Arguments of `tandem approve`.
#[derive(clap::Args)]
#[command(before_help = APPROVE_EXAMPLES)]
pub(crate) struct Approve {
    #[command(flatten)]
    changing: Changing,
    /// Why; kept in the history
    #[arg(long)]
    reason: String,
}

/// Arguments of `tandem acknowledge`.
#[derive(clap::Args)]
#[command(before_help = ACKNOWLEDGE_EXAMPLES)]
pub(crate) struct Acknowledge {
    #[command(flatten)]
    changing: Changing,
    /// What was looked at; kept in the history
    #[arg(long)]
    reason: String,
}

/// A request in a few words.
pub(crate) fn words(kind: RequestKind, language: Language) -> String {
    let (english, korean) = match kind {
        RequestKind::Pause => ("pause".to_owned(), "일시 중지".to_owned()),
        RequestKind::Approve => ("approve the promotion".into(), "승격 승인".into()),
        RequestKind::Acknowledge => ("acknowledge".into(), "승격 확인".into()),
        RequestKind::Switchover { to } => (format!("switchover to {to}"), format!("전환: {to}")),
        RequestKind::Failover { to, accept_loss } => {
            let (loss, loss_ko) = if accept_loss {
                (", accepting loss", ", 손실 감수")
            } else {
                ("", "")
            };
            (
                format!("failover to {to}{loss}"),
                format!("강제 전환: {to}{loss_ko}"),
            )
        }
        RequestKind::Reinstate { site, copy } => {
            let (how, how_ko) = if copy {
                (" by a full copy", ", 전체 복사")
            } else {
                ("", "")
            };
            (
                format!("reinstate {site}{how}"),
                format!("복귀: {site}{how_ko}"),
            )
        }
        RequestKind::DisarmGuard { site } => (
            format!("guard of {site} disarmed"),
            format!("가드 해제: {site}"),
        ),
    };
    say(language, &english, &korean)
}

/// A request in force as one line.
pub(crate) fn line(request: &RequestShown, language: Language) -> String {
    let RequestShown { id, by, reason, .. } = request;
    let (words, left) = (words(request.kind, language), left(request.left_ms));
    match language {
        Language::English => format!("request {id}: {words}, by {by}, {left} left: {reason}"),
        Language::Korean => format!("요청 {id}: {words}, 요청자 {by}, 남은 시간 {left}: {reason}"),
    }
}

pub(crate) fn pause(args: &Pause) -> anyhow::Result<ExitCode> {
    simple(
        &args.changing,
        RequestKind::Pause,
        &args.reason,
        args.life_s,
    )
}

pub(crate) fn approve(args: &Approve) -> anyhow::Result<ExitCode> {
    simple(
        &args.changing,
        RequestKind::Approve,
        &args.reason,
        APPROVAL_S,
    )
}

pub(crate) fn acknowledge(args: &Acknowledge) -> anyhow::Result<ExitCode> {
    let kind = RequestKind::Acknowledge;
    simple(&args.changing, kind, &args.reason, ACKNOWLEDGEMENT_S)
}

/// Asks for `kind`; an approval can move the right, so it costs the cluster's name.
fn simple(
    changing: &Changing,
    kind: RequestKind,
    reason: &str,
    life_s: u64,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(&changing.common)?;
    let danger = match kind {
        RequestKind::Approve => Danger::Severe,
        _ => Danger::Moderate,
    };
    block_on(async {
        let overview = session.overview().await?;
        eprintln!("{}", intention(&session, kind, life_s));
        if changing.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        let token = changing.token(&session.config)?;
        changing.confirm(&session, danger)?;
        let epochs = overview.sites.iter().filter_map(|row| row.epoch);
        let epoch = epochs.max().filter(|_| kind == RequestKind::Approve);
        let ask = Ask {
            kind,
            reason: reason.to_owned(),
            life_s,
            epoch,
        };
        let made = session.request(None, &token, &ask).await?;
        report(&session, &made)
    })
}

fn intention(session: &Session, kind: RequestKind, life_s: u64) -> String {
    let (words, left) = (words(kind, session.language), left(life_s * 1_000));
    let cluster = &session.config.cluster;
    session.say(
        &format!("{cluster}: {words}, for {left}; undo: `tandem resume`"),
        &format!("{cluster}: {words}, 기간 {left}; 취소: `tandem resume`"),
    )
}

fn report(session: &Session, made: &Made) -> anyhow::Result<ExitCode> {
    match session.output {
        Output::Json => print_json(made)?,
        Output::Table => {
            let (id, by) = (made.id, &made.by);
            let english = format!("request {id} is in force, by {by}; `tandem status` shows it");
            let korean =
                format!("요청 {id} 적용됨, 요청자 {by}. `tandem status`에서 볼 수 있습니다");
            println!("{}", session.say(&english, &korean));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes back everything that stops or moves automation. What happened stays in the history.
pub(crate) fn resume(args: &Resume) -> anyhow::Result<ExitCode> {
    let changing = &args.changing;
    let session = Session::open(&changing.common)?;
    block_on(async {
        let open: RequestsShown = session.ask(None, "/v1/requests").await?;
        let mut stops = open.requests.clone();
        stops.retain(|found| {
            !matches!(
                found.kind,
                RequestKind::DisarmGuard { .. } | RequestKind::Acknowledge
            )
        });
        for request in &stops {
            eprintln!("{}", line(request, session.language));
        }
        if stops.is_empty() {
            let text = session.say("nothing is paused", "일시 중지된 것이 없습니다");
            eprintln!("{text}");
        } else if !changing.dry_run {
            let token = changing.token(&session.config)?;
            changing.confirm(&session, Danger::Moderate)?;
            for request in &stops {
                session.take_back(&token, request.id).await?;
            }
        }
        if open.requests.len() > stops.len() {
            let disarmed = open
                .requests
                .iter()
                .any(|found| matches!(found.kind, RequestKind::DisarmGuard { .. }));
            if disarmed {
                return Err(end(
                    super::person::PARTIAL,
                    session.say(
                        "a guard is disarmed, so automation stays paused; `tandem guard arm` ends that",
                        "가드가 해제되어 있어 자동화는 계속 중지됩니다. `tandem guard arm`으로 되돌리십시오",
                    ),
                ));
            }
        }
        if session.output == Output::Json {
            let open: RequestsShown = session.ask(None, "/v1/requests").await?;
            print_json(&open)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
