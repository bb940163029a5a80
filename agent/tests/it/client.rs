//! A client of HTTP that hides nothing: bytes out, bytes in.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::world::PATIENCE;

/// A connection.
pub(crate) struct Client(BufReader<TcpStream>);

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.0.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    }

    /// The head of an answer.
    pub(crate) async fn head(&mut self) -> Response {
        let status = self.line().await;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Response { status, headers, body: Vec::new() }
    }

    /// A whole answer.
    pub(crate) async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                response.body.extend(chunk);
            }
        } else {
            let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
            response.body = self.bytes(length).await;
        }
        response
    }

    /// The next chunk of an answer that goes on; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line().await, 16).unwrap();
        let chunk = self.bytes(length).await;
        assert_eq!(self.line().await, "");
        (length > 0).then_some(chunk)
    }

    /// The next event of a stream in JSON: one record, which is one chunk.
    pub(crate) async fn event(&mut self) -> Value {
        serde_json::from_slice(&self.record().await).unwrap()
    }

    /// The next record of a stream, which is one chunk.
    pub(crate) async fn record(&mut self) -> Vec<u8> {
        let chunk = self.chunk().await.expect("the stream goes on");
        let line = chunk.iter().position(|byte| *byte == b'\n').expect("a length");
        let length: usize = String::from_utf8_lossy(&chunk[..line]).parse().unwrap();
        assert_eq!(chunk.len() - line - 1, length, "a record is a chunk");
        chunk[line + 1..].to_vec()
    }

    async fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = tokio::time::timeout(PATIENCE, self.0.read_exact(&mut bytes)).await;
        read.expect("it comes").expect("the connection is there");
        bytes
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await;
        read.expect("it comes").expect("the connection is there");
        assert!(line.ends_with("\r\n"), "{line:?}");
        line.trim_end().to_owned()
    }
}
