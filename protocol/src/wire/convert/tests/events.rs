//! Events, as they go out.

use super::read;
use crate::messages::{Event, ExecutorEvent};
use crate::wire::convert::*;
use crate::{AgentInfo, Attributes, ExecutorInfo, FrameworkInfo};

#[test]
fn executors_are_told_where_they_are() {
    let mut executor = ExecutorInfo::new("e", crate::CommandInfo::argv("run", ["run"]));
    executor.framework_id = Some("f".into());
    let framework = FrameworkInfo { id: Some("f".into()), user: "root".into(), ..FrameworkInfo::new("n") };
    let agent = AgentInfo {
        hostname: "h".into(),
        port: 5051,
        resources: "cpus:4".parse().unwrap(),
        attributes: Attributes::default(),
        id: None,
    };
    let event = ExecutorEvent::Subscribed { executor, framework, agent_id: "s".into(), agent };
    let context = ExecutorEventContext { refined: false, container_id: Some("c".into()) };
    let expected = r#"{"type": "SUBSCRIBED", "subscribed": {
        "executor_info": {"executor_id": {"value": "e"}, "framework_id": {"value": "f"},
            "command": {"shell": false, "value": "run", "arguments": ["run"]}},
        "framework_info": {"user": "root", "name": "n", "id": {"value": "f"}, "failover_timeout": 0.0,
            "checkpoint": false, "role": "*"},
        "agent_info": {"hostname": "h", "port": 5051, "id": {"value": "s"},
            "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "role": "*"}]},
        "container_id": {"value": "c"}}}"#;
    assert_eq!(executor_event(&event, &context), read(expected));
    for (event, expected) in [
        (ExecutorEvent::Shutdown, r#"{"type": "SHUTDOWN"}"#),
        (ExecutorEvent::Heartbeat, r#"{"type": "HEARTBEAT"}"#),
        (ExecutorEvent::Error("why".into()), r#"{"type": "ERROR", "error": {"message": "why"}}"#),
        (ExecutorEvent::Message("hello".into()), r#"{"type": "MESSAGE", "message": {"data": "aGVsbG8="}}"#),
        (
            ExecutorEvent::Kill { task_id: "t".into(), kill_policy: None },
            r#"{"type": "KILL", "kill": {"task_id": {"value": "t"}}}"#,
        ),
        (
            ExecutorEvent::Acknowledged { task_id: "t".into(), uuid: crate::Uuid(*b"0123456789abcdef") },
            r#"{"type": "ACKNOWLEDGED", "acknowledged": {"task_id": {"value": "t"}, "uuid": "MDEyMzQ1Njc4OWFiY2RlZg=="}}"#,
        ),
        (
            ExecutorEvent::LaunchGroup(Vec::new()),
            r#"{"type": "LAUNCH_GROUP", "launch_group": {"task_group": {}}}"#,
        ),
    ] {
        assert_eq!(executor_event(&event, &context), read(expected));
    }
}

#[test]
fn schedulers_are_told_what_happens() {
    for (event, expected) in [
        (Event::Heartbeat, r#"{"type": "HEARTBEAT"}"#),
        (
            Event::Error("Framework failed over".into()),
            r#"{"type": "ERROR", "error": {"message": "Framework failed over"}}"#,
        ),
        (
            Event::Message { agent_id: "s".into(), executor_id: "e".into(), data: "hello".into() },
            r#"{"type": "MESSAGE", "message": {"agent_id": {"value": "s"}, "executor_id": {"value": "e"},
                "data": "aGVsbG8="}}"#,
        ),
        (
            Event::Failure { agent_id: "s".into(), executor_id: Some("e".into()), status: Some(137) },
            r#"{"type": "FAILURE", "failure": {"agent_id": {"value": "s"}, "executor_id": {"value": "e"},
                "status": 9}}"#,
        ),
        (
            Event::Failure { agent_id: "s".into(), executor_id: None, status: None },
            r#"{"type": "FAILURE", "failure": {"agent_id": {"value": "s"}}}"#,
        ),
        (Event::Rescind("o".into()), r#"{"type": "RESCIND", "rescind": {"offer_id": {"value": "o"}}}"#),
    ] {
        assert_eq!(scheduler_event(&event, &EventContext::default()), read(expected));
    }
}

#[test]
fn weights_are_numbers() {
    let weight = weight_to_wire(&"r".into(), 2500);
    assert_eq!((weight.weight, weight.role()), (2.5, "r"));
}
