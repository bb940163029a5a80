//! Actors: ordinary actix actors that a node has given a name and a bounded mailbox.
//!
//! [`Node::spawn`](crate::Node::spawn) takes a closure that makes the actor from its [`Me`], and one that installs what it
//! takes: messages ([`Receive`]), requests ([`Answer`]), ends of others ([`OnExited`]), HTTP routes.

mod drain;
mod entry;
mod install;
mod me;
mod reply;

use actix::{Actor, Context};

pub(crate) use drain::Drain;
pub(crate) use entry::{Decode, Entry, Incoming, Installed, Letter, ReplySlot, Route};
pub use install::Install;
pub use me::{Me, TimerHandle};
pub(crate) use reply::RemoteReply;
pub use reply::Reply;

use crate::{Message, Pid, Request};

/// An actor that takes a message.
pub trait Receive<M: Message>: Actor<Context = Context<Self>> {
    /// Takes one. `from` is `None` when no actor sent it; what another process claims in `from` is not verified.
    fn receive(&mut self, message: M, from: Option<Pid>, ctx: &mut Context<Self>);
}

/// An actor that answers a request.
pub trait Answer<M: Request>: Actor<Context = Context<Self>> {
    /// Answers, now or later: the reply may be kept. Dropping it tells the asker that there is no answer.
    fn answer(&mut self, message: M, from: Option<Pid>, reply: Reply<M::Reply>, ctx: &mut Context<Self>);
}

/// An actor that wants to know when those that it has linked to are gone.
pub trait OnExited: Actor<Context = Context<Self>> {
    /// The actor, its process or its host is gone, or has been silent for too long. Comes once a link.
    fn exited(&mut self, pid: Pid, ctx: &mut Context<Self>);
}

/// How an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It stopped, or was told to.
    Stopped,
    /// It panicked, or said that it has failed.
    Failed(String),
}
