//! The planner as transcripts: a small world in virtual time, what happened, line by line.

mod world;

use alloc::string::String;

use world::{World, check_one_writer};

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
