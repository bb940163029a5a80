//! HTTP on the node's own port: what actors serve, and what every node serves.
//!
//! | path | what it shows |
//! |---|---|
//! | `/{actor}/...` | what the actor has installed with [`Install::route`](crate::Install::route) |
//! | `/help`, `/help/{actor}` | the routes |
//! | `/__processes__` | the actors, what waits for them, what they have handled |
//! | `/metrics/snapshot`, `/metrics` | the metrics, as JSON and in Prometheus's text form |
//! | `/version`, `/health` | what runs here; that it does |
//! | `/logging/toggle?level=debug&duration=10secs` | another log level for a while |
//!
//! What begins with no actor's name goes to the delegate ([`NodeConfig::delegate`](crate::NodeConfig::delegate)).
//! Responses are made beside the actors, so that a slow client delays none.

mod builtin;
mod message;
mod path;
mod serve;
mod stream;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

pub use axum::http::{HeaderMap, Method, StatusCode};
pub(crate) use builtin::LogLevelHook;
pub use message::{HttpBody, HttpRequest, HttpResponse};
pub(crate) use serve::serve;

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
