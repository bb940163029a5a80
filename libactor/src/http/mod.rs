//! HTTP on the node's own port: what actors serve, and what every node serves.

mod message;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

pub use axum::http::{HeaderMap, Method, StatusCode};
pub use message::{HttpBody, HttpRequest, HttpResponse};

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
