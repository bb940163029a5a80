//! Takes the connections that speak HTTP, and finds who serves a path.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::stream::{Activity, HttpStream, Serving};
use super::{HttpBody, HttpRequest, HttpResponse, Sniffed, StatusCode, builtin, path};
use crate::complaint::Complaint;
use crate::limits::{HTTP_BODIES_BYTES, HTTP_BODY_TIMEOUT, MAX_REQUEST_BYTES};
use crate::{Counter, Node};

/// Serves for as long as the node is there.
pub(crate) async fn serve(node: Node, sniffed: mpsc::Receiver<Sniffed>) {
    let refused = node.metrics().counter("libactor/http_refused");
    let open = Arc::new(AtomicUsize::new(0));
    let count = open.clone();
    node.metrics().pulled("libactor/http_connections", move || count.load(Ordering::Relaxed) as f64);
    let listener = HttpListener { node: node.clone(), sniffed, refused, open };
    let served = Served {
        requests: node.metrics().counter("libactor/http_requests"),
        room: Arc::new(Semaphore::new(HTTP_BODIES_BYTES)),
        node,
    };
    let app = Router::new().fallback(handle).with_state(served);
    let service = app.into_make_service_with_connect_info::<Client>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!("HTTP has ended: {error}");
    }
}

/// Hands out connections as the sniffing tasks find them.
struct HttpListener {
    node: Node,
    sniffed: mpsc::Receiver<Sniffed>,
    refused: Counter,
    open: Arc<AtomicUsize>,
}

impl Listener for HttpListener {
    type Io = HttpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (HttpStream, SocketAddr) {
        let Some(Sniffed { stream, address, slot }) = self.sniffed.recv().await else {
            // The socket is closed; the node ends this task.
            return std::future::pending().await;
        };
        let closed = self.node.closed().clone().cancelled_owned();
        (HttpStream::new(stream, slot, closed, self.refused.clone(), self.open.clone()), address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.node.address())
    }
}

/// Who asks, over which connection.
#[derive(Clone)]
struct Client {
    address: SocketAddr,
    activity: Arc<Activity>,
}

impl Connected<IncomingStream<'_, HttpListener>> for Client {
    fn connect_info(stream: IncomingStream<'_, HttpListener>) -> Self {
        Self { address: *stream.remote_addr(), activity: stream.io().activity() }
    }
}

#[derive(Clone)]
struct Served {
    node: Node,
    requests: Counter,
    /// Bytes that bodies of requests may take, all together.
    room: Arc<Semaphore>,
}

async fn handle(
    State(served): State<Served>,
    ConnectInfo(client): ConnectInfo<Client>,
    request: Request,
) -> Response {
    let serving = Serving::new(client.activity);
    served.requests.increment();
    let node = &served.node;
    let (parts, body) = request.into_parts();
    let Some(segments) = path::segments(parts.uri.path()) else {
        return respond(not_found(parts.uri.path()), serving);
    };
    let body = timeout(HTTP_BODY_TIMEOUT, read_body(body, &served.room)).await;
    let (body, _room) = match body.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)) {
        Ok(body) => body,
        Err(status) => {
            node.complain(
                Complaint::BadHttp,
                &format_args!("{} {}: {status}", client.address, parts.uri.path()),
            );
            return respond(HttpResponse::text(status, format!("{status}\n")), serving);
        }
    };
    let mut request = HttpRequest {
        method: parts.method,
        actor: String::new(),
        path: String::new(),
        rest: String::new(),
        query: path::query(parts.uri.query().unwrap_or("")),
        headers: parts.headers,
        body,
        peer: client.address,
    };
    let response = match builtin::answer(node, &segments, &request) {
        Some(response) => response,
        None => match find(node, &segments, &mut request) {
            Some(handler) => handler(request).await,
            None => not_found(parts.uri.path()),
        },
    };
    respond(response, serving)
}

/// The route of a path: the actor that it begins with, or the delegate for all of it.
fn find(node: &Node, segments: &[String], request: &mut HttpRequest) -> Option<super::Handler> {
    let mut route = |actor: &str, segments: &[String]| {
        let path = format!("/{}", segments.join("/"));
        let entry = node.entry(actor)?;
        let route = entry.route(&path)?;
        request.actor = actor.to_owned();
        request.rest = if route.path == "/" { path.clone() } else { path[route.path.len()..].to_owned() };
        request.path = path;
        Some(route.handler.clone())
    };
    let named = segments.split_first().and_then(|(actor, rest)| route(actor, rest));
    named.or_else(|| route(&node.delegate()?, segments))
}

fn not_found(path: &str) -> HttpResponse {
    let path: String = path.chars().take(200).collect();
    HttpResponse::text(StatusCode::NOT_FOUND, format!("There is nothing at '{path}'. See /help.\n"))
}

/// Reads a body within its limit and the room that all bodies share; the room is given back with the permit.
async fn read_body(
    body: Body,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), StatusCode> {
    if body.size_hint().lower() > MAX_REQUEST_BYTES as u64 {
        // Said before it is sent, so that the client gets to read it.
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if whole.len() + chunk.len() > MAX_REQUEST_BYTES {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let more = room.clone().try_acquire_many_owned(chunk.len() as u32);
        let more = more.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        whole.extend_from_slice(&chunk);
    }
    Ok((whole.freeze(), taken))
}

fn respond(response: HttpResponse, serving: Serving) -> Response {
    let HttpResponse { status, content_type, headers, body } = response;
    let length = match &body {
        HttpBody::Full(bytes) => Some(bytes.len()),
        HttpBody::Stream(_) => None,
    };
    let mut answer = Response::new(Body::from_stream(Chunks { body, _serving: serving }));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    if let Ok(content_type) = HeaderValue::from_str(&content_type)
        && !content_type.is_empty()
    {
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    let has_body = !(status.is_informational() || status == 204 || status == 304);
    if let (Some(length), true) = (length, has_body) {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    answer
}

/// The body of a response on its way.
struct Chunks {
    body: HttpBody,
    _serving: Serving,
}

impl Stream for Chunks {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.body {
            HttpBody::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            HttpBody::Full(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            HttpBody::Stream(chunks) => chunks.poll_recv(cx).map(|chunk| chunk.map(Ok)),
        }
    }
}
