//! Every combination of what an agent can know: each has a reason, none panics, none is unsafe.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use super::scene::{NOW, Scene, database, ms, open_record, peer, read_for, ready, request};
use super::world::{policy, site};
use crate::authority::promise::Question;
use crate::authority::{Authority, Exposure, Fence, LastOpen, Phase, Record};
use crate::config::Mode;
use crate::database::{DatabaseSeen, Extent, Prepared};
use crate::model::{Epoch, Lsn};
use crate::planner::{
    Action, Class, Language, Look, OtherEnd, Plan, Purpose, Report, RequestKind, SiteHealth,
};

const PHASES: [Phase; 4] = [Phase::Claimed, Phase::Open, Phase::Switching, Phase::Fenced];
const EXPOSURES: [Exposure; 3] = [Exposure::Bounded, Exposure::Unbounded, Exposure::Returning];
const MODES: [Mode; 3] = [Mode::Observe, Mode::Confirm, Mode::Automatic];
const VIEWS: [SiteHealth; 3] = [SiteHealth::Unknown, SiteHealth::Up, SiteHealth::Down];

/// How far the count on the present revision has come.
#[derive(Clone, Copy, PartialEq)]
enum Count {
    Begun,
    Ended,
    Stale,
}

fn records(epoch: u64) -> Vec<Record> {
    let mut all = Vec::new();
    for phase in PHASES {
        for exposure in EXPOSURES {
            for holder in ["aws", "gcp"] {
                for last in ["aws", "gcp"] {
                    let fence = (phase == Phase::Fenced).then_some(Fence { barrier: 40 });
                    all.push(Record {
                        site: site(holder),
                        epoch: Epoch(epoch),
                        phase,
                        exposure,
                        fence,
                        last_open: LastOpen {
                            site: site(last),
                            epoch: Epoch(1),
                        },
                        ..open_record()
                    });
                }
            }
        }
    }
    all
}

/// A view of gcp's agent on `record`. `restarted`: it started a moment ago; `promised`: it did.
fn authority(record: &Record, count: Count, restarted: bool, promised: bool) -> Authority {
    let age = if restarted { 1_000 } else { 600_000 };
    let mut authority = Authority::new(site("gcp"), policy().authority, None, NOW.before(ms(age)));
    let open = Record {
        phase: Phase::Open,
        fence: None,
        ..record.clone()
    };
    if promised {
        read_for(&mut authority, &open, 90, NOW.before(ms(9_000)), ms(500));
        let question = Question {
            question: 1,
            identity: record.identity.clone(),
            site: site("aws"),
            epoch: record.epoch,
            asker: "aws-1".into(),
        };
        let _ = authority.handle_question(NOW.before(ms(2_000)), &question, true, false);
    }
    match count {
        Count::Begun if record.site == site("gcp") => {
            let sent = NOW.before(ms(200));
            authority.handle_committed(sent, NOW, record, 100).unwrap();
        }
        Count::Begun => read_for(&mut authority, record, 100, NOW, ms(500)),
        Count::Ended => read_for(&mut authority, record, 100, NOW, ms(8_000)),
        Count::Stale => read_for(
            &mut authority,
            record,
            100,
            NOW.before(ms(5_000)),
            ms(8_000),
        ),
    }
    authority
}

fn databases() -> Vec<Option<DatabaseSeen>> {
    let prepared = DatabaseSeen {
        prepared: Some(Prepared {
            epoch: Epoch(1),
            boundary: Lsn(7),
        }),
        ..database(Some(ready()))
    };
    let diverged = DatabaseSeen {
        diverged: true,
        ..database(Some(ready()))
    };
    let unfinished = DatabaseSeen {
        unfinished: true,
        ..database(Some(ready()))
    };
    let lossy = DatabaseSeen {
        lost: Some(7),
        ledger_due: Some(Epoch(1)),
        ledger_expired: Some(Epoch(1)),
        ..database(None)
    };
    let mut copying = ready();
    copying.tables_ready = 1;
    [
        None,
        Some(database(None)),
        Some(database(Some(ready()))),
        Some(database(Some(copying))),
        Some(prepared),
        Some(diverged),
        Some(lossy),
        Some(unfinished),
    ]
    .into()
}

fn requests() -> [Option<RequestKind>; 7] {
    let to = site("gcp");
    let failover = |accept_loss| RequestKind::Failover { to, accept_loss };
    [
        None,
        Some(RequestKind::Pause),
        Some(RequestKind::Approve),
        Some(RequestKind::Switchover { to }),
        Some(failover(false)),
        Some(failover(true)),
        Some(RequestKind::Reinstate {
            site: to,
            copy: false,
        }),
    ]
}

/// What the witness and the agents of aws say.
fn hear(scene: &mut Scene, witness: SiteHealth, aws_speaks: bool, aws_database: bool) {
    scene.peers.clear();
    if witness != SiteHealth::Unknown {
        let sees = [("aws", witness), ("gcp", SiteHealth::Up)];
        scene.peers.push(peer("witness-1", &sees, None));
    }
    let mut aws = peer("aws-1", &[], aws_database.then(|| database(None)));
    if !aws_speaks {
        aws.changed = NOW.before(ms(20_000));
    }
    scene.peers.push(aws);
}

#[test]
fn every_situation_has_a_reason_and_no_unsafe_action() {
    let mut codes = BTreeSet::new();
    let mut walked = 0_u32;
    for record in records(1) {
        for count in [Count::Begun, Count::Ended, Count::Stale] {
            for bits in 0..4 {
                let view = authority(&record, count, bits & 1 > 0, bits & 2 > 0);
                let mut scene = Scene::new("gcp", view);
                walked += walk(&mut scene, &mut codes);
            }
        }
    }
    assert!(walked > 1_000_000, "{walked} situations");
    assert!(codes.len() >= 21, "{} reasons: {codes:?}", codes.len());
}

