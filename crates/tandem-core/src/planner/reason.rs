//! Why something or nothing happens: one code, one sentence, two languages.
//!
//! The operator of a stuck system reads these sentences, not the source. Codes are
//! stable and never translated; sentences avoid Korean particles after an inserted
//! name, since they would depend on its last sound.

use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::{SafetyRule, Work};
use crate::authority::Exposure;
use crate::model::{Epoch, SiteId};

/// A language that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Korean.
    Korean,
}

macro_rules! reasons {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident { $($field:ident : $type:ty => $meaning:literal),* }
        $code:literal $english:literal $korean:literal
    )*) => {
        /// The one reason of a report. Times are milliseconds.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        pub enum Reason {
            $(
                $(#[doc = $doc])*
                $name { $(#[doc = $meaning] $field: $type),* },
            )*
        }

        impl Reason {
            /// Every code, in the order of the reference page.
            pub const CODES: &'static [&'static str] = &[$($code),*];

            /// The stable code.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$name { .. } => $code),* }
            }

            /// One sentence for a person.
            pub fn sentence(&self, language: Language) -> String {
                match self {
                    $(Self::$name { $($field),* } => {
                        $(let $field = Spoken::spoken($field, language);)*
                        match language {
                            Language::English => format!($english),
                            Language::Korean => format!($korean),
                        }
                    })*
                }
            }
        }
    };
}

