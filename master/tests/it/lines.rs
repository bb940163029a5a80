//! What a machine asks for, as lines of golden scripts.

use libactor::{Pid, Time};
use master::core::Change;
use master::registry::{Machine, Operation, Window};
use protocol::messages::{AgentEvent, Event};
use protocol::{AgentInfo, Source, TaskStatus};

use crate::script::START;

pub(crate) fn event_lines(to: &Pid, event: Event) -> Vec<String> {
    let to = short(to);
    let line = match event {
        Event::Subscribed { framework_id, resubscribed, .. } => {
            format!("subscribed {framework_id}{}", if resubscribed { " again" } else { "" })
        }
        Event::Offers(offers) => {
            return offers
                .into_iter()
                .map(|offer| {
                    let executors: Vec<_> = offer.executor_ids.iter().map(ToString::to_string).collect();
                    let executors = match executors.is_empty() {
                        true => String::new(),
                        false => format!(" executors={}", executors.join(",")),
                    };
                    let what = format!("{} for {}: {}", offer.agent_id, offer.role, offer.resources);
                    format!("{to} <- offer {} {what}{executors}", offer.id)
                })
                .collect();
        }
        Event::Rescind(id) => format!("rescind {id}"),
        Event::Update(status) => status_text(&status),
        Event::Message { agent_id, executor_id, data } => {
            format!("message {agent_id} {executor_id} {}", String::from_utf8_lossy(&data))
        }
        Event::Failure { agent_id, executor_id: None, .. } => format!("lost agent {agent_id}"),
        Event::Failure { agent_id, executor_id: Some(id), status } => {
            format!("lost executor {id} of {agent_id} status {}", status.unwrap_or_default())
        }
        Event::Error(text) => format!("error '{text}'"),
        Event::Heartbeat => "heartbeat".to_owned(),
    };
    vec![format!("{to} <- {line}")]
}

fn status_text(status: &TaskStatus) -> String {
    let mut text = format!("{} {}", status.state, status.task_id);
    if let Some(agent_id) = &status.agent_id {
        text += &format!(" @{agent_id}");
    }
    if let Some(uuid) = &status.uuid {
        text += &format!(" u{}", uuid.0[15]);
    }
    if status.source == Source::Master {
        text += " by master";
    }
    if let Some(reason) = status.reason {
        text += &format!(" {}", reason.name());
    }
    if let Some(message) = &status.message {
        text += &format!(" '{message}'");
    }
    if let Some(since) = status.unreachable_time {
        text += &format!(" since {}s", (Time::from_nanos(since.0)).since(Time::default() + START).as_secs());
    }
    text
}

pub(crate) fn agent_event_line(to: &Pid, event: AgentEvent) -> String {
    let text = match event {
        AgentEvent::Registered { agent_id, ping_timeout } => {
            format!("registered {agent_id} ping_timeout={}s", ping_timeout.as_secs())
        }
        AgentEvent::Reregistered { agent_id, reconcile, .. } => {
            let tasks: Vec<_> = reconcile.iter().map(|(owner, task)| format!(" {owner}/{task}")).collect();
            let reconcile =
                if tasks.is_empty() { String::new() } else { format!(" reconcile{}", tasks.concat()) };
            format!("reregistered {agent_id}{reconcile}")
        }
        AgentEvent::Ping { connected } => format!("ping connected={connected}"),
        AgentEvent::RunTask { framework, task, launch_executor } => {
            let id = framework.id.map(|id| id.to_string()).unwrap_or_default();
            let mut text = format!("run {id}/{} {}", task.task_id, task.resources);
            if let Some(executor) = task.executor {
                let owner = executor.framework_id.map(|id| id.to_string()).unwrap_or_default();
                let new = if launch_executor { " new" } else { "" };
                text += &format!(" on{new} {owner}/{} {}", executor.executor_id, executor.resources);
            }
            text
        }
        AgentEvent::RunTaskGroup { framework, executor, tasks, launch_executor } => {
            let id = framework.id.map(|id| id.to_string()).unwrap_or_default();
            let tasks: Vec<_> =
                tasks.iter().map(|task| format!(" {} {}", task.task_id, task.resources)).collect();
            let new = if launch_executor { " new" } else { "" };
            format!("run group {id}:{} on{new} {}", tasks.concat(), executor.executor_id)
        }
        AgentEvent::KillTask { framework_id, task_id, .. } => format!("kill {framework_id}/{task_id}"),
        AgentEvent::Acknowledge { framework_id, task_id, uuid } => {
            format!("ack {framework_id}/{task_id} u{}", uuid.0[15])
        }
        AgentEvent::Message { framework_id, executor_id, data } => {
            format!("message {framework_id}/{executor_id} {}", String::from_utf8_lossy(&data))
        }
        AgentEvent::Drain { max_grace_period } => format!("drain {max_grace_period:?}"),
        AgentEvent::Reactivate => "reactivate".to_string(),
        AgentEvent::ShutdownExecutor { framework_id, executor_id } => {
            format!("shutdown executor {framework_id}/{executor_id}")
        }
        AgentEvent::UpdateFramework { framework } => {
            let id = framework.id.map(|id| id.to_string()).unwrap_or_default();
            let checkpoint = if framework.checkpoint { " checkpoint" } else { "" };
            format!("update framework {id} user={}{checkpoint}", framework.user)
        }
        AgentEvent::ShutdownFramework { framework_id } => format!("shutdown framework {framework_id}"),
        AgentEvent::Shutdown { message } => format!("shutdown '{message}'"),
    };
    format!("{} <- {text}", to.name())
}

