//! What Mesos sent, turned into the vocabulary and back: the same.

use super::read;
use crate::messages::{Call, Event, MasterInfo};
use crate::wire::convert::*;
use crate::wire::v1;
use crate::{AgentId, FrameworkId, Offer, Operation, Resources, TaskState};
use v1::scheduler::event::Type;

const EVENTS: &str = include_str!("../../tests/recorded/scheduler-events.jsonl");
const CALLS: &str = include_str!("../../tests/recorded/scheduler-calls.jsonl");
const MASTER: &str = include_str!("../../tests/recorded/master-answers.jsonl");
const AGENT: &str = include_str!("../../tests/recorded/agent-answers.jsonl");

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty())
}

/// The order of resources is ours.
fn sorted(mut list: Vec<v1::Resource>) -> Vec<v1::Resource> {
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

fn offer(wire: &v1::Offer) -> (Offer, EventContext) {
    let url = wire.url.clone().unwrap();
    let role = allocated_to(&wire.resources).unwrap();
    let context = EventContext {
        refined: wire.resources.iter().all(|resource| resource.role.is_none()),
        multi_role: role.is_some(),
    };
    let offer = Offer {
        id: wire.id.clone().into(),
        framework_id: wire.framework_id.clone().into(),
        agent_id: wire.agent_id.clone().into(),
        hostname: wire.hostname.clone(),
        address: format!("{}:{}", url.address.ip(), url.address.port),
        role: role.unwrap_or_default(),
        resources: resources(&wire.resources).unwrap(),
        attributes: attributes(wire.attributes.clone()).unwrap(),
        executor_ids: wire.executor_ids.iter().cloned().map(Into::into).collect(),
    };
    (offer, context)
}

/// The event that an event on the wire says.
fn event(wire: &v1::scheduler::Event) -> (Event, EventContext) {
    let mut context = EventContext::default();
    let event = match wire.r#type() {
        Type::Subscribed => {
            let subscribed = wire.subscribed.clone().unwrap();
            let master = subscribed.master_info.unwrap();
            Event::Subscribed {
                framework_id: subscribed.framework_id.into(),
                master: MasterInfo {
                    id: master.id.as_str().into(),
                    pid: master.pid().into(),
                    hostname: master.hostname().into(),
                    version: "0.1.0".into(),
                },
                resubscribed: false,
            }
        }
        Type::Offers => {
            let (offers, contexts): (Vec<_>, Vec<_>) =
                wire.offers.iter().flat_map(|offers| &offers.offers).map(offer).unzip();
            context = contexts[0];
            Event::Offers(offers)
        }
        Type::Rescind => Event::Rescind(wire.rescind.clone().unwrap().offer_id.into()),
        Type::Update => Event::Update(task_status(wire.update.clone().unwrap().status).unwrap()),
        Type::Error => Event::Error(wire.error.clone().unwrap().message),
        Type::Heartbeat => Event::Heartbeat,
        other => panic!("not recorded: {other:?}"),
    };
    (event, context)
}

