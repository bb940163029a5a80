//! Bodies: packed, unpacked, wrapped, made beside the actors.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use libactor::http::{HttpBody, HttpLimits, SharedBody, StatusCode, StreamLimits, stream};
use libactor::{HttpRequest, HttpResponse, Install, Node, NodeConfig};
use tokio::sync::mpsc;

use crate::client::{Answer, Client, ask, get};
use crate::kit::{Witness, local, make, metric};

const GZIP: &str = "Accept-Encoding: gzip\r\n";

async fn node(http: HttpLimits, routes: impl FnOnce(&mut Install<Witness>)) -> Node {
    let node = Node::bind(NodeConfig { http, ..NodeConfig::default() }).await.unwrap();
    node.spawn("a", make(mpsc::channel(10).0), routes).unwrap();
    node
}

/// Of so many bytes, which don't repeat too soon.
fn text(length: usize) -> String {
    let numbers = (0..).flat_map(|number: u32| number.to_string().into_bytes());
    String::from_utf8(numbers.take(length).collect()).unwrap()
}

fn pack(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn unpack(body: &[u8]) -> String {
    std::io::read_to_string(GzDecoder::new(body)).unwrap()
}

fn post(body: &[u8], headers: &str) -> Vec<u8> {
    let head = format!("POST /a/echo HTTP/1.1\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn echo(all: &mut Install<Witness>) {
    all.route("/echo", "says it back", |request: HttpRequest| async move {
        HttpResponse::new(StatusCode::OK, "text/plain", request.body)
    });
}

#[tokio::test]
async fn large_answers_are_packed_for_whom_that_is_welcome() {
    local(async {
        let node = node(HttpLimits::default(), |all| {
            all.route("/text", "so many bytes", |request: HttpRequest| async move {
                HttpResponse::new(StatusCode::OK, "text/plain", text(request.rest[1..].parse().unwrap()))
            });
            all.route("/packed", "is packed", |_| async {
                HttpResponse::new(StatusCode::OK, "text/plain", pack(text(5000).as_bytes()))
                    .with_header("content-encoding", "gzip")
            });
        })
        .await;
        for length in [0, 1023, 1024, 100_000, 3_000_000] {
            let path = format!("/a/text/{length}");
            let plain = get(&node, &path, "").await;
            assert_eq!((plain.text(), plain.header("Content-Encoding")), (text(length).as_str(), None));
            let packed = get(&node, &path, GZIP).await;
            if length < 1024 {
                assert_eq!((packed.text(), packed.header("Content-Encoding")), (plain.text(), None));
            } else {
                assert_eq!(packed.header("Content-Encoding"), Some("gzip"), "{length}");
                assert!(packed.body.len() < plain.body.len());
                assert_eq!(unpack(&packed.body), plain.text());
            }
            assert_eq!(get(&node, &path, "Accept-Encoding: gzip;q=0, *\r\n").await.body, plain.body);
        }
        assert_eq!(unpack(&get(&node, "/a/packed", GZIP).await.body), text(5000));
        let mut client = Client::new(&node).await;
        client.send(format!("HEAD /a/text/5000 HTTP/1.1\r\n{GZIP}\r\n")).await;
        let head = client.head().await;
        let length = get(&node, "/a/text/5000", GZIP).await.body.len();
        assert_eq!(head.header("Content-Length"), Some(length.to_string().as_str()));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn packed_requests_are_unpacked_within_the_limit() {
    local(async {
        let http = HttpLimits { body_bytes: 100_000, bodies_bytes: 150_000, ..HttpLimits::default() };
        let node = node(http, echo).await;
        let mut client = Client::new(&node).await;
        let packed = "Content-Encoding: gzip\r\n";
        let body = text(100_000);
        assert_eq!(client.ask(post(&pack(body.as_bytes()), packed)).await.text(), body);
        let garbage = client.ask(post(b"nope", packed)).await;
        assert_eq!((garbage.status, garbage.text()), (500, "failed to decode body"));
        let bomb = client.ask(post(&pack(&vec![0; 50_000_000]), packed)).await;
        assert_eq!(bomb.status, 413);
        assert_eq!(client.ask(post(b"plain", "Content-Encoding: identity\r\n")).await.text(), "plain");
        assert_eq!(client.ask(post(b"{}", "Content-Encoding: br\r\n")).await.status, 415);
        // Nothing of it is left.
        for _ in 0..3 {
            assert_eq!(client.ask(post(&pack(body.as_bytes()), packed)).await.status, 200);
        }
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn json_is_wrapped_for_a_page() {
    local(async {
        let node = node(HttpLimits::default(), |all| {
            all.route("/json", "", |_| async { HttpResponse::json(&[1]) });
            all.route("/large", "", |_| async {
                let body = SharedBody::produce(|out| write!(out, "{:?}", vec![7; 5000]));
                HttpResponse::of(StatusCode::OK, "application/json", HttpBody::Shared(body))
            });
            all.route("/text", "", |_| async { HttpResponse::text(StatusCode::OK, "text") });
            all.route("/bad", "", |_| async { HttpResponse::bad_request("bad") });
        })
        .await;
        let wrapped = get(&node, "/a/json?jsonp=a.B_1.$c", "").await;
        assert_eq!(
            (wrapped.text(), wrapped.header("Content-Type")),
            ("a.B_1.$c([1])", Some("text/javascript"))
        );
        let large = get(&node, "/a/large?jsonp=cb", GZIP).await;
        assert_eq!(large.text(), format!("cb({:?})", vec![7; 5000]));
        assert_eq!(large.header("Content-Length"), Some(large.body.len().to_string().as_str()));
        for (path, text) in [("/a/text?jsonp=cb", "text"), ("/a/bad?jsonp=cb", "bad")] {
            assert_eq!(get(&node, path, "").await.text(), text);
        }
        let post = ask(&node, "POST /a/json?jsonp=cb HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!((post.text(), post.header("Content-Type")), ("[1]", Some("application/json")));
        for bad in ["", "alert(1)//", "a%3Cscript%3E", "a%20b", &"a".repeat(129)] {
            let refused = get(&node, &format!("/a/json?jsonp={bad}"), "").await;
            assert_eq!(
                (refused.status, refused.header("Content-Type").unwrap()),
                (400, "text/plain; charset=utf-8")
            );
        }
        node.shutdown().await;
    })
    .await;
}

/// A body that is made when the test says so.
struct Made {
    body: SharedBody,
    go_on: SyncSender<usize>,
}

fn made() -> Made {
    let (go_on, steps): (_, Receiver<usize>) = sync_channel(100);
    let body = SharedBody::produce(move |out| {
        for length in steps {
            out.write_all(text(length).as_bytes())?;
        }
        Ok(())
    });
    Made { body, go_on }
}

fn shared(body: &SharedBody) -> impl Fn(&mut Install<Witness>) {
    let body = Arc::new(Mutex::new(Some(body.clone())));
    move |all| {
        let body = body.clone();
        all.route("/shared", "made once", move |_| {
            let body = body.lock().unwrap().clone().unwrap();
            async move { HttpResponse::of(StatusCode::OK, "text/plain", HttpBody::Shared(body)) }
        });
    }
}

#[tokio::test]
async fn a_shared_body_is_made_once_and_followed_by_many() {
    local(async {
        let Made { body, go_on } = made();
        let node = node(HttpLimits::default(), shared(&body)).await;
        let ask = |headers: &'static str| {
            let node = node.clone();
            tokio::task::spawn_local(async move { get(&node, "/a/shared", headers).await })
        };
        let early = [ask(""), ask(GZIP), ask(GZIP)];
        go_on.send(3_000_000).unwrap();
        let mut slow = Client::new(&node).await;
        slow.send("GET /a/shared HTTP/1.1\r\n\r\n").await;
        let head = slow.head().await;
        assert_eq!(head.header("Content-Length"), None);
        assert_eq!(slow.chunk().await.unwrap(), text(64 << 10).as_bytes());
        go_on.send(1_000_000).unwrap();
        drop(go_on);
        let whole = text(3_000_000) + &text(1_000_000);
        for (number, answer) in early.into_iter().enumerate() {
            let answer = answer.await.unwrap();
            match number {
                0 => assert!(answer.text() == whole),
                _ => {
                    assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
                    assert!(unpack(&answer.body) == whole);
                }
            }
        }
        assert!(unpack(&ask(GZIP).await.unwrap().body) == whole);
        let mut rest = text(64 << 10).into_bytes();
        while let Some(chunk) = slow.chunk().await {
            rest.extend(chunk);
        }
        assert!(rest == whole.as_bytes());
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_small_shared_body_has_its_length_and_a_failed_one_is_500() {
    local(async {
        let Made { body, go_on } = made();
        let node = node(HttpLimits::default(), shared(&body)).await;
        go_on.send(500_000).unwrap();
        drop(go_on);
        let plain = get(&node, "/a/shared", "").await;
        assert_eq!((plain.header("Content-Length"), plain.body.len()), (Some("500000"), 500_000));
        let packed = get(&node, "/a/shared", GZIP).await;
        assert_eq!(packed.header("Content-Length"), Some(packed.body.len().to_string().as_str()));
        assert_eq!(unpack(&packed.body), plain.text());
        let fails = SharedBody::produce(|out| {
            out.write_all(b"so far")?;
            Err(std::io::Error::other("no more"))
        });
        node.spawn("b", make(mpsc::channel(10).0), shared(&fails)).unwrap();
        let failed = get(&node, "/b/shared", "").await;
        assert_eq!(failed.status, 500);
        assert!(failed.text().contains("no more"), "{}", failed.text());
        // Who has begun to read loses the connection: the end of the body does not come.
        let late = SharedBody::produce(|out| {
            out.write_all(&[b'x'; 2_000_000])?;
            Err(std::io::Error::other("no more"))
        });
        node.spawn("c", make(mpsc::channel(10).0), shared(&late)).unwrap();
        let mut client = Client::new(&node).await;
        client.send("GET /c/shared HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200);
        let mut all = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut all).await.unwrap();
        assert!(!all.ends_with(b"0\r\n\r\n"));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_shared_body_that_nobody_reads_is_given_up() {
    local(async {
        let (told, mut tells) = mpsc::channel(2);
        let body = SharedBody::produce(move |out| {
            told.try_send(None).unwrap();
            loop {
                if let Err(end) = out.write_all(&[0; 1000]) {
                    told.try_send(Some(end.kind())).unwrap();
                    return Err(end);
                }
            }
        });
        assert_eq!(tells.recv().await, Some(None));
        drop(body);
        let end = tells.recv().await.unwrap();
        assert!(matches!(end, Some(std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::Other)), "{end:?}");
    })
    .await;
}

#[tokio::test]
async fn streams_are_sent_as_they_are() {
    local(async {
        let node = node(HttpLimits::default(), |all| {
            all.route("/events", "", |_| async {
                let (sender, body) = stream(StreamLimits::default());
                sender.send(Bytes::from(text(5000))).unwrap();
                sender.finish(Some(Bytes::from_static(b"the end")));
                HttpResponse::of(StatusCode::OK, "application/json", body)
            });
        })
        .await;
        let answer: Answer = get(&node, "/a/events?jsonp=cb", GZIP).await;
        assert_eq!((answer.header("Content-Encoding"), answer.header("Content-Length")), (None, None));
        assert_eq!(answer.text(), text(5000) + "the end");
        assert_eq!(metric(&node, "http_streams_cut"), 0.0);
        node.shutdown().await;
    })
    .await;
}
