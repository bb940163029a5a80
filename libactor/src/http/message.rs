//! Requests and responses as routes see them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{HeaderMap, Method, SharedBody, StatusCode, StreamBody};

/// What is said of what is not there, in the words of Mesos.
pub(crate) const NOT_FOUND: &str = "404 Not Found.";

/// A request, with its whole body.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// What is to be done.
    pub method: Method,
    /// What is asked for, as it came: the path and, behind a `?`, the query.
    pub target: String,
    /// The actor that serves it.
    pub actor: String,
    /// The path within the actor, decoded: `/state`.
    pub path: String,
    /// What of the path follows the route: empty, or begins with `/`.
    pub rest: String,
    /// The query, decoded; of a name that comes twice, the last.
    pub query: BTreeMap<String, String>,
    /// As they came.
    pub headers: HeaderMap,
    /// At most [`MAX_REQUEST_BYTES`](crate::limits::MAX_REQUEST_BYTES).
    pub body: Bytes,
    /// Who asks.
    pub peer: SocketAddr,
}

impl HttpRequest {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Names and values of a body that is a form (`a=1&b=2`), as those of a query; nothing where it is none.
    pub fn form(&self) -> BTreeMap<String, String> {
        std::str::from_utf8(&self.body).ok().and_then(super::path::query).unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("The body is not valid: {error}"))
    }
}

/// What is said in answer.
#[derive(Debug)]
pub struct HttpResponse {
    /// How it went.
    pub status: StatusCode,
    /// Of the body; empty: none is sent.
    pub content_type: String,
    /// Besides the content type.
    pub headers: HeaderMap,
    /// What follows.
    pub body: HttpBody,
}

/// The body of a response.
#[derive(Debug)]
pub enum HttpBody {
    /// All of it.
    Full(Bytes),
    /// Made once beside the actors, read by many.
    Shared(SharedBody),
    /// What a [`StreamSender`](super::StreamSender) pushes; see [`stream`](super::stream()).
    Pushed(StreamBody),
    /// As it comes, until the sender is dropped. The channel's bound holds a sender back that is faster than its client;
    /// `closed()` of the sender ends when the client has gone.
    Stream(mpsc::Receiver<Bytes>),
}

impl HttpResponse {
    /// A body of a type.
    pub fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: content_type.to_owned(),
            headers: HeaderMap::new(),
            body: HttpBody::Full(body.into()),
        }
    }

    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// A value as JSON, with status 200; 500 if it has no such form.
    pub fn json<T: Serialize>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => Self::new(StatusCode::OK, "application/json", json),
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    /// No body.
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, "", Bytes::new())
    }

    /// A body that comes bit by bit, with status 200.
    pub fn stream(content_type: &str, chunks: mpsc::Receiver<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: content_type.to_owned(),
            headers: HeaderMap::new(),
            body: HttpBody::Stream(chunks),
        }
    }

    /// Any kind of body.
    pub fn of(status: StatusCode, content_type: &str, body: HttpBody) -> Self {
        Self { status, content_type: content_type.to_owned(), headers: HeaderMap::new(), body }
    }

    /// There is nothing there: status 404, in the words of Mesos.
    pub fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, NOT_FOUND)
    }

    /// The request makes no sense: status 400, and what to change.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::text(StatusCode::BAD_REQUEST, text)
    }

    /// The path does not take that method: status 405, in the words of Mesos.
    pub fn method_not_allowed(allowed: &[Method], received: &Method) -> Self {
        let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
        let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
        let text = format!(
            "405 Method Not Allowed. Expecting one of {{ {} }}, but received '{received}'.",
            quoted.join(", ")
        );
        Self::text(StatusCode::METHOD_NOT_ALLOWED, text).with_header("allow", &names.join(", "))
    }

    /// The same with one header more.
    ///
    /// # Panics
    /// If the name or the value can't be a header's.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let value = value.parse().expect("a header's value is printable text");
        self.headers.insert(name, value);
        self
    }
}
