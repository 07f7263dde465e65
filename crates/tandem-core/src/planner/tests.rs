//! The planner as transcripts: a small world in virtual time, what happened, line by line.

mod every;
mod scene;
mod schedules;
mod world;

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;
use world::{World, check_one_writer};

use crate::database::DatabaseSeen;
use crate::model::Epoch;
use crate::planner::Action;

/// Runs `script` (`ms command ...` a line) and compares the transcript of changed reasons and
/// effects that matter.
fn transcript(script: &[(u64, &str)], until_ms: u64) -> String {
    let mut world = World::new();
    let mut next = script.iter().peekable();
    while world.now_ms() < until_ms {
        while let Some((_, command)) = next.next_if(|(at, _)| *at <= world.now_ms()) {
            world.command(command);
        }
        world.step();
        check_one_writer(&world);
    }
    world.transcript()
}

#[test]
fn a_new_cluster_opens_its_first_primary() {
    insta::assert_snapshot!(transcript(&[], 12_000));
}

#[test]
fn the_replica_takes_over_when_the_primary_is_lost() {
    insta::assert_snapshot!(transcript(&[(20_000, "kill aws")], 30_000));
}

#[test]
fn a_returning_primary_stays_fenced() {
    insta::assert_snapshot!(transcript(
        &[(20_000, "kill aws"), (40_000, "start aws")],
        55_000
    ));
}

#[test]
fn losing_the_replica_changes_the_exposure_and_nothing_else() {
    insta::assert_snapshot!(transcript(
        &[(20_000, "kill gcp"), (40_000, "start gcp")],
        65_000
    ));
}

#[test]
fn one_restarted_agent_of_two_is_not_noticed() {
    let script = [
        (20_000, "kill aws-1"),
        (22_000, "start aws-1"),
        (30_000, "kill aws-2"),
    ];
    insta::assert_snapshot!(transcript(&script, 40_000));
}

#[test]
fn a_cut_between_the_sites_never_promotes() {
    insta::assert_snapshot!(transcript(
        &[(20_000, "cut aws gcp"), (50_000, "heal aws gcp")],
        70_000
    ));
}

#[test]
fn an_isolated_primary_stops_before_the_replica_opens() {
    let script = [
        (20_000, "cut aws gcp"),
        (20_000, "cut aws witness"),
        (20_000, "cut aws store"),
    ];
    insta::assert_snapshot!(transcript(&script, 32_000));
}

#[test]
fn without_the_witness_nothing_is_promoted() {
    insta::assert_snapshot!(transcript(
        &[(15_000, "kill witness"), (20_000, "kill aws")],
        40_000
    ));
}

#[test]
fn an_unbounded_exposure_is_not_promoted() {
    let script = [(20_000, "cut aws gcp"), (30_000, "kill aws")];
    insta::assert_snapshot!(transcript(&script, 45_000));
}

#[test]
fn a_second_automatic_promotion_waits_for_a_person() {
    let script = [(10_000, "promoted 600"), (20_000, "kill aws")];
    insta::assert_snapshot!(transcript(&script, 32_000));
}

#[test]
fn a_claim_that_cannot_be_prepared_gives_the_right_back() {
    let script = [
        (19_000, "breakprepare gcp"),
        (20_000, "kill aws"),
        (28_000, "start aws"),
    ];
    insta::assert_snapshot!(transcript(&script, 80_000));
}

#[test]
fn a_switchover_closes_fences_and_opens() {
    insta::assert_snapshot!(transcript(&[(20_000, "ask switchover")], 24_000));
}

/// The link carries the barrier too late: the source takes its right back and serves again.
#[test]
fn a_switchover_whose_barrier_does_not_arrive_is_undone() {
    let script = [(20_000, "ask switchover"), (20_250, "cut aws gcp")];
    insta::assert_snapshot!(transcript(&script, 32_000));
}

#[test]
fn a_requested_failover_with_accepted_loss_needs_no_witness() {
    let script = [
        (15_000, "kill witness"),
        (20_000, "cut aws gcp"),
        (30_000, "kill aws"),
        (40_000, "ask lossy"),
    ];
    insta::assert_snapshot!(transcript(&script, 48_000));
}

