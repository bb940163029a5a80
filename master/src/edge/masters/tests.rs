use std::net::SocketAddr;

use libactor::{Edge, Me, NodeConfig, ShellHandle, Time, shell};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::*;
use crate::registry::State;
use crate::replication::{NAME, Output};

/// Answers with what it was asked, in the way that the number of the master says.
struct Parrot;

impl Machine for Parrot {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, _: Time, input: Input, out: &mut Vec<Output>) {
        let Input::Ask { ask, request } = input else { return };
        let leader = Pid::new(NAME, "10.0.0.2:5050".parse().unwrap());
        let answer = match request {
            MembersRequest::Status => ReplicaAnswer::Status(Box::new(a_status())),
            MembersRequest::Registry => ReplicaAnswer::Registry(Arc::new(State::default())),
            MembersRequest::Remove { id: MemberId(2) } => ReplicaAnswer::NotLeading { leader: Some(leader) },
            MembersRequest::Remove { id: MemberId(3) } => ReplicaAnswer::NotLeading { leader: None },
            MembersRequest::Remove { id: MemberId(4) } => ReplicaAnswer::Done,
            // Never answered.
            MembersRequest::Remove { .. } => return,
            other => ReplicaAnswer::Refused(format!("{other:?}")),
        };
        out.push(Output::Answer { ask, answer });
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _: Time, _: &mut Vec<Output>) {}
}

fn a_status() -> Status {
    let master = MasterStatus {
        id: MemberId(1),
        address: "a:5050".into(),
        role: MasterRole::Leader,
        matched: Some(7),
        active: Some(true),
    };
    Status {
        cluster: None,
        id: MemberId(1),
        term: 3,
        leader: Some(MemberId(1)),
        commit: 7,
        applied: 6,
        log: (2, 8),
        snapshot: (1, 100),
        masters: vec![master],
        change: None,
    }
}

struct ParrotEdge {
    feeder: Arc<Feeder<Input>>,
    questions: Arc<Questions>,
}

impl Edge<Parrot> for ParrotEdge {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        self.feeder.open(shell.clone());
    }

    fn carry_out(&mut self, output: Output, _: &Me) {
        if let Output::Answer { ask, answer } = output {
            self.questions.answer(ask, answer);
        }
    }

    fn exited(&mut self, _: Pid) -> Option<Input> {
        None
    }

    fn stopped(&mut self, _: &Parrot) {
        self.feeder.close();
        self.questions.close();
    }
}

async fn start() -> Node {
    let node = Node::bind(NodeConfig::default()).await.unwrap();
    let feeder = Arc::<Feeder<Input>>::default();
    let questions = Arc::new(Questions::new(feeder.clone(), node.metrics().gauge("open")));
    let edge = ParrotEdge { feeder, questions: questions.clone() };
    shell::spawn(&node, NAME, Parrot, edge, |all| install(all, &questions)).unwrap();
    serve_as_registrar(&node, &questions).unwrap();
    node
}

