//! The form of what goes over a connection.
//!
//! Preface, dialer first: 8 bytes of magic, version as `u16`, length of the address as `u16`, the address that the sender
//! listens on as text. All integers are little-endian. The first byte of the magic is in no HTTP request.
//!
//! Frame: its length as `u32`, a [`Head`], and what is left is the body.

use std::net::SocketAddr;

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Refusal;
use crate::codec;
use crate::limits::{MAX_BODY_BYTES, MAX_FRAME_BYTES};

/// How a dialer begins.
pub(crate) const DIAL_MAGIC: [u8; 8] = *b"\x93lactor\n";
/// How an acceptor answers. It differs, so that a connection to oneself (TCP's simultaneous open) is found out.
pub(crate) const ACCEPT_MAGIC: [u8; 8] = *b"\x94lactor\n";
/// Of the frames and of the codec.
pub(crate) const VERSION: u16 = 1;
/// Longest text of an address: an IPv6 address with scope and port.
const MAX_ADDRESS_BYTES: usize = 128;

/// What a frame is. Names are numbers in the table of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Head {
    /// The body is a name; it gets the next number, from zero.
    Name,
    /// Empties the table of names.
    Forget,
    /// A message.
    Tell { from: Option<u32>, to: u32, message: u32 },
    /// A request; the answer bears its id.
    Ask { id: u64, from: Option<u32>, to: u32, message: u32 },
    /// Tell me when the actor is gone.
    Link { id: u64, to: u32 },
    /// No more.
    Unlink { id: u64 },
    /// Answer at once, and at least this often while you are busy.
    Ping { every_millis: u32 },
    /// Answers a ping.
    Pong,
    /// The actor of a link is gone.
    Exited { id: u64 },
    /// The answer to a request.
    Reply { id: u64 },
    /// There is no answer to a request.
    Refused { id: u64, why: Refusal },
}

/// Why a connection can't go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the preface is not ours")]
    BadPreface,
    #[error("the other side speaks version {0}, this one version {VERSION}")]
    Version(u16),
    #[error("it did not say in time what it is")]
    Handshake,
    #[error("a frame of {0} bytes: at most {MAX_FRAME_BYTES} are allowed")]
    Oversized(usize),
    #[error("it ended within a frame")]
    Truncated,
    #[error("a frame makes no sense: {0}")]
    BadFrame(String),
    #[error("too many names, or too long a one")]
    Names,
    #[error("too many links")]
    Links,
    #[error("no sign of life for {0:?}")]
    Silent(std::time::Duration),
    #[error("there was no room for its frame")]
    NoRoom,
    #[error("it takes no bytes")]
    Stuck,
    #[error("it closed the connection")]
    Closed,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Writes a preface.
pub(crate) fn put_preface(magic: [u8; 8], address: SocketAddr, out: &mut BytesMut) {
    let address = address.to_string();
    out.put_slice(&magic);
    out.put_u16_le(VERSION);
    out.put_u16_le(address.len() as u16);
    out.put_slice(address.as_bytes());
}

/// Reads a preface and gives the address in it.
pub(crate) async fn read_preface<R: AsyncRead + Unpin>(
    magic: [u8; 8],
    read: &mut R,
) -> Result<SocketAddr, ConnectionError> {
    let mut head = [0u8; 12];
    read.read_exact(&mut head[..8]).await.map_err(|_| ConnectionError::BadPreface)?;
    if head[..8] != magic {
        return Err(ConnectionError::BadPreface);
    }
    read.read_exact(&mut head[8..]).await.map_err(|_| ConnectionError::BadPreface)?;
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version != VERSION {
        return Err(ConnectionError::Version(version));
    }
    let length = usize::from(u16::from_le_bytes([head[10], head[11]]));
    if length > MAX_ADDRESS_BYTES {
        return Err(ConnectionError::BadPreface);
    }
    let mut address = [0u8; MAX_ADDRESS_BYTES];
    read.read_exact(&mut address[..length]).await.map_err(|_| ConnectionError::BadPreface)?;
    let text = std::str::from_utf8(&address[..length]).map_err(|_| ConnectionError::BadPreface)?;
    text.parse().map_err(|_| ConnectionError::BadPreface)
}

/// Writes a frame.
pub(crate) fn put(head: &Head, body: &[u8], out: &mut BytesMut) {
    let start = out.len();
    out.put_u32_le(0);
    codec::encode(head, out, MAX_FRAME_BYTES - MAX_BODY_BYTES).expect("a head is smaller than its allowance");
    out.put_slice(body);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Empties a buffer, and gives its memory back if a large frame has made it large.
pub(crate) fn empty(buffer: &mut BytesMut, large: usize) {
    buffer.clear();
    if buffer.capacity() > large {
        *buffer = BytesMut::new();
    }
}

/// The length of the first frame in a buffer, as it says itself.
pub(crate) fn announced(buffer: &[u8]) -> Option<usize> {
    buffer.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize)
}

/// The length of the first frame in a buffer, if it is there whole; the frame lies behind its four bytes of length.
pub(crate) fn complete(buffer: &[u8]) -> Result<Option<usize>, ConnectionError> {
    let Some(length) = announced(buffer) else { return Ok(None) };
    if length > MAX_FRAME_BYTES {
        return Err(ConnectionError::Oversized(length));
    }
    Ok((buffer.len() >= 4 + length).then_some(length))
}

/// Takes a frame apart.
pub(crate) fn open(frame: &[u8]) -> Result<(Head, &[u8]), ConnectionError> {
    let (head, used) = codec::decode_front(frame).map_err(ConnectionError::BadFrame)?;
    Ok((head, &frame[used..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_apart_as_they_were_put_together() {
        let mut out = BytesMut::new();
        let heads = [
            Head::Name,
            Head::Forget,
            Head::Tell { from: None, to: 0, message: 1 },
            Head::Ask { id: u64::MAX, from: Some(u32::MAX), to: u32::MAX, message: u32::MAX },
            Head::Refused { id: u64::MAX, why: Refusal::TooLarge },
        ];
        for head in &heads {
            put(head, b"body", &mut out);
        }
        let mut rest = &out[..];
        for head in &heads {
            let length = complete(rest).unwrap().unwrap();
            assert_eq!(open(&rest[4..4 + length]).unwrap(), (head.clone(), &b"body"[..]));
            rest = &rest[4 + length..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn an_incomplete_frame_waits_and_a_long_one_is_refused() {
        assert!(matches!(complete(&[1, 0, 0]), Ok(None)));
        assert!(matches!(complete(&[2, 0, 0, 0, 7]), Ok(None)));
        assert!(matches!(complete(&[0xff; 4]), Err(ConnectionError::Oversized(_))));
    }

    #[tokio::test]
    async fn a_preface_is_read_back() {
        let mut out = BytesMut::new();
        let address = "[fe80::1%1]:5050".parse().unwrap();
        put_preface(DIAL_MAGIC, address, &mut out);
        assert_eq!(read_preface(DIAL_MAGIC, &mut &out[..]).await.unwrap(), address);
        assert!(matches!(read_preface(ACCEPT_MAGIC, &mut &out[..]).await, Err(ConnectionError::BadPreface)));
        out[8] = 9;
        assert!(matches!(read_preface(DIAL_MAGIC, &mut &out[..]).await, Err(ConnectionError::Version(9))));
    }
}
