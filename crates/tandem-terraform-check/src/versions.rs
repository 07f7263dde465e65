//! Version constraints: terraform ignores them for providers that run already, so they are compared
//! here with what the schemas were cut from.

use std::collections::BTreeSet;
use std::path::Path;

use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;

use crate::error::Error;
use crate::schema::Provider;
use crate::terraform::{OTHER_VERSIONS, VERSION};
use crate::{cut, hcl};

/// What does not fit in one root, each as one sentence.
pub fn check(folder: &Path) -> Result<Vec<String>, Error> {
    let providers = cut::committed()?;
    let (mut found, mut own) = (vec![], vec![]);
    let (mut used, mut required_names) = (BTreeSet::new(), BTreeSet::new());
    for source in hcl::module(folder)? {
        used.extend(used_in(&source.body));
        for (_, terraform) in hcl::blocks(&source.body, "terraform") {
            own.extend(hcl::text(&terraform.body, "required_version").map(str::to_owned));
            for (_, required) in hcl::blocks(&terraform.body, "required_providers") {
                let entries = required.body.attributes();
                for entry in entries {
                    required_names.insert(entry.key.as_str().to_owned());
                    found.extend(problem(&providers, &entry.value));
                }
            }
        }
    }
    let open = used.difference(&required_names);
    found.extend(open.map(|name| format!("provider {name} is used and not required")));
    let tried = || OTHER_VERSIONS.iter().chain([&VERSION]);
    let fits = |constraint: &String| tried().all(|one| allows(constraint, one) == Some(true));
    if own.len() != 1 || !own.iter().all(fits) {
        found.push(format!(
            "required_version {own:?} is not one that allows the versions tried"
        ));
    }
    Ok(found)
}

/// Providers whose resources, data or settings stand in a file: of a type's name the part before the
/// first `_`, unless `provider` says another. Terraform has one of its own.
fn used_in(body: &Body) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = hcl::blocks(body, "provider")
        .map(|(name, _)| name)
        .collect();
    for kind in ["resource", "data"] {
        for (name, block) in hcl::blocks(body, kind) {
            let chosen = hcl::argument(&block.body, "provider").map(hcl::written);
            let full = chosen.unwrap_or(name);
            let end = full.find(['.', '_']).unwrap_or(full.len());
            found.insert(full[..end].to_owned());
        }
    }
    found.remove("terraform");
    found
}

fn problem(providers: &[Provider], entry: &Expression) -> Option<String> {
    let Some(members) = entry.as_object() else {
        let written = hcl::written(entry);
        return Some(format!(
            "a provider is required as {written}: source and version are both needed"
        ));
    };
    let text = |name: &str| {
        let found = members
            .iter()
            .find(|(key, _)| key.as_ident().is_some_and(|key| key.as_str() == name));
        found.and_then(|(_, value)| value.expr().as_str())
    };
    match (text("source"), text("version")) {
        (Some(source), Some(constraint)) => judge(providers, source, constraint),
        (source, constraint) => Some(format!(
            "a provider has the source {source:?} and the version {constraint:?}: both are needed"
        )),
    }
}

fn judge(providers: &[Provider], source: &str, constraint: &str) -> Option<String> {
    let same = |provider: &&Provider| provider.source.ends_with(&format!("/{source}"));
    let Some(provider) = providers.iter().find(same) else {
        return Some(format!("provider {source} has no committed schema"));
    };
    let version = &provider.provider_version;
    match allows(constraint, version) {
        Some(true) => None,
        Some(false) => Some(format!(
            "{source} {constraint} does not allow {version}, which was checked"
        )),
        None => Some(format!(
            "{source}: the constraint {constraint:?} cannot be read"
        )),
    }
}

/// Whether a constraint such as `~> 5.100, < 6` allows a version; None if it cannot be read.
pub fn allows(constraint: &str, version: &str) -> Option<bool> {
    let version = numbers(version)?;
    let mut all = true;
    for part in constraint
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let begin = part.find(|c: char| c.is_ascii_digit())?;
        let (operator, bound) = part.split_at(begin);
        let (given, bound) = (bound.trim().split('.').count(), numbers(bound.trim())?);
        all &= match operator.trim() {
            "" | "=" => version == bound,
            "!=" => version != bound,
            ">=" => version >= bound,
            ">" => version > bound,
            "<=" => version <= bound,
            "<" => version < bound,
            // All but the last number given stay as they are.
            "~>" => {
                version >= bound
                    && version[..given.saturating_sub(1)] == bound[..given.saturating_sub(1)]
            }
            _ => return None,
        };
    }
    Some(all)
}

fn numbers(text: &str) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    for (at, part) in text.split('.').enumerate() {
        *numbers.get_mut(at)? = part.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_read_as_terraform_reads_them() {
        for (constraint, version, expected) in [
            ("~> 5.100", "5.100.0", Some(true)),
            ("~> 5.100", "6.0.0", Some(false)),
            ("~> 4.0", "4.52.0", Some(true)),
            ("~> 4.52.0", "4.53.0", Some(false)),
            (">= 5, < 6", "5.100.0", Some(true)),
            (">= 6", "5.100.0", Some(false)),
            ("", "1.0.0", Some(true)),
            ("=> 1", "1.0.0", None),
            ("~> x", "1.0.0", None),
        ] {
            assert_eq!(
                allows(constraint, version),
                expected,
                "{constraint} {version}"
            );
        }
    }

    #[test]
    fn every_provider_that_is_used_is_required_whole() {
        let found = |required: &str, used: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            let text = format!(
                "terraform {{\nrequired_version = \">= 1.5.0\"\nrequired_providers {{\n{required}\n}}\n}}\n{used}\n"
            );
            std::fs::write(folder.path().join("main.tf"), text).expect("written");
            check(folder.path()).expect("readable")
        };
        let aws = "aws = { source = \"hashicorp/aws\", version = \"~> 5.100\" }";
        let vpc = "resource \"aws_vpc\" \"v\" {}";
        let own = "resource \"terraform_data\" \"d\" {}";
        assert_eq!(found(aws, &format!("{vpc}\n{own}")), [""; 0]);
        for (required, used, told) in [
            ("aws = \"~> 4.0\"", vpc, "required as \"~> 4.0\""),
            ("", vpc, "provider aws is used"),
            ("", "data \"aws_vpc\" \"v\" {}", "provider aws is used"),
            ("", "provider \"aws\" {}", "provider aws is used"),
            (
                aws,
                "resource \"aws_vpc\" \"v\" {\nprovider = awsx.far\n}",
                "provider awsx is used",
            ),
        ] {
            let found = found(required, used);
            assert_eq!(found.len(), 1, "{told}: {found:?}");
            assert!(found[0].contains(told), "{told}: {found:?}");
        }
    }

    #[test]
    fn a_provider_without_a_schema_is_told() {
        let providers = cut::committed().expect("the cut");
        let told = judge(&providers, "hashicorp/nomad", "~> 2").expect("a problem");
        assert!(told.contains("hashicorp/nomad"), "{told}");
        assert_eq!(judge(&providers, "hashicorp/aws", "~> 5.100"), None);
        assert!(
            judge(&providers, "hashicorp/aws", "~> 6.0")
                .expect("a problem")
                .contains("5.100.0")
        );
    }
}
