//! The private link, built from what was applied, with real protocol stacks.
//!
//! Intuition: a VPN plan is two lists of settings that must mirror each other,
//! kept by two clouds that never compare them. So both halves are read
//! separately ([`halves`]: AWS's from AWS's resources, GCP's from GCP's), built
//! as strongSwan and BIRD in network namespaces ([`bench`]), and whatever does
//! not come up is given a name ([`diagnose`]). The same mistakes are found
//! without namespaces by laying both halves side by side ([`compare`]).
//! Invariant: no setting of one half is ever taken from the other; if both came
//! from one variable, most mistakes could not show.
//! Refused: one charon with several tunnels. All packets then leave through one
//! of them, and the bench looks green with one tunnel tested.

pub mod bench;
pub mod compare;
pub mod config;
pub mod diagnose;
pub mod halves;
mod net;
pub mod run;

use std::fmt;

use serde::Serialize;

/// What can be wrong between the halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mistake {
    /// The pre-shared keys differ.
    Key,
    /// No common proposal for the IKE SA.
    IkeProposal,
    /// No common proposal for the data.
    EspProposal,
    /// One side expects the other at another address.
    Peer,
    /// One side expects another AS number.
    Asn,
    /// Both ends have the same inside address.
    EndsSwapped,
    /// The inside ranges are those of different tunnels.
    InsideRange,
    /// A range is not advertised.
    MissingPrefix,
    /// Both sides advertise the same addresses.
    Overlap,
}

impl Mistake {
    /// All nine.
    pub const ALL: [Mistake; 9] = [
        Mistake::Key,
        Mistake::IkeProposal,
        Mistake::EspProposal,
        Mistake::Peer,
        Mistake::Asn,
        Mistake::EndsSwapped,
        Mistake::InsideRange,
        Mistake::MissingPrefix,
        Mistake::Overlap,
    ];

    /// Where to put it right.
    pub fn fix(self) -> &'static str {
        match self {
            Mistake::Key => "the same key on both sides: let GCP read it from the AWS connection",
            Mistake::IkeProposal => {
                "one encryption, integrity and DH group for phase 1 that Cloud VPN supports"
            }
            Mistake::EspProposal => {
                "one encryption, integrity and DH group for phase 2 that Cloud VPN supports"
            }
            Mistake::Peer => {
                "customer gateway A is GCP's interface 0, B is interface 1; peer interfaces 0 to 3 are A1 A2 B1 B2"
            }
            Mistake::Asn => "customer gateway's bgp_asn is GCP's, router peer's peer_asn is AWS's",
            Mistake::EndsSwapped => "AWS has the first host of the /30 (vgw), GCP the second (cgw)",
            Mistake::InsideRange => "router interface N has the cgw address of tunnel N",
            Mistake::MissingPrefix => {
                "add the range to the router's advertised ranges (AWS: the VPC's own)"
            }
            Mistake::Overlap => {
                "choose disjoint ranges; no route can tell two places with one address apart"
            }
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mistake::Key => "the pre-shared keys differ",
            Mistake::IkeProposal => "no common IKE proposal",
            Mistake::EspProposal => "no common ESP proposal",
            Mistake::Peer => "one side expects the other at another address",
            Mistake::Asn => "one side expects another AS number",
            Mistake::EndsSwapped => "both ends have the same inside address",
            Mistake::InsideRange => "the inside ranges belong to different tunnels",
            Mistake::MissingPrefix => "a range is not advertised",
            Mistake::Overlap => "both sides advertise the same addresses",
        })
    }
}

/// A mistake with its place and what shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Named {
    /// What is wrong.
    pub mistake: Mistake,
    /// Which tunnel, 0 to 3; absent if it concerns all.
    pub tunnel: Option<u8>,
    /// What was compared or seen; never a key.
    pub evidence: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tunnel) = self.tunnel {
            write!(f, "tunnel {tunnel}: ")?;
        }
        write!(
            f,
            "{} ({})\n    fix: {}",
            self.mistake,
            self.evidence,
            self.mistake.fix()
        )
    }
}
