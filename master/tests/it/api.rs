//! The HTTP APIs of a master on a real node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use master::core::MasterConfig;
use master::{GroupHandle, MasterStart, Start};
use protocol::messages::{AgentCall, AgentEvent};
use protocol::{AgentInfo, Attributes, Source, StatusUpdate, TaskState, TaskStatus, Uuid};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::client::{Exchange, Records, call, call_on, get, records};
use crate::shell::{Person, node};

const SCHEDULER: &str = "/api/v1/scheduler";
pub(crate) const OPERATOR: &str = "/api/v1";

pub(crate) fn run(watchers: usize, test: impl AsyncFnOnce(SocketAddr, GroupHandle, Person<AgentEvent>)) {
    run_as(|start| start.max_event_subscribers = watchers, test);
}

fn run_as(
    set: impl FnOnce(&mut MasterStart),
    test: impl AsyncFnOnce(SocketAddr, GroupHandle, Person<AgentEvent>),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let (here, there) = (node().await, node().await);
        here.set_delegate(master::NAME);
        let config =
            MasterConfig { allocation_interval: Duration::from_millis(20), ..MasterConfig::default() };
        let mut start = Start::alone(&here, config, 7);
        set(&mut start.master);
        let master = master::start(&here, start).expect("it starts");
        assert!(master.leads().await);
        let agent = Person::<AgentEvent>::new(&there, "slave(1)");
        test(here.address(), master, agent).await;
        there.shutdown().await;
        here.shutdown().await;
    });
}

fn subscribe() -> Value {
    json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": { "user": "u", "name": "f" } } })
}

/// A framework on a stream.
struct Scheduler {
    node: SocketAddr,
    id: Value,
    stream_id: String,
    events: Records,
}

impl Scheduler {
    async fn subscribe(node: SocketAddr) -> Self {
        let mut events = records(node, SCHEDULER, &subscribe()).await;
        let stream_id = events.exchange.header("mesos-stream-id").expect("it is there").to_owned();
        let subscribed = events.next_of("SUBSCRIBED").await;
        events.next_of("HEARTBEAT").await;
        Self { node, id: subscribed["subscribed"]["framework_id"].clone(), stream_id, events }
    }

    async fn call(&self, kind: &str, field: &str, what: Value) -> (u16, String) {
        let body = json!({ "type": kind, "framework_id": self.id, field: what });
        call_on(self.node, &self.stream_id, &body).await
    }

    /// Uses all of the next offer for tasks of these names.
    async fn launch(&mut self, names: &[String]) {
        let offers = self.events.next_of("OFFERS").await;
        let offer = &offers["offers"]["offers"][0];
        let amount =
            |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
        let task = |name: &String| {
            json!({
                "name": name, "task_id": { "value": name }, "agent_id": offer["agent_id"],
                "command": { "value": "true" }, "resources": [amount("cpus", 0.01), amount("mem", 1.0)],
            })
        };
        let tasks: Vec<_> = names.iter().map(task).collect();
        let accept = json!({
            "offer_ids": [offer["id"]],
            "operations": [{ "type": "LAUNCH", "launch": { "task_infos": tasks } }],
            "filters": { "refuse_seconds": 0.0 },
        });
        assert_eq!(self.call("ACCEPT", "accept", accept).await, (202, String::new()));
    }
}

/// Registers; the first ping is answered.
async fn register(agent: &mut Person<AgentEvent>, master: &GroupHandle) {
    let info = AgentInfo {
        hostname: "h1".to_owned(),
        port: 5051,
        resources: "cpus:64;mem:65536".parse().expect("resources"),
        attributes: Attributes::default(),
        id: None,
    };
    let call = AgentCall::Register { agent: info, version: "1".to_owned() };
    agent.me.tell(&master.pid(), call).expect("the call is sent");
    assert!(matches!(agent.next().await, AgentEvent::Registered { .. }));
    assert!(matches!(agent.next().await, AgentEvent::Ping { .. }));
    agent.me.tell(&master.pid(), AgentCall::Pong).expect("the call is sent");
}

