//! HTTP on the node's own port: what actors serve, and what every node serves.
//!
//! | path | what it shows |
//! |---|---|
//! | `/{actor}/...` | what the actor has installed with [`Install::route`](crate::Install::route) |
//! | `/help`, `/help/{actor}` | the routes |
//! | `/__processes__` | the actors, what waits for them, what they have handled |
//! | `/metrics/snapshot`, `/metrics` | the metrics, as JSON and in Prometheus's text form |
//! | `/version`, `/health` | what runs here; that it does |
//! | `/system/stats.json` | load and memory of the host |
//! | `/logging/toggle?level=1&duration=10secs` | another log level for a while; without a query, which it is |
//! | `/` | a page that leads to all of these |
//!
//! What begins with no actor's name goes to the delegate ([`NodeConfig::delegate`](crate::NodeConfig::delegate)).
//! Responses are made beside the actors, so that a slow client delays none.
//!
//! | what a route answers | how |
//! |---|---|
//! | something small | [`HttpResponse::json`], [`HttpResponse::text`] |
//! | something large that many want | [`SharedBody::produce`] |
//! | events as they happen | [`stream`] |
//! | what comes from elsewhere at its own pace | [`HttpResponse::stream`] |
//!
//! gzip, JSONP, `HEAD` and `Content-Length` are seen to for all of them. Large bodies of requests are read with [`Readers`].

mod activity;
mod builtin;
mod connection;
mod gzip;
mod head;
mod limits;
mod message;
mod page;
mod path;
mod readers;
mod respond;
mod route;
mod serve;
mod shared;
mod stream;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

pub use hyper::{HeaderMap, Method, StatusCode};
pub use limits::HttpLimits;
pub use message::{HttpBody, HttpRequest, HttpResponse};
pub use readers::Readers;
pub(crate) use serve::HttpServer;
pub use shared::{SharedBody, WeakBody};
pub use stream::{StreamBody, StreamCut, StreamLimits, StreamSender, stream};

/// Serves one path.
pub(crate) type Handler =
    Arc<dyn Fn(HttpRequest) -> Pin<Box<dyn Future<Output = HttpResponse> + Send>> + Send + Sync>;

/// A connection that speaks HTTP, as its first byte says.
pub(crate) struct Sniffed {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    /// Its place among the connections of the node.
    pub(crate) slot: OwnedSemaphorePermit,
}
