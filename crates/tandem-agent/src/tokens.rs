//! Access tokens: a bearer token becomes the name of a person.
//!
//! Files hold hashes only and are read at each request, so that a token ends the moment its file
//! is deleted. Invariant: neither a token nor its hash is ever logged or answered.

use std::fs;

use sha2::{Digest, Sha256};
use tandem_core::config::Access;

/// How every token begins, so that scanners for leaked secrets can find one.
const PREFIX: &str = "tandem_";

/// How a line with a hash begins.
const SCHEME: &str = "sha256:";

/// A fresh token of 256 random bits.
pub fn make() -> String {
    let bytes: [u8; 32] = rand::random();
    format!("{PREFIX}{}", hex(&bytes))
}

/// What the hash file of `token` holds.
pub fn hash_line(token: &str) -> String {
    format!("{SCHEME}{}\n", hex(&Sha256::digest(token.as_bytes())))
}

/// Whose token this is.
pub fn person<'a>(access: &'a Access, token: &str) -> Option<&'a str> {
    let line = hash_line(token);
    let matches = |path: &str| match fs::read_to_string(path) {
        Ok(kept) => same(kept.trim_end().as_bytes(), line.trim_end().as_bytes()),
        Err(error) => {
            tracing::debug!(path, %error, "a token's hash cannot be read");
            false
        }
    };
    let found = access.tokens.iter().find(|kept| matches(&kept.hash_file));
    found.map(|kept| kept.name.as_str())
}

/// Compares in the same time wherever the first difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_core::config::AccessToken;

    #[test]
    fn a_token_is_its_persons_until_the_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, other) = (make(), make());
        let path = folder.path().join("kim");
        fs::write(&path, hash_line(&kept)).unwrap();
        let tokens = ["kim", "absent"].map(|name| AccessToken {
            name: name.into(),
            hash_file: folder.path().join(name).display().to_string(),
        });
        let access = Access {
            tokens: tokens.into(),
        };
        assert_eq!(person(&access, &kept), Some("kim"));
        assert_eq!(person(&access, &other), None);
        assert_eq!(person(&access, ""), None);
        assert!(!fs::read_to_string(&path).unwrap().contains(&kept[7..]));
        fs::write(&path, "").unwrap();
        assert_eq!(person(&access, ""), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(person(&access, &kept), None);
    }
}