#[test]
fn events_are_sent_as_mesos_sends_them() {
    let mut count = 0;
    for line in lines(EVENTS) {
        let mut recorded: v1::scheduler::Event = read(line);
        let (event, context) = event(&recorded);
        for offer in recorded.offers.iter_mut().flat_map(|offers| &mut offers.offers) {
            offer.resources = sorted(std::mem::take(&mut offer.resources));
        }
        let master = recorded.subscribed.as_mut().and_then(|subscribed| subscribed.master_info.as_mut());
        if let Some(master) = master {
            // Recorded of the version after ours.
            master.version = Some(crate::wire::API_VERSION.into());
            // A capability that this version of the API does not name may stand there as an empty one.
            let unnamed = master.capabilities.iter_mut().filter(|one| one.r#type.is_none());
            unnamed.for_each(|one| one.set_type(v1::master_info::capability::Type::QuotaV2));
        }
        assert_eq!(scheduler_event(&event, &context), recorded, "{line}");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn every_recorded_call_is_taken() {
    let mut names = Vec::new();
    for line in lines(CALLS) {
        let wire: v1::scheduler::Call = read(line);
        let name = wire.r#type().as_str_name();
        let (id, call) = scheduler_call(wire).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert!(id.is_some_and(|id| id.as_str().ends_with("-0002")), "{line}");
        if let Call::Accept { operations, .. } = call {
            let [Operation::Launch { tasks }] = operations.as_slice() else { panic!("{line}") };
            for task in tasks {
                assert_eq!(crate::validate::task(task), Ok(()));
                assert_eq!(task.allocated_to, Some("*".into()));
            }
        }
        names.push(name);
    }
    names.dedup();
    assert!(names.len() >= 11, "{names:?}");
}

/// Task of the wire -> its parts in the vocabulary -> the wire again.
fn check_task(recorded: &v1::Task) {
    let role = allocated_to(&recorded.resources).unwrap();
    let statuses = recorded.statuses.iter().cloned().map(|status| task_status(status).unwrap()).collect();
    let newest: Option<crate::TaskStatus> = recorded
        .statuses
        .iter()
        .cloned()
        .rev()
        .find_map(|status| status.uuid.is_some().then(|| task_status(status).unwrap()));
    let task = crate::Task {
        name: recorded.name.clone(),
        task_id: recorded.task_id.clone().into(),
        framework_id: recorded.framework_id.clone().into(),
        executor_id: recorded.task_id.value.as_str().into(),
        command_executor: recorded.executor_id.is_none(),
        agent_id: recorded.agent_id.clone().into(),
        state: TaskState::from_number(recorded.state).unwrap(),
        resources: resources(&recorded.resources).unwrap(),
        allocated_to: None,
        statuses,
        status_update_state: recorded.status_update_state.and_then(TaskState::from_number),
        status_update_uuid: newest.and_then(|status| status.uuid),
        user: recorded.user.clone(),
        labels: labels(recorded.labels.clone()),
        kill_policy: recorded.kill_policy.map(kill_policy),
        unread: None,
    };
    let again = task_to_wire(&task, role.as_ref(), true);
    let expected = v1::Task { resources: sorted(recorded.resources.clone()), ..recorded.clone() };
    assert_eq!(again, expected);
}

fn check_framework(recorded: &v1::FrameworkInfo) {
    let info = framework_info(recorded.clone()).unwrap();
    let mut again = framework_info_to_wire(&info);
    let by_number = |one: &v1::framework_info::Capability| one.r#type;
    let mut expected = recorded.clone();
    expected.capabilities.sort_by_key(by_number);
    again.capabilities.sort_by_key(by_number);
    assert_eq!(again, expected);
}

fn check_agent(recorded: &v1::AgentInfo) {
    let info = agent_info(recorded.clone()).unwrap();
    let again = agent_info_to_wire(&info, true);
    let resources = sorted(recorded.resources.clone());
    assert_eq!(again, v1::AgentInfo { resources, checkpoint: None, ..recorded.clone() });
}

#[test]
fn what_masters_and_agents_answer_is_said_again() {
    let (mut tasks, mut frameworks, mut agents, mut executors) = (0, 0, 0, 0);
    for answer in lines(MASTER).filter(|line| line.contains("GET_")).map(read::<v1::master::Response>) {
        let frameworks_of =
            answer.get_frameworks.iter().flat_map(|f| f.frameworks.iter().chain(&f.completed_frameworks));
        frameworks_of.for_each(|framework| {
            check_framework(&framework.framework_info);
            frameworks += 1;
        });
        answer.get_tasks.iter().flat_map(|t| t.tasks.iter().chain(&t.completed_tasks)).for_each(|task| {
            check_task(task);
            tasks += 1;
        });
        answer.get_agents.iter().flat_map(|a| &a.agents).for_each(|agent| {
            check_agent(&agent.agent_info);
            let total = resources(&agent.total_resources).unwrap();
            assert_eq!(resources_to_wire(&total, None, false), sorted(agent.total_resources.clone()));
            agents += 1;
        });
    }
    for answer in lines(AGENT).map(read::<v1::agent::Response>) {
        for executor in
            answer.get_executors.iter().flat_map(|e| e.executors.iter().chain(&e.completed_executors))
        {
            let recorded = &executor.executor_info;
            let (info, problem) = executor_info(recorded.clone());
            assert_eq!(problem, None);
            let role = allocated_to(&recorded.resources).unwrap();
            let again = executor_info_to_wire(&info, role.as_ref(), true);
            let expected =
                v1::ExecutorInfo { resources: sorted(recorded.resources.clone()), ..recorded.clone() };
            assert_eq!(again, expected);
            executors += 1;
        }
    }
    assert!(
        tasks > 1 && frameworks > 1 && agents > 0 && executors > 1,
        "{tasks} {frameworks} {agents} {executors}"
    );
}

/// An offer to a framework that knows nothing of several roles, as Mesos 1.11 was recorded to send it.
#[test]
fn offers_to_frameworks_of_one_role_are_in_the_older_format() {
    let recorded = r#"{"type":"OFFERS","offers":{"offers":[{"id":{"value":"m-O86"},"framework_id":{"value":"m-0037"},
        "agent_id":{"value":"m-S0"},"hostname":"127.0.0.1","url":{"scheme":"http","address":{"hostname":"127.0.0.1",
        "ip":"127.0.0.1","port":5051},"path":"/slave(1)"},"resources":[{"name":"cpus","type":"SCALAR",
        "scalar":{"value":3.94},"role":"*"},{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,
        "end":32000}]},"role":"*"}]}]}}"#;
    let offer = Offer {
        id: "m-O86".into(),
        framework_id: FrameworkId::from("m-0037"),
        agent_id: AgentId::from("m-S0"),
        hostname: "127.0.0.1".into(),
        address: "127.0.0.1:5051".into(),
        role: "*".into(),
        resources: "cpus:3.94;ports:[31000-32000]".parse::<Resources>().unwrap(),
        attributes: Default::default(),
        executor_ids: Vec::new(),
    };
    let context = EventContext::of(&crate::FrameworkInfo::new("f"));
    assert_eq!(scheduler_event(&Event::Offers(vec![offer]), &context), read(recorded));
}
