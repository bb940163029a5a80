//! One GET to a server of the loopback address: its status code, and nothing kept of the rest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tls;
use crate::limits::{MAX_PROBE_BODY, MAX_PROBE_HEAD, MAX_PROBE_REDIRECTS, PROBE_BODY_PATIENCE};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) secure: bool,
    pub(super) address: SocketAddr,
    /// Begins with a slash; only what a request line may hold.
    path: String,
}

/// What of an answer's head is looked at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    code: u16,
    location: Option<String>,
    length: Option<usize>,
}

/// The loopback address of a family.
pub(super) fn loopback(ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
}

impl Target {
    /// `path` may be anything: what a request line can't hold is escaped.
    pub(super) fn new(secure: bool, address: SocketAddr, path: &str) -> Self {
        let path = path.split('#').next().unwrap_or_default();
        let mut escaped = String::with_capacity(path.len() + 1);
        if !path.starts_with('/') {
            escaped.push('/');
        }
        for byte in path.bytes() {
            match byte {
                0x21..=0x7e => escaped.push(char::from(byte)),
                other => escaped.push_str(&format!("%{other:02X}")),
            }
        }
        Self { secure, address, path: escaped }
    }

    /// Where a redirection leads; `None`: away from this host, or nowhere.
    fn redirected(&self, location: &str) -> Option<Self> {
        let location = location.trim();
        let (secure, rest) = match location.split_once("//") {
            Some(("", rest)) => (self.secure, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http:") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https:") => (true, rest),
            _ if location.is_empty() || location.contains("://") => return None,
            _ if location.starts_with('/') => return Some(Self::new(self.secure, self.address, location)),
            _ => {
                let path = self.path.split('?').next().unwrap_or_default();
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                return Some(Self::new(self.secure, self.address, &format!("{folder}/{location}")));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let ip = match host {
            "127.0.0.1" => loopback(false),
            "[::1]" => loopback(true),
            "localhost" => self.address.ip(),
            _ => return None,
        };
        Some(Self::new(secure, SocketAddr::new(ip, port), path))
    }
}

/// The status code of the answer, after redirections on this host. One that leads away is an answer itself.
///
/// # Cancel safety
/// Dropping it closes the connection.
pub(super) async fn get(mut target: Target) -> Result<u16, String> {
    for _ in 0..=MAX_PROBE_REDIRECTS {
        let head = ask(&target).await?;
        let next = match head.code {
            301 | 302 | 303 | 307 | 308 => head.location.and_then(|to| target.redirected(&to)),
            _ => None,
        };
        match next {
            Some(next) => target = next,
            None => return Ok(head.code),
        }
    }
    Err(format!("the server redirects more than {MAX_PROBE_REDIRECTS} times"))
}

async fn ask(target: &Target) -> Result<Head, String> {
    let address = target.address;
    let stream =
        TcpStream::connect(address).await.map_err(|error| format!("no connection to {address}: {error}"))?;
    if target.secure {
        let stream = tls::connect(stream, address.ip())
            .await
            .map_err(|error| format!("no TLS connection to {address}: {error}"))?;
        exchange(stream, target).await
    } else {
        exchange(stream, target).await
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &Target) -> Result<Head, String> {
    let Target { path, address, .. } = target;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: meseta\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let failed = |error: std::io::Error| format!("{address} does not answer: {error}");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut read = Vec::new();
    let head = loop {
        if let Some((head, length)) = parse(&read).map_err(|why| format!("{address} {why}"))? {
            read.drain(..length);
            if head.code >= 200 {
                break head;
            }
            continue;
        }
        if read.len() > MAX_PROBE_HEAD {
            return Err(format!("{address} answers with a head of more than {MAX_PROBE_HEAD} bytes"));
        }
        if stream.read_buf(&mut read).await.map_err(failed)? == 0 {
            return Err(format!("{address} closes the connection without an answer"));
        }
    };
    let rest = head.length.unwrap_or(MAX_PROBE_BODY).min(MAX_PROBE_BODY).saturating_sub(read.len());
    // The answer is known: how its body ends does not matter.
    let _ = tokio::time::timeout(PROBE_BODY_PATIENCE, discard(stream, rest)).await;
    Ok(head)
}

/// Reads at most so many bytes.
async fn discard(mut stream: impl AsyncRead + Unpin, mut rest: usize) {
    let mut buffer = [0; 4096];
    while rest > 0 {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => rest = rest.saturating_sub(read),
            _ => return,
        }
    }
}

/// The head at the beginning of what was read, and its length; nothing if it is not complete.
fn parse(read: &[u8]) -> Result<Option<(Head, usize)>, String> {
    const BEGIN: &[u8] = b"HTTP/1.";
    let common = BEGIN.len().min(read.len());
    if read[..common] != BEGIN[..common] {
        return Err("does not speak HTTP/1".to_owned());
    }
    let Some(length) = length_of_head(read) else { return Ok(None) };
    let text = String::from_utf8_lossy(&read[..length]);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split_whitespace().nth(1));
    let code = status.filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
    let mut head = Head { code: code.ok_or("answers without a status code")?, ..Head::default() };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("location") {
            head.location = Some(value.trim().to_owned());
        } else if name.eq_ignore_ascii_case("content-length") {
            head.length = value.trim().parse().ok();
        }
    }
    Ok(Some((head, length)))
}

