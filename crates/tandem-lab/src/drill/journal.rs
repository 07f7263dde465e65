//! The agents' journal, read from the store through its JSON gateway.
//!
//! The journal is the agents' own memory of what they decided; the watch only
//! hears what they said in between. Both stand in the evidence. It comes from a
//! store that a drill may just have hurt, so that reading it may fail; then it is
//! left out, and nothing depends on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_core::model::Epoch;

use super::client;

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);

/// The most entries that are kept: rings of five agents.
const ENTRIES_MAX: usize = 1_000;

/// One decision as the agent wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Rises by one with each entry of this agent.
    pub number: u64,
    /// Wall-clock seconds since 1970.
    pub at: u64,
    /// The agent.
    pub agent: String,
    /// The epoch it knew.
    pub epoch: Epoch,
    /// What was decided or done.
    pub text: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    value: String,
}

/// Every entry of `cluster` since `since` (seconds since 1970), oldest first, from
/// the first of `stores` that answers.
pub(super) async fn read(stores: &[String], cluster: &str, since: u64) -> Vec<Entry> {
    let prefix = format!("/tandem/{cluster}/journal/");
    // The end of the range: the prefix with its last byte raised by one.
    let end = format!("/tandem/{cluster}/journal0");
    let question = format!(
        r#"{{"key":"{}","range_end":"{}"}}"#,
        encode(prefix.as_bytes()),
        encode(end.as_bytes())
    );
    for store in stores {
        if let Some(range) = ask(store, question.clone()).await {
            return entries(&range, since);
        }
    }
    Vec::new()
}

async fn ask(store: &str, question: String) -> Option<Range> {
    let http = client::http_client().ok()?;
    let answer = http
        .post(format!("{store}/v3/kv/range"))
        .timeout(ANSWER)
        .body(question)
        .send()
        .await
        .ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

fn entries(range: &Range, since: u64) -> Vec<Entry> {
    let parsed = range
        .kvs
        .iter()
        .filter_map(|pair| serde_json::from_slice::<Entry>(&decode(&pair.value)?).ok());
    let mut entries: Vec<Entry> = parsed.filter(|entry| entry.at >= since).collect();
    entries.sort_by(|a, b| (a.at, &a.agent, a.number).cmp(&(b.at, &b.agent, b.number)));
    entries.truncate(ENTRIES_MAX);
    entries
}

/// The digits of base64 (RFC 4648), which the gateway speaks.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).expect("below 64");
            text.push(if place > chunk.len() {
                '='
            } else {
                char::from(DIGITS[digit])
            });
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).expect("a byte"));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(decode("!"), None);
    }

    #[test]
    fn entries_come_in_order_and_strangers_are_left_out() {
        let value = |text: &str| Pair {
            value: encode(text.as_bytes()),
        };
        let entry = |number: u64, at: u64| {
            value(&format!(
                r#"{{"number":{number},"at":{at},"agent":"gcp-1","epoch":2,"text":"t"}}"#
            ))
        };
        let range = Range {
            kvs: vec![entry(3, 30), entry(1, 5), entry(2, 20), value("no entry")],
        };
        let numbers: Vec<u64> = entries(&range, 10)
            .iter()
            .map(|entry| entry.number)
            .collect();
        assert_eq!(numbers, [2, 3]);
    }
}
