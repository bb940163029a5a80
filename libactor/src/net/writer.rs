//! Puts what waits for one connection into as few writes as possible.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::frame::{self, ConnectionError, Head};
use crate::limits::{MAX_CONNECTION_NAMES, WRITE_BYTES, WRITE_TIMEOUT};
use crate::{Counter, Refusal};

/// What waits to be written.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Tell { from: Option<Arc<str>>, to: Arc<str>, message: &'static str, body: Bytes },
    Ask { id: u64, from: Option<Arc<str>>, to: Arc<str>, message: &'static str, body: Bytes },
    Link { id: u64, to: Arc<str> },
    Unlink { id: u64 },
    Pong,
    Exited { id: u64 },
    Reply { id: u64, body: Bytes },
    Refused { id: u64, why: Refusal },
}

impl Outgoing {
    /// What it counts for in the queue to a peer, in bytes.
    pub(crate) fn weight(&self) -> usize {
        64 + match self {
            Outgoing::Tell { body, .. } | Outgoing::Ask { body, .. } | Outgoing::Reply { body, .. } => {
                body.len()
            }
            _ => 0,
        }
    }
}

/// Writes frames, and remembers which names the other side knows.
pub(crate) struct FrameWriter<W> {
    out: W,
    buffer: BytesMut,
    /// Names of actors and of messages share the numbers.
    actors: HashMap<Arc<str>, u32>,
    messages: HashMap<&'static str, u32>,
    frames: Counter,
    bytes: Counter,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(crate) fn new(out: W, frames: Counter, bytes: Counter) -> Self {
        Self { out, buffer: BytesMut::new(), actors: HashMap::new(), messages: HashMap::new(), frames, bytes }
    }

    /// Whether what is there should be written before more is added.
    pub(crate) fn is_large(&self) -> bool {
        self.buffer.len() >= WRITE_BYTES
    }

    /// Adds one frame, with the names that it needs.
    pub(crate) fn add(&mut self, outgoing: &Outgoing) {
        match outgoing {
            Outgoing::Tell { from, to, message, body } => {
                let (from, to, message) = self.names(from.as_ref(), to, message);
                self.put(&Head::Tell { from, to, message }, body);
            }
            Outgoing::Ask { id, from, to, message, body } => {
                let (from, to, message) = self.names(from.as_ref(), to, message);
                self.put(&Head::Ask { id: *id, from, to, message }, body);
            }
            Outgoing::Link { id, to } => {
                self.make_room(1);
                let to = self.actor(to);
                self.put(&Head::Link { id: *id, to }, b"");
            }
            Outgoing::Unlink { id } => self.put(&Head::Unlink { id: *id }, b""),
            Outgoing::Pong => self.put(&Head::Pong, b""),
            Outgoing::Exited { id } => self.put(&Head::Exited { id: *id }, b""),
            Outgoing::Reply { id, body } => self.put(&Head::Reply { id: *id }, body),
            Outgoing::Refused { id, why } => self.put(&Head::Refused { id: *id, why: *why }, b""),
        }
    }

    /// Adds a frame that needs no name.
    pub(crate) fn put(&mut self, head: &Head, body: &[u8]) {
        frame::put(head, body, &mut self.buffer);
        self.frames.increment();
    }

    /// Writes what is there.
    pub(crate) async fn flush(&mut self) -> Result<(), ConnectionError> {
        self.bytes.add(self.buffer.len() as u64);
        timeout(WRITE_TIMEOUT, self.out.write_all(&self.buffer))
            .await
            .map_err(|_| ConnectionError::Stuck)??;
        frame::empty(&mut self.buffer, 2 * WRITE_BYTES);
        Ok(())
    }

    /// Says that nothing more comes.
    pub(crate) async fn finish(&mut self) -> Result<(), ConnectionError> {
        self.flush().await?;
        Ok(self.out.shutdown().await?)
    }

    fn names(
        &mut self,
        from: Option<&Arc<str>>,
        to: &Arc<str>,
        message: &'static str,
    ) -> (Option<u32>, u32, u32) {
        self.make_room(3);
        (from.map(|from| self.actor(from)), self.actor(to), self.message(message))
    }

    fn known(&self) -> usize {
        self.actors.len() + self.messages.len()
    }

    /// Empties the table, here and there, if so many names don't fit.
    fn make_room(&mut self, names: usize) {
        if self.known() + names > MAX_CONNECTION_NAMES {
            self.actors.clear();
            self.messages.clear();
            self.put(&Head::Forget, b"");
        }
    }

    fn actor(&mut self, name: &Arc<str>) -> u32 {
        if let Some(number) = self.actors.get(name) {
            return *number;
        }
        let number = self.known() as u32;
        self.put(&Head::Name, name.as_bytes());
        self.actors.insert(name.clone(), number);
        number
    }

    fn message(&mut self, name: &'static str) -> u32 {
        if let Some(number) = self.messages.get(name) {
            return *number;
        }
        let number = self.known() as u32;
        self.put(&Head::Name, name.as_bytes());
        self.messages.insert(name, number);
        number
    }
}
