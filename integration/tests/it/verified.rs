//! What was observed of a real Mesos 1.11 with two agents: each row asked of Meseta, each failing row printed.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use integration::cluster::{Cluster, ClusterConfig};
use libactor::Clock;
use serde_json::{Value, json};

use crate::http::{Connection, Events, Response, Scheduler};
use crate::odd_requests::agents_of;

const SCHEDULER: &str = "/api/v1/scheduler";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A row: what is asked, and the test of it.
type Row = (&'static str, fn(SocketAddr));

const ROWS: [Row; 26] = [
    ("GET of the scheduler API", method),
    ("content types that are none", content_types),
    ("bodies that are none", bodies),
    ("an answer that can't be made", accept),
    ("a subscription with a stream id", subscription_with_stream_id),
    ("calls of an unknown framework, and on another stream", wrong_identities),
    ("an invalid role", invalid_role),
    ("a subscription's headers and heartbeats", subscription),
    ("an offer's fields", offer_fields),
    ("offered again 5 s after a decline", declined),
    ("offered again in the next batch after a decline for no time", declined_for_nothing),
    ("offered at once after a revival", revived),
    ("acceptance of a bogus offer", bogus_offer),
    ("acceptance over two agents", two_agents),
    ("a task with a foreign allocation role", foreign_role),
    ("reconciliation of unknown tasks", reconciliation),
    ("kill of an unknown task", unknown_kill),
    ("updates of a framework", update_framework),
    ("a second subscription", failover),
    ("the end of a framework without failover timeout", disconnected),
    ("redirection on the leader", redirect),
    ("paths that lead upwards, and unknown processes", paths),
    ("messages to actors", actor_messages),
    ("jsonp", jsonp),
    ("quota on a nested role", nested_quota),
    ("weights", weights),
];

#[test]
fn what_was_observed_of_mesos_holds() {
    let rows =
        ROWS.iter().chain(&[("gzip", gzip as fn(SocketAddr)), ("a limit that is no number", tasks_limit)]);
    let mut failed = Vec::new();
    for (name, row) in rows {
        // Each on a cluster of its own: what one leaves behind is not the next one's concern.
        let cluster = Cluster::start(ClusterConfig { agents: 2, ..ClusterConfig::default() }).unwrap();
        agents_of(cluster.master(0), 2);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| row(cluster.master(0)))) {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            failed.push(format!("{name}: {}", text.unwrap_or_default()));
        }
    }
    assert!(failed.is_empty(), "{} rows fail:\n{}", failed.len(), failed.join("\n"));
}

fn framework() -> Value {
    json!({ "user": "root", "name": "verified", "roles": ["sem"], "capabilities": [{ "type": "MULTI_ROLE" }, { "type": "PARTITION_AWARE" }] })
}

fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    Connection::open(address).ask("POST", path, headers, body.as_bytes())
}

fn is(response: &Response, status: u16, text: &str) {
    assert_eq!((response.status, response.text().as_str()), (status, text));
}

fn method(master: SocketAddr) {
    let response = Connection::open(master).ask("GET", SCHEDULER, &[], b"");
    is(&response, 405, "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.");
    assert_eq!(response.header("allow"), Some("POST"));
}

fn content_types(master: SocketAddr) {
    is(&post(master, SCHEDULER, &[], "{}"), 400, "Expecting 'Content-Type' to be present");
    let text = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    is(&post(master, SCHEDULER, &[("Content-Type", "text/plain")], "{}"), 415, text);
}

fn bodies(master: SocketAddr) {
    let response = post(master, SCHEDULER, &[JSON], "{");
    assert_eq!(response.status, 400);
    assert!(response.text().starts_with("Failed to parse body into JSON: "), "{response:?}");
    let call = r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"n"}}}"#;
    let text =
        "Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.user";
    is(&post(master, SCHEDULER, &[JSON], call), 400, text);
}

fn subscribe_call(framework: &Value) -> Value {
    json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": framework } })
}

fn accept(master: SocketAddr) {
    let text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    let call = subscribe_call(&framework()).to_string();
    is(&post(master, SCHEDULER, &[JSON, ("Accept", "foo")], &call), 406, text);
}

fn subscription_with_stream_id(master: SocketAddr) {
    let call = subscribe_call(&framework()).to_string();
    let response = post(master, SCHEDULER, &[JSON, ("Mesos-Stream-Id", "zzz")], &call);
    is(&response, 400, "Subscribe calls should not include the 'Mesos-Stream-Id' header");
}