#[test]
fn a_framework_lives_on_a_stream() {
    run(10, async |node, master, mut agent| {
        register(&mut agent, &master).await;
        let mut scheduler = Scheduler::subscribe(node).await;
        assert_eq!(scheduler.events.exchange.header("content-type"), Some("application/json"));
        assert_eq!(scheduler.events.exchange.header("transfer-encoding"), Some("chunked"));
        scheduler.launch(&["t1".to_owned()]).await;
        let AgentEvent::RunTask { framework, task, .. } = agent.next().await else { panic!("a task") };
        let mut status = TaskStatus::new(task.task_id.clone(), TaskState::Running, Source::Executor);
        status.uuid = Some(Uuid::from_random(7));
        let framework_id = framework.id.expect("it is set");
        let update = StatusUpdate { framework_id, status, latest_state: TaskState::Running };
        agent.me.tell(&master.pid(), AgentCall::Update(update)).expect("the call is sent");
        let update = loop {
            let event = scheduler.events.next().await.expect("the stream goes on");
            if event["type"] == "UPDATE" {
                break event["update"]["status"].clone();
            }
        };
        assert_eq!(update["state"], "TASK_RUNNING");
        assert_eq!(update["uuid"], "AAAAAAAAQACAAAAAAAAABw==");
        let acknowledge =
            json!({ "agent_id": update["agent_id"], "task_id": update["task_id"], "uuid": update["uuid"] });
        assert_eq!(scheduler.call("ACKNOWLEDGE", "acknowledge", acknowledge).await, (202, String::new()));
        let tasks = get(node, "/master/tasks.json?limit=x").await;
        assert_eq!(tasks["tasks"][0]["state"], "TASK_RUNNING");

        assert_eq!(scheduler.call("TEARDOWN", "", Value::Null).await, (202, String::new()));
        while let Some(event) = scheduler.events.next().await {
            assert_ne!(event["type"], "ERROR", "{event}");
        }
        let refused = scheduler.call("REVIVE", "", Value::Null).await;
        assert_eq!(refused, (400, "Framework cannot be found".to_owned()));
        let frameworks = get(node, "/frameworks").await;
        assert_eq!(frameworks["completed_frameworks"][0]["tasks"], json!([]));
        assert_eq!(frameworks["completed_frameworks"][0]["completed_tasks"][0]["id"], "t1");
    });
}

