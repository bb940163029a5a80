//! The accepting side of a connection: reads messages and puts them into mailboxes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout};

use super::Outgoing;
use super::frame::{self, ACCEPT_MAGIC, ConnectionError, DIAL_MAGIC, Head};
use super::writer::FrameWriter;
use crate::actor::{Entry, Incoming, Letter, RemoteReply, ReplySlot};
use crate::complaint::Complaint;
use crate::limits::{
    ANSWER_QUEUE, FRAME_TIMEOUT, FRAMES_A_WRITE, HANDSHAKE_TIMEOUT, MAILBOX_WAIT, MAX_CONNECTION_LINKS,
    MAX_CONNECTION_NAMES, READ_BYTES, SMALL_FRAME_BYTES,
};
use crate::{Counter, MAX_NAME_BYTES, Node, Pid, Refusal};

/// One accepted connection.
struct Inbound {
    node: Node,
    /// Number of the connection.
    id: u64,
    /// Where the other side says that it listens.
    remote: SocketAddr,
    names: Vec<Arc<str>>,
    links: HashMap<u64, Arc<str>>,
    out: mpsc::Sender<Outgoing>,
    /// How often the other side wants a sign of life, and when it had the last.
    heartbeat: Option<(Duration, Instant)>,
    /// The room of the frame in hand, if it is a large one.
    room: Option<OwnedSemaphorePermit>,
    received: Counter,
    answers_lost: Counter,
}

/// Serves a connection that began like one of ours, until it ends.
pub(crate) async fn serve(
    node: Node,
    mut stream: TcpStream,
    socket: SocketAddr,
    deciding: OwnedSemaphorePermit,
) {
    let handshake = async {
        let remote = frame::read_preface(DIAL_MAGIC, &mut stream).await?;
        let mut preface = BytesMut::new();
        frame::put_preface(ACCEPT_MAGIC, node.address(), &mut preface);
        stream.write_all(&preface).await?;
        Ok(remote)
    };
    let handshake = timeout(HANDSHAKE_TIMEOUT, handshake).await;
    let remote = match handshake.map_err(|_| ConnectionError::Handshake).flatten() {
        Ok(remote) => remote,
        Err(error) => {
            // One that speaks another version learns from our answer which one we speak.
            if matches!(error, ConnectionError::Version(_)) {
                let mut preface = BytesMut::new();
                frame::put_preface(ACCEPT_MAGIC, node.address(), &mut preface);
                // It is being closed anyway.
                let _ = stream.try_write(&preface);
            }
            return node.complain_of_connection(socket, &error);
        }
    };
    drop(deciding);
    let (out, waiting) = mpsc::channel(ANSWER_QUEUE);
    let mut inbound = Inbound {
        id: node.next_number(),
        remote,
        names: Vec::new(),
        links: HashMap::new(),
        out,
        heartbeat: None,
        room: None,
        received: node.metrics().counter("libactor/frames_received"),
        answers_lost: node.metrics().counter("libactor/dropped_answer"),
        node,
    };
    let (read, write) = stream.into_split();
    let counters = inbound.node.sent_counters();
    let over = inbound.node.accepted_from(remote, inbound.id);
    let result = tokio::select! {
        result = inbound.listen(read) => result,
        result = speak(write, waiting, counters) => result,
        () = over.cancelled() => {
            tracing::debug!("{remote} counts as gone: what it has dialed ends");
            Ok(())
        }
    };
    inbound.node.accepted_ended(remote, inbound.id);
    for (id, name) in inbound.links.drain() {
        inbound.node.unwatch(&name, inbound.id, id);
    }
    match result {
        Ok(()) | Err(ConnectionError::Io(_)) => tracing::debug!("the connection from {remote} has ended"),
        Err(error) => inbound.node.complain_of_connection(remote, &error),
    }
}

async fn speak(
    write: OwnedWriteHalf,
    mut waiting: mpsc::Receiver<Outgoing>,
    (frames, bytes): (Counter, Counter),
) -> Result<(), ConnectionError> {
    let mut writer = FrameWriter::new(write, frames, bytes);
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, FRAMES_A_WRITE).await > 0 {
        for outgoing in batch.drain(..) {
            writer.add(&outgoing);
            if writer.is_large() {
                writer.flush().await?;
            }
        }
        writer.flush().await?;
    }
    Ok(())
}