fn wrong_identities(master: SocketAddr) {
    let scheduler = Scheduler::subscribe(master, framework());
    let revive = || json!({ "type": "REVIVE" });
    is(&scheduler.call_as("nobody", Some(&scheduler.stream_id), revive()), 400, "Framework cannot be found");
    let response = scheduler.call_as(&scheduler.id, Some("zzz"), revive());
    assert_eq!(response.status, 400);
    let text = "The stream ID 'zzz' included in this request didn't match the stream ID currently associated with framework ID ";
    assert!(response.text().starts_with(text) && response.text().contains(&scheduler.id), "{response:?}");
    assert_eq!(scheduler.call_as(&scheduler.id, None, revive()).status, 400);
    scheduler.accepted(revive());
}

fn invalid_role(master: SocketAddr) {
    let framework = json!({ "user": "root", "name": "n", "role": "/bad" });
    let mut events = Events::subscribe(master, SCHEDULER, &subscribe_call(&framework)).expect("a stream");
    let message = "'FrameworkInfo.role' is not a valid role: Role '/bad' cannot start with a slash";
    assert_eq!(events.next(), Some(json!({ "type": "ERROR", "error": { "message": message } })));
    assert_eq!(events.next(), None);
}

fn subscription(master: SocketAddr) {
    let mut events = Events::subscribe(master, SCHEDULER, &subscribe_call(&framework())).expect("a stream");
    let names: Vec<String> = events.headers.iter().map(|(name, _)| name.clone()).collect();
    for name in ["Date", "Transfer-Encoding", "Mesos-Stream-Id", "Content-Type"] {
        assert!(names.iter().any(|other| other == name), "no {name} among {names:?}");
    }
    assert!(!names.iter().any(|name| name == "Content-Encoding"), "{names:?}");
    assert_eq!(events.header("content-type"), Some("application/json"));
    assert_eq!(events.header("mesos-stream-id").map(str::len), Some(36));
    let subscribed = events.next().expect("an event");
    assert_eq!(subscribed["type"], "SUBSCRIBED");
    assert_eq!(subscribed["subscribed"]["heartbeat_interval_seconds"], 15.0);
    let info = &subscribed["subscribed"]["master_info"];
    assert_eq!(info["pid"], format!("master@{master}"));
    assert_eq!((&info["ip"], &info["port"]), (&json!(16_777_343), &json!(master.port())));
    assert_eq!(events.next(), Some(json!({ "type": "HEARTBEAT" })));
    let begin = Clock::real().now();
    events.wait_for("HEARTBEAT");
    let apart = Clock::real().now().since(begin).as_secs_f64();
    assert!((14.5..16.0).contains(&apart), "heartbeats are {apart} s apart");
}

fn offer_fields(master: SocketAddr) {
    let mut scheduler = Scheduler::subscribe(master, framework());
    let offer = scheduler.offers().remove(0);
    let names: Vec<&str> = offer.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["agent_id", "allocation_info", "framework_id", "hostname", "id", "resources", "url"],
        "{offer}"
    );
    assert_eq!(offer["allocation_info"]["role"], "sem");
    assert_eq!(offer["url"]["path"], "/slave(1)");
    let cpus = offer["resources"].as_array().expect("resources").iter().find(|one| one["name"] == "cpus");
    let cpus = cpus.expect("there are cpus");
    assert_eq!(
        (&cpus["type"], &cpus["role"], &cpus["scalar"]["value"]),
        (&json!("SCALAR"), &json!("*"), &json!(4.0))
    );
}

/// All offers, declined: how long until one of them is made again.
fn offered_again(scheduler: &mut Scheduler, filters: Option<f64>) -> Duration {
    let mut offers = scheduler.offers();
    while offers.len() < 2 {
        offers.extend(scheduler.offers());
    }
    let ids: Vec<Value> = offers.iter().map(|offer| offer["id"].clone()).collect();
    let mut decline = json!({ "offer_ids": ids });
    if let Some(seconds) = filters {
        decline["filters"] = json!({ "refuse_seconds": seconds });
    }
    scheduler.accepted(json!({ "type": "DECLINE", "decline": decline }));
    let begin = Clock::real().now();
    if filters.is_none_or(|seconds| seconds < 10.0) {
        scheduler.offers();
    }
    Clock::real().now().since(begin)
}

fn declined(master: SocketAddr) {
    let took = offered_again(&mut Scheduler::subscribe(master, framework()), None);
    assert!((4.8..7.0).contains(&took.as_secs_f64()), "{took:?}");
}