reasons! {
    /// The store has not answered since this agent started.
    StoreNotRead {} "TDM-1001"
        "the coordination store has not answered yet; nothing is decided without it"
        "조정 저장소가 아직 응답하지 않습니다. 응답이 올 때까지 아무 결정도 내리지 않습니다"
    /// The store is not the one this agent knows.
    StoreRefused { refusal: String => "why" } "TDM-1002"
        "the store is refused: {refusal}"
        "저장소를 신뢰할 수 없어 거부했습니다: {refusal}"
    /// The policy only observes.
    ObserveOnly { site: SiteId => "the writer" } "TDM-1003"
        "mode is observe: {site} holds the right to write, Tandem only watches"
        "관찰 모드입니다. 쓰기 권한 사이트: {site}. Tandem은 지켜보기만 합니다"
    /// The witness has nothing to do but to look.
    WitnessWatches { site: SiteId => "the writer", epoch: Epoch => "its epoch" } "TDM-1004"
        "the witness watches; {site} holds the right to write in epoch {epoch}"
        "증인이 감시 중입니다. 쓰기 권한 사이트: {site}, 에포크 {epoch}"
    /// The own database does not answer.
    DatabaseUnreachable { epoch: Epoch => "the present epoch" } "TDM-1005"
        "this site's database does not answer (epoch {epoch})"
        "이 사이트의 데이터베이스가 응답하지 않습니다(에포크 {epoch})"
    /// Steady state of the primary.
    Writing { epoch: Epoch => "the epoch", exposure: Exposure => "how much may be unreplicated", left_ms: u64 => "remaining right" } "TDM-1101"
        "open for writes in epoch {epoch}, exposure {exposure}, {left_ms} left"
        "쓰기 가능: 에포크 {epoch}, 노출 {exposure}, 남은 권한 {left_ms}"
    /// The record names this site, but this agent did not renew in time.
    RightNotHeld { epoch: Epoch => "the epoch" } "TDM-1102"
        "this agent could not renew the right of epoch {epoch} in time; it hands out none until it does"
        "에포크 {epoch}의 쓰기 권한을 제때 갱신하지 못했습니다. 갱신될 때까지 쓰기를 허용하지 않습니다"
    /// The peer is behind and the record could not be changed.
    ExposureExceeded { epoch: Epoch => "the epoch", age_ms: u64 => "age of the newest applied heartbeat", held_ms: u64 => "remaining authority" } "TDM-1103"
        "writes wait: the newest heartbeat applied at the peer is {age_ms} old, more than the exposure allows (epoch {epoch}, authority for {held_ms} more)"
        "쓰기 대기: 상대 사이트에 적용된 최신 하트비트가 {age_ms} 전 것이어서 허용 노출을 넘었습니다(에포크 {epoch}, 남은 권한 {held_ms})"
    /// The replica is lost or late.
    GoingUnbounded { epoch: Epoch => "the epoch", age_ms: u64 => "age of the newest applied heartbeat" } "TDM-1104"
        "the peer is {age_ms} behind: going on without it, exposure becomes unbounded (epoch {epoch})"
        "상대 사이트가 {age_ms} 뒤처져 있어 혼자 계속합니다. 노출이 무제한으로 바뀝니다(에포크 {epoch})"
    /// The replica is back.
    ReturningToBound { epoch: Epoch => "the epoch" } "TDM-1105"
        "the peer keeps up again: returning to a bounded exposure (epoch {epoch})"
        "상대 사이트가 다시 따라잡았습니다. 제한된 노출로 되돌아갑니다(에포크 {epoch})"
    /// A restarted agent opens nothing in its first ttl.
    StartWait { epoch: Epoch => "the epoch", left_ms: u64 => "left to wait" } "TDM-1106"
        "a restarted agent opens nothing in its first ttl: {left_ms} left (epoch {epoch})"
        "다시 시작한 에이전트는 첫 TTL 동안 쓰기를 열지 않습니다. {left_ms} 남음(에포크 {epoch})"
    /// Promotion: boundary, sequences, reverse slot.
    Preparing { epoch: Epoch => "the epoch" } "TDM-1107"
        "preparing to open in epoch {epoch}: boundary, sequences, reverse slot"
        "에포크 {epoch} 개방 준비 중: 복제 경계, 시퀀스, 역방향 슬롯"
    /// The claim could not be prepared in time.
    PreparationStuck { epoch: Epoch => "the epoch" } "TDM-1108"
        "the claim of epoch {epoch} could not be prepared in 30 s and is given up; a person must look"
        "에포크 {epoch}의 준비가 30초 안에 끝나지 않아 포기했습니다. 담당자의 확인이 필요합니다"
    /// The record is being changed to open.
    Opening { epoch: Epoch => "the epoch" } "TDM-1109"
        "opening for writes in epoch {epoch}"
        "에포크 {epoch}에서 쓰기를 여는 중입니다"
    /// A switchover that was begun is undone, or an unused claim of the other site has ended.
    TakingBack { epoch: Epoch => "the new epoch" } "TDM-1110"
        "the other site has not opened: this site takes its right back with epoch {epoch}"
        "상대 사이트가 쓰기를 열지 않아 이 사이트가 에포크 {epoch}로 권한을 되찾습니다"
    /// The source's half of a switchover runs.
    Switching { epoch: Epoch => "the epoch that ends", left_ms: u64 => "until every deadline has ended" } "TDM-1111"
        "handing over: gates, guard and sessions of epoch {epoch} close, all deadlines end within {left_ms}"
        "권한 이양 중: 에포크 {epoch}의 게이트, 가드, 세션을 닫습니다. 늦어도 {left_ms} 안에 모든 기한이 끝납니다"
    /// The source's half of a switchover is done.
    HandedOver { epoch: Epoch => "the fenced epoch", left_ms: u64 => "until the right is taken back" } "TDM-1112"
        "fenced in epoch {epoch}: the other site may open now; in {left_ms} this site takes its right back"
        "에포크 {epoch} 차단 완료: 상대 사이트가 이제 열 수 있습니다. {left_ms} 뒤에는 이 사이트가 권한을 되찾습니다"
    /// A request to move the right cannot be granted.
    RequestRefused { epoch: Epoch => "the present epoch", rule: SafetyRule => "the first rule that failed" } "TDM-1113"
        "open for writes in epoch {epoch}; the requested change of site is not begun: {rule}"
        "에포크 {epoch}에서 쓰기 가능. 요청한 사이트 전환을 시작하지 않았습니다: {rule}"
    /// The own database is dead.
    Yielding { epoch: Epoch => "the epoch", silent_ms: u64 => "how long it has been silent" } "TDM-1114"
        "this site's database has been silent for {silent_ms}: the right of epoch {epoch} is not renewed, so that the other site can take over"
        "이 사이트의 데이터베이스가 {silent_ms} 동안 응답하지 않아 에포크 {epoch}의 권한을 갱신하지 않습니다. 상대 사이트가 인수할 수 있습니다"
    /// A person asked for a failover, and this site cannot fence itself.
    LettingGo { epoch: Epoch => "the epoch" } "TDM-1115"
        "a failover was requested and this site cannot fence itself: the right of epoch {epoch} is not renewed and ends by itself"
        "장애 조치가 요청되었지만 이 사이트는 스스로를 차단할 수 없습니다. 에포크 {epoch}의 권한을 갱신하지 않아 저절로 끝납니다"
    /// The store is silent; the other site's agents promised not to take over.
    OnPromises { epoch: Epoch => "the epoch", left_ms: u64 => "remaining right" } "TDM-1116"
        "the coordination store does not answer; open in epoch {epoch} for {left_ms}, longer only if every agent of the other site promises not to take over"
        "조정 저장소가 응답하지 않습니다. 에포크 {epoch}에서 {left_ms} 동안 쓰기 가능하며, 상대 사이트의 모든 에이전트가 인수하지 않겠다고 약속해야 연장됩니다"
    /// A promise forbids to open.
    PromiseBinds { epoch: Epoch => "the epoch", left_ms: u64 => "left to wait" } "TDM-1117"
        "this agent promised the other site not to take over: it opens nothing for {left_ms} more (epoch {epoch})"
        "이 에이전트는 인수하지 않겠다고 상대 사이트에 약속했습니다. {left_ms} 동안 쓰기를 열지 않습니다(에포크 {epoch})"
    /// Steady state of the replica.
    Replicating { site: SiteId => "the primary", epoch: Epoch => "its epoch" } "TDM-1201"
        "replica of {site} (epoch {epoch})"
        "복제본으로 동작 중입니다. 주 사이트: {site}, 에포크 {epoch}"
    /// The initial copy runs.
    Copying { site: SiteId => "the primary", tables_ready: u32 => "tables copied", tables_total: u32 => "tables in all" } "TDM-1202"
        "copying from {site}: {tables_ready} of {tables_total} tables ready"
        "초기 복사 중입니다. 주 사이트: {site}, 완료된 테이블 {tables_ready}/{tables_total}"
    /// The subscription has no worker.
    NotReceiving { site: SiteId => "the primary", errors: u32 => "apply errors" } "TDM-1203"
        "nothing arrives from {site}: no apply worker runs ({errors} apply errors)"
        "복제 데이터가 들어오지 않습니다. 적용 워커 없음, 주 사이트: {site}, 적용 오류 {errors}건"
    /// The primary's right ended although its site is reached.
    RightExpiredSiteReached { site: SiteId => "the primary", epoch: Epoch => "its epoch" } "TDM-1204"
        "the right of {site} (epoch {epoch}) has ended, but its site still answers: its agents must renew, or a person decides"
        "쓰기 권한이 만료되었지만 사이트는 응답합니다: {site}(에포크 {epoch}). 에이전트가 갱신하거나 담당자가 결정해야 합니다"
    /// The primary is lost; its right has not ended yet.
    CountingDown { site: SiteId => "the lost primary", left_ms: u64 => "left to count" } "TDM-1205"
        "{site} is lost; its right to write ends in {left_ms} at the latest"
        "주 사이트 연결 끊김: {site}. 늦어도 {left_ms} 뒤 쓰기 권한이 끝납니다"
    /// A safety rule stands in the way of a promotion.
    Refused { rule: SafetyRule => "the first rule that failed" } "TDM-1206"
        "no promotion: {rule}"
        "승격하지 않음: {rule}"
    /// The right is being taken.
    Claiming { from: SiteId => "the lost primary", epoch: Epoch => "the new epoch" } "TDM-1207"
        "taking the right to write from {from} with epoch {epoch}"
        "쓰기 권한 인수 중: 이전 사이트 {from}, 새 에포크 {epoch}"
    /// The other site is taking over.
    OtherClaims { site: SiteId => "the taker", epoch: Epoch => "its epoch", left_ms: u64 => "until its claim ends" } "TDM-1208"
        "{site} claims the right with epoch {epoch} and has not opened; its claim ends in {left_ms} unless renewed"
        "상대 사이트가 권한을 인수하는 중입니다: {site}, 에포크 {epoch}. 갱신이 없으면 {left_ms} 뒤 끝납니다"
    /// An old primary, fenced.
    Fenced { primary: SiteId => "the present primary", epoch: Epoch => "its epoch" } "TDM-1209"
        "fenced: {primary} is primary in epoch {epoch}; this site needs reinstate before it can take part again"
        "차단됨: 주 사이트는 {primary}(에포크 {epoch})입니다. 이 사이트는 복귀 작업(reinstate) 후에만 다시 참여할 수 있습니다"
    /// The other site closes on purpose.
    OtherSwitching { site: SiteId => "the source", epoch: Epoch => "its epoch" } "TDM-1210"
        "{site} is handing the right over: epoch {epoch} is being closed there"
        "권한 이양 중인 사이트: {site}. 에포크 {epoch}를 닫고 있습니다"
    /// The last writes of a fenced source are not all here.
    AwaitingBarrier { site: SiteId => "the source", applied: u32 => "heartbeats applied", barrier: u32 => "its last heartbeat" } "TDM-1211"
        "{site} is fenced: waiting for its last writes, heartbeat {applied} of {barrier} is applied"
        "차단된 사이트: {site}. 마지막 쓰기를 기다리는 중입니다. 적용된 하트비트 {applied}/{barrier}"
    /// A person asked this site to take over, and the other one lives.
    AwaitingHandover { site: SiteId => "the holder", epoch: Epoch => "its epoch" } "TDM-1212"
        "asked to take over: waiting for {site} to give up epoch {epoch}, or for its right to end"
        "인수 요청을 받았습니다. 현재 사이트 {site}의 에포크 {epoch} 이양 또는 권한 만료를 기다립니다"
    /// An old primary on its way to be a replica.
    Reinstating { primary: SiteId => "the present primary", epoch: Epoch => "its epoch" } "TDM-1213"
        "fenced: {primary} is primary in epoch {epoch}; this site is being made its replica again"
        "차단됨: 주 사이트는 {primary}(에포크 {epoch})입니다. 이 사이트를 다시 복제본으로 만드는 중입니다"
    /// An old primary with writes that nobody else has.
    AwaitingReinstate { primary: SiteId => "the present primary", epoch: Epoch => "its epoch", lost: u32 => "transactions that it never got" } "TDM-1214"
        "fenced: {primary} is primary in epoch {epoch} and never got {lost} transaction(s) of this site; they are in the ledger, `tandem reinstate` undoes them here"
        "차단됨: 주 사이트는 {primary}(에포크 {epoch})입니다. 이 사이트의 트랜잭션 {lost}건이 전달되지 않아 원장에 보관되었습니다. `tandem reinstate`를 실행하면 이 사이트에서 되돌립니다"
}

