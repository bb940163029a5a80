//! Questions to a server that answers with these bytes, whatever it is asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use super::*;

/// Enough for what answers at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers one question; gives it back.
fn server(answer: impl Into<Vec<u8>>) -> (SocketAddr, JoinHandle<String>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut buffer) = (String::new(), [0; 4096]);
        while !(asked.contains("\r\n\r\n") && (asked.starts_with("GET") || asked.ends_with('}'))) {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "{asked}");
            asked.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        // It may close as soon as it has seen enough.
        stream.write_all(&answer).ok();
        asked
    });
    (address, served)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn get(address: SocketAddr, limit: Duration) -> Result<Reply, Silence> {
    wait(ask(&address.to_string(), &Question::Get("/state-summary"), limit))
}

#[test]
fn answers_are_taken_apart() {
    let reply = |status, elsewhere: Option<&str>, body: &str| {
        Ok(Reply { status, elsewhere: elsewhere.map(Into::into), body: body.into() })
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
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", Err(Silence::Garbled)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", Err(Silence::Garbled)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Silence::Garbled)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", Err(Silence::Garbled)),
        ("SSH-2.0-OpenSSH\r\n\r\n", Err(Silence::Garbled)),
        ("", Err(Silence::Garbled)),
    ] {
        let (address, served) = server(answer);
        assert_eq!(get(address, PATIENCE), expected, "{answer}");
        served.join().unwrap();
    }
    let (address, served) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe");
    assert_eq!(get(address, PATIENCE), Err(Silence::Garbled));
    served.join().unwrap();
}

#[test]
fn a_question_has_all_that_a_master_wants_to_know() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (address, served) = server(ok);
    get(address, PATIENCE).unwrap();
    let asked = served.join().unwrap().to_ascii_lowercase();
    assert!(asked.starts_with("get /state-summary http/1.1\r\n"), "{asked}");
    let host = format!("host: {address}");
    for line in [host.as_str(), "accept: application/json", "connection: close"] {
        assert!(asked.lines().any(|found| found == line), "{line} in {asked}");
    }
    let (address, served) = server(ok);
    let call = r#"{"type":"GET_AGENTS"}"#;
    let reply = wait(ask(&address.to_string(), &Question::Call(call.to_owned()), PATIENCE));
    assert_eq!(reply.unwrap().body, "{}");
    let asked = served.join().unwrap();
    assert!(asked.starts_with("POST /api/v1 HTTP/1.1\r\n") && asked.ends_with(call), "{asked}");
    let asked = asked.to_ascii_lowercase();
    for line in ["accept: application/json", "content-type: application/json", "content-length: 21"] {
        assert!(asked.lines().any(|found| found == line), "{line} in {asked}");
    }
}

/// What is too large is not kept, and not taken for whole.
#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    for (body, whole) in [("123456789", true), ("1234567890", true), ("12345678901", false)] {
        let (address, served) = server(format!("HTTP/1.0 200 OK\r\n\r\n{body}"));
        let response = ureq::get(format!("http://{address}/")).call().unwrap();
        let read = read(response, 11);
        assert_eq!(read.is_ok(), whole, "{read:?}");
        served.join().unwrap();
    }
}

#[test]
fn it_is_said_who_is_away_and_who_is_late() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It takes the connection, for it listens, and says nothing.
    let limit = Duration::from_millis(50);
    let late = get(address, limit).unwrap_err();
    assert_eq!((late.to_string().as_str(), &late), ("no answer within 0.05 s", &Silence::Late(limit)));
    drop(listener);
    let said = get(address, PATIENCE).unwrap_err().to_string();
    assert!(said.contains("refused"), "{said}");
    for address in ["no host:5050", "host.invalid:5050"] {
        let silence = wait(ask(address, &Question::Get("/"), PATIENCE)).unwrap_err();
        assert!(matches!(silence, Silence::Nobody(_)), "{address}: {silence}");
    }
}
