//! What the master says to the world and hears of it, beside the machine.
//!
//! | part | what it does |
//! |---|---|
//! | [`mirror`], [`snapshot`], [`load`], [`view`] | the machine as shared values, how one gets to see them, and the way to the machine |
//! | [`pages`], [`v0`] | what is made of a snapshot: the JSON of the older endpoints |
//! | [`scheduler`], [`streams`] | the scheduler API, and the streams of its subscribers |
//! | [`operator`], [`messages`], [`events`] | the operator API, and the stream of its events |
//! | [`asks`] | questions to the machine that wait for an answer |
//! | [`changes`], [`weights`] | the older endpoints that change something |
//! | [`routes`] | which path goes where |
//! | [`masters`] | what the replica's actor serves: who the masters are, the registry |
//! | [`undelivered`], [`metrics`], [`framework_metrics`] | messages that could not be delivered; numbers for the node's metrics |

pub(crate) mod about;
mod answers;
pub(crate) mod asks;
mod changes;
pub(crate) mod events;
mod framework_metrics;
pub(crate) mod leader;
mod load;
pub(crate) mod masters;
mod messages;
pub(crate) mod metrics;
pub(crate) mod mirror;
mod operator;
pub(crate) mod pages;
pub(crate) mod routes;
mod scheduler;
#[cfg(test)]
mod shapes;
pub(crate) mod snapshot;
pub(crate) mod streams;
#[cfg(test)]
mod testing;
pub(crate) mod undelivered;
mod v0;
pub(crate) mod view;
mod weights;
mod wire_json;

use std::sync::Arc;

use libactor::Node;
use libactor::files::Files;
use libactor::http::Readers;
use libactor::shell::ShellHandle;

use crate::core::Input;
use about::About;
use asks::Asks;
use events::Hub;
use leader::Leader;
use pages::Pages;
use streams::Streams;
use view::{Feeder, MAX_WAITING, View};

/// Where the log is found among the files.
const LOG: &str = "/master/log";

/// Reads large bodies, in this process two at a time. Ours: each takes a thread, and memory some times its size.
static LARGE_BODIES: Readers = Readers::new(2);

/// What HTTP requests are answered with.
pub(crate) struct Api {
    pub(crate) node: Node,
    pub(crate) feeder: Arc<Feeder>,
    pub(crate) leader: Leader,
    pub(crate) about: Arc<About>,
    pub(crate) view: Arc<View>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) asks: Asks,
    pub(crate) streams: Arc<Streams>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) files: Files,
}

impl Api {
    /// Of a master on a node.
    pub(crate) fn new(node: &Node, host: &str, about: About, most_watchers: usize) -> Arc<Self> {
        let (about, feeder) = (Arc::new(about), Arc::new(Feeder::default()));
        let view = Arc::new(View::new(feeder.clone(), || Input::Look, MAX_WAITING));
        let open = node.metrics().gauge("master/event_queue_http_requests");
        let watchers = node.metrics().gauge("master/operator_event_stream_subscribers");
        let shared = node.metrics().counter("master/http_cache_hits");
        Arc::new(Self {
            node: node.clone(),
            leader: Leader::Here(format!("{host}:{}", node.address().port())),
            pages: Arc::new(Pages::new(view.clone(), about.clone(), shared)),
            about,
            view,
            asks: Asks::new(feeder.clone(), open),
            streams: Arc::new(Streams::new(feeder.clone(), node.address(), node.http_limits().stream())),
            hub: Hub::new(feeder.clone(), node, most_watchers, watchers),
            files: Files::new(),
            feeder,
        })
    }

    /// The actor runs.
    pub(crate) fn begin(&self, shell: &ShellHandle<Input>) {
        self.feeder.open(shell.clone());
    }

    /// Serves the log, if there is a file of it.
    pub(crate) fn attach_log(&self) {
        if let Some(log) = &self.about.log_file
            && let Err(error) = self.files.attach(LOG, log)
        {
            tracing::warn!(%error, "the log is not served");
        }
    }

    /// The actor has ended: what waits for it waits no longer.
    pub(crate) fn close(&self) {
        self.feeder.close();
        self.view.close();
        self.asks.close();
        self.streams.close();
        self.hub.close();
    }
}
