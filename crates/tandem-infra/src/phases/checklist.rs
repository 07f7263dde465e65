//! The guide's closing checklist: 22 rows, each proven by a read-only query.
//!
//! Invariant: a row is proven only by what was seen now, with its time; a row
//! that nobody could look at is unknown, which is not proven.

use std::path::Path;

use serde::Serialize;

use super::replication::{Ends, ReplicationPhase};
use super::step::Phase;
use super::wiring::Outputs;
use crate::cloud::{Answer, Cloud, Names, Question, Verdict};
use crate::keys;

/// How a row is proven.
#[derive(Debug, Clone, Copy)]
enum Proof {
    /// By these questions, all of them.
    Ask(&'static [Question]),
    /// By the key files.
    Keys,
    /// By the subscription's rows.
    Flows,
    /// By what watches it.
    Watched,
}

/// One row of the checklist.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The phase that it closes.
    pub phase: Phase,
    /// The guide's words.
    pub title: &'static str,
    proof: Proof,
}

const fn ask(phase: Phase, title: &'static str, questions: &'static [Question]) -> Row {
    Row {
        phase,
        title,
        proof: Proof::Ask(questions),
    }
}

/// All rows, in the guide's order.
pub const ROWS: [Row; 22] = [
    ask(
        Phase::Prepare,
        "Cloudflare account and token",
        &[Question::CloudflareAccount, Question::CloudflareRights],
    ),
    Row {
        phase: Phase::Prepare,
        title: "VPN keys",
        proof: Proof::Keys,
    },
    ask(Phase::Prepare, "certificate", &[Question::AwsCertificate]),
    ask(Phase::Aws, "VPC and network", &[Question::AwsNetwork]),
    ask(Phase::Aws, "EKS", &[Question::Eks]),
    ask(Phase::Aws, "RDS primary", &[Question::Rds]),
    ask(Phase::Aws, "ElastiCache", &[Question::ElastiCache]),
    ask(Phase::Aws, "ALB", &[Question::Alb]),
    ask(Phase::Gcp, "VPC and network", &[Question::GcpNetwork]),
    ask(Phase::Gcp, "GKE", &[Question::Gke]),
    ask(Phase::Gcp, "Cloud SQL replica", &[Question::CloudSql]),
    ask(Phase::Gcp, "Memorystore", &[Question::Memorystore]),
    ask(Phase::Gcp, "load balancer", &[Question::GcpBalancer]),
    ask(Phase::Vpn, "AWS VPN gateway", &[Question::AwsTunnels]),
    ask(Phase::Vpn, "GCP HA VPN gateway", &[Question::GcpTunnels]),
    ask(Phase::Vpn, "BGP routing", &[Question::Bgp]),
    ask(Phase::Vpn, "connection test", &[Question::Through]),
    Row {
        phase: Phase::Replication,
        title: "logical replication",
        proof: Proof::Flows,
    },
    Row {
        phase: Phase::Replication,
        title: "replication monitoring",
        proof: Proof::Watched,
    },
    ask(
        Phase::Lb,
        "Cloudflare load balancer",
        &[Question::CloudflareBalancer],
    ),
    ask(Phase::Lb, "health check", &[Question::Health]),
    ask(Phase::Lb, "DNS record", &[Question::DnsRecord]),
];

/// What a row looks at.
pub struct Sources<'a> {
    /// The clouds.
    pub cloud: &'a dyn Cloud,
    /// Whoever knows about replication.
    pub replication: &'a dyn ReplicationPhase,
    /// What the clouds are asked about.
    pub names: Names,
    /// What the phases gave.
    pub outputs: &'a Outputs,
    /// Where the key files are.
    pub keys: &'a Path,
}

/// A row with what was seen.
#[derive(Debug, Clone, Serialize)]
pub struct Proven {
    /// The phase.
    pub phase: Phase,
    /// The guide's words.
    pub title: &'static str,
    /// How sure.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What to do, if it is not proven.
    pub fix: String,
    /// When.
    pub at: jiff::Timestamp,
}

/// Proves the rows of one phase, or of all.
pub fn prove(sources: &Sources<'_>, phase: Option<Phase>) -> Vec<Proven> {
    let wanted = |row: &&Row| phase.is_none_or(|phase| row.phase == phase);
    ROWS.iter()
        .filter(wanted)
        .map(|row| prove_row(sources, row))
        .collect()
}

fn prove_row(sources: &Sources<'_>, row: &Row) -> Proven {
    let answer = match row.proof {
        Proof::Ask(questions) => ask_all(sources, questions),
        Proof::Keys => keys_stand(sources.keys),
        Proof::Flows => of_replication(sources, |phase, ends| phase.flows(ends)),
        Proof::Watched => of_replication(sources, |phase, ends| phase.is_watched(ends)),
    };
    Proven {
        phase: row.phase,
        title: row.title,
        verdict: answer.verdict,
        evidence: answer.evidence,
        fix: answer.fix,
        at: jiff::Timestamp::now(),
    }
}

/// The first answer that is not proven, or all evidence together.
fn ask_all(sources: &Sources<'_>, questions: &[Question]) -> Answer {
    let mut seen = Vec::new();
    for question in questions {
        let answer = sources.cloud.ask(*question, &sources.names);
        if answer.verdict != Verdict::Proven {
            return answer;
        }
        seen.push(answer.evidence);
    }
    Answer::proven(seen.join("; "))
}

fn keys_stand(folder: &Path) -> Answer {
    const FIX: &str = "tandem infra keys";
    for tunnel in 1..=2 {
        let path = keys::file_of(folder, tunnel);
        if !path.is_file() {
            return Answer::failed(format!("{} is not there", path.display()), FIX);
        }
        if let Err(error) = keys::check_file(&path) {
            return Answer::failed(error.to_string(), FIX);
        }
    }
    Answer::proven(format!(
        "vpn_tunnel1_key.txt and vpn_tunnel2_key.txt in {}, valid and private",
        folder.display()
    ))
}

fn of_replication(
    sources: &Sources<'_>,
    look: impl Fn(&dyn ReplicationPhase, &Ends) -> Answer,
) -> Answer {
    match Ends::of(sources.outputs) {
        Ok(ends) => look(sources.replication, &ends),
        Err(stop) => Answer::failed(stop.problem, stop.fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_22_rows_in_its_order() {
        let count = |phase| ROWS.iter().filter(|row| row.phase == phase).count();
        assert_eq!(Phase::ALL.map(count), [3, 5, 5, 4, 2, 3]);
        assert!(ROWS.is_sorted_by_key(|row| row.phase));
    }
}
