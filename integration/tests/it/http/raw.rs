//! Requests and responses as bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long anything may take on a loaded machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that stays open between requests.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the node listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("a socket can be told not to wait");
        Self { stream: BufReader::new(stream) }
    }

    /// As [`Connection::open`], where nobody may listen.
    pub(crate) fn open_if_any(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Self { stream: BufReader::new(stream) })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // A peer that refuses a request before all of it has come may close: what it has said is read all the same.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Sends one request and reads its response.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        self.send(&[request.as_bytes(), b"\r\n", body].concat());
        self.response(method == "HEAD").expect("the node answers")
    }

    /// Reads a response: `None` where the peer has closed the connection without one.
    pub(crate) fn response(&mut self, without_body: bool) -> Option<Response> {
        let (status, headers) = self.head()?;
        if status == 100 {
            return self.response(without_body);
        }
        let mut response = Response { status, headers, body: Vec::new() };
        if without_body {
            return Some(response);
        }
        if let Some(length) = response.header("content-length") {
            response.body = vec![0; length.parse().expect("a length")];
            self.stream.read_exact(&mut response.body).expect("the whole body comes");
        } else if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                response.body.extend(chunk);
            }
        } else {
            self.stream.read_to_end(&mut response.body).expect("the body ends with the connection");
        }
        Some(response)
    }

    /// Reads a head.
    pub(crate) fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("'{line}' is no status line"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().expect("a head is whole");
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => return Some((status, headers)),
            }
        }
    }

    /// Reads one chunk of a body; `None` at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().expect("a chunked body ends with an empty chunk");
        let length = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("'{line}' is no length"));
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).expect("a chunk is whole");
        assert_eq!(&chunk[length..], b"\r\n", "a chunk ends with a line break");
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Whether the peer has left the connection open. To be asked where nothing more is to come.
    pub(crate) fn is_open(&mut self) -> bool {
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
        let open =
            matches!(self.stream.fill_buf(), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        self.stream.get_mut().set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        open
    }

    pub(crate) fn try_clone(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("a socket can be shared")
    }

    /// Reads so many bytes.
    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("the whole body comes");
        bytes
    }

    /// From now on a read waits for as long as it takes.
    pub(crate) fn wait_for_ever(&mut self) {
        self.stream.get_ref().set_read_timeout(None).expect("a timeout can be unset");
    }

    /// From now on a read gives up after a second.
    pub(crate) fn wait_only_a_moment(&mut self) {
        let moment = Some(Duration::from_secs(1));
        self.stream.get_ref().set_read_timeout(moment).expect("a timeout can be set");
    }

    /// As [`Connection::chunk`], on a connection that may end at any time.
    pub(crate) fn chunk_if_any(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Reads a head on a connection that may end at any time: its status.
    pub(crate) fn head_if_any(&mut self) -> Option<u16> {
        let mut status = None;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => return status,
                line => status = status.or_else(|| line.split(' ').nth(1)?.parse().ok()),
            }
        }
    }

    /// What comes until the connection ends, as text.
    pub(crate) fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // One that is cut has said what it has said.
        let _ = self.stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the node says nothing: {error}"),
        }
    }
}
