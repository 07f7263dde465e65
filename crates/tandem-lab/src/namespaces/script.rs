//! What is said to `ip`, `nft` and `tc`, as pure text.

use std::net::Ipv4Addr;

use crate::links::{Cut, Place, Shape};

/// The device of a place that leads to the lab.
pub(super) const OBSERVER: &str = "lab";
/// The network for tests of networks (RFC 2544): nobody's real one, and cut off from it anyway.
const NETWORK: [u8; 3] = [198, 18, 0];
/// The lab's own host in it.
const OBSERVER_HOST: u8 = 200;
/// Places in the order of their addresses.
const HOSTS: [&str; 4] = ["aws", "gcp", "witness", "outside"];
/// Packets that wait in one queue: a second of small ones at the rates of drills.
const PACKETS_MAX: u32 = 20_000;
/// A rate that throttles nothing: `netem` keeps packets in order only at a rate.
const ORDERLY_RATE: &str = "10gbit";
/// A bucket must hold the largest packet that the kernel hands over in one piece.
const BURST_BYTES_MIN: u64 = 64 * 1024;

/// The name of a place's namespace.
pub(super) fn name(base_port: u16, place: Place) -> String {
    format!("tandem-{base_port}-{place}")
}

/// The address of a place, the same in every lab: they do not see each other.
pub(super) fn address(place: Place) -> Ipv4Addr {
    let known = HOSTS.iter().position(|name| place.as_str() == *name);
    let number = known.unwrap_or(HOSTS.len()) + 1;
    host(u8::try_from(number).expect("a handful of places"))
}

fn host(number: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, number)
}

/// Every way from one place to another.
pub(super) fn ways(places: &[Place]) -> impl Iterator<Item = (Place, Place)> {
    let pairs = places
        .iter()
        .flat_map(|from| places.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, to)| from != to)
}

/// A veth pair between every two places; each end is named after the other one.
pub(super) fn joined(base_port: u16, places: &[Place]) -> String {
    let once = ways(places).filter(|(from, to)| from < to);
    let line = |(a, b): (Place, Place)| {
        let [at_a, at_b] = [a, b].map(|place| name(base_port, place));
        format!("link add name {b} netns {at_a} type veth peer name {a} netns {at_b}\n")
    };
    let to_lab = places.iter().map(|place| {
        let at = name(base_port, *place);
        format!("link add name {place} type veth peer name {OBSERVER} netns {at}\n")
    });
    once.map(line).chain(to_lab).collect()
}

/// The lab's own end of its private wires.
pub(super) fn observer(places: &[Place]) -> String {
    let own = host(OBSERVER_HOST);
    let first = format!("addr replace {own}/32 dev lo\n");
    let lines = places.iter().map(|place| {
        let theirs = address(*place);
        format!("link set {place} up\nroute replace {theirs}/32 dev {place} src {own}\n")
    });
    [first].into_iter().chain(lines).collect()
}

/// What happens inside the namespace of `place`: one address, and a route through each wire.
pub(super) fn furnished(place: Place, places: &[Place]) -> String {
    let own = address(place);
    let first = format!("link set lo up\naddr add {own}/32 dev lo\n");
    let others = places.iter().filter(|other| **other != place);
    let wires = others.map(|other| (other.to_string(), address(*other)));
    let to_lab = (OBSERVER.to_owned(), host(OBSERVER_HOST));
    let lines = wires.chain([to_lab]).map(|(device, theirs)| {
        format!("link set {device} up\nroute add {theirs}/32 dev {device} src {own}\n")
    });
    [first].into_iter().chain(lines).collect()
}

/// The rules at the receiving place for what comes from `from`, replacing those before.
///
/// A refused sender is told by a reset, which must pass the same cut on its way back.
pub(super) fn cut_rules(from: Place, cut: Option<Cut>) -> String {
    let table = format!("inet tandem_{from}");
    // The first line makes the second one succeed whatever there was.
    let cleared = format!("table {table}\ndelete table {table}\n");
    let rules = match cut {
        None => return cleared,
        Some(Cut::Drop) => format!("    iifname \"{from}\" drop\n"),
        Some(Cut::Reset) => format!(
            "    iifname \"{from}\" tcp flags & rst == rst accept\n    \
             iifname \"{from}\" meta l4proto tcp reject with tcp reset\n    \
             iifname \"{from}\" drop\n"
        ),
    };
    format!(
        "{cleared}table {table} {{\n  chain input {{\n    \
         type filter hook input priority filter; policy accept;\n{rules}  }}\n}}\n"
    )
}

/// At a place where a process listens on its loopback alone: the lab's wire leads to it.
pub(super) fn inner_door(port: u16) -> String {
    format!(
        "table ip tandem_door {{\n  chain prerouting {{\n    \
         type nat hook prerouting priority dstnat; policy accept;\n    \
         iifname \"{OBSERVER}\" tcp dport {port} dnat to 127.0.0.1\n  }}\n}}\n"
    )
}

/// The setting of such a place, of its own network alone, without which loopback is a martian.
pub(super) const INNER_DOOR_SETTING: &str = "echo 1 > /proc/sys/net/ipv4/conf/lab/route_localnet";

