//! Finds the mistakes by laying both halves side by side: no namespace needed.

use std::net::Ipv4Addr;

use super::halves::{End, Half, Halves, Offer};
use super::{Mistake, Named};

/// Every mistake that the settings show.
pub fn compare(halves: &Halves) -> Vec<Named> {
    let mut found = Vec::new();
    for (tunnel, aws) in &halves.aws.ends {
        if let Some(gcp) = halves.gcp.ends.get(tunnel) {
            found.extend(of_tunnel(*tunnel, aws, gcp, halves));
        }
    }
    found.extend(missing("AWS", &halves.aws));
    found.extend(missing("GCP", &halves.gcp));
    found.extend(overlaps(halves));
    found.sort();
    found
}

fn of_tunnel(tunnel: u8, aws: &End, gcp: &End, halves: &Halves) -> Vec<Named> {
    let mut found = Vec::new();
    let mut name = |mistake, evidence: String| {
        found.push(Named {
            mistake,
            tunnel: Some(tunnel),
            evidence,
        });
    };
    if aws.key != gcp.key {
        name(Mistake::Key, "compared, not shown".to_owned());
    }
    if !common(&aws.ike, &gcp.ike) {
        name(Mistake::IkeProposal, told(&aws.ike));
    }
    if !common(&aws.esp, &gcp.esp) {
        name(Mistake::EspProposal, told(&aws.esp));
    }
    if aws.peer_outside != gcp.outside {
        let evidence = format!("AWS expects {}, GCP is {}", aws.peer_outside, gcp.outside);
        name(Mistake::Peer, evidence);
    }
    if gcp.peer_outside != aws.outside {
        let evidence = format!("GCP expects {}, AWS is {}", gcp.peer_outside, aws.outside);
        name(Mistake::Peer, evidence);
    }
    for (who, expected, real) in [
        ("AWS", aws.peer_asn, halves.gcp.asn),
        ("GCP", gcp.peer_asn, halves.aws.asn),
    ] {
        if expected != real {
            name(
                Mistake::Asn,
                format!("{who} expects AS {expected}, the other is {real}"),
            );
        }
    }
    if let Some((mistake, evidence)) = inside(aws, gcp) {
        name(mistake, evidence);
    }
    found
}

/// What is wrong with the inside addresses, if anything.
pub(super) fn inside(aws: &End, gcp: &End) -> Option<(Mistake, String)> {
    let evidence = format!("AWS has {}, GCP has {}", aws.inside, gcp.inside);
    if aws.inside == gcp.inside {
        return Some((Mistake::EndsSwapped, evidence));
    }
    let mirrored = aws.peer_inside == gcp.inside && gcp.peer_inside == aws.inside;
    (!mirrored || range_of(aws.inside) != range_of(gcp.inside))
        .then_some((Mistake::InsideRange, evidence))
}

fn range_of(address: Ipv4Addr) -> u32 {
    u32::from(address) & !3
}

fn is_combined(encryption: &str) -> bool {
    encryption.contains("GCM")
}

/// Whether both would agree on something. An encryption that authenticates
/// itself needs no integrity for data, but a PRF for IKE, which both name alike.
fn common(ours: &Offer, theirs: &Offer) -> bool {
    let groups = ours
        .groups
        .iter()
        .any(|group| theirs.groups.contains(group));
    let integrity = ours
        .integrity
        .iter()
        .any(|word| theirs.integrity.contains(word));
    let shared =
        |word: &&String| theirs.encryption.contains(word) && (is_combined(word) || integrity);
    groups && ours.encryption.iter().any(|word| shared(&word))
}

fn told(offer: &Offer) -> String {
    let groups: Vec<String> = offer.groups.iter().map(ToString::to_string).collect();
    format!(
        "AWS offers {} / {} / group {}",
        offer.encryption.join(", "),
        offer.integrity.join(", "),
        groups.join(", ")
    )
}

fn missing(who: &str, half: &Half) -> Vec<Named> {
    let lacking = half.networks.iter().filter(|network| {
        let covered = |range: &String| covers(range, network);
        !half.advertised.iter().any(covered)
    });
    lacking
        .map(|network| Named {
            mistake: Mistake::MissingPrefix,
            tunnel: None,
            evidence: format!("{who} does not advertise {network}"),
        })
        .collect()
}

fn overlaps(halves: &Halves) -> Vec<Named> {
    let mut found = Vec::new();
    for ours in &halves.aws.advertised {
        for theirs in &halves.gcp.advertised {
            if covers(ours, theirs) || covers(theirs, ours) {
                found.push(Named {
                    mistake: Mistake::Overlap,
                    tunnel: None,
                    evidence: format!("AWS {ours}, GCP {theirs}"),
                });
            }
        }
    }
    found
}

/// Whether `inner` lies in `outer`.
fn covers(outer: &str, inner: &str) -> bool {
    let (Some((outer, bits)), Some((inner, inner_bits))) = (parse(outer), parse(inner)) else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    bits <= inner_bits && outer & mask == inner & mask
}

/// A range as number and length.
pub(super) fn parse(range: &str) -> Option<(u32, u32)> {
    let (address, bits) = range.split_once('/')?;
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
    Some((u32::from(address.parse::<Ipv4Addr>().ok()?), bits))
}