impl Inbound {
    /// Reads until the other side has said everything.
    async fn listen(&mut self, mut read: OwnedReadHalf) -> Result<(), ConnectionError> {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        loop {
            while let Some(length) = frame::complete(&buffer)? {
                let (head, body) = frame::open(&buffer[4..4 + length])?;
                self.received.increment();
                self.make_room(length, SMALL_FRAME_BYTES).await?;
                self.take(head, body).await?;
                self.room = None;
                buffer.advance(4 + length);
            }
            self.beat();
            if let Some(length) = frame::announced(&buffer) {
                self.make_room(length, READ_BYTES).await?;
            }
            if buffer.is_empty() {
                frame::empty(&mut buffer, 4 * READ_BYTES);
            }
            buffer.reserve(READ_BYTES);
            let begun = !buffer.is_empty();
            let count = if begun {
                timeout(FRAME_TIMEOUT, read.read_buf(&mut buffer))
                    .await
                    .map_err(|_| ConnectionError::Truncated)?
            } else {
                read.read_buf(&mut buffer).await
            };
            if count? == 0 {
                return if begun { Err(ConnectionError::Truncated) } else { Ok(()) };
            }
        }
    }

    /// Waits for room for a frame that is not small.
    async fn make_room(&mut self, length: usize, small: usize) -> Result<(), ConnectionError> {
        if length <= small || self.room.is_some() {
            return Ok(());
        }
        let give_up = Instant::now() + FRAME_TIMEOUT;
        while Instant::now() < give_up {
            let room = self.node.received_room().clone().acquire_many_owned(length as u32);
            match timeout(self.patience(MAILBOX_WAIT), room).await {
                Ok(room) => {
                    self.room = Some(room.expect("nobody closes the semaphore"));
                    return Ok(());
                }
                Err(_) => self.beat(),
            }
        }
        Err(ConnectionError::NoRoom)
    }

    /// How long it may wait before it looks whether a sign of life is due.
    fn patience(&self, at_most: Duration) -> Duration {
        self.heartbeat.map_or(at_most, |(every, _)| at_most.min(every)).max(Duration::from_millis(1))
    }

    async fn take(&mut self, head: Head, body: &[u8]) -> Result<(), ConnectionError> {
        match head {
            Head::Name => self.learn(body)?,
            Head::Forget => self.names.clear(),
            Head::Tell { from, to, message } => {
                let names = (self.optional_name(from)?, self.name(to)?, self.name(message)?);
                if let Some((entry, letter)) = self.letter(names, body, None) {
                    self.deliver(entry, letter).await;
                }
            }
            Head::Ask { id, from, to, message } => {
                let names = (self.optional_name(from)?, self.name(to)?, self.name(message)?);
                let (out, lost) = (self.out.clone(), self.answers_lost.clone());
                let reply = RemoteReply { out, id, done: false, lost };
                if let Some((entry, letter)) = self.letter(names, body, Some(reply)) {
                    self.deliver(entry, letter).await;
                }
            }
            Head::Link { id, to } => {
                let name = self.name(to)?;
                if self.links.len() >= MAX_CONNECTION_LINKS {
                    return Err(ConnectionError::Links);
                }
                self.links.insert(id, name.clone());
                self.node.watch(name, self.id, id, &self.out);
            }
            Head::Unlink { id } => {
                if let Some(name) = self.links.remove(&id) {
                    self.node.unwatch(&name, self.id, id);
                }
            }
            Head::Ping { every_millis } => {
                self.heartbeat = Some((Duration::from_millis(every_millis.into()), Instant::now()));
                self.pong();
            }
            other => return Err(ConnectionError::BadFrame(format!("{other:?} from a dialer"))),
        }
        Ok(())
    }

