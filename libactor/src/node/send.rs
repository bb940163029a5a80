//! Tell, send and ask, here and elsewhere through the same call.

use std::any::{Any, TypeId, type_name};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::{Answered, Node, Pending};
use crate::actor::{Entry, Incoming, Letter, ReplySlot};
use crate::codec::{self, EncodeFailure};
use crate::complaint::Complaint;
use crate::limits::{MAX_BODY_BYTES, MAX_PEERS};
use crate::net::{Outgoing, Peer, Refused, encode_body};
use crate::sync::lock;
use crate::{AskError, MAX_NAME_BYTES, Message, Pid, Request, SendError, TimerHandle, message_name};

impl Node {
    /// Sends a message and does not wait: if the mailbox or the queue to the peer is full, the message is dropped and counted.
    /// Within the node the value itself is passed on.
    ///
    /// # Errors
    /// What is known here and now: of an actor elsewhere, `Ok` says only that the message is queued.
    pub fn tell<M: Message>(&self, to: &Pid, message: M) -> Result<(), SendError> {
        self.tell_from(None, to, message)
    }

    /// Sends a message as soon as there is room for it.
    ///
    /// # Errors
    /// As [`Node::tell`], but never [`SendError::Full`].
    ///
    /// # Cancel safety
    /// Dropped before it ends, it has sent nothing.
    pub async fn send<M: Message>(&self, to: &Pid, message: M) -> Result<(), SendError> {
        self.send_from(None, to, message).await
    }

    /// Sends a request and waits for the answer, for at most `deadline` of the node's clock.
    ///
    /// # Errors
    /// If there is no answer, with the reason as far as it is known.
    ///
    /// # Cancel safety
    /// Dropped before it ends, the request may be carried out; its answer is thrown away.
    pub async fn ask<M: Request>(
        &self,
        to: &Pid,
        message: M,
        deadline: Duration,
    ) -> Result<M::Reply, AskError> {
        self.ask_from(None, to, message, deadline).await
    }

    pub(crate) fn tell_from<M: Message>(
        &self,
        from: Option<&Pid>,
        to: &Pid,
        message: M,
    ) -> Result<(), SendError> {
        if to.address() == self.address() {
            let Some((entry, letter)) = self.local::<M>(from, to, message, ReplySlot::None)? else {
                return Ok(());
            };
            return entry.mailbox.try_send(letter).map_err(|error| match error {
                TrySendError::Full(_) => self.full(Complaint::MailboxFull, to),
                TrySendError::Closed(_) => SendError::Stopped(to.clone()),
            });
        }
        let mut outgoing = self.remote(from, to, &message)?;
        loop {
            let Some(peer) = self.peer(to.address()) else { return Err(self.no_peer(to)) };
            match peer.offer(outgoing) {
                Ok(()) => return Ok(()),
                Err(Refused::Full(_)) => return Err(self.full(Complaint::PeerQueueFull, to)),
                Err(Refused::Forgotten(_)) if self.closing().is_cancelled() => {
                    return Err(SendError::Stopped(to.clone()));
                }
                Err(Refused::Forgotten(again)) => outgoing = again,
            }
        }
    }

    pub(crate) async fn send_from<M: Message>(
        &self,
        from: Option<&Pid>,
        to: &Pid,
        message: M,
    ) -> Result<(), SendError> {
        if to.address() == self.address() {
            let Some((entry, letter)) = self.local::<M>(from, to, message, ReplySlot::None)? else {
                return Ok(());
            };
            return entry.mailbox.send(letter).await.map_err(|_| SendError::Stopped(to.clone()));
        }
        let outgoing = self.remote(from, to, &message)?;
        self.send_to(to.address(), outgoing).await.map_err(|refused| refused.of(to))
    }

