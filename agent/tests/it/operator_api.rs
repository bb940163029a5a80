//! The operator API: the shape of every answer, in both formats, and refusals in the recorded words.

use protocol::wire::v1::agent::Response as Answer;
use protocol::wire::{self, Format};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::pages::{busy, lacks, recorded};
use crate::world::World;

const ANSWERED: [&str; 13] = [
    "GET_AGENT",
    "GET_CONTAINERS",
    "GET_EXECUTORS",
    "GET_FLAGS",
    "GET_FRAMEWORKS",
    "GET_HEALTH",
    "GET_LOGGING_LEVEL",
    "GET_METRICS",
    "GET_OPERATIONS",
    "GET_RESOURCE_PROVIDERS",
    "GET_STATE",
    "GET_TASKS",
    "GET_VERSION",
];

fn request(kind: &str) -> String {
    let part = if kind == "GET_METRICS" { r#","get_metrics":{}"# } else { "" };
    format!(r#"{{"type":"{kind}"{part}}}"#)
}

/// What our command executors and tasks do not have.
fn ours(mut expected: Value) -> Value {
    for list in ["executors", "completed_executors"] {
        for root in ["/get_executors", "/get_state/get_executors"] {
            if let Some(info) = expected.pointer_mut(&format!("{root}/{list}/0/executor_info")) {
                info["command"] = json!({});
            }
        }
    }
    for root in ["/get_tasks", "/get_state/get_tasks"] {
        if let Some(tasks) = expected.pointer_mut(root) {
            // It was recorded between the end of the executor and the acknowledgement.
            tasks["completed_tasks"] = tasks["terminated_tasks"].take();
            tasks["terminated_tasks"] = json!([]);
        }
    }
    // The frameworks of the test ask for nothing.
    for root in ["/get_frameworks", "/get_state/get_frameworks"] {
        for list in ["frameworks", "completed_frameworks"] {
            if let Some(info) = expected.pointer_mut(&format!("{root}/{list}/0/framework_info")) {
                info.as_object_mut().unwrap().remove("capabilities");
            }
        }
    }
    expected
}

#[tokio::test]
async fn answers_have_the_shape_of_those_of_mesos() {
    let calls = async {
        let world = busy().await;
        for kind in ANSWERED {
            let answer = world.call(&request(kind)).await;
            assert_eq!(answer.header("content-type"), Some("application/json"), "{kind}");
            let missing = lacks(&ours(recorded(kind)), &answer.json(), "");
            assert_eq!(missing, [""; 0], "{kind}: {}", answer.text());
            // What is the same every time is said in the same bytes.
            if ["GET_HEALTH", "GET_OPERATIONS", "GET_RESOURCE_PROVIDERS", "GET_LOGGING_LEVEL"].contains(&kind)
            {
                let expected = serde_json::to_value(answer.json()).unwrap();
                assert_eq!(expected, recorded(kind));
            }
        }
    };
    LocalSet::new().run_until(calls).await;
}

#[tokio::test]
async fn answers_are_the_same_in_protobuf() {
    let calls = async {
        let world = busy().await;
        for kind in ANSWERED {
            let headers = [("Content-Type", "application/json"), ("Accept", "application/x-protobuf")];
            let mut client = world.client().await;
            client.send("POST", "/api/v1", &headers, request(kind).as_bytes()).await;
            let answer = client.response().await;
            assert_eq!(answer.header("content-type"), Some("application/x-protobuf"), "{kind}");
            let answer: Answer = wire::decode(Format::Protobuf, &answer.body).unwrap();
            assert_eq!(answer.r#type().as_str_name(), kind);
            if kind == "GET_STATE" {
                let state = answer.get_state.unwrap();
                let tasks = state.get_tasks.unwrap();
                assert_eq!((tasks.launched_tasks.len(), tasks.completed_tasks.len()), (1, 1));
                assert_eq!(state.get_executors.unwrap().completed_executors.len(), 1);
            }
        }
        let call = wire::v1::agent::Call { r#type: Some(1), ..Default::default() };
        let mut client = world.client().await;
        let body = wire::encode(Format::Protobuf, &call);
        client.send("POST", "/api/v1", &[("Content-Type", "application/x-protobuf")], &body).await;
        assert_eq!(client.response().await.json(), recorded("GET_HEALTH"));
    };
    LocalSet::new().run_until(calls).await;
}

#[tokio::test]
async fn what_is_refused_is_refused_in_mesos_words() {
    let calls = async {
        let world = World::registered().await;
        for (call, status, text) in [
            ("{}", 400, "Failed to validate agent::Call: Expecting 'type' to be present"),
            (r#"{"type":"UNKNOWN"}"#, 501, "501 Not Implemented."),
            (
                r#"{"type":"LIST_FILES"}"#,
                400,
                "Failed to validate agent::Call: Expecting 'list_files' to be present",
            ),
            (r#"{"type":"LIST_FILES","list_files":{"path":"/nosuch"}}"#, 404, ""),
            (
                r#"{"type":"KILL_NESTED_CONTAINER","kill_nested_container":{"container_id":{"value":"c","parent":{"value":"nosuch"}}}}"#,
                404,
                "Container 'nosuch.c' cannot be found (or is already killed)",
            ),
            (
                r#"{"type":"LAUNCH_NESTED_CONTAINER","launch_nested_container":{"container_id":{"value":"c"},"command":{"value":"true"}}}"#,
                400,
                "Failed to validate agent::Call: Expecting 'launch_nested_container.container_id.parent' to be present",
            ),
            (r#"{"type":"PRUNE_IMAGES"}"#, 501, "PRUNE_IMAGES is not implemented\n"),
        ] {
            let answer = world.call(call).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, text), "{call}");
        }
        let headers =
            [("Content-Type", "application/recordio"), ("Message-Content-Type", "application/json")];
        let mut client = world.client().await;
        client.send("POST", "/api/v1", &headers, b"21\n{\"type\":\"GET_HEALTH\"}").await;
        let answer = client.response().await;
        let text = "Streaming 'Content-Type' application/recordio is not supported for GET_HEALTH call";
        assert_eq!((answer.status, answer.text().as_str()), (415, text));
    };
    LocalSet::new().run_until(calls).await;
}

#[tokio::test]
async fn files_are_listed_and_read() {
    let calls = async {
        let world = busy().await;
        let path = "/frameworks/F1/executors/holder/runs/latest";
        let call = json!({"type": "LIST_FILES", "list_files": {"path": path}});
        let listed = world.call(&call.to_string()).await.json();
        let file = &listed["list_files"]["file_infos"][0];
        assert_eq!((&file["path"], &file["size"]), (&json!(format!("{path}/stdout")), &json!(5)));
        let call = json!({"type": "READ_FILE", "read_file": {"path": format!("{path}/stdout"), "offset": 1, "length": 3}});
        let read = world.call(&call.to_string()).await.json();
        assert_eq!(read["read_file"], json!({"size": 5, "data": "ZWxs"}));
    };
    LocalSet::new().run_until(calls).await;
}

#[tokio::test]
async fn the_log_level_is_set_for_a_while() {
    let calls = async {
        let world = World::registered().await;
        let set = r#"{"type":"SET_LOGGING_LEVEL","set_logging_level":{"level":1,"duration":{"nanoseconds":60000000000}}}"#;
        assert_eq!(world.call(set).await.status, 400, "nobody has said how");
        world.agent_node.set_log_level_hook(|_| Ok(()));
        let answer = world.call(set).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        let level = world.call(r#"{"type":"GET_LOGGING_LEVEL"}"#).await.json();
        assert_eq!(level["get_logging_level"]["level"], json!(1));
    };
    LocalSet::new().run_until(calls).await;
}

#[tokio::test]
async fn calls_that_are_not_there_yet_are_named() {
    let calls = async {
        let world = World::registered().await;
        let id = json!({"value": "c", "parent": {"value": "p"}});
        for (kind, part) in [
            ("WAIT_NESTED_CONTAINER", json!({"container_id": id})),
            ("REMOVE_NESTED_CONTAINER", json!({"container_id": id})),
            ("LAUNCH_NESTED_CONTAINER", json!({"container_id": id})),
            ("LAUNCH_NESTED_CONTAINER_SESSION", json!({"container_id": id})),
            ("ATTACH_CONTAINER_OUTPUT", json!({"container_id": id})),
            ("ATTACH_CONTAINER_INPUT", json!({})),
            ("LAUNCH_CONTAINER", json!({"container_id": id})),
            ("WAIT_CONTAINER", json!({"container_id": id})),
            ("KILL_CONTAINER", json!({"container_id": id})),
            ("REMOVE_CONTAINER", json!({"container_id": id})),
            ("REMOVE_RESOURCE_PROVIDER_CONFIG", json!({"type": "t", "name": "n"})),
            ("MARK_RESOURCE_PROVIDER_GONE", json!({"resource_provider_id": {"value": "r"}})),
        ] {
            let mut call = json!({"type": kind});
            call[kind.to_lowercase()] = part;
            let answer = world.call(&call.to_string()).await;
            assert_eq!(answer.status, 501, "{kind}: {}", answer.text());
            assert!(answer.text().starts_with(kind), "{}", answer.text());
        }
    };
    LocalSet::new().run_until(calls).await;
}

#[tokio::test]
async fn a_large_call_is_judged_as_a_small_one() {
    let calls = async {
        let world = busy().await;
        let room = " ".repeat(100 << 10);
        let answer = world.call(&format!("{room}{}", request("GET_VERSION"))).await;
        assert_eq!(answer.json(), world.call(&request("GET_VERSION")).await.json());
        let (large, small) = (world.call(&format!("{}{room}x", request("GET_VERSION"))).await, "{}x");
        assert_eq!((large.status, world.call(small).await.status), (400, 400), "{}", large.text());
    };
    LocalSet::new().run_until(calls).await;
}
