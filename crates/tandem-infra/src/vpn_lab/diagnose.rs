//! From what the daemons show to the name of the mistake: pure.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::inside;
use super::halves::Halves;
use super::{Mistake, Named};

/// What one tunnel shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenTunnel {
    /// The IKE SA stands, at both ends.
    pub ike_up: bool,
    /// The SA for data stands, at both ends.
    pub data_up: bool,
    /// BGP is established, at both ends.
    pub bgp_up: bool,
    /// Both charons' logs.
    pub logs: String,
}

/// What the whole link shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// By tunnel.
    pub tunnels: BTreeMap<u8, SeenTunnel>,
    /// Both routers' logs.
    pub routers: String,
    /// Ranges that AWS's router learnt.
    pub at_aws: BTreeSet<String>,
    /// Ranges that GCP's router learnt.
    pub at_gcp: BTreeSet<String>,
}

impl Seen {
    /// Whether all tunnels and sessions stand.
    pub fn is_up(&self) -> bool {
        self.tunnels.len() == 4
            && self
                .tunnels
                .values()
                .all(|tunnel| tunnel.bgp_up && tunnel.data_up)
    }
}

/// Names everything that is wrong. A silence is only judged when `waited`:
/// before, a session may still be coming.
pub fn diagnose(seen: &Seen, halves: &Halves, waited: bool) -> Vec<Named> {
    let mut found = Vec::new();
    for (number, tunnel) in &seen.tunnels {
        let named = of_tunnel(*number, tunnel, seen, halves, waited);
        found.extend(named.map(|(mistake, evidence)| Named {
            mistake,
            tunnel: Some(*number),
            evidence,
        }));
    }
    // Any session brings all prefixes.
    if waited && seen.tunnels.values().any(|tunnel| tunnel.bgp_up) {
        found.extend(missing("AWS", &halves.gcp.networks, &seen.at_aws));
        found.extend(missing("GCP", &halves.aws.networks, &seen.at_gcp));
    }
    let overlaps: BTreeSet<&str> = seen
        .routers
        .lines()
        .filter_map(|line| line.split("OVERLAP ").nth(1))
        .collect();
    found.extend(overlaps.into_iter().map(|range| Named {
        mistake: Mistake::Overlap,
        tunnel: None,
        evidence: format!("a router was offered {range}, which holds its own addresses"),
    }));
    found.sort();
    found
}

fn of_tunnel(
    number: u8,
    tunnel: &SeenTunnel,
    seen: &Seen,
    halves: &Halves,
    waited: bool,
) -> Option<(Mistake, String)> {
    if tunnel.bgp_up {
        return None;
    }
    if !tunnel.ike_up {
        return no_ike(&tunnel.logs);
    }
    if !tunnel.data_up {
        let refused = line_with(&tunnel.logs, "failed to establish CHILD_SA");
        return refused.map(|line| (Mistake::EspProposal, line));
    }
    let protocol = format!(" t{number}: ");
    let complaint = seen
        .routers
        .lines()
        .find(|line| line.contains(&protocol) && line.contains("Bad peer AS"));
    if let Some(line) = complaint {
        return Some((Mistake::Asn, after_time(line)));
    }
    // No daemon says anything about the addresses: only the silence shows it.
    let ends = halves
        .aws
        .ends
        .get(&number)
        .zip(halves.gcp.ends.get(&number));
    let (mistake, evidence) = ends
        .and_then(|(aws, gcp)| inside(aws, gcp))
        .filter(|_| waited)?;
    Some((mistake, format!("data flows, BGP stays silent; {evidence}")))
}

/// A charon without a configuration for the caller also answers that no
/// proposal was chosen, so the order matters.
fn no_ike(logs: &str) -> Option<(Mistake, String)> {
    let marks = [
        ("MAC mismatched", Mistake::Key),
        ("no IKE config found", Mistake::Peer),
        ("NO_PROPOSAL_CHOSEN", Mistake::IkeProposal),
        ("no proposal found", Mistake::IkeProposal),
    ];
    marks
        .into_iter()
        .find_map(|(mark, mistake)| Some((mistake, line_with(logs, mark)?)))
}

fn line_with(logs: &str, mark: &str) -> Option<String> {
    logs.lines()
        .find(|line| line.contains(mark))
        .map(after_time)
}

/// The line without its time and subsystem.
fn after_time(line: &str) -> String {
    let start = line.find(['>', ']']).map_or(0, |at| at + 1);
    line[start..].trim().to_owned()
}

fn missing(who: &str, wanted: &[String], learnt: &BTreeSet<String>) -> Vec<Named> {
    let lacking = wanted.iter().filter(|range| !learnt.contains(*range));
    lacking
        .map(|range| Named {
            mistake: Mistake::MissingPrefix,
            tunnel: None,
            evidence: format!("{who} never learns {range}"),
        })
        .collect()
}
