//! Where the state lies. Terraform reads the block at init alone, which the offline checks replace.
//!
//! Invariant: every environment's state has a place that is named after the environment, so that no
//! two share one; only the environment that makes those places keeps its own beside it.

use std::path::{Component, Path, PathBuf};

use hcl_edit::structure::{Attribute, Block, Body};

use crate::error::Error;
use crate::hcl;

/// The environment that makes the places of the others' states; its own lies beside it.
const MAKES_THE_PLACES: &str = "global/state";
/// The checks' own file, which puts a local state in the place of one that asks for credentials.
const OVERRIDE: &str = "backend_override.tf";

/// A kind of backend as our environments use it.
struct Kind {
    name: &'static str,
    /// What the block must say; the first one is the place.
    needed: &'static [&'static str],
    /// One of these, or two applies at once spoil the state.
    locks: &'static [&'static str],
    /// What it may say beside them.
    allowed: &'static [&'static str],
}

/// Of AWS.
const S3: Kind = Kind {
    name: "s3",
    needed: &["key", "bucket", "region", "encrypt"],
    locks: &["dynamodb_table", "use_lockfile"],
    allowed: &[],
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
    allowed: &[
        "skip_requesting_account_id",
        "skip_s3_checksum",
        "use_lockfile",
    ],
};
/// Of Google; it locks by itself.
const GCS: Kind = Kind {
    name: "gcs",
    needed: &["prefix", "bucket"],
    locks: &[],
    allowed: &[],
};

/// What is wrong with the backend of a root, each as one sentence.
pub fn check(folder: &Path) -> Result<Vec<String>, Error> {
    let environment = environment(folder);
    let (mut found, mut shared) = (vec![], 0);
    for source in hcl::module(folder)? {
        let ours = source.path.ends_with(OVERRIDE);
        for (_, settings) in hcl::blocks(&source.body, "terraform") {
            for (name, backend) in hcl::blocks(&settings.body, "backend") {
                if !(ours && name == "local") {
                    shared += 1;
                    found.extend(judge(environment.as_deref(), &name, backend));
                }
            }
        }
    }
    let wanted = environment.is_some_and(|name| name != Path::new(MAKES_THE_PLACES));
    if wanted && shared == 0 {
        found.push("no backend: the state would lie on one machine alone".into());
    }
    Ok(found)
}

/// The name of an environment, from the last folder `environments`; none for a module.
fn environment(folder: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = folder.components().collect();
    let is_top = |part: &Component<'_>| part.as_os_str() == "environments";
    let top = parts.iter().rposition(is_top)?;
    Some(parts[top + 1..].iter().collect())
}

fn judge(environment: Option<&Path>, name: &str, backend: &Block) -> Vec<String> {
    let body = &backend.body;
    let kind = match name {
        "s3" if hcl::text(body, "region") == Some("auto") => S3_BESIDE_AWS,
        "s3" => S3,
        "gcs" => GCS,
        other => return vec![format!("backend {other} is none of ours")],
    };
    let mut found = lacking(&kind, body);
    found.extend(body.attributes().filter_map(|one| odd(&kind, one)));
    let place = hcl::text(body, kind.needed[0]).unwrap_or_default();
    let place = place.strip_suffix("/terraform.tfstate").unwrap_or(place);
    if environment != Some(Path::new(place)) {
        found.push(format!("the state's place {place:?} is another's"));
    }
    found
}

/// What is wrong with one argument: its name, or a switch that is off.
fn odd(kind: &Kind, argument: &Attribute) -> Option<String> {
    let (of, name) = (kind.name, argument.key.as_str());
    let mut known = kind.needed.iter().chain(kind.locks).chain(kind.allowed);
    if !known.any(|one| *one == name) {
        return Some(format!(
            "backend {of}: the argument {name} is none of those that are used here"
        ));
    }
    let switch = name.starts_with("skip_") || ["encrypt", "use_lockfile"].contains(&name);
    let off = switch && argument.value.as_bool() != Some(true);
    off.then(|| format!("backend {of}: {name} is not true"))
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

    const WHOLE: &str = "\"s3\" {\nbucket = \"b\"\nkey = \"aws/dr/terraform.tfstate\"\nregion = \"r\"\nencrypt = true\nuse_lockfile = true\n}";

    fn found_in(root: &str, file: &str, settings: &str) -> Vec<String> {
        let tree = tempfile::tempdir().expect("a folder");
        let folder = tree.path().join(root);
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = format!("terraform {{\n{settings}\n}}\n");
        std::fs::write(folder.join(file), text).expect("written");
        check(&folder).expect("readable")
    }

    fn found(backend: &str) -> Vec<String> {
        let settings = format!("backend {backend}");
        found_in("environments/aws/dr", "backend.tf", &settings)
    }

    #[test]
    fn a_state_has_a_place_of_its_own_and_a_lock() {
        assert_eq!(found(WHOLE), [""; 0]);
        for (was, is, told) in [
            ("aws/dr", "gcp/dr", "another's"),
            ("aws/dr", "dr", "another's"),
            ("encrypt = true\n", "", "says no encrypt"),
            ("encrypt = true", "encrypt = false", "encrypt is not true"),
            ("use_lockfile = true\n", "", "no lock"),
            (
                "lockfile = true",
                "lockfile = var.x",
                "use_lockfile is not true",
            ),
            ("encrypt", "encrypted", "the argument encrypted is none"),
            ("\"s3\"", "\"http\"", "none of ours"),
            ("\"s3\"", "\"local\"", "none of ours"),
        ] {
            let found = found(&WHOLE.replace(was, is));
            assert!(
                found.iter().any(|one| one.contains(told)),
                "{told}: {found:?}"
            );
        }
        assert_eq!(
            found("\"gcs\" {\nbucket = \"b\"\nprefix = \"aws/dr\"\n}"),
            [""; 0]
        );
    }

    #[test]
    fn a_store_beside_aws_is_asked_for_nothing_of_aws() {
        let switches = S3_BESIDE_AWS.needed[2..].iter();
        let switches = switches.chain(S3_BESIDE_AWS.allowed);
        let switches: String = switches.map(|name| format!("{name} = true\n")).collect();
        let place = "key = \"aws/dr/terraform.tfstate\"\nregion = \"auto\"\n";
        assert_eq!(found(&format!("\"s3\" {{\n{place}{switches}}}")), [""; 0]);
        let off = switches.replace("true", "false");
        assert_eq!(found(&format!("\"s3\" {{\n{place}{off}}}")).len(), 6);
        assert_eq!(found(&format!("\"s3\" {{\n{place}}}")).len(), 3);
    }

    #[test]
    fn every_environment_has_a_backend_but_the_one_that_makes_the_places() {
        for (root, file, settings, count) in [
            ("environments/aws/dr", "main.tf", "", 1),
            ("environments/aws/dr", "main.tf", "backend \"local\" {}", 1),
            ("environments/aws/dr", OVERRIDE, "backend \"local\" {}", 1),
            ("environments/global/state", "main.tf", "", 0),
            (
                "environments/global/state",
                OVERRIDE,
                "backend \"local\" {}",
                0,
            ),
            ("modules/rds", "main.tf", "", 0),
        ] {
            let found = found_in(root, file, settings);
            assert_eq!(found.len(), count, "{root}/{file}: {found:?}");
        }
    }
}
