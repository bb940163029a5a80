//! An executor that speaks Mesos's v1 executor API, as one of another language does: events over a stream, calls beside it.
//! It names what is not acknowledged whenever it subscribes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::exit;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use protocol::{TaskState, Uuid};
use serde_json::{Value, json};

use super::own::{Reporter, Tasks};
use super::site::wait;
use crate::http::Connection;

const PATH: &str = "/api/v1/executor";
/// Between two attempts to subscribe.
const PAUSE: Duration = Duration::from_millis(100);
/// Attempts before it takes its agent for lost.
const ATTEMPTS: usize = 600;

/// What an executor is to look at.
enum Happening {
    /// From the stream of this number; `None`: it has ended.
    Event(u64, Option<Value>),
    Report(String, TaskState),
    Idle,
}

impl Reporter for SyncSender<Happening> {
    fn report(&self, task_id: &str, state: TaskState) {
        self.send(Happening::Report(task_id.to_owned(), state)).unwrap();
    }

    fn idle(&self) {
        self.send(Happening::Idle).unwrap();
    }
}

struct Session {
    address: SocketAddr,
    ids: Value,
    happenings: SyncSender<Happening>,
    /// The stream that counts, and whether it has said so.
    stream: u64,
    subscribed: bool,
    tasks: BTreeMap<String, Value>,
    /// Those that are not acknowledged, in order, and with which subscription they were named.
    updates: Vec<(Value, u64)>,
}

/// The executor's life.
pub(super) fn run(notes: &Path) {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (happenings, receiver) = sync_channel(10_000);
    let tasks = Tasks::new(happenings.clone(), notes);
    let session = Session {
        address: variable("MESOS_AGENT_ENDPOINT").parse().unwrap(),
        ids: json!({
            "framework_id": { "value": variable("MESOS_FRAMEWORK_ID") },
            "executor_id": { "value": variable("MESOS_EXECUTOR_ID") },
        }),
        happenings,
        stream: 0,
        subscribed: false,
        tasks: BTreeMap::new(),
        updates: Vec::new(),
    };
    session.run(&tasks, &receiver);
}

impl Session {
    fn run(mut self, tasks: &Tasks, happenings: &Receiver<Happening>) {
        self.subscribe();
        loop {
            match happenings.recv().unwrap() {
                Happening::Event(stream, event) if stream == self.stream => match event {
                    Some(event) => self.take(tasks, &event),
                    None => self.subscribe(),
                },
                Happening::Event(..) => {}
                Happening::Report(task_id, state) => self.report(&task_id, state),
                Happening::Idle if self.updates.is_empty() => return,
                Happening::Idle => {}
            }
        }
    }

    fn take(&mut self, tasks: &Tasks, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{event}")).to_owned();
        match event["type"].as_str().unwrap() {
            "SUBSCRIBED" => {
                self.subscribed = true;
                // What happened after the subscription was asked for.
                let stream = self.stream;
                let unsaid: Vec<Value> = self
                    .updates
                    .iter()
                    .filter(|(_, named)| *named < stream)
                    .map(|(update, _)| update.clone())
                    .collect();
                unsaid.iter().for_each(|update| self.send_update(update));
            }
            "LAUNCH" => self.launch(tasks, &event["launch"]["task"]),
            "LAUNCH_GROUP" => {
                let group = event["launch_group"]["task_group"]["tasks"].as_array().unwrap();
                group.iter().for_each(|task| self.launch(tasks, task));
            }
            "KILL" => tasks.kill(&text(&event["kill"]["task_id"]["value"])),
            "ACKNOWLEDGED" => {
                let acknowledged = &event["acknowledged"];
                self.updates.retain(|(update, _)| update["status"]["uuid"] != acknowledged["uuid"]);
                self.tasks.remove(&text(&acknowledged["task_id"]["value"]));
            }
            "MESSAGE" => {
                tasks.word();
                self.call("MESSAGE", &json!({ "data": event["message"]["data"] }));
            }
            "SHUTDOWN" => exit(0),
            "HEARTBEAT" => {}
            _ => panic!("{event}"),
        }
    }

