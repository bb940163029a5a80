//! The older endpoints: each shows what a real Mesos agent was recorded to show, with a task that runs and one that is over.

use std::collections::BTreeSet;
use std::path::Path;

use agent::checkpoint::{Forgetful, Keeping};
use agent::containerizer::all_ended;
use agent::core::checkpoint::{AgentRecord, Change, ExecutorRecord, Record, TaskRecord};
use agent::core::{Found, Phase};
use protocol::{AgentInfo, Capability, CommandInfo, ExecutorInfo, FrameworkInfo, Task, TaskInfo, TaskState};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::world::{Finds, World};

const RECORDED: &str = include_str!("recorded/answers.json");
const METRICS: &str = include_str!("recorded/metrics.txt");

/// What a real agent answered, with lists cut to their first entry.
pub(crate) fn recorded(name: &str) -> Value {
    let all: Value = serde_json::from_str(RECORDED).unwrap();
    all[name].clone()
}

/// Where `shown` has not what `expected` has: keys, kinds of values, entries of lists.
pub(crate) fn lacks(expected: &Value, shown: &Value, at: &str) -> Vec<String> {
    match (expected, shown) {
        (Value::Object(expected), Value::Object(shown)) => expected
            .iter()
            .flat_map(|(key, value)| match shown.get(key) {
                Some(found) => lacks(value, found, &format!("{at}/{key}")),
                None => vec![format!("{at}/{key} is missing")],
            })
            .collect(),
        (Value::Array(expected), Value::Array(shown)) => match (expected.first(), shown.first()) {
            (Some(expected), Some(shown)) => lacks(expected, shown, &format!("{at}/0")),
            (Some(_), None) => vec![format!("{at} is empty")],
            (None, _) => Vec::new(),
        },
        _ if std::mem::discriminant(expected) == std::mem::discriminant(shown) => Vec::new(),
        _ => vec![format!("{at} is {shown}, not like {expected}")],
    }
}

/// An agent on which one task runs, another one's framework is over.
pub(crate) async fn busy() -> World {
    let mut world = World::registered().await;
    let over = world.run_to("F0", "t1", TaskState::Finished).await;
    world.end(over).await;
    world.until(|snapshot| !snapshot.completed_frameworks.is_empty()).await;
    world.run_to("F1", "holder", TaskState::Running).await;
    world
}

#[tokio::test]
async fn pages_show_what_those_of_mesos_show() {
    let pages = async {
        let world = busy().await;
        for path in ["/state", "/flags", "/version", "/containers", "/monitor/statistics"] {
            for path in [path.to_owned(), format!("/slave(1){path}")] {
                if path == "/version" {
                    continue; // That is the node's.
                }
                let shown = world.page(&path).await;
                assert_eq!(shown.header("content-type"), Some("application/json"), "{path}");
                let expected = recorded(path.trim_start_matches("/slave(1)"));
                assert_eq!(lacks(&expected, &shown.json(), ""), [""; 0], "{path}: {}", shown.text());
            }
        }
        let state = world.page("/state.json").await.json();
        assert_eq!(state["unreserved_resources_allocated"]["cpus"], json!(1.1));
        assert_eq!(state["master_hostname"], "127.0.0.1");
        let executor = &state["frameworks"][0]["executors"][0];
        assert_eq!(
            (&executor["resources"]["mem"], &executor["tasks"][0]["executor_id"]),
            (&json!(160.0), &json!(""))
        );
        let over = &state["completed_frameworks"][0]["completed_executors"][0];
        assert_eq!(over["completed_tasks"][0]["state"], "TASK_FINISHED");
        let health = world.page("/slave(1)/health").await;
        assert_eq!((health.status, health.body.len()), (200, 0));
        assert_eq!(world.page("/slave(1)/nothing").await.status, 404);
        let jsonp = world.page("/state?jsonp=cb").await;
        assert!(jsonp.text().starts_with("cb({"), "{}", jsonp.text());
    };
    LocalSet::new().run_until(pages).await;
}

#[tokio::test]
async fn containers_are_measured_and_found_by_their_ids() {
    let pages = async {
        let world = busy().await;
        let shown = world.page("/monitor/statistics.json").await.json();
        let statistics = &shown[0]["statistics"];
        assert_eq!((&statistics["cpus_user_time_secs"], &statistics["threads"]), (&json!(0.06), &json!(3)));
        assert_eq!(
            (&statistics["mem_limit_bytes"], &statistics["cpus_limit"], &statistics["cpus_soft_limit"]),
            (&json!(100_663_296), &json!(0.5), &json!(1.1))
        );
        assert_eq!(
            (&statistics["cpus_nr_periods"], &statistics["cpus_nr_throttled"]),
            (&json!(7), &json!(3))
        );
        let throttling = &statistics["blkio_statistics"]["throttling"][0];
        assert_eq!(throttling["io_service_bytes"][1], json!({"op": "WRITE", "value": 2}));
        assert_eq!(shown[0]["pids"], json!({"current": 4, "limit": 5, "refused": 6}));
        let containers = world.page("/containers").await.json();
        let container_id = containers[0]["container_id"].as_str().unwrap().to_owned();
        for (query, found) in [
            (format!("container_id={container_id}"), 1),
            ("container_id=nosuch".to_owned(), 0),
            ("framework_id=F1&executor_id=holder".to_owned(), 1),
            ("framework_id=F2&executor_id=holder".to_owned(), 0),
        ] {
            let shown = world.page(&format!("/containers?{query}")).await.json();
            assert_eq!(shown.as_array().unwrap().len(), found, "{query}");
        }
    };
    LocalSet::new().run_until(pages).await;
}