fn declined_for_nothing(master: SocketAddr) {
    let took = offered_again(&mut Scheduler::subscribe(master, framework()), Some(0.0));
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

fn revived(master: SocketAddr) {
    let mut scheduler = Scheduler::subscribe(master, framework());
    offered_again(&mut scheduler, Some(1000.0));
    let quiet = scheduler.events.within(Duration::from_millis(1500));
    assert!(quiet.as_ref().is_none_or(|event| event["type"] != "OFFERS"), "{quiet:?}");
    scheduler.accepted(json!({ "type": "REVIVE" }));
    let begin = Clock::real().now();
    scheduler.offers();
    assert!(
        Clock::real().now().since(begin) < Duration::from_millis(500),
        "{:?}",
        Clock::real().now().since(begin)
    );
}

fn resources(role: Option<&str>) -> Value {
    let mut cpus = json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": 0.1 } });
    let mem = json!({ "name": "mem", "type": "SCALAR", "scalar": { "value": 32 } });
    if let Some(role) = role {
        cpus["allocation_info"] = json!({ "role": role });
    }
    json!([cpus, mem])
}

fn launch(offer_ids: &[Value], task_id: &str, agent_id: &Value, resources: &Value) -> Value {
    let task = json!({ "name": "t", "task_id": { "value": task_id }, "agent_id": agent_id, "resources": resources, "command": { "value": "true" } });
    let operations = json!([{ "type": "LAUNCH", "launch": { "task_infos": [task] } }]);
    json!({ "type": "ACCEPT", "accept": { "offer_ids": offer_ids, "operations": operations } })
}

fn bogus_offer(master: SocketAddr) {
    let mut scheduler = Scheduler::subscribe(master, framework());
    let agent = scheduler.offers().remove(0)["agent_id"].clone();
    scheduler.accepted(launch(&[json!({ "value": "bogus-O1" })], "t1", &agent, &resources(None)));
    let status = scheduler.update("t1");
    assert_eq!(status["state"], "TASK_DROPPED");
    assert_eq!(status["reason"], "REASON_INVALID_OFFERS");
    assert_eq!(status["source"], "SOURCE_MASTER");
    assert_eq!(status.get("uuid"), None);
    assert_eq!(status["message"], "Task launched with invalid offers: Offer bogus-O1 is no longer valid");
}

fn two_agents(master: SocketAddr) {
    let mut scheduler = Scheduler::subscribe(master, framework());
    let mut offers = scheduler.offers();
    while offers.len() < 2 {
        offers.extend(scheduler.offers());
    }
    let ids: Vec<Value> = offers.iter().map(|offer| offer["id"].clone()).collect();
    scheduler.accepted(launch(&ids, "t1", &offers[0]["agent_id"], &resources(None)));
    let status = scheduler.update("t1");
    assert_eq!(status["state"], "TASK_DROPPED");
    let message = status["message"].as_str().expect("a message");
    let text = "Aggregated offers must belong to one single agent. Offer ";
    assert!(
        message.contains(text) && message.contains(" uses agent ") && message.contains(" and agent "),
        "{message}"
    );
}

fn foreign_role(master: SocketAddr) {
    let mut scheduler = Scheduler::subscribe(master, framework());
    let offer = scheduler.offers().remove(0);
    let foreign = resources(Some("other"));
    scheduler.accepted(launch(&[offer["id"].clone()], "t1", &offer["agent_id"], &foreign));
    let status = scheduler.update("t1");
    assert_eq!((&status["state"], &status["reason"]), (&json!("TASK_ERROR"), &json!("REASON_TASK_INVALID")));
    assert_eq!(
        status["message"],
        "Invalid task resources: The resources have multiple allocation roles ('sem' and 'other') but only one allocation role is allowed"
    );
}

fn reconciliation(master: SocketAddr) {
    let mut scheduler = Scheduler::subscribe(master, framework());
    let agent = scheduler.offers().remove(0)["agent_id"].clone();
    let rows = [
        ("nowhere", None, "TASK_UNKNOWN", None),
        ("here", Some(agent), "TASK_GONE", Some("Reconciliation: Task is unknown to the agent")),
        (
            "there",
            Some(json!({ "value": "nosuch-S9" })),
            "TASK_UNKNOWN",
            Some("Reconciliation: Task is unknown"),
        ),
    ];
    for (id, agent, state, message) in rows {
        let mut task = json!({ "task_id": { "value": id } });
        if let Some(agent) = agent {
            task["agent_id"] = agent;
        }
        scheduler.accepted(json!({ "type": "RECONCILE", "reconcile": { "tasks": [task] } }));
        let status = scheduler.update(id);
        assert_eq!(
            (&status["state"], &status["reason"]),
            (&json!(state), &json!("REASON_RECONCILIATION")),
            "{status}"
        );
        assert_eq!(status.get("uuid"), None);
        if let Some(message) = message {
            assert_eq!(status["message"], message);
        }
    }
}

fn unknown_kill(master: SocketAddr) {
    let mut scheduler = Scheduler::subscribe(master, framework());
    scheduler.accepted(json!({ "type": "KILL", "kill": { "task_id": { "value": "nobody" } } }));
    let status = scheduler.update("nobody");
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("TASK_UNKNOWN"), &json!("REASON_RECONCILIATION"))
    );
}

