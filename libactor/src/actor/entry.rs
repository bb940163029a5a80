//! What a node knows of one of its actors.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Ending, RemoteReply};
use crate::Pid;
use crate::http::Handler;
use crate::sync::lock;

/// What lies in a mailbox.
pub(crate) enum Letter {
    /// For the handler of that number.
    Message(usize, Incoming),
    /// A link has ended.
    Exited(Pid),
}

/// A message on its way to a handler.
pub(crate) struct Incoming {
    pub(crate) from: Option<Pid>,
    pub(crate) message: Box<dyn Any + Send>,
    pub(crate) reply: ReplySlot,
    /// The room that a large frame takes until it is handled.
    pub(crate) _room: Option<OwnedSemaphorePermit>,
}

/// Where the answer goes.
pub(crate) enum ReplySlot {
    /// Nobody waits.
    None,
    /// A `oneshot::Sender<M::Reply>`.
    Local(Box<dyn Any + Send>),
    /// To an asker behind a connection.
    Remote(RemoteReply),
}

impl ReplySlot {
    /// Lets an asker wait for nothing, as if the network had lost the request.
    pub(crate) fn forget(&mut self) {
        if let ReplySlot::Remote(reply) = self {
            reply.done = true;
        }
    }
}

/// Makes a message of bytes; the error says what is wrong with them.
pub(crate) type Decode = fn(&[u8]) -> Result<Box<dyn Any + Send>, String>;

/// One kind of message that an actor takes.
#[derive(Clone)]
pub(crate) struct Installed {
    /// Number of the handler.
    pub(crate) handler: usize,
    /// Whether it is answered.
    pub(crate) request: bool,
    /// Name on the wire.
    pub(crate) name: &'static str,
    /// From bytes. Absent: never comes from the wire.
    pub(crate) decode: Option<Decode>,
}

/// An HTTP path of an actor.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) path: String,
    pub(crate) help: String,
    pub(crate) handler: Handler,
}

/// One life of one actor, as its node sees it.
pub(crate) struct Entry {
    pub(crate) pid: Pid,
    /// Tells this life from another of the same name.
    pub(crate) life: u64,
    pub(crate) mailbox: mpsc::Sender<Letter>,
    pub(crate) by_type: HashMap<TypeId, Installed>,
    /// Which type has a name on the wire.
    pub(crate) by_name: HashMap<&'static str, TypeId>,
    pub(crate) routes: Vec<Route>,
    /// Told to stop.
    pub(crate) stop: CancellationToken,
    /// Deliveries that were handled.
    pub(crate) handled: AtomicU64,
    /// A connection has waited in vain for room: the next ones don't wait.
    pub(crate) stalled: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Entry {
    pub(crate) fn new(pid: Pid, life: u64, mailbox: mpsc::Sender<Letter>) -> Self {
        Self {
            pid,
            life,
            mailbox,
            by_type: HashMap::new(),
            by_name: HashMap::new(),
            routes: Vec::new(),
            stop: CancellationToken::new(),
            handled: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// What it takes from the wire.
    pub(crate) fn message_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.by_name.keys().copied().collect();
        names.sort_unstable();
        names
    }

    /// Deliveries that wait.
    pub(crate) fn queued(&self) -> usize {
        self.mailbox.max_capacity() - self.mailbox.capacity()
    }

    pub(crate) fn installed_as(&self, name: &str) -> Option<&Installed> {
        self.by_type.get(self.by_name.get(name)?)
    }

    /// The route of a path: the longest that is the path or a folder of it.
    pub(crate) fn route(&self, path: &str) -> Option<&Route> {
        let matches = |route: &&Route| match path.strip_prefix(route.path.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || route.path == "/",
            None => false,
        };
        self.routes.iter().filter(matches).max_by_key(|route| route.path.len())
    }

    /// Ends the actor as failed.
    pub(crate) fn fail(&self, reason: String) {
        lock(&self.failure).get_or_insert(reason);
        self.stop.cancel();
    }

    pub(crate) fn ending(&self) -> Ending {
        match lock(&self.failure).take() {
            Some(reason) => Ending::Failed(reason),
            None => Ending::Stopped,
        }
    }

    /// Puts a notice into the mailbox that must not get lost: if it is full, the notice queues up for room.
    pub(crate) fn notify(self: &Arc<Self>, letter: Letter, runtime: &tokio::runtime::Handle) {
        if let Err(TrySendError::Full(letter)) = self.mailbox.try_send(letter) {
            let mailbox = self.mailbox.clone();
            runtime.spawn(async move {
                // An error means that the actor is gone, and nobody left to be told.
                let _ = mailbox.send(letter).await;
            });
        }
    }

    pub(crate) fn count_handled(&self) {
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}
