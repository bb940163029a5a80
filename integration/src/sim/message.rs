//! What travels in a simulated cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use libactor::Pid;
use libactor::detect::Leads;
use master::core::{Answer, OperatorRequest};
use master::registry::{Operation, State};
use master::replication::{self, Body, Disposition, MembersRequest, Parcel, ReplicaAnswer};
use protocol::messages::{AgentCall, AgentEvent, Event, ExecutorCall, ExecutorEvent, SchedulerCall};

/// Any message between components.
#[derive(Clone)]
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
    /// A client over HTTP asks a master who leads.
    HttpWho,
    /// A client over HTTP is told to ask this master (307), or another one later (503).
    HttpRedirect(Option<Pid>),
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
    /// From one replica to another.
    Parcel(Parcel),
    /// Within a master's process.
    Group(Group),
    /// Somebody wants to know who leads.
    Watch,
    /// It is told.
    Leads(Leads),
    /// From the operator to a replica.
    MembersCall {
        /// To answer with.
        ask: replication::Ask,
        /// What.
        request: MembersRequest,
    },
    /// The answer.
    MembersAnswer {
        /// Which question.
        ask: replication::Ask,
        /// How it went.
        answer: ReplicaAnswer,
    },
    /// From a master to the operator who asked for this.
    Operated {
        /// What.
        request: OperatorRequest,
        /// How it went.
        answer: Answer,
    },
}

/// What the two halves of a master's process say to one another.
#[derive(Clone, Debug)]
pub enum Group {
    /// The replica leads: a master begins with this registry.
    Lead {
        /// Of this lead.
        term: u64,
        /// What it begins with.
        state: Arc<State>,
    },
    /// It leads no more.
    Deposed {
        /// Of that lead.
        term: u64,
    },
    /// Who leads has changed.
    Standing(Disposition),
    /// The master wants these in the registry.
    Propose {
        /// Of its lead.
        term: u64,
        /// What.
        operations: Vec<Operation>,
    },
    /// They are.
    Committed {
        /// Of the lead that has proposed them.
        term: u64,
        /// What.
        operations: Vec<Operation>,
    },
    /// One is not, and will not be.
    Refused {
        /// Of the lead that has proposed it.
        term: u64,
        /// What.
        operation: Operation,
        /// Why.
        reason: String,
    },
}

impl Message {
    /// What a scheduler asks the master by this, whatever way.
    pub fn scheduler_call(&self) -> Option<&SchedulerCall> {
        match self {
            Message::Scheduler(call) | Message::HttpCall { call, .. } => Some(call),
            _ => None,
        }
    }

    /// What a master tells a scheduler by this, whatever way; only the one that is listened to does.
    pub fn told(&self, from: &Pid, to: &Pid, heeds: &BTreeMap<Pid, Pid>) -> Option<&Event> {
        self.event().filter(|_| heeds.get(to) == Some(from))
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
            Message::HttpWho => f.write_str("http: who leads?"),
            Message::HttpRedirect(leader) => write!(f, "http: ask {leader:?}"),
            Message::Parcel(parcel) => parcel_in_short(parcel, f),
            Message::Group(Group::Lead { term, .. }) => write!(f, "Lead {term}"),
            Message::Group(group) => group.fmt(f),
            Message::Watch => f.write_str("Watch"),
            Message::Leads(leads) => leads.fmt(f),
            Message::MembersCall { ask, request } => write!(f, "{ask:?} {request:?}"),
            Message::MembersAnswer { ask, answer: ReplicaAnswer::Registry(_) } => {
                write!(f, "{ask:?} Registry")
            }
            Message::MembersAnswer { ask, answer } => write!(f, "{ask:?} {answer:?}"),
            Message::Operated { request, answer } => write!(f, "{request:?} is {answer:?}"),
        }
    }
}

/// Most of what travels is this: its whole text would be most of a trace.
fn parcel_in_short(parcel: &Parcel, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Body::Raft(messages) = &parcel.body else {
        return match &parcel.body {
            Body::Piece { index, offset, total, bytes } => {
                write!(f, "Piece {index}: {offset}+{} of {total}", bytes.len())
            }
            body => write!(f, "{body:?}"),
        };
    };
    f.write_str("Raft")?;
    for message in messages {
        write!(f, " [{} t{} {}:{}", message.kind, message.term, message.log_term, message.index)?;
        if !message.entries.is_empty() {
            write!(f, "+{}", message.entries.len())?;
        }
        write!(f, " c{}", message.commit)?;
        f.write_str(if message.reject { " no]" } else { "]" })?;
    }
    Ok(())
}
