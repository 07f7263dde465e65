//! The guide's faults: each has a test that feeds the guide's own input and sees it refused, or
//! corrected.
//!
//! Intuition: a list of what went wrong for somebody before us. Losing a row silently would be the
//! worst regression, so the list itself is data, and each row names its evidence.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, at};
use crate::hcl;

/// One fault and what proves that it cannot come back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its number.
    pub number: u32,
    /// What the guide says.
    pub guide: String,
    /// Tests that feed it.
    pub evidence: Vec<Evidence>,
}

/// One test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// From the repository's root.
    pub file: String,
    /// A `run` block or a test function, or any text for a file that is none of both.
    pub name: String,
}

/// Faults of defaults and documents alone: the walk-through tells them.
pub const TOLD_ONLY: &[u32] = &[7, 18, 21, 31];
/// Faults that `tandem infra` meets before any plan: its key files, its question for the token's
/// rights, its phases. The tests stand beside the command.
pub const BY_THE_COMMAND: &[u32] = &[3, 33, 43];
/// The last number.
pub const LAST: u32 = 43;

/// The committed list.
pub fn committed() -> Result<Vec<Fault>, Error> {
    serde_json::from_str(include_str!("../faults.json")).map_err(|source| Error::Data {
        what: "faults.json".into(),
        source,
    })
}

/// Faults without evidence, and evidence that does not exist.
pub fn check(repository: &Path, faults: &[Fault]) -> Result<Vec<String>, Error> {
    let listed = |number: &u32| {
        faults
            .iter()
            .any(|fault| fault.number == *number && !fault.evidence.is_empty())
    };
    let elsewhere = |number: &u32| TOLD_ONLY.contains(number) || BY_THE_COMMAND.contains(number);
    let all = (1..=LAST).filter(|number| !elsewhere(number));
    let bare = all.filter(|number| !listed(number));
    let mut found: Vec<String> = bare
        .map(|number| format!("fault {number} has no test"))
        .collect();
    for fault in faults {
        for evidence in &fault.evidence {
            if !exists(repository, evidence)? {
                found.push(format!(
                    "fault {}: {} has no {}",
                    fault.number, evidence.file, evidence.name
                ));
            }
        }
    }
    Ok(found)
}

fn exists(repository: &Path, evidence: &Evidence) -> Result<bool, Error> {
    let path = repository.join(&evidence.file);
    if !path.is_file() {
        return Ok(false);
    }
    if evidence.file.ends_with(".tftest.hcl") {
        let source = hcl::read(&path)?;
        let found = hcl::blocks(&source.body, "run").any(|(name, _)| name == evidence.name);
        return Ok(found);
    }
    let text = std::fs::read_to_string(&path).map_err(at(&path))?;
    let function = format!("fn {}(", evidence.name);
    Ok(text.contains(&function)
        || (!evidence.file.ends_with(".rs") && text.contains(&evidence.name)))
}
