//! Histories as people write them, for tests. Times are milliseconds.
//!
//! ```text
//! fault 1000
//! read  900 .. 905  200 aws        sent at 900, answered 200 by aws at 905
//! write 950 .. 990  201 aws/1      acknowledged by aws in epoch 1
//! write 960 .. -    lost           never answered
//! end   9000
//! row   1 aws/1                    the surviving database has write 1
//! found 3 4                        the returned site has writes 3 and 4
//! ```
//! Writes are numbered from 1 in their order; other requests from 1001.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::history::{Kind, Request, Row};
use crate::model::Mono;

/// A history read from text.
#[derive(Default)]
pub(crate) struct Transcript {
    pub(crate) requests: Vec<Request>,
    pub(crate) rows: Vec<Row>,
    pub(crate) found: BTreeSet<u64>,
    pub(crate) faults: Vec<Mono>,
    pub(crate) end: Mono,
    writes: u64,
    others: u64,
}

impl Transcript {
    pub(crate) fn read(text: &str) -> Self {
        let mut transcript = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            transcript.line(words[0], &words[1..]);
        }
        transcript
    }

    fn line(&mut self, verb: &str, words: &[&str]) {
        match verb {
            "fault" => self.faults.push(millis(words[0])),
            "end" => self.end = millis(words[0]),
            "row" => self.rows.push(Row {
                number: words[0].parse().expect("a number"),
                origin: words
                    .get(1)
                    .map(|origin| origin.parse().expect("an origin")),
            }),
            "found" => self.found.extend(
                words
                    .iter()
                    .map(|word| word.parse::<u64>().expect("a number")),
            ),
            "read" => self.request(Kind::Read, words),
            "head" => self.request(Kind::Head, words),
            "write" => self.request(Kind::Write, words),
            other => panic!("no line of a history starts with `{other}`"),
        }
    }

    fn request(&mut self, kind: Kind, words: &[&str]) {
        let number = self.next_number(kind);
        let sent = millis(words[0]);
        let answered = (words[2] != "-").then(|| millis(words[2]));
        let by = words.get(4);
        let origin = by.and_then(|by| by.parse().ok());
        self.requests.push(Request {
            number,
            kind,
            intended: sent,
            sent: Some(sent),
            answered,
            status: words[3].parse().ok(),
            cloud: by
                .and_then(|by| by.split('/').next())
                .and_then(|site| site.parse().ok()),
            origin,
            failure: None,
            patience_ms: None,
        });
        self.end = self.end.max(sent);
    }

    fn next_number(&mut self, kind: Kind) -> u64 {
        let (counter, base) = if kind == Kind::Write {
            (&mut self.writes, 0)
        } else {
            (&mut self.others, 1_000)
        };
        *counter += 1;
        base + *counter
    }
}

fn millis(text: &str) -> Mono {
    Mono(text.parse::<u64>().expect("milliseconds") * 1_000)
}
