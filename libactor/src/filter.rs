//! Filters: a test watches or drops chosen messages.

use std::sync::Arc;

use crate::Pid;

/// A message that is about to be put into a mailbox of this node.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Who sent it; `None` for messages that no actor sent.
    pub from: Option<&'a Pid>,
    /// An actor of this node.
    pub to: &'a Pid,
    /// The name on the wire; empty if it has none.
    pub message: &'a str,
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is dropped and counted, as if the network had lost it: the sender is told nothing.
    Drop,
}

/// Asked once for each message, on the node that receives it, before it enters the mailbox. Replies, `Exited` and delayed
/// sends to oneself are not asked about.
pub type Filter = Arc<dyn Fn(&Delivery<'_>) -> Verdict + Send + Sync>;
