//! What reregistration must not mix up.

use std::time::Duration;

use libactor::{Machine, Time};
use protocol::TaskState;
use protocol::messages::{AgentCall, Call, Event, SchedulerCall};

use super::super::allocator::{AllocatorConfig, Hierarchical};
use super::super::{Input, MasterConfig, Output};
use super::*;

const NOW: Time = Time::from_nanos(1_000_000_000);

fn master() -> Master {
    let allocator = Box::new(Hierarchical::new(AllocatorConfig::default(), 1));
    Master::new(MasterConfig::default(), 1, NOW, allocator)
}

fn info(id: Option<&str>) -> AgentInfo {
    AgentInfo {
        hostname: "host".to_owned(),
        port: 5051,
        resources: "cpus:4;mem:4096".parse().unwrap(),
        attributes: Default::default(),
        id: id.map(AgentId::from),
    }
}

fn agent_pid() -> Pid {
    "slave(1)@10.0.0.2:5051".parse().unwrap()
}

fn feed(master: &mut Master, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    master.handle(NOW, input, &mut out);
    master.check();
    out
}

fn agent(master: &mut Master, call: AgentCall) -> Vec<Output> {
    feed(master, Input::Agent { from: agent_pid(), call })
}

fn operations(out: &[Output]) -> Vec<Operation> {
    let applied = out.iter().filter_map(|output| match output {
        Output::Apply { operation } => Some(operation.clone()),
        _ => None,
    });
    applied.collect()
}

fn register() -> AgentCall {
    AgentCall::Register { agent: info(None), version: String::new() }
}

fn reregister(id: &str, tasks: Vec<Task>) -> AgentCall {
    let frameworks = Vec::new();
    AgentCall::Reregister {
        agent: info(Some(id)),
        version: String::new(),
        executors: Vec::new(),
        tasks,
        frameworks,
    }
}

/// Found by simulation: the next life took over the identity of the one before, and was registered twice.
#[test]
fn a_return_that_is_still_being_decided_is_not_for_the_next_life_at_that_address() {
    let mut master = master();
    let returning = operations(&agent(&mut master, reregister("S1", Vec::new())));
    let admitting = operations(&agent(&mut master, register()));
    for operation in returning {
        let out = feed(&mut master, Input::Applied { operation });
        assert!(!out.iter().any(|output| matches!(output, Output::ToAgent { .. })), "{out:?}");
    }
    assert!(master.agents().is_empty(), "S1 is waited for");
    for operation in admitting {
        feed(&mut master, Input::Applied { operation });
    }
    assert_eq!(master.agents().len(), 1);
    assert!(!master.agents().contains_key(&AgentId::from("S1")));
    let mut out = Vec::new();
    let later = NOW + master.config().agent_reregister_timeout + Duration::from_secs(1);
    master.tick(later, &mut out);
    let unreachable = |operation: &Operation| matches!(operation, Operation::MarkAgentUnreachable { agent_id, .. } if agent_id.as_str() == "S1");
    assert!(operations(&out).iter().any(unreachable), "nobody came: {out:?}");
}

#[test]
fn an_agent_that_ends_while_it_is_being_admitted_is_taken_out_again() {
    let mut master = master();
    let out = agent(&mut master, register());
    assert!(out.iter().any(|output| matches!(output, Output::Link { pid } if *pid == agent_pid())));
    feed(&mut master, Input::Exited { pid: agent_pid() });
    let out = feed(&mut master, Input::Applied { operation: operations(&out).remove(0) });
    assert!(matches!(operations(&out).as_slice(), [Operation::RemoveAgent { .. }]), "{out:?}");
    assert!(master.agents().is_empty());
}

/// Found by simulation: TASK_FINISHED by reconciliation, and then TASK_STARTING by the task's updates.
#[test]
fn what_no_update_has_told_yet_is_not_told_by_reconciliation() {
    let mut master = master();
    let scheduler: Pid = "scheduler@10.0.0.3:6000".parse().unwrap();
    let framework = FrameworkInfo { id: Some("F".into()), ..FrameworkInfo::new("f") };
    let call = |call| SchedulerCall { framework_id: Some("F".into()), call };
    let subscribe = call(Call::Subscribe { framework, suppressed_roles: BTreeSet::new() });
    let out = feed(&mut master, Input::Scheduler { from: scheduler.clone(), call: subscribe });
    feed(&mut master, Input::Applied { operation: operations(&out).remove(0) });
    let task = Task {
        name: String::new(),
        task_id: "t".into(),
        framework_id: "F".into(),
        executor_id: ExecutorId::from("t"),
        command_executor: true,
        agent_id: "S1".into(),
        state: TaskState::Finished,
        resources: "cpus:1".parse().unwrap(),
        allocated_to: None,
        statuses: Vec::new(),
        status_update_state: None,
        status_update_uuid: None,
        user: None,
        labels: Vec::new(),
        kill_policy: None,
        unread: None,
    };
    let out = agent(&mut master, reregister("S1", vec![task]));
    feed(&mut master, Input::Applied { operation: operations(&out).remove(0) });
    let reconcile = call(Call::Reconcile { tasks: Vec::new() });
    let out = feed(&mut master, Input::Scheduler { from: scheduler, call: reconcile });
    let told = |output: &Output| match output {
        Output::ToScheduler { event: Event::Update(status), .. } => Some(status.state),
        _ => None,
    };
    assert_eq!(out.iter().find_map(told), Some(TaskState::Staging));
}
