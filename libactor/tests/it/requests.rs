//! Requests as they come from the tools of Mesos, and odd ones, as a real Mesos answers them.

use std::time::Duration;

use libactor::http::{HttpLimits, Method, StatusCode};
use libactor::{HttpRequest, HttpResponse, Install, Node, NodeConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::client::{Client, ask, get};
use crate::kit::{Witness, install, local, make, metric, node, until};

fn with_routes(all: &mut Install<Witness>) {
    install(all);
    all.route("/api/v1", "a call", |request: HttpRequest| async move {
        if request.method != Method::POST {
            return HttpResponse::method_not_allowed(&[Method::POST], &request.method);
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        HttpResponse::text(StatusCode::OK, body).with_header("mesos-stream-id", "some-id")
    });
    all.route("/state", "what there is", |request: HttpRequest| async move {
        HttpResponse::json(&format!("{} of {}", request.path, request.actor))
    });
}

async fn served() -> Node {
    let node = node().await;
    node.spawn("master", make(mpsc::channel(10).0), with_routes).unwrap();
    node.set_delegate("master");
    node
}

const VERSION: &str = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

#[tokio::test]
async fn odd_requests_are_answered_as_by_mesos() {
    local(async {
        let node = served().await;
        let long = format!("GET /version HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(80 << 10));
        let version: [&str; 9] = [
            "GET /version HTTP/1.0\r\n\r\n",
            "GET /version HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET http://127.0.0.1/version HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /version HTTP/1.1\r\nConnection: close\r\n\r\n",
            "GET /version HTTP/1.1\r\n\r\n",
            "OPTIONS /version HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /version/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            "GET /version?x=%7a HTTP/1.1\nHost: x\n\n",
            &long,
        ];
        for request in version {
            let answer = ask(&node, request).await;
            assert_eq!((answer.status, answer.text()), (200, VERSION), "{request}");
            assert_eq!(answer.header("Content-Type"), Some("application/json"));
            assert!(answer.header("Date").is_some_and(|date| date.ends_with(" GMT")));
        }
        let calls = [
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nA: trailer\r\n\r\n",
            "Content-Length: 5\r\n\r\nhello",
        ];
        for call in calls {
            let answer = ask(&node, format!("POST /api/v1 HTTP/1.1\r\nHost: x\r\n{call}")).await;
            assert_eq!((answer.status, answer.text()), (200, "hello"), "{call}");
            assert_eq!(answer.header("Mesos-Stream-Id"), Some("some-id"));
        }
        let answer = get(&node, "/master/api/v1/anything", "").await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("Allow"), Some("POST"));
        let text = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.";
        assert_eq!(answer.text(), text);
        for nowhere in ["/no/such", "//version", "/../../etc/passwd", "/static/../../../etc/passwd", "/a%2fb"]
        {
            let answer = get(&node, nowhere, "").await;
            assert_eq!((answer.status, answer.text()), (404, "404 Not Found."), "{nowhere}");
            assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
        }
        let head = Client::new(&node).await.head_of("/version").await;
        assert_eq!(head, VERSION.len().to_string());
        node.shutdown().await;
    })
    .await;
}

impl Client {
    /// What the head of a HEAD says of the length; nothing follows it but the next answer.
    async fn head_of(mut self, path: &str) -> String {
        self.send(format!("HEAD {path} HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n")).await;
        let head = self.head().await;
        assert_eq!(head.status, 200);
        let health = self.answer().await;
        assert_eq!((health.status, health.text(), health.header("Content-Length")), (200, "", Some("0")));
        head.header("Content-Length").unwrap().to_owned()
    }
}

#[tokio::test]
async fn what_can_not_be_understood_is_answered_with_400() {
    local(async {
        let node = served().await;
        // What ends the connection.
        let bad: [(&str, u16); 8] = [
            ("BLAH\r\n\r\n", 400),
            ("get\r\n\r\n", 400),
            ("GET /version HTTP/3.0\r\n\r\n", 505),
            ("GET /version HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("GET /ver sion HTTP/1.1\r\n\r\n", 400),
            ("POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", 400),
            ("POST /api/v1 HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("POST /api/v1 HTTP/1.1\r\nTransfer-Encoding: zip\r\n\r\n", 501),
        ];
        for (request, status) in bad {
            let mut client = Client::new(&node).await;
            // Also after a good request, whose answer comes first.
            client.send(format!("GET /health HTTP/1.1\r\n\r\n{request}")).await;
            assert_eq!(client.answer().await.status, 200);
            let answer = client.answer().await;
            assert_eq!(answer.status, status, "{request}");
            assert!(answer.text().len() > 20, "{request}: {}", answer.text());
            assert!(client.sees_the_end().await, "{request}");
        }
        until(&node, "http_refused", 8.0).await;
        // What does not.
        for bad in ["FOO /version", "GET /state?x=%zz", "GET /%zz", "GET /state?%ff=1"] {
            let mut client = Client::new(&node).await;
            let answer = client.ask(format!("{bad} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert_eq!(answer.status, 400, "{bad}");
            assert!(answer.text().len() > 20, "{bad}: {}", answer.text());
            assert_eq!(client.ask("GET /health HTTP/1.1\r\n\r\n").await.status, 200);
        }
        // A client that has said all that it has to say, which is too little.
        let mut client = Client::new(&node).await;
        client.send("GET /version HTTP/1.1\r\nHo").await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.answer().await.status, 400);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn heads_and_bodies_have_limits_of_the_node() {
    local(async {
        let http = HttpLimits { head_bytes: 4096, body_bytes: 1000, ..HttpLimits::default() };
        let node = Node::bind(NodeConfig { http, ..NodeConfig::default() }).await.unwrap();
        node.spawn("master", make(mpsc::channel(10).0), with_routes).unwrap();
        // The client is still sending when it is refused.
        let head = format!("GET /version HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        let mut client = Client::new(&node).await;
        let (mut read, mut write) = client.stream.split();
        let mut answer = Vec::new();
        let (_, end) = tokio::join!(write.write_all(head.as_bytes()), read.read_to_end(&mut answer));
        end.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let call = |body: &str| {
            let length = body.len();
            format!("POST /master/api/v1 HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        assert_eq!(ask(&node, call(&"x".repeat(1000))).await.status, 200);
        let answer = ask(&node, call(&"x".repeat(1001))).await;
        assert_eq!(answer.status, 413);
        assert!(answer.text().contains("1000 bytes"), "{}", answer.text());
        let chunks = format!("Transfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
        assert_eq!(ask(&node, format!("POST /master/api/v1 HTTP/1.1\r\n{chunks}")).await.status, 413);
        let mut client = Client::new(&node).await;
        for blank in [0, 2000, 2000] {
            client.send("\r\n".repeat(blank)).await;
            assert_eq!(client.ask("GET /health HTTP/1.1\r\n\r\n").await.status, 200);
        }
        assert_eq!(client.ask("\r\n".repeat(2050)).await.status, 431);
        let fields = format!("GET /version HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
        assert_eq!(ask(&node, fields).await.status, 431);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    local(async {
        let http = HttpLimits { body_timeout: Duration::from_millis(20), ..HttpLimits::default() };
        let node = Node::bind(NodeConfig { http, ..NodeConfig::default() }).await.unwrap();
        let answer = ask(&node, "POST /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe").await;
        assert_eq!(answer.status, 408);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_may_be_told_to_go_on() {
    local(async {
        let node = served().await;
        let mut client = Client::new(&node).await;
        client.send("POST /api/v1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
        assert_eq!(client.head().await.status, 100);
        assert_eq!(client.ask("hello").await.text(), "hello");
        let large = "POST /api/v1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n";
        assert_eq!(client.ask(large).await.status, 413);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn answers_come_in_the_order_of_requests() {
    local(async {
        let node = served().await;
        let mut client = Client::new(&node).await;
        let mut all = String::new();
        for number in 0..200 {
            let body = format!("call {number}");
            all += &match number % 3 {
                0 => format!("GET /state/{number} HTTP/1.1\r\nHost: x\r\n\r\n"),
                1 => format!("POST /api/v1 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
                _ => format!("POST /api/v1 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}\r\n", body.len()),
            };
        }
        // In pieces of all sizes.
        let mut rest = all.as_bytes();
        let mut size = 1;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(size.min(rest.len()));
            client.send(piece).await;
            tokio::task::yield_now().await;
            (rest, size) = (more, size % 97 + 1);
        }
        for number in 0..200 {
            let answer = client.answer().await;
            let expected = match number % 3 {
                0 => format!("\"/state/{number} of master\""),
                _ => format!("call {number}"),
            };
            assert_eq!(answer.text(), expected);
        }
        // A client that says no more still gets its answers.
        client.send("GET /version HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n").await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.answer().await.text(), VERSION);
        assert_eq!(client.answer().await.status, 200);
        assert!(client.sees_the_end().await);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn messages_of_libprocess_are_taken_and_dropped() {
    local(async {
        let node = served().await;
        let message = |path: &str, header: &str| {
            format!("POST {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: 0\r\n\r\n")
        };
        let from = "Libprocess-From: scheduler(1)@127.0.0.1:1\r\n";
        let agent = "User-Agent: libprocess/scheduler(1)@127.0.0.1:1\r\n";
        for header in [from, agent] {
            let answer = ask(&node, message("/master/mesos.internal.NoSuchMessage", header)).await;
            assert_eq!((answer.status, answer.text(), answer.header("Content-Length")), (202, "", Some("0")));
            let answer = ask(&node, message("/nobody/mesos.internal.NoSuchMessage", header)).await;
            assert_eq!((answer.status, answer.text()), (404, "404 Not Found."));
        }
        assert_eq!(ask(&node, message("/master/mesos.internal.NoSuchMessage", "")).await.status, 404);
        let odd = "User-Agent: libprocess/nobody\r\n";
        assert_eq!(ask(&node, message("/master/mesos.internal.NoSuchMessage", odd)).await.status, 404);
        assert_eq!(metric(&node, "dropped_libprocess_messages"), 2.0);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    local(async {
        let http = HttpLimits { connections: 2, ..HttpLimits::default() };
        let node = Node::bind(NodeConfig { http, ..NodeConfig::default() }).await.unwrap();
        let (mut first, mut second) = (Client::new(&node).await, Client::new(&node).await);
        for client in [&mut first, &mut second] {
            assert_eq!(client.ask("GET /health HTTP/1.1\r\n\r\n").await.status, 200);
        }
        let mut third = Client::new(&node).await;
        let answer = third.ask("GET /health HTTP/1.1\r\n\r\n").await;
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("2 connections"), "{}", answer.text());
        assert!(third.sees_the_end().await);
        drop(second);
        until(&node, "http_connections", 1.0).await;
        assert_eq!(get(&node, "/health", "").await.status, 200);
        node.shutdown().await;
    })
    .await;
}

/// More bytes than the system holds for a client.
const LARGE: usize = 32 << 20;

/// A node where the head of a request has less time than a response.
async fn hasty() -> Node {
    let http = HttpLimits {
        head_timeout: Duration::from_millis(100),
        write_timeout: Duration::from_secs(1),
        ..HttpLimits::default()
    };
    let node = Node::bind(NodeConfig { http, ..NodeConfig::default() }).await.unwrap();
    node.spawn("master", make(mpsc::channel(10).0), |all| {
        all.route("/slow", "takes its time", |_| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            HttpResponse::text(StatusCode::OK, "at last")
        });
        all.route("/never", "does not answer", |_| std::future::pending());
        all.route("/large", "a large answer", |_| async {
            HttpResponse::new(StatusCode::OK, "text/plain", vec![b'x'; LARGE])
        });
    })
    .unwrap();
    node
}

#[tokio::test]
async fn a_connection_waits_for_requests_only_while_nothing_else_is_to_be_done() {
    local(async {
        let node = hasty().await;
        let mut client = Client::new(&node).await;
        for _ in 0..2 {
            assert_eq!(client.ask("GET /master/slow HTTP/1.1\r\n\r\n").await.text(), "at last");
        }
        // Nothing comes any more: no fault of anybody, and nothing to be said.
        assert!(client.sees_the_end().await);
        assert_eq!(metric(&node, "http_refused"), 0.0);
        // Who takes a large answer slowly gets all of it.
        let mut client = Client::new(&node).await;
        client.send("GET /master/large HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(client.exactly(LARGE).await.len(), LARGE);
        assert_eq!(metric(&node, "http_refused"), 0.0);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn who_does_not_take_an_answer_loses_the_connection() {
    local(async {
        let node = hasty().await;
        let mut client = Client::new(&node).await;
        client.send("GET /master/large HTTP/1.1\r\n\r\n").await;
        until(&node, "http_refused", 1.0).await;
        until(&node, "http_connections", 0.0).await;
        // Nobody is there any more when the answer comes, if it ever does.
        let mut client = Client::new(&node).await;
        client.send("GET /master/never HTTP/1.1\r\n\r\n").await;
        until(&node, "http_connections", 1.0).await;
        drop(client);
        until(&node, "http_connections", 0.0).await;
        node.shutdown().await;
    })
    .await;
}
