//! One who watches events.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use libactor::Clock;
use libactor::http::StreamSender;
use protocol::wire::Format;
use tokio::sync::Semaphore;

use super::records;
use crate::edge::operator;
use crate::edge::snapshot::Snapshot;

/// Between two signs of life. Source: Mesos `DEFAULT_HEARTBEAT_INTERVAL`.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// Bytes of events that may wait for the first record to be written; a watcher with more is given up. Ours.
const MAX_BACKLOG: usize = 64 << 20;

/// First records that are written at a time. Ours: they are large.
static WRITERS: Semaphore = Semaphore::const_new(1);

/// Bytes of first records that are not sent yet, in this process.
static UNSENT: AtomicUsize = AtomicUsize::new(0);

/// The most of them; a watcher whose first record comes on top of that is given up. Ours: some of the largest.
const MAX_UNSENT: usize = 1 << 30;

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    sender: StreamSender,
    format: Format,
    gone: AtomicBool,
    phase: Mutex<Phase>,
}

#[derive(Debug)]
enum Phase {
    /// The first record is being written; this follows it.
    CatchingUp { backlog: VecDeque<Bytes>, bytes: usize },
    /// Events go out as they come.
    Live,
}

impl Watcher {
    pub(super) fn new(sender: StreamSender, format: Format) -> Self {
        let phase = Phase::CatchingUp { backlog: VecDeque::new(), bytes: 0 };
        Self { sender, format, gone: AtomicBool::new(false), phase: Mutex::new(phase) }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Whether nobody listens any more.
    pub(super) fn has_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Ends the stream after what was told.
    pub(super) fn finish(&self) {
        self.gone.store(true, Ordering::Relaxed);
        self.sender.finish(None);
    }

    /// Tells one event.
    pub(super) fn tell(&self, record: Bytes) {
        match &mut *self.lock() {
            Phase::CatchingUp { backlog, bytes } => {
                *bytes += record.len();
                backlog.push_back(record);
                if *bytes > MAX_BACKLOG {
                    tracing::warn!("a watcher of events is given up: too much happens while it catches up");
                    backlog.clear();
                    self.finish();
                }
            }
            Phase::Live => self.send(record),
        }
    }

    fn send(&self, record: Bytes) {
        if self.sender.send(record).is_err() {
            // It is logged where it was cut.
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// Sends the backlog in pieces that the client takes, then goes live.
    async fn catch_up(&self) {
        loop {
            self.sender.room().await;
            let mut phase = self.lock();
            let Phase::CatchingUp { backlog, .. } = &mut *phase else { return };
            let Some(record) = backlog.pop_front() else {
                *phase = Phase::Live;
                return;
            };
            self.send(record);
            if self.has_gone() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one watcher until it is gone: what there is, a sign of life, and one again and again.
pub(super) async fn serve(watcher: Arc<Watcher>, snapshot: Snapshot, clock: Clock) {
    let told = async {
        let Some(first) = first_record(snapshot, watcher.clone()).await else {
            watcher.finish();
            return;
        };
        for piece in first {
            watcher.sender.room().await;
            watcher.send(piece.bytes.clone());
        }
        let heartbeat = records::heartbeat(watcher.format);
        watcher.send(heartbeat.clone());
        watcher.catch_up().await;
        while !watcher.has_gone() {
            clock.sleep(HEARTBEAT).await;
            watcher.send(heartbeat.clone());
        }
    };
    tokio::select! {
        () = told => {}
        () = watcher.sender.closed() => {}
    }
    watcher.gone.store(true, Ordering::Relaxed);
}

/// SUBSCRIBED, as pieces of one record; `None` if the runtime is ending, there is no room, or nobody listens any more.
async fn first_record(snapshot: Snapshot, watcher: Arc<Watcher>) -> Option<Vec<Piece>> {
    let writer = WRITERS.acquire().await.ok()?;
    let written = tokio::task::spawn_blocking(move || {
        // As long as the thread is at work: the one who waits for it may go before.
        let _writer = writer;
        let format = watcher.format;
        let mut pieces = Pieces::new(watcher);
        let written = operator::subscribed(&mut pieces, &snapshot, format);
        if let Err(error) = &written
            && !pieces.watcher.has_gone()
        {
            tracing::warn!("a watcher of events is given up: {error}");
        }
        written.map(|()| pieces.record())
    });
    written.await.ok()?.ok()
}

/// Bytes that count as long as they are here.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
}

impl Piece {
    fn new(bytes: Vec<u8>) -> Self {
        UNSENT.fetch_add(bytes.len(), Ordering::Relaxed);
        Self { bytes: bytes.into() }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        UNSENT.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A record in pieces, for one who may go while it is written.
struct Pieces {
    watcher: Arc<Watcher>,
    full: VecDeque<Piece>,
    last: Vec<u8>,
    bytes: usize,
}

/// Bytes of a piece. Ours: small records are one chunk.
const PIECE: usize = 1 << 20;

impl Pieces {
    fn new(watcher: Arc<Watcher>) -> Self {
        Self { watcher, full: VecDeque::new(), last: Vec::new(), bytes: 0 }
    }

    /// The pieces, the length of all before the first.
    fn record(self) -> Vec<Piece> {
        let Self { mut full, last, bytes, .. } = self;
        full.push_back(Piece::new(last));
        let mut head = format!("{bytes}\n").into_bytes();
        if let Some(first) = full.pop_front() {
            head.extend_from_slice(&first.bytes);
        }
        full.push_front(Piece::new(head));
        full.into()
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.watcher.has_gone() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody listens any more"));
        }
        self.last.extend_from_slice(bytes);
        self.bytes += bytes.len();
        if self.last.len() >= PIECE {
            self.full.push_back(Piece::new(std::mem::take(&mut self.last)));
            if UNSENT.load(Ordering::Relaxed) > MAX_UNSENT {
                return Err(io::Error::other("there is no room for its first record"));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use libactor::http;

    use super::*;

    #[test]
    fn a_first_record_counts_while_it_is_written_and_ends_with_its_watcher() {
        let (sender, _body) = http::stream(http::StreamLimits::default());
        let watcher = Arc::new(Watcher::new(sender, Format::Json));
        let mut pieces = Pieces::new(watcher.clone());
        assert_eq!(pieces.write(b"abc").unwrap(), 3);
        pieces.write_all(&vec![b'x'; PIECE]).unwrap();
        assert!(UNSENT.load(Ordering::Relaxed) >= PIECE + 3);
        watcher.finish();
        assert_eq!(pieces.write(b"d").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let record = pieces.record();
        assert!(record[0].bytes.starts_with(b"1048579\nabcx") && record.len() == 2);
    }
}