/// An actor's name, or a stream's id.
pub(crate) fn short(pid: &Pid) -> &str {
    pid.stream_id().unwrap_or(pid.name())
}

/// What those who watch are told.
pub(crate) fn change_line(change: &Change) -> String {
    let text = match change {
        Change::FrameworkAdded(id) => format!("framework {id} added"),
        Change::FrameworkUpdated(id) => format!("framework {id} updated"),
        Change::FrameworkState(id) => format!("framework {id} state"),
        Change::FrameworkRemoved(info) => {
            format!("framework {} removed", info.id.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Change::FrameworkForgotten(id) => format!("framework {id} forgotten"),
        Change::AgentAdded(id) => format!("agent {id} added"),
        Change::AgentUpdated(id) => format!("agent {id} updated"),
        Change::AgentRemoved(id) => format!("agent {id} removed"),
        Change::AgentMoved(id) => format!("agent {id} moved"),
        Change::TaskAdded(task) => {
            format!("task {}/{} added {}", task.framework_id, task.task_id, task.state)
        }
        Change::TaskUpdated { task, status } => {
            format!("task {}/{} {}: {}", task.framework_id, task.task_id, task.state, status_text(status))
        }
        Change::TaskMoved(framework_id, task_id) => format!("task {framework_id}/{task_id} moved"),
        Change::Executor(framework_id, agent_id) => format!("executors {framework_id} on {agent_id}"),
        Change::Offer(framework_id, agent_id, offer_id) => {
            format!("offer {offer_id} to {framework_id} of {agent_id}")
        }
        Change::Weights => "weights".to_owned(),
        Change::Maintenance => "maintenance".to_owned(),
    };
    format!("changed {text}")
}

fn machines(all: &[Machine]) -> String {
    all.iter().map(|one| format!("{}/{}", one.hostname, one.ip)).collect::<Vec<_>>().join(",")
}

pub(crate) fn operation_line(operation: &Operation) -> String {
    let id = |agent: &AgentInfo| agent.id.as_ref().map(ToString::to_string).unwrap_or_default();
    match operation {
        Operation::AdmitAgent { agent } => format!("apply admit {}", id(agent)),
        Operation::MarkAgentUnreachable { agent_id, .. } => format!("apply unreachable {agent_id}"),
        Operation::MarkAgentReachable { agent } => format!("apply reachable {}", id(agent)),
        Operation::RemoveAgent { agent_id } => format!("apply remove {agent_id}"),
        Operation::MarkAgentGone { agent_id, .. } => format!("apply gone {agent_id}"),
        Operation::UpdateAgent { agent } => format!("apply update {}", id(agent)),
        Operation::DeactivateAgent { agent_id } => format!("apply deactivate {agent_id}"),
        Operation::DrainAgent { agent_id, drain } => {
            let gone = if drain.mark_gone { " gone" } else { "" };
            format!("apply drain {agent_id} grace={:?}{gone}", drain.max_grace_period)
        }
        Operation::MarkAgentDrained { agent_id } => format!("apply drained {agent_id}"),
        Operation::ReactivateAgent { agent_id } => format!("apply reactivate {agent_id}"),
        Operation::Prune { unreachable, gone } => {
            format!("apply prune unreachable={unreachable:?} gone={gone:?}")
        }
        Operation::SubscribeFramework { framework, .. } => {
            format!("apply subscribe {}", framework.id.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Operation::DisconnectFramework { framework_id, since } => {
            let since = Time::from_nanos(since.0).since(Time::default() + START);
            format!("apply disconnect {framework_id} since {}s", since.as_secs())
        }
        Operation::RemoveFramework { framework_id, .. } => format!("apply over {framework_id}"),
        Operation::UpdateWeights { weights } => format!("apply weights {weights:?}"),
        Operation::UpdateSchedule { windows } => {
            let window = |window: &Window| machines(&window.machines);
            format!("apply schedule {}", windows.iter().map(window).collect::<Vec<_>>().join(" "))
        }
        Operation::StartMaintenance { machines: all } => format!("apply down {}", machines(all)),
        Operation::StopMaintenance { machines: all } => format!("apply up {}", machines(all)),
        other => format!("apply {other:?}"),
    }
}
