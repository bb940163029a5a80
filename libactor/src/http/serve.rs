//! Takes the connections that speak HTTP, and reads their requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_ENCODING;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::activity::Serving;
use super::connection::HttpIo;
use super::gzip::{self, Unpackable};
use super::head::Refusal;
use super::respond::{Asked, ResponseBody, respond};
use super::stream::Streams;
use super::{HttpLimits, HttpRequest, Sniffed, StatusCode, path, route};
use crate::complaint::Complaint;
use crate::limits::{HTTP_LINGER, HTTP_STREAMS_BYTES};
use crate::{Counter, Node};

/// The HTTP of a node.
pub(crate) struct HttpServer {
    pub(crate) node: Node,
    limits: Arc<HttpLimits>,
    requests: Counter,
    /// Messages of libprocess, which nobody takes yet.
    pub(crate) messages: Counter,
    /// Bytes that bodies of requests may take, all together.
    room: Arc<Semaphore>,
    /// Connections that may still be taken.
    connections: Arc<Semaphore>,
    pub(crate) streams: Arc<Streams>,
}

impl HttpServer {
    pub(crate) fn new(node: &Node) -> Arc<Self> {
        let (limits, metrics) = (&node.config().http, node.metrics());
        let bound = limits.connections.min(Semaphore::MAX_PERMITS);
        let connections = Arc::new(Semaphore::new(bound));
        let free = connections.clone();
        metrics.pulled("libactor/http_connections", move || (bound - free.available_permits()) as f64);
        let all = limits.bodies_bytes.min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(all));
        let left = room.clone();
        metrics.pulled("libactor/http_bodies_bytes", move || (all - left.available_permits()) as f64);
        Arc::new(Self {
            limits: Arc::new(limits.clone()),
            requests: metrics.counter("libactor/http_requests"),
            messages: metrics.counter("libactor/dropped_libprocess_messages"),
            room,
            connections,
            streams: Streams::new(metrics, HTTP_STREAMS_BYTES),
            node: node.clone(),
        })
    }

    /// Serves a connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, sniffed: Sniffed) {
        let Sniffed { stream, address, slot: _slot } = sniffed;
        let Ok(_connection) = self.connections.clone().try_acquire_owned() else {
            self.node.complain(Complaint::BadHttp, &format_args!("{address}: too many connections"));
            return self.turn_away(stream).await;
        };
        let io = HttpIo::new(stream, self.limits.clone());
        let activity = io.activity();
        let server = self.clone();
        let service = service_fn(move |request| {
            let serving = Serving::new(activity.clone());
            Box::pin(handle(server.clone(), address, serving, request))
        });
        let buffer = self.limits.head_bytes.max(64 << 10).saturating_add(1 << 10);
        let mut connection =
            http1::Builder::new().title_case_headers(true).max_buf_size(buffer).serve_connection(io, service);
        let served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
        if let Err(error) = served {
            tracing::debug!("the connection of {address} has ended: {error}");
        }
        if let Some(fault) = connection.into_parts().io.end().await {
            self.node.complain(Complaint::BadHttp, &format_args!("{address}: {fault}"));
        }
    }

    /// Says that there are too many connections.
    async fn turn_away(&self, stream: TcpStream) {
        let text = format!(
            "There are {} connections already: close some, or try again later",
            self.limits.connections
        );
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).response();
        let mut sink = [0; 4096];
        let said = async {
            stream.readable().await?;
            // What has come is read, so that closing does not reset the connection. Errors: it is gone already.
            let _ = stream.try_read(&mut sink);
            stream.writable().await?;
            stream.try_write(refusal.as_bytes())
        };
        // It is closed in any case.
        let _ = timeout(HTTP_LINGER, said).await;
    }
}

