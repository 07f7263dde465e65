//! Pre-shared keys of the VPN tunnels, strong and in a form that AWS accepts.
//!
//! Intuition: the alphabet that AWS allows has exactly 64 characters, so 48 of
//! them are 48 times six random bits, with nothing to trim or encode.
//! Invariant: a key file is created complete, mode 0600, and never overwritten;
//! a rotated key keeps its file under another name.
//! Refused: `openssl rand -base64 32`, whose keys AWS refuses every time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::secret::{Secret, Secrets, is_open_to_others, read_private};

/// What AWS allows in a key.
const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";

/// Characters of a made key: 288 random bits, within AWS's 8 to 64.
const KEY_CHARS: usize = 48;

/// Tunnels of two connections.
pub const TUNNELS: u8 = 4;

/// What is wrong with a key, if anything; never the key itself.
pub fn fault(key: &str) -> Option<String> {
    let length = key.chars().count();
    if !(8..=64).contains(&length) {
        return Some(format!("{length} characters; AWS takes 8 to 64"));
    }
    if let Some(bad) = key.bytes().find(|byte| !ALPHABET.contains(byte)) {
        let shown = char::from(bad).escape_default();
        return Some(format!("holds `{shown}`; AWS takes 0-9 A-Z a-z . _ only"));
    }
    key.starts_with('0')
        .then(|| "begins with 0, which AWS refuses".to_owned())
}

/// A new key out of the system's randomness.
///
/// # Errors
/// If the system has none to give.
pub fn make() -> Result<Secret, Error> {
    loop {
        let mut random = [0_u8; KEY_CHARS];
        getrandom::fill(&mut random).map_err(|error| Error::Randomness(error.to_string()))?;
        let text: String = random
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]))
            .collect();
        // One in 64 begins with 0.
        if fault(&text).is_none() {
            return Ok(Secret::new(text));
        }
    }
}

/// The file of one tunnel's key, under the guide's name.
pub fn file_of(folder: &Path, tunnel: u8) -> PathBuf {
    folder.join(format!("vpn_tunnel{tunnel}_key.txt"))
}

/// What was done about one key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// It was not there.
    Created(PathBuf),
    /// It was there and is right.
    Kept(PathBuf),
    /// It was replaced; the old one stands beside it.
    Rotated {
        /// The new key.
        new: PathBuf,
        /// The old key.
        old: PathBuf,
    },
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Made::Created(path) => write!(f, "created {} (mode 0600)", path.display()),
            Made::Kept(path) => write!(f, "kept    {}", path.display()),
            Made::Rotated { new, old } => {
                write!(
                    f,
                    "rotated {}, the old key is {}",
                    new.display(),
                    old.display()
                )
            }
        }
    }
}

/// Makes the keys of tunnels 1 to `tunnels` that are not there yet.
///
/// # Errors
/// If a file cannot be written, or one that is there is refused.
pub fn ensure(folder: &Path, tunnels: u8) -> Result<Vec<Made>, Error> {
    fs::create_dir_all(folder).map_err(|source| Error::Write {
        path: folder.to_owned(),
        source,
    })?;
    (1..=tunnels)
        .map(|tunnel| {
            let path = file_of(folder, tunnel);
            if path.exists() {
                check_file(&path)?;
                return Ok(Made::Kept(path));
            }
            create(&path, &make()?)?;
            Ok(Made::Created(path))
        })
        .collect()
}

/// Replaces one tunnel's key; the old file keeps `stamp` in its name.
///
/// # Errors
/// If there is no key to rotate, or a file cannot be written.
pub fn rotate(folder: &Path, tunnel: u8, stamp: &str) -> Result<Made, Error> {
    let new = file_of(folder, tunnel);
    let old = folder.join(format!("vpn_tunnel{tunnel}_key.{stamp}.txt"));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    // A link never overwrites: the old key is safe before the name is free.
    fs::hard_link(&new, &old).map_err(failed(&old))?;
    let fresh = new.with_extension("new");
    create(&fresh, &make()?)?;
    fs::rename(&fresh, &new).map_err(failed(&new))?;
    sync_folder(folder);
    Ok(Made::Rotated { new, old })
}

