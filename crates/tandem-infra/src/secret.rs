//! Secrets on their way to Terraform, and nowhere else.
//!
//! Intuition: a secret is read from the environment or from a file of its own,
//! handed to Terraform as `TF_VAR_*`, and struck out of everything that is kept
//! or shown. Invariant: no type here prints its value; nothing here becomes an
//! argument of a process.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::read::read_bounded;

/// A secret file longer than this is no secret that a variable takes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Shorter texts are not struck out: they would blacken ordinary words. A
/// password that a module refuses for its length must still not be shown.
const STRUCK_CHARS_MIN: usize = 4;

/// The same for texts inside JSON, where names and addresses stand beside secrets.
const STRUCK_INSIDE_CHARS_MIN: usize = 8;

/// What stands where a secret stood.
const STRUCK: &str = "(secret)";

/// Parts of a variable's name that make its value a secret.
const SECRET_PARTS: [&str; 7] = [
    "password",
    "token",
    "preshared",
    "secret",
    "api_key",
    "access_key",
    "app_env",
];

/// Whether a variable of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Switches and names about secrets are no secrets.
    let about = ["_enabled", "enable_", "_secret_id", "_secret_arn"];
    !about.iter().any(|part| name.contains(part))
        && SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// A value that never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STRUCK)
    }
}

/// Terraform variables with secret values, by name.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Takes the secret ones out of `TF_VAR_NAME=value` pairs.
    pub fn from_environment(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let named = pairs
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("TF_VAR_")?.to_owned(), value)));
        let secret = named.filter(|(name, value)| is_secret_name(name) && !value.is_empty());
        Self(
            secret
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        )
    }

    /// Adds the files of a folder: each is named as its variable, without a suffix.
    ///
    /// # Errors
    /// If the folder or a file cannot be read, or others than its owner may read it.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), Error> {
        let failed = |source| Error::Read {
            path: folder.to_owned(),
            source,
        };
        for entry in fs::read_dir(folder).map_err(failed)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if plain && entry.path().is_file() {
                self.0.insert(name, read_private(&entry.path())?);
            }
        }
        Ok(())
    }

    /// Adds one.
    pub fn insert(&mut self, name: &str, value: Secret) {
        self.0.insert(name.to_owned(), value);
    }

    /// The value of a variable.
    pub fn find(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// All, for the environment of the one process that needs them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// What strikes all of them out of a text.
    pub fn redactor(&self) -> Redactor {
        let mut struck = Vec::new();
        for secret in self.0.values() {
            leaves(secret.reveal(), &mut struck);
        }
        Redactor::new(struck)
    }
}

/// The value itself and, if it is JSON, every text inside.
fn leaves(text: &str, out: &mut Vec<String>) {
    fn walk(value: &serde_json::Value, out: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => out.push(text.clone()),
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
            serde_json::Value::Object(pairs) => pairs.values().for_each(|item| walk(item, out)),
            _ => {}
        }
    }
    out.push(text.to_owned());
    if let Ok(json) = serde_json::from_str(text) {
        let mut inside = Vec::new();
        walk(&json, &mut inside);
        inside.retain(|text| text.chars().count() >= STRUCK_INSIDE_CHARS_MIN);
        out.append(&mut inside);
    }
}

/// Reads a secret file that only its owner may read.
///
/// # Errors
/// If it cannot be read, is too large, or is open to others.
pub fn read_private(path: &Path) -> Result<Secret, Error> {
    let text = read_bounded(path, SECRET_BYTES_MAX)?;
    if is_open_to_others(path) {
        return Err(Error::Settings {
            path: path.to_owned(),
            problem: format!(
                "others may read this secret; `chmod 600 {}`",
                path.display()
            ),
        });
    }
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

/// Whether group or others have any right on the file.
pub fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// Strikes known secrets out of text.
#[derive(Clone, Default)]
pub struct Redactor(Vec<String>);

impl Redactor {
    /// Longer ones first, so that a secret inside another leaves no rest.
    pub fn new(mut struck: Vec<String>) -> Self {
        struck.retain(|text| text.chars().count() >= STRUCK_CHARS_MIN);
        struck.sort_by_key(|text| std::cmp::Reverse(text.len()));
        struck.dedup();
        Self(struck)
    }

    /// The text without them.
    pub fn strike(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) {
                text.replace(secret.as_str(), STRUCK)
            } else {
                text
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secrets_are_taken_from_the_environment() {
        let pairs = [
            ("TF_VAR_rds_master_password", "correct-horse"),
            ("TF_VAR_elasticache_auth_token_enabled", "true"),
            ("TF_VAR_vpc_cidr", "10.30.0.0/16"),
            ("PASSWORD", "not ours"),
        ];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let secrets = Secrets::from_environment(pairs);
        let names: Vec<_> = secrets.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["rds_master_password"]);
        assert!(!format!("{secrets:?}").contains("correct-horse"));
    }

    #[test]
    fn secrets_inside_json_are_struck_too() {
        let mut secrets = Secrets::default();
        secrets.insert(
            "app_env",
            Secret::new(r#"{"MAIL_PASSWORD":"hunter2hunter2"}"#),
        );
        let struck = secrets
            .redactor()
            .strike("login with hunter2hunter2 failed");
        assert_eq!(struck, "login with (secret) failed");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cloud_sql_user_password");
        fs::write(&path, "correct-horse\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Secrets::default().add_folder(folder.path()).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut secrets = Secrets::default();
        secrets.add_folder(folder.path()).unwrap();
        let found = secrets.find("cloud_sql_user_password").unwrap();
        assert_eq!(found.reveal(), "correct-horse");
    }
}
