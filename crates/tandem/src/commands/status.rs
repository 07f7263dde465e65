//! `tandem status`: both sites, roles, epoch, exposure, lag, remaining right, and why.
//!
//! Asks all agents at once, each within a bound, so that a dead cloud costs a second and not
//! a hang. Exit code 0 if every place answered, 6 if only some did, 1 if none.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{Table, presets};
use tandem_agent::{ModeShown, Overview, Role, Row};
use tandem_core::authority::Exposure;
use tandem_core::planner::{Language, Running, Work};
use tandem_tls::Credentials;

use super::agent::{USAGE, read_config};
use super::person::{Lang, Output, language, left, say};
use super::requests::line;

/// Partial: some place did not answer.
const PARTIAL: u8 = 6;

const EXAMPLES: &str = "\
Examples:
  tandem status
  tandem status -o json --timeout-ms 500";

/// Arguments of `tandem status`.
#[derive(clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration as seen from this place
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    config: PathBuf,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// The language of the table; `LC_ALL`, `LC_MESSAGES` or `LANG` if not given
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// How long to wait for each agent, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    timeout_ms: u64,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(config) = read_config(&args.config)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bound = Duration::from_millis(args.timeout_ms);
    let credentials = Credentials::of_person(&config)?;
    let overview = runtime.block_on(Overview::ask(&config, credentials.as_ref(), bound))?;
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&overview)?),
        Output::Table => print!("{}", render(&overview, language(args.lang))),
    }
    Ok(match overview.reached() {
        (0, _) => ExitCode::FAILURE,
        (some, all) if some < all => ExitCode::from(PARTIAL),
        _ => ExitCode::SUCCESS,
    })
}

/// The table, and under it one sentence a place.
fn render(overview: &Overview, language: Language) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(headings(language));
    for row in &overview.sites {
        table.add_row(cells(row, language));
    }
    let width = overview
        .sites
        .iter()
        .map(|row| row.site.as_str().len())
        .max()
        .unwrap_or_default();
    let mut text = format!("{}\n\n", trimmed(&table.to_string()));
    for row in &overview.sites {
        text.push_str(&format!(
            "{:width$}  {}\n",
            row.site,
            sentence(row, language)
        ));
    }
    text.push_str(&format!("\n{}\n", mode(overview.mode, language)));
    for row in &overview.sites {
        if let Some(running) = &row.plan {
            text.push_str(&format!("{}\n", under_way(row, running, language)));
        }
    }
    for request in &overview.requests {
        text.push_str(&format!("{}\n", line(request, language)));
    }
    text
}

fn mode(mode: ModeShown, language: Language) -> String {
    let (english, korean) = match mode {
        ModeShown::Observe => (
            "mode observe: Tandem only watches",
            "관찰 모드: Tandem은 지켜보기만 합니다",
        ),
        ModeShown::Confirm => (
            "mode confirm: a promotion waits for `tandem approve`",
            "확인 모드: 승격은 `tandem approve`를 기다립니다",
        ),
        ModeShown::Automatic => ("mode automatic", "자동 모드"),
        ModeShown::Paused => (
            "mode paused: nothing is promoted by itself until `tandem resume`",
            "일시 중지: `tandem resume` 전에는 자동 승격하지 않습니다",
        ),
        ModeShown::Unread => (
            "mode unknown: the requests cannot be read, so nothing is promoted by itself",
            "모드 알 수 없음: 요청을 읽을 수 없어 자동 승격하지 않습니다",
        ),
    };
    say(language, english, korean)
}

