//! Copies the tables without rows from one site to the other.
//!
//! The schema travels through `pg_dump` and `psql`, the only tools that know all of it;
//! their passwords go through the environment, never through arguments.
//!
//! Invariant: the replica gets all of it in one transaction, or nothing.

use std::process::Stdio;
use std::time::Duration;

use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::connect::{place, read_secret};
use crate::error::Error;

/// Dumping and restoring a schema without rows.
const LIMIT: Duration = Duration::from_secs(300);
/// Waiting for ACCESS SHARE makes nobody else wait, so it may take longer than other locks.
const LOCK_WAIT: &str = "--lock-wait-timeout=20s";

/// The commands, as a person would type them.
pub(crate) const SHOWN: &str = "pg_dump --schema-only --no-publications --no-subscriptions --exclude-schema=tandem --exclude-schema=tandem_local | psql --single-transaction";

/// Copies the schema of `from` to `to`. The dump's ACCESS SHARE locks let reads and writes pass.
pub(super) async fn copy(config: &Config, from: SiteId, to: SiteId) -> Result<(), Error> {
    let work = async {
        let dump = tool(config, "pg_dump", from)?
            .args(["--schema-only", "--no-publications", "--no-subscriptions"])
            .args(["--exclude-schema=tandem", "--exclude-schema=tandem_local"])
            .arg(LOCK_WAIT)
            .output();
        let dump = dump
            .await
            .map_err(|source| Error::file("pg_dump", source))?;
        succeeded("pg_dump", dump.status.success(), &dump.stderr)?;
        restore(config, to, &dump.stdout).await
    };
    let timed = tokio::time::timeout(LIMIT, work).await;
    timed.map_err(|_| Error::Unfinished {
        what: "the copy of the schema",
        limit: LIMIT,
        state: "stopped; the replica is as it was".into(),
    })?
}

async fn restore(config: &Config, site: SiteId, script: &[u8]) -> Result<(), Error> {
    let mut psql = tool(config, "psql", site)?
        .args([
            "--no-psqlrc",
            "--quiet",
            "--single-transaction",
            "--set=ON_ERROR_STOP=1",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::file("psql", source))?;
    let mut input = psql.stdin.take().expect("stdin was asked for");
    // If psql stops reading, its own message says why.
    let feed = async move {
        let _ = input.write_all(script).await;
    };
    let (done, ()) = tokio::join!(psql.wait_with_output(), feed);
    let done = done.map_err(|source| Error::file("psql", source))?;
    succeeded("psql", done.status.success(), &done.stderr)
}

fn tool(config: &Config, program: &str, site: SiteId) -> Result<Command, Error> {
    let place = place(config, site)?;
    let mut command = Command::new(program);
    command
        .env("PGPASSWORD", read_secret(&place.admin_password_file)?)
        .env("PGHOST", &place.host)
        .env("PGPORT", place.port.to_string())
        .env("PGUSER", &place.admin_role)
        .env("PGDATABASE", &config.database.name)
        .env("PGCONNECT_TIMEOUT", "5")
        .kill_on_drop(true);
    if let Some(address) = &place.address {
        command.env("PGHOSTADDR", address);
    }
    Ok(command)
}

fn succeeded(tool: &'static str, success: bool, stderr: &[u8]) -> Result<(), Error> {
    if success {
        return Ok(());
    }
    Err(Error::Tool {
        tool,
        text: String::from_utf8_lossy(stderr).trim().to_owned(),
    })
}
