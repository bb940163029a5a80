//! A client of HTTP that sends what it is told and hides nothing.

use libactor::Node;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// With the names of headers as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header by its exact name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A connection on which request follows request.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn new(node: &Node) -> Self {
        Self { stream: TcpStream::connect(node.address()).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads up to and with what ends with `end`.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|part| part == end) {
                return self.read.drain(..at + end.len()).collect();
            }
            self.more().await;
        }
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            self.more().await;
        }
        self.read.drain(..count).collect()
    }

    async fn more(&mut self) {
        let count = self.stream.read_buf(&mut self.read).await.unwrap();
        assert!(count > 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.read));
    }

    /// One chunk; `None`: the last.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.until(b"\r\n").await;
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        let mut chunk = self.exactly(size + 2).await;
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// Reads a head.
    pub(crate) async fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// Reads an answer with its body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        if answer.header("Transfer-Encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend(chunk);
            }
        } else if let Some(length) = answer.header("Content-Length") {
            let length = length.parse().unwrap();
            answer.body = self.exactly(length).await;
        }
        answer
    }

    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// Whether the node has closed the connection, and said nothing more.
    pub(crate) async fn sees_the_end(mut self) -> bool {
        self.read.is_empty() && self.stream.read(&mut [0; 1]).await.is_ok_and(|count| count == 0)
    }
}

/// The answer to one request on a connection of its own.
pub(crate) async fn ask(node: &Node, request: impl AsRef<[u8]>) -> Answer {
    Client::new(node).await.ask(request).await
}

/// The answer to a GET with headers.
pub(crate) async fn get(node: &Node, path: &str, headers: &str) -> Answer {
    ask(node, format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await
}