/// Which change is under way, at which step, since when, and how to stop it.
fn under_way(row: &Row, running: &Running, language: Language) -> String {
    let (site, step, since) = (row.site, &running.step, left(running.since_ms));
    let (work, work_ko) = match running.work {
        Work::Failover => ("failover", "강제 전환"),
        Work::Switchover => ("switchover", "전환"),
        Work::Reclaim => ("reclaim", "권한 회수"),
    };
    let sentence = sentence(row, language);
    say(
        language,
        &format!(
            "running: {work} to {site}, step {step} for {since} ({sentence}); until it opens, `tandem pause --for 10m --reason ...` stops it"
        ),
        &format!(
            "진행 중: {work_ko}, 대상 {site}, 단계 {step}, {since} 경과({sentence}). 쓰기가 열리기 전이면 `tandem pause --for 10m --reason ...`으로 중지할 수 있습니다"
        ),
    )
}

/// Without the table's outer margins: people copy lines.
fn trimmed(table: &str) -> String {
    let lines = table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

fn headings(language: Language) -> [&'static str; 6] {
    match language {
        Language::English => ["SITE", "ROLE", "EPOCH", "EXPOSURE", "LAG", "REMAINING"],
        Language::Korean => ["사이트", "역할", "에포크", "노출", "지연", "남은 권한"],
    }
}

fn cells(row: &Row, language: Language) -> [String; 6] {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    [
        row.site.to_string(),
        role(row.role, language).to_owned(),
        shown(row.epoch.map(|epoch| epoch.to_string())),
        shown(
            row.exposure
                .map(|exposure| exposure_name(exposure, language).to_owned()),
        ),
        shown(row.lag_ms.map(seconds).map(|lag| match row.lag_bytes {
            Some(bytes) => format!("{lag}, {bytes} B"),
            None => lag,
        })),
        shown(row.remaining_ms.filter(|left| *left > 0).map(seconds)),
    ]
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn role(role: Option<Role>, language: Language) -> &'static str {
    let (english, korean) = match role {
        Some(Role::Primary) => ("primary", "주 사이트"),
        Some(Role::Claiming) => ("claiming", "권한 획득 중"),
        Some(Role::Leaving) => ("handing over", "권한 이양 중"),
        Some(Role::Replica) => ("replica", "복제본"),
        Some(Role::Fenced) => ("fenced", "격리됨"),
        Some(Role::Witness) => ("witness", "증인"),
        Some(Role::Unknown) => ("unknown", "알 수 없음"),
        None => ("unreachable", "응답 없음"),
    };
    match language {
        Language::English => english,
        Language::Korean => korean,
    }
}

fn exposure_name(exposure: Exposure, language: Language) -> &'static str {
    let (english, korean) = match exposure {
        Exposure::Bounded => ("bounded", "제한"),
        Exposure::Unbounded => ("unbounded", "무제한"),
        Exposure::Returning => ("returning", "제한 복귀 중"),
    };
    match language {
        Language::English => english,
        Language::Korean => korean,
    }
}

