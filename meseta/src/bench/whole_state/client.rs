//! A client that reads and forgets.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use libactor::Clock;

/// One read from the socket.
const BUFFER: usize = 256 << 10;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    /// A page.
    Get(&'static str),
    /// A page, compressed.
    Gzip(&'static str),
    /// The operator API's GET_STATE, answered in this type.
    Operator(&'static str),
}

/// How an answer came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched {
    /// From the question to the first byte of the answer.
    pub(super) first: Duration,
    /// From the question to the last.
    pub(super) whole: Duration,
    /// Of the body.
    pub(super) bytes: usize,
}

/// A connection that stays open.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    clock: Clock,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream: BufReader::with_capacity(BUFFER, stream), clock: Clock::real() })
    }

    pub(super) fn fetch(&mut self, request: Request) -> io::Result<Fetched> {
        const CALL: &str = r#"{"type":"GET_STATE"}"#;
        let head = match request {
            Request::Get(path) => format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n"),
            Request::Gzip(path) => {
                format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n\r\n")
            }
            Request::Operator(accept) => format!(
                "POST /api/v1 HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAccept: {accept}\r\n\
                 Content-Length: {}\r\n\r\n{CALL}",
                CALL.len()
            ),
        };
        let begin = self.clock.now();
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.stream.fill_buf()?;
        let first = self.clock.now().since(begin);
        let length = self.head()?;
        let bytes = match length {
            Some(length) => self.skip(length)?,
            None => self.chunks()?,
        };
        Ok(Fetched { first, whole: self.clock.now().since(begin), bytes })
    }

    /// Reads a head; gives the length of the body, `None` if it comes in chunks.
    fn head(&mut self) -> io::Result<Option<usize>> {
        let status = self.line()?;
        if !status.contains(" 200 ") {
            return Err(io::Error::new(ErrorKind::InvalidData, status));
        }
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok(length);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok();
            }
        }
    }

    fn chunks(&mut self) -> io::Result<usize> {
        let mut bytes = 0;
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(&line, 16)
                .map_err(|_| io::Error::new(ErrorKind::InvalidData, format!("'{line}' is no length")))?;
            bytes += self.skip(length)?;
            self.line()?;
            if length == 0 {
                return Ok(bytes);
            }
        }
    }

    fn skip(&mut self, length: usize) -> io::Result<usize> {
        let mut left = length;
        while left > 0 {
            let there = self.stream.fill_buf()?.len().min(left);
            if there == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.stream.consume(there);
            left -= there;
        }
        Ok(length)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.by_ref().take(64 << 10).read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
