//! How much of a takeover is SQL: what the agent that claimed the right wrote into its journal.
//!
//! Counted are the statements between its claim and the open guard: the end of receiving, boundary,
//! sequences and reverse slot, the guard. Waiting for the other site's right to end is no SQL.

use tandem_core::model::Epoch;

use crate::drill::journal::Entry;

/// A claim, as the journal has it.
const CLAIMS: [&str; 3] = [
    "committed Claim:",
    "committed ClaimRequested:",
    "committed TakeFenced:",
];

/// What is counted, as the journal names it.
const STEPS: [&str; 3] = [
    "stop receiving",
    "prepare the database for opening",
    "arm the guard",
];

/// Seconds of SQL for each takeover of a run; one that was not carried through is left out.
pub(super) fn seconds(journal: &[Entry]) -> Vec<f64> {
    let claims = journal
        .iter()
        .filter(|entry| CLAIMS.iter().any(|claim| entry.text.starts_with(claim)));
    claims
        .filter_map(|claim| taken(journal, &claim.agent, claim.epoch))
        .collect()
}

fn taken(journal: &[Entry], agent: &str, epoch: Epoch) -> Option<f64> {
    let of_step = |step: &str| {
        let own = journal
            .iter()
            .filter(|entry| entry.agent == agent && entry.epoch == epoch);
        own.filter_map(|entry| entry.text.strip_prefix("done in "))
            .filter_map(|text| text.split_once(" ms: "))
            .find(|(_, done)| *done == step)
            .and_then(|(took, _)| took.parse::<f64>().ok())
    };
    let [stopped, prepared, armed] = STEPS.map(of_step);
    Some((stopped.unwrap_or(0.0) + prepared? + armed?) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_claimers_own_statements_of_that_epoch_count() {
        let entry = |agent: &str, epoch: u64, text: &str| Entry {
            number: 0,
            at: 0,
            agent: agent.into(),
            epoch: Epoch(epoch),
            text: text.into(),
        };
        let journal = [
            entry("gcp-1", 1, "done in 900 ms: stop receiving"),
            entry("gcp-1", 2, "committed Claim: gcp in epoch 2, revision 7"),
            entry("gcp-1", 2, "done in 4 ms: stop receiving"),
            entry(
                "gcp-2",
                2,
                "done in 500 ms: prepare the database for opening",
            ),
            entry(
                "gcp-1",
                2,
                "done in 60 ms: prepare the database for opening",
            ),
            entry("gcp-1", 2, "done in 6 ms: arm the guard"),
            entry(
                "aws-1",
                3,
                "committed TakeFenced: aws in epoch 3, revision 9",
            ),
        ];
        assert_eq!(seconds(&journal), [0.07]);
    }
}
