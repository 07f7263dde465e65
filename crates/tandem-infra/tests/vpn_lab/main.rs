//! The private link with real strongSwan and BIRD, where this machine has them
//! and lets a test make network namespaces; elsewhere the reason is printed.

use tandem_infra::vpn_lab::halves::example;
use tandem_infra::vpn_lab::{Mistake, bench, run};

/// Whether the lab can be built; says why not.
fn can_build() -> bool {
    match bench::obstacle() {
        None => true,
        Some(why) => {
            eprintln!("skipped: {why}");
            false
        }
    }
}

/// One test, so that the two parts do not run beside each other: timings of a
/// link that shares two cores with another link say little.
#[test]
fn the_link_comes_up_fails_over_and_names_nine_mistakes() {
    if !can_build() {
        return;
    }
    let say = |line: &str| println!("{line}");
    let healthy = run::healthy(&example(), &say).expect("the guide's wiring is right");
    assert_eq!(healthy.sessions, 8);
    assert_eq!(healthy.silent_pairs, [] as [&str; 0]);
    assert!(
        healthy.carried.iter().all(|packets| *packets >= 10),
        "{healthy:?}"
    );
    let injected = run::mistakes(&example(), &say).expect("a bench can be built");
    let named: std::collections::BTreeSet<Mistake> = injected
        .iter()
        .filter_map(|injected| Some(injected.named.as_ref()?.mistake))
        .collect();
    assert_eq!(named.len(), Mistake::ALL.len(), "{injected:#?}");
}