#[test]
fn dead_agents_at_a_healthy_site_lose_nothing() {
    insta::assert_snapshot!(transcript(&[(20_000, "killagents aws")], 30_000));
}

#[test]
fn in_confirm_mode_a_person_approves() {
    let script = [
        (0, "mode confirm"),
        (20_000, "kill aws"),
        (30_000, "ask approve"),
    ];
    insta::assert_snapshot!(transcript(&script, 33_000));
}

#[test]
fn observe_writes_nothing_and_says_what_it_would_have_done() {
    let script = [(0, "mode observe"), (20_000, "kill aws")];
    insta::assert_snapshot!(transcript(&script, 30_000));
}

#[test]
fn a_pause_stops_the_automatic_promotion() {
    let script = [(10_000, "ask pause"), (20_000, "kill aws")];
    insta::assert_snapshot!(transcript(&script, 32_000));
}

#[test]
fn an_acknowledgement_lifts_the_hour() {
    let script = [
        (10_000, "promoted 600"),
        (20_000, "kill aws"),
        (30_000, "ask acknowledge"),
    ];
    insta::assert_snapshot!(transcript(&script, 33_000));
}

#[test]
fn promises_carry_the_primary_while_the_store_is_silent() {
    let script = [
        (20_000, "cut aws store"),
        (20_000, "cut gcp store"),
        (20_000, "cut witness store"),
        (40_000, "kill gcp-2"),
    ];
    insta::assert_snapshot!(transcript(&script, 50_000));
}

const FAULTS: [&str; 22] = [
    "killagents aws",
    "killdb aws",
    "startdb aws",
    "ask switchover",
    "ask failover",
    "ask pause",
    "kill aws",
    "start aws",
    "kill gcp",
    "start gcp",
    "kill aws-1",
    "start aws-1",
    "kill gcp-2",
    "start gcp-2",
    "kill witness",
    "start witness",
    "cut aws gcp",
    "heal aws gcp",
    "cut aws store",
    "heal aws store",
    "cut gcp store",
    "heal gcp store",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// I1 under any mix of kills, starts and cuts; then everything is healed, and the site that
    /// the record names writes again within bounded time (I7).
    #[test]
    fn any_faults_leave_one_writer_and_end_in_service(
        faults in prop::collection::vec((0u64..20_000, prop::sample::select(&FAULTS[..])), 0..24),
    ) {
        let mut world = World::new();
        let mut at_ms = 10_000;
        for (pause_ms, command) in faults {
            at_ms += pause_ms;
            run_until(&mut world, at_ms);
            world.command(command);
        }
        let healing: Vec<&str> = FAULTS.iter().copied().filter(|fault| fault.starts_with("start") || fault.starts_with("heal")).collect();
        for command in healing {
            world.command(command);
        }
        run_until(&mut world, at_ms + 60_000);
        prop_assert!(world.is_served(), "{}", world.transcript());
    }
}

fn run_until(world: &mut World, until_ms: u64) {
    while world.now_ms() < until_ms {
        world.step();
        check_one_writer(world);
    }
}

/// The replica's site tells its gates whether clients could be served over there.
#[test]
fn a_writer_whose_database_is_away_is_told_as_not_working() {
    let works = |database_of_aws: Option<DatabaseSeen>| {
        let record = scene::open_record();
        let authority = scene::counted("gcp", &record, scene::ms(2_000));
        let mut scene = scene::Scene::new("gcp", authority);
        scene.peers.push(scene::peer("aws-1", &[], database_of_aws));
        let told = scene.told();
        assert!(told.fresh, "the right itself is renewed either way");
        told.works
    };
    assert!(works(Some(scene::database(None))));
    assert!(!works(None));
}

/// The sibling opened epoch 2 and armed the guard; this agent's last reading still shows epoch 1.
#[test]
fn an_agent_that_is_behind_leaves_a_newer_guard_alone() {
    for (guard_epoch, closes) in [(0, true), (1, false), (2, false)] {
        let plan = world::plan_of_a_replica_that_sees_a_guard(Epoch(1), Epoch(guard_epoch));
        let closing = |action: &Action| matches!(action, Action::CloseGuard { .. });
        let closed = plan.actions.iter().any(closing);
        assert_eq!(closed, closes, "guard of epoch {guard_epoch}");
    }
}
