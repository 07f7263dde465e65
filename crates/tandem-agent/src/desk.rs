//! Where people are answered: what they may ask for, what it would do, and what happened.
//!
//! Reading is free to every program of the cluster; a change needs the token of a named person,
//! whose name is taken from the token and from nowhere else. A request that moves the right is
//! weighed by the planner first, with the same rules, so that a person hears "no" at once and why.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State as Extracted};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Deserialize;
use tandem_core::config::Mode;
use tandem_core::model::{Epoch, SiteId};
use tandem_core::planner::{self, Intent, Language, Reason, Request, RequestKind, Rule};
use tandem_store::Store;

use crate::api::report_shown;
use crate::clock;
use crate::journal::{Entry, Journal};
use crate::people::{
    Ask, HISTORY_SCHEMA, History, MADE_SCHEMA, Made, PLAN_SCHEMA, PlanShown, REQUESTS_SCHEMA,
    Refusal, RequestShown, RequestsShown, RuleShown, is_time, lift,
};
use crate::requests::{BookError, Requests};
use crate::right::chain;
use crate::state::{Shared, millis};
use crate::store::Keys;
use crate::tokens;

/// A request is a line of JSON.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// Entries of one answer.
const HISTORY_MAX: usize = 500;

/// What the handlers share.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    requests: Requests,
    journal: Journal,
}

impl Desk {
    pub(crate) fn new(shared: Arc<Shared>, store: Arc<dyn Store>, journal: Journal) -> Self {
        let requests = Requests::new(Arc::clone(&store), &shared.config.cluster);
        Self {
            shared,
            store,
            requests,
            journal,
        }
    }
}

/// The routes for people.
pub(crate) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/v1/requests", get(list).post(make))
        .route("/v1/requests/{id}", delete(take_back))
        .route("/v1/plan", get(plan))
        .route("/v1/history", get(history))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(desk))
}

fn refuse(status: StatusCode, refusal: Refusal) -> Response {
    (status, Json(refusal)).into_response()
}

fn unauthorised() -> Response {
    let en = "a change needs the access token of a named person; `tandem token new NAME` makes one";
    let ko = "변경하려면 담당자의 액세스 토큰이 필요합니다. `tandem token new NAME`으로 만드십시오";
    refuse(StatusCode::UNAUTHORIZED, Refusal::new(en, ko))
}

fn bad(text: impl Into<String>) -> Response {
    let text = text.into();
    refuse(StatusCode::BAD_REQUEST, Refusal::new(text.clone(), text))
}

