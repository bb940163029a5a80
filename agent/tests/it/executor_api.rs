//! An executor that speaks HTTP, from its subscription to its end.

use protocol::messages::{AgentCall, AgentEvent};
use protocol::wire::v1::executor::{Event, event};
use protocol::wire::{self, Format};
use protocol::{CommandInfo, ContainerId, ExecutorInfo, TaskInfo, TaskState, Uuid};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::client::{Client, Response};
use crate::world::{World, next};

const PATH: &str = "/slave(1)/api/v1/executor";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A task of a custom executor.
fn task(name: &str) -> TaskInfo {
    let executor = ExecutorInfo::new("e", CommandInfo::shell("./run"));
    TaskInfo::with_executor(name, "S0".into(), "cpus:1;mem:64".parse().unwrap(), executor)
}

fn call(kind: &str, part: Value) -> Vec<u8> {
    let mut call = json!({"type": kind, "framework_id": {"value": "F"}, "executor_id": {"value": "e"}});
    call[kind.to_lowercase()] = part;
    call.to_string().into_bytes()
}

fn status(task: &str, state: &str, uuid: &str) -> Value {
    let task_id = json!({"value": task});
    json!({"task_id": task_id, "state": state, "uuid": uuid, "source": "SOURCE_EXECUTOR", "timestamp": 1.5})
}

/// A uuid as JSON has it, and as it is.
const UUIDS: [(&str, Uuid); 2] = [
    ("AQEBAQEBQQGBAQEBAQEBAQ==", Uuid([1, 1, 1, 1, 1, 1, 0x41, 1, 0x81, 1, 1, 1, 1, 1, 1, 1])),
    ("AgICAgICQgKCAgICAgICAg==", Uuid([2, 2, 2, 2, 2, 2, 0x42, 2, 0x82, 2, 2, 2, 2, 2, 2, 2])),
];

async fn subscribe(world: &World, part: Value, headers: &[(&str, &str)]) -> (Client, Response) {
    let mut client = world.client().await;
    client.send("POST", PATH, &[&[JSON], headers].concat(), &call("SUBSCRIBE", part)).await;
    let head = client.head().await;
    (client, head)
}

/// Sends a call that is no subscription.
async fn send(world: &World, kind: &str, part: Value) -> Response {
    let mut client = world.client().await;
    client.send("POST", PATH, &[JSON], &call(kind, part)).await;
    client.response().await
}

async fn launch(world: &mut World, container_id: &mut Option<ContainerId>) {
    *container_id = Some(world.run("F", task("T1")).await);
}

#[tokio::test]
async fn an_executor_over_http_gets_a_task_and_comes_back_after_its_connection_broke() {
    LocalSet::new().run_until(life_of_an_executor()).await;
}

