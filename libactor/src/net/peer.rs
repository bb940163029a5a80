//! The dialing side of a connection: a queue, and a task that connects when there is something to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Outgoing;
use super::frame::{self, ACCEPT_MAGIC, ConnectionError, DIAL_MAGIC, Head};
use super::writer::FrameWriter;
use crate::complaint::Complaint;
use crate::limits::{
    FRAMES_A_WRITE, HANDSHAKE_TIMEOUT, PEER_IDLE, PEER_QUEUE_BYTES, PEER_QUEUE_MESSAGES, READ_BYTES,
    REDIAL_MAX, REDIAL_MIN,
};
use crate::node::Answered;
use crate::{Node, codec};

/// What waits for one peer.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    queue: mpsc::Sender<Outgoing>,
    /// Bytes that may still be queued.
    room: Semaphore,
    /// Nothing more is written.
    ended: CancellationToken,
}

/// Why something was not queued.
pub(crate) enum Refused {
    Full(Outgoing),
    /// The peer has been forgotten just now: ask the node for it again. What was to be queued comes back.
    Forgotten(Outgoing),
}

impl Peer {
    /// A peer and the task that serves it, which is to be spawned.
    pub(crate) fn new(node: Node, address: SocketAddr) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (queue, waiting) = mpsc::channel(PEER_QUEUE_MESSAGES);
        let peer = Arc::new(Self {
            address,
            queue,
            room: Semaphore::new(PEER_QUEUE_BYTES),
            ended: CancellationToken::new(),
        });
        let dialer = Dialer {
            node,
            peer: peer.clone(),
            waiting,
            batch: Vec::with_capacity(FRAMES_A_WRITE),
            logged: false,
        };
        (peer, dialer.run())
    }

    /// Queues something, now or not at all.
    pub(crate) fn offer(&self, outgoing: Outgoing) -> Result<(), Refused> {
        let weight = outgoing.weight() as u32;
        let Ok(room) = self.room.try_acquire_many(weight) else { return Err(Refused::Full(outgoing)) };
        match self.queue.try_send(outgoing) {
            // The room comes back when it has been written or dropped.
            Ok(()) => room.forget(),
            Err(TrySendError::Full(outgoing)) => return Err(Refused::Full(outgoing)),
            Err(TrySendError::Closed(outgoing)) => return Err(Refused::Forgotten(outgoing)),
        }
        Ok(())
    }

    /// Queues something when there is room.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<(), Refused> {
        let weight = outgoing.weight() as u32;
        let room = self.room.acquire_many(weight).await.expect("nobody closes the semaphore");
        match self.queue.send(outgoing).await {
            Ok(()) => room.forget(),
            Err(mpsc::error::SendError(outgoing)) => return Err(Refused::Forgotten(outgoing)),
        }
        Ok(())
    }

    /// Ends when the node closes and all is written that can be.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// How much waits.
    pub(crate) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}

struct Dialer {
    node: Node,
    peer: Arc<Peer>,
    waiting: mpsc::Receiver<Outgoing>,
    batch: Vec<Outgoing>,
    /// Whether it was logged that the peer can't be reached, since it was reached last.
    logged: bool,
}

impl Dialer {
    async fn run(mut self) {
        let mut pause = REDIAL_MIN;
        while self.something_to_say().await {
            match self.dial().await {
                Ok(stream) => {
                    pause = REDIAL_MIN;
                    self.logged = false;
                    match self.converse(stream).await {
                        Ok(()) => {}
                        Err(ConnectionError::Closed | ConnectionError::Io(_)) => {
                            tracing::debug!("the connection to {} is lost", self.peer.address);
                        }
                        Err(error) => self.node.complain_of_connection(self.peer.address, &error),
                    }
                    self.lost();
                }
                Err(error) => {
                    tracing::debug!("can't connect to {}: {error}", self.peer.address);
                    self.lost();
                    let closing = self.node.closing();
                    // Whether the pause or the node ends first, the loop goes on to look at the queue.
                    let _ = timeout(pause, closing.cancelled()).await;
                    pause = (pause * 2).min(REDIAL_MAX);
                }
            }
        }
        self.lost();
        self.node.forget_peer(&self.peer, || true);
        self.peer.ended.cancel();
    }

