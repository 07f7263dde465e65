//! Who waits for whom in a session, and whether it stands between transactions.
//!
//! Intuition: each Query, Sync and FunctionCall of the client is answered by one
//! ReadyForQuery of the server. When all are answered, the server's word is
//! "idle" and the client has begun nothing new, the session stands between two
//! transactions: the place where it can be ended, or held, without harm.
//! The exception is COPY FROM: while it runs the server ignores Sync, and drivers
//! send one right behind the Execute that starts it.
//! Invariant: on doubt, a session is *not* between transactions.

use std::collections::VecDeque;

use crate::protocol::frame::Message;

/// Most runs of unlike requests in one pipeline that are followed; a run of equal ones counts
/// once, so that real pipelines have a handful. Beyond it the session counts as busy for ever.
const RUNS_MAX: usize = 1024;

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// The server has not said yet that it is ready: authentication.
    Opening = 0,
    /// Between transactions.
    Idle = 1,
    /// The server works on something.
    Busy = 2,
    /// The client holds a transaction open and is silent.
    InTransaction = 3,
    /// The client holds a failed transaction open and is silent.
    Failed = 4,
}

impl Activity {
    /// Every activity, in the order of its number.
    pub const ALL: [Self; 5] = [
        Self::Opening,
        Self::Idle,
        Self::Busy,
        Self::InTransaction,
        Self::Failed,
    ];

    /// The name in status answers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::InTransaction => "in_transaction",
            Self::Failed => "failed",
        }
    }
}

/// What a client sent that matters for who waits for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// Query or FunctionCall.
    Query,
    /// Sync.
    Sync,
    /// CopyDone or CopyFail; answered by nothing.
    CopyEnd,
}

/// The state of one session.
#[derive(Debug)]
pub struct Dialogue {
    /// The server's last word; opening until its first.
    last: Activity,
    /// Requests without an answer, equal ones in a run, oldest first.
    unanswered: VecDeque<(Request, u32)>,
    /// The client sent extended-query messages after its last Sync.
    unsynced: bool,
    /// The server takes COPY data and ignores Sync.
    copying: bool,
    /// The pipeline was too wild to follow.
    lost: bool,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self {
            last: Activity::Opening,
            unanswered: VecDeque::new(),
            unsynced: false,
            copying: false,
            lost: false,
        }
    }
}

impl Dialogue {
    /// Takes in a message on its way from the client to the server.
    pub fn handle_client(&mut self, message: Message<'_>) {
        match message.tag() {
            b'Q' | b'F' => self.expect(Request::Query),
            b'S' if self.copying => {}
            b'S' => {
                self.unsynced = false;
                self.expect(Request::Sync);
            }
            b'P' | b'B' | b'E' | b'D' | b'C' => self.unsynced = true,
            b'c' | b'f' if self.copying => self.copying = false,
            b'c' | b'f' => self.expect(Request::CopyEnd),
            _ => {}
        }
    }

    /// Takes in a message on its way from the server to the client.
    pub fn handle_server(&mut self, message: Message<'_>) {
        match message {
            Message::Whole { tag: b'Z', body } => self.ready(body.first().copied()),
            Message::Whole { tag: b'G', .. } | Message::Begun { tag: b'G', .. } => self.copy_in(),
            other if other.tag() == b'E' => self.copying = false,
            _ => {}
        }
    }

    /// What the session is doing.
    pub fn activity(&self) -> Activity {
        let waiting = self
            .unanswered
            .iter()
            .any(|(kind, _)| *kind != Request::CopyEnd);
        let busy = waiting || self.unsynced || self.copying || self.lost;
        if busy && self.last != Activity::Opening {
            Activity::Busy
        } else {
            self.last
        }
    }

    fn expect(&mut self, request: Request) {
        let runs = self.unanswered.len();
        match self.unanswered.back_mut() {
            Some((kind, count)) if *kind == request && *count < u32::MAX => *count += 1,
            _ if runs < RUNS_MAX => self.unanswered.push_back((request, 1)),
            _ => self.lost = true,
        }
    }

    fn ready(&mut self, status: Option<u8>) {
        self.copying = false;
        self.skip_copy_ends();
        self.answered();
        self.last = match status {
            Some(b'I') => Activity::Idle,
            Some(b'E') => Activity::Failed,
            _ => Activity::InTransaction,
        };
    }

    /// COPY FROM begins: what the client sent before the end of its data, except the Query that
    /// began it, is never answered.
    fn copy_in(&mut self) {
        self.skip_copy_ends();
        let by_query = matches!(self.unanswered.front(), Some((Request::Query, _)));
        if by_query {
            self.answered();
        }
        self.copying = true;
        while let Some((kind, _)) = self.unanswered.front() {
            if *kind == Request::CopyEnd {
                self.answered();
                self.copying = false;
                break;
            }
            self.unanswered.pop_front();
        }
        if self.copying {
            self.unsynced = true;
        }
        if by_query {
            self.unsynced = false;
            self.unanswered.push_front((Request::Query, 1));
        }
    }

