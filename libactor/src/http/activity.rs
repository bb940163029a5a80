//! What a connection is doing: known to the connection, to the response in hand, and to whoever pushes into a stream.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::sync::lock;

/// What a connection is doing.
#[derive(Default)]
pub(crate) struct Activity {
    /// A request is between the end of its head and the end of its response.
    serving: AtomicBool,
    /// The body of that request has been read.
    body: AtomicBool,
    /// Responses that have ended.
    ended: AtomicU64,
    /// The client says no more.
    gone: AtomicBool,
    /// The client has taken nothing for as long as the stream bears.
    stalled: AtomicBool,
    stream: Mutex<Option<Streaming>>,
    /// Woken when the response has ended: who reads waits for that, not for the client.
    reader: AtomicWaker,
}

/// What the connection knows of the stream that it writes.
struct Streaming {
    stalled: Duration,
    cut: Option<Instant>,
    /// Ends it, because the client has gone.
    end: Box<dyn Fn() + Send>,
}

impl Activity {
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// Whether a request is being served whose body has been read.
    pub(crate) fn has_body(&self) -> bool {
        self.body.load(Ordering::Acquire)
    }

    /// Wakes whoever reads at the end of the response.
    pub(crate) fn wake_at_end(&self, waker: &Waker) {
        self.reader.register(waker);
    }

    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// The client says no more.
    pub(crate) fn client_goes(&self) {
        self.gone.store(true, Ordering::Release);
        if let Some(stream) = &*lock(&self.stream) {
            (stream.end)();
        }
    }

    pub(crate) fn client_has_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The response is a stream; `end` is called if the client goes.
    pub(crate) fn streams(&self, stalled: Duration, end: impl Fn() + Send + 'static) {
        *lock(&self.stream) = Some(Streaming { stalled, cut: None, end: Box::new(end) });
    }

    /// The stream was cut.
    pub(crate) fn cut(&self) {
        if let Some(stream) = &mut *lock(&self.stream) {
            stream.cut.get_or_insert_with(Instant::now);
        }
    }

    pub(crate) fn cut_at(&self) -> Option<Instant> {
        lock(&self.stream).as_ref()?.cut
    }

    /// How long a client may take nothing before it has stalled; `None` if it has, or there is no stream.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if self.has_stalled() {
            return None;
        }
        Some(lock(&self.stream).as_ref()?.stalled)
    }

    /// The client takes nothing.
    pub(crate) fn stall(&self) {
        self.stalled.store(true, Ordering::Release);
    }

    /// The client takes something.
    pub(crate) fn flows(&self) {
        self.stalled.store(false, Ordering::Release);
    }

    pub(crate) fn has_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }
}

/// While it lives, a request is being served.
pub(crate) struct Serving(Arc<Activity>);

impl Serving {
    pub(crate) fn new(activity: Arc<Activity>) -> Self {
        activity.serving.store(true, Ordering::Release);
        Self(activity)
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.0
    }

    /// The body of the request has been read.
    pub(crate) fn has_body(&self) {
        self.0.body.store(true, Ordering::Release);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        *lock(&self.0.stream) = None;
        self.0.body.store(false, Ordering::Release);
        self.0.ended.fetch_add(1, Ordering::AcqRel);
        self.0.serving.store(false, Ordering::Release);
        self.0.reader.wake();
    }
}
