//! Takes the steps of a plan, each bounded in time.
//!
//! The schema travels through `pg_dump` and `psql`, the only tools that know all of it;
//! their passwords go through the environment, never through arguments.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio_postgres::error::SqlState;

use super::plan::{Action, Step};
use super::{Options, Pair, script};
use crate::connect::{Target, place, read_secret};
use crate::error::Error;
use crate::session::Session;

/// Guards and grants wait for locks of running transactions, not for ever.
const STEP_LIMIT: Duration = Duration::from_secs(60);
/// Dumping and restoring a schema without rows.
const SCHEMA_LIMIT: Duration = Duration::from_secs(300);
/// How often the copy's progress is looked at.
const POLL: Duration = Duration::from_millis(100);

const PROGRESS: &str = "
    SELECT count(*) FILTER (WHERE r.srsubstate = 'r'), count(*),
           coalesce(string_agg(format('%s (%s)', r.srrelid::regclass, r.srsubstate), ', ') FILTER (WHERE r.srsubstate <> 'r'), ''),
           coalesce((SELECT e.sync_error_count FROM pg_stat_subscription_stats e WHERE e.subname = $1::text), 0)
      FROM pg_subscription s LEFT JOIN pg_subscription_rel r ON r.srsubid = s.oid
     WHERE s.subname = $1::text AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Both administrators' connections.
pub(super) struct Executor<'a> {
    config: &'a Config,
    pair: &'a Pair,
    options: &'a Options,
    primary: Session,
    replica: Session,
    /// The copy runs without the relays, which are put in when it is done.
    direct: bool,
}

impl<'a> Executor<'a> {
    pub(super) async fn new(
        config: &'a Config,
        pair: &'a Pair,
        options: &'a Options,
    ) -> Result<Self, Error> {
        let primary = open(config, pair.primary.site).await?;
        let replica = open(config, pair.replica.site).await?;
        Ok(Self {
            config,
            pair,
            options,
            primary,
            replica,
            direct: false,
        })
    }

    pub(super) async fn take(&mut self, step: &Step) -> Result<(), Error> {
        let session = self.session(step.site);
        match &step.action {
            Action::Sql(sql) => run(session, &step.what, sql).await,
            Action::Role {
                name,
                exists,
                attributes,
                password_file,
            } => {
                let file = self.password_file(name, password_file.as_deref());
                let password = file
                    .map(script::password_clause)
                    .transpose()?
                    .unwrap_or_default();
                run(
                    session,
                    &step.what,
                    &script::role(name, *exists, attributes, &password),
                )
                .await
            }
            Action::CopySchema => self.copy_schema().await,
            Action::Subscribe => self.subscribe(&step.what).await,
            Action::Reconnect => self.reconnect().await,
        }
    }

    /// Waits until every table is copied, then puts the relays in if they were left out.
    pub(super) async fn wait_ready(
        &mut self,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let mut told = String::new();
        loop {
            let name = &self.pair.replica.subscription;
            let row = self
                .replica
                .row("copy", STEP_LIMIT, PROGRESS, &[name])
                .await?;
            let (ready, total): (i64, i64) = (row.get(0), row.get(1));
            if ready == total && total > 0 {
                break;
            }
            let (open, errors): (String, i64) = (row.get(2), row.get(3));
            let mut state = format!("{ready} of {total} tables ready; waiting for {open}");
            if errors > 0 {
                state.push_str(&format!(
                    "; {errors} failed attempts, see the log of {}",
                    self.pair.replica.site
                ));
            }
            if begun.elapsed() > self.options.copy_limit {
                let limit = self.options.copy_limit;
                return Err(Error::Unfinished {
                    what: "the copy of the tables",
                    limit,
                    state,
                });
            }
            if state != told {
                say(&state);
                told = state;
            }
            tokio::time::sleep(POLL).await;
        }
        if std::mem::take(&mut self.direct) {
            say(&format!(
                "{}: connect the subscription through the relays",
                self.pair.replica.site
            ));
            self.reconnect().await?;
        }
        Ok(())
    }

    fn session(&self, site: SiteId) -> &Session {
        if site == self.pair.primary.site {
            &self.primary
        } else {
            &self.replica
        }
    }

