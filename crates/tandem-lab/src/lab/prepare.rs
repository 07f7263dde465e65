//! The first furnishing: roles, schema, replication, the `origin` column, the authority record,
//! the access token of the lab's one person.
//!
//! Our own steps run as `tandem` commands, exactly as a person would type them.
//! The application's schema knows nothing of Tandem; `origin` is the lab's
//! addition, so that each row tells who acknowledged it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use super::check::Programs;
use super::files::{APPLICATION_ROLE, DATABASE, OWNER_ROLE, PERSON};
use super::layout::{Layout, place, witness};
use crate::links::Place;
use crate::process::{Launch, write_secret};
use crate::servers::Postgres;
use crate::wait::{Look, until};
use crate::{Error, Result};

/// The application's tables.
pub(crate) const SCHEMA: &str = include_str!("../../../../examples/crm/schema.sql");
/// Who acknowledged a row, told by the database itself.
const ORIGIN: &str =
    "ALTER TABLE public.contact ADD COLUMN IF NOT EXISTS origin text DEFAULT tandem_local.origin()";
/// How long one command of ours may take.
const COMMAND_BOUND: Duration = Duration::from_secs(180);
/// How long making an access token may take.
const TOKEN_BOUND: Duration = Duration::from_secs(30);
/// How long replication may take to catch up.
const CAUGHT_UP_BOUND: Duration = Duration::from_secs(60);

/// A connection to one database that knows whose it is.
pub(crate) struct Desk {
    name: String,
    client: Client,
}

impl Desk {
    /// Connects as superuser.
    pub(crate) async fn open(postgres: &Postgres, database: &str) -> Result<Self> {
        let name = postgres.process().name().to_owned();
        let connected = postgres.connect_config(database).connect(NoTls).await;
        let (client, connection) = connected.map_err(failed(&name, "connect"))?;
        // Ends when the client is dropped.
        tokio::spawn(connection);
        Ok(Self { name, client })
    }

    /// Runs `sql`, which `step` describes.
    pub(crate) async fn run(&self, step: &str, sql: &str) -> Result<()> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(failed(&self.name, step))
    }

    /// The first column of the one row of `sql`, as text.
    pub(crate) async fn ask(&self, step: &str, sql: &str) -> Result<String> {
        let row = self.client.query_one(sql, &[]).await;
        row.and_then(|row| row.try_get(0))
            .map_err(failed(&self.name, step))
    }
}

fn failed(name: &str, step: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let (name, step) = (name.to_owned(), step.to_owned());
    move |source| Error::Database { name, step, source }
}

/// Roles, database and tables of one site.
pub(crate) async fn schema(postgres: &Postgres, application_password: &str) -> Result<()> {
    let desk = Desk::open(postgres, "postgres").await?;
    // The password is of letters and digits only; the verifier is what a log would show.
    let roles = format!(
        "SET log_statement = 'none';
         CREATE ROLE {OWNER_ROLE} NOLOGIN;
         CREATE ROLE {APPLICATION_ROLE} LOGIN PASSWORD '{application_password}'"
    );
    desk.run("create the application's roles", &roles).await?;
    desk.run(
        "create the database",
        &format!("CREATE DATABASE {DATABASE}"),
    )
    .await?;
    let desk = Desk::open(postgres, DATABASE).await?;
    desk.run("create the application's tables", SCHEMA).await
}

/// Replication from `primary` to `replica`, then `origin`, then the authority record.
pub(crate) async fn replication(
    layout: &Layout,
    programs: &Programs,
    primary: &Postgres,
    replica: &Postgres,
) -> Result<()> {
    command(
        layout,
        programs,
        "replication-setup",
        // Nobody writes yet, so the guards may stand before an agent holds the right.
        &["replication", "setup", "--offline"],
        place("gcp"),
    )
    .await?;
    for postgres in [replica, primary] {
        let desk = Desk::open(postgres, DATABASE).await?;
        desk.run("add the column `origin`", ORIGIN).await?;
    }
    // From here on replication waits for the agents' relays.
    command(layout, programs, "init", &["init"], witness()).await
}

/// Makes the access token of the lab's person. What the command prints is a secret, so that it
/// goes into no log.
pub(crate) async fn token(layout: &Layout, programs: &Programs) -> Result<()> {
    let name = format!("tandem token new {PERSON}");
    let mut command = tokio::process::Command::new(&programs.tandem);
    command.args(["token", "new", PERSON, "--replace", "--into"]);
    command.arg(layout.token_hashes()).stdin(Stdio::null());
    let output = tokio::time::timeout(TOKEN_BOUND, command.kill_on_drop(true).output()).await;
    let too_late = |_| Error::TooLate {
        name: name.clone(),
        goal: "its end".into(),
        bound: TOKEN_BOUND,
        last: "it still runs".into(),
    };
    let output = output.map_err(too_late)?;
    let output = output.map_err(Error::process("start", &name))?;
    let token = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && !token.trim().is_empty() {
        return write_secret(&layout.token_file(), token.trim());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::process("make a token with", &name)(
        std::io::Error::other(said),
    ))
}

/// Runs `tandem ARGS --config CONFIG` at `place`, and with its configuration, to its end.
async fn command(
    layout: &Layout,
    programs: &Programs,
    name: &str,
    args: &[&str],
    place: Place,
) -> Result<()> {
    let config = layout.config_file(place);
    let mut args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(["--config".to_owned(), config.display().to_string()]);
    let launch = Launch {
        name: format!("tandem {}", args[..args.len() - 2].join(" ")),
        program: programs.tandem.clone(),
        args,
        env: Vec::new(),
        folder: layout.folder.clone(),
        log: layout.log(name),
        user: None,
        on: layout.host(place),
    };
    let process = launch.start()?;
    let status = process.ended(COMMAND_BOUND).await?;
    if status.success() {
        Ok(())
    } else {
        process.expect_alive("furnishing the lab")
    }
}

/// Waits until the other site has applied everything that `primary` has committed by now.
pub(crate) async fn caught_up(primary: &Postgres) -> Result<()> {
    let desk = Desk::open(primary, DATABASE).await?;
    let now = desk
        .ask("read its log position", "SELECT pg_current_wal_lsn()::text")
        .await?;
    let question = format!(
        "SELECT coalesce(min(CASE WHEN active AND confirmed_flush_lsn >= '{now}' THEN 'yes'
            ELSE format('slot %s is at %s of {now}, active: %s', slot_name, confirmed_flush_lsn, active) END), 'no slot')
         FROM pg_replication_slots WHERE slot_type = 'logical' AND NOT temporary"
    );
    until(
        "replication",
        "the newest commit",
        CAUGHT_UP_BOUND,
        || async {
            let answer = desk.ask("read its slots", &question).await?;
            Ok(if answer == "yes" {
                Look::Ready(())
            } else {
                Look::Waiting(answer)
            })
        },
    )
    .await
}

/// Where the schema came from, for the key of a prepared copy.
pub(crate) fn fingerprint(programs: &Programs) -> Vec<String> {
    let binary = |path: &PathBuf| {
        let about = std::fs::metadata(path).ok();
        let changed = about.as_ref().and_then(|about| about.modified().ok());
        format!(
            "{} {:?} {changed:?}",
            path.display(),
            about.map(|about| about.len())
        )
    };
    let mut parts = programs.versions.clone();
    parts.extend([
        SCHEMA.to_owned(),
        ORIGIN.to_owned(),
        binary(&programs.tandem),
    ]);
    parts
}
