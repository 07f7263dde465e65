//! Where the state lies. Terraform reads the block at init alone, which the offline checks replace.
//!
//! Invariant: a state's place is named after its environment, so that no two environments share one.

use std::path::Path;

use hcl_edit::structure::{Block, Body};

use crate::error::Error;
use crate::hcl;

/// A kind of backend as our environments use it.
struct Kind {
    name: &'static str,
    /// What the block must say; the first one is the place.
    needed: &'static [&'static str],
    /// One of these, or two applies at once spoil the state.
    locks: &'static [&'static str],
}

/// Of AWS.
const S3: Kind = Kind {
    name: "s3",
    needed: &["key", "bucket", "region", "encrypt"],
    locks: &["dynamodb_table", "use_lockfile"],
};
/// Of others that speak its language, such as R2: they know none of AWS's accounts and regions.
/// Bucket and endpoint come at init, and `tandem infra` locks.
const S3_BESIDE_AWS: Kind = Kind {
    name: "s3",
    needed: &[
        "key",
        "region",
        "skip_credentials_validation",
        "skip_metadata_api_check",
        "skip_region_validation",
    ],
    locks: &[],
};
/// Of Google; it locks by itself.
const GCS: Kind = Kind {
    name: "gcs",
    needed: &["prefix", "bucket"],
    locks: &[],
};

/// What is wrong with the backend of a root, each as one sentence.
pub fn check(folder: &Path) -> Result<Vec<String>, Error> {
    let mut found = vec![];
    for source in hcl::module(folder)? {
        for (_, settings) in hcl::blocks(&source.body, "terraform") {
            let mut backends = settings.body.blocks();
            if let Some(backend) = backends.find(|block| block.has_ident("backend")) {
                found.extend(judge(folder, backend));
            }
        }
    }
    Ok(found)
}

fn judge(folder: &Path, backend: &Block) -> Vec<String> {
    let name = backend.labels.first().map_or("", |label| label.as_str());
    let beside_aws = hcl::text(&backend.body, "region") == Some("auto");
    let kind = match name {
        // The checks' own, in the place of one that asks for credentials.
        "local" => return vec![],
        "s3" if beside_aws => S3_BESIDE_AWS,
        "s3" => S3,
        "gcs" => GCS,
        other => return vec![format!("backend {other} is none of ours")],
    };
    let body = &backend.body;
    let mut found = lacking(&kind, body);
    let names = body.attributes().map(|one| one.key.as_str());
    let unknown = names.filter(|name| !kind.needed.contains(name) && !kind.locks.contains(name));
    found.extend(unknown.map(|name| format!("backend {} has no argument {name}", kind.name)));
    let place = hcl::text(body, kind.needed[0]).unwrap_or_default();
    let place = place.trim_end_matches("/terraform.tfstate");
    if place.is_empty() || !folder.ends_with(place) {
        found.push(format!("the state's place {place:?} is another's"));
    }
    found
}

fn lacking(kind: &Kind, body: &Body) -> Vec<String> {
    let has = |name: &&str| hcl::argument(body, name).is_some();
    let lost = kind.needed.iter().filter(|name| !has(name));
    let mut found: Vec<String> = lost
        .map(|name| format!("backend {} says no {name}", kind.name))
        .collect();
    if !kind.locks.is_empty() && !kind.locks.iter().any(has) {
        found.push(format!("backend {} has no lock", kind.name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(backend: &str) -> Vec<String> {
        let tree = tempfile::tempdir().expect("a folder");
        let folder = tree.path().join("environments/aws/dr");
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = format!("terraform {{\n  backend {backend}\n}}\n");
        std::fs::write(folder.join("backend.tf"), text).expect("written");
        check(&folder).expect("readable")
    }

    #[test]
    fn a_state_has_a_place_of_its_own_and_a_lock() {
        let whole = "\"s3\" {\nbucket = \"b\"\nkey = \"aws/dr/terraform.tfstate\"\nregion = \"r\"\nencrypt = true\nuse_lockfile = true\n}";
        assert_eq!(found(whole), [""; 0]);
        for (was, is, told) in [
            ("aws/dr", "gcp/dr", "another's"),
            ("encrypt = true\n", "", "says no encrypt"),
            ("use_lockfile = true\n", "", "no lock"),
            ("encrypt", "encrypted", "has no argument encrypted"),
            ("\"s3\"", "\"http\"", "none of ours"),
        ] {
            let found = found(&whole.replace(was, is));
            assert!(
                found.iter().any(|one| one.contains(told)),
                "{told}: {found:?}"
            );
        }
        assert_eq!(
            found("\"gcs\" {\nbucket = \"b\"\nprefix = \"aws/dr\"\n}"),
            [""; 0]
        );
        let r2 = found("\"s3\" {\nkey = \"aws/dr/terraform.tfstate\"\nregion = \"auto\"\n}");
        assert_eq!(r2.len(), 3, "{r2:?}");
    }
}
