//! What the gate itself says to a client: one FATAL error, then the end.

/// SQLSTATE of a cut session, as PostgreSQL itself uses it (`admin_shutdown`).
pub const ADMIN_SHUTDOWN: &str = "57P01";
/// SQLSTATE of a session that cannot begin now (`cannot_connect_now`).
pub const CANNOT_CONNECT_NOW: &str = "57P03";
/// SQLSTATE of one session too many (`too_many_connections`).
pub const TOO_MANY: &str = "53300";
/// SQLSTATE of a stream that cannot be followed (`protocol_violation`).
pub const PROTOCOL_VIOLATION: &str = "08P01";

/// A FATAL error of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// SQLSTATE.
    pub code: &'static str,
    /// The message, one sentence.
    pub message: String,
}

impl Refusal {
    /// A FATAL error with `code`.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The ErrorResponse on the wire.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(self.message.len() + 32);
        let parts = [
            (b'S', "FATAL"),
            (b'V', "FATAL"),
            (b'C', self.code),
            (b'M', &self.message),
        ];
        for (kind, text) in parts {
            fields.push(kind);
            fields.extend(text.bytes().filter(|b| *b != 0));
            fields.push(0);
        }
        fields.push(0);
        let length = u32::try_from(4 + fields.len()).expect("one sentence is short");
        [&b"E"[..], &length.to_be_bytes(), &fields].concat()
    }
}

/// The SQLSTATE in the body of an ErrorResponse.
pub fn sqlstate(body: &[u8]) -> Option<&[u8]> {
    body.split(|b| *b == 0)
        .find_map(|field| field.strip_prefix(b"C"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::{Message, first};

    #[test]
    fn a_refusal_reads_back_as_an_error_response() {
        let wire = Refusal::new(CANNOT_CONNECT_NOW, "no primary\0 now").to_wire();
        let Ok(Some(Message::Whole { tag: b'E', body })) = first(&wire) else {
            panic!("no error response: {wire:?}");
        };
        assert_eq!(body.len() + 5, wire.len());
        assert_eq!(sqlstate(body), Some(&b"57P03"[..]));
        assert!(body.ends_with(b"Mno primary now\0\0"));
        assert_eq!(sqlstate(b"SFATAL\0Mno code here\0\0"), None);
        assert_eq!(sqlstate(b""), None);
    }
}
