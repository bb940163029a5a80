//! What can go wrong, as values.

use std::net::SocketAddr;

use crate::{Pid, Refusal};

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// This node has no actor of that name. Of other nodes' actors nothing is said: use a link.
    #[error("there is no actor '{0}'")]
    NoSuchActor(Pid),
    /// The actor of this node has not installed that message.
    #[error("'{actor}' does not take '{message}'")]
    NotInstalled {
        /// Which actor.
        actor: Pid,
        /// The Rust type.
        message: &'static str,
    },
    /// The mailbox, or the queue to the peer, is full. The message was dropped and counted.
    #[error("the queue to '{0}' is full")]
    Full(Pid),
    /// The actor stopped, or the node has shut down.
    #[error("'{0}' has stopped")]
    Stopped(Pid),
    /// Larger than a frame may be.
    #[error("a message to '{to}' is larger than {limit} bytes")]
    TooLarge {
        /// To whom.
        to: Pid,
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// The type has no name on the wire, see [`message_name`](crate::message_name).
    #[error("'{0}' has no name on the wire")]
    Unnamed(&'static str),
    /// The type's own `Serialize` failed.
    #[error("a message to '{to}' could not be written: {reason}")]
    Unencodable {
        /// To whom.
        to: Pid,
        /// What serde said.
        reason: String,
    },
    /// There are too many peers already.
    #[error("there are too many peers to reach '{0}'")]
    TooManyPeers(Pid),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The request was not taken.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The deadline has passed; the request may have been carried out.
    #[error("'{0}' did not answer in time")]
    TimedOut(Pid),
    /// The other side says why not.
    #[error("'{pid}' refused: {refusal}")]
    Refused {
        /// Who.
        pid: Pid,
        /// Why.
        refusal: Refusal,
    },
    /// The connection was lost, or there was none to be had; the request may have been carried out.
    #[error("the connection to '{0}' was lost")]
    Lost(Pid),
    /// The answer is not of the expected type.
    #[error("the answer of '{pid}' could not be read: {reason}")]
    Undecodable {
        /// Who.
        pid: Pid,
        /// What the codec said.
        reason: String,
    },
}

/// Why an actor was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The node has an actor of that name.
    #[error("there is an actor named '{0}' already")]
    NameTaken(String),
    /// Not a name, see [`valid_name`](crate::valid_name), or that of a stream, see [`Pid::stream`].
    #[error("'{0}' can't be the name of an actor")]
    BadName(String),
    /// Actors are started on the thread that bound the node.
    #[error("actors are started on the thread of their node")]
    WrongThread,
    /// The node has shut down.
    #[error("the node has shut down")]
    ShutDown,
}

/// Why a node has no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The operating system refuses.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}