    /// Ends of data that the server threw away, since the COPY had failed before.
    fn skip_copy_ends(&mut self) {
        while let Some((Request::CopyEnd, _)) = self.unanswered.front() {
            self.unanswered.pop_front();
        }
    }

    /// The oldest request has its answer. A server that answers more than it was asked is followed.
    fn answered(&mut self) {
        if let Some((_, count)) = self.unanswered.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.unanswered.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Busy, Failed, Idle, InTransaction, Opening};

    /// `>Q` client sends Query, `<Z:I` server says ready and idle.
    fn check(transcript: &str, expected: Activity) {
        let mut dialogue = Dialogue::default();
        for word in transcript.split_whitespace() {
            let bytes = word.as_bytes();
            let body = word.split_once(':').map_or("", |(_, body)| body).as_bytes();
            let message = Message::Whole {
                tag: bytes[1],
                body,
            };
            match bytes[0] {
                b'>' => dialogue.handle_client(message),
                _ => dialogue.handle_server(message),
            }
        }
        assert_eq!(dialogue.activity(), expected, "{transcript}");
    }

    #[test]
    fn opening_ends_with_the_first_word_of_readiness() {
        check("", Opening);
        check("<R >p <R <K", Opening);
        check("<R >p <R <K <Z:I", Idle);
    }

    #[test]
    fn simple_queries() {
        check("<Z:I >Q", Busy);
        check("<Z:I >Q <T <D <C", Busy);
        check("<Z:I >Q <T <D <C <Z:I", Idle);
        check("<Z:I >Q <C <Z:T", InTransaction);
        check("<Z:I >Q <E <Z:E", Failed);
        check("<Z:I >Q >Q <C <Z:I", Busy);
        check("<Z:I >Q >Q <C <Z:I <C <Z:I", Idle);
    }

    #[test]
    fn extended_queries() {
        check("<Z:I >P >H", Busy);
        check("<Z:I >P >H <1", Busy);
        check("<Z:I >P >B >E >S", Busy);
        check("<Z:I >P >B >E >S <1 <2 <C <Z:I", Idle);
        check("<Z:I >B >E >S >B >E >S <2 <C <Z:I", Busy);
        check("<Z:I >B >E >S >B >E >S <2 <C <Z:I <2 <C <Z:I", Idle);
        check("<Z:I >B >E >S <2 >P <C <Z:I", Busy);
    }

    #[test]
    fn copy_from_ignores_the_sync_behind_its_execute() {
        // Simple protocol.
        check("<Z:I >Q <G >d >d", Busy);
        check("<Z:I >Q <G >d >c <C", Busy);
        check("<Z:I >Q <G >d >c <C <Z:I", Idle);
        // libpq and tokio-postgres: Sync at once, another one after CopyDone.
        check("<Z:I >B >E >S <2 <G", Busy);
        check("<Z:I >B >E >S <2 <G >d >c", Busy);
        check("<Z:I >B >E >S <2 <G >d >c >S", Busy);
        check("<Z:I >B >E >S <2 <G >d >c >S <C <Z:I", Idle);
        // The same without waiting for the server's word.
        check("<Z:I >B >E >S >d >c >S <2 <G <C <Z:I", Idle);
        check("<Z:I >B >E >S >d >c >S >Q <2 <G <C <Z:I", Busy);
        check("<Z:I >Q >d >c >Q <G <C <Z:I", Busy);
        check("<Z:I >Q >d >c >Q <G <C <Z:I <C <Z:I", Idle);
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing_behind() {
        check("<Z:I >Q <G >d <E >d >c <Z:I", Idle);
        check("<Z:I >Q <G >d <E >d >c <Z:I >Q", Busy);
        check("<Z:I >B >E >S <2 <G >d <E >d >c >S <Z:I", Idle);
        check("<Z:I >Q <E <Z:I >c >f", Idle);
        check("<Z:I >Q <G >f <E <Z:I", Idle);
    }

    #[test]
    fn copy_to_is_an_ordinary_answer() {
        check("<Z:I >Q <H <d <d <c", Busy);
        check("<Z:I >Q <H <d <d <c <C <Z:I", Idle);
    }

    #[test]
    fn a_pipeline_too_wild_to_follow_is_never_idle_again() {
        let mut dialogue = Dialogue::default();
        let message = |tag| Message::Whole { tag, body: b"I" };
        dialogue.handle_server(message(b'Z'));
        for _ in 0..RUNS_MAX {
            dialogue.handle_client(message(b'Q'));
            dialogue.handle_client(message(b'S'));
        }
        for _ in 0..2 * RUNS_MAX {
            dialogue.handle_server(message(b'Z'));
        }
        assert_eq!(dialogue.activity(), Busy);
    }
}
