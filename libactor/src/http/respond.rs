//! Puts a response into the form that its client wants, and on its way.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response};

use super::activity::{Activity, Serving};
use super::serve::HttpServer;
use super::shared::SharedReader;
use super::{HttpBody, HttpResponse, Method, StatusCode, StreamBody, gzip, path};
use crate::limits::{GZIP_MIN_BYTES, MAX_JSONP_BYTES, SHARED_CHUNK_BYTES as TURN_BYTES};

/// What of a request is needed once it has been answered.
pub(crate) struct Asked {
    gzip: bool,
    /// What JSON is to be wrapped in.
    callback: Option<String>,
}

impl Asked {
    pub(crate) fn new<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().filter(|query| query.contains("jsonp="));
        let get = request.method() == Method::GET;
        let callback =
            query.filter(|_| get).and_then(path::query).and_then(|mut query| query.remove("jsonp"));
        Self { gzip: gzip::is_welcome(request.headers()), callback }
    }
}

/// Whether a text may be called by a page: a path of names.
fn valid_callback(name: &str) -> bool {
    (1..=MAX_JSONP_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte))
}

/// Makes the response that is sent.
pub(crate) async fn respond(
    server: &HttpServer,
    asked: Asked,
    mut response: HttpResponse,
    peer: SocketAddr,
    serving: Serving,
) -> Response<ResponseBody> {
    let mut wrapper = None;
    if let Some(callback) = asked.callback
        && response.status == StatusCode::OK
        && response.content_type == "application/json"
        && matches!(response.body, HttpBody::Full(_) | HttpBody::Shared(_))
    {
        if valid_callback(&callback) {
            response.content_type = "text/javascript".to_owned();
            wrapper = Some(callback);
        } else {
            response = HttpResponse::bad_request(
                "The 'jsonp' callback can't be called: expecting letters, digits, '_', '.' and '$'",
            );
        }
    }
    let HttpResponse { mut status, mut content_type, mut headers, body } = response;
    let has_body = !(status.is_informational() || status == 204 || status == 304);
    let gzip = asked.gzip && has_body && !headers.contains_key(CONTENT_ENCODING);
    let (form, length, packed) = match body {
        HttpBody::Full(bytes) => full(bytes, wrapper, gzip).await,
        HttpBody::Shared(shared) => match shared.reader().length().await {
            Ok(length) => {
                let gzip = gzip && wrapper.is_none() && length.is_none_or(|length| length >= GZIP_MIN_BYTES);
                let reader = if gzip { shared.gzip_reader().await } else { shared.reader() };
                let length = reader.length().await.ok().flatten();
                let length = length.map(|length| length + wrapper.as_ref().map_or(0, |name| name.len() + 2));
                (
                    Form::Shared { before: before(wrapper.as_deref()), reader, after: after(wrapper) },
                    length,
                    gzip,
                )
            }
            Err(error) => {
                status = StatusCode::INTERNAL_SERVER_ERROR;
                content_type = "text/plain; charset=utf-8".to_owned();
                full(Bytes::from(format!("The answer could not be made: {error}")), None, false).await
            }
        },
        HttpBody::Pushed(stream) => {
            stream.place(&server.streams, peer, serving.activity().clone());
            (Form::Pushed(stream), None, false)
        }
        HttpBody::Stream(chunks) => (Form::Stream(chunks), None, false),
    };
    if packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(content_type) = HeaderValue::from_str(&content_type)
        && !content_type.is_empty()
    {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if let (Some(length), true) = (length, has_body) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let activity = serving.activity().clone();
    let mut answer = Response::new(ResponseBody { form, gave: false, activity, _serving: serving });
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

fn before(callback: Option<&str>) -> Bytes {
    callback.map_or_else(Bytes::new, |name| Bytes::from(format!("{name}(")))
}

fn after(callback: Option<String>) -> Bytes {
    callback.map_or_else(Bytes::new, |_| Bytes::from_static(b")"))
}

/// A whole body in the form that is sent, with its length, and whether that is gzip.
async fn full(bytes: Bytes, callback: Option<String>, gzip: bool) -> (Form, Option<usize>, bool) {
    let bytes = match callback {
        Some(callback) => [before(Some(&callback)), bytes, after(Some(callback))].concat().into(),
        None => bytes,
    };
    if gzip && bytes.len() >= GZIP_MIN_BYTES {
        match gzip::compress(bytes.clone()).await {
            Ok(packed) => return (Form::Full(packed.clone()), Some(packed.len()), true),
            Err(error) => tracing::warn!("a body is sent as it is: {error}"),
        }
    }
    let length = bytes.len();
    (Form::Full(bytes), Some(length), false)
}

/// The body of a response on its way.
pub(crate) struct ResponseBody {
    form: Form,
    /// The last turn has given a chunk of a long body: others on the thread get theirs first.
    gave: bool,
    activity: Arc<Activity>,
    _serving: Serving,
}

enum Form {
    Full(Bytes),
    Shared { before: Bytes, reader: SharedReader, after: Bytes },
    Pushed(StreamBody),
    Stream(tokio::sync::mpsc::Receiver<Bytes>),
}

/// Takes as much as may go in one turn, if anything is left.
fn take_some(bytes: &mut Bytes) -> Option<Bytes> {
    Some(bytes.split_to(bytes.len().min(TURN_BYTES))).filter(|bytes| !bytes.is_empty())
}

/// Takes what is left, if anything.
fn take(bytes: &mut Bytes) -> Option<Bytes> {
    Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty())
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = &mut *self;
        if matches!(this.form, Form::Full(_) | Form::Shared { .. }) && std::mem::take(&mut this.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = match &mut this.form {
            Form::Full(bytes) => take_some(bytes).map(Ok),
            Form::Shared { before, reader, after } => match take(before) {
                Some(before) => Some(Ok(before)),
                None => ready!(reader.poll_piece(cx)).or_else(|| take(after).map(Ok)),
            },
            Form::Pushed(stream) => ready!(stream.poll_chunk(cx)).map(Ok),
            Form::Stream(chunks) => match chunks.poll_recv(cx) {
                Poll::Ready(chunk) => chunk.map(Ok),
                Poll::Pending if this.activity.client_has_gone() => {
                    Some(Err(std::io::ErrorKind::ConnectionAborted.into()))
                }
                Poll::Pending => return Poll::Pending,
            },
        };
        this.gave = matches!(&chunk, Some(Ok(chunk)) if chunk.len() >= TURN_BYTES);
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.form, Form::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.form {
            Form::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
