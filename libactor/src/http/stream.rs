//! Responses that go on: whoever has something to say pushes it in, and is never held up by who listens.
//!
//! What was pushed and not yet taken by the connection waits here, bounded. A client that keeps up never notices the
//! bounds; one that does not read is cut, so that it costs nobody else anything:
//!
//! | at a `send` | what happens |
//! |---|---|
//! | at most [`StreamLimits::bytes`] wait | taken |
//! | more wait, and the socket has taken something within [`StreamLimits::stalled`] | taken |
//! | more wait, and it has not | cut |
//! | more than [`HTTP_STREAM_MAX_BYTES`] would wait | cut, unless it is all one chunk |
//! | all streams of the node hold more than [`HTTP_STREAMS_BYTES`](crate::limits::HTTP_STREAMS_BYTES) | those that have stalled are cut, the largest first, then the largest |
//!
//! Whether a socket takes anything is known only after the connection had its turn, so that a burst within one turn of
//! the thread cuts nobody.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::HttpBody;
use super::activity::Activity;
use crate::limits::{HTTP_STALLED, HTTP_STREAM_BYTES, HTTP_STREAM_MAX_BYTES};
use crate::sync::lock;
use crate::{Counter, Metrics};

/// How much a stream bears with its client.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// Bytes that may wait before it is looked at whether the client reads.
    pub bytes: usize,
    /// A client that has taken nothing for this long does not read.
    pub stalled: Duration,
    /// Written after what waits when the stream is cut: what tells the client why.
    pub last: Option<Bytes>,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { bytes: HTTP_STREAM_BYTES, stalled: HTTP_STALLED, last: None }
    }
}

/// Why a stream takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamCut {
    /// The connection has ended, or the response was never sent.
    #[error("the client has gone")]
    Gone,
    /// More waits than its limit, and the client takes nothing.
    #[error("the client does not read")]
    Stalled,
    /// More waits than any stream may hold, though the client reads.
    #[error("the client reads too slowly")]
    TooMuch,
    /// More waits than the streams of a node may hold together, most of it for this one.
    #[error("there is no room for what waits for the client")]
    NoRoom,
    /// [`StreamSender::finish`] was called.
    #[error("the stream was finished")]
    Finished,
}

/// Makes the body of a response that goes on. Sending never waits; what waits is bounded.
pub fn stream(limits: StreamLimits) -> (StreamSender, HttpBody) {
    let (closed, drained) = (CancellationToken::new(), Notify::new());
    let shared = Arc::new(Shared { limits, state: Mutex::default(), closed, drained });
    let sender = StreamSender(Arc::new(Sender(shared.clone())));
    (sender, HttpBody::Pushed(StreamBody(shared)))
}

/// Pushes chunks into a response. Clones push into the same; the body ends when the last is dropped.
#[derive(Clone)]
pub struct StreamSender(Arc<Sender>);

impl StreamSender {
    /// Takes a chunk, which is written as one chunk of HTTP. An empty one is not written: it would end the body.
    ///
    /// # Errors
    /// If the stream was cut, before or by this call; the chunk is dropped.
    pub fn send(&self, chunk: Bytes) -> Result<(), StreamCut> {
        self.0.0.send(chunk)
    }

    /// Ends the body after what waits and `last`. What is sent afterwards is refused.
    pub fn finish(&self, last: Option<Bytes>) {
        self.0.0.end(StreamCut::Finished, last);
    }

    /// Ends when a chunk can be sent without more waiting than [`StreamLimits::bytes`] and that chunk, or nothing more is taken:
    /// for who has much to say, and can wait.
    ///
    /// # Cancel safety
    /// It may be dropped and called again.
    pub async fn room(&self) {
        let shared = &self.0.0;
        loop {
            let mut drained = std::pin::pin!(shared.drained.notified());
            drained.as_mut().enable();
            if shared.has_room() {
                return;
            }
            tokio::select! {
                () = drained => {}
                () = shared.closed.cancelled() => return,
            }
        }
    }

