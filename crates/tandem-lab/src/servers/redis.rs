//! One real Redis, without persistence, with a password.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::folder::Folder;
use super::{START_BOUND, STOP_BOUND, binaries, with_port};
use crate::process::{Host, Launch, Process, password, write_secret};
use crate::wait::{Look, until};
use crate::{Error, Result};

/// How long one PING may take while the server starts.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How to start one.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// Its name in messages; `redis` if not given.
    pub name: Option<String>,
    /// Its folder; a temporary one if not given.
    pub folder: Option<PathBuf>,
    /// Its port; a free one if not given.
    pub port: Option<u16>,
    /// Its log file; in its folder if not given.
    pub log: Option<PathBuf>,
    /// Where in the network; on loopback if not given.
    pub on: Host,
}

/// A running server. Dropping it kills it.
pub struct Redis {
    process: Process,
    launch: Launch,
    port: u16,
    password: String,
    folder: Folder,
}

impl Redis {
    /// Starts it and waits until it answers PING.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Died`] with the end of its log, [`Error::TooLate`].
    pub async fn start(options: RedisOptions) -> Result<Self> {
        let folder = Folder::open(options.folder, "redis")?;
        let password = kept_password(&folder)?;
        let launch = Launch {
            name: options.name.unwrap_or_else(|| "redis".into()),
            program: binaries::redis()?,
            args: vec![folder.join("redis.conf").display().to_string()],
            env: Vec::new(),
            folder: folder.path().to_path_buf(),
            log: options.log.unwrap_or_else(|| folder.join("redis.log")),
            user: None,
            on: options.on,
        };
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

    /// The password of its default user.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The process, for its log and its number.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it; everything in it is lost.
    ///
    /// # Errors
    /// [`Error::Process`], [`Error::TooLate`].
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts it on the same port after [`Self::kill`] or [`Self::stop`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = serve(&self.launch, &self.folder, self.port, &self.password).await?;
        Ok(())
    }

    /// Stops it cleanly.
    ///
    /// # Errors
    /// [`Error::TooLate`] if it does not stop.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        self.process.ended(STOP_BOUND).await.map(|_| ())
    }

    /// The process, for one strike at a whole site.
    pub fn family(&self) -> Vec<Pid> {
        self.process.family()
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn freeze(&self) -> Result<()> {
        self.process.freeze()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn thaw(&self) -> Result<()> {
        self.process.thaw()
    }
}

/// The password of an earlier start in this folder, else a new one.
fn kept_password(folder: &Folder) -> Result<String> {
    let path = folder.join("redis.password");
    if !path.exists() {
        write_secret(&path, &password())?;
    }
    std::fs::read_to_string(&path).map_err(Error::file("read", &path))
}

async fn serve(launch: &Launch, folder: &Folder, port: u16, password: &str) -> Result<Process> {
    let configuration = format!(
        "port {port}\nbind {}\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\ndir \"{}\"\n",
        launch.on.address,
        folder.path().display()
    );
    write_secret(&folder.join("redis.conf"), &configuration)?;
    let process = launch.start()?;
    until(&launch.name, "its first answer", START_BOUND, || async {
        process.expect_alive("starting")?;
        Ok(
            match timeout(ATTEMPT, ping(launch.on.at(port), password)).await {
                Ok(Ok(answer)) if answer.contains("+PONG") => Look::Ready(()),
                Ok(Ok(answer)) => Look::Waiting(answer),
                Ok(Err(error)) => Look::Waiting(error.to_string()),
                Err(_) => Look::Waiting("no answer".into()),
            },
        )
    })
    .await?;
    Ok(process)
}

/// AUTH, PING and QUIT in Redis's inline form; the answer is all that comes until it hangs up.
async fn ping(server: SocketAddr, password: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream
        .write_all(format!("AUTH {password}\r\nPING\r\nQUIT\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
