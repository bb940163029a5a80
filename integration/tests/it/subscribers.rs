//! Many subscribers, half of which stop reading: the others lose nothing.

use std::net::SocketAddr;

use integration::cluster::{Cluster, ClusterConfig};
use serde_json::{Value, json};

use crate::http::{Connection, Scheduler};

/// Half of them stop reading. `MESETA_SUBSCRIBERS` sets another number; a thousand want a release build and 4,000 open files.
const SUBSCRIBERS: usize = 60;
/// Tasks that one call asks about: as many events.
const ASKED: usize = 500;
/// Calls of each subscriber: so many events that what waits for one that does not read passes any bound.
/// `MESETA_SUBSCRIBER_CALLS` sets another number.
const CALLS: usize = 40;

#[test]
fn those_who_do_not_read_cost_the_others_nothing() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (subscribers, calls) =
        (number("MESETA_SUBSCRIBERS", SUBSCRIBERS), number("MESETA_SUBSCRIBER_CALLS", CALLS));
    let cluster = Cluster::start(ClusterConfig { agents: 0, ..ClusterConfig::default() }).unwrap();
    let master = cluster.master(0);
    let framework =
        |index: usize| json!({ "user": "root", "name": format!("f{index}"), "failover_timeout": 1000.0 });
    let stalled: Vec<Stalled> =
        (0..subscribers / 2).map(|index| Stalled::subscribe(master, &framework(index))).collect();
    let readers: Vec<Scheduler> =
        (0..subscribers / 2).map(|index| Scheduler::subscribe(master, framework(index))).collect();
    std::thread::scope(|threads| {
        for mut reader in readers {
            threads.spawn(move || {
                for call in 0..calls {
                    reader.accepted(reconcile(call));
                    for expected in (0..ASKED).map(|task| task_id(call, task)) {
                        let status = reader.events.wait_for("UPDATE")["update"]["status"].clone();
                        assert_eq!(status["task_id"]["value"], expected.as_str());
                    }
                }
            });
        }
        threads.spawn(|| {
            for call in 0..calls {
                for one in &stalled {
                    one.ask(master, call);
                }
            }
        });
    });
    let cut = cluster.master_metrics(0).unwrap()["libactor/http_streams_cut"];
    assert!(cut > 0.0, "nobody was cut: the test asked for too little");
    // It is told why before its stream ends.
    let told = stalled.into_iter().map(Stalled::last).filter(|last| last["type"] == "ERROR").count();
    assert_eq!(told as f64, cut);
}

fn task_id(call: usize, task: usize) -> String {
    format!("a-task-with-a-rather-long-name-that-nobody-knows-{call}-{task}")
}

fn reconcile(call: usize) -> Value {
    let tasks: Vec<Value> =
        (0..ASKED).map(|task| json!({ "task_id": { "value": task_id(call, task) } })).collect();
    json!({ "type": "RECONCILE", "reconcile": { "tasks": tasks } })
}

/// A subscriber that reads no more than its subscription's answer.
struct Stalled {
    connection: Connection,
    id: String,
    stream_id: String,
}

impl Stalled {
    fn subscribe(master: SocketAddr, framework: &Value) -> Self {
        let call = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": framework } }).to_string();
        let mut connection = Connection::open(master);
        let head = format!(
            "POST /api/v1/scheduler HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            call.len()
        );
        connection.send(&[head.as_bytes(), call.as_bytes()].concat());
        let (_, headers) = connection.head().expect("an answer");
        let stream_id =
            headers.into_iter().find(|(name, _)| name == "Mesos-Stream-Id").expect("a stream has an id").1;
        let subscribed = record(&connection.chunk().expect("an event"));
        let id = subscribed["subscribed"]["framework_id"]["value"].as_str().expect("an id").to_owned();
        Self { connection, id, stream_id }
    }

    /// Makes a call; refused once the stream is cut.
    fn ask(&self, master: SocketAddr, call: usize) {
        let mut call = reconcile(call);
        call["framework_id"] = json!({ "value": self.id });
        let headers = [("Content-Type", "application/json"), ("Mesos-Stream-Id", self.stream_id.as_str())];
        let response =
            Connection::open(master).ask("POST", "/api/v1/scheduler", &headers, call.to_string().as_bytes());
        assert!(matches!(response.status, 202 | 403), "{response:?}");
    }

    /// The last event before the end, or before nothing comes.
    fn last(mut self) -> Value {
        let mut last = Value::Null;
        self.connection.wait_only_a_moment();
        while let Some(chunk) = self.connection.chunk_if_any() {
            last = record(&chunk);
        }
        last
    }
}

fn record(chunk: &[u8]) -> Value {
    let begin = chunk.iter().position(|byte| *byte == b'\n').expect("a length") + 1;
    serde_json::from_slice(&chunk[begin..]).expect("JSON")
}
