//! What agents and people's commands say to each other: requests, plans, history.
//!
//! Versioned JSON, never translated; sentences come in both languages, because the reader chooses.

use serde::{Deserialize, Serialize};
use tandem_core::model::{Epoch, SiteId};
use tandem_core::planner::{RequestKind, SafetyRule};

use crate::journal::Entry;
use crate::status::ReportShown;

/// The shape of [`PlanShown`] that this build writes.
pub const PLAN_SCHEMA: &str = "tandem.plan.v1";

/// The shape of [`RequestsShown`] that this build writes.
pub const REQUESTS_SCHEMA: &str = "tandem.requests.v1";

/// The shape of [`Made`] that this build writes.
pub const MADE_SCHEMA: &str = "tandem.request.v1";

/// The shape of [`History`] that this build writes.
pub const HISTORY_SCHEMA: &str = "tandem.history.v1";

/// The shape of [`Refusal`] that this build writes.
pub const REFUSAL_SCHEMA: &str = "tandem.refusal.v1";

/// `POST /v1/requests`. Who asks is known by the token alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    /// What is asked for.
    #[serde(flatten)]
    pub kind: RequestKind,
    /// Why.
    pub reason: String,
    /// How long it counts, in seconds.
    pub life_s: u64,
    /// The epoch that the person saw; another present one makes the question stale.
    #[serde(default)]
    pub epoch: Option<Epoch>,
}

/// A request in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestShown {
    /// Its number, which takes it back.
    pub id: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub kind: RequestKind,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The epoch that was present.
    pub epoch: Epoch,
    /// How long ago, in milliseconds.
    pub age_ms: u64,
    /// How long it still counts, in milliseconds.
    pub left_ms: u64,
}

/// `GET /v1/requests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestsShown {
    /// [`REQUESTS_SCHEMA`].
    pub schema: String,
    /// What counts now, oldest first.
    pub requests: Vec<RequestShown>,
}

/// The answer to a request that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// [`MADE_SCHEMA`].
    pub schema: String,
    /// Its number.
    pub id: u64,
    /// Who asked, by the token.
    pub by: String,
    /// What the planner makes of it, for a request that moves the right.
    pub plan: Option<PlanShown>,
}

/// One safety rule, and what would lift it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleShown {
    /// Its stable name.
    pub rule: SafetyRule,
    /// Whether it holds.
    pub passed: bool,
    /// Whether waiting alone makes it pass.
    pub time: bool,
    /// What was seen, if it does not hold; in English.
    pub en: String,
    /// The same in Korean.
    pub ko: String,
    /// What would lift it; in English.
    pub lift_en: String,
    /// The same in Korean.
    pub lift_ko: String,
}

/// What a request would do now: `GET /v1/plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanShown {
    /// [`PLAN_SCHEMA`].
    pub schema: String,
    /// The agent that answers.
    pub agent: String,
    /// Its site.
    pub site: SiteId,
    /// The present epoch.
    pub epoch: Epoch,
    /// The site that holds the right, if one does.
    pub writer: Option<SiteId>,
    /// Whether nothing but time stands in the way.
    pub possible: bool,
    /// What the planner says.
    pub report: ReportShown,
    /// Every safety rule that was asked.
    pub rules: Vec<RuleShown>,
    /// How long until the present right has ended for certain, in milliseconds.
    pub wait_ms: u64,
}

/// `GET /v1/history`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// [`HISTORY_SCHEMA`].
    pub schema: String,
    /// What agents decided, did and were asked for.
    pub entries: Vec<Entry>,
    /// Wall-clock seconds of automatic promotions.
    pub promotions: Vec<u64>,
}

/// Why nothing was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    /// [`REFUSAL_SCHEMA`].
    pub schema: String,
    /// In English.
    pub en: String,
    /// In Korean.
    pub ko: String,
    /// The plan whose rules stand in the way, if a rule does.
    pub plan: Option<PlanShown>,
}

impl Refusal {
    pub(crate) fn new(en: impl Into<String>, ko: impl Into<String>) -> Self {
        Self {
            schema: REFUSAL_SCHEMA.to_owned(),
            en: en.into(),
            ko: ko.into(),
            plan: None,
        }
    }
}

/// What would lift a rule that does not hold, in English and Korean.
pub(crate) fn lift(rule: SafetyRule) -> (&'static str, &'static str) {
    use SafetyRule as Rule;
    match rule {
        Rule::ModeAutomatic => ("`tandem approve`", "`tandem approve`로 승인하십시오"),
        Rule::NotPaused => ("`tandem resume`", "`tandem resume`으로 재개하십시오"),
        Rule::WitnessAgrees => (
            "start the witness's agent, or `tandem failover` if you know that the site is lost",
            "증인 에이전트를 시작하거나, 사이트 장애가 확실하면 `tandem failover`를 실행하십시오",
        ),
        Rule::ExposureBounded => (
            "`tandem failover --accept-loss \"reason\"` accepts that writes may be missing",
            "손실을 감수하려면 `tandem failover --accept-loss \"사유\"`를 실행하십시오",
        ),
        Rule::TablesReady => (
            "wait for the copy (`tandem replication status`); without it this site has no whole data",
            "초기 복사가 끝날 때까지 기다리십시오(`tandem replication status`)",
        ),
        Rule::SchemasEqual => (
            "make both schemas equal, or `tandem failover --accept-loss \"reason\"`",
            "양쪽 스키마를 맞추거나 `tandem failover --accept-loss \"사유\"`를 실행하십시오",
        ),
        Rule::AntiFlap => (
            "`tandem acknowledge`",
            "`tandem acknowledge`로 확인하십시오",
        ),
        Rule::RightExpired | Rule::StartedLongEnough => ("time alone", "시간이 지나면 해제됩니다"),
        _ => (
            "repair what it names, then look again with `tandem status`",
            "원인을 해결한 뒤 `tandem status`로 다시 확인하십시오",
        ),
    }
}

/// Whether waiting alone makes a rule pass.
pub(crate) fn is_time(rule: SafetyRule) -> bool {
    matches!(
        rule,
        SafetyRule::RightExpired | SafetyRule::StartedLongEnough
    )
}
