//! HTTP on the node's own port.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libactor::http::{Method, StatusCode};
use libactor::{HttpRequest, HttpResponse, Install, Node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::kit::{Double, Witness, install, local, make, metric, node, note, until, witness};

/// Sends bytes, and reads until the node closes the connection.
async fn exchange(node: &Node, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(node.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The status and the body that a request gets.
async fn request(node: &Node, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let answer = exchange(node, text.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn get(node: &Node, path: &str) -> (u16, String) {
    request(node, "GET", path, "").await
}

fn with_routes(all: &mut Install<Witness>) {
    install(all);
    all.route("/state", "what there is", |request: HttpRequest| async move {
        HttpResponse::text(StatusCode::OK, format!("{} {} {:?}", request.path, request.rest, request.query))
    });
    all.route("/state/deep", "more", |_| async { HttpResponse::text(StatusCode::OK, "deep") });
    all.route("/echo", "says it back", |request: HttpRequest| async move {
        if request.method != Method::POST {
            return HttpResponse::empty(StatusCode::METHOD_NOT_ALLOWED).with_header("allow", "POST");
        }
        HttpResponse::new(StatusCode::ACCEPTED, "application/x-test", request.body)
    });
    all.route("/stream", "three chunks", |_| async {
        let (sender, chunks) = mpsc::channel(1);
        tokio::spawn(async move {
            for chunk in ["one ", "two ", "three"] {
                sender.send(Bytes::from_static(chunk.as_bytes())).await.unwrap();
            }
        });
        HttpResponse::stream("text/plain", chunks)
    });
}

async fn served() -> Node {
    let node = node().await;
    node.spawn("master", make(mpsc::channel(10).0), with_routes).unwrap();
    node
}

#[tokio::test]
async fn routes_are_found_by_actor_and_path() {
    local(async {
        let node = served().await;
        assert_eq!(get(&node, "/master/state?a=1%202").await, (200, "/state  {\"a\": \"1 2\"}".into()));
        assert_eq!(get(&node, "/master/state/of/things").await.1, "/state/of/things /of/things {}");
        assert_eq!(get(&node, "/master/state/deep").await.1, "deep");
        assert_eq!(get(&node, "/m%61ster/state").await.0, 200);
        let nowhere =
            ["/master/stateless", "/master", "//version", "/nobody/state", "/master/x/../state", "/state"];
        for nothing in nowhere {
            assert_eq!(get(&node, nothing).await.0, 404, "{nothing}");
        }
        node.set_delegate("master");
        assert_eq!(get(&node, "/state").await, (200, "/state  {}".into()));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn bodies_go_both_ways_whole_or_in_chunks() {
    local(async {
        let node = served().await;
        assert_eq!(request(&node, "POST", "/master/echo", "hello").await, (202, "hello".into()));
        assert_eq!(get(&node, "/master/echo").await.0, 405);
        let (status, body) = get(&node, "/master/stream").await;
        assert_eq!((status, body.as_str()), (200, "4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_learns_that_its_client_has_gone() {
    local(async {
        let node = node().await;
        let (gone, mut is_gone) = mpsc::channel(1);
        let routes = |all: &mut Install<Witness>| {
            all.route("/events", "never ends", move |_| {
                let gone = gone.clone();
                async move {
                    let (sender, chunks) = mpsc::channel(1);
                    tokio::spawn(async move {
                        sender.send(Bytes::from_static(b"hello")).await.unwrap();
                        sender.closed().await;
                        gone.send(()).await.unwrap();
                    });
                    HttpResponse::stream("text/plain", chunks)
                }
            });
        };
        node.spawn("a", make(mpsc::channel(1).0), routes).unwrap();
        let mut stream = TcpStream::connect(node.address()).await.unwrap();
        stream.write_all(b"GET /a/events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut some = [0; 16];
        stream.read_exact(&mut some).await.unwrap();
        drop(stream);
        assert_eq!(is_gone.recv().await, Some(()));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn every_node_tells_about_itself() {
    local(async {
        let node = served().await;
        let pid = node.pid("master");
        node.ask(&pid, Double(1), Duration::from_secs(9)).await.unwrap();
        let (status, help) = get(&node, "/help").await;
        assert_eq!(status, 200);
        assert!(
            help.contains("/metrics/snapshot\n") && help.contains("/master/state\n    what there is\n"),
            "{help}"
        );
        assert!(!get(&node, "/help/master").await.1.contains("/metrics"));
        assert_eq!(get(&node, "/help/nobody").await, (404, "404 Not Found.".into()));
        let processes: serde_json::Value =
            serde_json::from_str(&get(&node, "/__processes__").await.1).unwrap();
        assert_eq!(processes[0]["id"], "master");
        assert_eq!(processes[0]["handled"], 1);
        assert_eq!(processes[0]["queued"], 0);
        node.metrics().counter("master/elections").add(3);
        let snapshot: serde_json::Value =
            serde_json::from_str(&get(&node, "/metrics/snapshot").await.1).unwrap();
        assert_eq!(snapshot["master/elections"], 3.0);
        assert_eq!(snapshot["libactor/actors"], 1.0);
        assert!(
            get(&node, "/metrics").await.1.contains("# TYPE master_elections counter\nmaster_elections 3\n")
        );
        assert!(get(&node, "/version").await.1.contains("\"version\":\""));
        assert_eq!(get(&node, "/health").await, (200, String::new()));
        for method in ["POST", "OPTIONS", "PUT"] {
            assert_eq!(request(&node, method, "/health", "").await, (200, String::new()));
        }
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn the_log_level_is_changed_for_a_while() {
    local(async {
        let clock = libactor::Clock::manual(libactor::Time::default());
        let config = libactor::NodeConfig { clock: clock.clone(), ..libactor::NodeConfig::default() };
        let node = Node::bind(config).await.unwrap();
        let path = "/logging/toggle?level=debug&duration=10secs";
        assert_eq!(get(&node, path).await.0, 501);
        let levels = Arc::new(std::sync::Mutex::new(Vec::new()));
        let set = levels.clone();
        let (reset, mut is_reset) = mpsc::channel(1);
        node.set_log_level_hook(move |level| {
            if level == Some("loud") {
                return Err("'loud' is no level".into());
            }
            set.lock().unwrap().push(level.map(str::to_owned));
            if level.is_none() {
                reset.try_send(()).unwrap();
            }
            Ok(())
        });
        assert_eq!(
            get(&node, "/logging/toggle?level=loud&duration=1secs").await,
            (400, "'loud' is no level.\n".into())
        );
        assert_eq!(get(&node, "/logging/toggle").await, (200, "0\n".into()));
        assert_eq!(
            get(&node, "/logging/toggle?level=1").await,
            (400, "Expecting 'duration=value' in query.\n".into())
        );
        for bad in ["?duration=1secs", "?level=debug&duration=10", "?level=debug&duration=99weeks"] {
            assert_eq!(get(&node, &format!("/logging/toggle{bad}")).await.0, 400, "{bad}");
        }
        assert_eq!(get(&node, path).await.0, 200);
        assert_eq!(get(&node, "/logging/toggle").await, (200, "1\n".into()));
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
        is_reset.recv().await.unwrap();
        assert_eq!(node.log_level(), 0);
        node.set_log_level(9, Duration::from_secs(1)).unwrap();
        assert_eq!(node.log_level(), 9);
        node.set_log_level(0, Duration::ZERO).unwrap();
        assert_eq!(node.log_level(), 0);
        let expected = [Some("debug"), None, Some("trace"), None].map(|level| level.map(str::to_owned));
        assert_eq!(*levels.lock().unwrap(), expected);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    local(async {
        let node = served().await;
        let mut stream = TcpStream::connect(node.address()).await.unwrap();
        for _ in 0..3 {
            stream.write_all(b"GET /master/state/deep HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"deep") {
                stream.read_buf(&mut answer).await.unwrap();
            }
        }
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    local(async {
        let node = served().await;
        let mut stream = TcpStream::connect(node.address()).await.unwrap();
        let length = libactor::limits::MAX_REQUEST_BYTES + 1;
        let head = format!("POST /master/echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
        assert_eq!(metric(&node, "http_refused"), 1.0);
        node.shutdown().await;
    })
    .await;
}

/// A paused clock jumps when all wait: the deadlines of sockets pass at once, though sockets are real.
#[tokio::test]
async fn who_sends_a_head_too_slowly_loses_the_connection() {
    local(async {
        let node = served().await;
        let (pid, mut events) = witness(&node, "a");
        let mut slow = TcpStream::connect(node.address()).await.unwrap();
        slow.write_all(b"GET /master/state HTTP/1.1\r\nho").await.unwrap();
        until(&node, "http_connections", 1.0).await;
        tokio::time::pause();
        tokio::time::advance(libactor::limits::HTTP_HEAD_TIMEOUT / 2).await;
        slow.write_all(b"st: a").await.unwrap();
        tokio::time::resume();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(metric(&node, "http_refused"), 0.0);
        tokio::time::pause();
        tokio::time::advance(libactor::limits::HTTP_HEAD_TIMEOUT / 2).await;
        tokio::time::resume();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        drop(slow);
        until(&node, "http_refused", 1.0).await;
        until(&node, "http_connections", 0.0).await;
        node.tell(&pid, note(1)).unwrap();
        events.recv().await.unwrap();
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn the_pages_about_the_node_are_those_of_mesos() {
    local(async {
        let node = served().await;
        let stats: serde_json::Value =
            serde_json::from_str(&get(&node, "/system/stats.json").await.1).unwrap();
        let names: Vec<_> = stats.as_object().unwrap().keys().cloned().collect();
        let expected = [
            "avg_load_15min",
            "avg_load_1min",
            "avg_load_5min",
            "cpus_total",
            "mem_free_bytes",
            "mem_total_bytes",
        ];
        assert_eq!(names, expected);
        assert!(stats["cpus_total"].is_u64() && stats["mem_total_bytes"].is_u64());
        let bad = "Invalid timeout 'bad': Failed to convert '' to number.\n";
        assert_eq!(get(&node, "/metrics/snapshot?timeout=bad").await, (400, bad.into()));
        let (status, metrics) = get(&node, "/metrics/snapshot?timeout=1secs").await;
        assert_eq!(status, 200);
        assert!(
            metrics.contains("\"system/mem_total_bytes\":") && metrics.contains("\"libactor/actors\":1.0")
        );
        let (status, page) = get(&node, "/").await;
        assert_eq!(status, 200);
        assert!(page.contains("<a href=\"/master/state\">/master/state</a></td><td>what there is"), "{page}");
        node.shutdown().await;
    })
    .await;
}
