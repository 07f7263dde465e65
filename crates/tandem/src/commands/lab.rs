//! `tandem lab`: two clouds on one machine, and a hand on every plug.
//!
//! `up` starts an owner process in the background and returns when the service can be
//! used; every other command is one line of JSON to that process. Exit codes: 0 done, 1 it went
//! wrong, 2 it cannot be done as asked for, 130 interrupted.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use tandem_lab::control::{LinkChange, Reply, Request, call, serve, with_causes};
use tandem_lab::lab::{BASE_PORT, NetworkKind, ProcessState, Status, folder_of, sweep};
use tandem_lab::links::{Cut, Shape};
use tandem_lab::namespaces::Stand;
use tandem_lab::{Error, Lab, LabOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::network::Network;

/// It cannot be done as it was asked for.
const REFUSED: u8 = 2;
/// What the owner says when the service can be used.
const READY: &str = "the lab is up";
/// How often a followed log is looked at.
const FOLLOW_PERIOD: Duration = Duration::from_millis(200);

/// Arguments of `tandem lab`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// First of the lab's ports; labs of different bases run side by side
    #[arg(long, global = true, default_value_t = BASE_PORT)]
    base_port: u16,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start both clouds, the witness and the edge
    Up(Up),
    /// Stop everything and remove the lab's folder
    Down,
    /// Show every process and every link that was changed
    Status {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Throw all data away and start from the prepared copy
    Reset,
    /// Cut, mend, slow or throttle the link between two places (aws, gcp, witness, outside)
    Link(Link),
    /// Kill a process (aws.postgres) or everything of a site (aws), as kill -9 does
    Kill {
        /// Process or site
        name: String,
    },
    /// Start a process, or what is missing of a site
    Start {
        /// Process or site
        name: String,
    },
    /// Stop a process without telling it (SIGSTOP)
    Freeze {
        /// Process
        name: String,
    },
    /// Let a frozen process go on
    Thaw {
        /// Process
        name: String,
    },
    /// Cut a place (aws, gcp, witness) from everybody else; what is inside lives on
    Isolate {
        /// Place
        name: String,
        /// `drop` loses everything silently, `reset` resets connections
        #[arg(long, value_enum, default_value_t = How::Drop)]
        how: How,
    },
    /// Mend every link of a place
    Heal {
        /// Place
        name: String,
    },
    /// Faults of the coordination store (etcd)
    Store {
        #[command(subcommand)]
        fault: StoreFault,
    },
    /// Start an agent or a gate anew with another time since boot than the machine's
    Clock {
        /// Process
        name: String,
        /// How many seconds ahead; negative: behind
        #[arg(long, allow_negative_numbers = true)]
        ahead_s: i64,
    },
    /// Print the end of a process's log
    Logs {
        /// Process
        name: String,
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
        /// Go on as it grows, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
}

#[derive(Subcommand)]
enum StoreFault {
    /// Make the member at a place (aws, gcp, witness) the leader
    Lead {
        /// Place
        name: String,
    },
    /// Copy the disk of every member
    Copy,
    /// Kill every member and start it on the disk that was copied
    Restore,
}

impl StoreFault {
    fn request(self) -> Request {
        match self {
            Self::Lead { name } => Request::Lead { name },
            Self::Copy => Request::Copy,
            Self::Restore => Request::Restore,
        }
    }
}

#[derive(clap::Args)]
struct Up {
    /// Stay in the foreground until Ctrl-C
    #[arg(long)]
    foreground: bool,
    /// Own the lab for a command that waits in the foreground
    #[arg(long, hide = true, conflicts_with = "foreground")]
    owner: bool,
    /// What joins the places
    #[arg(long, value_enum, default_value_t)]
    network: Network,
    /// One-way delay between the places, in milliseconds [default: 2, or 0 if the network cannot]
    #[arg(long)]
    delay_ms: Option<u64>,
    /// How much the delay varies, up or down, in milliseconds [default: 1, or 0 if the network
    /// cannot]
    #[arg(long)]
    jitter_ms: Option<u64>,
    /// Drives the jitter
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(clap::Args)]
#[group(required = true, multiple = true, id = "change")]
struct Link {
    /// Two places, as in aws-gcp
    #[arg(group = "named")]
    name: String,
    /// Cut it: `drop` loses everything silently, `reset` resets connections
    #[arg(long, value_enum, group = "change", conflicts_with = "heal")]
    cut: Option<How>,
    /// Cut only the way from the first place to the second
    #[arg(long, requires = "cut")]
    one_way: bool,
    /// Mend it; delay and capacity stay
    #[arg(long, group = "change")]
    heal: bool,
    /// One-way delay in milliseconds
    #[arg(long, group = "change")]
    delay_ms: Option<u64>,
    /// How much the delay varies, up or down, in milliseconds
    #[arg(long, group = "change")]
    jitter_ms: Option<u64>,
    /// Bytes per second that fit through each way; 0 = all
    #[arg(long, group = "change")]
    bytes_per_second: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    Drop,
    Reset,
}

impl How {
    fn cut(self) -> Cut {
        match self {
            Self::Drop => Cut::Drop,
            Self::Reset => Cut::Reset,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let base_port = args.base_port;
    let folder = folder_of(base_port);
    match args.command {
        Command::Up(up) => run_up(base_port, &up),
        Command::Down => run_down(&folder),
        Command::Status { output } => run_status(&folder, output),
        Command::Reset => obey(&folder, &Request::Reset),
        Command::Link(link) => obey(&folder, &link.request()),
        Command::Kill { name } => obey(&folder, &Request::Kill { name }),
        Command::Start { name } => obey(&folder, &Request::Start { name }),
        Command::Freeze { name } => obey(&folder, &Request::Freeze { name }),
        Command::Thaw { name } => obey(&folder, &Request::Thaw { name }),
        Command::Isolate { name, how } => obey(
            &folder,
            &Request::Isolate {
                name,
                cut: how.cut(),
            },
        ),
        Command::Heal { name } => obey(&folder, &Request::Heal { name }),
        Command::Store { fault } => obey(&folder, &fault.request()),
        Command::Clock { name, ahead_s } => obey(&folder, &Request::Clock { name, ahead_s }),
        Command::Logs {
            name,
            lines,
            follow,
        } => run_logs(&folder, &name, lines, follow),
    }
}

impl Link {
    fn request(self) -> Request {
        let change = LinkChange {
            heal: self.heal,
            cut: self.cut.map(How::cut),
            one_way: self.one_way,
            delay_ms: self.delay_ms,
            jitter_ms: self.jitter_ms,
            bytes_per_second: self.bytes_per_second,
        };
        Request::Link {
            name: self.name,
            change,
        }
    }
}

fn run_up(base_port: u16, up: &Up) -> anyhow::Result<ExitCode> {
    let owns = up.foreground || up.owner;
    let stand = match owns.then(|| up.network.take(base_port, say)).transpose() {
        Ok(stand) => stand.flatten(),
        Err(error) => return Ok(told(&error)),
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    if owns {
        runtime.block_on(own(base_port, up, stand))
    } else {
        runtime.block_on(follow_owner(base_port, up))
    }
}

/// Starts the owner and prints what it says, until the lab is up.
async fn follow_owner(base_port: u16, up: &Up) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut owner = tokio::process::Command::new(std::env::current_exe()?)
        .args([
            "lab",
            "up",
            "--owner",
            "--base-port",
            &base_port.to_string(),
        ])
        .args(["--network", up.network.word()])
        .args(["--seed", &up.seed.to_string()])
        .args(millis("--delay-ms", up.delay_ms))
        .args(millis("--jitter-ms", up.jitter_ms))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("the lab's owner process cannot be started")?;
    let mut lines = BufReader::new(owner.stdout.take().expect("piped above")).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line.context("the lab's owner process is not readable")?,
            () = signals.next() => {
                interrupt(&owner);
                continue;
            }
        };
        let Some(line) = line else { break };
        println!("{line}");
        if line.starts_with(READY) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let status = owner.wait().await?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}

fn millis(option: &str, given: Option<u64>) -> Vec<String> {
    given.map_or_else(Vec::new, |millis| vec![option.into(), millis.to_string()])
}

/// Asks the owner to clean up and end; its output then ends too.
fn interrupt(owner: &tokio::process::Child) {
    let pid = owner
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
    if let Some(pid) = pid {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Owns the lab until it is told to end.
async fn own(base_port: u16, up: &Up, stand: Option<Stand>) -> anyhow::Result<ExitCode> {
    if up.owner {
        // Ctrl-C and the end of the terminal are for the command in the foreground.
        rustix::process::setsid().context("no session of its own")?;
    }
    let mut signals = Signals::new()?;
    let options = options(base_port, up, stand);
    let started = tokio::select! {
        started = Lab::start(options) => started,
        () = signals.next() => {
            say("interrupted; everything that was started is gone");
            return Ok(ExitCode::from(130));
        }
    };
    let lab = match started {
        Ok(lab) => lab,
        Err(error) => return Ok(told(&error)),
    };
    let status = lab.status();
    let hint = from_where(&status);
    // The command in the foreground returns at the line that says so.
    for line in for_a_person(&status) {
        say(&line);
    }
    say(&format!("{READY}: clients go to {}{hint}", status.edge));
    say("status: `tandem lab status`; the end: `tandem lab down`");
    if up.owner {
        let_go_of_output().context("the output of the command in the foreground is not let go")?;
    }
    serve(lab, signals.next())
        .await
        .context("the lab did not end cleanly")?;
    Ok(ExitCode::SUCCESS)
}

/// The command in the foreground returns now: who reads its output through a pipe must see the end.
fn let_go_of_output() -> std::io::Result<()> {
    let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    Ok(())
}

fn options(base_port: u16, up: &Up, stand: Option<Stand>) -> LabOptions {
    let usual = LabOptions::default().shape;
    let usual = stand.as_ref().map_or(usual, |stand| stand.fitting(usual));
    let chosen = |given: Option<u64>, usual| given.map_or(usual, Duration::from_millis);
    LabOptions {
        base_port,
        shape: Shape {
            delay: chosen(up.delay_ms, usual.delay),
            jitter: chosen(up.jitter_ms, usual.jitter),
            ..usual
        },
        stand,
        seed: up.seed,
        progress: Arc::new(say),
        ..LabOptions::default()
    }
}

/// Prints a line. The command that listened may have returned long ago.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints an error and gives its exit code.
fn told(error: &Error) -> ExitCode {
    eprintln!("error: {}", with_causes(error));
    ExitCode::from(if matches!(error, Error::Refused(_)) {
        REFUSED
    } else {
        1
    })
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn run_down(folder: &Path) -> anyhow::Result<ExitCode> {
    if let Some(reply) = call(folder, &Request::Down)? {
        return Ok(answered(reply));
    }
    match sweep(folder) {
        Ok(true) => println!("cleaned up what a dead lab had left"),
        Ok(false) => println!("no lab runs in {}", folder.display()),
        Err(error) => return Ok(told(&error)),
    }
    Ok(ExitCode::SUCCESS)
}

fn obey(folder: &Path, request: &Request) -> anyhow::Result<ExitCode> {
    Ok(call(folder, request)?.map_or_else(|| absent(folder), answered))
}

fn absent(folder: &Path) -> ExitCode {
    eprintln!(
        "error: no lab runs in {}; start one with `tandem lab up`",
        folder.display()
    );
    ExitCode::from(REFUSED)
}

fn answered(reply: Reply) -> ExitCode {
    match reply {
        Reply::Done => ExitCode::SUCCESS,
        Reply::Status(status) => {
            print_status(&status);
            ExitCode::SUCCESS
        }
        Reply::Refused(why) => {
            eprintln!("error: {why}");
            ExitCode::from(REFUSED)
        }
        Reply::Failed(why) => {
            eprintln!("error: {why}");
            ExitCode::from(1)
        }
    }
}

fn run_status(folder: &Path, output: Output) -> anyhow::Result<ExitCode> {
    match (call(folder, &Request::Status)?, output) {
        (None, _) => Ok(absent(folder)),
        (Some(Reply::Status(status)), Output::Json) => {
            println!("{}", serde_json::to_string_pretty(&status)?);
            Ok(ExitCode::SUCCESS)
        }
        (Some(reply), _) => Ok(answered(reply)),
    }
}

fn print_status(status: &Status) {
    println!("network   {}", status.network);
    println!("clients   {}{}", status.edge, from_where(status));
    println!("config    {}", status.config.display());
    println!("logs      {}", status.folder.join("logs").display());
    for line in for_a_person(status) {
        println!("{line}");
    }
    for process in &status.processes {
        let state = match &process.state {
            ProcessState::Running => "running".to_owned(),
            ProcessState::Frozen => "frozen".to_owned(),
            ProcessState::Busy => "starting or stopping".to_owned(),
            ProcessState::Ended(how) => format!("ended ({how})"),
        };
        let pid = process
            .pid
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        println!("{:<18} {pid:>8}  {state}", process.name);
    }
    for link in &status.links {
        println!("{}-{}: {}", link.from, link.to, shape(&link.shape));
    }
}

/// How a person who may change something uses the lab's access token.
fn for_a_person(status: &Status) -> [String; 2] {
    let Status {
        token_file,
        config,
        cluster,
        ..
    } = status;
    [
        format!(
            "person    export TANDEM_TOKEN_FILE={}",
            token_file.display()
        ),
        format!(
            "          tandem switchover --to gcp --reason test --config {} --confirm {cluster}",
            config.display()
        ),
    ]
}

/// Who stands outside the namespaces cannot reach what is inside.
fn from_where(status: &Status) -> String {
    match status.network {
        NetworkKind::Userland => String::new(),
        NetworkKind::Namespaces => format!(
            " (from `ip netns exec tandem-{}-outside COMMAND`)",
            status.base_port
        ),
    }
}

fn shape(shape: &Shape) -> String {
    let mut words = vec![format!("delay {:?} +- {:?}", shape.delay, shape.jitter)];
    words.extend(shape.bytes_per_second.map(|rate| format!("{rate} bytes/s")));
    words.extend(shape.cut.map(|cut| match cut {
        Cut::Drop => "cut silently".to_owned(),
        Cut::Reset => "cut with a reset".to_owned(),
    }));
    words.join(", ")
}

fn run_logs(folder: &Path, name: &str, lines: usize, follow: bool) -> anyhow::Result<ExitCode> {
    let Some(path) = log_file(folder, name) else {
        eprintln!(
            "error: no log of `{name}` in {}; see `tandem lab status`",
            folder.display()
        );
        return Ok(ExitCode::from(REFUSED));
    };
    let mut file = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
    let text = end_of(&mut file)?;
    let all: Vec<_> = text.lines().collect();
    let mut out = std::io::stdout().lock();
    for line in &all[all.len().saturating_sub(lines)..] {
        writeln!(out, "{line}")?;
    }
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        let mut grown = Vec::new();
        file.read_to_end(&mut grown)?;
        out.write_all(&grown)?;
        out.flush()?;
        std::thread::sleep(FOLLOW_PERIOD);
    }
}

fn log_file(folder: &Path, name: &str) -> Option<PathBuf> {
    let legal = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    let path = folder.join("logs").join(format!("{name}.log"));
    (legal && path.is_file()).then_some(path)
}

/// The last megabyte, as text; the file then stands at its end.
fn end_of(file: &mut std::fs::File) -> std::io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(1024 * 1024)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
