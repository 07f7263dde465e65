//! The committed cut: the types of the four providers that the project uses.

use crate::error::Error;
use crate::schema::Provider;

/// One committed file: its name, its text, and where terraform expects the provider.
pub struct File {
    /// `aws`.
    pub name: &'static str,
    /// Its content.
    pub text: &'static str,
    /// Addresses that are served from it.
    pub addresses: &'static [&'static str],
}

/// All of them. google-beta is served from google: the same types, for what is used here.
pub const FILES: &[File] = &[
    File {
        name: "aws",
        text: include_str!("../schemas/aws.json"),
        addresses: &["hashicorp/aws"],
    },
    File {
        name: "cloudflare",
        text: include_str!("../schemas/cloudflare.json"),
        addresses: &["cloudflare/cloudflare"],
    },
    File {
        name: "google",
        text: include_str!("../schemas/google.json"),
        addresses: &["hashicorp/google", "hashicorp/google-beta"],
    },
    File {
        name: "random",
        text: include_str!("../schemas/random.json"),
        addresses: &["hashicorp/random"],
    },
];

/// The types that are cut out, separated by white space; `#` begins a comment line.
pub const TYPES: &str = include_str!("../schemas/types.txt");

/// The names of [`TYPES`].
pub fn types() -> impl Iterator<Item = &'static str> {
    let lines = TYPES.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace)
}

/// All committed schemas, in the order of [`FILES`].
pub fn committed() -> Result<Vec<Provider>, Error> {
    FILES.iter().map(read).collect()
}

fn read(file: &File) -> Result<Provider, Error> {
    serde_json::from_str(file.text).map_err(|source| Error::Data {
        what: format!("schemas/{}.json", file.name),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_asked_for_is_there() {
        let providers = committed().expect("readable");
        let known = |kind: &str| {
            providers.iter().any(|provider| {
                provider.resource_schemas.contains_key(kind)
                    || provider.data_source_schemas.contains_key(kind)
            })
        };
        let missing: Vec<&str> = types().filter(|kind| !known(kind)).collect();
        assert_eq!(missing, [""; 0]);
    }
}