    /// Waits for the first of a batch. `false`: this peer is forgotten.
    async fn something_to_say(&mut self) -> bool {
        loop {
            let closing = self.node.closing().clone();
            let received = tokio::select! {
                biased;
                count = timeout(PEER_IDLE, self.waiting.recv_many(&mut self.batch, FRAMES_A_WRITE)) => count,
                () = closing.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    continue;
                }
            };
            match received {
                Ok(count) => return count > 0,
                Err(_) if self.node.forget_peer(&self.peer, || self.peer.queued() == 0) => return false,
                Err(_) => {}
            }
        }
    }

    async fn dial(&self) -> Result<TcpStream, ConnectionError> {
        let address = self.peer.address;
        let connect = timeout(self.node.config().connect_timeout, TcpStream::connect(address)).await;
        let mut stream = connect.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let mut preface = BytesMut::new();
        frame::put_preface(DIAL_MAGIC, self.node.address(), &mut preface);
        let handshake = async {
            tokio::io::AsyncWriteExt::write_all(&mut stream, &preface).await?;
            frame::read_preface(ACCEPT_MAGIC, &mut stream).await
        };
        let handshake = timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(|_| ConnectionError::Handshake);
        if let Err(error) = handshake.and_then(|result| result.map(|_| ())) {
            self.node.complain_of_connection(address, &error);
            return Err(error);
        }
        Ok(stream)
    }

    /// Writes and reads until the connection ends. `Ok`: the queue was closed, and all of it is written.
    async fn converse(&mut self, stream: TcpStream) -> Result<(), ConnectionError> {
        let (read, write) = stream.into_split();
        let (node, address) = (self.node.clone(), self.peer.address);
        let (heard, hears) = watch::channel(Instant::now());
        tokio::select! {
            result = listen(&node, address, read, &heard) => result,
            result = self.speak(write) => result,
            result = stay_awake(&node, address, hears) => result,
        }
    }

    async fn speak(&mut self, write: OwnedWriteHalf) -> Result<(), ConnectionError> {
        let (frames, bytes) = self.node.sent_counters();
        let mut writer = FrameWriter::new(write, frames, bytes);
        let heartbeat = self.node.config().heartbeat;
        let ping = Head::Ping { every_millis: u32::try_from(heartbeat.as_millis()).unwrap_or(u32::MAX) };
        let mut beat = tokio::time::interval(heartbeat.max(Duration::from_millis(1)));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let closing = self.node.closing().clone();
        loop {
            for outgoing in &self.batch {
                writer.add(outgoing);
                if writer.is_large() {
                    writer.flush().await?;
                }
            }
            writer.flush().await?;
            // Not before: what is not written is given back when the connection is lost.
            let room = self.batch.drain(..).map(|outgoing| outgoing.weight()).sum();
            self.peer.room.add_permits(room);
            tokio::select! {
                biased;
                _ = beat.tick() => {
                    if self.node.has_links_to(self.peer.address) {
                        writer.put(&ping, b"");
                    }
                }
                count = self.waiting.recv_many(&mut self.batch, FRAMES_A_WRITE) => {
                    if count == 0 {
                        writer.finish().await?;
                        // The other side closes when it has read everything; until then answers may come.
                        tokio::time::sleep(crate::limits::SHUTDOWN_WAIT).await;
                        return Ok(());
                    }
                }
                () = closing.cancelled(), if !self.waiting.is_closed() => self.waiting.close(),
            }
        }
    }

    /// The connection is gone, or there is none to be had: what waits is dropped, who has linked or asked is told.
    fn lost(&mut self) {
        let mut dropped = 0;
        loop {
            for outgoing in self.batch.drain(..) {
                self.peer.room.add_permits(outgoing.weight());
                dropped += u64::from(matches!(outgoing, Outgoing::Tell { .. }));
            }
            match self.waiting.try_recv() {
                Ok(outgoing) => self.batch.push(outgoing),
                Err(_) => break,
            }
        }
        // Who looks for a leader tries for as long as a node is away: one line says it.
        if dropped > 0 && !std::mem::replace(&mut self.logged, true) {
            let about = format_args!("{} can't be reached", self.peer.address);
            self.node.complain_many(Complaint::Unreachable, dropped, &about);
        } else {
            self.node.count_losses(Complaint::Unreachable, dropped);
        }
        self.node.peer_lost(self.peer.address);
    }
}

/// Reads answers and notices.
async fn listen(
    node: &Node,
    address: SocketAddr,
    mut read: OwnedReadHalf,
    heard: &watch::Sender<Instant>,
) -> Result<(), ConnectionError> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        while let Some(length) = frame::complete(&buffer)? {
            let (head, body) = frame::open(&buffer[4..4 + length])?;
            match head {
                Head::Pong => {}
                Head::Exited { id } => node.link_ended_elsewhere(id, address),
                Head::Reply { id } => node.answered(id, Answered::Body(Bytes::copy_from_slice(body))),
                Head::Refused { id, why } => node.answered(id, Answered::Refused(why)),
                other => return Err(ConnectionError::BadFrame(format!("{other:?} from an acceptor"))),
            }
            buffer.advance(4 + length);
        }
        if buffer.is_empty() {
            frame::empty(&mut buffer, 4 * READ_BYTES);
        }
        buffer.reserve(READ_BYTES);
        if read.read_buf(&mut buffer).await? == 0 {
            return Err(if buffer.is_empty() { ConnectionError::Closed } else { ConnectionError::Truncated });
        }
        heard.send_replace(Instant::now());
    }
}

/// Ends when an actor there is linked to and nothing has been heard for too long.
async fn stay_awake(
    node: &Node,
    address: SocketAddr,
    hears: watch::Receiver<Instant>,
) -> Result<(), ConnectionError> {
    let silence = node.config().silence;
    let look = (silence / 12).max(Duration::from_millis(1));
    let mut linked_since = None;
    loop {
        let before = Instant::now();
        tokio::time::sleep(look).await;
        if before.elapsed() > look * 3 {
            // It was this process that stood still; what has arrived meanwhile has not been read yet.
            linked_since = None;
        }
        if !node.has_links_to(address) {
            linked_since = None;
            continue;
        }
        let since = *linked_since.get_or_insert_with(Instant::now);
        let last = (*hears.borrow()).max(since);
        if last.elapsed() >= silence {
            return Err(ConnectionError::Silent(silence));
        }
    }
}

/// Bytes of a message, from a buffer that messages share so that most take no allocation.
pub(crate) fn encode_body<T: serde::Serialize>(value: &T) -> Result<Bytes, codec::EncodeFailure> {
    use std::cell::RefCell;
    thread_local! {
        static SHARED: RefCell<BytesMut> = RefCell::new(BytesMut::new());
    }
    SHARED.with(|shared| {
        let Ok(mut shared) = shared.try_borrow_mut() else {
            // A `Serialize` that itself sends.
            let mut own = BytesMut::new();
            codec::encode(value, &mut own, crate::limits::MAX_BODY_BYTES)?;
            return Ok(own.freeze());
        };
        shared.reserve(256);
        codec::encode(value, &mut shared, crate::limits::MAX_BODY_BYTES)?;
        Ok(shared.split().freeze())
    })
}
