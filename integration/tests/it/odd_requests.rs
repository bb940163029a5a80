//! What a real Mesos answered to bad and odd requests, asked of Meseta.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use integration::cluster::{Cluster, ClusterConfig};
use libactor::Clock;
use serde_json::Value;

use crate::http::{Connection, Response};

const RECORDED: &str = include_str!("recorded/odd_requests.jsonl");
/// Answers that differ on purpose: the recorded program closed the connection without a word, or reset it.
const SAID_NOTHING: [(&str, u16); 5] = [
    ("http_bad_request_line", 400),
    ("http_unknown_method", 400),
    ("http_bad_content_length", 400),
    ("http_bad_percent", 400),
    ("http_huge_header_1MiB", 431),
];

#[test]
fn odd_requests_are_answered_as_by_mesos() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let master = cluster.master(0);
    let agent = agent_of(master);
    let mut failed = Vec::new();
    let rows: Vec<Value> = RECORDED.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 144);
    for row in &rows {
        let address = if row["server"] == "agent" { agent } else { master };
        if let Err(why) = replay(row, address) {
            failed.push(format!("{}: {why}", row["name"].as_str().unwrap()));
        }
    }
    assert!(failed.is_empty(), "{} of {} rows fail:\n{}", failed.len(), rows.len(), failed.join("\n"));
}

/// Where the one agent of a cluster listens; it registers within moments.
pub(crate) fn agent_of(master: SocketAddr) -> SocketAddr {
    agents_of(master, 1).remove(0)
}

/// Where the agents of a cluster listen, once that many are registered.
pub(crate) fn agents_of(master: SocketAddr, count: usize) -> Vec<SocketAddr> {
    let begin = Clock::real().now();
    loop {
        let slaves = Connection::open(master).ask("GET", "/slaves", &[], b"").json();
        let slaves = slaves["slaves"].as_array().unwrap().clone();
        if slaves.len() == count {
            let address =
                |slave: &Value| slave["pid"].as_str().unwrap().split_once('@').unwrap().1.parse().unwrap();
            return slaves.iter().map(address).collect();
        }
        assert!(
            Clock::real().now().since(begin) < crate::http::PATIENCE,
            "{count} agents register: {slaves:?}"
        );
    }
}

fn replay(row: &Value, address: SocketAddr) -> Result<(), String> {
    let name = row["name"].as_str().unwrap();
    let request: Vec<u8> = match row["request"].as_str() {
        Some(request) => request.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect(),
        None => made(name),
    };
    let request = match name {
        // The flags of this cluster are too few to be worth compressing.
        "http_accept_gzip_large" => {
            String::from_utf8(request).unwrap().replace("/flags", "/state").into_bytes()
        }
        _ => request,
    };
    let mut connection = Connection::open(address);
    connection.send(&request);
    if let Some(record) = row["record"].as_str() {
        return replay_stream(record, &mut connection);
    }
    let response = connection.response(request.starts_with(b"HEAD ")).ok_or("no answer")?;
    if let Some((_, status)) = SAID_NOTHING.iter().find(|(other, _)| *other == name) {
        let said = !response.text().trim().is_empty() || response.status == 400;
        return if response.status == *status && said { Ok(()) } else { Err(format!("{response:?}")) };
    }
    let status = row["status"].as_u64().unwrap();
    if u64::from(response.status) != status {
        return Err(format!("status {} in place of {status}: {}", response.status, response.text()));
    }
    let content_type = row["content_type"].as_str();
    if response.header("content-type") != content_type && row["body"] != "html" {
        return Err(format!("type {:?} in place of {content_type:?}", response.header("content-type")));
    }
    compare_bodies(row["body"].as_str().unwrap(), &response)?;
    if name == "http_pipelined2" {
        let second = connection.response(false).ok_or("no second answer")?;
        if second.status != 200 || !second.body.is_empty() {
            return Err(format!("the second answer is {second:?}"));
        }
    }
    if connection.is_open() != row["keeps_open"].as_bool().unwrap() {
        return Err(format!("the connection is open: {}", connection.is_open()));
    }
    Ok(())
}