fn walk(scene: &mut Scene, codes: &mut BTreeSet<&'static str>) -> u32 {
    let mut walked = 0;
    let databases = databases();
    for own in VIEWS {
        scene.observations.insert(site("aws"), own);
        for witness in VIEWS {
            for speaks in [(false, true), (true, true), (true, false)] {
                hear(scene, witness, speaks.0, speaks.1);
                for found in &databases {
                    scene.database = found.clone().map(|seen| Look { seen, arrived: NOW });
                    for kind in requests() {
                        scene.intent.requests = kind.map(request).into_iter().collect();
                        for mode in MODES {
                            scene.policy.mode = mode;
                            scene.other_end = (mode != Mode::Confirm).then_some(OtherEnd {
                                end: Lsn(100),
                                asked: NOW,
                            });
                            judge(scene, codes);
                            walked += 1;
                        }
                    }
                }
            }
        }
    }
    walked
}

fn judge(scene: &Scene, codes: &mut BTreeSet<&'static str>) {
    let (plan, report) = scene.plan();
    if codes.insert(report.reason.code()) {
        for language in [Language::English, Language::Korean] {
            assert!(!report.reason.sentence(language).is_empty());
        }
    }
    let picture = || format!("{:#?}\n{plan:#?}\n{report:#?}", scene.authority);
    if scene.policy.mode == Mode::Observe {
        assert!(
            plan.actions.is_empty() && report.would.is_some(),
            "{}",
            picture()
        );
    }
    let writes = plan
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Write { .. }));
    assert!(writes.count() <= 1, "two writes: {}", picture());
    let erases = |action: &Action| matches!(action, Action::EraseLedger { .. });
    let mut before = plan.actions.iter().rev().skip(1);
    assert!(!before.any(erases), "it holds others back: {}", picture());
    for action in &plan.actions {
        assert!(
            is_safe(scene, action, &report, &plan),
            "{action:?} in {}",
            picture()
        );
    }
    let source_open = scene.is_source_in(Phase::Open);
    assert!(scene.told().left.is_zero() || source_open, "{}", picture());
}

fn is_safe(scene: &Scene, action: &Action, report: &Report, plan: &Plan) -> bool {
    let record = scene.present();
    let own = record.site == scene.place.site;
    match action {
        Action::Write {
            record: next,
            purpose,
            ..
        } => next.epoch >= record.epoch && may_write(scene, *purpose, report),
        Action::ArmGuard { deadline, .. } => {
            own && record.phase == Phase::Open
                && scene
                    .authority
                    .hold()
                    .is_some_and(|hold| *deadline <= hold.deadline)
        }
        Action::Beat { .. } | Action::AskPromises { .. } => own && record.phase == Phase::Open,
        Action::EndSessions { .. } | Action::Barrier { .. } => {
            own && record.phase == Phase::Switching
        }
        Action::Prepare { .. } => own && record.phase == Phase::Claimed,
        Action::CloseGuard { epoch } => *epoch == plan.epoch,
        Action::Receive { .. } => !own,
        Action::Reinstate { extent, .. } => {
            let asked = kinds(scene).any(|kind| matches!(kind, RequestKind::Reinstate { .. }));
            !own && record.phase == Phase::Open && (asked || *extent == Extent::Attach)
        }
        Action::Collect => own && record.phase == Phase::Open,
        Action::EraseLedger { epoch } => {
            let database = scene.database.as_ref();
            database.and_then(|found| found.seen.ledger_expired) == Some(*epoch)
        }
        Action::StopReceiving | Action::AskOtherEnd | Action::LeadAtWitness => true,
    }
}

fn kinds(scene: &Scene) -> impl Iterator<Item = RequestKind> + '_ {
    scene.intent.requests.iter().map(|request| request.kind)
}

fn may_write(scene: &Scene, purpose: Purpose, report: &Report) -> bool {
    let (record, view) = (scene.present(), &scene.authority);
    let own = record.site == scene.place.site;
    let unbound = view.start_wait_left(NOW).is_zero() && view.promise_left(NOW).is_zero();
    let expired = view.is_expired(NOW);
    let kinds = || kinds(scene);
    let forced = kinds().any(|kind| matches!(kind, RequestKind::Failover { .. }));
    let lossy = kinds().any(|kind| {
        matches!(
            kind,
            RequestKind::Failover {
                accept_loss: true,
                ..
            }
        )
    });
    let bounded = record.exposure == Exposure::Bounded || report.class == Class::AgentsDead;
    match purpose {
        Purpose::Claim => {
            let automatic = scene.policy.mode == Mode::Automatic && !scene.intent.is_paused();
            !own && expired && unbound && automatic && bounded && report.class.allows_promotion()
        }
        Purpose::ClaimRequested => {
            let asked = forced || kinds().any(|kind| kind == RequestKind::Approve);
            !own && expired && unbound && asked && (bounded || lossy)
        }
        Purpose::TakeFenced => {
            !own && record.phase == Phase::Fenced && unbound && view.saw_open(record.epoch)
        }
        Purpose::Reclaim => {
            let claim = !own && record.phase == Phase::Claimed;
            let mine = record.last_open.site == scene.place.site;
            unbound && (own || (claim && mine && expired))
        }
        Purpose::Open => own && record.phase == Phase::Claimed && unbound,
        Purpose::Renew => own && matches!(record.phase, Phase::Claimed | Phase::Open),
        Purpose::Unbound | Purpose::Return | Purpose::Bound | Purpose::Switch => {
            own && record.phase == Phase::Open
        }
        Purpose::Fence => own && record.phase == Phase::Switching,
    }
}
