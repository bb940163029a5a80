//! The head of a request, looked at before the server sees it: what it can't serve is answered with a sentence.

use hyper::{StatusCode, Uri};

use super::HttpResponse;
use crate::limits::{HTTP_HEAD_FIELDS, HTTP_URI_BYTES};

/// How the end of a request is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes follow the head.
    Length(u64),
    /// Chunks follow.
    Chunks,
}

/// Why a request is not served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn large(limit: usize) -> Self {
        let text =
            format!("The head of the request has more than {limit} bytes: send fewer or shorter headers");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text)
    }

    pub(crate) fn truncated() -> Self {
        Self::bad("The request ends within its head: an empty line ends a head")
    }

    pub(crate) fn slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "The head of the request did not come in time: send it at once",
        )
    }

    /// The whole response, after which the connection ends.
    pub(crate) fn response(&self) -> String {
        let Self { status, text } = self;
        let length = text.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{text}"
        )
    }
}

impl From<Refusal> for HttpResponse {
    fn from(Refusal { status, text }: Refusal) -> Self {
        HttpResponse::text(status, text)
    }
}

/// Where the empty line ends that ends a head; the first bytes have been searched before.
pub(crate) fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    // The line break before the empty line may have been the last that was searched.
    let from = searched.saturating_sub(2);
    bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| {
        match &bytes[from + at + 1..] {
            [b'\n', ..] => Some(from + at + 2),
            [b'\r', b'\n', ..] => Some(from + at + 3),
            _ => None,
        }
    })
}

/// Looks at a whole head.
pub(crate) fn vet(head: &[u8]) -> Result<Framing, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; HTTP_HEAD_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::truncated()),
        Err(httparse::Error::TooManyHeaders) => {
            let text = format!("The request has more than {HTTP_HEAD_FIELDS} headers: send fewer");
            return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text));
        }
        Err(httparse::Error::Version) if has_version(head) => {
            let text = "The request line ends with no version that is known: send HTTP/1.1";
            return Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, text));
        }
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
            return Err(Refusal::bad(
                "A header can't be read: expecting 'Name: value' in printable characters",
            ));
        }
        Err(_) => {
            return Err(Refusal::bad("The request line can't be read: expecting 'METHOD /path HTTP/1.1'"));
        }
    }
    let path = request.path.unwrap_or_default();
    if path.len() > HTTP_URI_BYTES {
        let text = format!("The path and query have more than {HTTP_URI_BYTES} bytes: send a body");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, text));
    }
    if path.parse::<Uri>().is_err() {
        return Err(Refusal::bad("The path can't be read: expecting '/path?name=value', percent-encoded"));
    }
    framing(request.headers, request.version)
}

/// Whether the request line has three words, the last of which names a version.
fn has_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.trim_ascii().split(|byte| *byte == b' ');
    words.nth(2).is_some_and(|word| word.starts_with(b"HTTP/")) && words.next().is_none()
}

fn framing(headers: &[httparse::Header<'_>], version: Option<u8>) -> Result<Framing, Refusal> {
    let values = |name: &'static str| {
        headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    let mut length = None;
    for value in values("content-length") {
        let digits =
            std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(number) = digits.and_then(|digits| digits.parse::<u64>().ok()) else {
            return Err(Refusal::bad(
                "'Content-Length' is no number: expecting the length of the body in bytes",
            ));
        };
        if length.is_some_and(|length| length != number) {
            return Err(Refusal::bad("There are two 'Content-Length' which differ: send one"));
        }
        length = Some(number);
    }
    let mut encodings = values("transfer-encoding");
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(Framing::Length(length.unwrap_or(0))),
        (Some(_), _) if length.is_some() || version != Some(1) => Err(Refusal::bad(
            "'Transfer-Encoding' comes with 'Content-Length' or with HTTP/1.0: send one of the two headers, and HTTP/1.1",
        )),
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunks),
        _ => {
            let text = "This 'Transfer-Encoding' is not known: expecting 'chunked'";
            Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        for (text, end) in [("a\r\n\r\nrest", 5), ("a\n\nrest", 3), ("a\n\r\nrest", 4), ("a\r\n\nrest", 4)] {
            for searched in 0..=end {
                let before = end_of_head(&text.as_bytes()[..searched], 0);
                assert_eq!(before.is_some(), searched == end, "{text:?}");
                assert_eq!(
                    end_of_head(text.as_bytes(), searched.min(end - 1)),
                    Some(end),
                    "{text:?} {searched}"
                );
            }
        }
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\nhost: a\r\n", 0), None);
    }

    #[test]
    fn what_can_not_be_served_is_refused_with_a_sentence() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HTTP_HEAD_FIELDS + 1));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HTTP_URI_BYTES));
        let cases: &[(&str, u16)] = &[
            ("BLAH\r\n\r\n", 400),
            ("GET\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("GET /a b HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTQ/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: abc\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
            ("GET http://[/ HTTP/1.1\r\n\r\n", 400),
            (&many, 431),
            (&long, 414),
        ];
        for (head, status) in cases {
            let refusal = vet(head.as_bytes()).unwrap_err();
            assert_eq!(refusal.status, *status, "{head}");
            assert!(refusal.response().contains("\r\n\r\n") && refusal.text.len() > 20);
        }
    }

    #[test]
    fn the_end_of_a_request_is_known() {
        let cases = [
            ("GET / HTTP/1.1\r\n\r\n", Framing::Length(0)),
            ("GET http://host:1/a?b HTTP/1.0\r\n\r\n", Framing::Length(0)),
            ("POST / HTTP/1.1\r\nCONTENT-LENGTH: 12\r\nContent-Length: 12\r\n\r\n", Framing::Length(12)),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunks),
        ];
        for (head, framing) in cases {
            assert_eq!(vet(head.as_bytes()), Ok(framing), "{head}");
        }
    }
}
