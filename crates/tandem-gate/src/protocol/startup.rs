//! What a client says before its first message: the packets without a type byte.

/// PostgreSQL's own bound of a startup packet (`MAX_STARTUP_PACKET_LENGTH`).
pub const PACKET_MAX: usize = 10_000;

/// The key of a backend in protocol 3.0 is 8 bytes, in 3.2 up to 260 (process and secret).
const KEY: std::ops::RangeInclusive<usize> = 8..=260;

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// A packet before the first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Asks for TLS or GSS encryption; answered with `N`, and another packet follows.
    Encryption,
    /// Wants the statement of another session stopped.
    Cancel {
        /// Process and secret of that session's backend.
        key: Vec<u8>,
    },
    /// Begins a session; the packet goes to the server as it came.
    Session,
}

/// A packet that no PostgreSQL client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its length is impossible (TLS without asking first looks like this).
    #[error("startup packet claims a length of {0} bytes")]
    Length(u32),
    /// A cancel request without a proper key.
    #[error("cancel request with a key of {0} bytes")]
    Key(usize),
}

/// The size of the whole packet, from its first four bytes.
///
/// # Errors
/// A length that no packet has.
pub fn packet_len(head: [u8; 4]) -> Result<usize, Unreadable> {
    let length = u32::from_be_bytes(head);
    let size = length as usize;
    if (8..=PACKET_MAX).contains(&size) {
        Ok(size)
    } else {
        Err(Unreadable::Length(length))
    }
}

/// What a whole packet asks for.
///
/// # Errors
/// A packet too short to say anything, or a cancel request without a proper key.
pub fn read(packet: &[u8]) -> Result<Opening, Unreadable> {
    let Some((code, rest)) = packet
        .get(4..)
        .and_then(|rest| rest.split_first_chunk::<4>())
    else {
        return Err(Unreadable::Length(
            u32::try_from(packet.len()).unwrap_or(u32::MAX),
        ));
    };
    match u32::from_be_bytes(*code) {
        SSL | GSS => Ok(Opening::Encryption),
        CANCEL if KEY.contains(&rest.len()) => Ok(Opening::Cancel { key: rest.to_vec() }),
        CANCEL => Err(Unreadable::Key(rest.len())),
        _ => Ok(Opening::Session),
    }
}

/// The packet that asks a server to stop the statement of the backend with `key`.
pub fn cancel_packet(key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + key.len()).expect("a key has at most 260 bytes");
    [&length.to_be_bytes()[..], &CANCEL.to_be_bytes(), key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(8 + rest.len()).unwrap();
        [&length.to_be_bytes()[..], &code.to_be_bytes(), rest].concat()
    }

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(read(&packet(SSL, b"")), Ok(Opening::Encryption));
        assert_eq!(read(&packet(GSS, b"")), Ok(Opening::Encryption));
        assert_eq!(
            read(&packet(0x0003_0000, b"user\0x\0\0")),
            Ok(Opening::Session)
        );
        assert_eq!(
            read(&packet(0x0003_0002, b"user\0x\0\0")),
            Ok(Opening::Session)
        );
        let key = b"12345678".to_vec();
        assert_eq!(read(&cancel_packet(&key)), Ok(Opening::Cancel { key }));
        assert_eq!(read(&packet(CANCEL, b"1234")), Err(Unreadable::Key(4)));
        assert_eq!(read(&packet(CANCEL, &[0; 300])), Err(Unreadable::Key(300)));
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(packet_len(8u32.to_be_bytes()), Ok(8));
        assert_eq!(packet_len(10_000u32.to_be_bytes()), Ok(10_000));
        for bad in [0u32, 7, 10_001, 0x1603_0100, u32::MAX] {
            assert_eq!(packet_len(bad.to_be_bytes()), Err(Unreadable::Length(bad)));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }
    }
}
