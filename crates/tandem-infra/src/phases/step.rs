//! What follows what: phases, their steps, and the one decision of the driver.
//!
//! Invariant: [`next`] is a pure function of the run's goal and of what is
//! done; a step is offered only when everything it needs is done. Destroying
//! runs the same table backwards.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the guide's six phases, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Account, token, keys, certificate.
    Prepare,
    /// Network, EKS, RDS, ElastiCache, ALB.
    Aws,
    /// Network, GKE, Cloud SQL, Memorystore, load balancer.
    Gcp,
    /// The private link between both.
    Vpn,
    /// PostgreSQL from one cloud to the other.
    Replication,
    /// The load balancer above both.
    Lb,
}

impl Phase {
    /// All, in the order of an apply.
    pub const ALL: [Phase; 6] = [
        Phase::Prepare,
        Phase::Aws,
        Phase::Gcp,
        Phase::Vpn,
        Phase::Replication,
        Phase::Lb,
    ];

    /// The word that people type.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Aws => "aws",
            Phase::Gcp => "gcp",
            Phase::Vpn => "vpn",
            Phase::Replication => "replication",
            Phase::Lb => "lb",
        }
    }

    /// The guide's title.
    pub fn title(self) -> &'static str {
        match self {
            Phase::Prepare => "1. Prepare",
            Phase::Aws => "2. AWS",
            Phase::Gcp => "3. GCP",
            Phase::Vpn => "4. VPN",
            Phase::Replication => "5. Database replication",
            Phase::Lb => "6. Global load balancer",
        }
    }

    /// What must stand before this one is applied.
    fn needs(self) -> &'static [Phase] {
        match self {
            Phase::Prepare => &[],
            Phase::Aws | Phase::Gcp => &[Phase::Prepare],
            Phase::Vpn => &[Phase::Aws, Phase::Gcp],
            Phase::Replication => &[Phase::Vpn],
            // Users come last, when everything below them is proven.
            Phase::Lb => &[Phase::Replication],
        }
    }

    /// Its steps in one direction. The VPN changes both clouds' roots: the
    /// tunnels on one, routes and firewall rules on the other.
    fn works(self, direction: Direction) -> &'static [Work] {
        use Work::{Keys, Preflight, Replicate, Terraform, Verify};
        match (self, direction) {
            (Phase::Prepare, Direction::Apply) => {
                &[Keys, Preflight, Terraform(Root::Certificates), Verify]
            }
            (Phase::Prepare, Direction::Destroy) => &[Terraform(Root::Certificates), Verify],
            (Phase::Aws, _) => &[Terraform(Root::Aws), Verify],
            (Phase::Gcp, _) => &[Terraform(Root::Gcp), Verify],
            (Phase::Vpn, _) => &[Terraform(Root::Aws), Terraform(Root::Gcp), Verify],
            (Phase::Replication, _) => &[Replicate, Verify],
            (Phase::Lb, _) => &[Terraform(Root::Global), Verify],
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Phase::ALL.into_iter().find(|phase| phase.word() == text);
        found.ok_or_else(|| {
            let words = Phase::ALL.map(Phase::word).join(", ");
            format!("no phase is called `{text}`; there are {words}")
        })
    }
}

/// One Terraform root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Root {
    /// `environments/global/certificates`; may be absent where certificates are given.
    Certificates,
    /// `environments/aws/dr`.
    Aws,
    /// `environments/gcp/dr`.
    Gcp,
    /// `environments/global/cloudflare-lb`.
    Global,
}

impl Root {
    /// All of them.
    pub const ALL: [Root; 4] = [Root::Certificates, Root::Aws, Root::Gcp, Root::Global];

    /// The word for messages and file names.
    pub fn word(self) -> &'static str {
        match self {
            Root::Certificates => "certificates",
            Root::Aws => "aws",
            Root::Gcp => "gcp",
            Root::Global => "global",
        }
    }

    /// The folder below the environments.
    pub fn folder(self) -> &'static str {
        match self {
            Root::Certificates => "global/certificates",
            Root::Aws => "aws/dr",
            Root::Gcp => "gcp/dr",
            Root::Global => "global/cloudflare-lb",
        }
    }

    /// The phase that creates it.
    pub fn phase(self) -> Phase {
        match self {
            Root::Certificates => Phase::Prepare,
            Root::Aws => Phase::Aws,
            Root::Gcp => Phase::Gcp,
            Root::Global => Phase::Lb,
        }
    }
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Build.
    Apply,
    /// Take away.
    Destroy,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Apply => "apply",
            Direction::Destroy => "destroy",
        })
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Make the VPN keys that are not there.
    Keys,
    /// Find everything that would fail later.
    Preflight,
    /// Plan, ask, apply one root.
    Terraform(Root),
    /// Set replication up, or take it away.
    Replicate,
    /// Prove the phase.
    Verify,
}

/// One step of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Step {
    /// Whose.
    pub phase: Phase,
    /// What.
    pub work: Work,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = match self.work {
            Work::Keys => "keys",
            Work::Preflight => "preflight",
            Work::Terraform(root) => return write!(f, "{}/terraform-{}", self.phase, root.word()),
            Work::Replicate => "replicate",
            Work::Verify => "verify",
        };
        write!(f, "{}/{work}", self.phase)
    }
}

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// Up or down.
    pub direction: Direction,
    /// Which phases; the order is the table's.
    pub phases: Vec<Phase>,
}

