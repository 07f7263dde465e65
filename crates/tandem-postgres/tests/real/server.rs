//! One PostgreSQL that dies with its handle.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// The superuser's password on every test server.
pub(crate) const ADMIN: &str = "admin's secret";

/// A server start or stop on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A real server in a temporary folder.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: TempDir,
    bin: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// A new cluster whose certificate is for `host`, with extra settings.
    pub(crate) fn start(host: &str, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tandem-pg-")
            .tempdir()
            .expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a free port").port();
        let mut server = Self {
            port,
            folder,
            bin: find_binaries(),
            child: None,
        };
        server.initialise(host, settings);
        server.run();
        server
    }

    /// Where the certificate that clients trust stands.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }

    /// A path of PostgreSQL's own programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Dies at once, as in a power cut: postmaster and children.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let children = children_of(child.id());
        signal("-KILL", &[child.id()]);
        signal("-KILL", &children);
        child.wait().expect("a killed server");
    }

    /// Starts again on the same folder and port.
    pub(crate) fn run(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("a log");
        let mut command = as_unprivileged(&self.bin.join("postgres"));
        command.arg("-D").arg(self.data()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(command.spawn().expect("postgres"));
        let begun = Instant::now();
        while !self.answers() {
            let child = self.child.as_mut().expect("just started");
            let over = child.try_wait().expect("a child").is_some() || begun.elapsed() > LIMIT;
            assert!(!over, "postgres did not start:\n{}", self.last_words());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A connection of `role` to `database`.
    pub(crate) async fn connect(&self, role: &str, password: &str, database: &str) -> Client {
        self.try_connect(role, password, database)
            .await
            .expect("a connection")
    }

    pub(crate) async fn try_connect(
        &self,
        role: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(role)
            .password(password)
            .dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The superuser in `crm`.
    pub(crate) async fn admin(&self) -> Client {
        self.connect("postgres", ADMIN, "crm").await
    }

    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.bin.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    fn initialise(&self, host: &str, settings: &[&str]) {
        let root = self.folder.path();
        let secret = root.join("admin");
        fs::write(&secret, ADMIN).expect("a password file");
        write_certificate(root, host);
        if rustix::process::geteuid().is_root() {
            give_to_postgres(root);
        }
        let mut initdb = as_unprivileged(&self.bin.join("initdb"));
        initdb
            .arg("-D")
            .arg(self.data())
            .arg("--pwfile")
            .arg(&secret);
        initdb.args([
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--auth=scram-sha-256",
            "--no-sync",
        ]);
        let done = initdb.output().expect("initdb");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let conf = self.data().join("postgresql.auto.conf");
        let mut text = self.settings();
        for setting in settings {
            text.push_str(setting);
            text.push('\n');
        }
        fs::write(conf, text).expect("settings");
    }

    fn settings(&self) -> String {
        let root = self.folder.path().display();
        format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\n\
             wal_level = logical\nmax_prepared_transactions = 0\ntrack_commit_timestamp = on\n\
             wal_receiver_timeout = 5s\nwal_retrieve_retry_interval = 100ms\n\
             max_slot_wal_keep_size = 1GB\nshared_buffers = 32MB\n\
             ssl = on\nssl_cert_file = '{root}/server.crt'\nssl_key_file = '{root}/server.key'\n",
            self.port
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The newest installed version, else what stands in the PATH.
fn find_binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    found.sort();
    found.reverse();
    found.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let needed = [
        "initdb",
        "postgres",
        "pg_isready",
        "pg_dump",
        "pg_dumpall",
        "psql",
    ];
    let complete = |bin: &PathBuf| needed.iter().all(|program| bin.join(program).exists());
    found
        .into_iter()
        .find(complete)
        .expect("PostgreSQL 15 or newer; apt-get install postgresql")
}

/// PostgreSQL refuses to run as root; the child also dies with this thread.
fn as_unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    // libpq inside the server would look for a client certificate in the caller's home.
    command
        .arg("--")
        .arg(program)
        .current_dir("/")
        .env("HOME", "/nonexistent");
    command
}

fn give_to_postgres(root: &Path) {
    let id = |flag: &str| -> u32 {
        let output = Command::new("id")
            .args([flag, "postgres"])
            .output()
            .expect("id");
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .expect("a user postgres")
    };
    let (user, group) = (id("-u"), id("-g"));
    let files = fs::read_dir(root)
        .expect("the folder")
        .flatten()
        .map(|entry| entry.path());
    for path in files.chain([root.to_path_buf()]) {
        chown(path, Some(user), Some(group)).expect("root may chown");
    }
}

fn write_certificate(root: &Path, host: &str) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    fs::write(root.join("server.crt"), made.cert.pem()).expect("a certificate");
    let key = root.join("server.key");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("our own file");
}

fn children_of(parent: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn signal(kind: &str, pids: &[u32]) {
    if !pids.is_empty() {
        let pids = pids.iter().map(u32::to_string);
        // Some children may be gone already.
        let _ = Command::new("kill")
            .arg(kind)
            .args(pids)
            .stderr(Stdio::null())
            .status();
    }
}