    fn password_file<'b>(&'b self, role: &str, configured: Option<&'b str>) -> Option<&'b str> {
        if role == self.config.database.application_role {
            return self.options.application_password_file.as_deref();
        }
        configured
    }

    /// Through the relays if an agent runs already; else straight, for the copy only.
    async fn subscribe(&mut self, what: &str) -> Result<(), Error> {
        let names = &self.pair.replica;
        let relays = script::relay_conninfo(self.config, names)?;
        match run(&self.replica, what, &script::subscribe(names, &relays)).await {
            Err(Error::Query { source, .. })
                if source.code() == Some(&SqlState::CONNECTION_FAILURE) =>
            {
                tracing::debug!("no relay answers yet; copying straight from the primary");
                let straight = script::direct_conninfo(self.config, names)?;
                run(&self.replica, what, &script::subscribe(names, &straight)).await?;
                self.direct = true;
                Ok(())
            }
            result => result,
        }
    }

    async fn reconnect(&self) -> Result<(), Error> {
        let names = &self.pair.replica;
        let relays = script::relay_conninfo(self.config, names)?;
        run(
            &self.replica,
            "connection of the subscription",
            &script::reconnect(names, &relays),
        )
        .await
    }

    async fn copy_schema(&self) -> Result<(), Error> {
        let (from, to) = (self.pair.primary.site, self.pair.replica.site);
        let work = async {
            let dump = self
                .tool("pg_dump", from)?
                .args(["--schema-only", "--no-publications", "--no-subscriptions"])
                .args(["--exclude-schema=tandem", "--exclude-schema=tandem_local"])
                .output();
            let dump = dump
                .await
                .map_err(|source| Error::file("pg_dump", source))?;
            succeeded("pg_dump", dump.status.success(), &dump.stderr)?;
            self.restore(to, &dump.stdout).await
        };
        let timed = tokio::time::timeout(SCHEMA_LIMIT, work).await;
        timed.map_err(|_| Error::Unfinished {
            what: "the copy of the schema",
            limit: SCHEMA_LIMIT,
            state: "stopped; the replica is as it was".into(),
        })?
    }

    async fn restore(&self, site: SiteId, script: &[u8]) -> Result<(), Error> {
        let mut psql = self
            .tool("psql", site)?
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

    fn tool(&self, program: &str, site: SiteId) -> Result<Command, Error> {
        let place = place(self.config, site)?;
        let mut command = Command::new(program);
        command
            .env("PGPASSWORD", read_secret(&place.admin_password_file)?)
            .env("PGHOST", &place.host)
            .env("PGPORT", place.port.to_string())
            .env("PGUSER", &place.admin_role)
            .env("PGDATABASE", &self.config.database.name)
            .env("PGCONNECT_TIMEOUT", "5")
            .kill_on_drop(true);
        if let Some(address) = &place.address {
            command.env("PGHOSTADDR", address);
        }
        Ok(command)
    }
}

async fn open(config: &Config, site: SiteId) -> Result<Session, Error> {
    let options = format!("-c search_path=pg_catalog -c lock_timeout={}", 20_000);
    let session = Target::admin(config, site)?
        .with_options(&options)
        .open()
        .await?;
    // The connection string of a subscription holds a password; a server log must not.
    for quiet in [
        "log_statement = 'none'",
        "log_min_error_statement = 'panic'",
        "log_min_duration_statement = -1",
    ] {
        let set = session
            .client()
            .batch_execute(&format!("SET {quiet}"))
            .await;
        if set.is_err() {
            tracing::debug!(%site, "the administrator may not SET {quiet}");
        }
    }
    Ok(session)
}

async fn run(session: &Session, what: &str, sql: &str) -> Result<(), Error> {
    match tokio::time::timeout(STEP_LIMIT, session.client().batch_execute(sql)).await {
        Ok(answer) => answer.map_err(|source| Error::query(what, source)),
        Err(_) => Err(Error::Unfinished {
            what: "a step of setup",
            limit: STEP_LIMIT,
            state: what.to_owned(),
        }),
    }
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
