//! Waiting for a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{Error, Result};

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// Asks again and again until `look` gives a value.
///
/// # Errors
/// [`Error::TooLate`] with the last thing seen after `bound`; an error of `look` ends the
/// wait at once.
pub(crate) async fn until<T, F: Future<Output = Result<Look<T>>>>(
    name: &str,
    goal: &str,
    bound: Duration,
    mut look: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + bound;
    loop {
        let last = match look().await? {
            Look::Ready(value) => return Ok(value),
            Look::Waiting(last) => last,
        };
        if Instant::now() >= deadline {
            let (name, goal) = (name.to_owned(), goal.to_owned());
            return Err(Error::TooLate {
                name,
                goal,
                bound,
                last,
            });
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// One look at a condition.
pub(crate) enum Look<T> {
    /// It holds.
    Ready(T),
    /// Not yet; what was seen instead.
    Waiting(String),
}