impl Reason {
    /// The change of the right to write that this reason is a step of.
    pub fn work(&self) -> Option<Work> {
        match self {
            Self::CountingDown { .. }
            | Self::Claiming { .. }
            | Self::Preparing { .. }
            | Self::PreparationStuck { .. }
            | Self::Opening { .. } => Some(Work::Failover),
            Self::Switching { .. }
            | Self::HandedOver { .. }
            | Self::OtherSwitching { .. }
            | Self::AwaitingBarrier { .. }
            | Self::AwaitingHandover { .. } => Some(Work::Switchover),
            Self::TakingBack { .. } => Some(Work::Reclaim),
            _ => None,
        }
    }
}

/// How a value is said inside a sentence.
trait Spoken {
    fn spoken(&self, language: Language) -> String;
}

impl Spoken for String {
    fn spoken(&self, _: Language) -> String {
        self.clone()
    }
}

impl Spoken for SiteId {
    fn spoken(&self, _: Language) -> String {
        self.to_string()
    }
}

impl Spoken for Epoch {
    fn spoken(&self, _: Language) -> String {
        self.to_string()
    }
}

impl Spoken for u32 {
    fn spoken(&self, _: Language) -> String {
        self.to_string()
    }
}

/// A `u64` of a reason is milliseconds; it is said in seconds. Counts are `u32`.
impl Spoken for u64 {
    fn spoken(&self, language: Language) -> String {
        let (seconds, tenths) = (self / 1000, self % 1000 / 100);
        match language {
            Language::English => format!("{seconds}.{tenths} s"),
            Language::Korean => format!("{seconds}.{tenths}초"),
        }
    }
}

