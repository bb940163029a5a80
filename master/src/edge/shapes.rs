//! What is shown has the shape of what a real Mesos was recorded to show: the same names in the same order, of the same
//! types. The recordings were made with one agent, a framework that had run a task and was removed, and one that runs one.

use std::collections::BTreeMap;
use std::fmt;

use libactor::{Machine, Time};
use protocol::messages::Call;
use protocol::wire::common::VersionInfo;
use protocol::wire::v1::master::{Event, Response};
use protocol::wire::{self, Format, recordio};
use protocol::{Capability, FrameworkInfo, TaskState};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::core::Change;

use super::about::About;
use super::pages::{Filter, Page, write_page};
use super::snapshot::Snapshot;
use super::testing::World;
use super::{events, operator};

/// JSON whose objects keep their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Null,
    Truth,
    Number(String),
    Text,
    List(Vec<Shape>),
    Object(Vec<(String, Shape)>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Truth)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::Number("whole".to_owned()))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Number("whole".to_owned()))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Number("with a point".to_owned()))
            }
            fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
                Ok(Shape::Text)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut shapes = Vec::new();
                while let Some(shape) = list.next_element()? {
                    shapes.push(shape);
                }
                Ok(Shape::List(shapes))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Shape::Object(fields))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Names that only we have.
const OURS: [&str; 1] = ["meseta_version"];

/// Names that nothing stands behind here: what containers are like, what agents keep across restarts, and the update of
/// an end that is acknowledged.
const THEIRS: [&str; 4] = ["container_status", "checkpoint", "flags", "status_update_uuid"];

/// Says where two shapes differ. Lists are compared by their first elements.
fn compare(place: &str, ours: &Shape, theirs: &Shape) -> Result<(), String> {
    match (ours, theirs) {
        (Shape::List(ours), Shape::List(theirs)) => match (ours.first(), theirs.first()) {
            (Some(one), Some(other)) => compare(&format!("{place}[0]"), one, other),
            (None, Some(_)) => Err(format!("{place}: is empty")),
            (Some(_), None) => Err(format!("{place}: is not empty")),
            (None, None) => Ok(()),
        },
        (Shape::Object(ours), Shape::Object(theirs)) => {
            let ours: Vec<_> = ours.iter().filter(|(name, _)| !OURS.contains(&name.as_str())).collect();
            let shown = |name: &str| !THEIRS.contains(&name) || ours.iter().any(|(own, _)| own == name);
            let theirs: Vec<_> = theirs.iter().filter(|(name, _)| shown(name)).collect();
            let names =
                |fields: &[&(String, Shape)]| fields.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
            if names(&ours) != names(&theirs) {
                return Err(format!("{place}: has {:?}, not {:?}", names(&ours), names(&theirs)));
            }
            let pairs = ours.iter().zip(&theirs).filter(|(own, _)| own.0 != "flags");
            pairs
                .clone()
                .try_for_each(|(own, other)| compare(&format!("{place}.{}", own.0), &own.1, &other.1))
        }
        (ours, theirs) if ours == theirs => Ok(()),
        (ours, theirs) => Err(format!("{place}: is {ours:?}, not {theirs:?}")),
    }
}

fn shape(json: &[u8]) -> Shape {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json)))
}

/// As when the recordings were made.
fn recorded_world() -> World {
    let mut world = World::new(1);
    let mut info = FrameworkInfo::new("mesos-execute instance");
    info.capabilities = [
        Capability::ReservationRefinement,
        Capability::TaskKillingState,
        Capability::RevocableResources,
        Capability::PartitionAware,
    ]
    .into();
    world.add_agent("cpus:64;mem:32768;disk:10240;ports:[31000-32000]");
    world.add_framework(info.clone());
    world.pass(1);
    world.launch(0, "cpus:1;mem:128", None);
    for state in [TaskState::Starting, TaskState::Running, TaskState::Finished] {
        world.update(0, 0, state);
        world.acknowledge(0);
    }
    world.calls(0, Call::Teardown);
    world.add_framework(info);
    world.pass(1);
    world.launch(1, "cpus:1;mem:128", None);
    for state in [TaskState::Starting, TaskState::Running] {
        world.update(0, 0, state);
        world.acknowledge(1);
    }
    let offer_ids = world.frameworks[1].offers.drain(..).map(|offer| offer.id).collect();
    let filters = protocol::Filters::from_seconds(1000.0);
    world.calls(1, Call::Decline { offer_ids, filters });
    world.master.check();
    world
}

fn snapshot() -> Snapshot {
    let mut world = recorded_world();
    world.mirror.snapshot(&world.master, world.now)
}

