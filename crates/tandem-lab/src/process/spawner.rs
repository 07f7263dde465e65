//! The one thread that starts every process.
//!
//! Linux sends the parent-death signal when the *thread* that forked ends, not
//! the process. A worker of an async runtime may end at any time; this thread
//! ends with us and not before. It is the crate's only global, since it must
//! outlive everything that could own it.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();

/// Starts `command` in a process group of its own, so that Ctrl-C reaches only us.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    let (reply, answer) = channel();
    let orders = SPAWNER.get_or_init(|| Mutex::new(begin()));
    let order = Order { command, reply };
    let sent = orders
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(order);
    sent.map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn begin() -> Sender<Order> {
    let (sender, receiver) = channel();
    let thread = thread::Builder::new().name("spawner".into());
    thread
        .spawn(move || serve(&receiver))
        .expect("one more thread is within every limit");
    sender
}

fn serve(orders: &Receiver<Order>) {
    while let Ok(Order { mut command, reply }) = orders.recv() {
        // Whoever asked may have given up.
        let _ = reply.send(command.spawn());
    }
}