    fn learn(&mut self, name: &[u8]) -> Result<(), ConnectionError> {
        if self.names.len() >= MAX_CONNECTION_NAMES || name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(ConnectionError::Names);
        }
        let name = std::str::from_utf8(name).map_err(|error| ConnectionError::BadFrame(error.to_string()))?;
        self.names.push(name.into());
        Ok(())
    }

    fn name(&self, number: u32) -> Result<Arc<str>, ConnectionError> {
        let name = self.names.get(number as usize);
        name.cloned().ok_or_else(|| ConnectionError::BadFrame(format!("name {number} is not known")))
    }

    fn optional_name(&self, number: Option<u32>) -> Result<Option<Arc<str>>, ConnectionError> {
        number.map(|number| self.name(number)).transpose()
    }

    /// Makes a delivery of a message, or counts why it is none.
    fn letter(
        &mut self,
        (from, to, message): (Option<Arc<str>>, Arc<str>, Arc<str>),
        body: &[u8],
        reply: Option<RemoteReply>,
    ) -> Option<(Arc<Entry>, Letter)> {
        let about = format_args!("'{message}' from {} to '{to}'", self.remote);
        let refuse = |complaint, why, reply: Option<RemoteReply>| {
            self.node.complain(complaint, &about);
            if let Some(reply) = reply {
                reply.refuse(why);
            }
            None
        };
        let from = from.map(|name| Pid::new(name, self.remote));
        if from.as_ref().is_some_and(|from| from.stream_id().is_some()) {
            // It has the powers of an HTTP client, which speaks on its own connection.
            return refuse(Complaint::ForgedSender, Refusal::NoSuchActor, reply);
        }
        let Some(entry) = self.node.entry(&to) else {
            return refuse(Complaint::UnknownActor, Refusal::NoSuchActor, reply);
        };
        let installed = entry.installed_as(&message).filter(|known| known.request || reply.is_none());
        let Some((installed, decode)) = installed.and_then(|known| Some((known, known.decode?))) else {
            return refuse(Complaint::UnknownMessage, Refusal::UnknownMessage, reply);
        };
        let value = match decode(body) {
            Ok(value) => value,
            Err(reason) => {
                let about = format_args!("'{message}' from {} to '{to}': {reason}", self.remote);
                self.node.complain(Complaint::Undecodable, &about);
                if let Some(reply) = reply {
                    reply.refuse(Refusal::Undecodable);
                }
                return None;
            }
        };
        let passes = self.node.passes(from.as_ref(), &entry.pid, &message);
        let reply = reply.map_or(ReplySlot::None, ReplySlot::Remote);
        let _room = self.room.take();
        let mut incoming = Incoming { from, message: value, reply, _room };
        if !passes {
            incoming.reply.forget();
            return None;
        }
        let letter = Letter::Message(installed.handler, incoming);
        Some((entry, letter))
    }

    /// Puts a delivery into a mailbox. If that is full the connection waits, so that TCP holds the sender back; if the
    /// wait was in vain, the delivery is dropped, and the next ones don't wait until there has been room.
    async fn deliver(&mut self, entry: Arc<Entry>, letter: Letter) {
        let letter = match entry.mailbox.try_send(letter) {
            Ok(()) => {
                entry.stalled.store(false, Ordering::Relaxed);
                return;
            }
            Err(TrySendError::Full(letter)) => letter,
            Err(TrySendError::Closed(_)) => {
                return self
                    .node
                    .complain(Complaint::UnknownActor, &format_args!("'{}' has stopped", entry.pid));
            }
        };
        let give_up = Instant::now() + MAILBOX_WAIT;
        while !entry.stalled.load(Ordering::Relaxed) {
            self.beat();
            let left = give_up.saturating_duration_since(Instant::now());
            match timeout(self.patience(left), entry.mailbox.reserve()).await {
                Ok(Ok(room)) => return room.send(letter),
                Ok(Err(_)) => break,
                Err(_) if left.is_zero() => entry.stalled.store(true, Ordering::Relaxed),
                Err(_) => {}
            }
        }
        let about = format_args!("of '{}', for a message from {}", entry.pid, self.remote);
        self.node.complain(Complaint::MailboxFull, &about);
        if let Letter::Message(_, Incoming { reply: ReplySlot::Remote(reply), .. }) = letter {
            reply.refuse(Refusal::MailboxFull);
        }
    }

    /// A sign of life if one is due: whoever waits behind a full mailbox has not died.
    fn beat(&mut self) {
        if self.heartbeat.is_some_and(|(every, last)| last.elapsed() >= every) {
            self.pong();
        }
    }

    fn pong(&mut self) {
        if let Some((_, last)) = &mut self.heartbeat {
            *last = Instant::now();
        }
        // If the queue is full, what is in it is a sign of life as good.
        let _ = self.out.try_send(Outgoing::Pong);
    }
}
