//! A connection that can't be held for nothing: a request's head must come in time, and a response be taken.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::Counter;
use crate::limits::{HTTP_HEAD_BYTES, HTTP_HEAD_TIMEOUT, HTTP_WRITE_TIMEOUT};

/// What a connection is doing.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Requests between the end of their head and the end of their response.
    requests: AtomicUsize,
    /// How many have ended.
    ended: AtomicU64,
}

/// While it lives, a request is being served.
#[derive(Debug)]
pub(crate) struct Serving(Arc<Activity>);

impl Serving {
    pub(crate) fn new(activity: Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::AcqRel);
        Self(activity)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection with its deadlines.
pub(crate) struct HttpStream {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// Responses that had ended when the deadline for reading was set.
    ended: u64,
    read_by: Pin<Box<Sleep>>,
    /// Bytes that have come since then outside of a request.
    head: usize,
    /// While a write is held back.
    write_by: Option<Pin<Box<Sleep>>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    refused: Counter,
    open: Arc<AtomicUsize>,
    _slot: OwnedSemaphorePermit,
}

impl HttpStream {
    pub(crate) fn new(
        stream: TcpStream,
        slot: OwnedSemaphorePermit,
        closed: WaitForCancellationFutureOwned,
        refused: Counter,
        open: Arc<AtomicUsize>,
    ) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self {
            stream,
            activity: Arc::default(),
            ended: 0,
            read_by: Box::pin(sleep(HTTP_HEAD_TIMEOUT)),
            head: 0,
            write_by: None,
            closed: Box::pin(closed),
            refused,
            open,
            _slot: slot,
        }
    }

    pub(crate) fn activity(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    fn is_closed(&mut self, cx: &mut Context<'_>) -> bool {
        self.closed.as_mut().poll(cx).is_ready()
    }

    fn refuse(&self, what: &str) -> io::Error {
        self.refused.increment();
        io::Error::new(io::ErrorKind::TimedOut, what)
    }

    /// Whether the next bytes are of a request's head. The first time after a response its deadline is set.
    fn awaits_head(&mut self) -> bool {
        if self.activity.requests.load(Ordering::Acquire) > 0 {
            return false;
        }
        let ended = self.activity.ended.load(Ordering::Acquire);
        if ended != self.ended {
            self.ended = ended;
            self.head = 0;
            self.read_by.as_mut().reset(Instant::now() + HTTP_HEAD_TIMEOUT);
        }
        true
    }

    /// What a write that is held back waits for.
    fn hold_back(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.is_closed(cx) {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        let write_by = self.write_by.get_or_insert_with(|| Box::pin(sleep(HTTP_WRITE_TIMEOUT)));
        write_by.as_mut().poll(cx).map(|()| self.refuse("the client takes no bytes"))
    }
}

impl Drop for HttpStream {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let head = this.awaits_head();
        if head && this.head > HTTP_HEAD_BYTES {
            return Poll::Ready(Err(this.refuse("the head of the request is too large")));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            this.head += if head { buffer.filled().len() - before } else { 0 };
            return Poll::Ready(result);
        }
        if this.is_closed(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if !head {
            // The body of a request has its own deadline, and a response may take as long as it likes.
            return Poll::Pending;
        }
        this.read_by.as_mut().poll(cx).map(|()| Err(this.refuse("no request has come")))
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write(cx, bytes) {
            Poll::Ready(result) => {
                this.write_by = None;
                Poll::Ready(result)
            }
            Poll::Pending => this.hold_back(cx).map(Err),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write_vectored(cx, bytes) {
            Poll::Ready(result) => {
                this.write_by = None;
                Poll::Ready(result)
            }
            Poll::Pending => this.hold_back(cx).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