fn sentence(row: &Row, language: Language) -> String {
    match (&row.report, row.reached, language) {
        (Some(report), _, Language::English) => format!("{}  {}", report.code, report.en),
        (Some(report), _, Language::Korean) => format!("{}  {}", report.code, report.ko),
        (None, true, Language::English) => "its agents have only just started".to_owned(),
        (None, true, Language::Korean) => "에이전트가 방금 시작되었습니다".to_owned(),
        (None, false, Language::English) => "no agent answers".to_owned(),
        (None, false, Language::Korean) => "응답하는 에이전트가 없습니다".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_agent::{OVERVIEW_SCHEMA, ReportShown};
    use tandem_core::model::Epoch;

    fn silent(site: &str) -> Row {
        Row {
            site: site.parse().expect("a legal name"),
            reached: false,
            role: None,
            epoch: None,
            exposure: None,
            lag_ms: None,
            lag_bytes: None,
            remaining_ms: None,
            report: None,
            plan: None,
        }
    }

    fn speaking(site: &str, role: Role, code: &str, en: &str, ko: &str) -> Row {
        let report = ReportShown {
            code: code.into(),
            en: en.into(),
            ko: ko.into(),
            rules: Vec::new(),
        };
        Row {
            reached: true,
            role: Some(role),
            epoch: Some(Epoch(2)),
            remaining_ms: Some(0),
            report: Some(report),
            ..silent(site)
        }
    }

    fn overview(sites: Vec<Row>) -> Overview {
        let agents = Vec::new();
        Overview {
            schema: OVERVIEW_SCHEMA.into(),
            cluster: "crm".into(),
            writer: None,
            mode: ModeShown::Automatic,
            requests: Vec::new(),
            sites,
            agents,
        }
    }

    fn after_a_lost_cloud() -> Overview {
        let gcp = speaking(
            "gcp",
            Role::Primary,
            "TDM-1101",
            "open for writes",
            "쓰기 가능",
        );
        let gcp = Row {
            exposure: Some(Exposure::Unbounded),
            remaining_ms: Some(5_120),
            ..gcp
        };
        let witness = speaking(
            "witness",
            Role::Witness,
            "TDM-1004",
            "the witness watches",
            "증인이 감시 중입니다",
        );
        overview(vec![silent("aws"), gcp, witness])
    }

    #[test]
    fn a_dead_cloud_is_a_row_too() {
        let expected = "\
SITE     ROLE         EPOCH  EXPOSURE   LAG  REMAINING
aws      unreachable  -      -          -    -
gcp      primary      2      unbounded  -    5.1 s
witness  witness      2      -          -    -

aws      no agent answers
gcp      TDM-1101  open for writes
witness  TDM-1004  the witness watches

mode automatic
";
        assert_eq!(render(&after_a_lost_cloud(), Language::English), expected);
    }

    #[test]
    fn korean_cells_keep_their_columns() {
        let expected = "\
사이트   역할       에포크  노출    지연  남은 권한
aws      응답 없음  -       -       -     -
gcp      주 사이트  2       무제한  -     5.1 s
witness  증인       2       -       -     -

aws      응답하는 에이전트가 없습니다
gcp      TDM-1101  쓰기 가능
witness  TDM-1004  증인이 감시 중입니다

자동 모드
";
        assert_eq!(render(&after_a_lost_cloud(), Language::Korean), expected);
    }

    #[test]
    fn what_is_under_way_and_asked_for_is_shown_with_the_way_to_stop_it() {
        let mut overview = after_a_lost_cloud();
        overview.mode = ModeShown::Paused;
        overview.sites[1].plan = Some(Running {
            work: Work::Failover,
            step: "TDM-1107".into(),
            since_ms: 2_300,
        });
        let request = serde_json::json!({
            "id": 3, "kind": "pause", "by": "kim", "reason": "patching", "epoch": 2,
            "age_ms": 1_000, "left_ms": 7_199_000,
        });
        overview.requests = vec![serde_json::from_value(request).expect("a request")];
        let english = render(&overview, Language::English);
        for part in [
            "mode paused: nothing is promoted by itself until `tandem resume`",
            "running: failover to gcp, step TDM-1107 for 2 s",
            "`tandem pause --for 10m --reason ...` stops it",
            "request 3: pause, by kim, 1 h 59 min left: patching",
        ] {
            assert!(english.contains(part), "{part} in {english}");
        }
        let korean = render(&overview, Language::Korean);
        assert!(korean.contains("요청 3: 일시 중지, 요청자 kim"), "{korean}");
    }

    #[test]
    fn lag_shows_time_and_bytes() {
        let aws = speaking("aws", Role::Primary, "TDM-1101", "open", "열림");
        let gcp = speaking("gcp", Role::Replica, "TDM-1201", "replica of aws", "복제본");
        let gcp = Row {
            lag_ms: Some(350),
            lag_bytes: Some(1_234),
            ..gcp
        };
        let text = render(&overview(vec![aws, gcp]), Language::English);
        assert!(text.contains("0.3 s, 1234 B"), "{text}");
    }
}
