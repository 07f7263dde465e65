//! One real PostgreSQL.
//!
//! It runs with the settings that Tandem asks of a managed service, with a
//! certificate of the lab's authority and with SCRAM passwords; it refuses
//! root, so that under root it runs as `postgres` (or `nobody`).

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::time::timeout;
use tokio_postgres::NoTls;

use super::binaries::PostgresBinaries;
use super::folder::Folder;
use super::segment;
use super::{START_BOUND, STOP_BOUND, with_port};
use crate::certificates::Authority;
use crate::process::{Host, Launch, Process, User, password, write_secret};
use crate::wait::{Look, until};
use crate::{Error, Result};

/// The superuser's name.
pub const SUPERUSER: &str = "postgres";
/// How long one attempt to connect may take while the server starts.
const ATTEMPT: Duration = Duration::from_secs(2);

/// What a managed service would be configured with; later `settings` win.
const SETTINGS: [(&str, &str); 15] = [
    ("unix_socket_directories", ""),
    ("wal_level", "logical"),
    ("max_prepared_transactions", "0"),
    ("wal_receiver_timeout", "5s"),
    ("wal_retrieve_retry_interval", "500ms"),
    ("track_commit_timestamp", "on"),
    ("max_slot_wal_keep_size", "512MB"),
    ("max_replication_slots", "10"),
    ("max_wal_senders", "10"),
    ("max_logical_replication_workers", "8"),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("ssl", "on"),
    ("logging_collector", "off"),
    // In its own folder: named segments outlive a `kill -9`, a megabyte each.
    ("dynamic_shared_memory_type", "mmap"),
];

/// How to start one.
#[derive(Default)]
pub struct PostgresOptions {
    /// Its name in messages, and the name in its certificate; `postgres.lab` if not given.
    pub name: Option<String>,
    /// Its folder; a temporary one if not given. Data, log and password stay in a given one.
    pub folder: Option<PathBuf>,
    /// Its port; a free one if not given.
    pub port: Option<u16>,
    /// Its log file; in its folder if not given.
    pub log: Option<PathBuf>,
    /// Who signs its certificate; an authority of its own if not given.
    pub authority: Option<Arc<Authority>>,
    /// The name that its certificate is for; `name` if not given.
    pub host: Option<String>,
    /// More lines for `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// Where in the network; on loopback if not given.
    pub on: Host,
}

/// A running server. Dropping it kills it.
pub struct Postgres {
    process: Process,
    launch: Launch,
    port: u16,
    password: String,
    folder: Folder,
}

impl Postgres {
    /// Makes the data folder if there is none, starts the server and waits until it answers.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Died`] with the end of its log, [`Error::TooLate`].
    pub async fn start(options: PostgresOptions) -> Result<Self> {
        let binaries = PostgresBinaries::find()?;
        let name = options
            .name
            .clone()
            .unwrap_or_else(|| "postgres.lab".into());
        let folder = Folder::open(options.folder.clone(), "postgres")?;
        if !folder.join("data/PG_VERSION").exists() {
            create(&binaries, &name, &folder, &options).await?;
        }
        let password = read(&folder.join("superuser.password"))?;
        let launch = launch(&binaries, name, &folder, options.log, options.on);
        let (process, port) = with_port(options.port, |port| {
            let serving = serve(&launch, &folder, port, &password);
            async move { Ok((serving.await?, port)) }
        })
        .await?;
        Ok(Self {
            process,
            launch,
            port,
            password,
            folder,
        })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of [`SUPERUSER`].
    pub fn superuser_password(&self) -> &str {
        &self.password
    }

    /// The file with the password of [`SUPERUSER`], mode 0600.
    pub fn superuser_password_file(&self) -> PathBuf {
        self.folder.join("superuser.password")
    }

    /// The certificate of the authority that signed the server's.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Its folder: `data/`, password and certificate.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process, for its log and its number.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// How to connect to `database` as [`SUPERUSER`].
    pub fn connect_config(&self, database: &str) -> tokio_postgres::Config {
        connect_config(self.launch.on.at(self.port), &self.password, database)
    }

    /// Kills the postmaster and every backend at once.
    ///
    /// # Errors
    /// [`Error::Process`], [`Error::TooLate`].
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts it on the same port and data after [`Self::kill`] or [`Self::stop`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = serve(&self.launch, &self.folder, self.port, &self.password).await?;
        Ok(())
    }

    /// Stops it cleanly (a "fast" shutdown).
    ///
    /// # Errors
    /// [`Error::TooLate`] if it does not stop.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::INT)?;
        self.process.ended(STOP_BOUND).await.map(|_| ())
    }

    /// Postmaster and backends, for one strike at a whole site.
    pub fn family(&self) -> Vec<Pid> {
        self.process.family()
    }

    /// SIGSTOP to the postmaster and every backend.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn freeze(&self) -> Result<()> {
        self.process.freeze()
    }

    /// SIGCONT to all of them.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn thaw(&self) -> Result<()> {
        self.process.thaw()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.process.end();
        segment::remove_of(&self.folder.join("data"));
    }
}