#[test]
fn the_end_of_a_connection_is_the_end_of_its_framework() {
    run(10, async |node, master, _agent| {
        let scheduler = Scheduler::subscribe(node).await;
        assert_eq!(master.snapshot().await.expect("the master runs").frameworks.len(), 1);
        drop(scheduler);
        // Without a failover timeout it is removed; there is nothing that tells of it but a look.
        while master.snapshot().await.expect("the master runs").completed_frameworks.is_empty() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_refused_subscription_is_an_event_and_the_end() {
    run(10, async |node, _master, _agent| {
        let mut body = subscribe();
        body["subscribe"]["framework_info"]["role"] = json!("/bad");
        let mut events = records(node, SCHEDULER, &body).await;
        assert!(events.exchange.header("mesos-stream-id").is_some());
        let error = events.next_of("ERROR").await;
        let expected = "'FrameworkInfo.role' is not a valid role: Role '/bad' cannot start with a slash";
        assert_eq!(error["error"]["message"], expected);
        assert_eq!(events.next().await, None);
    });
}

#[test]
fn an_older_stream_hears_of_the_failover() {
    run(10, async |node, _master, _agent| {
        let mut body = subscribe();
        body["subscribe"]["framework_info"]["failover_timeout"] = json!(100.0);
        let mut first = records(node, SCHEDULER, &body).await;
        let id = first.next_of("SUBSCRIBED").await["subscribed"]["framework_id"].clone();
        first.next_of("HEARTBEAT").await;
        body["framework_id"] = id.clone();
        body["subscribe"]["framework_info"]["id"] = id;
        let mut second = records(node, SCHEDULER, &body).await;
        second.next_of("SUBSCRIBED").await;
        assert_eq!(first.next_of("ERROR").await["error"]["message"], "Framework failed over");
        assert_eq!(first.next().await, None);
    });
}

/// What a watcher knows of tasks.
async fn follow(mut events: Records, until: usize) -> BTreeMap<String, String> {
    let first = events.next_of("SUBSCRIBED").await;
    let tasks = &first["subscribed"]["get_state"]["get_tasks"];
    let mut known = BTreeMap::new();
    let name = |id: &Value| id["value"].as_str().expect("a name").to_owned();
    for task in tasks["tasks"].as_array().expect("a list") {
        known.insert(name(&task["task_id"]), "TASK_STAGING".to_owned());
    }
    while known.len() < until {
        let event = events.next().await.expect("the stream goes on");
        if event["type"] == "TASK_ADDED" {
            let task = &event["task_added"]["task"];
            let before = known.insert(name(&task["task_id"]), task["state"].to_string());
            assert_eq!(before, None, "a task is told once: {task}");
        }
    }
    known
}

#[test]
fn watchers_miss_nothing_and_hear_nothing_twice() {
    const ROUNDS: usize = 12;
    const TASKS: usize = 40;
    run(1000, async |node, master, mut agent| {
        register(&mut agent, &master).await;
        let mut scheduler = Scheduler::subscribe(node).await;
        let mut watchers = Vec::new();
        for round in 0..ROUNDS {
            // They join while tasks are launched.
            watchers.push(tokio::task::spawn_local(async move {
                let events = records(node, OPERATOR, &json!({ "type": "SUBSCRIBE" })).await;
                follow(events, ROUNDS * TASKS).await
            }));
            let names: Vec<_> = (0..TASKS).map(|task| format!("t{round}-{task}")).collect();
            scheduler.launch(&names).await;
        }
        for watcher in watchers {
            assert_eq!(watcher.await.expect("it ends").len(), ROUNDS * TASKS);
        }
    });
}

#[test]
fn the_oldest_watcher_makes_room() {
    run(2, async |node, _master, _agent| {
        let mut watchers = Vec::new();
        for _ in 0..3 {
            let mut events = records(node, OPERATOR, &json!({ "type": "SUBSCRIBE" })).await;
            events.next_of("SUBSCRIBED").await;
            events.next_of("HEARTBEAT").await;
            watchers.push(events);
        }
        assert_eq!(watchers[0].next().await, None);
        let metrics = get(node, "/metrics/snapshot").await;
        assert_eq!(metrics["master/operator_event_stream_subscribers"], 2.0);
        let (status, _) = call(node, SCHEDULER, &json!({ "type": "SUBSCRIBE" })).await;
        assert_eq!(status, 400);
        let mut scheduler = Scheduler::subscribe(node).await;
        for watcher in &mut watchers[1..] {
            let added = watcher.next_of("FRAMEWORK_ADDED").await;
            assert_eq!(added["framework_added"]["framework"]["framework_info"]["id"], scheduler.id);
        }
        assert_eq!(
            call(
                node,
                OPERATOR,
                &json!({ "type": "TEARDOWN", "teardown": { "framework_id": scheduler.id } })
            )
            .await
            .0,
            200
        );
        assert_eq!(scheduler.events.next().await, None);
        for watcher in &mut watchers[1..] {
            watcher.next_of("FRAMEWORK_REMOVED").await;
        }
    });
}

#[test]
fn those_who_wait_for_a_page_share_it() {
    run(10, async |node, _master, _agent| {
        let ask = || Exchange::begin(node, "/state", &[], "");
        let exchanges: Vec<_> = (0..20).map(|_| tokio::task::spawn_local(ask())).collect();
        for exchange in exchanges {
            let body = exchange.await.expect("it ends").body().await;
            assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON")["version"], "1.11.0");
        }
        let metrics = get(node, "/metrics/snapshot").await;
        assert!(metrics["master/http_cache_hits"].as_f64().is_some_and(|hits| hits > 0.0));
    });
}

#[test]
fn the_log_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("master.INFO");
    std::fs::write(&log, "It began.\n").expect("it is written");
    run_as(
        |start| start.log_file = Some(log),
        async |node, _master, _agent| {
            let read = get(node, "/files/read?path=/master/log&offset=3").await;
            assert_eq!(read, json!({ "data": "began.\n", "offset": 3 }));
            let body = json!({ "type": "READ_FILE", "read_file": { "path": "/master/log", "offset": 0, "length": 2 } });
            let (status, answer) = call(node, OPERATOR, &body).await;
            let expected = json!({ "type": "READ_FILE", "read_file": { "size": 10, "data": "SXQ=" } });
            assert_eq!((status, serde_json::from_str::<Value>(&answer).expect("JSON")), (200, expected));
            let flags = get(node, "/state").await;
            assert_eq!(flags["log_dir"], folder.path().to_string_lossy().into_owned());
        },
    );
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    run(10, async |node, _master, _agent| {
        for (body, status, text) in [
            (json!({ "type": "GET_QUOTA" }), 501, "GET_QUOTA"),
            (
                json!({ "type": "UPDATE_QUOTA", "update_quota": { "quota_configs": [{ "role": "a" }] } }),
                501,
                "UPDATE_QUOTA",
            ),
            (
                json!({ "type": "UPDATE_QUOTA", "update_quota": { "quota_configs": [{ "role": "a/b" }] } }),
                400,
                "Updating quota on nested role 'a/b' is not supported yet",
            ),
            (
                json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": "x" } } }),
                400,
                "No framework found with specified ID",
            ),
            (
                json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": { "value": "x" } } }),
                404,
                "Agent 'x' not found",
            ),
            (
                json!({ "type": "DEACTIVATE_AGENT", "deactivate_agent": { "agent_id": { "value": "x" } } }),
                400,
                "Unknown agent",
            ),
            (
                json!({ "type": "REACTIVATE_AGENT", "reactivate_agent": { "agent_id": { "value": "x" } } }),
                400,
                "Agent is not deactivated",
            ),
            (
                json!({ "type": "DRAIN_AGENT", "drain_agent": { "agent_id": { "value": "x" } } }),
                400,
                "Unknown agent",
            ),
            (
                json!({ "type": "TEARDOWN" }),
                400,
                "Failed to validate master::Call: Expecting 'teardown' to be present",
            ),
            (json!({ "type": "UNKNOWN" }), 501, "501 Not Implemented."),
        ] {
            let (got, answer) = call(node, OPERATOR, &body).await;
            assert_eq!(got, status, "{body}: {answer}");
            assert!(answer.contains(text), "{body}: {answer}");
        }
    });
}

#[test]
fn operators_have_agents_not_offered() {
    run(10, async |node, master, mut agent| {
        register(&mut agent, &master).await;
        let shown = async || {
            let (_, text) = call(node, OPERATOR, &json!({ "type": "GET_AGENTS" })).await;
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            answer["get_agents"]["agents"][0].clone()
        };
        let id = shown().await["agent_info"]["id"].clone();
        for (kind, field, deactivated) in
            [("DEACTIVATE_AGENT", "deactivate_agent", true), ("REACTIVATE_AGENT", "reactivate_agent", false)]
        {
            let body = json!({ "type": kind, field: { "agent_id": id } });
            assert_eq!(call(node, OPERATOR, &body).await, (200, String::new()));
            let now = shown().await;
            assert_eq!((&now["deactivated"], &now["active"]), (&json!(deactivated), &json!(!deactivated)));
            assert_eq!(get(node, "/slaves").await["slaves"][0]["deactivated"], json!(deactivated));
        }
    });
}

#[test]
fn operators_have_agents_emptied() {
    run(10, async |node, master, mut agent| {
        register(&mut agent, &master).await;
        let ask = async |kind: &str, field: &str, what: Value| {
            call(node, OPERATOR, &json!({ "type": kind, field: what })).await
        };
        let shown = async || {
            let (_, text) = ask("GET_AGENTS", "", Value::Null).await;
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            answer["get_agents"]["agents"][0].clone()
        };
        let mut scheduler = Scheduler::subscribe(node).await;
        scheduler.launch(&["t1".to_owned()]).await;
        let AgentEvent::RunTask { framework, task, .. } = agent.next().await else { panic!("a task") };
        let id = json!({ "value": task.agent_id.as_str() });
        let negative = json!({ "agent_id": id, "max_grace_period": { "seconds": -1 } });
        let refused = ask("DRAIN_AGENT", "drain_agent", negative).await;
        assert_eq!(refused, (400, "'drain_agent.max_grace_period' must not be negative".to_owned()));
        let unknown = ask("DRAIN_AGENT", "drain_agent", json!({ "agent_id": { "value": "x" } })).await;
        assert_eq!(unknown, (400, "Unknown agent".to_owned()));
        let drain = json!({ "agent_id": id, "max_grace_period": { "seconds": 90 } });
        assert_eq!(ask("DRAIN_AGENT", "drain_agent", drain).await, (200, String::new()));
        assert_eq!(agent.next().await, AgentEvent::Drain { max_grace_period: Some(Duration::from_secs(90)) });
        let config = json!({ "max_grace_period": { "nanoseconds": 90_000_000_000_u64 }, "mark_gone": false });
        let now = shown().await;
        assert_eq!(now["drain_info"], json!({ "state": "DRAINING", "config": config }));
        assert!(now["estimated_drain_start_time"]["nanoseconds"].is_u64(), "{now}");
        assert_eq!((&now["deactivated"], &now["active"]), (&json!(true), &json!(false)));

        let mut status = TaskStatus::new(task.task_id.clone(), TaskState::Killed, Source::Executor);
        status.uuid = Some(Uuid::from_random(7));
        let update = StatusUpdate {
            framework_id: framework.id.expect("it is set"),
            status,
            latest_state: TaskState::Killed,
        };
        agent.me.tell(&master.pid(), AgentCall::Update(update)).expect("the call is sent");
        let update = loop {
            let event = scheduler.events.next().await.expect("the stream goes on");
            if event["type"] == "UPDATE" {
                break event["update"]["status"].clone();
            }
        };
        assert_eq!(shown().await["drain_info"]["state"], "DRAINING", "its end is not acknowledged");
        let acknowledge =
            json!({ "agent_id": update["agent_id"], "task_id": update["task_id"], "uuid": update["uuid"] });
        assert_eq!(scheduler.call("ACKNOWLEDGE", "acknowledge", acknowledge).await, (202, String::new()));
        assert!(matches!(agent.next().await, AgentEvent::Acknowledge { .. }));
        let drained = async || get(node, "/slaves").await["slaves"][0]["drain_info"]["state"] == "DRAINED";
        while !drained().await {
            tokio::task::yield_now().await;
        }
        let slave = get(node, "/state").await["slaves"][0].clone();
        assert!(slave["estimated_drain_start_time_seconds"].is_f64(), "{slave}");

        let reactivate = json!({ "agent_id": id });
        assert_eq!(ask("REACTIVATE_AGENT", "reactivate_agent", reactivate).await, (200, String::new()));
        assert_eq!(agent.next().await, AgentEvent::Reactivate);
        let now = shown().await;
        assert_eq!((&now["drain_info"], &now["active"]), (&Value::Null, &json!(true)));
    });
}
