//! Streams that are pushed: who does not read is cut, and nobody else notices.

use std::time::Duration;

use bytes::Bytes;
use libactor::http::{HttpLimits, StatusCode, StreamCut, StreamLimits, StreamSender, stream};
use libactor::{HttpResponse, Node, NodeConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::kit::{local, make, metric, until};

const ASK: &str = "GET /a/events HTTP/1.1\r\nHost: a\r\n\r\n";

/// A node whose route hands the sending end of each stream to the test.
async fn node(http: HttpLimits, limits: StreamLimits) -> (Node, mpsc::Receiver<StreamSender>) {
    let node = Node::bind(NodeConfig { http, ..NodeConfig::default() }).await.unwrap();
    let (senders, made) = mpsc::channel(1000);
    node.spawn("a", make(mpsc::channel(1).0), |all| {
        all.route("/events", "what happens", move |_| {
            let (sender, body) = stream(limits.clone());
            senders.try_send(sender).unwrap();
            async { HttpResponse::of(StatusCode::OK, "application/json", body) }
        });
    })
    .unwrap();
    (node, made)
}

async fn plain() -> (Node, mpsc::Receiver<StreamSender>) {
    node(HttpLimits::default(), StreamLimits::default()).await
}

/// A connection that has asked, and takes little without being read from.
async fn silent(node: &Node) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(node.address()).await.unwrap();
    stream.write_all(ASK.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn what_is_pushed_once_is_one_chunk() {
    local(async {
        let (node, mut made) = plain().await;
        let mut client = Client::new(&node).await;
        client.send(ASK.replace("Host: a", "Connection: close")).await;
        let sender = made.recv().await.unwrap();
        assert_eq!(client.head().await.header("Transfer-Encoding"), Some("chunked"));
        for text in ["one", "", "two and more"] {
            sender.send(Bytes::from_static(text.as_bytes())).unwrap();
        }
        sender.send(Bytes::from(vec![b'x'; 300_000])).unwrap();
        assert_eq!(client.chunk().await.unwrap(), b"one");
        assert_eq!(client.chunk().await.unwrap(), b"two and more");
        assert_eq!(client.chunk().await.unwrap().len(), 300_000);
        sender.clone().finish(Some(Bytes::from_static(b"last")));
        sender.closed().await;
        assert_eq!(sender.send(Bytes::from_static(b"late")), Err(StreamCut::Finished));
        assert_eq!(client.chunk().await.unwrap(), b"last");
        assert_eq!(client.chunk().await, None);
        assert!(client.sees_the_end().await);
        // It ends with its last sender, too; then the connection serves on.
        let mut client = Client::new(&node).await;
        client.send(ASK).await;
        let sender = made.recv().await.unwrap();
        sender.send(Bytes::from_static(b"all")).unwrap();
        drop(sender);
        assert_eq!(client.answer().await.text(), "all");
        assert_eq!(client.ask("GET /health HTTP/1.1\r\n\r\n").await.status, 200);
        assert_eq!(metric(&node, "http_streams"), 0.0);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_its_stream_without_chunks() {
    local(async {
        let (node, mut made) = plain().await;
        let mut client = Client::new(&node).await;
        client.send("GET /a/events HTTP/1.0\r\n\r\n").await;
        let sender = made.recv().await.unwrap();
        sender.send(Bytes::from_static(b"one")).unwrap();
        assert_eq!(client.head().await.header("Transfer-Encoding"), None);
        assert_eq!(client.until(b"one").await, b"one");
        sender.finish(None);
        assert!(client.sees_the_end().await);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_an_idle_stream_is_missed_at_once() {
    local(async {
        let (node, mut made) = plain().await;
        // With nothing behind the request, with another, after a request in chunks.
        let chunks = "POST /a/events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        for request in [ASK, &format!("{ASK}GET /health HTTP/1.1\r\n\r\n"), chunks] {
            let mut client = Client::new(&node).await;
            client.send(request).await;
            let sender = made.recv().await.unwrap();
            sender.send(Bytes::from_static(b"one")).unwrap();
            client.head().await;
            client.chunk().await;
            drop(client);
            sender.closed().await;
            assert_eq!(sender.send(Bytes::from_static(b"two")), Err(StreamCut::Gone));
        }
        // Gone before there is a stream to miss it in.
        let mut client = Client::new(&node).await;
        client.send(ASK).await;
        client.stream.shutdown().await.unwrap();
        made.recv().await.unwrap().closed().await;
        until(&node, "http_streams", 0.0).await;
        assert_eq!(metric(&node, "http_streams_cut"), 0.0);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_burst_of_one_turn_cuts_nobody_who_reads() {
    local(async {
        let limits = StreamLimits { bytes: 1000, stalled: Duration::from_millis(1), last: None };
        let (node, mut made) = node(HttpLimits::default(), limits).await;
        let mut client = Client::new(&node).await;
        client.send(ASK).await;
        let sender = made.recv().await.unwrap();
        client.head().await;
        let chunk = Bytes::from(vec![b'x'; 100_000]);
        for burst in 0..3 {
            for _ in 0..200 {
                sender.send(chunk.clone()).unwrap();
            }
            // A turn that is long.
            let begun = tokio::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(5) {}
            sender.send(chunk.clone()).unwrap();
            for number in 0..201 {
                assert_eq!(client.chunk().await.map(|chunk| chunk.len()), Some(100_000), "{burst} {number}");
            }
        }
        assert_eq!(metric(&node, "http_streams_bytes"), 0.0);
        node.shutdown().await;
    })
    .await;
}

/// Pushes until the stream is cut, which takes as long as it bears with its client.
async fn cut(sender: &StreamSender) -> StreamCut {
    loop {
        if let Err(cut) = sender.send(Bytes::from(vec![b'x'; 100_000])) {
            return cut;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_cut_and_closed() {
    local(async {
        let last = Some(Bytes::from_static(b"you do not read"));
        let limits = StreamLimits { bytes: 10_000, stalled: Duration::from_millis(10), last };
        let http = HttpLimits { write_timeout: Duration::from_secs(2), ..HttpLimits::default() };
        let (node, mut made) = node(http, limits).await;
        // One of them reads again once it was cut, and learns why; the other never.
        let mut late = silent(&node).await;
        let sender = made.recv().await.unwrap();
        assert_eq!(cut(&sender).await, StreamCut::Stalled);
        sender.closed().await;
        assert_eq!(sender.send(Bytes::from_static(b"more")), Err(StreamCut::Stalled));
        let mut all = Vec::new();
        let end = b"\r\nF\r\nyou do not read\r\n0\r\n\r\n";
        while !all.ends_with(end) {
            assert!(late.read_buf(&mut all).await.unwrap() > 0);
        }
        let _never = silent(&node).await;
        assert_eq!(cut(&made.recv().await.unwrap()).await, StreamCut::Stalled);
        drop(late);
        assert_eq!(metric(&node, "http_streams_cut"), 2.0);
        until(&node, "http_connections", 0.0).await;
        assert_eq!(metric(&node, "http_streams_bytes"), 0.0);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn who_reads_loses_nothing_to_those_who_do_not() {
    const READERS: usize = 40;
    local(async {
        let limits = StreamLimits { bytes: 50_000, stalled: Duration::from_millis(20), last: None };
        let http = HttpLimits { write_timeout: Duration::from_secs(2), ..HttpLimits::default() };
        let (node, mut made) = node(http, limits).await;
        let mut senders = Vec::new();
        let mut silents = Vec::new();
        let mut readers = Vec::new();
        for _ in 0..READERS {
            silents.push(silent(&node).await);
            senders.push(made.recv().await.unwrap());
            let mut client = Client::new(&node).await;
            client.send(ASK).await;
            senders.push(made.recv().await.unwrap());
            client.head().await;
            readers.push(client);
        }
        let mut numbers = 0u32;
        while metric(&node, "http_streams_cut") < READERS as f64 {
            let mut chunk = numbers.to_be_bytes().to_vec();
            chunk.resize(100_000, b'x');
            let chunk = Bytes::from(chunk);
            senders.retain(|sender| sender.send(chunk.clone()).is_ok());
            for client in &mut readers {
                let chunk = client.chunk().await.unwrap();
                assert_eq!((&chunk[..4], chunk.len()), (&numbers.to_be_bytes()[..], 100_000));
            }
            numbers += 1;
        }
        assert_eq!(senders.len(), READERS);
        until(&node, "http_connections", READERS as f64).await;
        node.shutdown().await;
    })
    .await;
}
