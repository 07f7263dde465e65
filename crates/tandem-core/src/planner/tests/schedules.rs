//! The schedules that broke simpler wordings (C1 to C13), where the planner closes them. Those that
//! the clocks of one agent close stand beside `authority::view` and `authority::promise`.

use super::scene::{NOW, Scene, counted, ms, open_record, peer, read_for, request};
use super::world::{policy, site};
use crate::authority::promise::{Denial, Question};
use crate::authority::{Authority, Fence, LastOpen, Phase, Record};
use crate::model::Epoch;
use crate::model::Lsn;
use crate::planner::{
    Action, Class, OtherEnd, Purpose, Reason, RequestKind, SafetyRule, SiteHealth,
};

fn purpose(scene: &Scene) -> Option<Purpose> {
    let (plan, _) = scene.plan();
    plan.actions.iter().find_map(|action| match action {
        Action::Write { purpose, .. } => Some(*purpose),
        _ => None,
    })
}

fn failed(scene: &Scene) -> Option<SafetyRule> {
    let (_, report) = scene.plan();
    report
        .rules
        .iter()
        .find(|rule| !rule.passed)
        .map(|rule| rule.rule)
}

fn question(epoch: u64) -> Question {
    Question {
        question: 1,
        identity: open_record().identity,
        site: site("aws"),
        epoch: Epoch(epoch),
        asker: "aws-2".into(),
    }
}

/// A source in `switching` that has done everything, `span` after it learned so.
fn source(span: u64) -> Scene {
    let mut scene = Scene::new("aws", counted("aws", &open_record().switching(), ms(span)));
    scene.done.closed = Some(Epoch(1));
    scene.done.barrier = Some((Epoch(1), 41));
    scene
}

/// C2: no deadline is known for a transaction whose reply was lost, nor for a sibling's.
#[test]
fn c2_a_fence_is_published_a_full_ttl_after_the_switching_revision_was_learned() {
    assert_eq!(purpose(&source(5_750)), None);
    assert_eq!(purpose(&source(6_000)), Some(Purpose::Fence));
    // The sibling goes on with the half; it learned of it later, and waits longer.
    let mut late = source(500);
    assert_eq!(purpose(&late), None);
    late.authority = counted("aws", &open_record().switching(), ms(6_000));
    assert_eq!(purpose(&late), Some(Purpose::Fence));
}

/// C3: a gate asks the sibling agent, which still believes in `open`, and opens again.
#[test]
fn c3_no_sessions_end_the_wait_only_after_the_guard_was_closed_for_good() {
    let mut scene = source(1_000);
    scene.done.emptied = Some(Epoch(1));
    assert_eq!(purpose(&scene), Some(Purpose::Fence));
    scene.done.closed = None;
    assert_eq!(purpose(&scene), None);
    let (plan, _) = scene.plan();
    assert!(
        plan.actions
            .contains(&Action::CloseGuard { epoch: Epoch(1) })
    );
    scene.done.closed = Some(Epoch(0));
    assert_eq!(purpose(&scene), None);
}

/// C6: a claim that was under way when its site promised may commit; it must not open.
#[test]
fn c6_a_promise_forbids_the_step_from_claimed_to_open() {
    let claimed = Record {
        last_open: LastOpen {
            site: site("gcp"),
            epoch: Epoch(1),
        },
        ..open_record().claimed_by(site("gcp"))
    };
    let mut view = counted("gcp", &open_record(), ms(500));
    view.handle_question(NOW, &question(1), true, false)
        .unwrap();
    view.handle_committed(NOW, NOW, &claimed, 101).unwrap();
    let mut scene = Scene::new("gcp", view);
    assert!(matches!(scene.plan().1.reason, Reason::PromiseBinds { .. }));
    scene.now = NOW.after(ms(6_000));
    scene.database.as_mut().unwrap().arrived = scene.now;
    assert_eq!(purpose(&scene), Some(Purpose::Open));
    // A restarted agent has forgotten whether it promised.
    let started = NOW.before(ms(5_000));
    let mut restarted = Authority::new(site("gcp"), policy().authority, None, started);
    restarted.handle_reading(NOW, &claimed, 101).unwrap();
    let scene = Scene::new("gcp", restarted);
    assert!(matches!(scene.plan().1.reason, Reason::StartWait { .. }));
}

