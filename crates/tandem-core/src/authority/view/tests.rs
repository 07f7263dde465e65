//! The schedules that broke simpler wordings (numbered C1 to C13), one agent at a time.

use super::*;

const TIMING: AuthorityPolicy = AuthorityPolicy {
    ttl_ms: 6000,
    renew_ms: 1000,
    call_timeout_ms: 1000,
    cut_ms: 500,
    drift_per_mille: 20,
};

fn at(ms: u64) -> Mono {
    Mono(1_000_000_000 + ms * 1000)
}

fn site(name: &str) -> SiteId {
    name.parse().unwrap()
}

fn record() -> Record {
    let identity = Identity {
        cluster: "crm-dr".into(),
        store: "a1".into(),
    };
    Record::first(identity, site("aws")).opened()
}

fn view(name: &str) -> Authority {
    Authority::new(site(name), TIMING, None, at(0))
}

#[test]
fn a_deadline_counts_from_before_the_sending() {
    let mut aws = view("aws");
    aws.handle_committed(at(100), at(900), &record(), 7)
        .unwrap();
    // 6000 * 0.98 - 500 = 5380 ms (the number of the failover page).
    assert_eq!(aws.hold().unwrap().deadline, at(5480));
    assert_eq!(aws.open_until(), Some(at(5480)));
}

#[test]
fn a_sibling_that_only_reads_gets_no_deadline() {
    let mut aws = view("aws");
    aws.handle_reading(at(100), &record(), 7).unwrap();
    assert_eq!(aws.open_until(), None);
}

#[test]
fn a_claim_holds_but_opens_nothing() {
    let mut gcp = view("gcp");
    gcp.handle_committed(at(1), at(2), &record().claimed_by(site("gcp")), 8)
        .unwrap();
    assert!(gcp.hold().is_some());
    assert_eq!(gcp.open_until(), None);
}

#[test]
fn c1_the_count_starts_at_the_arrival_of_the_first_answer() {
    let mut gcp = view("gcp");
    // Sent at 0, but served and answered only at 7000: nothing is counted yet.
    gcp.handle_reading(at(7000), &record(), 7).unwrap();
    assert_eq!(gcp.expiry_left(), Some(Duration::from_secs(6)));
    assert!(!gcp.is_expired(at(7000)));
}

#[test]
fn a_count_needs_a_full_ttl_of_the_same_revision() {
    let mut gcp = view("gcp");
    for ms in (0..=6000).step_by(250) {
        gcp.handle_reading(at(ms), &record(), 7).unwrap();
        assert_eq!(gcp.is_expired(at(ms)), ms >= 6000, "at {ms} ms");
    }
    gcp.handle_reading(at(6250), &record().renewed(), 8)
        .unwrap();
    assert!(!gcp.is_expired(at(6250)));
}

#[test]
fn c13_a_jumping_clock_cannot_finish_the_count() {
    let mut gcp = view("gcp");
    gcp.handle_reading(at(0), &record(), 7).unwrap();
    gcp.handle_reading(at(60_000), &record(), 7).unwrap();
    // No more than the holder's margin for cutting, 500 ms.
    assert_eq!(gcp.expiry_left(), Some(Duration::from_millis(5500)));
}

#[test]
fn an_old_reading_is_no_expiry() {
    let mut gcp = view("gcp");
    for ms in (0..=6000).step_by(500) {
        gcp.handle_reading(at(ms), &record(), 7).unwrap();
    }
    assert!(gcp.is_expired(at(7000)));
    assert!(!gcp.is_expired(at(9000)), "the last answer is 3 s old");
}

#[test]
fn c6_c7_a_restarted_agent_waits_a_ttl() {
    let gcp = view("gcp");
    assert_eq!(gcp.start_wait_left(at(1000)), Duration::from_secs(5));
    assert_eq!(gcp.start_wait_left(at(6000)), Duration::ZERO);
}

#[test]
fn c10_a_store_behind_the_memory_is_refused() {
    let mut gcp = view("gcp");
    gcp.handle_reading(at(0), &record(), 7).unwrap();
    assert_eq!(
        gcp.handle_reading(at(1), &record(), 6),
        Err(Refusal::Behind)
    );
    let memory = Memory {
        identity: record().identity,
        revision: 3,
        epoch: Epoch(2),
    };
    let mut restarted = Authority::new(site("gcp"), TIMING, Some(memory), at(0));
    assert_eq!(
        restarted.handle_reading(at(1), &record(), 9),
        Err(Refusal::Behind)
    );
    assert_eq!(restarted.present(), None);
}

#[test]
fn c12_a_rebuilt_store_is_a_stranger() {
    let mut aws = view("aws");
    aws.handle_committed(at(0), at(1), &record(), 7).unwrap();
    let mut rebuilt = record();
    rebuilt.identity.store = "b2".into();
    assert_eq!(
        aws.handle_reading(at(2), &rebuilt, 900),
        Err(Refusal::Stranger)
    );
}

#[test]
fn a_newer_record_is_refused() {
    let mut newer = record();
    newer.version = 3;
    assert_eq!(
        view("aws").handle_reading(at(0), &newer, 7),
        Err(Refusal::Version(3))
    );
}

#[test]
fn the_hold_ends_when_another_epoch_is_seen() {
    let mut aws = view("aws");
    aws.handle_committed(at(0), at(1), &record(), 7).unwrap();
    aws.handle_reading(at(10), &record().claimed_by(site("gcp")), 8)
        .unwrap();
    assert_eq!(aws.hold(), None);
}

#[test]
fn c2_an_earlier_exposure_ends_a_ttl_after_it_was_learned() {
    let mut aws = view("aws");
    aws.handle_reading(at(0), &record().exposed(Exposure::Unbounded), 7)
        .unwrap();
    let returning = record().exposed(Exposure::Returning);
    aws.handle_reading(at(1000), &returning, 8).unwrap();
    aws.handle_reading(at(2000), &returning.renewed(), 9)
        .unwrap();
    assert!(!aws.earlier_exposure_ended(at(6999)));
    assert!(aws.earlier_exposure_ended(at(7000)));
}

#[test]
fn the_deadline_always_ends_before_a_takers_count() {
    // The worst case of the failover page: a slow holder clock and a fast taker clock,
    // together within `drift`, and the time to cut.
    for drift in [1u64, 10, 20, 50, 100] {
        let timing = AuthorityPolicy {
            drift_per_mille: drift,
            ..TIMING
        };
        let hold_us = u64::try_from(timing.hold().as_micros()).unwrap();
        let holder_real = hold_us * 1000 / (1000 - drift) + timing.cut_ms * 1000;
        assert!(
            holder_real <= timing.ttl_ms * 1000 + timing.cut_ms * drift,
            "drift {drift}"
        );
    }
}
