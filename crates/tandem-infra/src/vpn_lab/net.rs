//! Namespaces, links and daemons: everything that must be taken away again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Namespaces and daemons of one bench; dropping it removes them.
pub(super) struct Net {
    tag: String,
    folder: PathBuf,
    namespaces: Vec<String>,
    daemons: Vec<(String, Child)>,
}

/// A command that failed, in one line.
pub(super) type Failure = String;

/// Runs a command and returns what it printed.
pub(super) fn run(words: &[&str]) -> Result<String, Failure> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", words.join(" "), complaint.trim()))
}

/// Waits until `look` is true; false if it never was in time.
pub(super) fn wait_until(limit: Duration, mut look: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + limit;
    loop {
        if look() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}

impl Net {
    pub(super) fn new(tag: &str, folder: &Path) -> Self {
        Self {
            tag: tag.to_owned(),
            folder: folder.to_owned(),
            namespaces: Vec::new(),
            daemons: Vec::new(),
        }
    }

    /// The full name of a namespace of this bench.
    pub(super) fn name(&self, short: &str) -> String {
        format!("{}{short}", self.tag)
    }

    /// A private folder of one daemon.
    pub(super) fn folder(&self, short: &str) -> PathBuf {
        self.folder.join(short)
    }

    pub(super) fn add(&mut self, short: &str) -> Result<(), Failure> {
        let name = self.name(short);
        run(&["ip", "netns", "add", &name])?;
        self.namespaces.push(name.clone());
        self.ip(short, "link set lo up")
    }

    /// `ip` inside a namespace.
    pub(super) fn ip(&self, short: &str, words: &str) -> Result<(), Failure> {
        self.ask_ip(short, words).map(|_| ())
    }

    /// What `ip` inside a namespace prints.
    pub(super) fn ask_ip(&self, short: &str, words: &str) -> Result<String, Failure> {
        let name = self.name(short);
        let mut all = vec!["ip", "-n", &name];
        all.extend(words.split(' '));
        run(&all)
    }

    /// A command inside a namespace.
    pub(super) fn inside(&self, short: &str, words: &[&str]) -> Result<String, Failure> {
        let name = self.name(short);
        let mut all = vec!["ip", "netns", "exec", &name];
        all.extend(words);
        run(&all)
    }

    /// A pair of links, each in its namespace.
    pub(super) fn pair(
        &self,
        (a, link_a): (&str, &str),
        (b, link_b): (&str, &str),
    ) -> Result<(), Failure> {
        let (in_a, in_b) = (self.name(a), self.name(b));
        run(&[
            "ip", "link", "add", link_a, "netns", &in_a, "type", "veth", "peer", "name", link_b,
            "netns", &in_b,
        ])?;
        self.ip(a, &format!("link set {link_a} up"))?;
        self.ip(b, &format!("link set {link_b} up"))
    }

    /// Starts a daemon with its output in its own file, so that no pipe of
    /// ours is held open by it.
    pub(super) fn start(
        &mut self,
        short: &str,
        words: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let path = self.folder(short).join("output");
        let output = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let twin = output.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new("ip")
            .args(["netns", "exec", &self.name(short)])
            .args(words)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(twin)
            .spawn()
            .map_err(|error| format!("ip: {error}"))?;
        self.daemons.push((short.to_owned(), child));
        Ok(())
    }

    /// A file of one daemon; empty if there is none yet.
    pub(super) fn read(&self, short: &str, file: &str) -> String {
        fs::read(self.folder(short).join(file))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Writes a private file of one daemon.
    pub(super) fn write(&self, short: &str, file: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder(short).join(file);
        fs::create_dir_all(self.folder(short))
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for (_, child) in &mut self.daemons {
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in &self.namespaces {
            let _ = run(&["ip", "netns", "del", name]);
        }
    }
}