/// A promise forbids a claim although the count had ended long before.
#[test]
fn a_promise_forbids_a_claim_for_a_ttl() {
    let mut scene = Scene::new("gcp", counted("gcp", &open_record(), ms(9_000))).with_aws_lost();
    assert_eq!(purpose(&scene), Some(Purpose::Claim));
    let promised = scene
        .authority
        .handle_question(NOW, &question(1), true, false);
    assert_eq!(promised, Ok(()));
    assert_eq!(purpose(&scene), None);
}

/// C8: a sibling of the source, still at `open`, got a promise and acknowledged after the barrier.
#[test]
fn c8_a_fence_is_acted_on_only_if_its_epoch_was_read_open_since_the_last_promise() {
    let fenced = open_record().switching().fenced(Fence { barrier: 40 });
    let read_open = counted("gcp", &open_record(), ms(500));
    let mut knows = read_open.clone();
    knows.handle_reading(NOW, &fenced, 102).unwrap();
    assert_eq!(
        purpose(&Scene::new("gcp", knows)),
        Some(Purpose::TakeFenced)
    );

    let mut promised = read_open;
    promised
        .handle_question(NOW, &question(1), true, false)
        .unwrap();
    promised.handle_reading(NOW, &fenced, 102).unwrap();
    let mut scene = Scene::new("gcp", promised);
    assert_eq!(failed(&scene), Some(SafetyRule::SawOpen));
    // Waiting the promise out does not help.
    scene.now = NOW.after(ms(20_000));
    assert_eq!(purpose(&scene), None);
    // Whoever has read the fence promises nothing more for that epoch.
    let denied = scene
        .authority
        .handle_question(scene.now, &question(1), true, false);
    assert_eq!(denied, Err(Denial::NotOpen));
    // A restarted agent never read it as open.
    let restarted = counted("gcp", &fenced, ms(500));
    assert_eq!(
        failed(&Scene::new("gcp", restarted)),
        Some(SafetyRule::SawOpen)
    );
}

/// The sibling received on before it knew of the opening: no guard is armed beside that.
#[test]
fn whoever_is_open_stops_receiving() {
    let mine = open_record().claimed_by(site("gcp")).opened();
    let mut scene = Scene::new("gcp", counted("gcp", &mine, ms(500)));
    scene.done.relay_open = false;
    let (plan, _) = scene.plan();
    assert!(plan.actions.contains(&Action::StopReceiving), "{plan:?}");
}

/// Agents of the source that die after its fence: its log still has what is missing here.
#[test]
fn the_log_of_a_fenced_source_that_is_lost_is_asked_for_in_time() {
    let fenced = open_record().switching().fenced(Fence { barrier: 41 });
    let mut view = counted("gcp", &open_record(), ms(500));
    view.handle_reading(NOW, &fenced, 102).unwrap();
    let (plan, _) = Scene::new("gcp", view).with_aws_lost().plan();
    assert!(plan.actions.contains(&Action::AskOtherEnd), "{plan:?}");
}

#[test]
fn a_fence_is_acted_on_behind_its_barrier() {
    let fenced = open_record().switching().fenced(Fence { barrier: 41 });
    let mut view = counted("gcp", &open_record(), ms(500));
    view.handle_reading(NOW, &fenced, 102).unwrap();
    let mut scene = Scene::new("gcp", view);
    assert!(matches!(
        scene.plan().1.reason,
        Reason::AwaitingBarrier { .. }
    ));
    let to = site("gcp");
    let lossy = RequestKind::Failover {
        to,
        accept_loss: true,
    };
    scene.intent.requests = [request(lossy)].into();
    assert_eq!(
        purpose(&scene),
        None,
        "even with accepted loss it waits a moment"
    );
    read_for(
        &mut scene.authority,
        &fenced,
        102,
        NOW.after(ms(2_000)),
        ms(2_000),
    );
    scene.now = NOW.after(ms(2_000));
    assert_eq!(purpose(&scene), Some(Purpose::TakeFenced));
}

