//! A framework of the v1 scheduler API at work, and an operator who watches it.

use std::net::SocketAddr;

use integration::cluster::{Cluster, ClusterConfig};
use serde_json::{Value, json};

use crate::http::{Connection, Events, Response, Scheduler};
use crate::odd_requests::agent_of;

fn framework() -> Value {
    json!({ "user": "root", "name": "worker", "roles": ["web"], "failover_timeout": 1000.0, "checkpoint": true,
            "capabilities": [{ "type": "MULTI_ROLE" }, { "type": "TASK_KILLING_STATE" }] })
}

fn amounts() -> Value {
    json!([{ "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.5 } },
           { "name": "mem", "type": "SCALAR", "scalar": { "value": 64 } }])
}

fn task(offer: &Value, id: &str, command: &str) -> Value {
    json!({ "name": id, "task_id": { "value": id }, "agent_id": offer["agent_id"], "resources": amounts(),
            "command": { "value": command }, "labels": { "labels": [{ "key": "k", "value": "v" }] },
            "discovery": { "visibility": "CLUSTER", "name": "a-name", "ports": { "ports": [{ "number": 80 }] } } })
}

fn launch(offer: &Value, tasks: &[Value]) -> Value {
    json!({ "type": "ACCEPT", "accept": { "offer_ids": [offer["id"]], "filters": { "refuse_seconds": 0.0 },
            "operations": [{ "type": "LAUNCH", "launch": { "task_infos": tasks } }] } })
}

fn operator(address: SocketAddr, call: Value) -> Response {
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    Connection::open(address).ask("POST", "/api/v1", &headers, call.to_string().as_bytes())
}

#[test]
fn a_framework_runs_and_kills_tasks_and_an_operator_sees_it() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let master = cluster.master(0);
    agent_of(master);
    let mut seen = Events::subscribe(master, "/api/v1", &json!({ "type": "SUBSCRIBE" })).expect("a stream");
    let snapshot = seen.next().expect("a snapshot");
    assert_eq!(snapshot["type"], "SUBSCRIBED");
    assert_eq!(snapshot["subscribed"]["get_state"]["get_agents"]["agents"].as_array().map(Vec::len), Some(1));

    let mut scheduler = Scheduler::subscribe(master, framework());
    let added = seen.wait_for("FRAMEWORK_ADDED");
    assert_eq!(added["framework_added"]["framework"]["framework_info"]["id"]["value"], scheduler.id.as_str());
    let offer = scheduler.offers().remove(0);
    scheduler
        .accepted(launch(&offer, &[task(&offer, "ends", "exit 0"), task(&offer, "stays", "sleep 1000")]));
    let added = seen.wait_for("TASK_ADDED");
    assert_eq!(added["task_added"]["task"]["discovery"]["name"], "a-name");
    let ended = scheduler.until("ends", "TASK_FINISHED");
    assert!(
        ended["timestamp"].is_f64() && ended["container_status"]["container_id"]["value"].is_string(),
        "{ended}"
    );
    let over = |event: &Value| {
        event["type"] == "TASK_UPDATED" && event["task_updated"]["status"]["state"] == "TASK_FINISHED"
    };
    seen.find(over).expect("the end is seen");

    let kill = json!({ "task_id": { "value": "stays" }, "agent_id": offer["agent_id"] });
    scheduler.accepted(json!({ "type": "KILL", "kill": kill }));
    scheduler.until("stays", "TASK_KILLED");
    let tasks = operator(master, json!({ "type": "GET_TASKS" })).json();
    let completed = tasks["get_tasks"]["completed_tasks"].as_array().cloned().unwrap_or_default();
    assert_eq!(completed.len(), 2, "{tasks}");

    scheduler.accepted(json!({ "type": "TEARDOWN" }));
    assert_eq!(scheduler.events.find(|event| event["type"] == "ERROR"), None);
    let removed = seen.wait_for("FRAMEWORK_REMOVED");
    assert_eq!(removed["framework_removed"]["framework_info"]["id"]["value"], scheduler.id.as_str());
}

#[test]
fn an_operator_ends_a_framework_and_an_agent() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let master = cluster.master(0);
    agent_of(master);
    let mut info = framework();
    info["capabilities"] = json!([{ "type": "MULTI_ROLE" }, { "type": "PARTITION_AWARE" }]);
    let mut scheduler = Scheduler::subscribe(master, info);
    let offer = scheduler.offers().remove(0);
    scheduler.accepted(launch(&offer, &[task(&offer, "stays", "sleep 1000")]));
    scheduler.until("stays", "TASK_RUNNING");

    let response = operator(
        master,
        json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": offer["agent_id"] } }),
    );
    assert_eq!((response.status, response.text().as_str()), (200, ""));
    let lost = scheduler.update("stays");
    assert_eq!(
        (&lost["state"], &lost["reason"]),
        (&json!("TASK_GONE_BY_OPERATOR"), &json!("REASON_AGENT_REMOVED_BY_OPERATOR"))
    );
    let failure = scheduler.events.wait_for("FAILURE");
    assert_eq!(failure["failure"]["agent_id"], offer["agent_id"]);

    let framework_id = json!({ "value": scheduler.id });
    let response =
        operator(master, json!({ "type": "TEARDOWN", "teardown": { "framework_id": framework_id } }));
    assert_eq!(response.status, 200, "{response:?}");
    while scheduler.events.next().is_some() {}
    assert_eq!(scheduler.call(json!({ "type": "REVIVE" })).status, 400);
}

#[test]
fn what_is_not_built_yet_says_so() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let master = cluster.master(0);
    let agent = agent_of(master);
    for (address, calls) in [(master, ["GET_QUOTA"].as_slice()), (agent, ["PRUNE_IMAGES"].as_slice())] {
        for call in calls {
            let response = operator(address, json!({ "type": call }));
            assert_eq!(response.status, 501, "{call}: {response:?}");
            assert!(response.text().contains(call), "{response:?}");
        }
    }
}