/// The queue of a device, for `tc`; `None` if it needs none. Without `netem` (`delays`) it can
/// have a capacity alone.
pub(super) fn queue(shape: &Shape, delays: bool) -> Option<Vec<String>> {
    let waits = !(shape.delay + shape.jitter).is_zero();
    let words = match shape.bytes_per_second {
        None if !waits => return None,
        Some(rate) if !delays => throttled(rate),
        rate => delayed(shape, rate),
    };
    Some(words.split(' ').map(str::to_owned).collect())
}

fn delayed(shape: &Shape, rate: Option<u64>) -> String {
    let rate = rate.map_or(ORDERLY_RATE.to_owned(), bits);
    let [delay, jitter] = [shape.delay, shape.jitter].map(|span| span.as_micros());
    format!("netem limit {PACKETS_MAX} delay {delay}us {jitter}us rate {rate}")
}

fn throttled(rate: u64) -> String {
    // A fiftieth of a second, so that the rate is met even if timers are late.
    let burst = (rate / 50).max(BURST_BYTES_MIN);
    format!("tbf rate {} burst {burst}b latency 400ms", bits(rate))
}

fn bits(bytes_per_second: u64) -> String {
    format!("{}bit", bytes_per_second.saturating_mul(8).max(8))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn places() -> [Place; 4] {
        HOSTS.map(|name| name.parse().expect("legal"))
    }

    #[test]
    fn every_place_has_an_address_of_its_own() {
        let all: BTreeSet<_> = places().map(address).into_iter().collect();
        assert_eq!(all.len(), HOSTS.len());
        assert!(!all.contains(&host(OBSERVER_HOST)));
        assert_eq!(address(places()[0]).to_string(), "198.18.0.1");
    }

    #[test]
    fn every_two_places_are_joined_once_and_each_to_the_lab() {
        let text = joined(29_000, &places());
        assert_eq!(text.lines().count(), 6 + 4);
        assert!(text.contains(
            "link add name gcp netns tandem-29000-aws type veth peer name aws netns tandem-29000-gcp\n"
        ));
        assert!(
            text.contains("link add name aws type veth peer name lab netns tandem-29000-aws\n")
        );
    }

    #[test]
    fn a_place_routes_to_every_other_and_to_the_lab_and_nowhere_else() {
        let [aws, ..] = places();
        assert_eq!(
            furnished(aws, &places()),
            "link set lo up\n\
             addr add 198.18.0.1/32 dev lo\n\
             link set gcp up\n\
             route add 198.18.0.2/32 dev gcp src 198.18.0.1\n\
             link set witness up\n\
             route add 198.18.0.3/32 dev witness src 198.18.0.1\n\
             link set outside up\n\
             route add 198.18.0.4/32 dev outside src 198.18.0.1\n\
             link set lab up\n\
             route add 198.18.0.200/32 dev lab src 198.18.0.1\n"
        );
    }

    #[test]
    fn a_silent_cut_drops_and_a_loud_one_lets_its_own_resets_through() {
        let [aws, ..] = places();
        let cleared = "table inet tandem_aws\ndelete table inet tandem_aws\n";
        assert_eq!(cut_rules(aws, None), cleared);
        assert_eq!(
            cut_rules(aws, Some(Cut::Drop)),
            format!(
                "{cleared}table inet tandem_aws {{\n  chain input {{\n    \
                 type filter hook input priority filter; policy accept;\n    \
                 iifname \"aws\" drop\n  }}\n}}\n"
            )
        );
        let loud = cut_rules(aws, Some(Cut::Reset));
        let passes = loud.find("rst == rst accept").expect("resets pass");
        let refused = loud.find("reject with tcp reset").expect("others do not");
        assert!(passes < refused, "{loud}");
    }

    #[test]
    fn a_door_on_loopback_opens_to_the_lab_alone() {
        let rules = inner_door(21_001);
        let line = "iifname \"lab\" tcp dport 21001 dnat to 127.0.0.1\n";
        assert!(rules.contains(line), "{rules}");
        assert_eq!(rules.matches("iifname").count(), 1);
    }

    #[test]
    fn a_queue_is_made_of_what_the_kernel_has() {
        let queue = |shape, delays| queue(&shape, delays).map(|words| words.join(" "));
        let late = Shape {
            delay: Duration::from_millis(2),
            jitter: Duration::from_millis(1),
            ..Shape::default()
        };
        let narrow = Shape {
            bytes_per_second: Some(1_000_000),
            ..Shape::default()
        };
        assert_eq!(queue(Shape::default(), true), None);
        assert_eq!(
            queue(late, true).as_deref(),
            Some("netem limit 20000 delay 2000us 1000us rate 10gbit")
        );
        assert_eq!(
            queue(narrow, true).as_deref(),
            Some("netem limit 20000 delay 0us 0us rate 8000000bit")
        );
        assert_eq!(
            queue(narrow, false).as_deref(),
            Some("tbf rate 8000000bit burst 65536b latency 400ms")
        );
    }
}