impl Goal {
    /// Every step, in the order of a run that does one thing at a time.
    pub fn steps(&self) -> Vec<Step> {
        let mut phases: Vec<Phase> = Phase::ALL
            .into_iter()
            .filter(|phase| self.phases.contains(phase))
            .collect();
        if self.direction == Direction::Destroy {
            phases.reverse();
        }
        let steps = |phase: Phase| {
            phase
                .works(self.direction)
                .iter()
                .map(move |&work| Step { phase, work })
        };
        phases.into_iter().flat_map(steps).collect()
    }

    /// The chosen phases that must be complete before `phase` begins. A phase
    /// that was not chosen is passed through to what it needs itself.
    fn before(&self, phase: Phase) -> BTreeSet<Phase> {
        let mut found = BTreeSet::new();
        let mut open = self.neighbours(phase);
        while let Some(phase) = open.pop() {
            if self.phases.contains(&phase) && !phase.works(self.direction).is_empty() {
                found.insert(phase);
            } else {
                open.extend(self.neighbours(phase));
            }
        }
        found
    }

    fn neighbours(&self, phase: Phase) -> Vec<Phase> {
        match self.direction {
            Direction::Apply => phase.needs().to_vec(),
            Direction::Destroy => Phase::ALL
                .into_iter()
                .filter(|other| other.needs().contains(&phase))
                .collect(),
        }
    }
}

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// These steps, which do not need each other.
    Work(Vec<Step>),
    /// Nothing is left.
    Finished,
}

/// The steps that can begin now. With `side_by_side`, those of both clouds;
/// otherwise the first.
pub fn next(goal: &Goal, done: &BTreeSet<Step>, side_by_side: bool) -> Next {
    let steps = goal.steps();
    let complete = |phase: Phase| {
        let mut of_phase = steps.iter().filter(|step| step.phase == phase);
        of_phase.all(|step| done.contains(step))
    };
    let mut ready: Vec<Step> = Vec::new();
    for step in &steps {
        let begun = ready.iter().any(|other| other.phase == step.phase);
        if !done.contains(step) && !begun && goal.before(step.phase).into_iter().all(complete) {
            ready.push(*step);
        }
    }
    if ready.is_empty() {
        return Next::Finished;
    }
    if !side_by_side {
        ready.truncate(1);
    }
    Next::Work(ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(direction: Direction, phases: &[Phase]) -> Goal {
        Goal {
            direction,
            phases: phases.to_vec(),
        }
    }

    fn transcript(goal: &Goal, side_by_side: bool) -> Vec<String> {
        let (mut done, mut lines) = (BTreeSet::new(), Vec::new());
        while let Next::Work(steps) = next(goal, &done, side_by_side) {
            let line: Vec<String> = steps.iter().map(ToString::to_string).collect();
            lines.push(line.join(" + "));
            done.extend(steps);
            assert!(lines.len() < 100, "a run ends");
        }
        lines
    }

    #[test]
    fn an_apply_goes_up_and_a_destroy_comes_down() {
        let up = transcript(&goal(Direction::Apply, &Phase::ALL), false);
        assert_eq!(
            up,
            [
                "prepare/keys",
                "prepare/preflight",
                "prepare/terraform-certificates",
                "prepare/verify",
                "aws/terraform-aws",
                "aws/verify",
                "gcp/terraform-gcp",
                "gcp/verify",
                "vpn/terraform-aws",
                "vpn/terraform-gcp",
                "vpn/verify",
                "replication/replicate",
                "replication/verify",
                "lb/terraform-global",
                "lb/verify",
            ]
        );
        let down = transcript(&goal(Direction::Destroy, &Phase::ALL), false);
        assert_eq!(down.first().unwrap(), "lb/terraform-global");
        assert_eq!(down.last().unwrap(), "prepare/verify");
    }

    #[test]
    fn both_clouds_may_run_side_by_side() {
        let up = transcript(&goal(Direction::Apply, &Phase::ALL), true);
        assert_eq!(
            up[4..6],
            [
                "aws/terraform-aws + gcp/terraform-gcp",
                "aws/verify + gcp/verify"
            ]
        );
        let down = transcript(&goal(Direction::Destroy, &Phase::ALL), true);
        assert!(
            down.contains(&"gcp/terraform-gcp + aws/terraform-aws".to_owned()),
            "{down:?}"
        );
    }

    #[test]
    fn phases_left_out_are_passed_through() {
        let chosen = goal(Direction::Apply, &[Phase::Lb, Phase::Aws]);
        assert_eq!(
            transcript(&chosen, true),
            [
                "aws/terraform-aws",
                "aws/verify",
                "lb/terraform-global",
                "lb/verify"
            ]
        );
    }

    #[test]
    fn every_interruption_goes_on_with_what_is_left() {
        for direction in [Direction::Apply, Direction::Destroy] {
            let goal = goal(direction, &Phase::ALL);
            let steps = goal.steps();
            for cut in 0..=steps.len() {
                let done: BTreeSet<Step> = steps[..cut].iter().copied().collect();
                let expected = steps
                    .get(cut)
                    .map_or(Next::Finished, |step| Next::Work(vec![*step]));
                assert_eq!(next(&goal, &done, false), expected);
            }
        }
    }
}
