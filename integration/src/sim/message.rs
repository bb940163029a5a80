//! What travels in a simulated cluster.

use std::fmt;

use protocol::messages::{AgentCall, AgentEvent, Event, ExecutorCall, ExecutorEvent, SchedulerCall};

/// Any message between components.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// From a scheduler to the master.
    Scheduler(SchedulerCall),
    /// From the master to a scheduler.
    Event(Event),
    /// From an agent to the master.
    Agent(AgentCall),
    /// From the master to an agent.
    AgentEvent(AgentEvent),
    /// From an executor to its agent.
    Executor(ExecutorCall),
    /// From an agent to an executor.
    ExecutorEvent(ExecutorEvent),
}

/// The message itself says what it is.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Scheduler(message) => message.call.fmt(f),
            Message::Event(message) => message.fmt(f),
            Message::Agent(message) => message.fmt(f),
            Message::AgentEvent(message) => message.fmt(f),
            Message::Executor(message) => message.call.fmt(f),
            Message::ExecutorEvent(message) => message.fmt(f),
        }
    }
}
