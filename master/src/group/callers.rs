//! Operators' tools in other processes: who of them waits for which answer of the replica.

use std::collections::BTreeMap;

use libactor::{Me, Pid};

use super::messages::{Answer, Call, MembersAnswer};
use crate::replication::{Ask, Input, ReplicaAnswer};

/// Calls that may be open at a time; further ones are refused. Ours: people and their tools ask, not machines.
const MAX_OPEN: usize = 1024;

/// The first number of a question that an actor asks; those below are questions over HTTP.
const FIRST: u64 = 1 << 63;

/// The calls that are open.
#[derive(Debug, Default)]
pub(super) struct Callers {
    next: u64,
    waiting: BTreeMap<Ask, (Pid, u64)>,
}

impl Callers {
    /// An actor calls: what the replica is asked, or what the actor is answered at once.
    pub(super) fn open(&mut self, from: Pid, call: Call) -> Result<Input, Answer> {
        let Call { number, request } = call;
        if self.waiting.len() >= MAX_OPEN {
            let reason = "This master has too many open questions of operators: try again later";
            return Err(Answer { number, answer: MembersAnswer::Refused(reason.to_owned()) });
        }
        let ask = Ask(FIRST + self.next);
        self.next += 1;
        self.waiting.insert(ask, (from, number));
        Ok(Input::Ask { ask, request })
    }

    /// The replica's answer to a call; it comes back where the question was not an actor's.
    pub(super) fn answer(&mut self, ask: Ask, answer: ReplicaAnswer, me: &Me) -> Option<ReplicaAnswer> {
        if ask.0 < FIRST {
            return Some(answer);
        }
        if let Some((to, number)) = self.waiting.remove(&ask) {
            tell(me, &to, number, answer.into());
        }
        None
    }
}

/// Answers an actor; what is too large for a message is refused.
pub(super) fn tell(me: &Me, to: &Pid, number: u64, answer: MembersAnswer) {
    if let Err(error) = me.tell(to, Answer { number, answer }) {
        tracing::warn!(%to, %error, "an answer to an operator can't be sent");
        let answer = MembersAnswer::Refused(format!("The answer can't be sent: {error}"));
        // It asks again if it does not hear this either.
        let _ = me.tell(to, Answer { number, answer });
    }
}