    pub(crate) async fn ask_from<M: Request>(
        &self,
        from: Option<&Pid>,
        to: &Pid,
        message: M,
        deadline: Duration,
    ) -> Result<M::Reply, AskError> {
        let mut sleep = self.clock().sleep(deadline);
        let answer = async {
            if to.address() == self.address() {
                self.ask_here::<M>(from, to, message).await
            } else {
                self.ask_there::<M>(from, to, message).await
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = &mut sleep => Err(AskError::TimedOut(to.clone())),
        }
    }

    async fn ask_here<M: Request>(
        &self,
        from: Option<&Pid>,
        to: &Pid,
        message: M,
    ) -> Result<M::Reply, AskError> {
        let (sender, receiver) = oneshot::channel::<M::Reply>();
        match self.local::<M>(from, to, message, ReplySlot::Local(Box::new(sender)))? {
            Some((entry, letter)) => {
                entry.mailbox.send(letter).await.map_err(|_| SendError::Stopped(to.clone()))?;
            }
            // Filtered out: as the network would have it, no answer ever comes.
            None => return std::future::pending().await,
        }
        let refused = |_| AskError::Refused { pid: to.clone(), refusal: crate::Refusal::NoAnswer };
        receiver.await.map_err(refused)
    }

    async fn ask_there<M: Request>(
        &self,
        from: Option<&Pid>,
        to: &Pid,
        message: M,
    ) -> Result<M::Reply, AskError> {
        let outgoing = self.remote(from, to, &message)?;
        let Outgoing::Tell { from, to: name, message, body } = outgoing else {
            unreachable!("a message is told")
        };
        let (tell, answer) = oneshot::channel();
        let id = self.next_number();
        lock(&self.0.asks).insert(id, Pending { to: to.clone(), tell });
        let _forget = Forget { node: self, id };
        let ask = Outgoing::Ask { id, from, to: name, message, body };
        self.send_to(to.address(), ask).await.map_err(|refused| refused.of(to))?;
        let body = answer.await.unwrap_or_else(|_| Err(AskError::Lost(to.clone())))?;
        codec::decode(&body).map_err(|reason| AskError::Undecodable { pid: to.clone(), reason })
    }

    /// An answer has come; nobody may wait for it any more.
    pub(crate) fn answered(&self, id: u64, answered: Answered) {
        let Some(pending) = lock(&self.0.asks).remove(&id) else { return };
        let result = match answered {
            Answered::Body(body) => Ok(body),
            Answered::Refused(refusal) => Err(AskError::Refused { pid: pending.to, refusal }),
        };
        // An error means that the asker no longer waits.
        let _ = pending.tell.send(result);
    }

    pub(crate) fn tell_after<M: Message>(
        &self,
        entry: &Arc<Entry>,
        after: Duration,
        message: M,
    ) -> TimerHandle {
        let state = Arc::new(AtomicU8::new(0));
        let shared = state.clone();
        let sleep = self.clock().sleep(after);
        let entry = entry.clone();
        let handler = entry.by_type.get(&TypeId::of::<M>()).map(|installed| installed.handler);
        let task = self.0.runtime.spawn(async move {
            tokio::select! {
                () = entry.mailbox.closed() => return,
                () = sleep => {}
            }
            let Some(handler) = handler else {
                return tracing::warn!("'{}' does not take its own '{}'", entry.pid, type_name::<M>());
            };
            let incoming = Incoming {
                from: Some(entry.pid.clone()),
                message: Box::new(message),
                reply: ReplySlot::None,
                _room: None,
            };
            if let Ok(room) = entry.mailbox.reserve().await
                && TimerHandle::may_send(&shared)
            {
                room.send(Letter::Message(handler, incoming));
            }
        });
        TimerHandle { state, task: task.abort_handle() }
    }

    /// A delivery within this node; `None` if a filter took it out.
    fn local<M: Any + Send>(
        &self,
        from: Option<&Pid>,
        to: &Pid,
        message: M,
        reply: ReplySlot,
    ) -> Result<Option<(Arc<Entry>, Letter)>, SendError> {
        let Some(entry) = self.entry(to.name()) else { return Err(SendError::NoSuchActor(to.clone())) };
        let installed = entry.by_type.get(&TypeId::of::<M>());
        let installed = installed.filter(|known| known.request || matches!(reply, ReplySlot::None));
        let Some(installed) = installed else {
            return Err(SendError::NotInstalled { actor: to.clone(), message: type_name::<M>() });
        };
        if !self.passes(from, to, installed.name) {
            return Ok(None);
        }
        let incoming = Incoming { from: from.cloned(), message: Box::new(message), reply, _room: None };
        let letter = Letter::Message(installed.handler, incoming);
        Ok(Some((entry, letter)))
    }

    /// A message for another node.
    fn remote<M: Message>(&self, from: Option<&Pid>, to: &Pid, message: &M) -> Result<Outgoing, SendError> {
        let name = message_name::<M>().ok_or(SendError::Unnamed(type_name::<M>()))?;
        if !(1..=MAX_NAME_BYTES).contains(&to.name().len()) || to.stream_id().is_some() {
            return Err(SendError::NoSuchActor(to.clone()));
        }
        let body = encode_body(message).map_err(|failure| match failure {
            EncodeFailure::TooLarge => SendError::TooLarge { to: to.clone(), limit: MAX_BODY_BYTES },
            EncodeFailure::Refused(reason) => SendError::Unencodable { to: to.clone(), reason },
        })?;
        Ok(Outgoing::Tell { from: from.map(Pid::shared_name), to: to.shared_name(), message: name, body })
    }

    /// Queues something for a peer when there is room.
    pub(super) async fn send_to(&self, address: SocketAddr, mut outgoing: Outgoing) -> Result<(), NotSent> {
        loop {
            let Some(peer) = self.peer(address) else {
                return Err(if self.closing().is_cancelled() {
                    NotSent::Closing
                } else {
                    NotSent::TooManyPeers
                });
            };
            match peer.send(outgoing).await {
                Ok(()) => return Ok(()),
                Err(Refused::Forgotten(_)) if self.closing().is_cancelled() => return Err(NotSent::Closing),
                Err(Refused::Forgotten(again) | Refused::Full(again)) => outgoing = again,
            }
        }
    }

    /// The peer at an address, made if there is none; `None` if there are too many, or the node closes.
    pub(super) fn peer(&self, address: SocketAddr) -> Option<Arc<Peer>> {
        let mut peers = lock(&self.0.peers);
        if let Some(peer) = peers.get(&address) {
            return Some(peer.clone());
        }
        if peers.len() >= MAX_PEERS || self.closing().is_cancelled() {
            return None;
        }
        let (peer, task) = Peer::new(self.clone(), address);
        peers.insert(address, peer.clone());
        self.spawn_task(task);
        Some(peer)
    }

    /// Forgets a peer if a last look says so, and nobody can have queued anything since.
    pub(crate) fn forget_peer(&self, peer: &Arc<Peer>, idle: impl FnOnce() -> bool) -> bool {
        let mut peers = lock(&self.0.peers);
        let forget = idle();
        if forget && peers.get(&peer.address).is_some_and(|known| Arc::ptr_eq(known, peer)) {
            peers.remove(&peer.address);
        }
        forget
    }

    fn full(&self, complaint: Complaint, to: &Pid) -> SendError {
        self.complain(complaint, &format_args!("for a message to '{to}'"));
        SendError::Full(to.clone())
    }

    fn no_peer(&self, to: &Pid) -> SendError {
        if self.closing().is_cancelled() {
            SendError::Stopped(to.clone())
        } else {
            SendError::TooManyPeers(to.clone())
        }
    }
}

/// Why nothing was queued for a peer.
pub(super) enum NotSent {
    Closing,
    TooManyPeers,
}

impl NotSent {
    fn of(self, to: &Pid) -> SendError {
        match self {
            NotSent::Closing => SendError::Stopped(to.clone()),
            NotSent::TooManyPeers => SendError::TooManyPeers(to.clone()),
        }
    }
}

/// Takes a request off the list of those that wait.
struct Forget<'a> {
    node: &'a Node,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.node.0.asks).remove(&self.id);
    }
}
