//! Probes against servers of the tests, and what a thousand checks cost.

mod cost;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libactor::Clock;
use protocol::{AgentId, CommandInfo, Probe, Resources, TaskInfo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

use super::machine::Answer;
use super::probe::Prober;
use crate::command::TaskOutput;
use crate::command::launch::Surroundings;
use crate::process::{Awaited, Scope};

fn prober() -> Prober {
    let around = Surroundings {
        environment: Vec::new(),
        sandbox: None,
        output: TaskOutput::Inherited,
        awaited: Awaited::default(),
    };
    let task = TaskInfo::command("t", AgentId::from("a"), Resources::default(), CommandInfo::shell("true"));
    Prober { task: Arc::new(task), around: Arc::new(around), scope: Scope::Own, clock: Clock::real() }
}

async fn ask(probe: Probe) -> Answer {
    prober().ask(&probe, Some(Duration::from_secs(20))).await
}

fn http(address: SocketAddr, path: &str) -> Probe {
    Probe::Http { secure: false, port: address.port(), path: path.to_owned(), ipv6: address.is_ipv6() }
}

fn https(address: SocketAddr) -> Probe {
    Probe::Http { secure: true, port: address.port(), path: "/".to_owned(), ipv6: address.is_ipv6() }
}

#[track_caller]
fn none(answer: Answer, part: &str) {
    match answer {
        Answer::None(why) => assert!(why.contains(part), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// How a server goes on after its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Closes,
    Waits,
    /// Goes on to write the same.
    Repeats,
}

/// A server that answers with what is made of a request's path.
async fn server(then: Then, answer: fn(&str) -> String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, then, answer));
        }
    });
    address
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, then: Then, answer: fn(&str) -> String) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8(request).unwrap();
    assert!(request.contains("\r\nHost: 127.0.0.1:"), "{request}");
    let text = answer(request.split(' ').nth(1).unwrap());
    loop {
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
        let _ = stream.flush().await;
        match then {
            Then::Closes => {
                let _ = stream.shutdown().await;
                return;
            }
            Then::Waits => std::future::pending().await,
            Then::Repeats => {}
        }
    }
}

#[tokio::test]
async fn the_code_of_an_answer() {
    for then in [Then::Closes, Then::Waits] {
        let address =
            server(then, |path| format!("HTTP/1.1 {} x\r\nContent-Length: 5\r\n\r\nhello", &path[1..])).await;
        for code in [200, 204, 404, 503] {
            assert_eq!(ask(http(address, &format!("/{code}"))).await, Answer::Status(code));
        }
    }
    let early = |_: &str| {
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 200 OK\r\n\r\n"
            .to_owned()
    };
    let address = server(Then::Closes, early).await;
    assert_eq!(ask(http(address, "")).await, Answer::Status(200));
}

#[tokio::test]
async fn redirections_are_followed_on_this_host() {
    let address = server(Then::Closes, |path| match path {
        "/a" => "HTTP/1.1 302 x\r\nLocation: /b\r\n\r\n".to_owned(),
        "/b" => "HTTP/1.1 307 x\r\nLocation: c?d\r\n\r\n".to_owned(),
        "/c?d" => "HTTP/1.1 401 x\r\n\r\n".to_owned(),
        "/away" => "HTTP/1.1 301 x\r\nLocation: https://example.com/\r\n\r\n".to_owned(),
        "/nowhere" => "HTTP/1.1 302 x\r\n\r\n".to_owned(),
        "/unchanged" => "HTTP/1.1 304 x\r\nLocation: /b\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 302 x\r\nLocation: /round\r\n\r\n".to_owned(),
    })
    .await;
    for (path, code) in [("/a", 401), ("/away", 301), ("/nowhere", 302), ("/unchanged", 304)] {
        assert_eq!(ask(http(address, path)).await, Answer::Status(code), "{path}");
    }
    none(ask(http(address, "/round")).await, "redirects more than 10 times");
}

#[tokio::test]
async fn servers_that_are_none() {
    let address = server(Then::Closes, |_| String::new()).await;
    none(ask(http(address, "/")).await, "closes the connection without an answer");
    let address = server(Then::Waits, |_| "SSH-2.0-OpenSSH\r\n".to_owned()).await;
    none(ask(http(address, "/")).await, "does not speak HTTP/1");
    // Neither a head nor a body without an end keeps anybody.
    let address =
        server(Then::Repeats, |_| format!("HTTP/1.1 200 OK\r\nX: {}", "HTTP/1.1 ".repeat(1000))).await;
    none(ask(http(address, "/")).await, "a head of more than 65536 bytes");
    let address = server(Then::Repeats, |_| format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1000))).await;
    assert_eq!(ask(http(address, "/")).await, Answer::Status(200));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    none(ask(http(address, "/")).await, "Connection refused");
    match ask(Probe::Tcp { port: address.port(), ipv6: false }).await {
        Answer::Connected(Err(why)) => assert!(why.contains("Connection refused"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// A server that speaks TLS with a certificate that nobody has signed.
async fn tls_server(version: &'static SupportedProtocolVersion) -> SocketAddr {
    let certificate = CertificateDer::from(include_bytes!("certificate.der").as_slice());
    let key = PrivateKeyDer::try_from(include_bytes!("key.der").as_slice()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, Then::Closes, |_| "HTTP/1.1 202 x\r\n\r\nbody".to_owned()));
            }
        }
    });
    address
}

#[tokio::test]
async fn tls_whoever_has_signed() {
    use tokio_rustls::rustls::version::{TLS12, TLS13};
    for version in [&TLS12, &TLS13] {
        let address = tls_server(version).await;
        assert_eq!(ask(https(address)).await, Answer::Status(202));
        none(ask(http(address, "/")).await, "HTTP/1");
    }
    // One that speaks first, and no TLS.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let greets = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 ready\r\n").await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(ask(https(plain)), greets);
    none(answer, "no TLS connection");
}

#[tokio::test]
async fn the_other_family() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        println!("SKIPPED: this machine has no IPv6");
        return;
    };
    let address = listener.local_addr().unwrap();
    assert_eq!(ask(Probe::Tcp { port: address.port(), ipv6: true }).await, Answer::Connected(Ok(())));
    let answering = async {
        // The connection of the question before.
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).await.unwrap();
        let host = format!("\r\nHost: {address}\r\n");
        assert!(String::from_utf8_lossy(&request[..read]).contains(&host));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    };
    let (answer, ()) = tokio::join!(ask(http(address, "/")), answering);
    assert_eq!(answer, Answer::Status(200));
}

#[tokio::test]
async fn a_question_that_is_dropped_is_over() {
    let closed = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = closed.clone();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        seen.fetch_add(1, Ordering::SeqCst);
    });
    let limited = prober().ask(&http(address, "/"), Some(Duration::from_millis(50))).await;
    none(limited, "no answer within 50ms");
    server.await.unwrap();
    assert_eq!(closed.load(Ordering::SeqCst), 1);
}