async fn life_of_an_executor() {
    let mut world = World::registered().await;
    let refused = send(&world, "MESSAGE", json!({"data": ""})).await;
    assert_eq!((refused.status, refused.text().as_str()), (400, "Framework cannot be found"));
    let mut container_id = None;
    launch(&mut world, &mut container_id).await;
    let refused = send(&world, "UPDATE", json!({"status": status("T1", "TASK_RUNNING", UUIDS[0].0)})).await;
    assert_eq!((refused.status, refused.text().as_str()), (403, "Executor is not subscribed"));

    let (mut stream, head) = subscribe(&world, json!({}), &[("Connection", "close")]).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/json")));
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("mesos-stream-id"), None);
    let subscribed = stream.event().await;
    assert_eq!(subscribed["type"], "SUBSCRIBED");
    let about = &subscribed["subscribed"];
    assert_eq!(about["executor_info"]["executor_id"]["value"], "e");
    assert_eq!(about["framework_info"]["id"]["value"], "F");
    assert_eq!(about["agent_info"]["id"]["value"], "S0");
    assert_eq!(about["container_id"]["value"], container_id.as_ref().unwrap().as_str());
    let launched = stream.event().await;
    assert_eq!(
        (&launched["type"], &launched["launch"]["task"]["task_id"]["value"]),
        (&json!("LAUNCH"), &json!("T1"))
    );

    let taken = send(&world, "UPDATE", json!({"status": status("T1", "TASK_RUNNING", UUIDS[0].0)})).await;
    assert_eq!((taken.status, taken.header("content-length")), (202, Some("0")));
    let acknowledged = stream.event().await;
    assert_eq!(acknowledged["acknowledged"], json!({"task_id": {"value": "T1"}, "uuid": UUIDS[0].0}));
    let (_, AgentCall::Update(update)) = next(&mut world.master_hears).await else { panic!("an update") };
    assert_eq!((update.status.state, update.status.uuid), (TaskState::Running, Some(UUIDS[0].1)));
    let (framework_id, task_id) = ("F".into(), "T1".into());
    world.master_says(AgentEvent::Acknowledge { framework_id, task_id, uuid: UUIDS[0].1 });
    assert_eq!(send(&world, "MESSAGE", json!({"data": "aGk="})).await.status, 202);
    let (_, AgentCall::Message { data, .. }) = next(&mut world.master_hears).await else {
        panic!("a message")
    };
    assert_eq!(&data[..], b"hi");

    // The connection breaks. An update that was not acknowledged comes with the next subscription.
    drop(stream);
    let update = json!({"status": status("T1", "TASK_FINISHED", UUIDS[1].0)});
    let part = json!({"unacknowledged_updates": [update], "unacknowledged_tasks": []});
    let (mut stream, head) = subscribe(&world, part, &[]).await;
    assert_eq!(head.status, 200);
    assert_eq!(stream.event().await["type"], "SUBSCRIBED");
    assert_eq!(stream.event().await["acknowledged"]["uuid"], UUIDS[1].0);
    let (_, AgentCall::Update(update)) = next(&mut world.master_hears).await else { panic!("an update") };
    assert_eq!(update.status.state, TaskState::Finished);

    // A second subscription takes the place of the first, whose stream ends.
    let (mut second, head) = subscribe(&world, json!({}), &[("Accept", "application/x-protobuf")]).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/x-protobuf")));
    let event: Event = wire::decode(Format::Protobuf, &second.record().await).unwrap();
    assert_eq!(event.r#type(), event::Type::Subscribed);
    assert_eq!(stream.chunk().await, None);
    let message =
        AgentEvent::Message { framework_id: "F".into(), executor_id: "e".into(), data: "yes".into() };
    world.master_says(message);
    let event: Event = wire::decode(Format::Protobuf, &second.record().await).unwrap();
    assert_eq!(event.message.unwrap().data, "yes");

    // It ends: so does its stream.
    let container_id = container_id.unwrap();
    world.end(container_id).await;
    assert_eq!(second.chunk().await, None);
}

#[tokio::test]
async fn calls_that_do_not_fit_are_refused() {
    let calls = async {
        let mut world = World::registered().await;
        launch(&mut world, &mut None).await;
        let (mut client, head) = subscribe(&world, json!({}), &[("Accept", "text/html")]).await;
        assert_eq!((head.status, head.header("content-type")), (406, Some("text/plain; charset=utf-8")));
        client.send("POST", PATH, &[JSON], br#"{"type":"UPDATE"}"#).await;
        for (kind, part, status, text) in [
            ("UNKNOWN", json!({}), 501, "501 Not Implemented."),
            (
                "UPDATE",
                Value::Null,
                400,
                "Failed to validate Executor::Call: Expecting 'update' to be present",
            ),
            (
                "SUBSCRIBE",
                Value::Null,
                400,
                "Failed to validate Executor::Call: Expecting 'subscribe' to be present",
            ),
        ] {
            let answer = send(&world, kind, part).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, text), "{kind}");
        }
        let mut client = world.client().await;
        client.send("GET", PATH, &[], b"").await;
        let answer = client.response().await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
        // A stream that nothing came of is not kept.
        let body = String::from_utf8(call("SUBSCRIBE", json!({}))).unwrap().replace("\"e\"", "\"other\"");
        let mut client = world.client().await;
        client.send("POST", PATH, &[JSON], body.as_bytes()).await;
        let answer = client.response().await;
        assert_eq!((answer.status, answer.text().as_str()), (400, "Executor cannot be found"));
    };
    LocalSet::new().run_until(calls).await;
}

#[tokio::test]
async fn streams_end_with_the_agent() {
    let calls = async {
        let mut world = World::registered().await;
        launch(&mut world, &mut None).await;
        let (mut stream, _) = subscribe(&world, json!({}), &[]).await;
        assert_eq!(stream.event().await["type"], "SUBSCRIBED");
        assert_eq!(stream.event().await["type"], "LAUNCH");
        world.agent_node.stop("slave(1)");
        assert_eq!(stream.chunk().await, None);
        let answer = send(&world, "MESSAGE", json!({"data": ""})).await;
        assert_eq!(answer.status, 404, "its routes are gone");
    };
    LocalSet::new().run_until(calls).await;
}