fn connect_config(server: SocketAddr, password: &str, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .host(server.ip().to_string())
        .port(server.port())
        .user(SUPERUSER)
        .password(password)
        .dbname(database);
    config.connect_timeout(ATTEMPT);
    config
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::file("read", path))
}

/// `initdb`, password, certificate and settings; then everything is handed to the server's user.
async fn create(
    binaries: &PostgresBinaries,
    name: &str,
    folder: &Folder,
    options: &PostgresOptions,
) -> Result<()> {
    write_secret(&folder.join("superuser.password"), &password())?;
    hand_over(folder)?;
    initdb(binaries, name, folder).await?;
    let host = options.host.as_deref().unwrap_or(name);
    certify(folder, options.authority.clone(), host)?;
    let mut lines = String::new();
    let extra = options
        .settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let address = options.on.address.to_string();
    let own = [("listen_addresses", address.as_str())];
    for (key, value) in own.into_iter().chain(SETTINGS).chain(extra) {
        lines += &format!("{key} = '{}'\n", value.replace('\'', "''"));
    }
    let path = folder.join("data/postgresql.conf");
    fs::write(&path, lines).map_err(Error::file("write", &path))?;
    if options.on.namespace.is_some() {
        let_neighbours_in(&folder.join("data/pg_hba.conf"))?;
    }
    hand_over(folder)
}

/// `initdb` lets loopback in alone; whoever reaches a namespace of ours stands in one as well.
fn let_neighbours_in(path: &Path) -> Result<()> {
    let opened = fs::OpenOptions::new().append(true).open(path);
    let mut file = opened.map_err(Error::file("open", path))?;
    let line = "host all all all scram-sha-256\n";
    file.write_all(line.as_bytes())
        .map_err(Error::file("write", path))
}

fn certify(folder: &Folder, authority: Option<Arc<Authority>>, host: &str) -> Result<()> {
    let authority = authority.map_or_else(|| Authority::new().map(Arc::new), Ok)?;
    authority.write(&folder.join("ca.crt"))?;
    let signed = authority.sign(host)?;
    signed.write(
        &folder.join("data/server.crt"),
        &folder.join("data/server.key"),
    )
}

fn hand_over(folder: &Folder) -> Result<()> {
    User::unprivileged().map_or(Ok(()), |user| user.own(folder.path()))
}

async fn initdb(binaries: &PostgresBinaries, name: &str, folder: &Folder) -> Result<()> {
    let argument = |key: &str, path: &str| format!("--{key}={}", folder.join(path).display());
    let args = vec![
        argument("pgdata", "data"),
        argument("pwfile", "superuser.password"),
        format!("--username={SUPERUSER}"),
        "--auth=scram-sha-256".into(),
        "--encoding=UTF8".into(),
        "--locale=C".into(),
        "--no-sync".into(),
    ];
    let log = folder.join("initdb.log");
    let made = Launch {
        name: format!("{name} (initdb)"),
        program: binaries.initdb.clone(),
        args,
        env: Vec::new(),
        folder: folder.path().to_path_buf(),
        log: log.clone(),
        user: User::unprivileged(),
        on: Host::default(),
    };
    let process = made.start()?;
    let status = process.ended(START_BOUND).await?;
    if !status.success() {
        return process.expect_alive("making its data folder");
    }
    let data = folder.join("data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))
        .map_err(Error::file("protect", &data))
}

fn launch(
    binaries: &PostgresBinaries,
    name: String,
    folder: &Folder,
    log: Option<PathBuf>,
    on: Host,
) -> Launch {
    Launch {
        name,
        program: binaries.postgres.clone(),
        args: Vec::new(),
        // As a subscriber the server looks for libpq's files in its home, which is not ours.
        env: vec![("HOME".into(), folder.path().display().to_string())],
        folder: folder.path().to_path_buf(),
        log: log.unwrap_or_else(|| folder.join("postgres.log")),
        user: User::unprivileged(),
        on,
    }
}

/// Starts the server and waits until it answers a query.
async fn serve(launch: &Launch, folder: &Folder, port: u16, password: &str) -> Result<Process> {
    let mut launch = launch.clone();
    launch.args = vec![
        "-D".into(),
        folder.join("data").display().to_string(),
        "-p".into(),
        port.to_string(),
    ];
    let process = launch.start()?;
    let config = connect_config(launch.on.at(port), password, "postgres");
    until(&launch.name, "its first answer", START_BOUND, || async {
        process.expect_alive("starting")?;
        Ok(match timeout(ATTEMPT, answers(&config)).await {
            Ok(Ok(())) => Look::Ready(()),
            Ok(Err(error)) => Look::Waiting(error.to_string()),
            Err(_) => Look::Waiting("no answer".into()),
        })
    })
    .await?;
    Ok(process)
}

async fn answers(config: &tokio_postgres::Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let answer = client.simple_query("SELECT 1").await.map(|_| ());
    driver.abort();
    answer
}
