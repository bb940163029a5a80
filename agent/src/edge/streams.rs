//! Executors that are subscribed over HTTP: each holds a stream, to which its events are pushed.
//!
//! To the machine a stream is a peer like any other ([`Pid::stream`]): it subscribes, is linked, told things, and is gone.
//! A stream is opened for a call before the machine has decided on it, and begins to be watched once the machine links it:
//! its end is never reported before its beginning.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use libactor::Pid;
use libactor::http::{self, HttpBody, HttpResponse, StatusCode, StreamLimits, StreamSender};
use protocol::messages::ExecutorEvent;
use protocol::wire::convert::{self, ExecutorEventContext};
use protocol::wire::{self, Format, recordio};
use protocol::{Capability, ContainerId, Uuid};

use super::limits::MAX_STREAMS;
use super::view::Feeder;
use crate::core::Input;

/// The streams.
#[derive(Debug)]
pub(crate) struct Streams {
    feeder: Arc<Feeder>,
    node: SocketAddr,
    limits: StreamLimits,
    open: Mutex<BTreeMap<String, Stream>>,
}

/// A stream that is open.
#[derive(Debug)]
struct Stream {
    sender: StreamSender,
    format: Format,
    context: ExecutorEventContext,
}

/// A stream that has just been opened for a call. Dropped before the call is taken, it is closed.
#[derive(Debug)]
pub(crate) struct Opened {
    streams: Arc<Streams>,
    /// What the machine calls it.
    pid: Pid,
    format: Format,
    /// What is sent to the client; taken with the call.
    body: Option<HttpBody>,
}

impl Opened {
    /// What the machine calls it.
    pub(crate) fn pid(&self) -> &Pid {
        &self.pid
    }

    /// The call is taken: the answer.
    pub(crate) fn begin(mut self) -> HttpResponse {
        match self.body.take() {
            Some(body) => HttpResponse::of(StatusCode::OK, self.format.content_type(), body),
            None => HttpResponse::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.body.is_some() {
            self.streams.finish(&self.pid);
        }
    }
}

impl Streams {
    /// None yet. `node` is where the node listens.
    pub(crate) fn new(feeder: Arc<Feeder>, node: SocketAddr, limits: StreamLimits) -> Self {
        Self { feeder, node, limits, open: Mutex::default() }
    }

    /// The actor has ended, and with it the streams.
    pub(crate) fn close(&self) {
        for stream in std::mem::take(&mut *self.lock()).into_values() {
            stream.sender.finish(None);
        }
    }

    /// Opens a stream under an id that nobody can guess; `None` where there are too many, or the system has no randomness.
    pub(crate) fn open(self: &Arc<Self>, format: Format) -> Option<Opened> {
        let id = Uuid::from_random(libactor::entropy()?).to_string();
        let pid = Pid::stream(&id, self.node);
        let (sender, body) = http::stream(self.limits.clone());
        let mut open = self.lock();
        if open.len() >= MAX_STREAMS {
            return None;
        }
        open.insert(id, Stream { sender, format, context: ExecutorEventContext::default() });
        drop(open);
        Some(Opened { streams: self.clone(), pid, format, body: Some(body) })
    }

    /// The machine has nothing more to tell: the stream ends after what was told.
    pub(crate) fn finish(&self, pid: &Pid) {
        let stream = pid.stream_id().and_then(|id| self.lock().remove(id));
        if let Some(stream) = stream {
            stream.sender.finish(None);
        }
    }

    /// The machine wants to hear of its end; that it has ended it itself does not matter to it.
    pub(crate) fn watch(self: &Arc<Self>, pid: Pid) {
        let sender = pid.stream_id().and_then(|id| self.lock().get(id).map(|stream| stream.sender.clone()));
        let streams = self.clone();
        tokio::spawn(async move {
            // One that is not there any more has ended already.
            if let Some(sender) = sender {
                sender.closed().await;
                streams.finish(&pid);
            }
            // An error means that the agent has ended.
            let _ = streams.feeder.feed(Input::Exited { pid }).await;
        });
    }

    /// Tells an executor. What is told to one that is gone, or was cut, is lost: the end of the stream is reported. Nothing
    /// follows an error.
    pub(crate) fn tell(&self, pid: &Pid, event: &ExecutorEvent, container_id: Option<ContainerId>) {
        let mut open = self.lock();
        let Some(stream) = pid.stream_id().and_then(|id| open.get_mut(id)) else { return };
        if let ExecutorEvent::Subscribed { framework, .. } = event {
            stream.context.refined = framework.can(Capability::ReservationRefinement);
            stream.context.container_id = container_id;
        }
        let record = record(stream.format, event, &stream.context);
        if matches!(event, ExecutorEvent::Error(_)) {
            stream.sender.finish(Some(record));
        } else {
            // An error is reported as the end of the stream.
            let _ = stream.sender.send(record);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One event, as it is sent.
fn record(format: Format, event: &ExecutorEvent, context: &ExecutorEventContext) -> Bytes {
    recordio::record(&wire::encode(format, &convert::executor_event(event, context)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams() -> Arc<Streams> {
        Arc::new(Streams::new(Arc::default(), "127.0.0.1:5051".parse().unwrap(), StreamLimits::default()))
    }

    #[test]
    fn a_stream_that_nothing_came_of_is_forgotten() {
        let streams = streams();
        let opened = streams.open(Format::Json).unwrap();
        let pid = opened.pid().clone();
        assert!(pid.stream_id().is_some() && pid.address() == streams.node);
        assert_eq!(streams.lock().len(), 1);
        drop(opened);
        assert_eq!(streams.lock().len(), 0);
        // Telling it is of no use, and does no harm.
        streams.tell(&pid, &ExecutorEvent::Shutdown, None);
        let taken = streams.open(Format::Protobuf).unwrap();
        let pid = taken.pid().clone();
        let response = taken.begin();
        assert_eq!(
            (response.status, response.content_type.as_str()),
            (StatusCode::OK, "application/x-protobuf")
        );
        assert_eq!(streams.lock().len(), 1);
        streams.finish(&pid);
        assert_eq!(streams.lock().len(), 0);
    }

    #[test]
    fn streams_are_bounded() {
        let streams = streams();
        let all: Vec<Opened> = std::iter::from_fn(|| streams.open(Format::Json)).collect();
        assert_eq!(all.len(), MAX_STREAMS);
        drop(all);
        assert!(streams.open(Format::Json).is_some());
    }
}
