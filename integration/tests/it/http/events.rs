//! Event streams of the v1 APIs: one record a chunk, each JSON.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::raw::PATIENCE;
use super::{Connection, Response};

/// How many events are shown where one that was waited for does not come.
const REMEMBERED: usize = 50;

/// The events of one stream, read by a thread of its own until the stream ends.
pub(crate) struct Events {
    pub(crate) headers: Vec<(String, String)>,
    receiver: Receiver<Value>,
    passed: VecDeque<Value>,
    socket: std::net::TcpStream,
}

impl Events {
    /// Sends a request that is to be answered by a stream; the response, if it is none.
    pub(crate) fn subscribe(address: SocketAddr, path: &str, call: &Value) -> Result<Self, Response> {
        let mut connection = Connection::open(address);
        let body = call.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Accept-Encoding: gzip\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.send(&[head.as_bytes(), body.as_bytes()].concat());
        let (status, headers) = connection.head().expect("the node answers");
        if status != 200 {
            let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
            return Err(Response { status, headers, body: connection.exactly(length) });
        }
        let socket = connection.try_clone();
        let (sender, receiver) = sync_channel(10_000);
        std::thread::spawn(move || {
            connection.wait_for_ever();
            while let Some(chunk) = connection.chunk_if_any() {
                let (length, record) =
                    chunk.split_at(chunk.iter().position(|byte| *byte == b'\n').expect("a length"));
                let length: usize = String::from_utf8_lossy(length).parse().expect("a length");
                let record = &record[1..];
                assert_eq!(record.len(), length, "a chunk is one record");
                assert!(!record.contains(&b'\n'), "a record is one line");
                if sender.send(serde_json::from_slice(record).expect("a record is JSON")).is_err() {
                    return;
                }
            }
        });
        Ok(Self { headers, receiver, passed: VecDeque::new(), socket })
    }

    /// The next event; `None` if the stream has ended.
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.receiver.recv_timeout(PATIENCE) {
            Ok(event) => {
                if self.passed.len() == REMEMBERED {
                    self.passed.pop_front();
                }
                self.passed.push_back(event.clone());
                Some(event)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing comes any more; so far: {:#?}", self.passed),
        }
    }

    /// The next event of a type; others are passed over.
    pub(crate) fn wait_for(&mut self, kind: &str) -> Value {
        self.find(|event| event["type"] == kind).unwrap_or_else(|| panic!("no {kind}: {:#?}", self.passed))
    }

    /// The next event that is as wanted.
    pub(crate) fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            let event = self.next()?;
            if wanted(&event) {
                return Some(event);
            }
        }
    }

    /// What comes within a time.
    pub(crate) fn within(&mut self, time: Duration) -> Option<Value> {
        self.receiver.recv_timeout(time).ok()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn close(&self) {
        // One that has ended needs no closing.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.close();
    }
}

/// A framework that speaks the v1 scheduler API.
pub(crate) struct Scheduler {
    address: SocketAddr,
    pub(crate) events: Events,
    pub(crate) id: String,
    pub(crate) stream_id: String,
}

const PATH: &str = "/api/v1/scheduler";

impl Scheduler {
    /// Subscribes with a `FrameworkInfo`.
    pub(crate) fn subscribe(address: SocketAddr, framework: Value) -> Self {
        let id = framework.get("id").cloned();
        let mut call = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": framework } });
        if let Some(id) = id {
            call["framework_id"] = id;
        }
        let mut events = Events::subscribe(address, PATH, &call).expect("a stream");
        let subscribed = events.wait_for("SUBSCRIBED");
        let id = subscribed["subscribed"]["framework_id"]["value"].as_str().expect("an id").to_owned();
        let stream_id = events.header("mesos-stream-id").expect("a stream has an id").to_owned();
        Self { address, events, id, stream_id }
    }

    /// Makes a call with this framework's identities.
    pub(crate) fn call(&self, call: Value) -> Response {
        self.call_as(&self.id, Some(&self.stream_id), call)
    }

    /// Makes a call with others.
    pub(crate) fn call_as(&self, id: &str, stream_id: Option<&str>, mut call: Value) -> Response {
        call["framework_id"] = json!({ "value": id });
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(stream_id.map(|stream_id| ("Mesos-Stream-Id", stream_id)));
        Connection::open(self.address).ask("POST", PATH, &headers, call.to_string().as_bytes())
    }

    /// Makes a call that is taken.
    pub(crate) fn accepted(&self, call: Value) {
        let response = self.call(call);
        assert_eq!((response.status, response.text().as_str()), (202, ""));
    }

    /// The offers of the next event that has some.
    pub(crate) fn offers(&mut self) -> Vec<Value> {
        let event = self.events.wait_for("OFFERS");
        event["offers"]["offers"].as_array().expect("offers").clone()
    }

    /// The next status of a task.
    pub(crate) fn update(&mut self, task_id: &str) -> Value {
        let of_task = |event: &Value| {
            event["type"] == "UPDATE" && event["update"]["status"]["task_id"]["value"] == task_id
        };
        let event = self.events.find(of_task).expect("an update");
        event["update"]["status"].clone()
    }

    /// Acknowledges a status, if it is to be.
    pub(crate) fn acknowledge(&self, status: &Value) {
        if let Some(uuid) = status.get("uuid") {
            let acknowledge =
                json!({ "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": uuid });
            self.accepted(json!({ "type": "ACKNOWLEDGE", "acknowledge": acknowledge }));
        }
    }

    /// Waits until a task is in a state, and acknowledges on the way.
    pub(crate) fn until(&mut self, task_id: &str, state: &str) -> Value {
        loop {
            let status = self.update(task_id);
            self.acknowledge(&status);
            if status["state"] == state {
                return status;
            }
        }
    }
}
