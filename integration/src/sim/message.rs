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
    /// From an executor to its agent, over HTTP.
    Http {
        /// What.
        call: ExecutorCall,
        /// A subscription's: the executor's number of the stream that it opens.
        number: Option<u64>,
    },
    /// The agent has refused a call over HTTP.
    Refused(String),
    /// From an agent to an executor, on a stream.
    Stream {
        /// Which.
        number: u64,
        /// What; absent: the stream ends.
        event: Option<ExecutorEvent>,
    },
    /// An executor's connection with this stream has broken.
    Hangup(u64),
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
            Message::Http { call, number } => write!(f, "http {number:?} {:?}", call.call),
            Message::Refused(why) => write!(f, "refused: {why}"),
            Message::Stream { number, event } => write!(f, "stream {number} {event:?}"),
            Message::Hangup(number) => write!(f, "hangup {number}"),
        }
    }
}