/// C9: G was open in e2 and has aborted into a claim of e3; A was open in e1.
#[test]
fn c9_only_the_last_open_site_may_take_back() {
    let aborted = Record {
        epoch: Epoch(3),
        phase: Phase::Claimed,
        site: site("gcp"),
        last_open: LastOpen {
            site: site("gcp"),
            epoch: Epoch(2),
        },
        ..open_record()
    };
    let old = Scene::new("aws", counted("aws", &aborted, ms(9_000)));
    assert_eq!(purpose(&old), None);
    assert!(matches!(old.plan().1.reason, Reason::Fenced { .. }));
    let last_open = LastOpen {
        site: site("aws"),
        epoch: Epoch(2),
    };
    let mine = Record {
        last_open,
        ..aborted
    };
    let scene = Scene::new("aws", counted("aws", &mine, ms(9_000)));
    assert_eq!(purpose(&scene), Some(Purpose::Reclaim));
}

/// C11: a rebuilt record names the last open site as claimed; the other one counts a ttl.
#[test]
fn c11_a_rebuilt_record_is_no_expired_right() {
    let rebuilt = Record {
        phase: Phase::Claimed,
        epoch: Epoch(5),
        ..open_record()
    };
    let scene = |span| Scene::new("gcp", counted("gcp", &rebuilt, ms(span))).with_aws_lost();
    assert_eq!(purpose(&scene(5_750)), None);
    assert_eq!(purpose(&scene(6_000)), Some(Purpose::Claim));
}

/// The line is cut, both sites are healthy: never a promotion, whatever the count says.
#[test]
fn a_site_that_speaks_is_never_replaced() {
    for witness in [SiteHealth::Up, SiteHealth::Down] {
        let mut scene = Scene::new("gcp", counted("gcp", &open_record(), ms(9_000)));
        scene.observations.insert(site("aws"), SiteHealth::Down);
        let sees = [("aws", witness), ("gcp", SiteHealth::Up)];
        scene.peers.push(peer("witness-1", &sees, None));
        let database = Some(super::scene::database(None));
        scene
            .peers
            .push(peer("aws-1", &[("gcp", SiteHealth::Down)], database));
        assert_eq!(purpose(&scene), None);
        let expected = if witness == SiteHealth::Up {
            Class::LinkDown
        } else {
            Class::UsersCut
        };
        assert_eq!(scene.plan().1.class, expected);
    }
}

/// Agents dead at a healthy site: the log must have been read after the right had ended.
#[test]
fn dead_agents_are_replaced_behind_the_end_of_the_log() {
    let mut scene = Scene::new("gcp", counted("gcp", &open_record(), ms(7_000))).with_aws_lost();
    let end = |end, asked| {
        Some(OtherEnd {
            end: Lsn(end),
            asked,
        })
    };
    scene.other_end = end(100, NOW.before(ms(1_500)));
    assert_eq!(scene.plan().1.class, Class::AgentsDead);
    assert_eq!(
        failed(&scene),
        Some(SafetyRule::BarrierApplied),
        "asked before the end"
    );
    scene.other_end = end(101, NOW);
    assert_eq!(
        failed(&scene),
        Some(SafetyRule::BarrierApplied),
        "not applied"
    );
    scene.other_end = end(100, NOW);
    assert_eq!(purpose(&scene), Some(Purpose::Claim));
    // The other site may go on upon a promise that was given while the claim was on its way, and
    // acknowledge beyond the end that was read: only a bounded exposure limits that.
    let unbounded = open_record().exposed(crate::authority::Exposure::Unbounded);
    scene.authority = counted("gcp", &unbounded, ms(7_000));
    assert_eq!(failed(&scene), Some(SafetyRule::ExposureBounded));
}

/// The record rises to a newer version only when every agent of the policy publishes it.
#[test]
fn an_old_agent_keeps_the_record_at_its_version() {
    let old = Record {
        version: 1,
        ..open_record()
    };
    let mut scene = Scene::new("aws", counted("aws", &old, ms(1_000)));
    let written = |scene: &Scene| {
        let (plan, _) = scene.plan();
        plan.actions.iter().find_map(|action| match action {
            Action::Write { record, .. } => Some(record.version),
            _ => None,
        })
    };
    scene.roster.retain(|member| &*member.name != "gcp-1");
    assert_eq!(written(&scene), Some(1), "the others were never heard");
    scene.peers = [peer("aws-1", &[], None), peer("witness-1", &[], None)].into();
    assert_eq!(written(&scene), Some(2));
    scene.peers[1].status.reads_version = 1;
    assert_eq!(written(&scene), Some(1));
    // And so long there is no switchover.
    let to = site("gcp");
    scene.intent.requests = [request(RequestKind::Switchover { to })].into();
    assert_eq!(failed(&scene), Some(SafetyRule::AllAgentsCurrent));
}
