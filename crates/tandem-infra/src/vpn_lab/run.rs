//! What the lab does: bring up, look, break, inject, and say how long it took.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::bench::Bench;
use super::config::Side;
use super::diagnose::{Seen, diagnose};
use super::halves::{Halves, TUNNELS};
use super::net::wait_until;
use super::{Mistake, Named};
use crate::secret::Secret;

/// How long anything may take before it counts as not coming; ten times what
/// was measured on a quiet machine.
const UP_LIMIT: Duration = Duration::from_secs(30);

/// A silent session is judged after this; sessions come within 2 s of their tunnel.
const SILENCE: Duration = Duration::from_secs(6);

/// What the healthy link showed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Healthy {
    /// Until four tunnels and eight BGP ends were up.
    pub up_ms: u64,
    /// Ends of BGP sessions.
    pub sessions: usize,
    /// Pairs of ranges without an answer.
    pub silent_pairs: Vec<String>,
    /// Packets that each tunnel carried of its own ten.
    pub carried: Vec<u64>,
    /// Until both routers left a dead tunnel.
    pub tunnel_lost_ms: u64,
    /// Until both routers left both tunnels of a dead interface.
    pub interface_lost_ms: u64,
}

/// An injected mistake and what was said about it.
#[derive(Debug, Clone, Serialize)]
pub struct Injected {
    /// What was injected.
    pub mistake: Mistake,
    /// Where.
    pub tunnel: Option<u8>,
    /// What named it, if it was named.
    pub named: Option<Named>,
}

/// Why the lab could not go on.
pub type Failure = String;

/// Builds the link, proves it, loses a tunnel and an interface.
///
/// # Errors
/// With the mistakes found, if it does not come up.
pub fn healthy(halves: &Halves, say: &dyn Fn(&str)) -> Result<Healthy, Vec<Named>> {
    let since = Instant::now();
    let failed = |why: Failure| {
        say(&why);
        Vec::new()
    };
    let bench = Bench::build(halves, 0).map_err(failed)?;
    let up = wait_until(UP_LIMIT, || bench.sessions_up() == 8) && bench.look().is_up();
    let mut seen = Healthy {
        up_ms: millis(since),
        sessions: bench.sessions_up(),
        ..Healthy::default()
    };
    let wrong = settled(&bench, halves);
    if !up || !wrong.is_empty() {
        return Err(wrong);
    }
    say(&format!(
        "4 tunnels and {} BGP ends up in {} ms",
        seen.sessions, seen.up_ms
    ));
    seen.silent_pairs = bench.silent_pairs();
    seen.carried = bench.counters().map_err(failed)?;
    say(&format!(
        "ranges without an answer: {}; packets of each tunnel's own ten: {:?}",
        seen.silent_pairs.len(),
        seen.carried
    ));
    seen.tunnel_lost_ms = lose(&bench, &[0]).map_err(failed)?;
    say(&format!(
        "a dead tunnel's routes left in {} ms",
        seen.tunnel_lost_ms
    ));
    bench.heal(&[0]).map_err(failed)?;
    wait_until(UP_LIMIT, || bench.sessions_up() == 8);
    seen.interface_lost_ms = lose(&bench, &[0, 1]).map_err(failed)?;
    say(&format!(
        "a dead interface's routes left in {} ms",
        seen.interface_lost_ms
    ));
    Ok(seen)
}

/// Routes need a moment after the sessions; then nothing may be missing.
fn settled(bench: &Bench, halves: &Halves) -> Vec<Named> {
    let mut wrong = Vec::new();
    wait_until(Duration::from_secs(3), || {
        wrong = diagnose(&bench.look(), halves, true);
        wrong.is_empty()
    });
    wrong
}

