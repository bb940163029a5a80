//! The event stream of the operator API: what has changed, told to all who watch.
//!
//! ```text
//!   SUBSCRIBE ──► joining ── end of a turn: a snapshot ──► catching up ── the snapshot is written ──► live
//! ```
//! A watcher joins at the end of a turn, with a snapshot of that moment: what is in it is not told as an event, and every
//! later change is. While its snapshot is turned into the first record, elsewhere, what is to follow waits.
//!
//! Each event is written once a format, however many watch.

mod records;
mod watcher;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libactor::http::{self, HttpBody, StreamLimits};
use libactor::{Clock, Gauge, Node};
use protocol::wire::Format;

use super::snapshot::Snapshot;
use super::view::Feeder;
use crate::core::{Change, Input, Master};
#[cfg(test)]
pub(crate) use records::heartbeat;
use records::{Records, Untold};
pub(crate) use watcher::HEARTBEAT;
use watcher::Watcher;

/// Watchers at a time, unless the flag `max_operator_event_stream_subscribers` says otherwise. Source: Mesos.
pub(crate) const MAX_WATCHERS: usize = 1000;

/// The watchers.
#[derive(Debug)]
pub(crate) struct Hub {
    feeder: Arc<Feeder>,
    clock: Clock,
    /// How much each stream bears with its client.
    limits: StreamLimits,
    /// How many may watch; one more takes the place of the oldest.
    most: usize,
    gauge: Gauge,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    watchers: VecDeque<Arc<Watcher>>,
    /// They wait for the end of a turn.
    joining: Vec<Arc<Watcher>>,
    closed: bool,
}

impl Hub {
    /// Nobody watches yet.
    pub(crate) fn new(feeder: Arc<Feeder>, node: &Node, most: usize, gauge: Gauge) -> Arc<Self> {
        let (clock, limits) = (node.clock().clone(), node.http_limits().stream());
        Arc::new(Self { feeder, clock, limits, most, gauge, state: Mutex::default() })
    }

    /// The actor has ended, and with it the streams.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let State { watchers, joining, .. } = &mut *state;
        watchers.drain(..).chain(joining.drain(..)).for_each(|watcher| watcher.finish());
    }

    /// One more watches from the end of this turn on; `None` where the master is ending, or too many join at once.
    pub(crate) fn join(&self, format: Format) -> Option<HttpBody> {
        let (sender, body) = http::stream(self.limits.clone());
        {
            let mut state = self.lock();
            if state.closed || state.joining.len() >= self.most {
                return None;
            }
            state.joining.push(Arc::new(Watcher::new(sender, format)));
        }
        // A full mailbox means that a turn is under way, at whose end it joins.
        let _ = self.feeder.try_feed(Input::Look);
        Some(body)
    }

    /// Tells what has changed to those who watch.
    pub(crate) fn publish(&self, master: &Master, changes: &[Change]) {
        let mut state = self.lock();
        let before = state.watchers.len();
        state.watchers.retain(|watcher| !watcher.has_gone());
        if state.watchers.len() != before {
            self.gauge.set(state.watchers.len() as f64);
        }
        if state.watchers.is_empty() {
            return;
        }
        let mut untold = Untold::default();
        for change in changes {
            let mut records = Records::of(master, change);
            if untold.skips(change, records.is_empty()) {
                continue;
            }
            for watcher in &state.watchers {
                watcher.tell(records.in_format(watcher.format()));
            }
        }
    }

    /// Lets those in who wait, with what there is now.
    pub(crate) fn admit(self: &Arc<Self>, snapshot: impl FnOnce() -> Snapshot) {
        let mut state = self.lock();
        if state.joining.is_empty() {
            return;
        }
        let snapshot = snapshot();
        for watcher in std::mem::take(&mut state.joining) {
            if state.watchers.len() >= self.most
                && let Some(oldest) = state.watchers.pop_front()
            {
                tracing::info!("the oldest watcher of events makes room for a new one");
                oldest.finish();
            }
            state.watchers.push_back(watcher.clone());
            tokio::spawn(watcher::serve(watcher, snapshot.clone(), self.clock.clone()));
        }
        self.gauge.set(state.watchers.len() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a change is told as.
#[cfg(test)]
pub(crate) fn record_of(master: &Master, change: &Change, format: Format) -> bytes::Bytes {
    Records::of(master, change).in_format(format)
}