/// Refuses a key file that is open to others or holds no valid key.
///
/// # Errors
/// With what is wrong and how to put it right.
pub fn check_file(path: &Path) -> Result<Secret, Error> {
    let refused = |problem: String| Error::Settings {
        path: path.to_owned(),
        problem,
    };
    if is_open_to_others(path) {
        let fix = format!("others may read this key; `chmod 600 {}`", path.display());
        return Err(refused(fix));
    }
    let key = read_private(path)?;
    match fault(key.reveal()) {
        Some(problem) => Err(refused(format!(
            "the key {problem}; move the file away and run `tandem infra keys`"
        ))),
        None => Ok(key),
    }
}

/// The key files that are there, as Terraform's variables: the guide's two
/// names for the first connection, `vpn_preshared_keys` for the second.
///
/// # Errors
/// If a file that is there is refused.
pub fn as_variables(folder: &Path) -> Result<Secrets, Error> {
    let mut variables = Secrets::default();
    let mut second = serde_json::Map::new();
    for tunnel in 1..=TUNNELS {
        let path = file_of(folder, tunnel);
        if !path.exists() {
            continue;
        }
        let key = check_file(&path)?;
        if tunnel <= 2 {
            variables.insert(&format!("vpn_tunnel{tunnel}_preshared_key"), key);
        } else {
            second.insert((tunnel - 1).to_string(), key.reveal().into());
        }
    }
    if !second.is_empty() {
        let json = serde_json::Value::Object(second).to_string();
        variables.insert("vpn_preshared_keys", Secret::new(json));
    }
    Ok(variables)
}

/// Writes a complete file and gives it its name only then; never overwrites.
fn create(path: &Path, key: &Secret) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let unfinished = folder.join(format!(".vpn_key.{}", std::process::id()));
    let _ = fs::remove_file(&unfinished);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(failed)?;
    let linked = writeln!(file, "{}", key.reveal())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&unfinished, path));
    let _ = fs::remove_file(&unfinished);
    linked.map_err(failed)?;
    sync_folder(folder);
    Ok(())
}

/// A name is durable when its folder is; a file system that cannot sync a
/// folder has no better offer.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_keys_are_accepted_and_differ() {
        let keys: Vec<_> = (0..200).map(|_| make().unwrap()).collect();
        for key in &keys {
            assert_eq!(fault(key.reveal()), None);
        }
        assert_ne!(keys[0], keys[1]);
    }

    #[test]
    fn what_aws_refuses_is_named_without_the_key() {
        let guide = "q6Xn0r0s0uJ8l1m2n3o4p5q6r7s8t9u0v1w2x3y4z5A=";
        for (key, part) in [
            (guide, "holds `=`"),
            ("0abcdefgh", "begins with 0"),
            ("short", "5 characters"),
        ] {
            let said = fault(key).unwrap();
            assert!(said.contains(part) && !said.contains(key), "{said}");
        }
    }

    #[test]
    fn keys_are_private_kept_and_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let made = ensure(folder.path(), 2).unwrap();
        assert!(made.iter().all(|made| matches!(made, Made::Created(_))));
        let first = file_of(folder.path(), 1);
        let mode = fs::metadata(&first).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let key = check_file(&first).unwrap();
        let again = ensure(folder.path(), 4).unwrap();
        assert!(matches!(again[0], Made::Kept(_)) && matches!(again[3], Made::Created(_)));
        assert_eq!(check_file(&first).unwrap(), key);
        let Made::Rotated { old, .. } = rotate(folder.path(), 1, "2026-11-23").unwrap() else {
            panic!("rotated");
        };
        assert_eq!(check_file(&old).unwrap(), key);
        assert_ne!(check_file(&first).unwrap(), key);
        assert!(
            rotate(folder.path(), 1, "2026-11-23").is_err(),
            "the old key stays"
        );
        let names: Vec<_> = as_variables(folder.path())
            .unwrap()
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "vpn_preshared_keys",
                "vpn_tunnel1_preshared_key",
                "vpn_tunnel2_preshared_key"
            ]
        );
    }

    #[test]
    fn a_wrong_key_file_is_refused_with_its_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_of(folder.path(), 1);
        fs::write(&path, "YWJjZGVmZ2g=\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let said = ensure(folder.path(), 2).unwrap_err().to_string();
        assert!(
            said.contains("tandem infra keys") && !said.contains("YWJj"),
            "{said}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let said = ensure(folder.path(), 2).unwrap_err().to_string();
        assert!(said.contains("chmod 600"), "{said}");
    }
}
