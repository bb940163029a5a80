//! Messages between two processes that hold the two ends of a socket: a parent and what it has started, as a rule.
//!
//! It has no names, no links, no preface and no address: who is at the other end was settled when the socket was made. The
//! form of a message is that of the same message between nodes; before it stands its length as `u32`, little endian. Both
//! ends must be of the same version ([`VERSION`]): it is for those who hand the socket over to make sure of that.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::unix::AsyncFd;

use crate::Message;
use crate::codec::{self, EncodeFailure};
use crate::limits::{MAX_BODY_BYTES, PEER_QUEUE_BYTES, PIPE_READ_BYTES, READ_BYTES};
use crate::net::frame;

/// Of the form of the messages.
pub const VERSION: u16 = frame::VERSION;
/// Of the length before each message.
const LENGTH_BYTES: usize = 4;

/// Why a message does not come or go.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The socket does not work.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A message is larger than one may be.
    #[error("a message of {0} bytes: at most {MAX_BODY_BYTES} are allowed")]
    Oversized(usize),
    /// What has come is no message of the kind that is expected.
    #[error("a message makes no sense: {0}")]
    Unreadable(String),
    /// What is to be sent can't be put into bytes.
    #[error("a message can't be sent: {0}")]
    Unsendable(String),
    /// The other end has closed in the middle of a message.
    #[error("it ended within a message")]
    Truncated,
    /// The other end does not read.
    #[error("more than {PEER_QUEUE_BYTES} bytes wait to be read")]
    Full,
}

/// Puts messages into one end.
#[derive(Debug)]
pub struct PipeSender {
    stream: Arc<AsyncFd<UnixStream>>,
    waiting: BytesMut,
}

/// Takes messages out of the same end.
#[derive(Debug)]
pub struct PipeReceiver {
    stream: Arc<AsyncFd<UnixStream>>,
    received: BytesMut,
}

/// Both halves of one end. Must be called on a tokio runtime; what is read and sent meanwhile is not lost when it comes
/// to another one.
///
/// # Errors
/// The system refuses to watch the socket.
pub fn pipe(stream: UnixStream) -> io::Result<(PipeSender, PipeReceiver)> {
    stream.set_nonblocking(true)?;
    #[allow(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lie about their descriptor"
    )]
    let stream = Arc::new(AsyncFd::new(stream)?);
    let sender = PipeSender { stream: stream.clone(), waiting: BytesMut::new() };
    Ok((sender, PipeReceiver { stream, received: BytesMut::new() }))
}