    /// Whether nothing more is taken: what would be sent need not be made.
    pub fn is_closed(&self) -> bool {
        self.0.0.closed.is_cancelled()
    }

    /// Ends when nothing more is taken: the client has gone, or the stream was cut or finished.
    ///
    /// # Cancel safety
    /// It may be dropped and called again.
    pub async fn closed(&self) {
        self.0.0.closed.cancelled().await;
    }
}

impl fmt::Debug for StreamSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamSender({:?})", lock(&self.0.0.state).ended)
    }
}

/// Finishes the stream when the last clone is dropped.
struct Sender(Arc<Shared>);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.end(StreamCut::Finished, None);
    }
}

struct Shared {
    limits: StreamLimits,
    state: Mutex<State>,
    closed: CancellationToken,
    /// There is room again.
    drained: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// Nothing more is taken.
    ended: Option<StreamCut>,
    /// Where it is written, once it is.
    place: Option<Place>,
    waker: Option<Waker>,
}

#[derive(Clone)]
struct Place {
    streams: Arc<Streams>,
    number: u64,
    peer: SocketAddr,
    activity: Arc<Activity>,
}

impl State {
    fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        if let Some(place) = &self.place {
            place.streams.bytes.fetch_add(chunk.len(), Ordering::Relaxed);
        }
        self.waiting.push_back(chunk);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let chunk = self.waiting.pop_front()?;
        self.forget(chunk.len());
        Some(chunk)
    }

    fn clear(&mut self) {
        self.waiting = VecDeque::new();
        self.forget(self.bytes);
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(place) = &self.place {
            place.streams.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn has_stalled(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.activity.has_stalled())
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        let state = lock(&self.state);
        state.ended.is_some() || state.bytes <= self.limits.bytes
    }

    fn send(&self, chunk: Bytes) -> Result<(), StreamCut> {
        let crowded = {
            let mut state = lock(&self.state);
            if let Some(ended) = state.ended {
                return Err(ended);
            }
            let cut = if state.bytes > self.limits.bytes && state.has_stalled() {
                Some(StreamCut::Stalled)
            } else if state.bytes > 0 && state.bytes + chunk.len() > HTTP_STREAM_MAX_BYTES {
                Some(StreamCut::TooMuch)
            } else {
                None
            };
            if let Some(cut) = cut {
                drop(state);
                self.end(cut, self.limits.last.clone());
                return Err(cut);
            }
            if !chunk.is_empty() {
                state.push(chunk);
                state.wake();
            }
            state.place.as_ref().map(|place| place.streams.clone()).filter(|streams| streams.is_crowded())
        };
        let Some(streams) = crowded else { return Ok(()) };
        streams.make_room();
        lock(&self.state).ended.map_or(Ok(()), Err)
    }

    /// Takes no more; the first reason stays.
    fn end(&self, why: StreamCut, last: Option<Bytes>) {
        let place = {
            let mut state = lock(&self.state);
            if why == StreamCut::NoRoom {
                state.clear();
                if state.ended == Some(StreamCut::Finished) {
                    state.ended = None;
                }
            }
            if let Some(ended) = state.ended {
                if why == StreamCut::NoRoom && ended != StreamCut::Gone {
                    // It was cut before: what told the client so is still told.
                    last.into_iter().for_each(|last| state.push(last));
                }
                return;
            }
            state.ended = Some(why);
            if let Some(last) = last.filter(|last| !last.is_empty()) {
                state.push(last);
            }
            state.place.clone()
        };
        self.closed.cancel();
        match why {
            StreamCut::Stalled | StreamCut::TooMuch | StreamCut::NoRoom => {
                if let Some(Place { streams, peer, activity, .. }) = &place {
                    tracing::warn!("the stream of {peer} was cut: {why}");
                    streams.cut.increment();
                    activity.cut();
                }
            }
            StreamCut::Gone | StreamCut::Finished => {}
        }
        // After its connection knows that it was cut.
        lock(&self.state).wake();
    }
}

/// The receiving end of [`stream`], which the connection writes.
pub struct StreamBody(Arc<Shared>);

