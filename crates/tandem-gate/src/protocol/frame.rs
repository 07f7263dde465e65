//! Message boundaries: which bytes of a buffer are whole messages.
//!
//! Intuition: small messages travel whole, many at a time, in the buffer they
//! were read into; a message too large for that passes in pieces as it arrives,
//! so that a row of 1 GB costs one buffer.
//! Invariant: which messages are seen depends on the bytes alone, never on how
//! they were cut into reads.
//! Refused: a codec that hands out one message at a time. It costs a copy and an
//! allocation a message, and the gate reads none of the bodies.

/// Largest message that is kept whole, tag and length included. Everything the
/// gate looks into (errors, keys, status) is far smaller.
pub const WHOLE_MAX: usize = 8 * 1024;

/// PostgreSQL's own bound of one message (`MaxAllocSize`).
const MESSAGE_MAX: u32 = 0x3FFF_FFFF;

/// Bytes before a message's body: tag and length.
const HEADER: usize = 5;

/// A message as the framer shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// All of it is in the buffer.
    Whole {
        /// Its type.
        tag: u8,
        /// Everything after the length.
        body: &'a [u8],
    },
    /// It is larger than [`WHOLE_MAX`] and has begun to pass.
    Begun {
        /// Its type.
        tag: u8,
        /// Its size on the wire, tag included.
        total: usize,
    },
}

impl Message<'_> {
    /// The message's type.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Whole { tag, .. } | Self::Begun { tag, .. } => *tag,
        }
    }
}

/// The first bytes of a buffer, fit to be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How many.
    pub len: usize,
    /// Whether they end between two messages.
    pub between: bool,
}

/// A length that no PostgreSQL message has; the stream cannot be followed further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message of type {tag:#04x} claims a length of {length} bytes")]
pub struct Malformed {
    /// The message's type.
    pub tag: u8,
    /// What its length field says.
    pub length: u32,
}

/// Follows one direction of a session, after its startup packet.
#[derive(Debug, Default)]
pub struct Framer {
    /// Bytes of a large message that are still to pass.
    passing: usize,
}

impl Framer {
    /// Looks at `bytes`, which begin where the last span ended, shows each message to
    /// `each` once, and says how much may be sent on.
    ///
    /// # Errors
    /// A length field that no message has.
    pub fn scan(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Message<'_>),
    ) -> Result<Span, Malformed> {
        let mut at = self.passing.min(bytes.len());
        self.passing -= at;
        while self.passing == 0 {
            let Some((tag, total)) = header(&bytes[at..])? else {
                break;
            };
            let rest = &bytes[at..];
            if total > WHOLE_MAX {
                each(Message::Begun { tag, total });
                self.passing = total - total.min(rest.len());
                at += total - self.passing;
            } else if let Some(body) = rest.get(HEADER..total) {
                each(Message::Whole { tag, body });
                at += total;
            } else {
                break;
            }
        }
        Ok(Span {
            len: at,
            between: self.passing == 0,
        })
    }
}

/// The first message of `bytes`, once it is there as far as the framer would show it.
///
/// # Errors
/// A length field that no message has.
pub fn first(bytes: &[u8]) -> Result<Option<Message<'_>>, Malformed> {
    Ok(header(bytes)?.and_then(|(tag, total)| {
        if total > WHOLE_MAX {
            return Some(Message::Begun { tag, total });
        }
        bytes
            .get(HEADER..total)
            .map(|body| Message::Whole { tag, body })
    }))
}

/// Type and size on the wire of the message at the front of `bytes`, if its header is there.
fn header(bytes: &[u8]) -> Result<Option<(u8, usize)>, Malformed> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if !(4..=MESSAGE_MAX).contains(&length) {
        return Err(Malformed { tag, length });
    }
    Ok(Some((tag, 1 + length as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One message on the wire.
    fn wire(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    /// What was seen and what was sent on, reading at most `sizes[i]` bytes the i-th time.
    fn follow(stream: &[u8], sizes: &[usize]) -> (Vec<(u8, usize)>, Vec<u8>, bool) {
        let mut framer = Framer::default();
        let (mut seen, mut sent, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let (mut at, mut turn, mut between) = (0, 0, true);
        while at < stream.len() {
            let size = sizes[turn % sizes.len()].min(stream.len() - at);
            held.extend_from_slice(&stream[at..at + size]);
            (at, turn) = (at + size, turn + 1);
            let span = framer
                .scan(&held, |message| match message {
                    Message::Whole { tag, body } => seen.push((tag, body.len() + HEADER)),
                    Message::Begun { tag, total } => seen.push((tag, total)),
                })
                .unwrap();
            sent.extend(held.drain(..span.len));
            assert!(
                held.len() < WHOLE_MAX,
                "a partial message outgrew the buffer"
            );
            between = span.between;
        }
        (seen, sent, between)
    }

    proptest! {
        #[test]
        fn any_chunking_yields_the_same_messages(
            bodies in prop::collection::vec((any::<u8>(), prop_oneof![
                8 => 0usize..200, 1 => WHOLE_MAX - 10..WHOLE_MAX + 10, 1 => 0usize..60_000,
            ]), 0..12),
            sizes in prop::collection::vec(1usize..20_000, 1..8),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for (tag, len) in bodies {
                stream.extend(wire(tag, &vec![b'x'; len]));
                expected.push((tag, len + HEADER));
            }
            let (seen, sent, between) = follow(&stream, &sizes);
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(sent, stream);
            prop_assert!(between);
        }

        #[test]
        fn garbage_never_panics(chunks in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..300), 0..10)) {
            let mut framer = Framer::default();
            let mut held = Vec::new();
            for chunk in chunks {
                held.extend(chunk);
                let Ok(span) = framer.scan(&held, |_| ()) else { break };
                prop_assert!(span.len <= held.len());
                held.drain(..span.len);
            }
        }
    }

    #[test]
    fn a_message_in_the_middle_is_not_a_boundary() {
        let large = wire(b'D', &vec![0; WHOLE_MAX]);
        let mut framer = Framer::default();
        let span = framer.scan(&large[..100], |_| ()).unwrap();
        assert_eq!(
            span,
            Span {
                len: 100,
                between: false
            }
        );
        let span = framer.scan(&large[100..], |_| ()).unwrap();
        assert_eq!(
            span,
            Span {
                len: large.len() - 100,
                between: true
            }
        );
        // A small one waits until it is whole.
        let small = wire(b'Z', b"I");
        assert_eq!(
            framer.scan(&small[..5], |_| ()).unwrap(),
            Span {
                len: 0,
                between: true
            }
        );
    }

    #[test]
    fn impossible_lengths_end_the_session() {
        for length in [0u32, 3, 0x4000_0000, u32::MAX] {
            let bytes = [&b"Q"[..], &length.to_be_bytes()].concat();
            let error = Framer::default().scan(&bytes, |_| ()).unwrap_err();
            assert_eq!(error, Malformed { tag: b'Q', length });
        }
    }
}
