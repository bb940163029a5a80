//! Bodies that are made once, on a thread of their own, and read by many.
//!
//! A large answer, such as the state of a cluster, takes too long for the thread that the actors share. A [`SharedBody`] is
//! made beside it; each reader follows from the first byte at its own pace, and what was made is freed with the last
//! clone. Its gzip form is made once too, when the first reader wants it.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::limits::{
    HTTP_WORKERS, SHARED_BODIES_BYTES, SHARED_BODY_BYTES, SHARED_CHUNK_BYTES, SHARED_SMALL_BYTES,
};
use crate::sync::lock;

/// Threads that may be at work for bodies, in this process.
static WORKERS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(workers()));

/// Bytes of all shared bodies.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// How many may work at a time.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |all| all.get() / 2).clamp(1, HTTP_WORKERS)
}

/// A place among those that work.
pub(crate) async fn worker() -> SemaphorePermit<'static> {
    WORKERS.acquire().await.expect("nobody closes the semaphore")
}

/// A body that is being made, or has been. Clones are the same body.
#[derive(Clone)]
pub struct SharedBody(Arc<Forms>);

/// A body as long as somebody else holds it.
#[derive(Clone)]
pub struct WeakBody(Weak<Forms>);

impl WeakBody {
    /// The body, unless nobody holds it any more.
    pub fn upgrade(&self) -> Option<SharedBody> {
        self.0.upgrade().map(SharedBody)
    }
}

impl fmt::Debug for WeakBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakBody({:?})", self.upgrade())
    }
}

struct Forms {
    plain: Arc<Pieces>,
    gzip: OnceCell<Arc<Pieces>>,
}

impl SharedBody {
    /// Has `f` write a body on another thread, as soon as one is free for it. If `f` fails, or writes too much, readers get
    /// as much as there is and then lose their connection; if nothing was sent yet they get 500. Once nobody
    /// holds the body any more, writing fails; if it has not begun, `f` is dropped at once.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn produce(f: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> SharedBody {
        let plain = Arc::new(Pieces::default());
        let pieces = Arc::downgrade(&plain);
        let gone = plain.gone.clone();
        tokio::spawn(async move {
            let worker = tokio::select! {
                biased;
                () = gone.cancelled() => return,
                worker = worker() => worker,
            };
            // If the runtime ends first, so do the readers.
            let _ = tokio::task::spawn_blocking(move || {
                let _worker = worker;
                make(pieces, f);
            })
            .await;
        });
        Self(Arc::new(Forms { plain, gzip: OnceCell::new() }))
    }

    /// The body, without holding it.
    pub fn downgrade(&self) -> WeakBody {
        WeakBody(Arc::downgrade(&self.0))
    }

    /// Follows the body from its first byte.
    pub(crate) fn reader(&self) -> SharedReader {
        SharedReader { pieces: self.0.plain.clone(), next: 0 }
    }

    /// Follows its gzip form.
    pub(crate) async fn gzip_reader(&self) -> SharedReader {
        let pieces = self.0.gzip.get_or_init(|| async { super::gzip::pieces(self.reader()) }).await;
        SharedReader { pieces: pieces.clone(), next: 0 }
    }
}

impl fmt::Debug for SharedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = lock(&self.0.plain.made);
        write!(f, "SharedBody({} bytes{})", made.bytes, if made.end.is_some() { "" } else { " so far" })
    }
}

/// What there is of a body.
#[derive(Default)]
pub(crate) struct Pieces {
    made: Mutex<Made>,
    /// Nobody holds them any more.
    gone: CancellationToken,
}

#[derive(Default)]
struct Made {
    pieces: Vec<Bytes>,
    bytes: usize,
    /// No more comes.
    end: Option<Result<(), String>>,
    waiting: Vec<Waker>,
}

impl Pieces {
    /// Cancelled when nobody holds them any more.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// Adds a piece, if there is room for it.
    pub(crate) fn push(&self, piece: Bytes) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let all = HELD.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        let mut made = lock(&self.made);
        made.bytes += piece.len();
        let bytes = made.bytes;
        made.pieces.push(piece);
        made.wake();
        drop(made);
        if bytes > SHARED_BODY_BYTES || all > SHARED_BODIES_BYTES {
            return Err(io::Error::other("the body is larger than there is room for"));
        }
        Ok(())
    }

    pub(crate) fn end(&self, end: Result<(), String>) {
        let mut made = lock(&self.made);
        if made.end.is_some() {
            return;
        }
        if let Err(reason) = &end {
            tracing::warn!("a body was not made to its end: {reason}");
        }
        made.end = Some(end);
        made.wake();
    }
}

impl Made {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        HELD.fetch_sub(lock(&self.made).bytes, Ordering::Relaxed);
        self.gone.cancel();
    }
}

/// Cuts what is written into pieces.
struct PieceWriter {
    pieces: Weak<Pieces>,
    piece: Vec<u8>,
}

impl PieceWriter {
    fn hand_on(&mut self) -> io::Result<()> {
        let Some(pieces) = self.pieces.upgrade() else {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads the body any more"));
        };
        pieces.push(std::mem::take(&mut self.piece).into())
    }
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.capacity() == 0 {
            self.piece.reserve_exact(SHARED_CHUNK_BYTES);
        }
        let count = bytes.len().min(SHARED_CHUNK_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == SHARED_CHUNK_BYTES {
            self.hand_on()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends a body as failed if its writer panics.
struct Unfinished(Weak<Pieces>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(pieces) = self.0.upgrade() {
            pieces.end(Err("it was given up".to_owned()));
        }
    }
}

fn make(pieces: Weak<Pieces>, f: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let _unfinished = Unfinished(pieces.clone());
    let mut writer = PieceWriter { pieces: pieces.clone(), piece: Vec::new() };
    let written = f(&mut writer).and_then(|()| writer.hand_on());
    if let Some(pieces) = pieces.upgrade() {
        pieces.end(written.map_err(|error| error.to_string()));
    }
}

/// Follows a body.
pub(crate) struct SharedReader {
    pieces: Arc<Pieces>,
    next: usize,
}

impl SharedReader {
    /// The next piece; an error: it was not made to its end.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        let mut made = lock(&self.pieces.made);
        if let Some(piece) = made.pieces.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(piece.clone())));
        }
        match &made.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(reason)) => Poll::Ready(Some(Err(io::Error::other(reason.clone())))),
            None => {
                made.wait(cx.waker());
                Poll::Pending
            }
        }
    }

    /// Waits until the body is complete, or known to be large.
    ///
    /// # Errors
    /// If it ended before it was large.
    pub(crate) async fn length(&self) -> io::Result<Option<usize>> {
        std::future::poll_fn(|cx| {
            let mut made = lock(&self.pieces.made);
            if made.bytes > SHARED_SMALL_BYTES {
                return Poll::Ready(Ok(None));
            }
            match &made.end {
                Some(Ok(())) => Poll::Ready(Ok(Some(made.bytes))),
                Some(Err(reason)) => Poll::Ready(Err(io::Error::other(reason.clone()))),
                None => {
                    made.wait(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
