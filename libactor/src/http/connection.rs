//! A connection that can't be held for nothing: a request's head must come in time, and a response be taken.
//!
//! The server behind it is handed heads that are whole, and of the bytes that follow only those that belong to the
//! request, so that what comes next waits here and the end of the connection is seen while a response is on its way. A
//! request with chunks is passed on as it comes; its end is not looked for, nor are later heads of that connection.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::HttpLimits;
use super::activity::Activity;
use super::head::{Framing, Refusal, end_of_head, vet};
use crate::limits::{HTTP_AHEAD_BYTES, HTTP_LINGER};

/// Bytes that are read at a time.
const READ: usize = 16 << 10;

/// What the server may read next.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// A head, once it is whole; so much of the buffer has been searched for its end.
    Head { searched: usize },
    /// So many bytes more of a request.
    Rest(u64),
    /// All that comes.
    Raw,
}

/// A connection with its deadlines.
pub(crate) struct HttpIo {
    stream: TcpStream,
    activity: Arc<Activity>,
    limits: Arc<HttpLimits>,
    /// Read and not handed on.
    buffer: BytesMut,
    phase: Phase,
    /// Bytes of empty lines before a head.
    blank: usize,
    /// The client says no more.
    over: bool,
    /// Responses that had ended when all was written, and whether reading waits for the next time.
    flushed: u64,
    awaits_flush: bool,
    read_by: Pin<Box<Sleep>>,
    /// Since when a write is held back, and what ends that.
    blocked: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Why the connection ends, if the client is to be told.
    refusal: Option<Refusal>,
    /// Why it ends, if it is the client's fault.
    fault: Option<&'static str>,
}

impl HttpIo {
    pub(crate) fn new(stream: TcpStream, limits: Arc<HttpLimits>) -> Self {
        Self {
            stream,
            activity: Arc::default(),
            buffer: BytesMut::new(),
            phase: Phase::Head { searched: 0 },
            blank: 0,
            over: false,
            flushed: 0,
            awaits_flush: false,
            read_by: Box::pin(sleep(limits.head_timeout)),
            blocked: None,
            refusal: None,
            fault: None,
            limits,
        }
    }

