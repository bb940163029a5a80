//! An actor's handle to itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Entry;
use crate::{AskError, Message, Node, Pid, Request, SendError};

/// What an actor holds to speak as itself. Clones are the same actor.
#[derive(Clone)]
pub struct Me {
    pub(crate) node: Node,
    pub(crate) entry: Arc<Entry>,
}

impl Me {
    /// My address.
    pub fn pid(&self) -> &Pid {
        &self.entry.pid
    }

    /// Where I live.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// As [`Node::tell`], from me.
    ///
    /// # Errors
    /// As there.
    pub fn tell<M: Message>(&self, to: &Pid, message: M) -> Result<(), SendError> {
        self.node.tell_from(Some(self.pid()), to, message)
    }

    /// As [`Node::send`], from me.
    ///
    /// # Errors
    /// As there.
    pub async fn send<M: Message>(&self, to: &Pid, message: M) -> Result<(), SendError> {
        self.node.send_from(Some(self.pid()), to, message).await
    }

    /// As [`Node::ask`], from me.
    ///
    /// # Errors
    /// As there.
    pub async fn ask<M: Request>(
        &self,
        to: &Pid,
        message: M,
        deadline: Duration,
    ) -> Result<M::Reply, AskError> {
        self.node.ask_from(Some(self.pid()), to, message, deadline).await
    }

    /// Asks to be told, once, when the actor is gone: it stops, there is none, its process dies, or its host falls silent.
    /// Linking again before that changes nothing; after it a new link may be made. The actor needs
    /// [`Install::exited`](crate::Install::exited).
    pub fn link(&self, pid: &Pid) {
        self.node.link(&self.entry, pid);
    }

    /// Takes the link back. A notice that lies in the mailbox already still comes.
    pub fn unlink(&self, pid: &Pid) {
        self.node.unlink(&self.entry, pid);
    }

    /// Sends a message to myself after a time of the node's clock. It is not lost if the mailbox is full then: it waits for
    /// room. It goes away with this life of the actor.
    pub fn tell_after<M: Message>(&self, after: Duration, message: M) -> TimerHandle {
        self.node.tell_after(&self.entry, after, message)
    }

    /// Ends me after the message in hand; what else waits is dropped. actix's `stopping` is not asked, `stopped` is called.
    /// An actor that waits for a future of its own (`ctx.wait`) ends after that.
    pub fn stop(&self) {
        self.entry.stop.cancel();
    }

    /// Ends me as failed: a supervisor starts me anew.
    pub fn fail(&self, reason: impl Into<String>) {
        self.entry.fail(reason.into());
    }
}

impl fmt::Debug for Me {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Me({})", self.pid())
    }
}

const WAITS: u8 = 0;
const SENT: u8 = 1;
const CANCELLED: u8 = 2;

/// A delayed message. Dropping the handle leaves it be.
#[derive(Debug)]
pub struct TimerHandle {
    pub(crate) state: Arc<AtomicU8>,
    pub(crate) task: AbortHandle,
}

impl TimerHandle {
    /// Takes the message back; says whether that was in time. If it was, the message never comes.
    pub fn cancel(&self) -> bool {
        let won = self.state.compare_exchange(WAITS, CANCELLED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        self.task.abort();
        won
    }

    /// Marks it as sent, unless it was cancelled.
    pub(crate) fn may_send(state: &AtomicU8) -> bool {
        state.compare_exchange(WAITS, SENT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
