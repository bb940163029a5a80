//! What agents tell executors.

use super::{
    agent_info_to_wire, executor_info_to_wire, framework_info_to_wire, ids, kill_policy_to_wire,
    task_info_to_wire,
};
use crate::messages::ExecutorEvent;
use crate::wire::v1;
use crate::{AgentInfo, ContainerId};
use v1::executor::event::{self, Type};

/// What an event does not say itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutorEventContext {
    /// The framework has RESERVATION_REFINEMENT: resources come in the refined format.
    pub refined: bool,
    /// The executor's run, told at its subscription.
    pub container_id: Option<ContainerId>,
}

/// An event, as the executor is sent it.
pub fn executor_event(event: &ExecutorEvent, context: &ExecutorEventContext) -> v1::executor::Event {
    let mut wire = v1::executor::Event::default();
    let kind = match event {
        ExecutorEvent::Subscribed { executor, framework, agent_id, agent } => {
            let agent = AgentInfo { id: Some(agent_id.clone()), ..agent.clone() };
            wire.subscribed = Some(event::Subscribed {
                executor_info: executor_info_to_wire(executor, None, context.refined),
                framework_info: framework_info_to_wire(framework),
                agent_info: agent_info_to_wire(&agent, context.refined),
                container_id: context.container_id.as_ref().map(Into::into),
            });
            Type::Subscribed
        }
        ExecutorEvent::Launch(task) => {
            wire.launch = Some(event::Launch { task: task_info_to_wire(task, context.refined) });
            Type::Launch
        }
        ExecutorEvent::LaunchGroup(tasks) => {
            let tasks = tasks.iter().map(|task| task_info_to_wire(task, context.refined)).collect();
            wire.launch_group = Some(event::LaunchGroup { task_group: v1::TaskGroupInfo { tasks } });
            Type::LaunchGroup
        }
        ExecutorEvent::Kill { task_id, kill_policy } => {
            let kill_policy = kill_policy.map(kill_policy_to_wire);
            wire.kill = Some(event::Kill { task_id: task_id.into(), kill_policy });
            Type::Kill
        }
        ExecutorEvent::Acknowledged { task_id, uuid } => {
            let uuid = ids::uuid_to_wire(*uuid);
            wire.acknowledged = Some(event::Acknowledged { task_id: task_id.into(), uuid });
            Type::Acknowledged
        }
        ExecutorEvent::Message(data) => {
            wire.message = Some(event::Message { data: data.clone() });
            Type::Message
        }
        ExecutorEvent::Error(message) => {
            wire.error = Some(event::Error { message: message.clone() });
            Type::Error
        }
        ExecutorEvent::Shutdown => Type::Shutdown,
        ExecutorEvent::Heartbeat => Type::Heartbeat,
    };
    wire.r#type = Some(kind.into());
    wire
}