async fn handle(
    server: Arc<HttpServer>,
    peer: SocketAddr,
    serving: Serving,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    server.requests.increment();
    let asked = Asked::new(&request);
    let method = request.method().clone();
    let uri = request.uri().clone();
    let response = match read(&server, peer, &serving, request).await {
        Ok((segments, request, _room)) => route::answer(&server, &segments, request).await,
        Err(refusal) => {
            // That there is nothing is no news.
            if refusal.status != StatusCode::NOT_FOUND {
                let about = format_args!("{peer} {method} {}: {}", uri.path(), refusal.text);
                server.node.complain(Complaint::BadHttp, &about);
            }
            refusal.into()
        }
    };
    if response.status == StatusCode::NOT_FOUND {
        tracing::debug!("{peer} {method} {}: there is nothing; /help lists what there is", uri.path());
    }
    Ok(respond(&server, asked, response, peer, serving).await)
}

type Room = Option<OwnedSemaphorePermit>;

/// Makes a request as routes see it, or says why it is none.
async fn read(
    server: &HttpServer,
    peer: SocketAddr,
    serving: &Serving,
    request: Request<Incoming>,
) -> Result<(Vec<String>, HttpRequest, [Room; 2]), Refusal> {
    let (parts, body) = request.into_parts();
    let segments = route::segments(&parts.method, &parts.uri)?;
    let query = path::query(parts.uri.query().unwrap_or("")).ok_or_else(|| {
        Refusal::bad(
            "The query has a bad percent-escape: expecting two hexadecimal digits after '%', of UTF-8",
        )
    })?;
    let (body, room) = read_body(server, body).await?;
    serving.has_body();
    let (body, more) = match parts.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        Some(name) if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
            gzip::unpack(body, server.limits.body_bytes, &server.room).await.map_err(|error| match error {
                // In the words of Mesos.
                Unpackable::Garbage => {
                    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed to decode body")
                }
                Unpackable::TooLarge => too_large(server),
                Unpackable::NoRoom => no_room(),
            })?
        }
        Some(name) if !name.eq_ignore_ascii_case(b"identity") && !name.is_empty() => {
            let text = "Expecting 'Content-Encoding' of gzip, or none";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        _ => (body, None),
    };
    let request = HttpRequest {
        method: parts.method,
        target: parts.uri.path_and_query().map(|target| target.as_str().to_owned()).unwrap_or_default(),
        actor: String::new(),
        path: String::new(),
        rest: String::new(),
        query,
        headers: parts.headers,
        body,
        peer,
    };
    Ok((segments, request, [room, more]))
}

fn too_large(server: &HttpServer) -> Refusal {
    let text = format!("The body has more than {} bytes: send less at a time", server.limits.body_bytes);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn no_room() -> Refusal {
    let text = "The bodies of other requests take all the room there is: try again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// Reads a body within its time, its limit and the room that all bodies share; the room is given back with the permit.
async fn read_body(server: &HttpServer, body: Incoming) -> Result<(Bytes, Room), Refusal> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let limit = server.limits.body_bytes;
    if body.size_hint().lower() > limit as u64 {
        // Said before it is sent, so that the client gets to read it.
        return Err(too_large(server));
    }
    let within: Duration = server.limits.body_timeout;
    timeout(within, read_chunks(server, body, limit)).await.unwrap_or_else(|_| {
        let text = "The body of the request did not come in time: send it at once";
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
    })
}

async fn read_chunks(
    server: &HttpServer,
    mut body: Incoming,
    limit: usize,
) -> Result<(Bytes, Room), Refusal> {
    let mut whole = BytesMut::new();
    let mut taken: Room = None;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Refusal::bad(format!("The body can't be read: {error}")))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if whole.len() + chunk.len() > limit {
            return Err(too_large(server));
        }
        let more = server.room.clone().try_acquire_many_owned(chunk.len() as u32).map_err(|_| no_room())?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        if whole.is_empty() && body.is_end_stream() {
            // As a rule the whole body is one chunk.
            return Ok((chunk, taken));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok((whole.freeze(), taken))
}
