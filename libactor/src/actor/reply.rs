//! The answer to a request.

use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::ReplySlot;
use crate::Refusal;
use crate::codec::{self, EncodeFailure};
use crate::limits::MAX_BODY_BYTES;
use crate::net::Outgoing;

/// Takes the answer to one request. Dropping it unused tells the asker that there is no answer.
#[must_use = "dropping a reply refuses the request"]
pub struct Reply<T> {
    slot: ReplySlot,
    of: PhantomData<fn(T)>,
}

impl<T: Serialize + Send + 'static> Reply<T> {
    pub(crate) fn new(slot: ReplySlot) -> Self {
        Self { slot, of: PhantomData }
    }

    /// Gives the answer. If the asker has gone, nothing happens.
    pub fn send(self, answer: T) {
        match self.slot {
            ReplySlot::None => {}
            ReplySlot::Local(sender) => {
                let sender: Box<oneshot::Sender<T>> = sender.downcast().expect("the handler knows its reply");
                // An error means that the asker no longer waits.
                let _ = sender.send(answer);
            }
            ReplySlot::Remote(remote) => {
                let mut body = BytesMut::new();
                match codec::encode(&answer, &mut body, MAX_BODY_BYTES) {
                    Ok(()) => remote.answer(body.freeze()),
                    Err(EncodeFailure::TooLarge) => remote.refuse(Refusal::TooLarge),
                    Err(EncodeFailure::Refused(_)) => remote.refuse(Refusal::NoAnswer),
                }
            }
        }
    }

    /// Whether somebody waits for the answer.
    pub fn is_wanted(&self) -> bool {
        match &self.slot {
            ReplySlot::None => false,
            ReplySlot::Local(sender) => {
                sender.downcast_ref::<oneshot::Sender<T>>().is_some_and(|sender| !sender.is_closed())
            }
            ReplySlot::Remote(remote) => !remote.out.is_closed(),
        }
    }
}

/// The way back to an asker behind a connection.
pub(crate) struct RemoteReply {
    pub(crate) out: mpsc::Sender<Outgoing>,
    pub(crate) id: u64,
    pub(crate) done: bool,
    pub(crate) lost: crate::Counter,
}

impl RemoteReply {
    fn answer(mut self, body: Bytes) {
        self.done = true;
        self.give(Outgoing::Reply { id: self.id, body });
    }

    pub(crate) fn refuse(mut self, why: Refusal) {
        self.done = true;
        self.give(Outgoing::Refused { id: self.id, why });
    }

    fn give(&self, outgoing: Outgoing) {
        if self.out.try_send(outgoing).is_err() {
            self.lost.increment();
        }
    }
}

impl Drop for RemoteReply {
    fn drop(&mut self) {
        if !self.done {
            self.give(Outgoing::Refused { id: self.id, why: Refusal::NoAnswer });
        }
    }
}