impl StreamBody {
    /// It is being written to a client of a node.
    pub(crate) fn place(&self, streams: &Arc<Streams>, peer: SocketAddr, activity: Arc<Activity>) {
        let number = streams.add(&self.0);
        let stream = Arc::downgrade(&self.0);
        activity.streams(self.0.limits.stalled, move || {
            if let Some(stream) = stream.upgrade() {
                stream.end(StreamCut::Gone, None);
            }
        });
        if activity.client_has_gone() {
            self.0.end(StreamCut::Gone, None);
        }
        let mut state = lock(&self.0.state);
        streams.bytes.fetch_add(state.bytes, Ordering::Relaxed);
        state.place = Some(Place { streams: streams.clone(), number, peer, activity });
    }

    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = lock(&self.0.state);
        if let Some(chunk) = state.pop() {
            if state.bytes <= self.0.limits.bytes {
                self.0.drained.notify_waiters();
            }
            return Poll::Ready(Some(chunk));
        }
        if state.ended.is_some() {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.0.end(StreamCut::Gone, None);
        let mut state = lock(&self.0.state);
        state.clear();
        if let Some(place) = state.place.take() {
            drop(state);
            place.streams.remove(place.number);
        }
    }
}

impl fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamBody({} bytes)", lock(&self.0.state).bytes)
    }
}

/// All streams of a node that are being written.
pub(crate) struct Streams {
    /// Bytes that wait.
    bytes: AtomicUsize,
    bound: usize,
    open: Mutex<BTreeMap<u64, Weak<Shared>>>,
    next: AtomicU64,
    cut: Counter,
}

impl Streams {
    pub(crate) fn new(metrics: &Metrics, bound: usize) -> Arc<Self> {
        let streams = Arc::new(Self {
            bytes: AtomicUsize::new(0),
            bound,
            open: Mutex::default(),
            next: AtomicU64::new(0),
            cut: metrics.counter("libactor/http_streams_cut"),
        });
        let (open, bytes) = (Arc::downgrade(&streams), Arc::downgrade(&streams));
        let open = move || open.upgrade().map_or(0, |streams| lock(&streams.open).len()) as f64;
        metrics.pulled("libactor/http_streams", open);
        let bytes = move || bytes.upgrade().map_or(0, |streams| streams.bytes.load(Ordering::Relaxed)) as f64;
        metrics.pulled("libactor/http_streams_bytes", bytes);
        streams
    }

    fn add(&self, stream: &Arc<Shared>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(number, Arc::downgrade(stream));
        number
    }

    fn remove(&self, number: u64) {
        lock(&self.open).remove(&number);
    }

    fn is_crowded(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.bound
    }

