//! What travels in a simulated cluster.

use std::fmt;

use master::core::Answer;
use protocol::messages::{AgentCall, AgentEvent, Event, ExecutorCall, ExecutorEvent, SchedulerCall};

/// Any message between components.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// From a scheduler to the master.
    Scheduler(SchedulerCall),
    /// From the master to a scheduler.
    Event(Event),
    /// As [`Message::Scheduler`] over HTTP. A subscription is on no stream yet.
    HttpCall {
        /// `Mesos-Stream-Id`.
        stream_id: Option<String>,
        /// The connection that it comes on: one each.
        request: u64,
        /// What it asks.
        call: SchedulerCall,
    },
    /// A call over HTTP that is no subscription has been answered.
    HttpAnswer(Answer),
    /// A subscription over HTTP has got its stream.
    StreamBegins {
        /// Which.
        id: String,
        /// On the connection of that subscription.
        request: u64,
    },
    /// As [`Message::Event`], on a stream.
    StreamEvent {
        /// On which.
        stream_id: String,
        /// What.
        event: Event,
    },
    /// The master has ended a stream.
    StreamEnds(String),
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

impl Message {
    /// What a scheduler asks the master by this, whatever way.
    pub fn scheduler_call(&self) -> Option<&SchedulerCall> {
        match self {
            Message::Scheduler(call) | Message::HttpCall { call, .. } => Some(call),
            _ => None,
        }
    }

    /// What the master tells a scheduler by this, whatever way.
    pub fn event(&self) -> Option<&Event> {
        match self {
            Message::Event(event) | Message::StreamEvent { event, .. } => Some(event),
            _ => None,
        }
    }
}

/// The message itself says what it is.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Scheduler(message) => message.call.fmt(f),
            Message::Event(message) => message.fmt(f),
            Message::HttpCall { call, .. } => write!(f, "http {:?}", call.call),
            Message::HttpAnswer(answer) => write!(f, "http {answer:?}"),
            Message::StreamBegins { id, .. } => write!(f, "stream {id} begins"),
            Message::StreamEvent { event, .. } => write!(f, "stream {event:?}"),
            Message::StreamEnds(id) => write!(f, "stream {id} ends"),
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