/// The store gave nothing, or the book is full or damaged.
fn unwritten(error: &BookError) -> Response {
    let text = chain(error);
    let status = match error {
        BookError::Unwritten(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    refuse(status, Refusal::new(text.clone(), text))
}

impl Desk {
    /// Whose token the request carries. Hash files are read on a thread that may wait.
    async fn person(&self, headers: &HeaderMap) -> Option<String> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let token = value.strip_prefix("Bearer ")?.trim().to_owned();
        let access = self.shared.config.access.clone();
        let looked =
            tokio::task::spawn_blocking(move || tokens::person(&access, &token).map(str::to_owned));
        looked.await.expect("looking does not panic")
    }

    fn epoch(&self) -> Epoch {
        let state = self.shared.state();
        let present = state.authority.present().map(|(record, _)| record.epoch);
        present.unwrap_or_default()
    }

    /// What the planner would do if this were asked for.
    fn weigh(&self, kind: RequestKind, by: &str, reason: &str) -> PlanShown {
        let mut intent = self.shared.state().intent();
        intent.requests.push(Request {
            id: 0,
            kind,
            by: by.into(),
            reason: reason.into(),
            epoch: self.epoch(),
            age: Duration::ZERO,
            left: Duration::from_secs(3600),
        });
        self.planned(&intent)
    }

    fn planned(&self, intent: &Intent) -> PlanShown {
        let shared = &self.shared;
        let remaining = shared.remaining();
        shared.with_seen(|seen, now| {
            let (_, report) = planner::plan(&shared.config.policy, intent, seen, now);
            let rules: Vec<_> = report.rules.iter().map(rule_shown).collect();
            let observes = shared.config.policy.mode == Mode::Observe;
            let hard = |rule: &RuleShown| !rule.passed && !rule.time;
            let refused = match report.reason {
                Reason::Refused { rule } => !is_time(rule),
                Reason::StoreNotRead {}
                | Reason::StoreRefused { .. }
                | Reason::DatabaseUnreachable { .. }
                | Reason::Fenced { .. }
                | Reason::Reinstating { .. }
                | Reason::AwaitingReinstate { .. } => true,
                _ => false,
            };
            PlanShown {
                schema: PLAN_SCHEMA.to_owned(),
                agent: shared.name.clone(),
                site: shared.place.site,
                epoch: remaining.epoch,
                writer: remaining.writer,
                possible: !observes && !refused && !rules.iter().any(hard),
                report: report_shown(&report),
                rules,
                wait_ms: seen.authority.expiry_left().map_or(0, millis),
            }
        })
    }

    /// Why `kind` makes no sense here and now, if it does not.
    fn misplaced(&self, kind: RequestKind) -> Option<Response> {
        let place = self.shared.place;
        let target = match kind {
            RequestKind::DisarmGuard { site } | RequestKind::Reinstate { site, .. } => Some(site),
            kind => kind.target(),
        };
        if let Some(site) = target
            && !self.shared.config.sites.contains_key(&site)
        {
            return Some(bad(format!("there is no site `{site}` with a database")));
        }
        let to = kind.target()?;
        if to != place.site {
            let text = format!(
                "only an agent of {to} can weigh this; this is one of {}",
                place.site
            );
            let refusal = Refusal::new(text.clone(), text);
            return Some(refuse(StatusCode::MISDIRECTED_REQUEST, refusal));
        }
        let holds = {
            let state = self.shared.state();
            state.authority.present().map(|(record, _)| record.site)
        };
        (holds == Some(to)).then(|| {
            let en = format!("{to} holds the right to write already");
            let ko = format!("이미 쓰기 권한을 가진 사이트입니다: {to}");
            refuse(StatusCode::CONFLICT, Refusal::new(en, ko))
        })
    }

    async fn write(&self, ask: &Ask, by: &str, epoch: Epoch) -> Result<u64, BookError> {
        let made = clock::wall_millis();
        let life = Duration::from_secs(ask.life_s);
        let reason = ask.reason.trim();
        let (id, book) = self
            .requests
            .change(|book| {
                let ours = book.requests.iter().find(|found| {
                    found.made_unix_ms == made && found.by == *by && found.kind == ask.kind
                });
                match ours {
                    Some(there) => Ok(there.id),
                    None => book.add(ask.kind, (by.into(), reason.into()), epoch, made, life),
                }
            })
            .await?;
        self.shared.keep_book(book);
        self.tell(
            epoch,
            format!("request {id} by {by}: {} ({reason})", words(ask.kind)),
        );
        Ok(id)
    }

    fn tell(&self, epoch: Epoch, text: String) {
        tracing::info!(%epoch, "{text}");
        self.journal.write(epoch, text);
    }
}

fn rule_shown(rule: &Rule) -> RuleShown {
    let reason = Reason::Refused { rule: rule.rule };
    let (lift_en, lift_ko) = lift(rule.rule);
    RuleShown {
        rule: rule.rule,
        passed: rule.passed,
        time: is_time(rule.rule),
        en: reason.sentence(Language::English),
        ko: reason.sentence(Language::Korean),
        lift_en: lift_en.to_owned(),
        lift_ko: lift_ko.to_owned(),
    }
}

/// A kind in a few English words, for the journal.
fn words(kind: RequestKind) -> String {
    match kind {
        RequestKind::Pause => "pause automation".into(),
        RequestKind::Approve => "approve the promotion".into(),
        RequestKind::Acknowledge => "acknowledge the last promotion".into(),
        RequestKind::Switchover { to } => format!("switch over to {to}"),
        RequestKind::Failover { to, accept_loss } if accept_loss => {
            format!("fail over to {to}, accepting loss")
        }
        RequestKind::Failover { to, .. } => format!("fail over to {to}"),
        RequestKind::Reinstate { site, copy: true } => format!("reinstate {site} by a full copy"),
        RequestKind::Reinstate { site, .. } => format!("reinstate {site}"),
        RequestKind::DisarmGuard { site } => format!("disarm the guard of {site}"),
    }
}

async fn make(Extracted(desk): Extracted<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(by) = desk.person(&headers).await else {
        return unauthorised();
    };
    let ask: Ask = match serde_json::from_slice(&body) {
        Ok(ask) => ask,
        Err(error) => return bad(format!("this is no request: {error}")),
    };
    if let Some(refused) = desk.misplaced(ask.kind) {
        return refused;
    }
    let epoch = desk.epoch();
    if ask.epoch.is_some_and(|seen| seen != epoch) {
        let en = format!("the plan is stale: the epoch is {epoch} now; look again");
        let ko = format!("계획이 오래되었습니다. 현재 에포크: {epoch}. 다시 확인하십시오");
        return refuse(StatusCode::CONFLICT, Refusal::new(en, ko));
    }
    let weighed = matters_to_the_planner(ask.kind).then(|| desk.weigh(ask.kind, &by, &ask.reason));
    if let Some(plan) = weighed.as_ref().filter(|plan| !plan.possible) {
        let mut refusal = Refusal::new(plan.report.en.clone(), plan.report.ko.clone());
        refusal.plan = Some(plan.clone());
        return refuse(StatusCode::CONFLICT, refusal);
    }
    match desk.write(&ask, &by, epoch).await {
        Ok(id) => {
            let schema = MADE_SCHEMA.to_owned();
            let made = Made {
                schema,
                id,
                by,
                plan: weighed,
            };
            (StatusCode::CREATED, Json(made)).into_response()
        }
        Err(error) => unwritten(&error),
    }
}

/// Whether a request moves the right, so that its rules can be asked now.
fn matters_to_the_planner(kind: RequestKind) -> bool {
    kind.target().is_some()
}

async fn take_back(
    Extracted(desk): Extracted<Arc<Desk>>,
    headers: HeaderMap,
    Path(id): Path<u64>,
) -> Response {
    let Some(by) = desk.person(&headers).await else {
        return unauthorised();
    };
    match desk.requests.change(|book| Ok(book.remove(id))).await {
        Ok((true, book)) => {
            desk.shared.keep_book(book);
            desk.tell(desk.epoch(), format!("request {id} taken back by {by}"));
            StatusCode::NO_CONTENT.into_response()
        }
        Ok((false, _)) => {
            let en = format!("there is no request {id}; it may have ended");
            let ko = format!("요청 {id}은(는) 없습니다. 이미 끝났을 수 있습니다");
            refuse(StatusCode::NOT_FOUND, Refusal::new(en, ko))
        }
        Err(error) => unwritten(&error),
    }
}

async fn list(Extracted(desk): Extracted<Arc<Desk>>) -> Response {
    match desk.requests.read().await {
        Ok(book) => {
            let open = book.requests(clock::wall_millis(), desk.epoch());
            Json(RequestsShown {
                schema: REQUESTS_SCHEMA.to_owned(),
                requests: open.iter().map(request_shown).collect(),
            })
            .into_response()
        }
        Err(error) => unwritten(&error),
    }
}

pub(crate) fn request_shown(request: &Request) -> RequestShown {
    RequestShown {
        id: request.id,
        kind: request.kind,
        by: request.by.to_string(),
        reason: request.reason.to_string(),
        epoch: request.epoch,
        age_ms: millis(request.age),
        left_ms: millis(request.left),
    }
}

/// What to weigh; nothing to see what happens without any request.
#[derive(Deserialize)]
struct Weigh {
    failover: Option<SiteId>,
    switchover: Option<SiteId>,
    #[serde(default)]
    accept_loss: bool,
}

async fn plan(Extracted(desk): Extracted<Arc<Desk>>, Query(weigh): Query<Weigh>) -> Response {
    let accept_loss = weigh.accept_loss;
    let failover = weigh
        .failover
        .map(|to| RequestKind::Failover { to, accept_loss });
    let switchover = weigh.switchover.map(|to| RequestKind::Switchover { to });
    let Some(kind) = failover.or(switchover) else {
        // The lock must be free again before the planner is asked.
        let intent = desk.shared.state().intent();
        return Json(desk.planned(&intent)).into_response();
    };
    if let Some(refused) = desk.misplaced(kind) {
        return refused;
    }
    Json(desk.weigh(kind, "you", "a question")).into_response()
}

/// How far back to look.
#[derive(Deserialize)]
struct Span {
    limit: Option<usize>,
}

async fn history(Extracted(desk): Extracted<Arc<Desk>>, Query(span): Query<Span>) -> Response {
    let keys = Keys::of(&desk.shared.config.cluster);
    let found = desk.store.read_prefix(&keys.journals()).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return unwritten(&BookError::Store(error)),
    };
    let parsed = found
        .iter()
        .filter_map(|entry| serde_json::from_str::<Entry>(&entry.versioned.value).ok());
    let mut entries: Vec<_> = parsed.collect();
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.number)));
    entries.truncate(span.limit.unwrap_or(HISTORY_MAX).min(HISTORY_MAX));
    let promotions = desk.shared.state().promotions.clone();
    Json(History {
        schema: HISTORY_SCHEMA.to_owned(),
        entries,
        promotions,
    })
    .into_response()
}
