//! Schedulers that are subscribed over HTTP: each holds a stream, to which the events of its framework are pushed.
//!
//! To the machine a stream is a peer like any other ([`Pid::stream`]): it subscribes, is linked, told things, and is gone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libactor::Pid;
use libactor::http::{self, HttpBody, StreamLimits, StreamSender};
use protocol::Uuid;
use protocol::messages::Event;
use protocol::wire::convert::{self, EventContext};
use protocol::wire::{self, Format, recordio};

use super::view::Feeder;
use crate::core::Input;

/// Streams that may be open at a time; further ones are refused with 503. Ours: as many as there may be connections.
const MAX_STREAMS: usize = 16_384;

/// What a subscriber is told that was cut because it did not read.
const CUT: &str = "The connection is given up: too many events wait that this subscriber has not read";

/// The streams.
#[derive(Debug)]
pub(crate) struct Streams {
    feeder: Arc<Feeder>,
    node: SocketAddr,
    /// How much each bears with its client.
    limits: StreamLimits,
    open: Mutex<BTreeMap<String, Stream>>,
}

/// A stream that is open.
#[derive(Debug)]
struct Stream {
    pid: Pid,
    sender: StreamSender,
    format: Format,
    context: EventContext,
    /// Whether the machine wants to hear of its end.
    linked: bool,
}

/// A stream that has just been opened.
pub(crate) struct Opened {
    /// Its `Mesos-Stream-Id`.
    pub(crate) id: String,
    /// What the machine calls it.
    pub(crate) pid: Pid,
    /// What is sent to the client.
    pub(crate) body: HttpBody,
}

impl Streams {
    /// None yet.
    pub(crate) fn new(feeder: Arc<Feeder>, node: SocketAddr, limits: StreamLimits) -> Self {
        Self { feeder, node, limits, open: Mutex::default() }
    }

    /// The actor has ended, and with it the streams.
    pub(crate) fn close(&self) {
        for (_, stream) in std::mem::take(&mut *self.lock()) {
            stream.sender.finish(None);
        }
    }

    /// Opens a stream under an id that nobody can guess; `None` where there are too many, or the system has no randomness.
    pub(crate) fn open(self: &Arc<Self>, format: Format, context: EventContext) -> Option<Opened> {
        let id = Uuid::from_random(libactor::entropy()?).to_string();
        let pid = Pid::stream(&id, self.node);
        let last = record(format, &context, &Event::Error(CUT.to_owned()));
        let (sender, body) = http::stream(StreamLimits { last: Some(last), ..self.limits.clone() });
        {
            let mut open = self.lock();
            if open.len() >= MAX_STREAMS {
                return None;
            }
            let stream = Stream { pid: pid.clone(), sender: sender.clone(), format, context, linked: false };
            open.insert(id.clone(), stream);
        }
        let (streams, watched) = (self.clone(), id.clone());
        tokio::spawn(async move {
            sender.closed().await;
            drop(sender);
            streams.ended(&watched).await;
        });
        Some(Opened { id, pid, body })
    }

    /// Tells a subscriber; what is told to one that is gone is lost. Nothing follows an error.
    pub(crate) fn tell(&self, id: &str, event: &Event) {
        let mut open = self.lock();
        let Some(stream) = open.get(id) else { return };
        if stream.sender.is_closed() {
            // It was cut, or its client has gone: the machine hears of that as of an end of the link.
            return;
        }
        let record = record(stream.format, &stream.context, event);
        if matches!(event, Event::Error(_)) {
            stream.sender.finish(Some(record));
            open.remove(id);
        } else {
            // If it was cut, the machine hears of it as of an end of the link.
            let _ = stream.sender.send(record);
        }
    }

    /// The machine wants to hear of the end. `false`: it has come already.
    pub(crate) fn link(&self, id: &str) -> bool {
        match self.lock().get_mut(id) {
            Some(stream) => {
                stream.linked = true;
                true
            }
            None => false,
        }
    }

    /// The machine has nothing more to tell: the stream ends after what was told.
    pub(crate) fn finish(&self, id: &str) {
        if let Some(stream) = self.lock().remove(id) {
            stream.sender.finish(None);
        }
    }

    /// How its framework describes itself now.
    pub(crate) fn update(&self, id: &str, context: EventContext) {
        if let Some(stream) = self.lock().get_mut(id) {
            stream.context = context;
        }
    }

    /// The client has gone, or was cut.
    async fn ended(&self, id: &str) {
        // Not in the `if let`: its lock would be held while waiting.
        let stream = self.lock().remove(id);
        if let Some(Stream { pid, linked: true, .. }) = stream {
            // An error means that the master has ended.
            let _ = self.feeder.feed(Input::Exited { pid }).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One event, as it is sent.
fn record(format: Format, context: &EventContext, event: &Event) -> bytes::Bytes {
    recordio::record(&wire::encode(format, &convert::scheduler_event(event, context)))
}
