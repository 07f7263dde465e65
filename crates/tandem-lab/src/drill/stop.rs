//! The stop button: Ctrl-C and SIGTERM end a drill in order.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Error;

/// Cancelled when a person wants the drill to end.
pub type Stop = CancellationToken;

/// A button that Ctrl-C and SIGTERM press. The second Ctrl-C does not wait for
/// the cleaning up: what the lab started dies with this process anyway.
///
/// # Errors
/// If signals cannot be caught.
pub fn button() -> Result<Stop, Error> {
    let stop = Stop::new();
    let pressed = stop.clone();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Thread)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Thread)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if pressed.is_cancelled() {
                std::process::exit(130);
            }
            pressed.cancel();
        }
    });
    Ok(stop)
}
