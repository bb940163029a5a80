//! What frameworks and executors say to one another, and the ends of executors. All of it at most once.

use protocol::messages::{AgentEvent, Event};
use protocol::{AgentId, ExecutorId, FrameworkId};

use super::{Master, Turn};

impl Master {
    /// Forwards bytes of a framework; `event` is the message as the agent is to have it (M-C-13).
    pub(super) fn framework_message(&mut self, turn: &mut Turn<'_>, agent_id: &AgentId, event: AgentEvent) {
        self.counters.count("messages_framework_to_executor");
        if self.agents.get(agent_id).is_some_and(|agent| agent.connected) {
            self.counters.count("valid_framework_to_executor_messages");
            self.tell_agent(turn, agent_id, event);
        } else {
            tracing::debug!(%agent_id, "a message to an executor can't be forwarded");
            self.counters.count("invalid_framework_to_executor_messages");
        }
    }

    /// Forwards bytes of an executor; `event` is the message as the framework is to have it.
    pub(super) fn executor_message(&mut self, turn: &mut Turn<'_>, framework_id: &FrameworkId, event: Event) {
        self.counters.count("messages_executor_to_framework");
        if self.frameworks.get_mut(framework_id).is_some_and(|framework| framework.tell(turn, event)) {
            self.counters.count("valid_executor_to_framework_messages");
        } else {
            tracing::debug!(%framework_id, "a message to a framework can't be forwarded");
            self.counters.count("invalid_executor_to_framework_messages");
        }
    }

    /// An executor has ended: what it held is free, its framework is told. Its tasks are the agent's to report.
    pub(super) fn executor_exited(
        &mut self,
        turn: &mut Turn<'_>,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        executor_id: ExecutorId,
        status: i32,
    ) {
        self.counters.count("messages_exited_executor");
        // Command executors are the agent's own affair: they are not known here.
        if !self.drop_executor(turn, agent_id, framework_id, &executor_id) {
            return;
        }
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.tell(
                turn,
                Event::Failure {
                    agent_id: agent_id.clone(),
                    executor_id: Some(executor_id),
                    status: Some(status),
                },
            );
        }
    }

    /// A framework ends one of its executors (M-E-07).
    pub(super) fn shutdown_executor(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: FrameworkId,
        agent_id: &AgentId,
        executor_id: ExecutorId,
    ) {
        self.counters.count("messages_shutdown_executor");
        let key = (framework_id, executor_id);
        let known = self.agents.get(agent_id).is_some_and(|agent| agent.executors.contains_key(&key));
        let (framework_id, executor_id) = key;
        if known {
            self.tell_agent(turn, agent_id, AgentEvent::ShutdownExecutor { framework_id, executor_id });
        } else {
            tracing::warn!(%framework_id, %executor_id, %agent_id, "there is no such executor to shut down");
            self.counters.count("dropped_messages");
        }
    }
}