fn update_framework(master: SocketAddr) {
    let scheduler = Scheduler::subscribe(master, framework());
    let changed = |name: &str, value: &str| {
        let mut info = framework();
        info["id"] = json!({ "value": scheduler.id });
        info[name] = json!(value);
        json!({ "type": "UPDATE_FRAMEWORK", "update_framework": { "framework_info": info } })
    };
    let text = "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'root' to 'nobody'";
    is(&scheduler.call(changed("user", "nobody")), 400, text);
    is(&scheduler.call(changed("name", "another")), 200, "");
    let frameworks = Connection::open(master).ask("GET", "/frameworks", &[], b"").json();
    assert_eq!(frameworks["frameworks"][0]["name"], "another");
}

fn failover(master: SocketAddr) {
    let mut first =
        Scheduler::subscribe(master, json!({ "user": "root", "name": "n", "failover_timeout": 60.0 }));
    let again = json!({ "user": "root", "name": "n", "failover_timeout": 60.0, "id": { "value": first.id } });
    let second = Scheduler::subscribe(master, again);
    assert_eq!(second.id, first.id);
    assert_ne!(second.stream_id, first.stream_id);
    let error = first.events.wait_for("ERROR");
    assert_eq!(error["error"]["message"], "Framework failed over");
    assert_eq!(first.events.next(), None);
    assert_eq!(first.call(json!({ "type": "REVIVE" })).status, 400);
    second.accepted(json!({ "type": "REVIVE" }));
}

fn disconnected(master: SocketAddr) {
    let scheduler = Scheduler::subscribe(master, framework());
    let id = scheduler.id.clone();
    scheduler.events.close();
    let begin = Clock::real().now();
    loop {
        let all = Connection::open(master).ask("GET", "/frameworks", &[], b"").json();
        if all["completed_frameworks"].as_array().expect("a list").iter().any(|one| one["id"] == id) {
            break;
        }
        assert!(Clock::real().now().since(begin) < Duration::from_millis(1500), "{all}");
    }
    let mut info = framework();
    info["id"] = json!({ "value": id });
    let mut call = subscribe_call(&info);
    call["framework_id"] = json!({ "value": id });
    let mut events = Events::subscribe(master, SCHEDULER, &call).expect("a stream");
    let error = events.next().expect("an event");
    assert_eq!(error, json!({ "type": "ERROR", "error": { "message": "Framework has been removed" } }));
}

fn redirect(master: SocketAddr) {
    for path in ["/redirect", "/master/redirect"] {
        let response = Connection::open(master).ask("GET", path, &[], b"");
        assert_eq!(response.status, 307);
        let location = response.header("location").expect("a location").to_owned();
        assert!(
            location.starts_with("//") && location.ends_with(&format!(":{}", master.port())),
            "{location}"
        );
    }
}

fn paths(master: SocketAddr) {
    for path in ["/master/../state", "/nosuch/state", "/nosuch"] {
        let response = Connection::open(master).ask("GET", path, &[], b"");
        is(&response, 404, "404 Not Found.");
    }
}

fn actor_messages(master: SocketAddr) {
    let from = [("Libprocess-From", "scheduler(1)@127.0.0.1:1")];
    is(&post(master, "/master/mesos.internal.Whatever", &from, ""), 202, "");
    assert_eq!(post(master, "/nobody/mesos.internal.Whatever", &from, "").status, 404);
}

fn jsonp(master: SocketAddr) {
    let response = Connection::open(master).ask("GET", "/state?jsonp=cb", &[], b"");
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/javascript")));
    let text = response.text();
    assert!(text.starts_with("cb({") && text.ends_with("})"), "{text}");
}

fn nested_quota(master: SocketAddr) {
    let config = json!({ "role": "a/b", "limits": { "cpus": { "value": 1.0 } } });
    let call = json!({ "type": "UPDATE_QUOTA", "update_quota": { "quota_configs": [config] } });
    let response = post(master, "/api/v1", &[JSON], &call.to_string());
    is(&response, 400, "Updating quota on nested role 'a/b' is not supported yet");
}

fn weights(master: SocketAddr) {
    let body = r#"[{"role":"r1","weight":2.5}]"#;
    let response = Connection::open(master).ask("PUT", "/weights", &[], body.as_bytes());
    assert_eq!(response.status, 200, "{response:?}");
    let response = Connection::open(master).ask("GET", "/weights", &[], b"");
    is(&response, 200, body);
}

fn gzip(master: SocketAddr) {
    let response = Connection::open(master).ask("GET", "/state", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!((response.status, response.header("content-encoding")), (200, Some("gzip")));
    assert!(response.body.starts_with(&[0x1f, 0x8b]) && response.header("content-length").is_some());
}

fn tasks_limit(master: SocketAddr) {
    assert_eq!(Connection::open(master).ask("GET", "/tasks?limit=abc", &[], b"").status, 200);
}