impl PipeSender {
    /// Puts a message behind those that wait; [`push`](Self::push) sends them.
    ///
    /// # Errors
    /// It is too large, or too much waits.
    pub fn put<T: Message>(&mut self, message: &T) -> Result<(), PipeError> {
        let begin = self.waiting.len();
        if begin > PEER_QUEUE_BYTES {
            return Err(PipeError::Full);
        }
        self.waiting.extend_from_slice(&[0; LENGTH_BYTES]);
        if let Err(failure) = codec::encode(message, &mut self.waiting, MAX_BODY_BYTES) {
            self.waiting.truncate(begin);
            return Err(match failure {
                EncodeFailure::TooLarge => PipeError::Oversized(MAX_BODY_BYTES + 1),
                EncodeFailure::Refused(why) => PipeError::Unsendable(why),
            });
        }
        let length = (self.waiting.len() - begin - LENGTH_BYTES) as u32;
        self.waiting[begin..begin + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// Sends what the other end takes now; says whether nothing waits any more.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn push(&mut self) -> Result<bool, PipeError> {
        while !self.waiting.is_empty() {
            match self.stream.get_ref().write(&self.waiting) {
                Ok(taken) => self.waiting.advance(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// What waits for the other end while the sender is used elsewhere.
    pub fn room(&self) -> PipeRoom {
        PipeRoom(self.stream.clone())
    }
}

/// Tells when the other end takes more.
#[derive(Clone, Debug)]
pub struct PipeRoom(Arc<AsyncFd<UnixStream>>);

impl PipeRoom {
    /// Calls `push`, which calls [`PipeSender::push`], whenever there may be room, until it says that nothing waits.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Dropped before it ends, it has lost nothing.
    pub async fn push_all(&self, mut push: impl FnMut() -> Result<bool, PipeError>) -> Result<(), PipeError> {
        loop {
            let mut ready = self.0.writable().await?;
            if push()? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

impl PipeReceiver {
    /// The next message; `None`: the other end has closed.
    ///
    /// # Errors
    /// What comes is no message, or the socket does not work. Nothing can be read after that.
    ///
    /// # Cancel safety
    /// Dropped before it ends, it has lost nothing.
    pub async fn next<T: Message>(&mut self) -> Result<Option<T>, PipeError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let mut ready = self.stream.readable().await?;
            match ready.try_io(|stream| read(stream.get_ref(), &mut self.received)) {
                Ok(Ok(0)) if self.received.is_empty() => return Ok(None),
                Ok(Ok(0)) => return Err(PipeError::Truncated),
                Ok(Ok(_)) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
    }

    /// The first message, if it is there whole.
    fn take<T: Message>(&mut self) -> Result<Option<T>, PipeError> {
        let Some(length) = self.received.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_BODY_BYTES {
            return Err(PipeError::Oversized(length));
        }
        let end = LENGTH_BYTES + length;
        if self.received.len() < end {
            return Ok(None);
        }
        let message = codec::decode(&self.received[LENGTH_BYTES..end]).map_err(PipeError::Unreadable)?;
        self.received.advance(end);
        if self.received.is_empty() && self.received.capacity() > 16 * PIPE_READ_BYTES {
            self.received = BytesMut::new();
        }
        Ok(Some(message))
    }
}

/// Reads once, behind what there is: more at once where a long message has begun.
fn read(mut stream: &UnixStream, received: &mut BytesMut) -> io::Result<usize> {
    let expected = received.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    if expected.saturating_sub(received.len()) > PIPE_READ_BYTES {
        let mut room = vec![0; READ_BYTES];
        let count = stream.read(&mut room)?;
        received.extend_from_slice(&room[..count]);
        return Ok(count);
    }
    let mut room = [0; PIPE_READ_BYTES];
    let count = stream.read(&mut room)?;
    received.extend_from_slice(&room[..count]);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "test.Line")]
    struct Line(String);

    fn ends() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[tokio::test]
    async fn what_is_put_comes_out_in_order_and_then_the_end() {
        let (one, other) = ends();
        let (mut sender, _keep) = pipe(one).unwrap();
        let (_, mut receiver) = pipe(other).unwrap();
        for number in 0..100 {
            sender.put(&Line(number.to_string())).unwrap();
        }
        assert!(sender.push().unwrap());
        drop((sender, _keep));
        for number in 0..100 {
            assert_eq!(receiver.next::<Line>().await.unwrap(), Some(Line(number.to_string())));
        }
        assert_eq!(receiver.next::<Line>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn more_than_a_socket_holds_goes_as_the_other_end_reads() {
        let (one, other) = ends();
        let (mut sender, _keep) = pipe(one).unwrap();
        let (_, mut receiver) = pipe(other).unwrap();
        let long = "x".repeat(4 << 20);
        sender.put(&Line(long.clone())).unwrap();
        assert!(!sender.push().unwrap(), "no socket holds so much");
        let room = sender.room();
        let (read, sent) = tokio::join!(receiver.next::<Line>(), room.push_all(|| sender.push()));
        sent.unwrap();
        assert_eq!(read.unwrap(), Some(Line(long)));
    }

    #[tokio::test]
    async fn one_who_does_not_read_costs_no_more_than_the_limit() {
        let (one, _other) = ends();
        let (mut sender, _keep) = pipe(one).unwrap();
        let long = Line("x".repeat(8 << 20));
        let put = std::iter::from_fn(|| sender.put(&long).ok()).count();
        assert!(matches!(sender.put(&long), Err(PipeError::Full)));
        assert!((8..=9).contains(&put), "{put}");
        let large = Line("x".repeat(MAX_BODY_BYTES));
        let (mut sender, _keep) = pipe(ends().0).unwrap();
        assert!(matches!(sender.put(&large), Err(PipeError::Oversized(_))));
        assert!(sender.waiting.is_empty());
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_takes_no_memory() {
        for (bytes, expected) in [
            (&b"\xff\xff\xff\xff"[..], "at most"),
            (&b"\x02\0\0\0\x05a"[..], "makes no sense"),
            (&b"\x02\0\0\0\x01"[..], "within a message"),
            (&b"\x03\0\0\0\x01aa"[..], "left over"),
        ] {
            let (mut one, other) = ends();
            let (_, mut receiver) = pipe(other).unwrap();
            one.write_all(bytes).unwrap();
            drop(one);
            let error = receiver.next::<Line>().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(receiver.received.capacity() <= 2 * PIPE_READ_BYTES);
        }
    }
}
