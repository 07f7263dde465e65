//! May a failed request be tried again elsewhere?
//!
//! Intuition: a letter that never left the house may be given to another
//! postman. One that left may be sent twice only if reading it twice is
//! harmless, and never after the reader began to answer.
//! Refused: retrying "idempotent" PUT and DELETE. They are harmless twice only
//! if nothing else wrote in between, which nobody here can know.

/// How far a failed attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No connection: not one byte of the request was sent.
    NeverSent,
    /// The request was sent, at least in part; no answer reached the client.
    MaybeSent,
    /// The client has seen the beginning of an answer.
    Answering,
}

/// What matters about a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// How far it came.
    pub progress: Progress,
    /// Whether its method only reads, see [`is_safe`].
    pub safe: bool,
    /// Whether its whole body can be sent once more.
    pub body_kept: bool,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try the next origin.
    Retry,
    /// Tell the client.
    GiveUp,
}

/// Tries per request, the first included: enough for a refused origin, its
/// silent neighbour and one in the other cloud; a bound against storms.
pub const TRIES_MAX: usize = 3;

/// Whether a request with this method only reads. Methods are case-sensitive.
pub fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// The verdict on a failed attempt.
pub fn judge(failed: Failed) -> Verdict {
    match failed.progress {
        Progress::NeverSent => Verdict::Retry,
        Progress::MaybeSent if failed.safe && failed.body_kept => Verdict::Retry,
        Progress::MaybeSent | Progress::Answering => Verdict::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_harmless_is_tried_again() {
        use Progress::{Answering, MaybeSent, NeverSent};
        for progress in [NeverSent, MaybeSent, Answering] {
            for safe in [true, false] {
                for body_kept in [true, false] {
                    let verdict = judge(Failed {
                        progress,
                        safe,
                        body_kept,
                    });
                    let harmless = match progress {
                        NeverSent => true,
                        MaybeSent => safe && body_kept,
                        Answering => false,
                    };
                    assert_eq!(verdict == Verdict::Retry, harmless, "{progress:?} {safe}");
                }
            }
        }
    }

    #[test]
    fn reading_methods_are_safe_and_no_others() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(is_safe(method), "{method}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "get", ""] {
            assert!(!is_safe(method), "{method}");
        }
    }
}