#[test]
fn pages_are_as_recorded() {
    let snapshot = snapshot();
    let about = About {
        version: VersionInfo::new("0.1.0"),
        flags: BTreeMap::new(),
        started_at: Time::default(),
        log_file: None,
    };
    let mut problems = Vec::new();
    for line in include_str!("recorded/pages.txt").lines() {
        let (name, recorded) = line.split_once(' ').expect("a name and a page");
        let operator = |read| Page::Operator(read, Format::Json);
        let page = match name {
            "/state" => Page::State,
            "/state-summary" => Page::Summary,
            "/slaves" => Page::Slaves,
            "/frameworks" => Page::Frameworks,
            "/tasks" => Page::Tasks,
            "/roles" => Page::Roles,
            "GET_STATE" => operator(operator::Read::State),
            "GET_AGENTS" => operator(operator::Read::Agents),
            "GET_FRAMEWORKS" => operator(operator::Read::Frameworks),
            "GET_EXECUTORS" => operator(operator::Read::Executors),
            "GET_TASKS" => operator(operator::Read::Tasks),
            "GET_ROLES" => operator(operator::Read::Roles),
            other => panic!("{other} is a page"),
        };
        let mut written = Vec::new();
        write_page(&mut written, &snapshot, &about, page, &Filter::default()).expect("it is written");
        problems.extend(compare(name, &shape(&written), &shape(recorded.as_bytes())).err());
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// A master that has just begun shows whom it waits for.
#[test]
fn who_is_waited_for_is_shown() {
    let mut world = World::new(1);
    world.add_agent("cpus:4;mem:1024");
    world.add_framework(FrameworkInfo {
        failover_timeout: std::time::Duration::from_secs(60),
        ..FrameworkInfo::new("f")
    });
    world.fail_over(2);
    let snapshot = world.mirror.snapshot(&world.master, world.now);
    let about = About {
        version: VersionInfo::new("0.1.0"),
        flags: BTreeMap::new(),
        started_at: Time::default(),
        log_file: None,
    };
    let shown = |page| {
        let mut written = Vec::new();
        write_page(&mut written, &snapshot, &about, page, &Filter::default()).expect("it is written");
        serde_json::from_slice::<serde_json::Value>(&written).expect("JSON")
    };
    let id = world.agents[0].info.id.as_ref().expect("it is registered").as_str();
    let agents = shown(Page::Operator(operator::Read::Agents, Format::Json));
    assert_eq!(agents["get_agents"]["agents"], serde_json::json!([]));
    assert_eq!(agents["get_agents"]["recovered_agents"][0]["id"]["value"], id);
    for page in [Page::State, Page::Slaves] {
        let shown = shown(page);
        assert_eq!(
            (&shown["slaves"], &shown["recovered_slaves"][0]["id"]["value"]),
            (&serde_json::json!([]), &id.into())
        );
    }
    let frameworks = shown(Page::Operator(operator::Read::Frameworks, Format::Json));
    let framework = &frameworks["get_frameworks"]["frameworks"][0];
    assert_eq!(framework["framework_info"]["name"], "f");
    assert_eq!((&framework["recovered"], &framework["connected"]), (&true.into(), &false.into()));
    let framework = &shown(Page::Frameworks)["frameworks"][0];
    assert_eq!((&framework["recovered"], &framework["active"]), (&true.into(), &false.into()));
}

#[test]
fn both_formats_say_the_same() {
    let snapshot = snapshot();
    let reads = [
        operator::Read::State,
        operator::Read::Agents,
        operator::Read::Frameworks,
        operator::Read::Executors,
        operator::Read::Tasks,
        operator::Read::Roles,
    ];
    for read in reads {
        let decoded = [Format::Json, Format::Protobuf].map(|format| {
            let mut written = Vec::new();
            operator::write(&mut written, &snapshot, read, format).expect("it is written");
            wire::decode::<Response>(format, &written).expect("it is an answer")
        });
        assert_eq!(decoded[0], decoded[1]);
    }
    let decoded = [Format::Json, Format::Protobuf].map(|format| {
        let mut written = Vec::new();
        operator::subscribed(&mut written, &snapshot, format).expect("it is written");
        wire::decode::<Event>(format, &written).expect("it is an event")
    });
    assert_eq!(decoded[0], decoded[1]);
    let subscribed = decoded[0].subscribed.as_ref().expect("it is the first event");
    assert_eq!(subscribed.heartbeat_interval_seconds, Some(15.0));
    let state = subscribed.get_state.as_ref().expect("all that there is");
    assert_eq!(state.get_tasks.as_ref().expect("tasks").completed_tasks.len(), 1);
}

#[test]
fn events_are_as_recorded() {
    let mut recorded: BTreeMap<String, Shape> = BTreeMap::new();
    for line in include_str!("recorded/events.txt").lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let kind = value["type"].as_str().expect("a type");
        let detail = value["task_updated"]["status"]["state"].as_str().unwrap_or_default();
        recorded.insert(format!("{kind} {detail}"), shape(line.as_bytes()));
    }
    let world = recorded_world();
    let framework = world.master.frameworks().values().next().expect("one");
    let task = framework.tasks.values().next().expect("one").task.clone();
    let status = task.statuses[0].clone();
    let fresh = protocol::Task { statuses: Vec::new(), ..(*task).clone() };
    let fresh = protocol::Task { status_update_state: None, status_update_uuid: None, ..fresh };
    let changes = [
        ("FRAMEWORK_ADDED ", Change::FrameworkAdded(framework.id.clone())),
        ("FRAMEWORK_REMOVED ", Change::FrameworkRemoved(framework.info.clone())),
        ("TASK_ADDED ", Change::TaskAdded(fresh.into())),
        ("TASK_UPDATED TASK_STARTING", Change::TaskUpdated { task, status }),
    ];
    let mut problems = Vec::new();
    for (name, change) in changes {
        let record = events::record_of(&world.master, &change, Format::Json);
        let json = record.split(|byte| *byte == b'\n').nth(1).expect("a length before it");
        problems.extend(compare(name, &shape(json), &recorded[name]).err());
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    let gone = Change::AgentRemoved(world.agent_id(0));
    let record = events::record_of(&world.master, &gone, Format::Json);
    let expected = format!(
        r#"{{"type":"AGENT_REMOVED","agent_removed":{{"agent_id":{{"value":"{}"}}}}}}"#,
        world.agent_id(0)
    );
    assert_eq!(record, recordio::record(expected.as_bytes()));
    assert_eq!(events::heartbeat(Format::Json), &b"20\n{\"type\":\"HEARTBEAT\"}"[..]);
    assert!(events::record_of(&world.master, &Change::Weights, Format::Json).is_empty());
}
