//! What operators' tools say to the actor `masters`, and are answered.

use bytes::Bytes;
use libactor::Pid;
use serde::{Deserialize, Serialize};

use crate::registry::codec;
use crate::replication::{MembersRequest, ReplicaAnswer, Status};

/// An operator's tool asks. It is answered with one [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.masters.Call")]
pub struct Call {
    /// Chosen by the asker: the answer has the same.
    pub number: u64,
    /// What.
    pub request: MembersRequest,
}

/// The answer to a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.masters.Answer")]
pub struct Answer {
    /// Of the call.
    pub number: u64,
    /// How it went.
    pub answer: MembersAnswer,
}

/// A [`ReplicaAnswer`], as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MembersAnswer {
    /// It is done.
    Done,
    /// To [`MembersRequest::Status`].
    Status(Box<Status>),
    /// To [`MembersRequest::Registry`]: as [`codec::decode_state`] reads it.
    Registry(Bytes),
    /// Ask the leader.
    NotLeading {
        /// Its replica, where it is known.
        leader: Option<Pid>,
    },
    /// It is refused, or has failed: a sentence that says why and what to do.
    Refused(String),
}

impl From<ReplicaAnswer> for MembersAnswer {
    fn from(answer: ReplicaAnswer) -> Self {
        match answer {
            ReplicaAnswer::Done => Self::Done,
            ReplicaAnswer::Status(status) => Self::Status(status),
            ReplicaAnswer::Registry(state) => Self::Registry(codec::encode_state(&state).into()),
            ReplicaAnswer::NotLeading { leader } => Self::NotLeading { leader },
            ReplicaAnswer::Refused(reason) => Self::Refused(reason),
        }
    }
}
