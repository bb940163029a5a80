//! Bytes from anybody: each kind of nonsense closes or skips with a reason that is counted, and the node goes on.

use bytes::{BufMut, BytesMut};
use libactor::{Node, Pid};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Event, Events, local, metric, node, note, until, witness};

fn preface() -> BytesMut {
    let mut out = BytesMut::new();
    out.put_slice(b"\x93lactor\n");
    out.put_u16_le(1);
    out.put_u16_le(11);
    out.put_slice(b"127.0.0.1:9");
    out
}

fn frame(content: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u32_le(content.len() as u32);
    out.put_slice(content);
    out
}

/// Names `a` and `test.Note`, which become numbers 0 and 1. A head begins with the number of its kind.
fn names() -> BytesMut {
    let mut out = frame(b"\x00a");
    out.put_slice(&frame(b"\x00test.Note"));
    out
}

/// A message from nobody: actor, message, body.
fn tell(to: u8, message: u8, body: &[u8]) -> BytesMut {
    frame(&[&[2, 0, to, message], body].concat())
}

/// Sends bytes and says no more; waits until the node has closed its side.
async fn say(node: &Node, parts: &[&[u8]]) {
    let mut stream = TcpStream::connect(node.address()).await.unwrap();
    // The node may have closed already: it has seen enough.
    let _ = stream.write_all(&parts.concat()).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

async fn still_serves(node: &Node, pid: &Pid, events: &mut Events) {
    let other = crate::kit::node().await;
    other.send(pid, note(7)).await.unwrap();
    assert_eq!(events.recv().await, Some(Event::Note(None, 7)));
    let mut stream = TcpStream::connect(node.address()).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    other.shutdown().await;
}

#[tokio::test]
async fn every_kind_of_nonsense_has_its_counter() {
    local(async {
        let node = node().await;
        let (pid, mut events) = witness(&node, "a");
        let preface = &preface()[..];
        let names = &names()[..];
        let mut other_version = preface.to_vec();
        other_version[8] = 200;
        let many_names: Vec<u8> = frame(b"\x00name").repeat(5000);
        let many_links: Vec<u8> = (0..20_000u16)
            .flat_map(|id| frame(&[&[4, 251][..], &id.to_le_bytes(), &[0]].concat()).to_vec())
            .collect();
        let half_a_note = tell(0, 1, &[1, 200, b'x']);
        // From number 2 to number 0.
        let forged =
            [frame(b"\x00http(some-id)"), frame(&[2, 1, 2, 0, 1, 1, 6, b'n', b'o', b't', b'e', b' ', b'1'])];
        let forged = forged.concat();
        let note_and_more = tell(0, 1, b"\x01\x06note 1more");
        let cases: &[(&str, &[&[u8]])] = &[
            ("closed_bad_preface", &[b"\x00\x01\x02"]),
            ("closed_bad_preface", &[b"\x93something else"]),
            ("closed_bad_preface", &[&preface[..15]]),
            ("closed_version_mismatch", &[&other_version]),
            ("closed_oversized_frame", &[preface, &[0xff; 4]]),
            ("closed_truncated_frame", &[preface, &[9, 0, 0, 0, 1]]),
            ("closed_bad_frame", &[preface, &frame(&[99])]),
            ("closed_bad_frame", &[preface, &frame(b"")]),
            ("closed_bad_frame", &[preface, &frame(b"\x00\xff\xfe")]),
            ("closed_bad_frame", &[preface, &tell(0, 0, b"")]),
            ("closed_bad_frame", &[preface, &frame(&[7])]),
            ("closed_name_table_full", &[preface, &many_names]),
            ("closed_name_table_full", &[preface, &frame(&[&[0; 1][..], &[b'x'; 256]].concat())]),
            ("closed_too_many_links", &[preface, names, &many_links]),
            ("dropped_unknown_actor", &[preface, names, &tell(1, 1, b"")]),
            ("dropped_unknown_message", &[preface, names, &tell(0, 0, b"")]),
            ("dropped_undecodable", &[preface, names, &half_a_note]),
            ("dropped_undecodable", &[preface, names, &note_and_more]),
            ("dropped_forged_sender", &[preface, names, &forged]),
        ];
        for (counter, bytes) in cases {
            let before = metric(&node, counter);
            say(&node, bytes).await;
            until(&node, counter, before + 1.0).await;
        }
        // Skipped ones do not keep the next from its way.
        say(&node, &[preface, names, &tell(1, 1, b""), &tell(0, 1, b"\x01\x06note 1")]).await;
        assert_eq!(events.recv().await, Some(Event::Note(None, 1)));
        until(&node, "links_in", 0.0).await;
        still_serves(&node, &pid, &mut events).await;
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn nobody_passes_for_a_stream() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (_, mut events) = witness(&here, "a");
        let stream = Pid::stream("some-id", here.address());
        let refused = here.spawn(stream.name(), |_| unreachable!("it has no such name"), crate::kit::install);
        assert_eq!(refused, Err(libactor::SpawnError::BadName(stream.name().to_owned())));
        for node in [&here, &there] {
            assert_eq!(node.tell(&stream, note(1)), Err(libactor::SendError::NoSuchActor(stream.clone())));
        }
        // A link to it ends at once, without asking there.
        for stream in [stream, Pid::stream("other", "127.0.0.1:9".parse().unwrap())] {
            here.tell(&here.pid("a"), crate::kit::Order::Link(stream.clone())).unwrap();
            assert_eq!(events.recv().await, Some(Event::Exited(stream)));
        }
        assert_eq!(metric(&here, "peers"), 0.0);
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn who_says_nothing_or_half_a_preface_loses_the_connection() {
    local(async {
        let node = node().await;
        let mut silent = TcpStream::connect(node.address()).await.unwrap();
        let mut half = TcpStream::connect(node.address()).await.unwrap();
        half.write_all(b"\x93lac").await.unwrap();
        until(&node, "connections", 2.0).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        tokio::time::pause();
        tokio::time::advance(libactor::limits::FIRST_BYTE_TIMEOUT).await;
        tokio::time::resume();
        assert_eq!(silent.read(&mut [0; 9]).await.unwrap_or(0), 0);
        assert_eq!(half.read(&mut [0; 9]).await.unwrap_or(0), 0);
        assert_eq!(metric(&node, "closed_handshake_timeout"), 2.0);
        until(&node, "connections", 0.0).await;
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn connections_are_limited() {
    local(async {
        let config = libactor::NodeConfig { max_connections: 2, ..libactor::NodeConfig::default() };
        let node = Node::bind(config).await.unwrap();
        let _first = TcpStream::connect(node.address()).await.unwrap();
        let second = TcpStream::connect(node.address()).await.unwrap();
        until(&node, "connections", 2.0).await;
        let mut third = TcpStream::connect(node.address()).await.unwrap();
        assert_eq!(third.read(&mut [0; 9]).await.unwrap_or(0), 0);
        assert_eq!(metric(&node, "closed_too_many_connections"), 1.0);
        drop(second);
        until(&node, "connections", 1.0).await;
        let (pid, mut events) = witness(&node, "a");
        still_serves_one(&pid, &mut events).await;
        node.shutdown().await;
    })
    .await;
}

async fn still_serves_one(pid: &Pid, events: &mut Events) {
    let other = crate::kit::node().await;
    other.send(pid, note(7)).await.unwrap();
    assert_eq!(events.recv().await, Some(Event::Note(None, 7)));
    other.shutdown().await;
}

/// Bytes that are random, or almost right.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let frames = prop::collection::vec(
        prop_oneof![
            bytes().prop_map(|content| frame(&content).to_vec()),
            (0u8..12, bytes()).prop_map(|(kind, rest)| frame(&[&[kind], &rest[..]].concat()).to_vec()),
            (0u8..3, 0u8..3, bytes()).prop_map(|(to, message, body)| tell(to, message, &body).to_vec()),
            Just(names().to_vec()),
            bytes(),
        ],
        0..20,
    );
    prop_oneof![
        1 => bytes(),
        1 => bytes().prop_map(|bytes| [b"GET / HTTP/1.1\r\n", &bytes[..]].concat()),
        1 => (0..23usize, bytes()).prop_map(|(keep, bytes)| [&preface()[..keep], &bytes[..]].concat()),
        4 => frames.prop_map(|frames| [preface().to_vec(), names().to_vec(), frames.concat()].concat()),
    ]
}

/// Requests that are almost right.
fn almost_http() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "(GET|POST|HEAD|PUT|FOO|OPTIONS) /(a|health|metrics|help|%2e%2e|%zz|\\?jsonp=a)?[ -~]{0,20} HTTP/1\\.[01]",
        1 => "[ -~]{0,40}",
        1 => "GET http://[a-z:/\\[\\]@]{0,20} HTTP/1\\.1",
    ];
    let header = prop_oneof![
        "(Content-Length|Host|Expect|Connection|Upgrade|Accept-Encoding|User-Agent): [ -~]{0,20}",
        Just("Transfer-Encoding: chunked".to_owned()),
        Just("Content-Encoding: gzip".to_owned()),
        Just("Connection: keep-alive".to_owned()),
        Just("Expect: 100-continue".to_owned()),
        "Content-Length: [0-9]{1,20}",
        "[ -~]{0,40}",
    ];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        "([0-9a-f]{1,17}\r\n[a-z]{0,20}\r\n){0,4}(0\r\n\r\n)?".prop_map(String::into_bytes),
        Just(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03nonsense".to_vec()),
    ];
    let end = prop_oneof![9 => Just("\r\n"), 1 => "[\r\n]{0,4}".prop_map(|end| &*end.leak())];
    let request =
        (line, prop::collection::vec(header, 0..6), end, body).prop_map(|(line, headers, end, body)| {
            let head = format!(
                "{line}\r\n{}{end}",
                headers.iter().map(|one| format!("{one}\r\n")).collect::<String>()
            );
            [head.as_bytes(), &body].concat()
        });
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (prop::collection::vec(request, 1..4), changes).prop_map(|(requests, changes)| {
        let mut bytes = requests.concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len().max(1)).max(1);
            // The first byte stays a letter: HTTP it is.
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes
    })
}

#[test]
fn almost_http_is_answered_or_closed() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(30) });
    let many = prop::collection::vec(almost_http(), 1..30);
    let run = |all: Vec<Vec<u8>>| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(local(async {
            let node = node().await;
            let (pid, mut events) = witness(&node, "b");
            futures_util::future::join_all(all.iter().map(|bytes| async { say(&node, &[bytes]).await }))
                .await;
            for nothing in ["http_connections", "http_bodies_bytes", "http_streams"] {
                until(&node, nothing, 0.0).await;
            }
            still_serves(&node, &pid, &mut events).await;
            node.shutdown().await;
        }));
        Ok(())
    };
    runner.run(&many, run).unwrap();
}

#[test]
fn random_bytes_never_end_a_node() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(20) });
    let many = prop::collection::vec(nonsense(), 1..20);
    let run = |all: Vec<Vec<u8>>| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(local(async {
            let node = node().await;
            let (pid, mut events) = witness(&node, "b");
            let (_, _events) = witness(&node, "a");
            futures_util::future::join_all(all.iter().map(|bytes| async { say(&node, &[bytes]).await }))
                .await;
            still_serves(&node, &pid, &mut events).await;
            node.shutdown().await;
        }));
        Ok(())
    };
    runner.run(&many, run).unwrap();
}