    /// Cuts streams until what is left fits well: those that have stalled before others, the largest of each first. What waits
    /// for them is dropped, but for their last record.
    fn make_room(&self) {
        let open: Vec<_> = lock(&self.open).values().filter_map(Weak::upgrade).collect();
        let weigh = |stream: &Arc<Shared>| {
            let state = lock(&stream.state);
            (state.has_stalled() || state.ended.is_some(), state.bytes)
        };
        let enough = self.bound - self.bound / 8;
        let mut open: Vec<_> = open
            .into_iter()
            .map(|stream| (weigh(&stream), stream))
            .filter(|((_, bytes), _)| *bytes > 0)
            .collect();
        open.sort_by_key(|(weight, _)| *weight);
        while let Some((_, stream)) = open.pop()
            && self.bytes.load(Ordering::Relaxed) > enough
        {
            stream.end(StreamCut::NoRoom, stream.limits.last.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Placed {
        sender: StreamSender,
        body: StreamBody,
        activity: Arc<Activity>,
    }

    fn placed(streams: &Arc<Streams>, limits: StreamLimits) -> Placed {
        let (sender, HttpBody::Pushed(body)) = stream(limits) else { unreachable!("a stream is pushed") };
        let activity = Arc::new(Activity::default());
        body.place(streams, "127.0.0.1:9".parse().unwrap(), activity.clone());
        Placed { sender, body, activity }
    }

    impl Placed {
        fn send(&self, length: usize) -> Result<(), StreamCut> {
            self.sender.send(Bytes::from(vec![b'x'; length]))
        }

        /// What the client gets, and whether it ends there.
        fn drain(&mut self) -> (Vec<usize>, bool) {
            let mut lengths = Vec::new();
            let mut cx = Context::from_waker(Waker::noop());
            loop {
                match self.body.poll_chunk(&mut cx) {
                    Poll::Ready(Some(chunk)) => lengths.push(chunk.len()),
                    Poll::Ready(None) => return (lengths, true),
                    Poll::Pending => return (lengths, false),
                }
            }
        }
    }

    fn limits(bytes: usize) -> StreamLimits {
        StreamLimits { bytes, last: Some(Bytes::from_static(b"end")), ..StreamLimits::default() }
    }

    #[test]
    fn a_stream_is_cut_when_it_has_stalled_over_its_limit() {
        let metrics = Metrics::default();
        let streams = Streams::new(&metrics, 1000);
        let mut one = placed(&streams, limits(100));
        assert_eq!(one.send(101), Ok(()));
        assert_eq!(one.send(50), Ok(()), "it takes something");
        one.activity.stall();
        assert_eq!(one.send(1), Err(StreamCut::Stalled));
        assert!(one.sender.0.0.closed.is_cancelled() && one.activity.cut_at().is_some());
        assert_eq!(one.drain(), (vec![101, 50, 3], true));
        let two = placed(&streams, limits(100));
        two.activity.stall();
        assert_eq!(two.send(100), Ok(()));
        assert_eq!(two.send(100), Ok(()), "no more than its limit was waiting");
        assert_eq!(metrics.snapshot()["libactor/http_streams_cut"], 1.0);
    }

    #[test]
    fn a_stream_holds_so_much_at_most_or_one_chunk() {
        let streams = Streams::new(&Metrics::default(), usize::MAX);
        let mut one = placed(&streams, limits(100));
        let large = Bytes::from(vec![0; HTTP_STREAM_MAX_BYTES + 1]);
        assert_eq!(one.sender.send(large.clone()), Ok(()));
        assert_eq!(one.drain(), (vec![large.len()], false));
        assert_eq!(one.sender.send(large.slice(1..)), Ok(()));
        assert_eq!(one.send(1), Err(StreamCut::TooMuch));
        assert_eq!(one.drain(), (vec![large.len() - 1, 3], true));
    }

    #[test]
    fn streams_that_have_stalled_make_room_for_the_others() {
        let metrics = Metrics::default();
        let streams = Streams::new(&metrics, 1000);
        let [mut one, mut two, mut three] = [(); 3].map(|()| placed(&streams, limits(usize::MAX)));
        assert_eq!((one.send(300), two.send(200), three.send(400)), (Ok(()), Ok(()), Ok(())));
        two.activity.stall();
        assert_eq!(one.send(101), Ok(()));
        assert_eq!(two.send(1), Err(StreamCut::NoRoom));
        assert_eq!(two.drain(), (vec![3], true));
        // Nobody has stalled: the largest is cut, and hears of it with its next chunk.
        assert_eq!(one.send(200), Err(StreamCut::NoRoom));
        assert_eq!(one.drain(), (vec![3], true));
        assert_eq!(three.drain(), (vec![400], false));
        // One that was cut before lets go of what waits for it; it is told as it would have been.
        one = placed(&streams, limits(10));
        one.activity.stall();
        assert_eq!((one.send(700), one.send(1)), (Ok(()), Err(StreamCut::Stalled)));
        assert_eq!(three.send(400), Ok(()));
        assert_eq!(one.drain(), (vec![3], true));
        assert_eq!(three.drain(), (vec![400], false));
        assert_eq!(metrics.snapshot()["libactor/http_streams_bytes"], 0.0);
        drop([one, two, three]);
        assert_eq!(metrics.snapshot()["libactor/http_streams"], 0.0);
    }
}