/// Status, head in lower case, body.
async fn http(node: SocketAddr, request: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(node).await.unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn changes_are_read_put_to_the_replica_and_answered() {
    let long = format!("{{\"id\": 1, \"address\": \"{}:1\"}}", "a".repeat(301));
    let endless = format!("{{\"id\": 1{}}}", " ".repeat(MAX_BODY));
    let cases = async {
        let node = start().await;
        for (request, body, status, said) in [
            (
                "POST /masters/add",
                r#"{"id": 4, "address": "d:5050"}"#,
                409,
                r#"Add { id: MemberId(4), address: "d:5050" }"#,
            ),
            (
                "POST /masters/replace",
                r#"{"old": 1, "new": 4, "address": "[::1]:5050"}"#,
                409,
                r#"Replace { old: MemberId(1), new: MemberId(4), address: "[::1]:5050" }"#,
            ),
            ("POST /masters/transfer", r#"{"to": 2}"#, 409, "Transfer { to: Some(MemberId(2)) }"),
            ("POST /masters/transfer", "{}", 409, "Transfer { to: None }"),
            ("POST /masters/transfer", "", 409, "Transfer { to: None }"),
            ("POST /masters/remove", r#"{"id": 4}"#, 200, ""),
            ("POST /masters/remove", r#"{"id": 2}"#, 307, ""),
            ("POST /masters/remove", r#"{"id": 3}"#, 503, "No leader elected"),
            ("POST /masters/remove", r#"{"id": 0}"#, 400, "'id' can't be 0"),
            ("POST /masters/remove", r#"{"id": -1}"#, 400, "The body is not what is expected"),
            ("POST /masters/remove", r#"{"id": 1, "force": true}"#, 400, "unknown field `force`"),
            ("POST /masters/remove", "", 400, "The body is not what is expected"),
            ("POST /masters/remove", "[[[[", 400, "The body is not what is expected"),
            ("POST /masters/add", r#"{"id": 4}"#, 400, "missing field `address`"),
            ("POST /masters/add", r#"{"id": 4, "address": "d"}"#, 400, "expected host:port"),
            ("POST /masters/add", r#"{"id": 4, "address": "d:0"}"#, 400, "expected host:port"),
            ("POST /masters/add", r#"{"id": 4, "address": "d,e:1"}"#, 400, "expected host:port"),
            ("POST /masters/add", &long, 400, "expected host:port"),
            ("POST /masters/remove", &endless, 413, "longer than"),
            ("GET /masters/remove", "", 405, "Expecting one of { 'POST' }"),
            ("POST /masters/remove/4", r#"{"id": 4}"#, 404, ""),
            ("POST /masters/status", "", 405, "Expecting one of { 'GET' }"),
            ("GET /masters/nothing", "", 404, ""),
            ("DELETE /registrar(1)/registry", "", 405, "Expecting one of { 'GET' }"),
        ] {
            let (code, head, answer) = http(node.address(), request, body).await;
            assert_eq!(code, status, "{request} {body}: {answer}");
            assert!(answer.contains(said), "{request} {body}: {answer}");
            if status == 307 {
                assert!(head.contains("location: //10.0.0.2:5050/masters/remove"), "{head}");
            }
        }
        node.shutdown().await;
    };
    LocalSet::new().run_until(cases).await;
}

#[tokio::test]
async fn the_group_and_the_registry_are_shown() {
    let cases = async {
        let node = start().await;
        let (code, _, body) = http(node.address(), "GET /masters/status", "").await;
        let shown: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(code, 200);
        let expected = json!({
            "cluster": null, "id": 1, "leader": 1, "term": 3, "commit": 7, "applied": 6, "change": null,
            "log": { "first": 2, "last": 8 }, "snapshot": { "index": 1, "bytes": 100 },
            "masters": [
                { "id": 1, "address": "a:5050", "role": "leader", "matched": 7, "active": true },
            ],
        });
        assert_eq!(shown, expected);
        let mut bodies = Vec::new();
        for path in ["/masters/registry", "/registrar(1)/registry", "/registrar%281%29/registry"] {
            let (code, head, body) = http(node.address(), &format!("GET {path}"), "").await;
            assert!(code == 200 && head.contains("application/json"), "{path}: {head}");
            bodies.push(body);
        }
        let registry: Value = serde_json::from_str(&bodies[0]).unwrap();
        assert!(
            registry["meseta"].is_object() && bodies.windows(2).all(|two| two[0] == two[1]),
            "{bodies:?}"
        );
        node.shutdown().await;
    };
    LocalSet::new().run_until(cases).await;
}

#[tokio::test]
async fn who_waits_is_told_when_the_master_ends() {
    let case = async {
        let node = start().await;
        let waits = http(node.address(), "POST /masters/remove", r#"{"id": 9}"#);
        let ends = async {
            // The question is open as soon as the gauge says so.
            while node.metrics().gauge("open").value() < 1.0 {
                tokio::task::yield_now().await;
            }
            node.stop(NAME);
        };
        let ((code, _, body), ()) = tokio::join!(waits, ends);
        assert_eq!((code, body.as_str()), (503, "The master is ending"));
        node.shutdown().await;
    };
    LocalSet::new().run_until(case).await;
}