impl Spoken for Exposure {
    fn spoken(&self, language: Language) -> String {
        let (english, korean) = match self {
            Self::Bounded => ("bounded", "제한"),
            Self::Unbounded => ("unbounded", "무제한"),
            Self::Returning => ("returning to bounded", "제한으로 복귀 중"),
        };
        choose(language, english, korean)
    }
}

impl Spoken for SafetyRule {
    fn spoken(&self, language: Language) -> String {
        let (english, korean) = self.words();
        choose(language, english, korean)
    }
}

macro_rules! rule_words {
    ($($rule:ident $english:literal $korean:literal)*) => {
        impl SafetyRule {
            /// What stands in the way when the rule fails.
            fn words(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$rule => ($english, $korean),)*
                }
            }
        }
    };
}

rule_words! {
    ModeAutomatic
        "the mode is not automatic, so a named person must approve"
        "자동 모드가 아니므로 담당자의 승인이 필요합니다"
    NotPaused
        "automation is paused"
        "자동화가 일시 중지되었습니다"
    WitnessAgrees
        "the witness does not confirm that the site is lost"
        "증인이 사이트 장애를 확인하지 않았습니다"
    NotCorrelated
        "both sites look lost at once, or the witness errs; a person must look"
        "두 사이트가 동시에 끊긴 것으로 보이거나 증인이 잘못 보고 있습니다. 담당자의 확인이 필요합니다"
    NoPromise
        "this agent has promised the other site not to take over"
        "이 에이전트는 인수하지 않겠다고 상대 사이트에 약속했습니다"
    BarrierApplied
        "not everything that the other site acknowledged is applied here yet"
        "상대 사이트가 승인한 쓰기가 아직 모두 적용되지 않았습니다"
    SawOpen
        "this agent has not read the fenced epoch as open since its start and last promise"
        "이 에이전트는 시작 또는 마지막 약속 이후 차단된 에포크를 열린 상태로 읽은 적이 없습니다"
    AllAgentsCurrent
        "not every agent reads the records of a switchover; upgrade all of them first"
        "일부 에이전트가 전환 기록을 읽지 못합니다. 모든 에이전트를 먼저 업그레이드하세요"
    PeerAnswers
        "the other site's agents or database do not answer, or it does not receive"
        "상대 사이트의 에이전트나 데이터베이스가 응답하지 않거나 복제를 받지 않습니다"
    GuardsArmed
        "the guard of this site was disarmed by hand; arm it first"
        "이 사이트의 가드가 수동으로 해제되었습니다. 먼저 다시 켜세요"
    ExposureBounded
        "the primary went on without this site, so acknowledged writes may be missing here; a named person must accept the loss"
        "주 사이트가 이 사이트 없이 계속했으므로 승인된 쓰기가 여기에 없을 수 있습니다. 담당자가 손실을 승인해야 합니다"
    TablesReady
        "the initial copy of some tables has not finished"
        "일부 테이블의 초기 복사가 끝나지 않았습니다"
    SchemasEqual
        "the published tables differ between the sites, or one side is not known"
        "두 사이트의 복제 대상 테이블 구조가 다르거나 한쪽을 알 수 없습니다"
    BoundaryReadable
        "the position up to which the primary's commits are applied cannot be read"
        "주 사이트의 커밋이 어디까지 적용되었는지 읽을 수 없습니다"
    AntiFlap
        "too many automatic promotions lately; an acknowledgement lifts this"
        "최근 자동 승격이 너무 많았습니다. 담당자가 확인하면 해제됩니다"
    DatabaseAnswers
        "this site's database does not answer"
        "이 사이트의 데이터베이스가 응답하지 않습니다"
    RightExpired
        "the primary's right to write has not ended for certain"
        "주 사이트의 쓰기 권한이 확실히 끝나지 않았습니다"
    StartedLongEnough
        "this agent has not run for a ttl yet"
        "이 에이전트가 아직 TTL만큼 실행되지 않았습니다"
}

fn choose(language: Language, english: &str, korean: &str) -> String {
    match language {
        Language::English => english.to_string(),
        Language::Korean => korean.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sorted() {
        assert!(Reason::CODES.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn every_sentence_is_said_in_both_languages() {
        let site: SiteId = "aws".parse().unwrap();
        let reason = Reason::CountingDown {
            site,
            left_ms: 1250,
        };
        let english = reason.sentence(Language::English);
        assert_eq!(
            english,
            "aws is lost; its right to write ends in 1.2 s at the latest"
        );
        let korean = reason.sentence(Language::Korean);
        assert!(korean.contains("1.2초") && korean.chars().any(|c| ('가'..='힣').contains(&c)));
    }
}