    pub(crate) fn activity(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    /// Says the last word and closes. What went wrong, if it is the client's fault, comes back.
    pub(crate) async fn end(mut self) -> Option<String> {
        let fault = match &self.refusal {
            Some(refusal) => Some(refusal.text.clone()),
            None => self.fault.map(str::to_owned),
        };
        let between = matches!(self.phase, Phase::Rest(0) | Phase::Head { searched: 0 });
        let unread = self.refusal.is_some() || !self.buffer.is_empty() || !between;
        let last = self.refusal.take().map(|refusal| refusal.response());
        let said = async {
            if let Some(last) = last {
                self.stream.write_all(last.as_bytes()).await?;
            }
            self.stream.shutdown().await
        };
        let said = timeout(HTTP_LINGER, said).await;
        if unread && !self.over && matches!(said, Ok(Ok(()))) {
            // To close while the client is sending would reset the connection, and take the last word from it.
            let drain = async {
                let mut space = vec![0; READ];
                while self.stream.read(&mut space).await.is_ok_and(|count| count > 0) {}
            };
            // However that ends, the connection is closed now.
            let _ = timeout(HTTP_LINGER, drain).await;
        }
        fault
    }

    /// Reads what there is into the buffer; `false`: the client says no more.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.over {
            return Poll::Ready(Ok(false));
        }
        let mut space = [MaybeUninit::uninit(); READ];
        let mut space = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.stream).poll_read(cx, &mut space) {
            Poll::Ready(Ok(())) => {
                self.over = space.filled().is_empty();
                self.buffer.extend_from_slice(space.filled());
                Poll::Ready(Ok(!self.over))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.buffer.is_empty() {
                    // Most connections are idle most of the time.
                    self.buffer = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }

    /// Hands on what is in the buffer, up to so many bytes.
    fn hand_on(&mut self, at_most: u64, out: &mut ReadBufCursor<'_>) -> usize {
        let count =
            self.buffer.len().min(out.remaining()).min(usize::try_from(at_most).unwrap_or(usize::MAX));
        out.put_slice(&self.buffer[..count]);
        self.buffer.advance(count);
        count
    }

    /// Looks for the end of the connection while a response is on its way. A client that has merely said all that it has to
    /// say may still take the response, as long as there is something to take now and then.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.activity.wake_at_end(cx.waker());
        while self.buffer.len() < HTTP_AHEAD_BYTES && !self.over {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    self.activity.client_goes();
                    self.wait_for_response();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if self.over { self.read_by.as_mut().poll(cx).map(Ok) } else { Poll::Pending }
    }

    /// The client says no more: what it is told has its time.
    fn wait_for_response(&mut self) {
        let due = Instant::now() + self.limits.write_timeout;
        self.read_by.as_mut().reset(due);
    }

    /// Gathers a head. Afterwards it may be handed on, or the connection ends.
    fn poll_head(&mut self, searched: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if searched == 0 {
            // Some clients end a body with a line that is not part of it.
            let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.buffer.advance(blank);
            self.blank += blank;
        }
        if let Some(end) = end_of_head(&self.buffer, searched) {
            self.blank = 0;
            match vet(&self.buffer[..end]) {
                Ok(Framing::Length(body)) => self.phase = Phase::Rest(body.saturating_add(end as u64)),
                Ok(Framing::Chunks) => self.phase = Phase::Raw,
                Err(refusal) => return self.refuse(refusal),
            }
            return Poll::Ready(Ok(()));
        }
        if self.buffer.len() + self.blank > self.limits.head_bytes {
            return self.refuse(Refusal::large(self.limits.head_bytes));
        }
        self.phase = Phase::Head { searched: self.buffer.len() };
        match self.poll_fill(cx) {
            Poll::Ready(Ok(true)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(false)) if self.buffer.is_empty() => {
                // Between two requests, which is how connections end.
                self.phase = Phase::Rest(0);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(false)) => self.refuse(Refusal::truncated()),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let late = self.poll_late(cx);
                if late.is_ready() && !self.buffer.is_empty() {
                    return self.refuse(Refusal::slow());
                }
                late
            }
        }
    }

    /// An error once the next head is overdue. The time runs only while nothing else is to be done.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_flushed() {
            return Poll::Pending;
        }
        self.read_by.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Ends the connection with a word, after what is to be said before it.
    fn refuse(&mut self, refusal: Refusal) -> Poll<io::Result<()>> {
        self.refusal = Some(refusal);
        self.refused()
    }

    fn refused(&mut self) -> Poll<io::Result<()>> {
        if self.is_flushed() { Poll::Ready(Err(io::ErrorKind::InvalidData.into())) } else { Poll::Pending }
    }

    /// Whether every response that has ended has been written. If not, reading goes on once it is.
    fn is_flushed(&mut self) -> bool {
        self.awaits_flush = self.flushed != self.activity.ended();
        !self.awaits_flush
    }

    /// What a write that is held back waits for.
    fn hold_back(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let now = Instant::now();
        let (since, timer) =
            self.blocked.get_or_insert_with(|| (now, Box::pin(sleep(self.limits.write_timeout))));
        loop {
            let cut = self.activity.cut_at().unwrap_or(*since);
            let give_up = cut.min(*since) + self.limits.write_timeout;
            let stalls = self.activity.patience().map(|patience| *since + patience);
            let due = stalls.unwrap_or(give_up).min(give_up);
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due == give_up {
                return Poll::Ready(self.blame("the client takes no bytes"));
            }
            self.activity.stall();
        }
    }

    fn blame(&mut self, what: &'static str) -> io::Error {
        self.fault = Some(what);
        io::Error::new(io::ErrorKind::TimedOut, what)
    }

    /// A write has an end; says how the connection goes on.
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_pending() {
            return self.hold_back(cx).map(Err);
        }
        self.blocked = None;
        self.activity.flows();
        if self.over {
            self.wait_for_response();
        }
        if self.activity.cut_at().is_some_and(|cut| cut + self.limits.write_timeout < Instant::now()) {
            return Poll::Ready(Err(self.blame("the client takes too long over a stream that was cut")));
        }
        result
    }
}

impl hyper::rt::Read for HttpIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.refusal.is_some() {
            return this.refused();
        }
        loop {
            match this.phase {
                Phase::Head { .. } if this.activity.is_serving() => return this.watch(cx),
                Phase::Head { searched } => match this.poll_head(searched, cx) {
                    Poll::Ready(Ok(())) if this.over && this.buffer.is_empty() => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(())) => {}
                    other => return other,
                },
                Phase::Rest(0) => this.phase = Phase::Head { searched: 0 },
                Phase::Rest(left) => {
                    let count = this.hand_on(left, &mut out);
                    this.phase = Phase::Rest(left - count as u64);
                    if count > 0 {
                        return Poll::Ready(Ok(()));
                    }
                    if !std::task::ready!(this.poll_fill(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Phase::Raw if this.activity.has_body() => return this.watch(cx),
                Phase::Raw => {
                    if this.hand_on(u64::MAX, &mut out) > 0 {
                        return Poll::Ready(Ok(()));
                    }
                    match this.poll_fill(cx) {
                        Poll::Ready(Ok(true)) => {}
                        Poll::Pending if !this.activity.is_serving() => return this.poll_late(cx),
                        other => return other.map(|read| read.map(drop)),
                    }
                }
            }
        }
    }
}

impl hyper::rt::Write for HttpIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush: who comes here has written all that there was.
        let ended = self.activity.ended();
        if self.flushed != ended {
            self.flushed = ended;
            let due = Instant::now() + self.limits.head_timeout;
            self.read_by.as_mut().reset(due);
            if std::mem::take(&mut self.awaits_flush) {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
