//! The updates of one task, in order.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::{TaskState, TaskStatus, Uuid};

use super::checkpoint::UpdateRecord;
use super::limits::{MAX_PENDING_UPDATES, MAX_REMEMBERED_UUIDS, MIN_UPDATE_RETRY};

/// The updates of one task that are not acknowledged; the first is the outstanding one.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// With their numbers.
    pending: VecDeque<(u64, TaskStatus)>,
    /// The newest state that was put in.
    pub(super) latest: TaskState,
    /// The wait after the next forwarding of the outstanding one.
    pub(super) retry: Duration,
    /// Uuids of updates that were put in, with their numbers, the oldest first.
    seen: VecDeque<(u64, Uuid)>,
    /// The number of the next update.
    next: u64,
    /// Whether it outlives the agent's process.
    pub(super) kept: bool,
}

/// What has come of an update that was put in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    pub(super) number: u64,
    /// The update whose place it took.
    pub(super) replaced: Option<(u64, TaskStatus)>,
    /// An update that is not known any more when it is said again.
    pub(super) forgotten: Option<u64>,
}

impl Stream {
    pub(super) fn new(state: TaskState, kept: bool) -> Self {
        Self {
            pending: VecDeque::new(),
            latest: state,
            retry: MIN_UPDATE_RETRY,
            seen: VecDeque::new(),
            next: 0,
            kept,
        }
    }

    /// What an earlier life has kept of a stream that is in this state, in the order of the numbers.
    pub(super) fn recovered(state: TaskState, updates: Vec<UpdateRecord>) -> Self {
        let mut stream = Self::new(state, true);
        for update in updates {
            stream.next = update.number + 1;
            stream.seen.extend(update.status.uuid.map(|uuid| (update.number, uuid)));
            if !update.acknowledged {
                stream.latest = update.status.state;
                stream.pending.push_back((update.number, update.status));
            }
        }
        stream
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn has_seen(&self, uuid: Uuid) -> bool {
        self.seen.iter().any(|(_, seen)| *seen == uuid)
    }

    /// The one that is being forwarded.
    pub(super) fn outstanding(&self) -> Option<&TaskStatus> {
        self.pending.front().map(|(_, status)| status)
    }

    /// Puts an update behind the others.
    pub(super) fn push(&mut self, status: TaskStatus) -> Pushed {
        let number = self.next;
        self.next += 1;
        self.latest = status.state;
        let mut forgotten = None;
        if let Some(uuid) = status.uuid {
            self.seen.push_back((number, uuid));
            if self.seen.len() > MAX_REMEMBERED_UUIDS {
                forgotten = self.seen.pop_front().map(|(number, _)| number);
            }
        }
        // States never go back: one of the same state that waits is the last one. The first is on its way: it stays.
        let full = self.pending.len() >= MAX_PENDING_UPDATES && !status.state.is_terminal();
        let replaced = match self.pending.back() {
            Some((_, last)) if full && last.state == status.state => self.pending.pop_back(),
            _ => None,
        };
        self.pending.push_back((number, status));
        let waits = |number: &u64| self.pending.iter().any(|(waiting, _)| waiting == number);
        Pushed { number, replaced, forgotten: forgotten.filter(|number| !waits(number)) }
    }

    /// The outstanding one is acknowledged. Says whether it is still known when it is said again.
    pub(super) fn acknowledge(&mut self) -> Option<(u64, TaskStatus, bool)> {
        let (number, status) = self.pending.pop_front()?;
        let known = self.seen.iter().any(|(seen, _)| *seen == number);
        Some((number, status, known))
    }

    /// The numbers of all that is kept of it.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        let seen = self.seen.iter().map(|(number, _)| *number);
        let pending = self.pending.iter().map(|(number, _)| *number);
        let known = |number: &u64| self.seen.iter().any(|(seen, _)| seen == number);
        seen.chain(pending.filter(move |number| !known(number)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn check_order(&self) {
        // Four states that are not terminal, and one terminal update, may exceed the bound.
        assert!(self.pending.len() <= MAX_PENDING_UPDATES + 5, "a stream is bounded");
        assert!(self.pending.iter().is_sorted_by_key(|(number, _)| *number), "numbers grow");
        let mut states = self.pending.iter().map(|(_, status)| status.state);
        if let Some(mut before) = states.next() {
            for state in states {
                assert!(before.may_become(state), "{before} can't be followed by {state}");
                before = state;
            }
            assert_eq!(before, self.latest, "the latest state is that of the last update");
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Source, TaskId};

    use super::*;

    fn status(state: TaskState, number: u128) -> TaskStatus {
        let mut status = TaskStatus::new(TaskId::from("t"), state, Source::Executor);
        status.uuid = Some(Uuid(number.to_be_bytes()));
        status
    }

    #[test]
    fn a_full_stream_coalesces_equal_states_and_keeps_the_end() {
        let mut stream = Stream::new(TaskState::Running, true);
        for number in 0..MAX_PENDING_UPDATES as u128 {
            assert_eq!(stream.push(status(TaskState::Running, number)).replaced, None);
        }
        let mut replaces = |state, number| stream.push(status(state, number)).replaced.is_some();
        assert!(replaces(TaskState::Running, 1000));
        assert!(!replaces(TaskState::Killing, 1001));
        assert!(replaces(TaskState::Killing, 1002));
        assert!(!replaces(TaskState::Killed, 1003));
        stream.check_order();
        assert_eq!(stream.outstanding().and_then(|first| first.uuid), Some(Uuid(0u128.to_be_bytes())));
        assert_eq!(stream.pending.back().map(|(_, last)| last.state), Some(TaskState::Killed));
        assert!(stream.has_seen(Uuid(1000u128.to_be_bytes())));
    }

    #[test]
    fn what_waits_is_kept_however_much_takes_another_place() {
        let mut stream = Stream::new(TaskState::Running, true);
        let mut kept = std::collections::BTreeSet::new();
        for number in 0..3 * MAX_REMEMBERED_UUIDS as u128 {
            let pushed = stream.push(status(TaskState::Running, number));
            kept.insert(pushed.number);
            if let Some(number) = pushed.forgotten {
                assert!(kept.remove(&number), "what is forgotten was kept");
            }
            // One that was replaced is kept as acknowledged.
            assert_eq!(kept, stream.numbers().collect());
        }
        while let Some((number, _, known)) = stream.acknowledge() {
            assert!(known || kept.remove(&number));
        }
        assert_eq!(kept, stream.numbers().collect());
    }
}
