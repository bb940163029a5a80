//! A client of the HTTP APIs, as bytes.

use std::net::SocketAddr;

use protocol::wire::recordio::Decoder;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest record that a test expects, in bytes.
const RECORD: usize = 64 << 20;

/// A connection with a response that has begun.
pub(crate) struct Exchange {
    stream: TcpStream,
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    /// What came after the head, and is not read yet.
    rest: Vec<u8>,
}

impl Exchange {
    /// Sends a request and reads the head of the response.
    pub(crate) async fn begin(node: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(node).await.expect("the node listens");
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await.expect("it is sent");
        let mut rest = Vec::new();
        loop {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
                rest.drain(..end + 4);
                let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
                return Self { stream, status, head, rest };
            }
            assert!(stream.read_buf(&mut rest).await.expect("it is read") > 0, "the head ends");
        }
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The next chunk; none at the end of the body.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\r\n") {
                let length = std::str::from_utf8(&self.rest[..end]).expect("digits");
                let length = usize::from_str_radix(length, 16).expect("a length");
                let all = end + 2 + length + 2;
                if self.rest.len() >= all {
                    let chunk = self.rest[end + 2..all - 2].to_vec();
                    self.rest.drain(..all);
                    return (length > 0).then_some(chunk);
                }
            }
            assert!(self.stream.read_buf(&mut self.rest).await.expect("it is read") > 0, "the body ends");
        }
    }

    /// All of the body, of either kind.
    pub(crate) async fn body(mut self) -> String {
        let mut body = Vec::new();
        match self.header("content-length").map(|length| length.parse::<usize>().expect("a length")) {
            Some(length) => {
                while self.rest.len() < length {
                    assert!(self.stream.read_buf(&mut self.rest).await.expect("it is read") > 0);
                }
                body.extend_from_slice(&self.rest);
            }
            None => {
                while let Some(mut chunk) = self.chunk().await {
                    body.append(&mut chunk);
                }
            }
        }
        String::from_utf8(body).expect("text")
    }
}

/// A stream of records.
pub(crate) struct Records {
    pub(crate) exchange: Exchange,
    decoder: Decoder,
    waiting: std::collections::VecDeque<Value>,
}

impl Records {
    pub(crate) fn of(exchange: Exchange) -> Self {
        Self { exchange, decoder: Decoder::new(RECORD), waiting: Default::default() }
    }

    /// The next record; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(record) = self.waiting.pop_front() {
                return Some(record);
            }
            let chunk = self.exchange.chunk().await?;
            let records = self.decoder.feed(&chunk).expect("records");
            let values = records.iter().map(|record| serde_json::from_slice(record).expect("JSON"));
            self.waiting.extend(values);
        }
    }

    /// The next record, of that type.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        let record = self.next().await.expect("the stream goes on");
        assert_eq!(record["type"], kind, "{record}");
        record
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// One call of an API.
pub(crate) async fn call(node: SocketAddr, path: &str, body: &Value) -> (u16, String) {
    let exchange = Exchange::begin(node, path, &[JSON], &body.to_string()).await;
    (exchange.status, exchange.body().await)
}

/// One call of a scheduler on its stream.
pub(crate) async fn call_on(node: SocketAddr, stream_id: &str, body: &Value) -> (u16, String) {
    let headers = [JSON, ("Mesos-Stream-Id", stream_id)];
    let exchange = Exchange::begin(node, "/api/v1/scheduler", &headers, &body.to_string()).await;
    (exchange.status, exchange.body().await)
}

/// A call that is answered with records.
pub(crate) async fn records(node: SocketAddr, path: &str, body: &Value) -> Records {
    let exchange = Exchange::begin(node, path, &[JSON], &body.to_string()).await;
    assert_eq!(exchange.status, 200, "{}", exchange.head);
    Records::of(exchange)
}

/// A page.
pub(crate) async fn get(node: SocketAddr, path: &str) -> Value {
    let exchange = Exchange::begin(node, path, &[], "").await;
    assert_eq!(exchange.status, 200, "{}", exchange.head);
    serde_json::from_str(&exchange.body().await).expect("JSON")
}