#[tokio::test]
async fn sandboxes_and_the_log_are_served() {
    let pages = async {
        let world = busy().await;
        let state = world.page("/state").await.json();
        let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_owned();
        let latest = format!("{}/latest", directory.rsplit_once('/').unwrap().0);
        let over = state["completed_frameworks"][0]["completed_executors"][0]["directory"].as_str().unwrap();
        let short = "/frameworks/F1/executors/holder/runs/latest";
        for root in [directory.as_str(), &latest, over, short] {
            let read = world.page(&format!("/files/read?path={root}/stdout&offset=0")).await.json();
            assert_eq!(read["data"], "hello", "{root}");
            let listed = world.page(&format!("/slave(1)/files/browse.json?path={root}")).await.json();
            assert_eq!(listed[0]["size"], json!(5), "{root}");
        }
        let log = world.page("/files/read?path=/slave/log&offset=0").await.json();
        assert_eq!(log["data"], "a line\n");
        assert_eq!(world.page("/files/read?path=/etc/passwd&offset=0").await.status, 404);
    };
    LocalSet::new().run_until(pages).await;
}

/// What an agent has kept that ran a task of one executor, since this start of the machine.
fn earlier_life(boot_id: &str) -> Keeping {
    let info = AgentInfo {
        hostname: "host".into(),
        port: 0,
        resources: "cpus:4;mem:1000".parse().unwrap(),
        attributes: Default::default(),
        id: Some("S0".into()),
    };
    let mut framework = FrameworkInfo { id: Some("F".into()), checkpoint: true, ..FrameworkInfo::new("f") };
    framework.capabilities.insert(Capability::PartitionAware);
    let executor = ExecutorRecord {
        framework_id: "F".into(),
        info: ExecutorInfo::new("e", CommandInfo::shell("")),
        command_executor: false,
        container_id: "c".into(),
        sandbox: SANDBOX.into(),
        subscribed: true,
        relaunched: false,
    };
    let resources = "cpus:1".parse().unwrap();
    let task = TaskInfo::with_executor("t", "S0".into(), resources, executor.info.clone());
    let task = Task::new("F".into(), &task, TaskState::Running);
    let mut keeping = Forgetful::open();
    for record in [
        Record::Agent(AgentRecord { info, boot_id: boot_id.to_owned() }),
        Record::Framework(framework),
        Record::Executor(executor),
        Record::Task(TaskRecord { task, info: None, group: Vec::new(), order: 0 }),
    ] {
        keeping.records.change(Change::Put(Box::new(record)));
    }
    keeping
}

const SANDBOX: &str = "slaves/S0/frameworks/F/executors/e/runs/c";

#[tokio::test]
async fn sandboxes_of_an_earlier_life_are_served() {
    let lives: Finds = |named| named.into_iter().map(|id| (id, Found::Running(7))).collect();
    let ended: Finds = all_ended;
    for finds in [lives, ended] {
        let pages = async {
            let work_dir = tempfile::tempdir().unwrap();
            let sandbox = work_dir.path().join(SANDBOX);
            std::fs::create_dir_all(&sandbox).unwrap();
            std::fs::write(sandbox.join("stdout"), "hello").unwrap();
            let world = World::after(work_dir, earlier_life("now"), finds).await;
            world.until(|snapshot| snapshot.phase > Phase::Recovering).await;
            let latest = sandbox.with_file_name("latest");
            for root in [sandbox.as_path(), &latest, Path::new("/frameworks/F/executors/e/runs/latest")] {
                let path = format!("/files/read?path={}/stdout&offset=0", root.display());
                assert_eq!(world.page(&path).await.json()["data"], "hello", "{path}");
            }
        };
        LocalSet::new().run_until(pages).await;
    }
}

#[tokio::test]
async fn tasks_that_a_reboot_has_ended_are_counted() {
    let counted = async {
        let place = tempfile::tempdir().unwrap();
        let world = World::after(place, earlier_life("before"), all_ended).await;
        world.until(|snapshot| snapshot.phase > Phase::Recovering).await;
        let shown = world.agent_node.metrics().snapshot();
        assert_eq!((shown["slave/tasks_gone"], shown["slave/tasks_error"]), (1.0, 0.0));
    };
    LocalSet::new().run_until(counted).await;
}

/// Metrics of things that are not there yet, provisioners and resource providers, and of the fetcher, which the
/// containerizer of these tests has not.
const NOT_YET: [&str; 3] =
    ["containerizer/fetcher/", "containerizer/mesos/provisioner/", "resource_provider_manager/"];

#[tokio::test]
async fn metrics_have_the_names_of_mesos() {
    let pages = async {
        let world = busy().await;
        let shown = world.page("/metrics/snapshot").await.json();
        let shown: BTreeSet<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = METRICS.lines().filter(|name| !NOT_YET.iter().any(|other| name.starts_with(other)));
        let missing: Vec<&str> = wanted.filter(|name| !shown.contains(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    };
    LocalSet::new().run_until(pages).await;
}