    fn launch(&mut self, tasks: &Tasks, task: &Value) {
        let task_id = task["task_id"]["value"].as_str().unwrap();
        self.tasks.insert(task_id.to_owned(), task.clone());
        tasks.launch(task_id, task["name"].as_str().unwrap());
    }

    fn report(&mut self, task_id: &str, state: TaskState) {
        let status = json!({
            "task_id": { "value": task_id },
            "state": state.to_string(),
            "uuid": uuid(),
            "source": "SOURCE_EXECUTOR",
        });
        let update = json!({ "status": status });
        self.updates.push((update.clone(), 0));
        if self.subscribed {
            self.send_update(&update);
        }
    }

    /// What does not arrive is named with the next subscription.
    fn send_update(&self, update: &Value) {
        if let Some((status, said)) = self.call("UPDATE", update) {
            // An agent that is back may not be ready: the end of the stream is about to be seen.
            assert!(matches!(status, 202 | 503), "{update}: {status} {said}");
        }
    }

    fn body(&self, kind: &str, part: &Value) -> String {
        let mut call = self.ids.clone();
        call["type"] = json!(kind);
        call[kind.to_lowercase()] = part.clone();
        call.to_string()
    }

    fn send(&self, kind: &str, part: &Value) -> Option<(Connection, u16)> {
        let body = self.body(kind, part);
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut connection = Connection::open_if_any(self.address)?;
        connection.send(&[head.as_bytes(), body.as_bytes()].concat());
        let status = connection.head_if_any()?;
        Some((connection, status))
    }

    /// Makes a call, and gives the answer to it; `None`: there is no agent.
    fn call(&self, kind: &str, part: &Value) -> Option<(u16, String)> {
        let (mut connection, status) = self.send(kind, part)?;
        Some((status, connection.rest()))
    }

    /// Subscribes, as soon as there is an agent.
    fn subscribe(&mut self) {
        self.subscribed = false;
        self.stream += 1;
        let stream = self.stream;
        for _ in 0..ATTEMPTS {
            let updates: Vec<&Value> = self.updates.iter().map(|(update, _)| update).collect();
            let tasks: Vec<&Value> = self.tasks.values().collect();
            let part = json!({ "unacknowledged_updates": updates, "unacknowledged_tasks": tasks });
            match self.send("SUBSCRIBE", &part) {
                Some((connection, 200)) => {
                    self.updates.iter_mut().for_each(|(_, named)| *named = stream);
                    let happenings = self.happenings.clone();
                    std::thread::spawn(move || read(connection, stream, &happenings));
                    return;
                }
                None | Some((_, 503)) => wait(PAUSE),
                Some((mut connection, status)) => panic!("{status}: {}", connection.rest()),
            }
        }
        panic!("the agent does not come back");
    }
}

fn read(mut connection: Connection, stream: u64, happenings: &SyncSender<Happening>) {
    connection.wait_for_ever();
    while let Some(chunk) = connection.chunk_if_any() {
        let record = chunk.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let event = serde_json::from_slice(&chunk[record..]).unwrap();
        happenings.send(Happening::Event(stream, Some(event))).unwrap();
    }
    happenings.send(Happening::Event(stream, None)).unwrap();
}

/// A random uuid, its bytes in base64.
fn uuid() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let high = u128::from(getrandom::u64().unwrap());
    let bits = Uuid::from_random(high << 64 | u128::from(getrandom::u64().unwrap())).0;
    let bits = u128::from_be_bytes(bits);
    let whole = (0..21).map(|at| bits >> (122 - 6 * at) & 63);
    let letters = whole.chain([bits << 4 & 63]).map(|six| char::from(LETTERS[usize::try_from(six).unwrap()]));
    letters.chain("==".chars()).collect()
}