/// Up to and with the empty line.
fn length_of_head(read: &[u8]) -> Option<usize> {
    let end = |pattern: &[u8]| {
        read.windows(pattern.len()).position(|window| window == pattern).map(|at| at + pattern.len())
    };
    [end(b"\r\n\r\n"), end(b"\n\n")].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        Target::new(false, "127.0.0.1:8080".parse().unwrap(), path)
    }

    #[test]
    fn paths_are_escaped() {
        for (given, sent) in
            [("", "/"), ("/a?b=c&d", "/a?b=c&d"), ("/a b\r\nX: y", "/a%20b%0D%0AX:%20y"), ("/ä#x", "/%C3%A4")]
        {
            assert_eq!(target(given).path, sent);
        }
    }

    #[test]
    fn redirections_stay_on_this_host() {
        let from = target("/a/b?c=d");
        let to = |secure, address: &str, path: &str| Target::new(secure, address.parse().unwrap(), path);
        for (location, wanted) in [
            ("/login", Some(target("/login"))),
            ("login?x", Some(target("/a/login?x"))),
            ("http://127.0.0.1/x", Some(to(false, "127.0.0.1:80", "/x"))),
            ("HTTPS://localhost:8443", Some(to(true, "127.0.0.1:8443", "/"))),
            ("//[::1]:9/y", Some(to(false, "[::1]:9", "/y"))),
            ("http://[::1]?q", Some(to(false, "[::1]:80", "/?q"))),
            ("http://example.com/", None),
            ("http://127.0.0.1:99999/", None),
            ("http://127.0.0.1@example.com/", None),
            ("ftp://127.0.0.1/", None),
            ("", None),
        ] {
            assert_eq!(from.redirected(location), wanted, "{location}");
        }
    }

    #[test]
    fn heads_are_read_piece_by_piece() {
        let whole = b"HTTP/1.1 302 Found\r\nlocation:  /x \r\nContent-Length: 3\r\n\r\nabc";
        let length = whole.len() - 3;
        for end in 0..length {
            assert_eq!(parse(&whole[..end]), Ok(None), "{end}");
        }
        let head = Head { code: 302, location: Some("/x".to_owned()), length: Some(3) };
        assert_eq!(parse(whole), Ok(Some((head, length))));
        let bare = Head { code: 200, ..Head::default() };
        assert_eq!(parse(b"HTTP/1.0 200\n\n"), Ok(Some((bare, 14))));
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for bad in [&b"SSH-2.0-x\r\n"[..], b"HTTP/2 200\r\n\r\n", b"\0"] {
            assert_eq!(parse(bad), Err("does not speak HTTP/1".to_owned()));
        }
        for bad in
            [&b"HTTP/1.1\r\n\r\n"[..], b"HTTP/1.1 20\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 -20 x\n\n"]
        {
            assert_eq!(parse(bad), Err("answers without a status code".to_owned()));
        }
    }
}