/// Cuts tunnels and returns how long both routers still used them.
fn lose(bench: &Bench, tunnels: &[u8]) -> Result<u64, Failure> {
    let since = Instant::now();
    bench.black_hole(tunnels)?;
    let left = || !bench.uses(Side::Aws, tunnels) && !bench.uses(Side::Gcp, tunnels);
    if wait_until(UP_LIMIT, left) {
        Ok(millis(since))
    } else {
        Err(format!("routes of {tunnels:?} never left"))
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The nine mistakes in three runs: those of one run show in different places.
pub fn plan() -> [Vec<(Mistake, Option<u8>)>; 3] {
    use Mistake::{
        Asn, EndsSwapped, EspProposal, IkeProposal, InsideRange, Key, MissingPrefix, Overlap, Peer,
    };
    [
        vec![
            (Key, Some(0)),
            (IkeProposal, Some(1)),
            (EspProposal, Some(2)),
            (Peer, Some(3)),
        ],
        vec![
            (Asn, Some(0)),
            (EndsSwapped, Some(1)),
            (InsideRange, Some(2)),
            (InsideRange, Some(3)),
        ],
        vec![(MissingPrefix, None), (Overlap, None)],
    ]
}

/// Puts a mistake into one half, as a wrong line of one cloud's module would.
pub fn inject(halves: &mut Halves, mistake: Mistake, tunnel: Option<u8>) {
    let number = tunnel.unwrap_or(0);
    let first_gcp = halves.gcp.ends[&0].outside;
    let aws_inside = halves.aws.ends[&number].inside;
    let other = inside_of_other(halves, number);
    let aws = halves.aws.ends.get_mut(&number).expect("four tunnels");
    match mistake {
        Mistake::Key => aws.key = Secret::new("kAnotherKeyThanTheOtherSide"),
        Mistake::IkeProposal => aws.ike.groups = vec![24],
        // Another group would not show before the first rekeying: the first SA
        // for data takes its keys from the IKE SA.
        Mistake::EspProposal => {
            aws.esp.encryption = vec!["AES256".to_owned()];
            aws.esp.integrity = vec!["SHA1".to_owned()];
        }
        Mistake::Peer => aws.peer_outside = first_gcp,
        Mistake::Asn => aws.peer_asn = 64_999,
        Mistake::EndsSwapped => {
            let end = halves.gcp.ends.get_mut(&number).expect("four tunnels");
            end.peer_inside = end.inside;
            end.inside = aws_inside;
        }
        Mistake::InsideRange => {
            let end = halves.gcp.ends.get_mut(&number).expect("four tunnels");
            if let Some((inside, peer)) = other {
                (end.inside, end.peer_inside) = (inside, peer);
            }
        }
        Mistake::MissingPrefix => {
            halves.gcp.advertised.pop();
        }
        Mistake::Overlap => halves
            .aws
            .advertised
            .push(upper_half(&halves.gcp.networks[0])),
    }
}

/// The inside addresses of the other tunnel of the same connection, as AWS has them.
fn inside_of_other(halves: &Halves, number: u8) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let end = halves.aws.ends.get(&(number ^ 1))?;
    Some((end.peer_inside, end.inside))
}

/// The second half of a range.
fn upper_half(range: &str) -> String {
    let (first, bits) = super::compare::parse(range).unwrap_or((0, 8));
    let first = Ipv4Addr::from(first + (1 << (31 - bits)));
    format!("{first}/{}", bits + 1)
}

/// Injects all nine and says which were named.
///
/// # Errors
/// If a bench cannot be built.
pub fn mistakes(halves: &Halves, say: &dyn Fn(&str)) -> Result<Vec<Injected>, Failure> {
    let mut results: BTreeMap<(Mistake, Option<u8>), Option<Named>> = BTreeMap::new();
    for (index, group) in plan().into_iter().enumerate() {
        let mut wrong = halves.clone();
        for (mistake, tunnel) in &group {
            inject(&mut wrong, *mistake, *tunnel);
        }
        let number = u32::try_from(index).expect("three runs") + 1;
        let named = name_all(&wrong, &group, number)?;
        for key in group {
            let found = named
                .iter()
                .find(|named| (named.mistake, named.tunnel) == key)
                .cloned();
            say(&match &found {
                Some(named) => format!("named: {named}"),
                None => format!("NOT NAMED: {} (tunnel {:?})", key.0, key.1),
            });
            results.insert(key, found);
        }
    }
    let injected = |((mistake, tunnel), named)| Injected {
        mistake,
        tunnel,
        named,
    };
    Ok(results.into_iter().map(injected).collect())
}

fn name_all(
    wrong: &Halves,
    group: &[(Mistake, Option<u8>)],
    number: u32,
) -> Result<Vec<Named>, Failure> {
    let bench = Bench::build(wrong, number)?;
    let mut named = Vec::new();
    let mut ready: Option<Instant> = None;
    wait_until(UP_LIMIT, || {
        let seen = bench.look();
        if ready.is_none() && has_settled(&seen) {
            ready = Some(Instant::now());
        }
        let waited = ready.is_some_and(|since| since.elapsed() > SILENCE);
        named = diagnose(&seen, wrong, waited);
        let all = group.iter().all(|key| {
            named
                .iter()
                .any(|named| (named.mistake, named.tunnel) == *key)
        });
        waited || all && seen.tunnels.values().all(|tunnel| !tunnel.data_up)
    });
    Ok(named)
}

/// Whether every tunnel that can carry data does: from here on silence counts.
fn has_settled(seen: &Seen) -> bool {
    seen.tunnels.len() == usize::from(TUNNELS) && seen.tunnels.values().any(|tunnel| tunnel.data_up)
}

#[cfg(test)]
mod tests {
    use super::super::compare::compare;
    use super::super::config;
    use super::super::halves::example;
    use super::*;

    #[test]
    fn the_right_wiring_shows_nothing_and_each_mistake_shows_itself() {
        assert_eq!(compare(&example()), []);
        let mut caught = std::collections::BTreeSet::new();
        for (mistake, tunnel) in plan().into_iter().flatten() {
            let mut wrong = example();
            inject(&mut wrong, mistake, tunnel);
            let found = compare(&wrong);
            assert!(!found.is_empty(), "{mistake:?}");
            for named in found {
                assert_eq!((named.mistake, named.tunnel), (mistake, tunnel), "{named}");
                caught.insert(named.mistake);
            }
        }
        assert_eq!(caught.len(), Mistake::ALL.len());
    }

    #[test]
    fn several_mistakes_are_all_told_and_no_key_is() {
        let mut wrong = example();
        for (mistake, tunnel) in plan().into_iter().flatten() {
            inject(&mut wrong, mistake, tunnel);
        }
        let found = compare(&wrong);
        let kinds: std::collections::BTreeSet<_> =
            found.iter().map(|named| named.mistake).collect();
        assert_eq!(kinds.len(), Mistake::ALL.len());
        let told: String = found.iter().map(ToString::to_string).collect();
        assert!(
            !told.contains("ExampleKey") && !told.contains("kAnother"),
            "{told}"
        );
    }

    #[test]
    fn symptoms_get_the_right_names() {
        let halves = example();
        let mut seen = Seen::default();
        for tunnel in 0..TUNNELS {
            seen.tunnels.entry(tunnel).or_default();
        }
        let log = |tunnel: u8, text: &str, seen: &mut Seen| {
            seen.tunnels.get_mut(&tunnel).expect("four").logs = text.to_owned();
        };
        log(
            0,
            "06[IKE] tried 1 shared key for 'a' - 'b', but MAC mismatched",
            &mut seen,
        );
        log(
            1,
            "05[IKE] received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built",
            &mut seen,
        );
        log(
            3,
            "05[IKE] no IKE config found for 198.51.100.4...203.0.113.11, sending NO_PROPOSAL_CHOSEN",
            &mut seen,
        );
        let second = seen.tunnels.get_mut(&2).expect("four");
        second.ike_up = true;
        second.logs = "07[IKE] failed to establish CHILD_SA, keeping IKE_SA".to_owned();
        let named: Vec<_> = diagnose(&seen, &halves, false)
            .into_iter()
            .map(|named| (named.mistake, named.tunnel))
            .collect();
        assert_eq!(
            named,
            [
                (Mistake::Key, Some(0)),
                (Mistake::IkeProposal, Some(1)),
                (Mistake::EspProposal, Some(2)),
                (Mistake::Peer, Some(3)),
            ]
        );
    }

    #[test]
    fn files_are_made_from_one_half_alone() {
        let halves = example();
        let aws = config::swanctl(config::Side::Aws, &halves.aws.ends[&2]);
        assert!(aws.contains("local_addrs = 198.51.100.3") && aws.contains("start_action = none"));
        assert!(
            aws.contains("proposals = aes256gcm16-prfsha512-ecp521\n"),
            "{aws}"
        );
        assert!(
            aws.contains("esp_proposals = aes256gcm16-ecp521\n"),
            "{aws}"
        );
        let gcp = config::bird(&halves.gcp, "/f");
        assert!(
            gcp.contains(
                "interface \"vti3\"; local 169.254.11.6 as 65000; neighbor 169.254.11.5 as 64512"
            ),
            "{gcp}"
        );
        assert!(
            gcp.contains("route 10.22.0.0/20 blackhole;") && !gcp.contains("10.30.0.0"),
            "{gcp}"
        );
    }
}