/// A stream that begins with a record; one that begins with an error ends after it.
fn replay_stream(expected: &str, connection: &mut Connection) -> Result<(), String> {
    let (status, headers) = connection.head().ok_or("no answer")?;
    if status != 200 || !headers.iter().any(|(name, _)| name == "Mesos-Stream-Id") {
        return Err(format!("status {status} with {headers:?}"));
    }
    let chunk = connection.chunk().ok_or("no record")?;
    let chunk = String::from_utf8(chunk).map_err(|error| error.to_string())?;
    let record = chunk.split_once('\n').ok_or("no length")?.1;
    if expected.starts_with(r#"{"type":"ERROR""#) {
        if record != expected {
            return Err(format!("{record} in place of {expected}"));
        }
        return if connection.chunk().is_none() { Ok(()) } else { Err("the stream goes on".into()) };
    }
    let record: Value = serde_json::from_str(record).map_err(|error| error.to_string())?;
    let has = |pointer: &str| record.pointer(pointer).is_some();
    let complete = ["id", "ip", "port", "pid", "hostname", "version"]
        .iter()
        .all(|key| has(&format!("/subscribed/master_info/{key}")));
    let right = record["type"] == "SUBSCRIBED"
        && has("/subscribed/framework_id/value")
        && record["subscribed"]["heartbeat_interval_seconds"] == 15.0
        && complete;
    if right { Ok(()) } else { Err(record.to_string()) }
}

fn compare_bodies(expected: &str, response: &Response) -> Result<(), String> {
    let text = response.text();
    match expected {
        "gzip" => match response.header("content-encoding") {
            Some("gzip") if response.body.starts_with(&[0x1f, 0x8b]) => Ok(()),
            other => Err(format!("encoded as {other:?}")),
        },
        "html" if text.contains("<html") => Ok(()),
        // Two answers, of which this is the first.
        _ if expected.contains("}HTTP/1.1 ") => keys(&expected[..=expected.find('}').unwrap()], &text),
        // What a program says of itself differs: it must say no less.
        _ if expected.starts_with(r#"{"build_date""#) => keys(expected, &text),
        _ if expected.starts_with(r#"{"version""#) => {
            let shown = serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())?;
            if shown["version"].is_string() && shown["pid"].is_string() { Ok(()) } else { Err(text) }
        }
        _ if text == expected => Ok(()),
        // Long ones were cut.
        _ if expected.len() == 200 && text.starts_with(expected) => Ok(()),
        _ => Err(format!("'{text}' in place of '{expected}'")),
    }
}

/// Whether an object has all the keys that another one has. A response to HEAD has no body.
fn keys(expected: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let names = |text: &str| -> Result<BTreeSet<String>, String> {
        let object: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(object.keys().cloned().collect())
    };
    let (wanted, there) = (names(expected)?, names(text)?);
    let missing: Vec<_> = wanted.difference(&there).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("without {missing:?}: {text}")) }
}

/// Requests that are too long to be recorded.
fn made(name: &str) -> Vec<u8> {
    let get = |kilobytes: usize| {
        format!("GET /version HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(kilobytes << 10))
    };
    let post = |body: String| {
        format!(
            "POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let request = match name {
        "http_header_79KiB" => get(79),
        "http_huge_header_1MiB" => get(1024),
        "op_oversized_8MiB_json" => {
            post(format!(r#"{{"type":"GET_HEALTH","unknown":"{}"}}"#, "a".repeat(8 << 20)))
        }
        "op_deep_nesting_10000" => post("[".repeat(10_000) + &"]".repeat(10_000)),
        other => panic!("{other} has no request"),
    };
    request.into_bytes()
}
