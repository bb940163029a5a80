//! Callbacks that wait for the scheduler. What becomes of them when it is slow is said in [`crate::core`].

use std::collections::{BTreeSet, VecDeque};

use protocol::{OfferId, TaskId, Uuid};

use super::Callback;
use crate::limits::{MAX_CALLBACKS, MAX_CALLBACKS_HARD};

/// What became of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It waits, or was not needed.
    Kept,
    /// It is gone, as the policy allows.
    Shed,
    /// It had to be kept and there is no room.
    Overflow,
}

/// Callbacks in order.
#[derive(Clone, Debug, Default)]
pub(super) struct CallbackQueue {
    waiting: VecDeque<Callback>,
    updates: BTreeSet<(TaskId, Uuid)>,
}

impl CallbackQueue {
    /// Adds one. Offers that had to go are put into `declined`.
    pub(super) fn push(&mut self, callback: Callback, declined: &mut Vec<OfferId>) -> Admission {
        let room = self.waiting.len() < MAX_CALLBACKS;
        match &callback {
            Callback::Offers(offers) if !room => {
                declined.extend(offers.iter().map(|offer| offer.id.clone()));
                return Admission::Shed;
            }
            Callback::Rescinded(offer) if self.take_offer(offer) => return Admission::Kept,
            Callback::Message { .. } if !room => return Admission::Shed,
            Callback::Update(status) if status.uuid.is_some() => {
                let key = (status.task_id.clone(), status.uuid.expect("checked by the guard"));
                if self.updates.contains(&key) {
                    return Admission::Kept;
                }
                if !room && !self.shed_offers(declined) {
                    return Admission::Shed;
                }
                self.updates.insert(key);
            }
            _ if self.waiting.len() >= MAX_CALLBACKS_HARD => return Admission::Overflow,
            _ => {}
        }
        self.waiting.push_back(callback);
        Admission::Kept
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Callback> {
        let callback = self.waiting.pop_front()?;
        if let Callback::Update(status) = &callback
            && let Some(uuid) = status.uuid
        {
            self.updates.remove(&(status.task_id.clone(), uuid));
        }
        Some(callback)
    }

    /// Forgets offers and rescinds: the connection that they belong to is gone.
    pub(super) fn forget_offers(&mut self) {
        self.waiting.retain(|callback| !matches!(callback, Callback::Offers(_) | Callback::Rescinded(_)));
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.updates.clear();
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many of them are updates with a uuid.
    pub(super) fn tracked_updates(&self) -> usize {
        self.updates.len()
    }

    /// Those that wait, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Callback> {
        self.waiting.iter()
    }

    /// Takes an offer out of those that wait.
    fn take_offer(&mut self, wanted: &OfferId) -> bool {
        for (place, callback) in self.waiting.iter_mut().enumerate() {
            let Callback::Offers(offers) = callback else { continue };
            let before = offers.len();
            offers.retain(|offer| offer.id != *wanted);
            if offers.len() < before {
                if offers.is_empty() {
                    self.waiting.remove(place);
                }
                return true;
            }
        }
        false
    }

    /// Makes room by giving up the oldest waiting offers.
    fn shed_offers(&mut self, declined: &mut Vec<OfferId>) -> bool {
        let Some(place) = self.waiting.iter().position(|callback| matches!(callback, Callback::Offers(_)))
        else {
            return false;
        };
        if let Some(Callback::Offers(offers)) = self.waiting.remove(place) {
            declined.extend(offers.into_iter().map(|offer| offer.id));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Source, TaskState, TaskStatus};

    use super::*;
    use crate::core::tests::offer;

    fn update(task: usize, uuid: Option<u8>) -> Callback {
        let mut status =
            TaskStatus::new(TaskId::from(format!("t{task}")), TaskState::Running, Source::Executor);
        status.uuid = uuid.map(|byte| Uuid([byte; 16]));
        Callback::Update(status)
    }

    fn push(queue: &mut CallbackQueue, callback: Callback) -> (Admission, Vec<OfferId>) {
        let mut declined = Vec::new();
        let admission = queue.push(callback, &mut declined);
        (admission, declined)
    }

    #[test]
    fn a_rescind_meets_its_waiting_offer() {
        let mut queue = CallbackQueue::default();
        push(&mut queue, Callback::Offers(vec![offer("o1"), offer("o2")]));
        assert_eq!(push(&mut queue, Callback::Rescinded("o1".into())), (Admission::Kept, vec![]));
        assert_eq!(queue.pop(), Some(Callback::Offers(vec![offer("o2")])));
        push(&mut queue, Callback::Rescinded("o2".into()));
        assert_eq!(queue.pop(), Some(Callback::Rescinded("o2".into())));
    }

    #[test]
    fn a_repeated_update_waits_once_and_may_come_again_later() {
        let mut queue = CallbackQueue::default();
        push(&mut queue, update(1, Some(1)));
        push(&mut queue, update(1, Some(1)));
        assert_eq!(queue.len(), 1);
        queue.pop();
        push(&mut queue, update(1, Some(1)));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_full_queue_sheds_offers_first_and_nothing_silently() {
        let mut queue = CallbackQueue::default();
        push(&mut queue, Callback::Offers(vec![offer("o1")]));
        for task in 1..MAX_CALLBACKS {
            push(&mut queue, update(task, Some(1)));
        }
        assert_eq!(
            push(&mut queue, Callback::Offers(vec![offer("o2")])),
            (Admission::Shed, vec!["o2".into()])
        );
        assert_eq!(push(&mut queue, update(9_000, Some(1))), (Admission::Kept, vec!["o1".into()]));
        assert_eq!(push(&mut queue, update(9_001, Some(1))), (Admission::Shed, vec![]));
        for task in MAX_CALLBACKS..MAX_CALLBACKS_HARD {
            assert_eq!(push(&mut queue, update(task, None)).0, Admission::Kept);
        }
        assert_eq!(push(&mut queue, update(9_002, None)).0, Admission::Overflow);
    }
}
