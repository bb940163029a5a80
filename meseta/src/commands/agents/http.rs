//! One question to a master over HTTP: a connection of its own, closed with the answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A master whose host does not take a connection within this is away.
const CONNECT: Duration = Duration::from_secs(2);
/// The largest answer that is read: a page of many thousand agents is far below it.
const MAX_ANSWER: u64 = 1 << 30;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A page.
    Get(&'static str),
    /// A call of the operator API, as JSON.
    Call(String),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Where else to ask, `host:port`.
    pub elsewhere: Option<String>,
    /// The body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// There is nobody, or nobody any more.
    #[error("{0}")]
    Nobody(String),
    /// It has the question and says nothing.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// What speaks there is not a master.
    #[error("it does not speak HTTP: is that a master?")]
    Garbled,
}

/// Asks the master at `host:port`, and waits for its answer for so long.
///
/// # Errors
/// See [`Silence`]: what was asked may have been done.
pub async fn ask(address: &str, question: &Question, limit: Duration) -> Result<Reply, Silence> {
    let nobody = |error: std::io::Error| Silence::Nobody(error.to_string());
    let connect = timeout(CONNECT.min(limit), TcpStream::connect(address)).await;
    let mut stream = connect.map_err(|_| Silence::Late(CONNECT.min(limit)))?.map_err(nobody)?;
    let exchange = async {
        stream.write_all(request(address, question).as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer = timeout(limit, exchange).await.map_err(|_| Silence::Late(limit))?.map_err(nobody)?;
    read(&answer).ok_or(Silence::Garbled)
}

fn request(address: &str, question: &Question) -> String {
    let rest = format!("Host: {address}\r\nAccept: application/json\r\nConnection: close\r\n");
    match question {
        Question::Get(path) => format!("GET {path} HTTP/1.1\r\n{rest}\r\n"),
        Question::Call(body) => format!(
            "POST /api/v1 HTTP/1.1\r\n{rest}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    }
}

/// Takes an answer apart.
fn read(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(answer.get(..end)?).ok()?, answer.get(end + 4..)?);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let (mut chunked, mut length, mut elsewhere) = (false, None, None);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "content-length" => length = Some(value.parse::<usize>().ok()?),
            "location" => elsewhere = host_of(value),
            _ => {}
        }
    }
    let body = match (chunked, length) {
        (true, _) => unchunked(body)?,
        (false, Some(length)) => body.get(..length)?.to_vec(),
        (false, None) => body.to_vec(),
    };
    Some(Reply { status, elsewhere, body: String::from_utf8(body).ok()? })
}

/// `//host:port/path`, with or without a scheme.
fn host_of(location: &str) -> Option<String> {
    let rest = location.split_once("//")?.1;
    let host = rest.split(['/', '?']).next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(rest.get(..end)?).ok()?.split(';').next()?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        rest = rest.get(end + 2..)?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let reply = |status, elsewhere: Option<&str>, body: &str| {
            Some(Reply { status, elsewhere: elsewhere.map(Into::into), body: body.into() })
        };
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", reply(200, None, "{}")),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
                reply(200, None, "abcde"),
            ),
            (
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: //10.0.0.2:5050/api/v1\r\nContent-Length: 0\r\n\r\n",
                reply(307, Some("10.0.0.2:5050"), ""),
            ),
            ("HTTP/1.0 503 x\r\nA: b\r\n\r\nwhy", reply(503, None, "why")),
            // Cut short, or no HTTP at all.
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(read(answer.as_bytes()), expected, "{answer}");
        }
    }
}
