//! What a node grants those that speak HTTP to it.

use std::time::Duration;

use super::StreamLimits;
use crate::limits;

/// Bounds of a node's HTTP. The defaults are those of [`limits`].
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Largest head of a request, in bytes; beyond it: 431.
    pub head_bytes: usize,
    /// Largest body of a request, in bytes, also once it is unpacked; beyond it: 413.
    pub body_bytes: usize,
    /// Bytes that the bodies of all requests may take together; beyond them: 503.
    pub bodies_bytes: usize,
    /// From the start of a connection, or the end of a response, to the end of the next request's head.
    pub head_timeout: Duration,
    /// From the head of a request to the end of its body; after it: 408.
    pub body_timeout: Duration,
    /// A client that takes no byte for this long is gone; one whose stream was cut is gone after this in any case.
    pub write_timeout: Duration,
    /// Bytes that may wait for the client of one stream before it is looked at whether the client reads.
    pub stream_bytes: usize,
    /// Connections that speak HTTP at a time; further ones are told 503.
    pub connections: usize,
}

impl HttpLimits {
    /// The limits of a stream, without a last record.
    pub fn stream(&self) -> StreamLimits {
        StreamLimits { bytes: self.stream_bytes, ..StreamLimits::default() }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_bytes: limits::HTTP_HEAD_BYTES,
            body_bytes: limits::MAX_REQUEST_BYTES,
            bodies_bytes: limits::HTTP_BODIES_BYTES,
            head_timeout: limits::HTTP_HEAD_TIMEOUT,
            body_timeout: limits::HTTP_BODY_TIMEOUT,
            write_timeout: limits::HTTP_WRITE_TIMEOUT,
            stream_bytes: limits::HTTP_STREAM_BYTES,
            connections: limits::HTTP_CONNECTIONS,
        }
    }
}
