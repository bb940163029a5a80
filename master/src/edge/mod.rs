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
mod maintenance;
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
use tokio::sync::watch;

use crate::core::Input;
use about::About;
use asks::Asks;
use events::Hub;
use leader::{Gate, Leader};
use pages::Pages;
use streams::Streams;
use view::{Feeder, MAX_WAITING, View};

/// Where the log is found among the files.
const LOG: &str = "/master/log";

/// Reads large bodies, in this process two at a time. Ours: each takes a thread, and memory some times its size.
static LARGE_BODIES: Readers = Readers::new(2);

/// What is the same in all actors `master` that follow one another on a node, whoever leads.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) about: Arc<About>,
    /// Who leads, as far as is known.
    pub(crate) leader: watch::Receiver<Leader>,
    pub(crate) files: Files,
}

impl Site {
    /// Of a node. The log is served, if there is a file of it.
    pub(crate) fn new(node: &Node, about: About, leader: watch::Receiver<Leader>) -> Self {
        let files = Files::new();
        if let Some(log) = &about.log_file
            && let Err(error) = files.attach(LOG, log)
        {
            tracing::warn!(%error, "the log is not served");
        }
        Self { node: node.clone(), about: Arc::new(about), leader, files }
    }
}

/// What HTTP requests are answered with.
pub(crate) struct Api {
    pub(crate) node: Node,
    pub(crate) feeder: Arc<Feeder>,
    pub(crate) gate: Gate,
    pub(crate) about: Arc<About>,
    pub(crate) view: Arc<View>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) asks: Asks,
    pub(crate) streams: Arc<Streams>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) files: Files,
}

impl Api {
    /// Of an actor `master` that leads, or stands by.
    pub(crate) fn new(site: &Site, leads: bool, most_watchers: usize) -> Arc<Self> {
        let Site { node, about, leader, files } = site.clone();
        let feeder = Arc::new(Feeder::default());
        let view = Arc::new(View::new(feeder.clone(), || Input::Look, MAX_WAITING));
        let open = node.metrics().gauge("master/event_queue_http_requests");
        let watchers = node.metrics().gauge("master/operator_event_stream_subscribers");
        let shared = node.metrics().counter("master/http_cache_hits");
        Arc::new(Self {
            gate: Gate::new(leader, leads),
            pages: Arc::new(Pages::new(view.clone(), about.clone(), shared)),
            about,
            view,
            asks: Asks::new(feeder.clone(), open),
            streams: Arc::new(Streams::new(feeder.clone(), node.address(), node.http_limits().stream())),
            hub: Hub::new(feeder.clone(), &node, most_watchers, watchers),
            files,
            feeder,
            node,
        })
    }

    /// The actor runs.
    pub(crate) fn begin(&self, shell: &ShellHandle<Input>) {
        self.feeder.open(shell.clone());
    }

    /// The actor leads no more, or has ended: what waits for it waits no longer.
    pub(crate) fn close(&self) {
        self.gate.close();
        self.feeder.close();
        self.view.close();
        self.asks.close();
        self.streams.close();
        self.hub.close();
    }
}
